"""Plain samples in a WAV-like or AIFF-like file, decoded without believing the sizes in its header.

This is for files that libsndfile refuses or reads too little of: never finished, outgrown, or BW64.
"""

# ruff: noqa: PLR2004
# The offsets and bit masks of a byte format are the format itself; names for each would hide it.

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from bridge.media.chunk_layout import Agreement, Layout

Samples = npt.NDArray[np.float32]

WAVE_PCM, WAVE_FLOAT, WAVE_EXTENSIBLE = 1, 3, 0xFFFE
# An AIFF-C compression type: byte order, and whether the samples are floats.
AIFC_KINDS = {
    b"NONE": (">", False),
    b"twos": (">", False),
    b"sowt": ("<", False),
    b"fl32": (">", True),
    b"FL32": (">", True),
    b"fl64": (">", True),
    b"FL64": (">", True),
}
SUBTYPES = {
    (1, False): "PCM_8",
    (2, False): "PCM_16",
    (3, False): "PCM_24",
    (4, False): "PCM_32",
    (4, True): "FLOAT",
    (8, True): "DOUBLE",
}


@dataclass(frozen=True)
class PcmFormat:
    """What is needed to decode plain samples. `order` is "<" or ">"."""

    rate_hz: int
    channels: int
    sample_bytes: int
    is_float: bool
    order: str
    unsigned: bool = False

    @property
    def frame_bytes(self) -> int:
        return self.sample_bytes * self.channels

    @property
    def subtype(self) -> str:
        """The name that libsndfile has for it."""
        return "PCM_U8" if self.unsigned else SUBTYPES[self.sample_bytes, self.is_float]


def pcm_format(layout: Layout) -> PcmFormat | None:
    """The format of the samples, or None where they are not plain PCM or the header cannot be."""
    parse = {b"FORM": _parse_comm, b"caff": None}.get(layout.magic, _parse_fmt)
    found = parse(layout) if parse is not None else None
    if found is None or (found.sample_bytes, found.is_float) not in SUBTYPES:
        return None
    return found if found.channels > 0 and found.rate_hz > 0 else None


def _parse_fmt(layout: Layout) -> PcmFormat | None:
    head = layout.format_head
    order = ">" if layout.magic == b"RIFX" else "<"
    if len(head) < 16:
        return None
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack(f"{order}HHIIHH", head[:16])
    if tag == WAVE_EXTENSIBLE and len(head) >= 26:
        (tag,) = struct.unpack(f"{order}H", head[24:26])
    if tag not in (WAVE_PCM, WAVE_FLOAT) or channels == 0:
        return None
    even, rest = divmod(frame_bytes, channels)
    sample_bytes = even if rest == 0 and even * 8 >= bits else (bits + 7) // 8
    unsigned = sample_bytes == 1
    return PcmFormat(rate_hz, channels, sample_bytes, tag == WAVE_FLOAT, order, unsigned)


def _parse_comm(layout: Layout) -> PcmFormat | None:
    head = layout.format_head
    if len(head) < 18:
        return None
    channels, _, bits = struct.unpack(">hIh", head[:8])
    kind = AIFC_KINDS.get(head[18:22] if layout.form == b"AIFC" else b"NONE")
    if kind is None or channels < 1 or bits < 1:
        return None
    order, is_float = kind
    return PcmFormat(_extended(head[8:18]), channels, (bits + 7) // 8, is_float, order)


def _extended(raw: bytes) -> int:
    """The whole part of an 80-bit IEEE 754 number, 0 where it is not a sane one (AIFF's sample rate)."""
    exponent, mantissa = struct.unpack(">HQ", raw)
    shift = 16383 + 63 - exponent
    return int(mantissa >> shift) if 0 <= shift < 64 else 0


def raw_blocks(file: BinaryIO, layout: Layout, pcm: PcmFormat, *, block_frames: int) -> Iterator[Samples]:
    """Blocks of (frames, channels) float32 up to the end of the samples or of the file. Raises OSError."""
    file.seek(layout.samples_at)
    left = _sample_bytes(layout) // pcm.frame_bytes
    while left > 0:
        raw = file.read(min(left, block_frames) * pcm.frame_bytes)
        frames = len(raw) // pcm.frame_bytes
        if frames == 0:
            return
        yield decode(raw[: frames * pcm.frame_bytes], pcm)
        left -= frames


def _sample_bytes(layout: Layout) -> int:
    stated = layout.stated_sample_bytes
    if stated is None or layout.agreement is Agreement.OUTGROWN:
        return layout.held_sample_bytes
    return min(stated, layout.held_sample_bytes)


def decode(raw: bytes, pcm: PcmFormat) -> Samples:
    """(frames, channels) float32, full scale = 1.0; `raw` holds whole frames."""
    flat: Samples
    if pcm.unsigned:
        flat = (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    elif pcm.is_float:
        with np.errstate(all="ignore"):  # a double may be too large for float32: infinity, dealt with later
            flat = np.frombuffer(raw, f"{pcm.order}f{pcm.sample_bytes}").astype(np.float32)
    elif pcm.sample_bytes == 3:
        flat = _whole_numbers(_widened(raw, pcm.order), pcm.order, 4)
    else:
        flat = _whole_numbers(raw, pcm.order, pcm.sample_bytes)
    return np.asarray(flat, np.float32).reshape(-1, pcm.channels)


def _whole_numbers(raw: bytes, order: str, sample_bytes: int) -> Samples:
    numbers = np.frombuffer(raw, f"{order}i{sample_bytes}").astype(np.float32)
    return numbers * np.float32(0.5 ** (8 * sample_bytes - 1))


def _widened(raw: bytes, order: str) -> bytes:
    """24-bit numbers as 32-bit ones, 256 times as large."""
    wide = np.zeros((len(raw) // 3, 4), np.uint8)
    part = wide[:, 1:] if order == "<" else wide[:, :3]
    part[:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    return wide.tobytes()
