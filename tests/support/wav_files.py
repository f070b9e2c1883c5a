"""WAV files put together here, byte by byte, without the code that is under test."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

Chunks = Sequence[tuple[bytes, bytes]]
FMT = struct.pack("<HHIIHH", 1, 1, 48_000, 96_000, 2, 16)
SAMPLES = bytes(range(1, 201)) * 20  # 2000 frames of 16 bits, one channel


def chunk(name: bytes, body: bytes, *, size: int | None = None, order: str = "<") -> bytes:
    """One chunk with its padding; `size` is what its head claims."""
    claimed = len(body) if size is None else size
    return struct.pack(f"{order}4sI", name, claimed) + body + bytes(len(body) % 2)


def wav(
    before: Chunks = (),
    after: Chunks = (),
    *,
    samples: bytes = SAMPLES,
    fmt: bytes = FMT,
    data_size: int | None = None,
    magic: bytes = b"RIFF",
    riff_size: int | None = None,
) -> bytes:
    """A WAV: `fmt `, the chunks `before`, the samples, the chunks `after`."""
    head = chunk(b"fmt ", fmt) + b"".join(chunk(*one) for one in before)
    sound = chunk(b"data", samples, size=data_size)
    body = b"WAVE" + head + sound + b"".join(chunk(*one) for one in after)
    return magic + struct.pack("<I", len(body) if riff_size is None else riff_size) + body


def rf64(
    before: Chunks = (), after: Chunks = (), *, samples: bytes = SAMPLES, magic: bytes = b"RF64"
) -> bytes:
    """The same with its sizes in a `ds64` chunk."""
    plain = wav(before, after, samples=samples)
    ds64 = struct.pack("<QQQI", len(plain) - 8 + 36, len(samples), len(samples) // 2, 0)
    unset = struct.pack("<I", 0xFFFFFFFF)
    rest = plain[12:].replace(b"data" + struct.pack("<I", len(samples)), b"data" + unset)
    return magic + unset + b"WAVE" + chunk(b"ds64", ds64) + rest


def cue(*points: tuple[int, int]) -> bytes:
    """A `cue ` chunk's body: id and frame of each point."""
    rows = [struct.pack("<II4sIII", key, frame, b"data", 0, 0, frame) for key, frame in points]
    return struct.pack("<I", len(rows)) + b"".join(rows)


def adtl(*labels: tuple[int, str], regions: Sequence[tuple[int, int]] = ()) -> bytes:
    """A `LIST` body of labels: cue id and text; `regions` have a cue id and a length."""
    texts = b"".join(chunk(b"labl", struct.pack("<I", key) + text.encode() + b"\0") for key, text in labels)
    lengths = [
        chunk(b"ltxt", struct.pack("<II4s4H", key, frames, b"rgn ", 0, 0, 0, 0)) for key, frames in regions
    ]
    return b"adtl" + texts + b"".join(lengths)


def info(**texts: str) -> bytes:
    """A `LIST` body of texts."""
    return b"INFO" + b"".join(chunk(name.encode(), text.encode() + b"\0") for name, text in texts.items())


def bext(
    *,
    time_reference: int = 0,
    version: int = 2,
    description: bytes = b"",
    loudness: Sequence[int] = (0x7FFF,) * 5,
    history: bytes = b"",
) -> bytes:
    """A `bext` chunk's body."""
    head = description.ljust(256, b"\0") + b"Studio".ljust(32, b"\0") + b"REF1".ljust(32, b"\0")
    dated = head + b"2026-01-31" + b"12:34:56" + struct.pack("<QH", time_reference, version)
    return (dated + bytes(range(64)) + struct.pack("<5h", *loudness)).ljust(602, b"\0") + history


def acid(
    *,
    flags: int = 4,
    root: int = 60,
    beats: int = 8,
    meter: tuple[int, int] = (4, 4),
    tempo_bpm: float = 120.0,
) -> bytes:
    """An `acid` chunk's body."""
    return struct.pack("<IHHfIHHf", flags, root, 0x8000, 0.0, beats, meter[1], meter[0], tempo_bpm)


def smpl(*loops: tuple[int, int], note: int = 60, period_ns: int = 20_833) -> bytes:
    """A `smpl` chunk's body: first and last frame of each loop."""
    rows = [struct.pack("<6I", number, 0, start, end, 0, 0) for number, (start, end) in enumerate(loops)]
    return struct.pack("<9I", 0, 0, period_ns, note, 0, 0, 0, len(rows), 0) + b"".join(rows)


def ixml(inside: str) -> bytes:
    """An `iXML` chunk's body."""
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<BWFXML>{inside}</BWFXML>\n'.encode()


def saved(folder: Path, content: bytes, name: str = "take.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path
