"""Whether a recording is speech or music, in noise or not. In doubt it is music.

A network for speech takes music away altogether, and a filter for music leaves speech as it is: so a
recording counts as speech only where nearly all of it sounds like that. Ten seconds at a time are described
by a few numbers (movement as fast as syllables, beats, partials that stand still; after E. Scheirer,
M. Slaney, "Construction and evaluation of a robust multifeature speech/music discriminator", 1997) and
judged by a logistic regression.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

from bridge.engine.enhancement.noise_frames import Counted, Floats, Framing, power, spectra
from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

RATE_HZ: Final = 16_000
FRAMING: Final = Framing(1024, 256, 1024)
EDGE: Final = 4
"""Windows at both ends that a cut makes unlike the others."""
PIECE_FRAMES: Final = 10 * RATE_HZ
SHORTEST_FRAMES: Final = 2 * RATE_HZ
FLOOR_QUANTILE: Final = 0.1
FLOOR_FACTOR: Final = 6.0
LEAST_POWER: Final = 1e-9
FLOOR_BINS: Final = 9
TONE_BINS: Final = slice(6, 128)
LOW_BINS: Final = slice(2, 6)
SMOOTH_BINS: Final = 11
LAGS: Final = {"alike_32_ms": 2, "alike_160_ms": 10, "alike_480_ms": 30}
"""In windows of 16 ms."""
BEAT_LAGS: Final = slice(13, 75)
FEWEST_LOUD: Final = 8
EDGES_HZ: Final = (
    90,
    200,
    300,
    420,
    560,
    720,
    900,
    1100,
    1350,
    1650,
    2000,
    2450,
    3000,
    3700,
    4600,
    5700,
    7500,
)
TONES: Final = slice(0, 9)
HISS: Final = slice(13, 16)
"""Of the bands between the edges: 90 to 1650 Hz and 3.7 to 7.5 kHz."""

WEIGHTS: Final = {
    "alike_32_ms": (0.700, 0.198, 0.92),
    "alike_160_ms": (0.458, 0.239, -2.13),
    "alike_480_ms": (0.284, 0.218, 1.33),
    "kept": (0.571, 0.216, -2.08),
    "purity": (0.140, 0.087, -3.05),
    "syllables": (0.388, 0.144, 2.09),
    "flutter": (0.070, 0.054, -1.20),
    "beat": (0.232, 0.144, -2.53),
    "flux": (1.219, 0.715, 2.02),
    "low": (-1.635, 1.005, -0.66),
    "together": (0.153, 0.426, -1.26),
    "hiss": (-1.752, 0.821, -0.66),
}
"""For each number its mean, its deviation and its weight, learned from real and synthetic speech in five
languages against generated songs, sampled loops and singing, all of it clean, in noise and in a room."""
OFFSET: Final = -5.05
MOST_DEVIATIONS: Final = 4.0
MOST_ODDS: Final = 6.0
SPEECH_FROM: Final = 2.0
"""Mean logarithm of the odds from which on a recording counts as speech."""


def is_speech(blocks: Iterable[Samples]) -> bool:
    """Whether the whole of it, mono at 16 kHz, is speech. Short recordings and silence are not."""
    found = [odds(numbers) for piece in in_blocks(blocks, PIECE_FRAMES) if (numbers := described(piece))]
    return bool(found) and sum(found) / len(found) > SPEECH_FROM


def odds(numbers: Mapping[str, float]) -> float:
    """The logarithm of the odds that this is speech, -6 to 6."""
    total = OFFSET
    for name, (mean, deviation, weight) in WEIGHTS.items():
        total += weight * float(
            np.clip((numbers[name] - mean) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS)
        )
    return float(np.clip(total, -MOST_ODDS, MOST_ODDS))


def described(piece: Samples) -> dict[str, float]:
    """What tells speech from music in (frames, 1) at 16 kHz; nothing where there is little to hear."""
    if len(piece) < SHORTEST_FRAMES:
        return {}
    powers = np.concatenate([power(one)[0] for one in spectra(Counted([piece]), FRAMING)])[EDGE:-EDGE]
    floor = ndimage.median_filter(np.quantile(powers, FLOOR_QUANTILE, axis=0), FLOOR_BINS)
    over = np.maximum(powers - np.float32(FLOOR_FACTOR) * floor, 0)
    level = over[:, TONE_BINS.start :].sum(axis=1)
    if level.max() < LEAST_POWER:
        return {}
    bands = _bands(over)
    return _partials(over, level) | _movement(np.sqrt(bands), level) | _colours(over, bands, level)


def _partials(over: Floats, level: Floats) -> dict[str, float]:
    """How alike the fine structure of the spectrum is after 32, 160 and 480 ms, where it is loud."""
    heard = over[:, TONE_BINS]
    decibels = 10 * np.log10(heard + 1e-4 * heard.max() + 1e-20)
    fine = decibels - ndimage.uniform_filter1d(decibels, SMOOTH_BINS, axis=1)
    fine /= np.sqrt(np.square(fine).sum(axis=1, keepdims=True)) + 1e-3
    loud = level > np.quantile(level, 0.4)
    weight = np.sqrt(np.minimum(level, np.quantile(level, 0.9))) * loud
    found = {}
    for name, lag in LAGS.items():
        alike = (fine[lag:] * fine[:-lag]).sum(axis=1)
        both = weight[lag:] * (weight[:-lag] > 0)
        found[name] = float((alike * both).sum() / (both.sum() + 1e-20))
    found["kept"] = found["alike_160_ms"] / (found["alike_32_ms"] + 0.05)
    found["purity"] = float(np.square(fine[loud]).max(axis=1).mean()) if loud.any() else 0.0
    return found


def _bands(over: Floats) -> Floats:
    """(windows, 16): the power between the edges."""
    edges = np.round(np.array(EDGES_HZ) * FRAMING.size / RATE_HZ).astype(int)
    sums = [over[:, low:high].sum(axis=1) for low, high in pairwise(edges)]
    together: Floats = np.stack(sums, axis=1)
    return together


def _movement(bands: Floats, level: Floats) -> dict[str, float]:
    """What share of the bands' movement is as fast as syllables, or faster; beats; restlessness."""
    bands = bands / (bands.mean(axis=0) + 1e-9)
    moved = np.square(np.abs(fft.rfft(bands - bands.mean(axis=0), n=1024, axis=0))).mean(axis=1)
    hertz = np.arange(len(moved)) / (1024 * FRAMING.hop / RATE_HZ)
    whole = _between(moved, hertz, 0.3, 25.0) + 1e-12
    onset = np.maximum(np.diff(np.log(bands + 0.05), axis=0), 0).sum(axis=1)
    again = fft.irfft(np.square(np.abs(fft.rfft(onset - onset.mean(), n=2048))))
    decibels = 10 * np.log10(level + 1e-6 * level.max())
    steps = np.abs(np.diff(np.maximum(decibels, np.quantile(decibels, 0.95) - 40)))
    return {
        "syllables": _between(moved, hertz, 2.0, 8.0) / whole,
        "flutter": _between(moved, hertz, 8.0, 25.0) / whole,
        "beat": float(again[BEAT_LAGS].max() / (again[0] + 1e-12)),
        "flux": float(steps.mean()),
    }


def _between(moved: Floats, hertz: npt.NDArray[np.float64], low: float, high: float) -> float:
    return float(moved[(hertz >= low) & (hertz < high)].sum())


def _colours(over: Floats, bands: Floats, level: Floats) -> dict[str, float]:
    """The share of the low end and of hiss, and whether hiss comes together with tones, as drums have it."""
    tones, hiss = bands[:, TONES].sum(axis=1), bands[:, HISS].sum(axis=1)
    loud = level > 0.02 * np.quantile(level, 0.95)
    if loud.sum() < FEWEST_LOUD:
        loud = np.ones(len(level), bool)
    least = 1e-4 * tones.max() + 1e-12
    one, other = np.log10(tones[loud] + least), np.log10(hiss[loud] + least)
    shared = float(((one - one.mean()) * (other - other.mean())).mean())
    low = over[:, LOW_BINS].sum()
    return {
        "low": float(np.log10((low + 1e-12) / (level.sum() + 1e-12) + 1e-3)),
        "together": shared / float(one.std() * other.std() + 1e-6),
        "hiss": float(np.log10(hiss.sum() / (tones.sum() + 1e-12) + 1e-4)),
    }
