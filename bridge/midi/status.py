"""Numbers of the MIDI 1.0 Detailed Specification. A status is its kind plus the channel from 0."""

from __future__ import annotations

NOTE_OFF, NOTE_ON, AFTERTOUCH, CONTROL, PROGRAM, PRESSURE, BEND = 0x80, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0
SYSTEM = 0xF0
"""From here on there is no channel."""
CHANNELS, KEYS = 16, 128
DRUMS = 9
BANKS = (0, 32)
PEDALS = (64, 66, 67, 69)
PEDAL_DOWN = 64
ALL_SOUND_OFF, RESET_ALL, ALL_NOTES_OFF = 120, 121, 123
"""From the last one on, all of them end the notes."""
BEND_CENTRE = (0, 64)
RELEASE = 64
"""The velocity of a note-off that says nothing."""

Data = tuple[int, ...]


def kind_of(data: Data) -> int:
    return data[0] & 0xF0


def channel_of(data: Data) -> int:
    return data[0] & 0x0F
