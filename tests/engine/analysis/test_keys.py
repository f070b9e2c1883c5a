"""Keys of chords that are played: in any tuning, with their changes, and none where there is none."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.analysis.chroma import RATE_HZ, pitch_classes, tuning_steps
from bridge.engine.analysis.keys import keys_of

Floats = NDArray[np.float32]
# Steps above the tonic's root and which third: I IV V I, and in minor i iv V i.
CADENCES = {"major": ((0, 4), (5, 4), (7, 4), (0, 4)), "minor": ((0, 3), (5, 3), (7, 4), (0, 3))}
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")


def chord(root: int, third: int, *, lasts_s: float, cents: float) -> Floats:
    """A triad over its bass, each of five overtones."""
    time_s = np.arange(round(lasts_s * RATE_HZ)) / RATE_HZ
    sound = np.zeros(len(time_s))
    for pitch in (36 + root % 12, *(60 + (root + step) % 12 for step in (0, third, 7))):
        hz = 440 * 2 ** ((pitch - 69 + cents / 100) / 12)
        sound += sum(np.sin(2 * np.pi * n * hz * time_s) / n**1.5 for n in range(1, 6))
    return (0.05 * sound * np.exp(-time_s)).astype(np.float32)


def song(tonic: int, mode: str, *, times: int, cents: float = 0.0, lasts_s: float = 0.8) -> list[Floats]:
    return [
        chord(tonic + step, third, lasts_s=lasts_s, cents=cents) for step, third in CADENCES[mode] * times
    ]


def names(blocks: Sequence[Floats]) -> list[str]:
    return [found.key.name for found in keys_of(pitch_classes(blocks))]


@pytest.mark.parametrize("tonic", [0, 3, 6, 10])
@pytest.mark.parametrize("mode", ["major", "minor"])
def test_hears_the_key_of_a_cadence(tonic: int, mode: str) -> None:
    (found,) = keys_of(pitch_classes(song(tonic, mode, times=3)))
    assert (found.key.tonic, found.key.mode, found.start_s) == (tonic, mode, 0)
    assert found.confidence > 0.6


@pytest.mark.parametrize("cents", [-40, -20, 30])
def test_in_any_tuning(cents: float) -> None:
    blocks = song(9, "minor", times=3, cents=cents)
    assert tuning_steps(pitch_classes(blocks)) == pytest.approx(cents / 10, abs=1)
    assert names(blocks) == ["A minor"]


def test_finds_where_the_key_changes() -> None:
    first, second = keys_of(pitch_classes([*song(0, "major", times=10), *song(6, "major", times=10)]))
    assert (first.key.name, second.key.name) == ("C major", "F# major")
    assert second.start_s == pytest.approx(32, abs=4)


def test_chords_that_are_borrowed_for_a_while_are_no_change() -> None:
    visit = [chord(8, 4, lasts_s=0.8, cents=0), chord(10, 4, lasts_s=0.8, cents=0)]
    assert names([*song(0, "major", times=8), *visit, *song(0, "major", times=8)]) == ["C major"]


@pytest.mark.parametrize("kind", ["silence", "nothing", "noise", "one tone"])
def test_where_there_is_no_key_none_is_made_up(kind: str) -> None:
    time_s = np.arange(12 * RATE_HZ) / RATE_HZ
    sound = {
        "silence": np.zeros(12 * RATE_HZ),
        "nothing": np.zeros(0),
        "noise": np.random.default_rng(1).normal(0, 0.1, 12 * RATE_HZ),
        "one tone": 0.3 * np.sin(2 * np.pi * 220 * time_s),
    }[kind]
    assert names([sound.astype(np.float32)]) == []


def test_does_not_depend_on_the_blocks() -> None:
    sound = np.concatenate(song(4, "minor", times=1))
    parts = pitch_classes(sound[at : at + 3_001] for at in range(0, len(sound), 3_001))
    assert np.array_equal(parts.all, pitch_classes([sound]).all)
