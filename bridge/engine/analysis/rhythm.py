"""Beats, bars and tempo of what was heard, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.engine.analysis.bar_pointer import FRAMES_PER_S, decode
from bridge.engine.analysis.bars import NAMES, QUARTERS, Heard, Reading, best_reading
from bridge.engine.analysis.tempo import STEADY_S, Stretch, main_stretch, stretches

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]

BEATS_PER_BAR: Final = 4
"""By which beats are looked for; what their bars are is asked after."""
LEAST_ACTIVE: Final = 0.1
LEAST_BEATS: Final = 6
LEAST_STRENGTH: Final = 0.25
"""Of the middle beat's activation above that between the beats; below it no beat is heard."""
STRONG: Final = 0.6
"""Middle beats that stand out so far leave no doubt that there is a beat."""
NEAR_FRAMES: Final = 4
EARLY_S: Final = 0.014
"""The network tells of a beat so much before it (measured on click tracks and songs by rule)."""
FREE_SCATTER, TOO_MUCH_SCATTER = 0.03, 0.05


@dataclass(frozen=True)
class Rhythm:
    """Times in seconds; `numbers` (beats,) count in the bar, from 0. Confidences are 0..1.

    A beat is one count of the meter: a quarter, in 6/8 an eighth. Tempi are quarter notes a minute.
    """

    beats_s: Wide
    numbers: NDArray[np.int64]
    beats_per_bar: int
    meter_confidence: float
    stretches: tuple[Stretch, ...]
    bpm_confidence: float

    @property
    def bpm(self) -> float:
        """Of the stretch that lasts longest."""
        return self.bpm_of(main_stretch(list(self.stretches)))

    def bpm_of(self, stretch: Stretch) -> float:
        return 60 * QUARTERS[self.beats_per_bar] / stretch.interval_s

    @property
    def meter(self) -> str:
        return NAMES[self.beats_per_bar]

    @property
    def downbeats_s(self) -> Wide:
        return np.asarray(self.beats_s[self.numbers == 0])

    @property
    def is_steady(self) -> bool:
        """One tempo all along, to which the beats keep."""
        return len(self.stretches) == 1 and self.stretches[0].error_s <= STEADY_S


def rhythm_of(heard: Heard, check: Callable[[], None] = lambda: None) -> Rhythm | None:
    """What the network has heard as beats and bars; None where there is no beat."""
    activation = _twice_as_fine(heard.activation)
    active = np.flatnonzero(activation.max(axis=1, initial=0) >= LEAST_ACTIVE)
    if not len(active):
        return None
    first, stop = int(active[0]), int(active[-1]) + 1
    frames = decode(activation[first:stop], BEATS_PER_BAR, check).frames + first
    strength = _strength(activation, frames) if len(frames) >= LEAST_BEATS else 0.0
    if strength < LEAST_STRENGTH:
        return None
    reading = best_reading(heard, _times(activation, frames), check)
    check()
    return _rhythm(reading, strength)


def _rhythm(reading: Reading, strength: float) -> Rhythm:
    parts = tuple(stretches(reading.beats_s))
    scatter = np.average(
        [part.error_s / part.interval_s for part in parts], weights=[part.stop - part.first for part in parts]
    )
    steadiness = np.exp(-max(0.0, float(scatter) - FREE_SCATTER) / TOO_MUCH_SCATTER)
    return Rhythm(
        beats_s=np.maximum(0, reading.beats_s + EARLY_S),
        numbers=reading.numbers,
        beats_per_bar=reading.beats_per_bar,
        meter_confidence=reading.meter_chance,
        stretches=parts,
        bpm_confidence=float(min(1.0, strength / STRONG) * steadiness * reading.grid_chance),
    )


def _twice_as_fine(activation: Floats) -> Floats:
    """(frames, 2) at 50 a second to 100 a second: between two frames lies their mean."""
    middles = activation.copy()
    middles[:-1] = (activation[:-1] + activation[1:]) / 2
    return np.stack([activation, middles], axis=1).reshape(-1, 2)


def _near(activation: Floats, frames: NDArray[np.int64]) -> Floats:
    """(beats, 2 NEAR_FRAMES + 1): the probability of any beat round each."""
    padded = np.pad(activation.sum(axis=1), NEAR_FRAMES)
    return np.asarray(padded[frames[:, np.newaxis] + np.arange(2 * NEAR_FRAMES + 1)])


def _strength(activation: Floats, frames: NDArray[np.int64]) -> float:
    """How far beats stand out of what is between them."""
    third = (frames[:-1] + np.diff(frames) // 3).astype(np.int64)
    at_beats, between = _near(activation, frames).max(axis=1), _near(activation, third).mean(axis=1)
    return float(np.median(at_beats) - np.median(between))


def _times(activation: Floats, frames: NDArray[np.int64]) -> Wide:
    """In seconds, finer than frames: the middle of the activation's weight round each beat."""
    weights = _near(activation, frames).astype(np.float64) ** 2 + 1e-6
    offsets = np.arange(-NEAR_FRAMES, NEAR_FRAMES + 1)
    middle = (weights * offsets).sum(axis=1) / weights.sum(axis=1)
    return np.asarray(np.maximum(0, (frames + middle) / FRAMES_PER_S))
