"""Small MIDI files, written as rows of (beat, message)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence

import mido

PPQN = 480
Row = tuple[float, Sequence[int]]


def song_bytes(
    *tracks: Iterable[Row], length: float = 0.0, kind: int = 1, names: Sequence[str] = ()
) -> bytes:
    """A file with these tracks, all of them at least `length` beats long. A message may be of any kind."""
    file = mido.MidiFile(type=kind, ticks_per_beat=PPQN)
    for number, rows in enumerate(tracks):
        track = mido.MidiTrack()
        if number < len(names):
            track.append(mido.MetaMessage("track_name", name=names[number]))
        now = 0
        for beat, data in sorted(rows, key=lambda row: row[0]):
            tick = round(beat * PPQN)
            track.append(mido.Message.from_bytes(list(data), time=tick - now))
            now = tick
        track.append(mido.MetaMessage("end_of_track", time=max(0, round(length * PPQN) - now)))
        file.tracks.append(track)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def on(key: int, velocity: int = 100, channel: int = 0) -> tuple[int, int, int]:
    return (0x90 | channel, key, velocity)


def off(key: int, channel: int = 0) -> tuple[int, int, int]:
    return (0x80 | channel, key, 64)


def control(number: int, value: int, channel: int = 0) -> tuple[int, int, int]:
    return (0xB0 | channel, number, value)


def program(number: int, channel: int = 0) -> tuple[int, int]:
    return (0xC0 | channel, number)


def bend(value: int, channel: int = 0) -> tuple[int, int, int]:
    return (0xE0 | channel, value & 0x7F, value >> 7)


def scale(notes: int = 4, *, first: int = 60, every: float = 1.0, lasts: float = 0.9) -> list[Row]:
    """Notes one after the other, one key higher each."""
    return [
        row
        for number in range(notes)
        for row in (
            (number * every, on(first + number)),
            (number * every + lasts, off(first + number)),
        )
    ]
