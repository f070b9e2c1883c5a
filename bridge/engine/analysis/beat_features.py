"""What BeatNet's network hears of each 20 ms: 136 bands of the spectrum, and how each has risen.

A spectrum of 64 ms, its magnitudes in triangles 24 to an octave from 30 Hz to half the rate, each with the
sum 1, as log10(1 + magnitude); beside them what is more of it than in the frame before (Böck, Krebs and
Widmer, "Joint Beat and Downbeat Tracking with Recurrent Neural Networks", ISMIR 2016; BeatNet's paper).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

RATE_HZ: Final = 22_050
FRAME: Final = 1411
HOP: Final = 441
FRAMES_PER_S: Final = RATE_HZ // HOP
BANDS: Final = 136
FEATURES: Final = 2 * BANDS
BANDS_PER_OCTAVE: Final = 24
LOWEST_HZ: Final = 30.0
FRAMES_AT_ONCE: Final = 250


class BeatFeatures:
    """Mono blocks at 22,050 Hz to frames of features; frame i is centred on sample i * HOP.

    What comes out in all does not depend on the sizes of the blocks.
    """

    def __init__(self) -> None:
        self._waiting = np.zeros(FRAME // 2, np.float32)
        self._last: Floats | None = None
        self._heard = self._made = 0

    def hear(self, block: Floats) -> Floats:
        """`block` is (frames,); gives the (hops, 272) that are ready now."""
        self._heard += len(block)
        return self._of(np.concatenate([self._waiting, block]))

    def finish(self) -> Floats:
        """The last ones: in all as many as hops have begun."""
        missing = -(-self._heard // HOP) - self._made
        fill = max(0, (missing - 1) * HOP + FRAME - len(self._waiting)) if missing else 0
        return self._of(np.concatenate([self._waiting, np.zeros(fill, np.float32)]))[:missing]

    def _of(self, sound: Floats) -> Floats:
        count = max(0, (len(sound) - FRAME) // HOP + 1)
        self._waiting = sound[count * HOP :]
        self._made += count
        if not count:
            return np.zeros((0, FEATURES), np.float32)
        frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
        parts = range(0, count, FRAMES_AT_ONCE)
        bands = np.concatenate([_bands(frames[at : min(count, at + FRAMES_AT_ONCE)]) for at in parts])
        before = bands[:1] if self._last is None else self._last
        rise = np.maximum(np.diff(bands, axis=0, prepend=before), 0)
        self._last = bands[-1:]
        return np.concatenate([bands, rise], axis=1)


def _bands(frames: Floats) -> Floats:
    spectrum = np.abs(np.fft.rfft(frames * _window(), axis=1)[:, :-1]).astype(np.float32)
    return np.asarray(np.log10(1 + spectrum @ _triangles()), np.float32)


@lru_cache(maxsize=1)
def _window() -> Floats:
    return np.hanning(FRAME).astype(np.float32)


@lru_cache(maxsize=1)
def _triangles() -> Floats:
    """(bins, 136): over every three neighbours of the bins that lie nearest to the bands' middles."""
    bins = FRAME // 2
    bin_hz = RATE_HZ / (2 * bins)
    first = np.ceil(BANDS_PER_OCTAVE * np.log2(LOWEST_HZ / 440))
    last = np.ceil(BANDS_PER_OCTAVE * np.log2(RATE_HZ / 2 / 440))
    middles = 440 * 2 ** (np.arange(first, last + 1) / BANDS_PER_OCTAVE)
    edges = np.unique(np.minimum(np.rint(middles / bin_hz).astype(int), bins - 1))
    matrix = np.zeros((bins, len(edges) - 2), np.float64)
    for band, (low, top, end) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        is_wide = end - low > 1
        middle, high = (top, end) if is_wide else (low, low + 1)
        matrix[low:middle, band] = np.arange(middle - low) / max(1, middle - low)
        matrix[middle:high, band] = 1 - np.arange(high - middle) / (high - middle)
    return np.asarray(matrix / matrix.sum(axis=0), np.float32)
