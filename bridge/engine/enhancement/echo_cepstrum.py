"""The cepstrum of a recording: where its spectrum has the regular ripple that an echo makes.

An echo y(t) = x(t) + g x(t - d) multiplies the power spectrum with |1 + g exp(-jwd)|^2; in the inverse
Fourier transform of its logarithm that is g at d, -g^2/2 at 2d, g^3/3 at 3d ... (Bogert, Healy and Tukey
1963, "The quefrency alanysis of time series for echoes"). What the sound itself has there differs from
stretch to stretch and goes down in the mean over all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

Numbers = npt.NDArray[np.float64]

STRETCH_S: Final = 8.0
SHORTEST_S: Final = 0.5
"""Less than this tells nothing."""
LONGEST_S: Final = 4.0
"""Up to here the cepstrum is kept."""
SMOOTH_HZ: Final = 150.0
"""The ripple of an echo of 50 ms repeats every 20 Hz; what is wider is the sound's own colour."""
QUIET_DB: Final = -70.0
"""Below this, against the loudest, a spectrum has rounding and noise and no sound."""
BANDS_HZ: Final = (0.0, 1_500.0, 5_000.0, 1e9)


@dataclass(frozen=True)
class Cepstrum:
    """`mean` over all stretches, from 0 on in frames; `spread` is its standard deviation between them.

    `bands` is the mean of each band alone, as if it were the whole spectrum; `shares` is how much of the
    spectrum each has, of which `share` is the sum: what has no sound is not in it.
    """

    rate_hz: int
    stretches: int
    mean: Numbers
    spread: Numbers
    bands: Numbers
    shares: Numbers

    @property
    def share(self) -> float:
        return float(self.shares.sum())


def stretch_frames(rate_hz: int) -> int:
    """A power of two, about 8 s."""
    return 1 << round(float(np.log2(STRETCH_S * rate_hz)))


def cepstra(
    blocks: Iterable[Samples], rate_hz: int, channels: int, check: Callable[[], None]
) -> list[Cepstrum | None]:
    """That of each channel; None where there is no sound."""
    frames = stretch_frames(rate_hz)
    sums = [_Sums(rate_hz, frames) for _ in range(channels)]
    for block in in_blocks(blocks, frames, frames // 2):
        for number, own in enumerate(sums):
            check()
            own.add(block[:, number])
    return [own.cepstrum() for own in sums]


class _Sums:
    """The cepstra of one channel's stretches, added up."""

    def __init__(self, rate_hz: int, frames: int) -> None:
        self._rate_hz, self._frames = rate_hz, frames
        self._kept = min(frames // 2, round(LONGEST_S * rate_hz))
        self._count = 0
        self._sum, self._squares = np.zeros(self._kept), np.zeros(self._kept)
        self._bands = np.zeros((len(BANDS_HZ) - 1, self._kept))
        hertz = np.fft.rfftfreq(frames, 1 / rate_hz)
        edges = np.searchsorted(hertz, BANDS_HZ)
        self._parts = [slice(low, high) for low, high in pairwise(edges)]
        self._shares = np.zeros(len(self._parts))

    def add(self, sound: npt.NDArray[np.float32]) -> None:
        sound = np.nan_to_num(sound, nan=0.0, posinf=0.0, neginf=0.0)
        if len(sound) < SHORTEST_S * self._rate_hz or not np.any(sound):
            return
        ripple, used = self._ripple(sound)
        parts = np.zeros_like(self._bands)
        counts = np.array([used[part].sum() for part in self._parts], np.float64)
        # A window that fades sees less of an echo, the later it comes.
        seen = _seen(len(sound), self._kept)
        for number, part in enumerate(self._parts):
            if counts[number]:
                band = np.zeros_like(ripple)
                band[part] = ripple[part]
                found = np.fft.irfft(band, self._frames)[: self._kept]
                parts[number] = found * (len(ripple) / counts[number]) / seen
        whole = counts @ parts / max(1.0, counts.sum())
        self._sum += whole
        self._squares += whole**2
        self._bands += parts
        self._shares += counts / len(ripple)
        self._count += 1

    def _ripple(self, sound: npt.NDArray[np.float32]) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """The logarithm of the power spectrum against its own mean around; 0 where there is no sound."""
        power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound)), self._frames)))
        reach = max(1, round(SMOOTH_HZ / 2 * self._frames / self._rate_hz))
        level = _around(power, reach)
        used = level > level.max() * 10 ** (QUIET_DB / 10)
        ripple = np.log(power + level * 1e-6 + 1e-30)
        ripple -= _around(np.where(used, ripple, 0.0), reach) / np.maximum(
            _around(used.astype(np.float64), reach), 1e-9
        )
        return np.where(used, ripple, 0.0), used

    def cepstrum(self) -> Cepstrum | None:
        if not self._count:
            return None
        mean = self._sum / self._count
        spread = np.sqrt(np.maximum(self._squares / self._count - mean**2, 0))
        bands, shares = self._bands / self._count, self._shares / self._count
        return Cepstrum(self._rate_hz, self._count, mean, spread, bands, shares)


def _around(values: Numbers, reach: int) -> Numbers:
    """The mean over `reach` values to each side."""
    padded = np.pad(values, (reach + 1, reach), mode="reflect")
    sums = np.cumsum(padded)
    found: Numbers = (sums[2 * reach + 1 :] - sums[: -2 * reach - 1]) / (2 * reach + 1)
    return found


def _seen(frames: int, lags: int) -> Numbers:
    """The Hann window's correlation with itself at each lag: 1 at 0; not below a tenth."""
    share = np.minimum(np.arange(lags) / frames, 1.0)
    turn = 2 * np.pi * share
    found: Numbers = ((1 - share) * (2 + np.cos(turn)) + 3 * np.sin(turn) / (2 * np.pi)) / 3
    return np.maximum(found, 0.1)
