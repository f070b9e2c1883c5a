"""The long-term spectrum of a sound in third-octave bands. Engine side: numpy, scipy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import fft

from bridge.engine.mastering.loudness import SILENCE_DB, Numbers
from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

LOWEST_BAND, HIGHEST_BAND = -17, 13
CENTRES_HZ: Final[Numbers] = 1000.0 * 2.0 ** (np.arange(LOWEST_BAND, HIGHEST_BAND + 1) / 3)
"""Third octaves from 20 Hz to 20 kHz."""
HALF_BAND: Final = 2.0 ** (1 / 6)
WINDOW_S: Final = 0.17
LEAST_FRAMES: Final = 256
STEREO: Final = 2


@dataclass(frozen=True)
class Spectrum:
    """Levels in dB of each band of CENTRES_HZ; nan above the highest frequency that the rate holds.

    `all` is the mean over the channels. `mid` and `side` are there for two channels only.
    """

    all: Numbers
    mid: Numbers | None = None
    side: Numbers | None = None


class Analyser:
    """Averages the power spectrum of a stream of blocks."""

    def __init__(self, rate_hz: int, channels: int) -> None:
        self._rate_hz = rate_hz
        self._size = max(LEAST_FRAMES, 2 ** round(math.log2(WINDOW_S * rate_hz)))
        self._fading = np.hanning(self._size).astype(np.float32)
        bins = self._size // 2 + 1
        self._sums = np.zeros((3 if channels == STEREO else 1, bins))

    def through(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """The same blocks, cut anew; what is shorter than a window at the end counts as much as it is."""
        for block in in_blocks(blocks, self._size * 4):
            self._add(block)
            yield block

    def _add(self, block: Samples) -> None:
        padded = np.pad(block, ((0, -len(block) % self._size), (0, 0)))
        for at in range(0, len(padded), self._size // 2):
            window = padded[at : at + self._size]
            if len(window) < self._size:
                break
            spectra = fft.rfft(window.T * self._fading, axis=-1)
            self._sums[0] += _power(spectra).mean(axis=0)
            if len(self._sums) > 1:
                self._sums[1] += _power(spectra[0] + spectra[1]) / 4
                self._sums[2] += _power(spectra[0] - spectra[1]) / 4

    def finish(self) -> Spectrum:
        bands = [_bands(sums, self._rate_hz) for sums in self._sums]
        return Spectrum(*bands)


def _power(spectra: Samples) -> Numbers:
    power: Numbers = np.square(np.abs(spectra), dtype=np.float64)
    return power


def _bands(power: Numbers, rate_hz: int) -> Numbers:
    """The power between a band's edges, in dB; parts of a bin count as such."""
    bin_hz = rate_hz / 2 / (len(power) - 1)
    total = np.concatenate([[0.0], np.cumsum(power)])
    edges = np.outer([1 / HALF_BAND, HALF_BAND], CENTRES_HZ) / bin_hz + 0.5
    low, high = np.interp(edges, np.arange(len(total)), total)
    levels = 10 * np.log10(np.maximum(high - low, 10 ** (SILENCE_DB / 10)))
    return np.where(rate_hz / 2 >= CENTRES_HZ * HALF_BAND, levels, np.nan)
