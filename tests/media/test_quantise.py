from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.musical_time import MeterMap, MeterPoint
from bridge.media.quantise import Quantise, quantised
from support.tempo_reference import BEATS, meter_maps

F = Fraction
FOUR = MeterMap.constant()
GRIDS = st.sampled_from([F(1, 4), F(1, 3), F(1, 2), F(1), F(3)])


def moved(beats: list[float | str], how: Quantise, meters: MeterMap = FOUR) -> list[float]:
    return [float(how.moved(F(beat), meters)) for beat in beats]


def test_full_strength_goes_to_the_line() -> None:
    assert moved([0.1, 0.13, 0.9, 3.9, -0.1], Quantise(F(1, 4))) == [0, 0.25, 1, 4, 0]
    assert moved([0.1, 0.3], Quantise(F(1, 4), F(1, 2))) == [0.05, 0.275]
    assert moved([0.1, 0.3], Quantise(F(1, 4), 0)) == [0.1, 0.3]


def test_swing_delays_every_second_line() -> None:
    triplet = Quantise(F(1, 2), swing=F(2, 3))
    assert [triplet.moved(F(beat), FOUR) for beat in ("0.5", "0.6", "0.9", "1.5")] == [
        F(2, 3), F(2, 3), 1, F(5, 3),
    ]  # fmt: skip
    assert moved([0.5, 0.8], Quantise(F(1, 2), swing=1)) == [0.75, 0.75]


def test_the_grid_begins_anew_at_every_bar_line() -> None:
    seven = MeterMap((MeterPoint(F(0), 7, 8),))
    assert moved([3.3, 3.4, 4.4, 4.6], Quantise(F(1)), seven) == [3.5, 3.5, 4.5, 4.5]
    cut = MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(5, 2), 4, 4)))
    assert moved([2.2, 2.3, 3.6], Quantise(F(1)), cut) == [2, 2.5, 3.5]


@pytest.mark.slow
@given(meter_maps(), GRIDS, st.fractions(0, 1, max_denominator=8), st.lists(BEATS, min_size=2, max_size=4))
def test_order_is_kept(meters: MeterMap, grid: Fraction, swing: Fraction, beats: list[Fraction]) -> None:
    how = Quantise(grid, swing=swing)
    places = [how.moved(beat, meters) for beat in sorted(beats)]
    assert places == sorted(places)
    for beat, place in zip(sorted(beats), places, strict=True):
        # what is on a line stays there
        assert how.moved(place, meters) == place
        assert abs(place - beat) <= grid


@pytest.mark.slow
@given(
    st.lists(st.tuples(BEATS, st.fractions(0, 4, max_denominator=96), st.integers(60, 62)), max_size=8),
    GRIDS,
    st.fractions(0, 1, max_denominator=4),
    st.booleans(),
)
def test_no_note_vanishes(rows: list[Any], grid: Fraction, strength: Fraction, ends: bool) -> None:
    spans = [(start, start + length) for start, length, _ in rows]
    pitches = [pitch for _, _, pitch in rows]
    found = quantised(spans, pitches, Quantise(grid, strength, ends=ends), FOUR)
    before = {(start, pitch) for (start, _), pitch in zip(spans, pitches, strict=True)}
    after = {(start, pitch) for (start, _), pitch in zip(found, pitches, strict=True)}
    assert len(after) == len(before)
    for was, now in zip(spans, found, strict=True):
        assert now[1] >= now[0]
        assert ends or now[1] - now[0] == was[1] - was[0]
        assert (now[1] > now[0]) or was[1] == was[0]


def test_quick_repeats_stay_two_notes() -> None:
    repeats = [(F("0.9"), F("0.95")), (F("0.98"), F("1.02")), (F("1.1"), F("1.2")), (F("0.98"), F(2))]
    found = quantised(repeats, [60, 60, 60, 61], Quantise(F(1)), FOUR)
    assert [start for start, _ in found] == [F("0.9"), F(1), F("1.1"), F(1)]
    assert [end - start for start, end in found] == [end - start for start, end in repeats]


def test_ends_go_to_the_grid_where_that_leaves_a_note() -> None:
    how = Quantise(F(1, 2), ends=True)
    found = quantised([(F("0.1"), F("1.1")), (F("0.1"), F("0.2"))], [60, 61], how, FOUR)
    assert found == [(F(0), F(1)), (F(0), F("0.1"))]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"grid_beats": 0}, "grid_beats must be in range 1/960..64"),
        ({"grid_beats": 65}, "grid_beats"),
        ({"grid_beats": 1, "strength": 1.1}, "strength must be in range 0..1"),
        ({"grid_beats": 1, "swing": -0.1}, "swing must be in range 0..1"),
        ({"grid_beats": 1, "swing": float("nan")}, "swing must be a number"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Quantise(**options)
