"""Voices out of a mix, by Spleeter's network: masks that it makes, on spectra at the sound's own rate.

The network has learnt from records, which are loud: it is given any sound as if it were that loud. Each
moment is heard in two windows, more of the one in whose middle it is, which evens out what it makes of their
borders.

It has learnt spectra at 44.1 kHz. A sound of another rate is not resampled: a window that lasts as long has
the same frequencies in its bins, so nothing is lost above 22 kHz, or by resampling twice. Above the 11 kHz
that the network looks at, its mask goes on as the mean of its top bins.

Channels are taken in pairs, as left and right; one by itself is both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.engine.graphs.spleeter import BINS, STEP
from bridge.engine.separation.spectra import OVERLAP, Spectra, size_near, sound_of, spectra_of
from bridge.media.raw_pcm import Samples

LEARNT_RATE_HZ: Final = 44_100
LEARNT_SIZE: Final = 4_096
LEARNT_SPECTRA: Final = 512
LEARNT_LEVEL: Final = 10 ** (-14 / 20)
"""Root of the mean square."""
TOP_BINS: Final = 128
MOST_SAMPLES_PER_S: Final = 16 * 48_000
"""Of all channels together: with more of them a window is shorter, so that it takes no more memory."""

Mask = NDArray[np.float32]


class Voices:
    """The voices in windows of `frames` frames that are faded over `overlap` frames.

    `network` gives masks (1, 2, spectra, 1024) for magnitudes of the same shape; `level` is the root of the
    sound's mean square.
    """

    def __init__(
        self,
        network: Callable[[Samples], Samples],
        rate_hz: int,
        channels: int,
        level: float,
        check: Callable[[], None],
    ) -> None:
        self._network, self._check = network, check
        self.size = size_near(LEARNT_SIZE * rate_hz / LEARNT_RATE_HZ)
        self._scale = np.float32(LEARNT_SIZE / self.size * LEARNT_LEVEL / level) if level else np.float32(1)
        share = min(1.0, MOST_SAMPLES_PER_S / (channels * rate_hz))
        spectra = max(STEP, int(LEARNT_SPECTRA * share) // STEP * STEP)
        self.frames = (spectra - 1) * self.size // OVERLAP
        self.overlap = (spectra // 2 - 1) * self.size // OVERLAP

    def __call__(self, window: Samples) -> Samples:
        """The voices in (frames, channels), of the same shape."""
        voices = np.zeros_like(window)
        for first in range(0, window.shape[1], 2):
            pair = slice(first, first + 2)
            if window[:, pair].any():
                voices[:, pair] = self._of_pair(window[:, pair])
        return voices

    def _of_pair(self, pair: Samples) -> Samples:
        spectra = []
        for channel in pair.T:
            self._check()
            spectra.append(spectra_of(channel, self.size))
        masks = self._masks(spectra)
        return np.stack([self._masked(*both, len(pair)) for both in zip(spectra, masks, strict=True)], axis=1)

    def _masked(self, spectra: Spectra, mask: Mask, frames: int) -> Samples:
        self._check()
        bins = min(BINS, spectra.shape[1])
        spectra[:, :bins] *= mask[:, :bins]
        spectra[:, BINS:] *= mask[:, -TOP_BINS:].mean(axis=1, keepdims=True)
        return sound_of(spectra, self.size, frames)

    def _masks(self, spectra: list[Spectra]) -> Iterator[Mask]:
        """(spectra, 1024) for each of one or two channels."""
        count, bins = spectra[0].shape
        shape = (1, 2, -(-count // STEP) * STEP, BINS)
        magnitudes = np.zeros(shape, np.float32)
        for side in (0, 1):
            low = spectra[min(side, len(spectra) - 1)][:, :BINS]
            magnitudes[0, side, :count, : min(BINS, bins)] = np.abs(low) * self._scale
        masks = self._network(magnitudes)[0, :, :count]
        return iter(masks if len(spectra) > 1 else masks.mean(axis=0, keepdims=True))
