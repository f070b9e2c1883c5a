"""Short songs to play, made from notes by beat."""

from __future__ import annotations

import io
from collections.abc import Sequence as Many
from pathlib import Path

import mido

from bridge.midi.sequence import Sequence

PPQN = 480
Note = tuple[float, float, int]
"""Beat, length in beats, key."""


def midi_file(
    notes: Many[Note],
    *,
    bpm: float = 120.0,
    bends: Many[tuple[float, int]] = (),
    pedals: Many[tuple[float, int]] = (),
    channel: int = 0,
) -> bytes:
    """A Standard MIDI File; `bends` are -8192 to 8191, `pedals` 0 to 127, each with its beat."""
    events = [
        (beat, mido.Message("note_on", note=key, velocity=100, channel=channel)) for beat, _, key in notes
    ]
    events += [
        (beat + length, mido.Message("note_off", note=key, channel=channel)) for beat, length, key in notes
    ]
    events += [(beat, mido.Message("pitchwheel", pitch=value, channel=channel)) for beat, value in bends]
    events += [
        (beat, mido.Message("control_change", control=64, value=value, channel=channel))
        for beat, value in pedals
    ]
    track = mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm))])
    ticks = 0
    for beat, message in sorted(events, key=lambda event: (event[0], event[1].type != "note_off")):
        place = round(beat * PPQN)
        track.append(message.copy(time=place - ticks))
        ticks = place
    file = mido.MidiFile(ticks_per_beat=PPQN, tracks=[track])
    stream = io.BytesIO()
    file.save(file=stream)
    return stream.getvalue()


def song(
    notes: Many[Note],
    *,
    bpm: float = 120.0,
    bends: Many[tuple[float, int]] = (),
    pedals: Many[tuple[float, int]] = (),
) -> Sequence:
    return Sequence.read(midi_file(notes, bpm=bpm, bends=bends, pedals=pedals), "a song")


def write_song(path: Path, notes: Many[Note], *, bpm: float = 120.0) -> Path:
    path.write_bytes(midi_file(notes, bpm=bpm))
    return path
