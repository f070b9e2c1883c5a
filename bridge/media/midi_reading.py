"""MIDI files read back: notes in seconds, and the timeline of their track 0. Pure.

Files come from anywhere: events are passed over one by one (`midi_events`), and what is kept of them is
bounded by `MOST_NOTES` and `MOST_CHANGES`.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sized
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

from bridge.media import midi_bytes as midi
from bridge.media.midi_events import (
    MOST_BYTES,
    MOST_NAME_BYTES,
    Event,
    File,
    events,
    meter_of,
    opened,
    tempo_of,
    text_of,
)
from bridge.media.musical_time import KeyPoint, Marker, MeterMap, MeterPoint, TempoMap, TempoPoint, Timeline
from bridge.media.notes import Note

__all__ = ["MOST_BYTES", "MOST_CHANGES", "MOST_NOTES", "smf_timeline", "smf_to_notes"]

MOST_NOTES = 100_000
MOST_CHANGES = 20_000
_TEMPO_BITS = 24
_DEFAULT_TEMPO_US = 500_000


def smf_to_notes(data: bytes) -> list[Note]:
    """All notes of a Standard MIDI File in seconds, by its tempo map, in order of time.

    A note that is never ended lasts until its track does. Raises ValueError for bytes that are no MIDI file,
    and for more than `MOST_NOTES` notes.
    """
    file = opened(data)
    clock = _Clock(file)
    notes: list[Note] = []
    for span in file.tracks():
        _add_notes(notes, events(file, span), clock)
    # One after the other, the last one first: sorting by all at once would hold four numbers more for each.
    for name in ("velocity", "end_s", "pitch", "start_s"):
        notes.sort(key=attrgetter(name))
    return notes


def _add_notes(notes: list[Note], track: Iterable[Event], clock: _Clock) -> None:
    sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    count = len(notes)
    tick = 0
    for tick, status, pitch, velocity in track:
        kind = status & 0xF0
        if kind not in (midi.NOTE_ON, midi.NOTE_OFF):
            continue
        line = sounding[status & 0x0F, pitch]
        if kind == midi.NOTE_ON and velocity:
            count += 1
            if count > MOST_NOTES:
                raise ValueError(f"MIDI files of more than {MOST_NOTES} notes are not read")
            line.append((tick, velocity))
        elif line:
            notes.append(_ended(line.popleft(), pitch, tick, clock))
    for (_, pitch), line in sounding.items():
        notes.extend(_ended(begun, pitch, tick, clock) for begun in line)


def _ended(begun: tuple[int, int], pitch: int, tick: int, clock: _Clock) -> Note:
    start, velocity = begun
    return Note(clock.seconds(start), clock.seconds(tick), pitch, velocity)


class _Clock:
    """Ticks to seconds through all changes of tempo, in two arrays of eight bytes a number."""

    def __init__(self, file: File) -> None:
        self._beat_us = file.ppqn * 1_000_000
        self._tempi = _tempi(file)
        self._seconds = array("d")
        start, tempo_us, sums = 0, _DEFAULT_TEMPO_US, 0
        for packed in self._tempi:
            tick, following_us = _unpacked(packed)
            sums += (tick - start) * tempo_us  # microseconds times ppqn: whole numbers, so nothing is lost
            start, tempo_us = tick, following_us
            self._seconds.append(sums / self._beat_us)

    def seconds(self, tick: int) -> float:
        """The time of a tick."""
        index = bisect_right(self._tempi, _packed(tick, midi.MOST_TEMPO_US)) - 1
        start, tempo_us = _unpacked(self._tempi[index]) if index >= 0 else (0, _DEFAULT_TEMPO_US)
        begun_s = self._seconds[index] if index >= 0 else 0.0
        return begun_s + (tick - start) * tempo_us / self._beat_us


def _packed(tick: int, tempo_us: int) -> int:
    return tick << _TEMPO_BITS | tempo_us


def _unpacked(packed: int) -> tuple[int, int]:
    return packed >> _TEMPO_BITS, packed & midi.MOST_TEMPO_US


def _tempi(file: File) -> array[int]:
    """Ticks and microseconds a quarter (packed) of all tracks, in order of time; of one tick the last."""
    tracks: list[array[int]] = []
    for span in file.tracks():
        found = array("Q")
        for tick, kind, start, stop in events(file, span):
            micros = tempo_of(file.data[start:stop]) if kind == midi.TEMPO else None
            if micros is not None:
                _add_tempo(found, _packed(tick, micros))
        if found:
            tracks.append(found)
    if len(tracks) == 1:
        return tracks[0]
    merged = array("Q")
    for packed in heapq.merge(*tracks, key=lambda packed: packed >> _TEMPO_BITS):
        _add_tempo(merged, packed)
    return merged


def _add_tempo(found: array[int], packed: int) -> None:
    if found and found[-1] >> _TEMPO_BITS == packed >> _TEMPO_BITS:
        found[-1] = packed
    else:
        found.append(packed)


def smf_timeline(data: bytes) -> Timeline:
    """The tempo map, meters, keys and markers of a Standard MIDI File; its beat 0 is tick 0.

    What is out of a MIDI file's range (a meter of 0/4, eight sharps) is passed over. Raises ValueError for
    bytes that are no MIDI file, and for more than `MOST_CHANGES` changes or markers.
    """
    file = opened(data)
    tempi: dict[Fraction, int] = {Fraction(0): _DEFAULT_TEMPO_US}
    for packed in _tempi(file):
        tick, micros = _unpacked(packed)
        tempi[Fraction(tick, file.ppqn)] = micros
        _check_count(tempi)
    found = _Found({Fraction(0): MeterPoint(Fraction(0), 4, 4)}, {}, [])
    for span in file.tracks():
        for tick, kind, start, stop in events(file, span):
            reader = _READERS.get(kind)
            if reader is not None:
                reader(found, Fraction(tick, file.ppqn), data[start : min(stop, start + MOST_NAME_BYTES)])
    return Timeline(
        TempoMap(tuple(TempoPoint(beat, _bpm(micros)) for beat, micros in sorted(tempi.items()))),
        MeterMap(tuple(point for _, point in sorted(found.meters.items()))),
        tuple(found.keys.values()),
        tuple(found.markers),
    )


def _bpm(micros: int) -> Fraction:
    return Fraction(60_000_000, max(1, micros))


def _check_count(found: Sized) -> None:
    if len(found) > MOST_CHANGES:
        raise ValueError(
            f"MIDI files of more than {MOST_CHANGES} changes of tempo, meter or key are not read"
        )


@dataclass(frozen=True)
class _Found:
    meters: dict[Fraction, MeterPoint]
    keys: dict[Fraction, KeyPoint]
    markers: list[Marker]


def _read_meter(found: _Found, beat: Fraction, content: bytes) -> None:
    meter = meter_of(content)
    if meter is not None:
        found.meters[beat] = MeterPoint(beat, *meter)
        _check_count(found.meters)


def _read_key(found: _Found, beat: Fraction, content: bytes) -> None:
    if len(content) == 2:  # noqa: PLR2004 - signs and mode
        key = midi.key_of(*struct.unpack("bB", content))
        if key is not None:
            found.keys[beat] = KeyPoint(beat, key)
            _check_count(found.keys)


def _read_marker(found: _Found, beat: Fraction, content: bytes) -> None:
    found.markers.append(Marker(beat, midi.plain(text_of(content))))
    _check_count(found.markers)


_READERS: dict[int, Callable[[_Found, Fraction, bytes], None]] = {
    midi.METER: _read_meter, midi.KEY: _read_key, midi.MARKER: _read_marker,
}  # fmt: skip
