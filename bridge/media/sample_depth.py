"""Samples as numbers in a file: whole numbers of any depth, or floats. Pure, numpy.

Full scale is 2**(bits - 1) for 1.0, as everywhere in the bridge and in libsndfile's reading: what was read
from a depth is written in that depth bit by bit the same.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from bridge.media.wav_format import FLOAT, SampleFormat

Floats: TypeAlias = npt.NDArray[np.float32] | npt.NDArray[np.float64]
Integers: TypeAlias = npt.NDArray[np.int32]

FLOAT_BITS: Final = {"FLOAT": 32, "DOUBLE": 64}
PCM_BITS: Final = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
# How fine each is; float32 has 24 bits and a sign, and more below.
FINENESS: Final = PCM_BITS | {"FLOAT": 33, "DOUBLE": 64}
SINGLE_IS_ENOUGH_BITS: Final = 24


def exceeds(lowest: float, highest: float, bits: int) -> bool:
    """True if samples between these would be beyond the whole numbers of this depth once rounded."""
    scale = 2.0 ** (bits - 1)
    return bool(np.rint(highest * scale) > scale - 1 or np.rint(lowest * scale) < -scale)


def quantised(block: Floats, bits: int, dither: np.random.Generator | None = None) -> Integers:
    """The nearest whole numbers, (frames, channels) int32 within `bits` bits.

    `dither` adds noise of triangular density over two steps (Lipshitz, Wannamaker, Vanderkooy 1992).
    """
    scale = 2.0 ** (bits - 1)
    # Scaling by a power of two is exact; float32 holds whole numbers up to 24 bits.
    wide = block if bits <= SINGLE_IS_ENOUGH_BITS and dither is None else block.astype(np.float64)
    scaled = wide * wide.dtype.type(scale)
    if dither is not None:
        scaled += dither.random(scaled.shape) - dither.random(scaled.shape)
    limit = wide.dtype.type(scale - 1)
    return np.clip(np.rint(scaled), wide.dtype.type(-scale), limit).astype(np.int32)


def left_aligned(numbers: Integers, bits: int) -> Integers:
    """Whole numbers of `bits` bits as 32-bit ones, full scale to full scale."""
    return numbers << np.int32(32 - bits)


def encoded(
    block: Floats,
    made: SampleFormat,
    order: str,
    *,
    unsigned_bytes: bool,
    dither: np.random.Generator | None = None,
) -> bytes:
    """(frames, channels) as the bytes of a WAV (`order` "<") or an AIFF (">")."""
    if made.tag == FLOAT:
        with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite
            return block.astype(f"{order}f{made.bits // 8}").tobytes()
    spare = np.int32(made.bits - made.valid_bits)
    numbers = quantised(block, made.valid_bits, dither) << spare
    if made.bits == PCM_BITS["PCM_U8"]:
        return (numbers + np.int32(128 if unsigned_bytes else 0)).astype(np.uint8).tobytes()
    if made.bits == PCM_BITS["PCM_24"]:
        wide = numbers.astype(f"{order}i4").reshape(-1, 1).view(np.uint8)
        return (wide[:, :3] if order == "<" else wide[:, 1:]).tobytes()
    return numbers.astype(f"{order}i{made.bits // 8}").tobytes()
