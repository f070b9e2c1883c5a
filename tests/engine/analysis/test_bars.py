"""Bars are found by where the sound changes and what strikes, at any phase, and across a bar that is cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.analysis.bars import Heard, best_reading
from bridge.engine.analysis.beat_features import BANDS

BEAT_FRAMES = 25  # 120 a minute


def heard_of(bars: Sequence[int]) -> Heard:
    """So many beats a bar as told: a new sound and a low strike at each one's first beat, high ones after."""
    rng = np.random.default_rng(5)
    count = sum(bars)
    first = np.cumsum([0, *bars[:-1]])
    activation = np.full((count * BEAT_FRAMES, 2), 0.02, np.float32)
    strikes = np.zeros((count * BEAT_FRAMES, 3), np.float32)
    bands = np.zeros((count * BEAT_FRAMES, BANDS), np.float16)
    for start, length in zip(first, bars, strict=True):
        bands[start * BEAT_FRAMES : (start + length) * BEAT_FRAMES] = rng.random(BANDS) ** 2
    for beat in range(count):
        activation[beat * BEAT_FRAMES, 0] = 0.7
        strikes[beat * BEAT_FRAMES, [1, 2]] = 1
        strikes[beat * BEAT_FRAMES, 0] = 3 * (beat in first)
    return Heard(activation, bands, strikes)


def beats_of(bars: Sequence[int]) -> NDArray[np.float64]:
    return np.arange(sum(bars)) * BEAT_FRAMES / 50


@pytest.mark.parametrize("meter", [3, 4])
@pytest.mark.parametrize("upbeats", [0, 1, 2])
def test_counts_from_the_first_of_a_bar(meter: int, upbeats: int) -> None:
    bars = ([upbeats] if upbeats else []) + [meter] * 16
    reading = best_reading(heard_of(bars), beats_of(bars))
    assert reading.beats_per_bar == meter
    assert np.array_equal(reading.numbers, (np.arange(sum(bars)) - upbeats) % meter)
    assert reading.meter_chance > 0.5


def test_finds_its_way_after_a_bar_that_is_cut() -> None:
    bars = [4] * 12 + [2] + [4] * 12
    reading = best_reading(heard_of(bars), beats_of(bars))
    downbeats = np.flatnonzero(reading.numbers == 0)
    assert set(downbeats) >= {4 * bar for bar in range(1, 11)} | {50 + 4 * bar for bar in range(1, 11)}


def test_takes_every_second_beat_where_that_is_the_pulse() -> None:
    """Eighths at 240 a minute are no beats."""
    bars = [4] * 16
    heard = heard_of(bars)
    eighths_s = np.arange(2 * sum(bars)) * BEAT_FRAMES / 100
    reading = best_reading(heard, eighths_s)
    assert np.median(np.diff(reading.beats_s)) == pytest.approx(0.5)
    assert np.array_equal(np.flatnonzero(reading.numbers == 0)[:3], [0, 4, 8])
