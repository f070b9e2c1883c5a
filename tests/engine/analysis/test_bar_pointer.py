"""The path from beat to beat is the best one: beats are found through gaps, drifts and false ones."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.analysis.bar_pointer import FRAMES_PER_S, decode
from bridge.errors import Cancelled

Floats = NDArray[np.float32]


def activation(beats_s: NDArray[np.floating], meter: int, *, lasts_s: float, first: int = 0) -> Floats:
    """Two frames at each beat, in the first column, or for downbeats in the second."""
    found = np.full((round(lasts_s * FRAMES_PER_S), 2), 0.02, np.float32)
    for number, frame in enumerate(np.rint(beats_s * FRAMES_PER_S).astype(int), first):
        found[frame : frame + 2, int(number % meter == 0)] = 0.9
    return found


@pytest.mark.parametrize("bpm", [60.0, 97.3, 120.0, 178.5])
@pytest.mark.parametrize(("meter", "first"), [(3, 0), (4, 2)])
def test_finds_the_beats_and_the_bars(bpm: float, meter: int, first: int) -> None:
    beats_s = 0.4 + np.arange(24) * 60 / bpm
    found = decode(activation(beats_s, meter, lasts_s=beats_s[-1] + 0.3, first=first), meter)
    played = found.frames >= 30  # it may count one ahead of the first that is heard
    near = np.abs(found.frames[played, np.newaxis] / FRAMES_PER_S - beats_s).min(axis=1)
    assert near.max() < 0.03
    assert len(near) == 24
    downbeats_s = found.frames[played & (found.numbers == 0)] / FRAMES_PER_S
    assert np.abs(downbeats_s[0] - beats_s[-first % meter]) < 0.03


def test_the_true_meter_explains_it_better() -> None:
    heard = activation(np.arange(36) * 0.5, 3, lasts_s=18)
    assert decode(heard, 3).likelihood > decode(heard, 4).likelihood + 10


def test_goes_on_through_beats_that_are_missing_and_past_false_ones() -> None:
    beats_s = 0.2 + np.arange(32) * 0.5
    heard = activation(np.delete(beats_s, [5, 6, 13, 20]), 1, lasts_s=16.2)
    heard[1030:1032, 1] = 0.6  # between two beats
    found = decode(heard, 1)
    assert np.abs(np.diff(found.frames) - 50).max() <= 1
    assert len(found.frames) == 32


def test_follows_a_tempo_that_drifts() -> None:
    beats_s = np.asarray(np.cumsum(np.linspace(0.5, 0.6, 60)), np.float64)
    found = decode(activation(beats_s, 4, lasts_s=float(beats_s[-1]) + 0.2), 4)
    near = np.abs(found.frames[:, np.newaxis] / FRAMES_PER_S - beats_s).min(axis=1)
    assert near.max() < 0.035


def test_can_be_cancelled() -> None:
    def check() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        decode(np.full((100, 2), 0.1, np.float32), 4, check)


def test_nothing_has_no_beats() -> None:
    assert len(decode(np.zeros((0, 2), np.float32), 4).frames) == 0
