"""Positions in a WAV: `cue `, the `adtl` list that names them, and `smpl`; and AIFF's `MARK`. Pure.

Sources: Microsoft "Multimedia Programming Interface and Data Specifications 1.0" (cue, adtl), the RIFF
"Multimedia Data Standards Update" (smpl), Apple "AIFF 1.3" (MARK). All positions are frames.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from typing import Final

from bridge.media.wav_fields import LARGEST_32, MOST_ENTRIES, Entry, join_entries, split_entries, text_of

_POINT: Final = struct.Struct("<II4sIII")
_LOOP: Final = struct.Struct("<6I")
_SAMPLER: Final = struct.Struct("<9I")
_REGION: Final = struct.Struct("<II4s4H")
_LABEL_NAMES: Final = frozenset({b"labl", b"note", b"ltxt", b"file"})


def _refuse_many(count: int) -> None:
    if count > MOST_ENTRIES:
        raise ValueError(f"it has more than {MOST_ENTRIES:,} entries")


@dataclass(frozen=True, slots=True)
class CuePoint:
    """One cue point. `position` is its place in the play order, `sample_offset` in the samples."""

    id: int
    position: int
    sample_offset: int
    chunk: bytes = b"data"
    chunk_start: int = 0
    block_start: int = 0

    @property
    def frame(self) -> int:
        """Where it is. Some writers fill in only one of the two places."""
        return self.sample_offset or self.position

    def at(self, frame: int) -> CuePoint:
        """The same point at another frame; a place that did not hold the frame stays as it is."""
        old = self.frame
        return replace(
            self,
            position=frame if self.position == old else self.position,
            sample_offset=frame if self.sample_offset == old else self.sample_offset,
        )


@dataclass(frozen=True)
class Cues:
    points: tuple[CuePoint, ...]
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Cues:
        """Raises ValueError where the points that it counts are not there."""
        (count,) = struct.unpack_from("<I", raw) if len(raw) >= 4 else (None,)  # noqa: PLR2004 - a 32-bit count
        if count is None or 4 + count * _POINT.size > len(raw):
            raise ValueError("the points that it counts are not all there")
        _refuse_many(count)
        end = 4 + count * _POINT.size
        rows = _POINT.iter_unpack(raw[4:end])
        points = tuple(CuePoint(key, at, offset, *rest) for key, at, *rest, offset in rows)
        return cls(points, raw[end:])

    def to_bytes(self) -> bytes:
        rows = [
            _POINT.pack(one.id, one.position, one.chunk, one.chunk_start, one.block_start, one.sample_offset)
            for one in self.points
        ]
        return struct.pack("<I", len(rows)) + b"".join(rows) + self.tail


@dataclass(frozen=True, slots=True)
class Region:
    """A labelled length behind a cue point. `purpose` is mostly `rgn `."""

    cue_id: int
    frames: int
    purpose: bytes
    text: str


@dataclass(frozen=True)
class Labels:
    """A `LIST` of the type `adtl`: names, notes and lengths of cue points."""

    entries: tuple[Entry, ...]
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Labels:
        """`raw` begins with the list's type. Raises ValueError where that is another, or for too many."""
        if raw[:4] != b"adtl":
            raise ValueError("it is no list of labels")
        return cls(*split_entries(raw[4:]))

    def to_bytes(self) -> bytes:
        return b"adtl" + join_entries(self.entries, self.tail)

    def texts(self, name: bytes) -> dict[int, str]:
        """Cue id → text of the entries `labl` or `note`; the first of an id counts."""
        found: dict[int, str] = {}
        for one in self.entries:
            key = cue_id_of(one)
            if one.name == name and key is not None:
                found.setdefault(key, text_of(one.body[4:]))
        return found

    @property
    def regions(self) -> tuple[Region, ...]:
        found = (region_of(one) for one in self.entries)
        return tuple(one for one in found if one is not None)


def cue_id_of(entry: Entry) -> int | None:
    """The cue point that an entry of an `adtl` list speaks of."""
    if entry.name not in _LABEL_NAMES or len(entry.body) < 4:  # noqa: PLR2004 - a 32-bit number
        return None
    return int.from_bytes(entry.body[:4], "little")


def region_of(entry: Entry) -> Region | None:
    """What an `ltxt` entry says; None for other and damaged ones."""
    if entry.name != b"ltxt" or len(entry.body) < _REGION.size:
        return None
    key, frames, purpose, *_ = _REGION.unpack_from(entry.body)
    return Region(key, frames, purpose, text_of(entry.body[_REGION.size :]))


def with_region_frames(entry: Entry, frames: int) -> Entry:
    """An `ltxt` entry with another length."""
    body = entry.body[:4] + struct.pack("<I", min(frames, LARGEST_32)) + entry.body[8:]
    return Entry(entry.name, body, entry.pad)


def label(cue_id: int, text: str) -> Entry:
    """A new `labl` entry."""
    return Entry.of(b"labl", struct.pack("<I", cue_id) + text.encode("utf-8", "replace") + b"\0")


def region(cue_id: int, frames: int, *, purpose: bytes = b"rgn ", text: str = "") -> Entry:
    """A new `ltxt` entry."""
    words = text.encode("utf-8", "replace") + b"\0" if text else b""
    return Entry.of(b"ltxt", _REGION.pack(cue_id, frames, purpose, 0, 0, 0, 0) + words)


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop of a sampler; `start` and `end` are frames, both within it. `plays` 0 = for ever."""

    id: int
    kind: int
    start: int
    end: int
    fraction: int = 0
    plays: int = 0


@dataclass(frozen=True)
class Sampler:
    """The `smpl` chunk. `pitch_fraction` is in 2**-32 semitones; `tail` holds the sampler's own bytes."""

    sample_period_ns: int
    unity_note: int
    pitch_fraction: int = 0
    loops: tuple[Loop, ...] = ()
    manufacturer: int = 0
    product: int = 0
    smpte_format: int = 0
    smpte_offset: int = 0
    tail_bytes: int = 0
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Sampler:
        """Raises ValueError where it is too short for itself or for the loops that it counts."""
        if len(raw) < _SAMPLER.size:
            raise ValueError(f"it has {len(raw)} bytes, {_SAMPLER.size} at least should be")
        maker, product, period, note, fraction, smpte, offset, count, tail = _SAMPLER.unpack_from(raw)
        end = _SAMPLER.size + count * _LOOP.size
        if end > len(raw):
            raise ValueError("the loops that it counts are not all there")
        _refuse_many(count)
        loops = tuple(Loop(*fields) for fields in _LOOP.iter_unpack(raw[_SAMPLER.size : end]))
        return cls(period, note, fraction, loops, maker, product, smpte, offset, tail, raw[end:])

    def to_bytes(self) -> bytes:
        head = _SAMPLER.pack(
            self.manufacturer,
            self.product,
            self.sample_period_ns,
            self.unity_note,
            self.pitch_fraction,
            self.smpte_format,
            self.smpte_offset,
            len(self.loops),
            self.tail_bytes,
        )
        fields = ((one.id, one.kind, one.start, one.end, one.fraction, one.plays) for one in self.loops)
        return head + b"".join(_LOOP.pack(*row) for row in fields) + self.tail


@dataclass(frozen=True, slots=True)
class Mark:
    """One marker of an AIFF. `name_bytes` is Pascal's way, with its length and its padding."""

    id: int
    frame: int
    name_bytes: bytes

    @property
    def name(self) -> str:
        return text_of(self.name_bytes[1 : 1 + self.name_bytes[0]])


@dataclass(frozen=True)
class Marks:
    """AIFF's `MARK` chunk."""

    marks: tuple[Mark, ...]
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Marks:
        """Raises ValueError where the markers that it counts are not there."""
        if len(raw) < 2:  # noqa: PLR2004 - a 16-bit count
            raise ValueError("it is too short")
        (count,) = struct.unpack_from(">H", raw)
        _refuse_many(count)
        marks: list[Mark] = []
        at = 2
        for _ in range(count):
            if at + 7 > len(raw):
                raise ValueError("the markers that it counts are not all there")
            key, frame, length = struct.unpack_from(">hIB", raw, at)
            end = at + 6 + 1 + length + (1 + length) % 2
            if at + 7 + length > len(raw):
                raise ValueError("the markers that it counts are not all there")
            marks.append(Mark(key, frame, raw[at + 6 : end]))
            at = end
        return cls(tuple(marks), raw[at:])

    def to_bytes(self) -> bytes:
        rows = [struct.pack(">hI", one.id, one.frame) + one.name_bytes for one in self.marks]
        return struct.pack(">H", len(rows)) + b"".join(rows) + self.tail
