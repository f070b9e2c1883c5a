"""MIDI files as mido reads them: another reader than the project's own."""

from __future__ import annotations

import io
from bisect import bisect_right
from typing import Any

import mido


def tracks(data: bytes) -> list[list[tuple[int, Any]]]:
    """(tick, message) of every track."""
    found = []
    for track in mido.MidiFile(file=io.BytesIO(data), charset="utf-8").tracks:
        tick, events = 0, []
        for message in track:
            tick += message.time
            events.append((tick, message))
        found.append(events)
    return found


def of_type(events: list[tuple[int, Any]], *kinds: str) -> list[tuple[int, Any]]:
    return [(tick, message) for tick, message in events if message.type in kinds]


class FileClock:
    """The time of a tick by the file's own tempo events, by mido's reckoning."""

    def __init__(self, data: bytes) -> None:
        self.ppqn = mido.MidiFile(file=io.BytesIO(data)).ticks_per_beat
        self.tempi = [(tick, message.tempo) for tick, message in of_type(tracks(data)[0], "set_tempo")]
        assert self.tempi[0][0] == 0
        self.times = [0.0]
        for (tick, tempo), (following, _) in zip(self.tempi, self.tempi[1:], strict=False):
            self.times.append(self.times[-1] + mido.tick2second(following - tick, self.ppqn, tempo))

    def seconds(self, tick: int) -> float:
        index = bisect_right(self.tempi, tick, key=lambda row: row[0]) - 1
        start, tempo = self.tempi[index]
        return float(self.times[index] + mido.tick2second(tick - start, self.ppqn, tempo))


def sounding_notes(events: list[tuple[int, Any]]) -> list[tuple[int, int, int, int]]:
    """(start, end, pitch, channel); asserts that every note ends, and that none of one pitch overlap."""
    begun: dict[tuple[int, int], int] = {}
    found = []
    for tick, message in events:
        if message.type == "note_on":
            assert message.velocity
            assert (message.note, message.channel) not in begun, "two notes of one pitch overlap"
            begun[message.note, message.channel] = tick
        elif message.type == "note_off":
            start = begun.pop((message.note, message.channel))
            assert tick > start
            found.append((start, tick, message.note, message.channel))
    assert not begun, "a note never ends"
    return sorted(found)
