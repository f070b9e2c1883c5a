"""Sound as short spectra and back: 64 ms windows every 16 ms, and only the bins that are worked on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.media.raw_pcm import Samples

Spectra = npt.NDArray[np.complex64]
"""(bins, channels, frames)."""

HOP_S: Final = 0.016
HOPS_A_WINDOW: Final = 4
LOWEST_HZ, HIGHEST_HZ = 60.0, 16_000.0
"""Below are hum and offset, which go on for ever, as reverb does; above, reverb is hardly heard."""
FRAMES_AT_ONCE: Final = 64


@dataclass(frozen=True)
class Framing:
    """The spectra of one rate. The window is the root of a Hann window: there and back is the same."""

    rate_hz: int

    @property
    def hop(self) -> int:
        # A multiple of 16 has no large prime factors at the usual rates; at 8 kHz it is 128.
        return max(16, 16 * round(HOP_S * self.rate_hz / 16))

    @property
    def size(self) -> int:
        return HOPS_A_WINDOW * self.hop

    @property
    def bins(self) -> slice:
        """The bins that are worked on."""
        bin_hz = self.rate_hz / self.size
        return slice(round(LOWEST_HZ / bin_hz), min(self.size // 2, round(HIGHEST_HZ / bin_hz)))

    @property
    def hertz(self) -> npt.NDArray[np.float64]:
        """The frequency of each bin that is worked on."""
        return np.arange(self.bins.start, self.bins.stop) * (self.rate_hz / self.size)

    @property
    def window(self) -> npt.NDArray[np.float32]:
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(self.size) / self.size)
        return np.sqrt(hann).astype(np.float32)

    def spectra(self, sound: Samples) -> Spectra:
        """Of (frames, channels) float32; the first window begins one window before the sound."""
        edge = self.size
        padded = np.pad(sound, ((edge, edge), (0, 0)), mode="edge")  # an offset makes no step
        views = np.lib.stride_tricks.sliding_window_view(padded, self.size, axis=0)[:: self.hop]
        found = np.empty((self.bins.stop - self.bins.start, sound.shape[1], len(views)), np.complex64)
        for at in range(0, len(views), FRAMES_AT_ONCE):
            some = np.fft.rfft(views[at : at + FRAMES_AT_ONCE] * self.window, axis=-1)[..., self.bins]
            found[..., at : at + FRAMES_AT_ONCE] = some.transpose(2, 1, 0)
        return found

    def sound(self, spectra: Spectra, frames: int) -> Samples:
        """The first `frames` of the sound with these spectra, as (frames, channels) float32."""
        _, channels, count = spectra.shape
        made = np.zeros(((count - 1) * self.hop + self.size, channels), np.float32)
        for at in range(0, count, FRAMES_AT_ONCE):
            some = spectra[..., at : at + FRAMES_AT_ONCE].transpose(2, 1, 0)
            whole = np.zeros((len(some), channels, self.size // 2 + 1), np.complex64)
            whole[..., self.bins] = some
            waves = np.fft.irfft(whole, self.size, axis=-1) * self.window
            for number, wave in enumerate(waves, at):
                made[number * self.hop : number * self.hop + self.size] += wave.T
        # Four squared windows lie over each sample; they add up to two.
        made *= np.float32(2 / HOPS_A_WINDOW)
        return made[self.size : self.size + frames]
