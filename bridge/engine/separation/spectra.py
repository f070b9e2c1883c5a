"""Short-time spectra of one channel and back, the same samples again where nothing was changed.

Spectrum k is under a Hann window of `size` samples around sample k * size / 4; outside the sound there is
silence. Back, each is windowed once more and their sum divided by that of the windows' squares (Griffin and
Lim, "Signal estimation from modified short-time Fourier transform", 1984).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from bridge.media.raw_pcm import Samples

Spectra = NDArray[np.complex64]
"""(spectra, bins)."""

OVERLAP: Final = 4
NEAR_ENOUGH: Final = 0.005
QUICK_FACTORS: Final = (2, 3, 5, 7, 11)


def size_near(samples: float) -> int:
    """A window's size of about so many samples, a multiple of 4 that is transformed quickly.

    Within 0.5 % of them wherever there is one: a twelfth of a semitone.
    """
    nearest = max(OVERLAP, OVERLAP * round(samples / OVERLAP))
    within = int(nearest * NEAR_ENOUGH) // OVERLAP * OVERLAP
    around = range(nearest - within, nearest + within + 1, OVERLAP)
    return min(around, key=lambda size: (_largest_factor(size), abs(size - samples)))


def _largest_factor(number: int) -> int:
    """What is left of `number` without small factors, or 1: the fewer, the quicker its transform."""
    for factor in QUICK_FACTORS:
        while number % factor == 0:
            number //= factor
    return number


def spectra_of(sound: Samples, size: int) -> Spectra:
    """The spectra of (frames,) samples: 1 + frames * 4 / size of them, rounded up."""
    hop = size // OVERLAP
    count = 1 + -(-len(sound) // hop)
    padded = np.zeros((count - 1) * hop + size, np.float32)
    padded[size // 2 : size // 2 + len(sound)] = sound
    framed = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
    made: Spectra = scipy.fft.rfft(framed * hann(size), axis=1)
    return made


def sound_of(spectra: Spectra, size: int, frames: int) -> Samples:
    """(frames,) samples; overwrites `spectra`."""
    hop, count = size // OVERLAP, len(spectra)
    framed = scipy.fft.irfft(spectra, size, axis=1, overwrite_x=True)
    framed *= hann(size)
    made = np.zeros((count + OVERLAP - 1, hop), np.float32)
    for part in range(OVERLAP):
        made[part : part + count] += framed[:, part * hop : (part + 1) * hop]
    begin = size // 2
    return made.ravel()[begin : begin + frames] / _weight(size, count)[begin : begin + frames]


@lru_cache(maxsize=4)
def hann(size: int) -> Samples:
    window: Samples = (0.5 - 0.5 * np.cos(2 * np.pi / size * np.arange(size))).astype(np.float32)
    return window


@lru_cache(maxsize=4)
def _weight(size: int, count: int) -> Samples:
    """The sum of the squares of `count` windows."""
    hop = size // OVERLAP
    weight = np.zeros((count + OVERLAP - 1, hop), np.float32)
    for part in range(OVERLAP):
        weight[part : part + count] += np.square(hann(size)[part * hop : (part + 1) * hop])
    return weight.ravel()
