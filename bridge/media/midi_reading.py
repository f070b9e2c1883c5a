"""MIDI files read back: notes in seconds, and the timeline of their track 0. Pure.

Files come from anywhere, so nothing in them is believed: a length beyond the file's end, a delta of years or
a million events of two bytes cost no more than the file itself. Events are passed over one by one and never
kept; what is kept is bounded by `MOST_NOTES` and `MOST_CHANGES`.
"""

from __future__ import annotations

import heapq
import struct
from array import array
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass
from fractions import Fraction
from operator import attrgetter

from bridge.media import midi_bytes as midi
from bridge.media.meter_map import DENOMINATORS
from bridge.media.musical_time import KeyPoint, Marker, MeterMap, MeterPoint, TempoMap, TempoPoint, Timeline
from bridge.media.notes import Note

MOST_BYTES = 8 << 20
MOST_NOTES = 100_000
MOST_CHANGES = 20_000
MOST_NAME_BYTES = 1000
# Eighteen years of 120 BPM at 960 ticks a quarter.
_LAST_TICK = 1 << 40
_TEMPO_BITS = 24
_DEFAULT_TEMPO_US = 500_000
_HIGHEST_PPQN = 0x7FFF  # the bit above it means SMPTE time
_MOST_VARLEN_BYTES = 4
_LONGEST_LETTER = 4  # bytes of UTF-8
_META, _SYSEX, _SYSEX_GOES_ON = 0xFF, 0xF0, 0xF7
_STATUS = 0x80
# Data bytes after a channel message's status, by its upper four bits.
_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}

_Event = tuple[int, int, int, int]
"""Tick, status, and for a channel message its two data bytes, else where its content starts and ends."""


def _no_midi(why: str) -> ValueError:
    return ValueError(f"this is no MIDI file: {why}")


@dataclass(frozen=True)
class _File:
    data: bytes
    ppqn: int
    starts: array[int]  # where each track's content starts
    ends: array[int]

    def tracks(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts, self.ends, strict=True)


def _opened(data: bytes) -> _File:
    if len(data) > MOST_BYTES:
        raise ValueError(f"MIDI files of more than {MOST_BYTES} bytes are not read")
    if len(data) < 14 or data[:4] != b"MThd":  # noqa: PLR2004 - the header's length
        raise _no_midi("it does not begin with MThd")
    size, _, count, division = struct.unpack_from(">IHHH", data, 4)
    if not 0 < division <= _HIGHEST_PPQN:
        raise ValueError("MIDI files in SMPTE time cannot be read")
    starts, ends = array("Q"), array("Q")
    place = 8 + max(6, size)
    while place + 8 <= len(data) and len(starts) < count:
        kind, size = struct.unpack_from(">4sI", data, place)
        end = place + 8 + size
        if kind == b"MTrk":
            if end > len(data):
                raise _no_midi("a track is longer than the file")
            starts.append(place + 8)
            ends.append(end)
        place = end
    if len(starts) < count:
        raise _no_midi(f"it has {len(starts)} of {count} tracks")
    return _File(data, division, starts, ends)


def _events(file: _File, span: tuple[int, int]) -> Iterator[_Event]:
    """The events of a track, one at a time; the last one is its end."""
    data = file.data
    place, end = span
    tick, running = 0, 0
    while place < end:
        delta, place = _varlen(data, place, end)
        tick += delta
        if tick >= _LAST_TICK:
            raise _no_midi("it lasts for years")
        if place >= end:
            raise _no_midi("a track breaks off")
        status = data[place]
        if status in (_META, _SYSEX, _SYSEX_GOES_ON):
            kind, start, stop = _content(data, place, end)
            if kind == midi.END:
                break
            # Running status should end here, but goes on in files that some programs write.
            yield tick, kind, start, stop
            place = stop
            continue
        running = status if status >= _STATUS else running
        place += status >= _STATUS
        first, second, place = _channel_data(data, running, place, end)
        yield tick, running, first, second
    yield tick, midi.END, 0, 0


def _content(data: bytes, place: int, end: int) -> tuple[int, int, int]:
    """A meta event's type (-1 for sysex), and where its content starts and ends."""
    kind = -1
    if data[place] == _META:
        place += 1
        if place >= end:
            raise _no_midi("a track breaks off")
        # From 0x80 on there are no types: kept apart from channel messages.
        kind = data[place] if data[place] < _STATUS else -1
    size, start = _varlen(data, place + 1, end)
    if start + size > end:
        raise _no_midi("an event is longer than its track")
    return kind, start, start + size


def _channel_data(data: bytes, status: int, place: int, end: int) -> tuple[int, int, int]:
    """The data bytes of a channel message (the only one twice), and where it ends."""
    count = _DATA_BYTES.get(status & 0xF0)
    if count is None:
        raise _no_midi(f"there is no event 0x{status:02x}")
    if place + count > end:
        raise _no_midi("a track breaks off")
    first, second = data[place], data[place + count - 1]
    if (first | second) >= _STATUS:
        raise _no_midi("an event's data are out of range")
    return first, second, place + count


def _varlen(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A variable-length quantity and where it ends."""
    value = 0
    for at in range(place, min(end, place + _MOST_VARLEN_BYTES)):
        value = value << 7 | data[at] & 0x7F
        if data[at] < _STATUS:
            return value, at + 1
    raise _no_midi("a length or a time is broken")


def smf_to_notes(data: bytes) -> list[Note]:
    """All notes of a Standard MIDI File in seconds, by its tempo map, in order of time.

    A note that is never ended lasts until its track does. Raises ValueError for bytes that are no MIDI file,
    and for more than `MOST_NOTES` notes.
    """
    file = _opened(data)
    clock = _Clock(file)
    notes: list[Note] = []
    for span in file.tracks():
        _add_notes(notes, _events(file, span), clock)
    # One after the other, the last one first: sorting by all at once would hold four numbers more for each.
    for name in ("velocity", "end_s", "pitch", "start_s"):
        notes.sort(key=attrgetter(name))
    return notes


def _add_notes(notes: list[Note], events: Iterator[_Event], clock: _Clock) -> None:
    sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    count = len(notes)
    tick = 0
    for tick, status, pitch, velocity in events:
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

    def __init__(self, file: _File) -> None:
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


def _tempi(file: _File) -> array[int]:
    """Ticks and microseconds a quarter (packed) of all tracks, in order of time; of one tick the last."""
    tracks: list[array[int]] = []
    for span in file.tracks():
        found = array("Q")
        for tick, kind, start, stop in _events(file, span):
            if kind == midi.TEMPO and stop - start == 3:  # noqa: PLR2004 - a tempo's length
                _add_tempo(found, _packed(tick, int.from_bytes(file.data[start:stop], "big")))
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
    file = _opened(data)
    tempi: dict[Fraction, int] = {Fraction(0): _DEFAULT_TEMPO_US}
    for packed in _tempi(file):
        tick, micros = _unpacked(packed)
        tempi[Fraction(tick, file.ppqn)] = micros
        _check_count(tempi)
    found = _Found({Fraction(0): MeterPoint(Fraction(0), 4, 4)}, {}, [])
    for span in file.tracks():
        for tick, kind, start, stop in _events(file, span):
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
    if len(content) < 2:  # noqa: PLR2004 - numerator and denominator
        return
    numerator, power = content[0], content[1]
    if numerator and power < len(DENOMINATORS):
        found.meters[beat] = MeterPoint(beat, numerator, DENOMINATORS[power])
        _check_count(found.meters)


def _read_key(found: _Found, beat: Fraction, content: bytes) -> None:
    if len(content) == 2:  # noqa: PLR2004 - signs and mode
        key = midi.key_of(*struct.unpack("bB", content))
        if key is not None:
            found.keys[beat] = KeyPoint(beat, key)
            _check_count(found.keys)


def _read_marker(found: _Found, beat: Fraction, content: bytes) -> None:
    try:
        name = content.decode()
    except UnicodeDecodeError as fault:
        # A letter that was cut in two at the longest name's end is left out; all else is an older charset.
        cut = fault.start > MOST_NAME_BYTES - _LONGEST_LETTER
        name = content[: fault.start].decode() if cut else content.decode("latin-1")
    found.markers.append(Marker(beat, midi.plain(name)))
    _check_count(found.markers)


_READERS: dict[int, Callable[[_Found, Fraction, bytes], None]] = {
    midi.METER: _read_meter, midi.KEY: _read_key, midi.MARKER: _read_marker,
}  # fmt: skip
