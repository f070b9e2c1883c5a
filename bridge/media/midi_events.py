"""The events of a Standard MIDI File, one at a time. Pure, and quick to import.

Files come from anywhere, so nothing in them is believed: a length beyond the file's end, a delta of years or
a million events of two bytes cost no more than the file itself. Events are passed over one by one and never
kept.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

MOST_BYTES = 8 << 20
MOST_NAME_BYTES = 1000
META, SYSEX, SYSEX_GOES_ON = 0xFF, 0xF0, 0xF7
NAME, END, TEMPO, METER = 0x03, 0x2F, 0x51, 0x58
_NO_TYPE = -1
# Eighteen years of 120 BPM at 960 ticks a quarter.
_LAST_TICK = 1 << 40
_HIGHEST_PPQN = 0x7FFF  # the bit above it means SMPTE time
_HIGHEST_POWER = 7  # of two: 128th notes
_MOST_VARLEN_BYTES = 4
_LONGEST_LETTER = 4  # bytes of UTF-8
_STATUS, _SYSTEM = 0x80, 0xF0
_HIGHEST_DATA = 0x7F

DATA_BYTES: dict[int, int] = {
    kind | channel: count
    for kind, count in ((0x80, 2), (0x90, 2), (0xA0, 2), (0xB0, 2), (0xC0, 1), (0xD0, 1), (0xE0, 2))
    for channel in range(16)
} | {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}
"""How many follow a status. Those of the system have no place in a file, but some programs write them."""

Event = tuple[int, int, int, int]
"""Tick, and a status with its two data bytes (a single one twice, none as 0), or else `SYSEX`,
`SYSEX_GOES_ON` or a meta event's type (-1: there is no such) with where its content starts and ends."""


class NoMidi(ValueError):
    """Bytes that are no MIDI file, or a damaged one; `why` is the reason alone."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why

    def __str__(self) -> str:
        return f"this is no MIDI file: {self.why}"


@dataclass(frozen=True)
class File:
    """`kind` is 0, 1 or 2 (whose tracks are songs of their own), unless the file says something else."""

    data: bytes
    kind: int
    ppqn: int
    starts: array[int]  # where each track's content starts
    ends: array[int]
    clip: bool

    def tracks(self) -> Iterator[tuple[int, int]]:
        """Where each track's content starts and ends."""
        return zip(self.starts, self.ends, strict=True)


def opened(data: bytes, *, clip: bool = False) -> File:
    """A file's header and its tracks' places. Data bytes out of range are refused, or clipped to 127.

    Raises NoMidi for bytes that are no MIDI file, and ValueError for more than `MOST_BYTES` and SMPTE time.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"MIDI files of more than {MOST_BYTES} bytes are not read")
    if len(data) < 14 or data[:4] != b"MThd":  # noqa: PLR2004 - the header's length
        raise NoMidi("it does not begin with MThd")
    size, kind, count, division = struct.unpack_from(">IHHH", data, 4)
    if not 0 < division <= _HIGHEST_PPQN:
        raise ValueError("MIDI files in SMPTE time cannot be read")
    starts, ends = _chunks(data, 8 + max(6, size), count)
    return File(data, kind, division, starts, ends, clip)


def _chunks(data: bytes, place: int, count: int) -> tuple[array[int], array[int]]:
    """Where the contents of `count` tracks start and end; other chunks are passed over."""
    starts, ends = array("Q"), array("Q")
    while place + 8 <= len(data) and len(starts) < count:
        kind, size = struct.unpack_from(">4sI", data, place)
        end = place + 8 + size
        if kind == b"MTrk":
            if end > len(data):
                raise NoMidi("a track is longer than the file")
            starts.append(place + 8)
            ends.append(end)
        place = end
    if len(starts) < count:
        raise NoMidi(f"it has {len(starts)} of {count} tracks")
    return starts, ends


def events(file: File, span: tuple[int, int]) -> Iterator[Event]:
    """The events of a track, one at a time; the last one is its end. Raises NoMidi."""
    data = file.data
    place, end = span
    tick, running = 0, 0
    while place < end:
        delta, place = _varlen(data, place, end)
        tick += delta
        if tick >= _LAST_TICK:
            raise NoMidi("it lasts for years")
        if place >= end:
            raise NoMidi("a track breaks off")
        status = data[place]
        if status in (META, SYSEX, SYSEX_GOES_ON):
            kind, start, stop = _content(data, place, end)
            if kind == END:
                break
            # Running status should end here, but goes on in files that some programs write.
            yield tick, kind, start, stop
            place = stop
            continue
        if status < _STATUS:
            status = running
        else:
            place += 1
            running = status if status < _SYSTEM else running
        first, second, place = _message_data(file, status, place, end)
        yield tick, status, first, second
    yield tick, END, 0, 0


def _content(data: bytes, place: int, end: int) -> tuple[int, int, int]:
    """What kind of event it is, and where its content starts and ends."""
    kind = data[place]
    if kind == META:
        place += 1
        if place >= end:
            raise NoMidi("a track breaks off")
        kind = data[place] if data[place] < _STATUS else _NO_TYPE
    size, start = _varlen(data, place + 1, end)
    if start + size > end:
        raise NoMidi("an event is longer than its track")
    return kind, start, start + size


def _message_data(file: File, status: int, place: int, end: int) -> tuple[int, int, int]:
    """A message's two data bytes, and where it ends."""
    count = DATA_BYTES.get(status)
    if count is None:
        raise NoMidi(f"there is no event 0x{status:02x}")
    if not count:
        return 0, 0, place
    if place + count > end:
        raise NoMidi("a track breaks off")
    first, second = file.data[place], file.data[place + count - 1]
    if (first | second) >= _STATUS:
        if not file.clip:
            raise NoMidi("an event's data are out of range")
        first, second = min(first, _HIGHEST_DATA), min(second, _HIGHEST_DATA)
    return first, second, place + count


def _varlen(data: bytes, place: int, end: int) -> tuple[int, int]:
    """A variable-length quantity and where it ends."""
    if place < end and data[place] < _STATUS:
        return data[place], place + 1
    value = 0
    for at in range(place, min(end, place + _MOST_VARLEN_BYTES)):
        value = value << 7 | data[at] & 0x7F
        if data[at] < _STATUS:
            return value, at + 1
    raise NoMidi("a length or a time is broken")


def tempo_of(content: bytes) -> int | None:
    """Microseconds a quarter note; None if there are no three bytes."""
    return int.from_bytes(content, "big") if len(content) == 3 else None  # noqa: PLR2004 - a tempo's length


def meter_of(content: bytes) -> tuple[int, int] | None:
    """Numerator and denominator; None for what is no meter (0/4, 256ths)."""
    if len(content) < 2:  # noqa: PLR2004 - numerator and denominator
        return None
    numerator, power = content[0], content[1]
    return (numerator, 1 << power) if numerator and power <= _HIGHEST_POWER else None


def text_of(content: bytes) -> str:
    """A name or another text, as much of it as `MOST_NAME_BYTES` hold."""
    content = content[:MOST_NAME_BYTES]
    try:
        return content.decode()
    except UnicodeDecodeError as fault:
        # A letter that was cut in two at the longest name's end is left out; all else is an older charset.
        cut = fault.start > MOST_NAME_BYTES - _LONGEST_LETTER
        return content[: fault.start].decode() if cut else content.decode("latin-1")
