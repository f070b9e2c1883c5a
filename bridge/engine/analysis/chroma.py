"""Which pitch classes sound: from spectral peaks, finer than semitones, so that the tuning can be found.

After Gómez, "Tonal Description of Music Audio Signals" (2006): peaks of a long spectrum, each between the
bins by a parabola, weighed by the root of their magnitude. Peaks must stand out of their surroundings, which
drums and noise do not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

Floats = NDArray[np.float32]

RATE_HZ: Final = 22_050
FRAME: Final = 16_384
HOP: Final = 4096
STEPS: Final = 120
"""In an octave: 10 cents each."""
SEMITONE: Final = STEPS // 12
LOWEST_HZ, BASS_HZ, HIGHEST_HZ = 38.0, 250.0, 3500.0
SURROUNDINGS: Final = 61
STANDS_OUT, STANDS_FAR_OUT = 2.0, 5.0
FRAMES_AT_ONCE: Final = 16
FLOOR: Final = 1e-5
"""Magnitude (full-scale sine: 1) below which nothing is heard."""


@dataclass(frozen=True)
class PitchClasses:
    """For each hop: (hops, 120) from C up in steps of 10 cents, of all peaks and of those of the bass.

    `clear` (hops,) is how much of all is of peaks that stand far out, as tones do and drums do not.
    """

    all: Floats
    bass: Floats
    clear: Floats

    @property
    def hop_s(self) -> float:
        return HOP / RATE_HZ


class PitchClassListener:
    """Hears mono blocks at 22,050 Hz one after the other. Hop i is centred on sample i * HOP."""

    def __init__(self) -> None:
        self._waiting = np.zeros(FRAME // 2, np.float32)
        none = np.zeros((0, STEPS), np.float32)
        self._found: list[tuple[Floats, Floats, Floats]] = [(none, none, none[:, 0])]

    def hear(self, block: Floats) -> None:
        """`block` is (frames,)."""
        sound = np.concatenate([self._waiting, block])
        count = max(0, (len(sound) - FRAME) // HOP + 1)
        if count:
            frames = np.lib.stride_tricks.sliding_window_view(sound, FRAME)[::HOP]
            for first in range(0, count, FRAMES_AT_ONCE):
                self._found.append(_folded(frames[first : min(count, first + FRAMES_AT_ONCE)]))
        self._waiting = sound[count * HOP :]

    def finish(self) -> PitchClasses:
        self.hear(np.zeros(FRAME // 2, np.float32))
        return PitchClasses(*(np.concatenate(parts) for parts in zip(*self._found, strict=True)))


def pitch_classes(blocks: Iterable[Floats]) -> PitchClasses:
    """All of them at once."""
    listener = PitchClassListener()
    for block in blocks:
        listener.hear(block)
    return listener.finish()


def _folded(frames: Floats) -> tuple[Floats, Floats, Floats]:
    """(hops, 120) of all peaks, and of those in the bass; (hops,) of those that are clear."""
    magnitude = np.abs(np.fft.rfft(frames * _window(), axis=1)).astype(np.float32)
    bin_hz = RATE_HZ / FRAME
    low, high = int(LOWEST_HZ / bin_hz), int(HIGHEST_HZ / bin_hz)
    middle = magnitude[:, low:high]
    before, after = magnitude[:, low - 1 : high - 1], magnitude[:, low + 1 : high + 1]
    around = uniform_filter1d(middle, SURROUNDINGS, axis=1)
    peaks = (middle > before) & (middle >= after) & (middle > STANDS_OUT * around) & (middle > FLOOR)
    hop, place = np.nonzero(peaks)
    left, top, right = (np.log(part[peaks]) for part in (before + 1e-12, middle, after + 1e-12))
    shift = 0.5 * (left - right) / np.minimum(left - 2 * top + right, -1e-9)
    hz = (place + low + shift) * bin_hz
    step = np.rint(STEPS * np.log2(hz / 440) + 9 * SEMITONE).astype(int) % STEPS
    weight = np.sqrt(middle[peaks])
    flat = hop * STEPS + step
    size = len(frames) * STEPS
    everything = np.bincount(flat, weight, size)
    bass = np.bincount(flat, weight * (hz < BASS_HZ), size)
    clear = np.bincount(hop, weight * (middle > STANDS_FAR_OUT * around)[peaks], len(frames))
    return (
        everything.reshape(-1, STEPS).astype(np.float32),
        bass.reshape(-1, STEPS).astype(np.float32),
        clear.astype(np.float32),
    )


@lru_cache(maxsize=1)
def _window() -> Floats:
    """Hann; a full-scale sine has the magnitude 1."""
    window = np.hanning(FRAME + 1)[:-1]
    return np.asarray(window * (2 / window.sum()), np.float32)


def tuning_steps(classes: PitchClasses) -> int:
    """How far above 440 Hz the music is tuned, in steps of 10 cents, -5..5: a circular mean of the peaks."""
    folded = classes.all.sum(axis=0, dtype=np.float64).reshape(12, SEMITONE).sum(axis=0)
    angle = np.angle(np.sum(folded * np.exp(2j * np.pi * np.arange(SEMITONE) / SEMITONE)))
    return int(np.rint(angle * SEMITONE / (2 * np.pi)))


def in_semitones(fine: Floats, tuning: int) -> Floats:
    """(hops, 120) to (hops, 12): what lies within half a semitone of each, the middle more."""
    distance = np.abs(np.arange(SEMITONE) - SEMITONE // 2)
    weights = np.cos(np.pi * distance / SEMITONE).astype(np.float32) ** 2
    turned = np.roll(fine, SEMITONE // 2 - tuning, axis=1).reshape(-1, 12, SEMITONE)
    return np.asarray(turned @ weights)
