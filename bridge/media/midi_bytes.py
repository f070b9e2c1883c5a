"""The bytes of a Standard MIDI File (MIDI 1.0 Detailed Specification, Standard MIDI Files 1.0). Pure."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from itertools import chain

from bridge.media import midi_events
from bridge.media.musical_time import Key

# Four bytes of a variable-length quantity hold no more.
LAST_TICK = 0x0FFFFFFF
MOST_TEMPO_US = 0xFFFFFF
BEND_CENTRE = 8192

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
MARKER, KEY = 0x06, 0x59
NAME, END, TEMPO, METER = midi_events.NAME, midi_events.END, midi_events.TEMPO, midi_events.METER

Event = tuple[int, int, bytes]
"""Tick, rank among those of one tick, and the message."""

MAJOR_KEYS = ("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#")
MINOR_KEYS = ("Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#", "G#", "D#", "A#")
"""Seven flats to seven sharps."""
_NO_SIGN = 7


def smf(tracks: Iterable[bytes], *, ppqn: int) -> bytes:
    """A file of type 1."""
    chunks = [_chunk(b"MTrk", track) for track in tracks]
    return b"".join([_chunk(b"MThd", struct.pack(">HHH", 1, len(chunks), ppqn)), *chunks])


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack(">I", len(content)) + content


def track(name: str, events: Iterable[Event], end_tick: int) -> bytes:
    """A track's content. Events may come in any order, those of one tick and rank stay in theirs."""
    parts = [varlen(0), meta(NAME, plain(name).encode())]
    now = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        parts += (varlen(tick - now), message)
        now = tick
    parts += (varlen(end_tick - now), meta(END, b""))
    return b"".join(parts)


def varlen(value: int) -> bytes:
    """A variable-length quantity. Raises ValueError (range)."""
    if not 0 <= value <= LAST_TICK:
        raise ValueError(f"time in ticks must be in range 0..{LAST_TICK}, not {value}")
    septets = [value & 0x7F]
    while value := value >> 7:
        septets.append(value & 0x7F | 0x80)
    return bytes(reversed(septets))


def plain(text: str) -> str:
    """One line, without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def meta(kind: int, content: bytes) -> bytes:
    return bytes((0xFF, kind)) + varlen(len(content)) + content


def tempo(micros: int) -> bytes:
    """Microseconds a quarter note."""
    return meta(TEMPO, micros.to_bytes(3, "big"))


def meter(numerator: int, denominator: int) -> bytes:
    # A click every quarter note, every dotted one in 6/8 and the like, every note where it is shorter.
    compound = denominator == 8 and numerator % 3 == 0 and numerator > 3  # noqa: PLR2004 - eighths, in threes
    clocks = 36 if compound else max(1, min(24, 96 // denominator))
    return meta(METER, bytes((numerator, denominator.bit_length() - 1, clocks, 8)))


def key(value: Key) -> bytes:
    names = MAJOR_KEYS if value.mode == "major" else MINOR_KEYS
    spelled = value.spelling if value.spelling in names else Key(value.tonic, value.mode).spelling
    return meta(KEY, struct.pack("bB", names.index(spelled) - _NO_SIGN, value.mode == "minor"))


def key_of(signs: int, minor: int) -> Key | None:
    """The key of a signature's two numbers, sharps (or flats below 0) and mode; None if there is no such."""
    names = {0: MAJOR_KEYS, 1: MINOR_KEYS}.get(minor)
    if names is None or abs(signs) > _NO_SIGN:
        return None
    return Key.named(names[signs + _NO_SIGN] + ("m" if minor else ""))


def note_on(channel: int, pitch: int, velocity: int) -> bytes:
    return bytes((NOTE_ON | channel, pitch, velocity))


def note_off(channel: int, pitch: int) -> bytes:
    return bytes((NOTE_OFF | channel, pitch, 64))


def control(channel: int, number: int, value: int) -> bytes:
    return bytes((CONTROL | channel, number, value))


def program(channel: int, number: int) -> bytes:
    return bytes((PROGRAM | channel, number))


def bend(channel: int, value: int) -> bytes:
    """`value` from -8192 to 8191, 0 being the pitch as it is."""
    raw = value + BEND_CENTRE
    return bytes((BEND | channel, raw & 0x7F, raw >> 7))


def parameter(channel: int, number: int, value: int) -> list[bytes]:
    """A registered parameter (RPN) set to a whole value, and left again."""
    pairs = ((101, number >> 7), (100, number & 0x7F), (6, value), (38, 0), (101, 127), (100, 127))
    return [control(channel, controller, to) for controller, to in pairs]


def at_tick(tick: int, rank: int, messages: Iterable[bytes]) -> list[Event]:
    return [(tick, rank, message) for message in messages]


def as_events(*groups: Iterable[Event]) -> list[Event]:
    return list(chain(*groups))
