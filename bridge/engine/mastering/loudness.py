"""Loudness and true peak of a stream of samples, in bounded memory.

Loudness: ITU-R BS.1770-5, annex 1: K-weighting, mean squares of 400 ms every 100 ms, gated at -70 LUFS and
10 LU below the mean of what is left. True peak: annex 2, with more oversampling than it asks for: to
352.8 kHz at least. Both are kept for each grain of half a millisecond, so that a gain can be tried on them
without the samples.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import fft, signal

from bridge.media.raw_pcm import Samples

Numbers = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

OFFSET_LUFS: Final = -0.691
ABSOLUTE_GATE_LUFS: Final = -70.0
RELATIVE_GATE_LU: Final = -10.0
STEPS_IN_BLOCK: Final = 4
STEPS_PER_S: Final = 10
GRAINS_IN_STEP: Final = range(200, 260)

# The analogue filters behind the standard's coefficients for 48 kHz, so that they hold at every rate:
# frequency, quality and gain of the shelf; frequency and quality of the high-pass.
SHELF_HZ, SHELF_Q, SHELF_DB = 1681.974450955533, 0.7071752369554196, 3.999843853973347
HIGH_PASS_HZ, HIGH_PASS_Q = 38.13547087602444, 0.5003270373238773

REAR_WEIGHT: Final = 1.41
LOW_FREQUENCY, BACKS, SIDES = 0x8, 0x10 | 0x20, 0x200 | 0x400
"""Bits of a WAV's channel mask."""
USUAL_WEIGHTS: Final = {
    5: (1.0, 1.0, 1.0, REAR_WEIGHT, REAR_WEIGHT),
    6: (1.0, 1.0, 1.0, 0.0, REAR_WEIGHT, REAR_WEIGHT),
    8: (1.0, 1.0, 1.0, 0.0, 1.0, 1.0, REAR_WEIGHT, REAR_WEIGHT),
}
"""Left, right, centre, low frequency, rear or back, side: for files that do not name their channels."""

OVERSAMPLED_HZ: Final = 352_800
CONTEXT_FRAMES: Final = 512
WINDOW_FRAMES: Final = 1 << 14
SILENCE_DB: Final = -200.0


def singles(values: npt.NDArray[np.floating[Any]]) -> Singles:
    made: Singles = values.astype(np.float32, copy=False)
    return made


def db(power: float) -> float:
    return 10 * math.log10(power) if power > 0 else SILENCE_DB


@dataclass(frozen=True)
class Grid:
    """A stream cut into grains of `grain` frames, of which `step` make 100 ms."""

    rate_hz: int
    grain: int
    step: int

    @classmethod
    def of(cls, rate_hz: int) -> Grid:
        """Grains that fill 100 ms exactly, or within 0.2 % at the rates that do not allow it."""
        frames = round(rate_hz / STEPS_PER_S)
        exact = next((count for count in GRAINS_IN_STEP if frames % count == 0), GRAINS_IN_STEP.start)
        grain = max(1, round(frames / exact))
        return cls(rate_hz, grain, round(frames / grain))

    @property
    def block(self) -> int:
        """The frames of 400 ms, below which nothing has a loudness."""
        return STEPS_IN_BLOCK * self.step * self.grain

    @property
    def grains_per_s(self) -> float:
        return self.rate_hz / self.grain


@dataclass(frozen=True)
class Measured:
    """What a stream of `frames` measures: for each grain its true peak, and its weighted mean square."""

    grid: Grid
    frames: int
    peaks: Singles
    powers: Singles

    @cached_property
    def loudness_lufs(self) -> float | None:
        return gated(self.steps(self.powers))

    def steps(self, powers: Singles) -> Numbers:
        """The mean squares of all whole steps of 100 ms, of these or of changed powers of the grains."""
        whole = self.frames // (self.grid.grain * self.grid.step)
        grains = powers[: whole * self.grid.step].reshape(whole, self.grid.step)
        means: Numbers = grains.mean(axis=1, dtype=np.float64)
        return means

    @property
    def true_peak_dbtp(self) -> float | None:
        highest = float(self.peaks.max(initial=0.0))
        return 20 * math.log10(highest) if highest > 0 else None


def gated(steps: Numbers) -> float | None:
    """LUFS from the mean squares of each 100 ms; None for less than 400 ms, and where nothing is heard."""
    if len(steps) < STEPS_IN_BLOCK:
        return None
    blocks = np.convolve(steps, np.full(STEPS_IN_BLOCK, 1 / STEPS_IN_BLOCK), "valid")
    heard = blocks[blocks > 10 ** ((ABSOLUTE_GATE_LUFS - OFFSET_LUFS) / 10)]
    if not len(heard):
        return None
    heard = heard[heard > heard.mean() * 10 ** (RELATIVE_GATE_LU / 10)]
    return OFFSET_LUFS + db(float(heard.mean()))


def k_weighting(rate_hz: int) -> Numbers:
    """The two filters as second-order sections, (2, 6)."""
    shelf = math.tan(math.pi * min(SHELF_HZ, 0.49 * rate_hz) / rate_hz)
    high, middle = 10 ** (SHELF_DB / 20), 10 ** (SHELF_DB / 20 * 0.4996667741545416)
    norm = 1 + shelf / SHELF_Q + shelf**2
    first = [
        (high + middle * shelf / SHELF_Q + shelf**2) / norm,
        2 * (shelf**2 - high) / norm,
        (high - middle * shelf / SHELF_Q + shelf**2) / norm,
        1.0,
        2 * (shelf**2 - 1) / norm,
        (1 - shelf / SHELF_Q + shelf**2) / norm,
    ]
    low = math.tan(math.pi * HIGH_PASS_HZ / rate_hz)
    norm = 1 + low / HIGH_PASS_Q + low**2
    # The standard leaves this numerator as it is, so that its gain is a little above 1.
    second = [1.0, -2.0, 1.0, 1.0, 2 * (low**2 - 1) / norm, (1 - low / HIGH_PASS_Q + low**2) / norm]
    return np.array([first, second])


def channel_weights(channels: int, mask: int = 0) -> Numbers:
    """BS.1770-5, table 3: rear channels 1.41, low frequency 0, the others 1; `mask` as in a WAV."""
    bits = [1 << at for at in range(32) if mask >> at & 1]
    if len(bits) != channels:
        return np.array(USUAL_WEIGHTS.get(channels, (1.0,) * channels))
    rear = SIDES if mask & SIDES else BACKS
    return np.array([0.0 if bit == LOW_FREQUENCY else REAR_WEIGHT if bit & rear else 1.0 for bit in bits])


class Meter:
    """Measures blocks of (frames, channels) that come one after the other."""

    def __init__(self, grid: Grid, weights: Numbers) -> None:
        self._grid = grid
        self._powers = _Powers(grid, weights)
        self._peaks = _Peaks(grid, len(weights))
        self._frames = 0

    def add(self, block: Samples) -> None:
        self._frames += len(block)
        self._powers.add(block)
        self._peaks.add(block)

    def through(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """The same blocks, measured on their way."""
        for block in blocks:
            self.add(block)
            yield block

    def finish(self) -> Measured:
        return Measured(self._grid, self._frames, self._peaks.finish(), self._powers.finish())


class _Powers:
    """The K-weighted mean square of each grain, summed over the channels."""

    def __init__(self, grid: Grid, weights: Numbers) -> None:
        self._grain, self._weights = grid.grain, weights
        self._sections = k_weighting(grid.rate_hz)
        self._state = np.zeros((len(self._sections), len(weights), 2))
        self._rest = np.zeros(0)
        self._found: list[Singles] = []

    def add(self, block: Samples) -> None:
        squares = self._rest
        if len(block):
            heard, self._state = signal.sosfilt(
                self._sections, np.ascontiguousarray(block.T, np.float64), axis=-1, zi=self._state
            )
            squares = np.concatenate([squares, self._weights @ np.square(heard, out=heard)])
        whole = len(squares) // self._grain * self._grain
        self._found.append(_grain_means(squares[:whole], self._grain))
        self._rest = squares[whole:]

    def finish(self) -> Singles:
        if len(self._rest):
            self._found.append(
                _grain_means(np.pad(self._rest, (0, self._grain - len(self._rest))), self._grain)
            )
        return np.concatenate(self._found) if self._found else np.zeros(0, np.float32)


def _grain_means(squares: Numbers, grain: int) -> Singles:
    return singles(squares.reshape(-1, grain).mean(axis=1))


class _Peaks:
    """The highest value of each grain, also between the samples, over all channels.

    Windows are oversampled by padding their spectra; the frames around them are faded, so that their ends
    do not ring into them.
    """

    def __init__(self, grid: Grid, channels: int) -> None:
        self._grain = grid.grain
        self._times = max(1, 2 ** math.ceil(math.log2(OVERSAMPLED_HZ / grid.rate_hz)))
        self._core = self._grain * max(1, WINDOW_FRAMES // self._grain)
        self._size = fft.next_fast_len(self._core + 2 * CONTEXT_FRAMES, real=True)
        rising = 0.5 - 0.5 * np.cos(np.pi * (np.arange(CONTEXT_FRAMES // 2) + 0.5) / (CONTEXT_FRAMES // 2))
        self._rising = rising.astype(np.float32)[:, np.newaxis]
        self._held = np.zeros((CONTEXT_FRAMES, channels), np.float32)
        self._found: list[Singles] = []
        self._frames = 0

    def add(self, block: Samples) -> None:
        self._frames += len(block)
        self._held = np.concatenate([self._held, block])
        at = 0
        while len(self._held) - at >= self._core + 2 * CONTEXT_FRAMES:
            self._found.append(self._highest(self._held[at : at + self._core + 2 * CONTEXT_FRAMES]))
            at += self._core
        self._held = self._held[at:]

    def finish(self) -> Singles:
        left = len(self._held) - CONTEXT_FRAMES
        missing = -left % self._core + CONTEXT_FRAMES
        frames, grains = self._frames, -(-self._frames // self._grain)
        self.add(np.zeros((missing, self._held.shape[1]), np.float32))
        self._frames = frames
        return np.concatenate([*self._found, np.zeros(0, np.float32)])[:grains]

    def _highest(self, window: Samples) -> Singles:
        faded = window.copy()
        faded[: len(self._rising)] *= self._rising
        faded[-len(self._rising) :] *= self._rising[::-1]
        start, count = CONTEXT_FRAMES * self._times, self._core * self._times
        highest = np.zeros(self._core // self._grain, np.float32)
        for channel in range(window.shape[1]):
            if not window[:, channel].any():
                continue
            spectrum = fft.rfft(faded[:, channel], self._size)
            fine = fft.irfft(spectrum, self._size * self._times) * np.float32(self._times)
            grains = np.abs(fine[start : start + count]).reshape(len(highest), -1)
            np.maximum(highest, grains.max(axis=1), out=highest)
        return highest
