"""What a WAV says about its music in plain values: `acid` and `LIST INFO`; and the sizes in `ds64`. Pure.

`acid` was never published; its layout is what ACID's own files and every reader of them agree on.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from bridge.media.wav_fields import MOST_ENTRIES, Entry, join_entries, split_entries, text_of

_ACID: Final = struct.Struct("<IHH4sIHHf")
ONE_SHOT, ROOT_NOTE_SET, STRETCHES, DISK_BASED, HIGH_OCTAVE = 1, 2, 4, 8, 16
_BEATS_AT: Final = 12
_DS64: Final = struct.Struct("<QQQI")
_DS64_ROW: Final = struct.Struct("<4sQ")


@dataclass(frozen=True)
class Acid:
    """An `acid` chunk: its bytes, and what they say."""

    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Acid:
        """Raises ValueError where it is too short."""
        if len(raw) < _ACID.size:
            raise ValueError(f"it has {len(raw)} bytes, {_ACID.size} should be")
        return cls(raw)

    @classmethod
    def make(
        cls, *, tempo_bpm: float, beats: int, meter: tuple[int, int] = (4, 4), root_note: int | None = None
    ) -> Acid:
        """A new chunk for a loop of `beats` beats; `root_note` is a MIDI note."""
        flags = STRETCHES | (ROOT_NOTE_SET if root_note is not None else 0)
        note = 60 if root_note is None else root_note
        return cls(_ACID.pack(flags, note, 0x8000, bytes(4), beats, meter[1], meter[0], tempo_bpm))

    def to_bytes(self) -> bytes:
        return self.raw

    @property
    def flags(self) -> int:
        return int(self._fields()[0])

    @property
    def is_one_shot(self) -> bool:
        return bool(self.flags & ONE_SHOT)

    @property
    def stretches(self) -> bool:
        return bool(self.flags & STRETCHES)

    @property
    def is_disk_based(self) -> bool:
        """A beat-mapped track, as ACID calls what it does not hold in memory."""
        return bool(self.flags & DISK_BASED)

    @property
    def root_note(self) -> int | None:
        """A MIDI note; None where the flags say that it is not set."""
        return int(self._fields()[1]) if self.flags & ROOT_NOTE_SET else None

    @property
    def beats(self) -> int:
        return int(self._fields()[4])

    @property
    def meter(self) -> tuple[int, int]:
        """Numerator and denominator, as written: either may be 0."""
        return int(self._fields()[6]), int(self._fields()[5])

    @property
    def tempo_bpm(self) -> float:
        """As written: it may be 0, or no number at all."""
        return float(self._fields()[7])

    def with_beats(self, beats: int) -> Acid:
        """The same with another count of beats; 0 = not set."""
        return Acid(self.raw[:_BEATS_AT] + struct.pack("<I", beats) + self.raw[_BEATS_AT + 4 :])

    def _fields(self) -> tuple[int, int, int, bytes, int, int, int, float]:
        return _ACID.unpack_from(self.raw)


@dataclass(frozen=True)
class Info:
    """A `LIST` of the type `INFO`: INAM title, IART artist, ICMT comment, IKEY keywords or key, IBPM …"""

    entries: tuple[Entry, ...]
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Info:
        """`raw` begins with the list's type. Raises ValueError where that is another, or for too many."""
        if raw[:4] != b"INFO":
            raise ValueError("it is no list of texts")
        return cls(*split_entries(raw[4:]))

    @classmethod
    def make(cls, texts: dict[str, str]) -> Info:
        """A new list: names of four letters → texts."""
        items = texts.items()
        return cls(tuple(Entry.of(name.encode("ascii"), text.encode() + b"\0") for name, text in items))

    def to_bytes(self) -> bytes:
        return b"INFO" + join_entries(self.entries, self.tail)

    @property
    def texts(self) -> dict[str, str]:
        """Name → text; the first of a name counts, empty ones do not."""
        found: dict[str, str] = {}
        for one in self.entries:
            if text := text_of(one.body):
                found.setdefault(one.name.decode("latin-1"), text)
        return found


@dataclass(frozen=True)
class Ds64:
    """The 64-bit sizes of RF64 and BW64 (EBU Tech 3306): of the file, of `data`, the frames, and others."""

    riff_bytes: int
    data_bytes: int
    frames: int
    table: tuple[tuple[bytes, int], ...] = ()
    tail: bytes = b""

    @classmethod
    def parse(cls, raw: bytes) -> Ds64:
        """Raises ValueError where it is too short for itself or for its table."""
        if len(raw) < _DS64.size:
            raise ValueError(f"it has {len(raw)} bytes, {_DS64.size} at least should be")
        riff_bytes, data_bytes, frames, rows = _DS64.unpack_from(raw)
        end = _DS64.size + rows * _DS64_ROW.size
        if end > len(raw) or rows > MOST_ENTRIES:
            raise ValueError("the table that it counts is not all there")
        table = tuple(_DS64_ROW.iter_unpack(raw[_DS64.size : end]))
        return cls(riff_bytes, data_bytes, frames, table, raw[end:])

    def to_bytes(self) -> bytes:
        head = _DS64.pack(self.riff_bytes, self.data_bytes, self.frames, len(self.table))
        return head + b"".join(_DS64_ROW.pack(name, size) for name, size in self.table) + self.tail
