"""Streams of samples as streams of spectra and back: windows that overlap, no delay, no sample lost.

Blocks are (frames, channels) float32, spectra (channels, windows, bins) complex64. What is not changed comes
back as it was, but for the rounding of float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft

from bridge.media.raw_pcm import Samples

Spectra = npt.NDArray[np.complex64]
Floats = npt.NDArray[np.float32]

MOST_SAMPLES: Final = 1 << 18
"""Blocks are cut into pieces of at most so many samples, so that a cancel is heard soon."""


@dataclass(frozen=True)
class Framing:
    """Windows of `window` samples that begin `hop` apart, padded to `size` for the transform.

    `window` is a multiple of `hop`. The window is the root of Hann's, before and after.
    """

    window: int
    hop: int
    size: int

    @classmethod
    def lasting(cls, seconds: float, rate_hz: int) -> Framing:
        """Windows of about that length, each sample in four of them."""
        hop = fft.next_fast_len(max(16, round(seconds / 4 * rate_hz)), real=True)
        return cls(4 * hop, hop, 4 * hop)

    @property
    def bins(self) -> int:
        return self.size // 2 + 1

    @property
    def lead(self) -> int:
        """How many samples before the sound's first one the first window begins."""
        return self.window - self.hop

    @cached_property
    def before(self) -> Floats:
        root = np.sin(np.pi * np.arange(self.window) / self.window)
        return root.astype(np.float32)

    @cached_property
    def after(self) -> Floats:
        """The window that makes the sum of all products with `before` one."""
        squares = np.square(self.before, dtype=np.float64).reshape(-1, self.hop).sum(axis=0)
        made: Floats = (self.before / np.tile(squares, self.window // self.hop)).astype(np.float32)
        return made


@dataclass
class Counted:
    """Blocks on their way; `frames` is how many went by. What is no number in them is silence."""

    blocks: Iterable[Samples]
    frames: int = field(default=0)

    def __iter__(self) -> Iterator[Samples]:
        for block in self.blocks:
            frames = max(1, MOST_SAMPLES // block.shape[1])
            for at in range(0, len(block), frames):
                piece = np.nan_to_num(block[at : at + frames], nan=0.0, posinf=0.0, neginf=0.0)
                self.frames += len(piece)
                yield piece


def spectra(blocks: Counted, framing: Framing, *, threads: int = 1) -> Iterator[Spectra]:
    """The spectra of all windows in which a sample of the blocks lies."""
    held: Samples | None = None
    for block in blocks:
        if held is None:
            held = np.zeros((framing.lead, block.shape[1]), np.float32)
        held = np.concatenate([held, block])
        count = (len(held) - framing.window) // framing.hop + 1
        if count > 0:
            yield _transformed(held, count, framing, threads)
            held = held[count * framing.hop :]
    if held is not None:
        count = -(-len(held) // framing.hop)
        missing = (count - 1) * framing.hop + framing.window - len(held)
        yield _transformed(np.pad(held, ((0, missing), (0, 0))), count, framing, threads)


def _transformed(held: Samples, count: int, framing: Framing, threads: int) -> Spectra:
    channels = np.ascontiguousarray(held.T)
    windows = np.lib.stride_tricks.sliding_window_view(channels, framing.window, axis=1)
    cut = windows[:, : (count - 1) * framing.hop + 1 : framing.hop] * framing.before
    made: Spectra = fft.rfft(cut, n=framing.size, axis=-1, workers=threads)
    return made


def sound(
    stream: Iterable[Spectra], framing: Framing, source: Counted, *, threads: int = 1
) -> Iterator[Samples]:
    """The sound of the spectra that were made of `source`: as many frames, and on the same ones."""
    tail: Floats | None = None
    skip, made = framing.lead, 0
    for some in stream:
        whole = _overlapped(some, framing, threads)
        if tail is not None:
            whole[:, : framing.lead] += tail
        ready = some.shape[1] * framing.hop
        tail = whole[:, ready:].copy()
        block = whole[:, skip:ready][:, : source.frames - made].T
        skip = max(0, skip - ready)
        made += len(block)
        if len(block):
            yield np.ascontiguousarray(block)


def _overlapped(some: Spectra, framing: Framing, threads: int) -> Floats:
    """(channels, windows, bins) to the sum of all windows, (channels, samples)."""
    channels, count, _ = some.shape
    pieces = fft.irfft(some, n=framing.size, axis=-1, workers=threads)[..., : framing.window] * framing.after
    parts = framing.window // framing.hop
    pieces = pieces.reshape(channels, count, parts, framing.hop)
    whole = np.zeros((channels, count + parts - 1, framing.hop), np.float32)
    for part in range(parts):
        whole[:, part : part + count] += pieces[:, :, part]
    return whole.reshape(channels, -1)


def power(some: Spectra) -> Floats:
    """The squares of the magnitudes, in the shape of `some`."""
    squares: Floats = np.square(some.real) + np.square(some.imag)
    return squares
