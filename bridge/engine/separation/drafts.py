"""Drafts of drums, bass and the rest out of an instrumental, by what is steep in time and what is low.

In a spectrogram a hit is a line across the frequencies and a held note one along the time: medians across and
along tell the two apart (Fitzgerald, "Harmonic/percussive separation using median filtering", DAFx 2010). Of
what is held, the lowest is taken for the bass. No network, and it shows: hits of other instruments are in the
drums, and the bass is without its overtones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import median_filter

from bridge.engine.separation.spectra import OVERLAP, size_near, sound_of, spectra_of
from bridge.media.raw_pcm import Samples

WINDOW_S: Final = 2_048 / 44_100
ALONG_S: Final = 0.2
ACROSS_HZ: Final = 360.0
BASS_FULL_HZ, BASS_END_HZ = 120.0, 320.0
LEAST: Final = np.float32(1e-20)

Shares = NDArray[np.float32]
"""(spectra, bins), 0..1."""


class Drafts:
    """Drums, bass and the rest in windows of an instrumental: (frames, channels) each, and they add up."""

    def __init__(self, rate_hz: int, check: Callable[[], None]) -> None:
        self._check = check
        self.size = size_near(WINDOW_S * rate_hz)
        self._along = _odd(ALONG_S * rate_hz / (self.size // OVERLAP))
        self._across = _odd(ACROSS_HZ * self.size / rate_hz)
        hz = np.arange(self.size // 2 + 1) * (rate_hz / self.size)
        turn = np.clip((hz - BASS_FULL_HZ) / (BASS_END_HZ - BASS_FULL_HZ), 0, 1)
        self._low = (0.5 + 0.5 * np.cos(np.pi * turn)).astype(np.float32)

    def __call__(self, window: Samples) -> dict[str, Samples]:
        drums, bass = np.zeros_like(window), np.zeros_like(window)
        if window.any():
            hits = self._hits(window)
            low = (1 - hits) * self._low
            for number, channel in enumerate(window.T):
                for made, share in ((drums, hits), (bass, low)):
                    self._check()
                    spectra = spectra_of(channel, self.size) * share
                    made[:, number] = sound_of(spectra, self.size, len(channel))
        return {"drums": drums, "bass": bass, "other": window - drums - bass}

    def _hits(self, window: Samples) -> Shares:
        """How much of each point is hits, the same for all channels: so they stay where they are."""
        power: Shares = np.zeros((1, 1), np.float32)
        for channel in window.T:
            self._check()
            power = power + np.square(np.abs(spectra_of(channel, self.size)))
        magnitude = np.sqrt(power)
        across = np.square(medians(magnitude, self._across))
        self._check()
        along = np.square(medians(magnitude.T, self._along).T)
        return np.asarray(across / (across + along + LEAST), np.float32)


def medians(values: Shares, count: int) -> Shares:
    """The running median over `count` values of each row; rows are mirrored at their ends.

    All rows are one long row: scipy's filter of one dimension is the quick one.
    """
    half = min(count // 2, values.shape[1] - 1)
    padded = np.pad(values, ((0, 0), (half, half)), mode="reflect")
    long = median_filter(padded.ravel(), size=2 * half + 1).reshape(padded.shape)
    made: Shares = long[:, half : half + values.shape[1]]
    return made


def _odd(count: float) -> int:
    return 2 * max(1, round(count / 2)) + 1
