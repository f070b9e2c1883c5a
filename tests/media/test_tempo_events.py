from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridge.media.midi_bytes import MOST_TEMPO_US
from bridge.media.musical_time import PPQN, Curve, TempoMap, TempoPoint
from bridge.media.tempo_events import TempoEvents, tempo_events
from support.tempo_reference import Reference, tempo_maps

F = Fraction
MILLISECOND = 0.001


def worst_s(tempo: TempoMap, origin: Fraction, found: TempoEvents, end_tick: int, *, step: int) -> float:
    """How far the events are from the map, by the reference, at every `step` ticks and at every event."""
    reference = Reference(tempo.points)
    zero = reference.seconds(origin)
    worst, micros = 0.0, 0
    for (tick, tempo_us), (following, _) in pairwise([*found.events, (end_tick, 0)]):
        for at in (*range(tick, following, step), following):
            wanted = reference.seconds(origin + F(at, PPQN)) - zero
            now = (micros + (at - tick) * tempo_us) / (PPQN * 1_000_000)
            worst = max(worst, abs(float(wanted) - now))
        micros += (following - tick) * tempo_us
    return worst


@pytest.mark.slow
@given(tempo_maps(), st.fractions(-30, 60, max_denominator=7000), st.integers(1, 60))
def test_every_tick_is_within_a_millisecond(tempo: TempoMap, origin: Fraction, beats: int) -> None:
    assume(min(point.bpm for point in tempo.points) > 4)
    end_tick = beats * PPQN + 17
    found = tempo_events(tempo, origin, end_tick)
    worst = worst_s(tempo, origin, found, end_tick, step=700)
    assert worst < MILLISECOND
    assert worst < 2 * found.drift_s + 1e-6
    ticks = [tick for tick, _ in found.events]
    assert ticks[0] == 0
    assert ticks == sorted(set(ticks))
    assert all(one != other for (_, one), (_, other) in pairwise(found.events))


@pytest.mark.parametrize("bpm", [F(120), F(128), F("62.5"), F(60), F("93.75")])
def test_a_tempo_of_whole_microseconds_is_one_event(bpm: Fraction) -> None:
    found = tempo_events(TempoMap.constant(bpm), F(0), 20_000 * PPQN)
    assert found.events == ((0, int(60_000_000 / bpm)),)
    assert found.drift_s < 1e-9


@pytest.mark.parametrize("bpm", [F(123), F("87.3"), F(140), F(174), F("119.98")])
def test_an_odd_tempo_is_corrected_now_and_then(bpm: Fraction) -> None:
    tempo = TempoMap.constant(bpm)
    end_tick = 20_000 * PPQN
    found = tempo_events(tempo, F(0), end_tick)
    assert worst_s(tempo, F(0), found, end_tick, step=512 * PPQN) < MILLISECOND
    assert len(found.events) < 25
    # nobody sees the corrections, and they stand on bar lines
    assert {abs(micros - round(60_000_000 / bpm)) for _, micros in found.events} <= {0, 1}
    assert all(not tick % (4 * PPQN) for tick, _ in found.events)


def test_a_change_on_a_tick_is_one_event() -> None:
    points = tuple(TempoPoint(F(4 * index), F(100 + index)) for index in range(50))
    found = tempo_events(TempoMap(points), F(0), 300 * PPQN)
    assert [tick for tick, _ in found.events] == [4 * PPQN * index for index in range(50)]
    assert all(abs(micros - 60e6 / (100 + index)) < 1 for index, (_, micros) in enumerate(found.events))


def test_tempi_are_written_as_they_are_read_though_the_ticks_lie_beside() -> None:
    points = tuple(TempoPoint(F(4 * index), F(120 + 5 * (index % 2))) for index in range(20))
    found = tempo_events(TempoMap(points), F(1, 3 * PPQN), 80 * PPQN)
    assert [micros for _, micros in found.events] == [500_000, 480_000] * 10


def test_a_big_change_between_two_ticks_gets_the_tick_around_it() -> None:
    tempo = TempoMap((TempoPoint(F(0), F(30)), TempoPoint(F(1) + F(1, 4 * PPQN), F(240))))
    found = tempo_events(tempo, F(0), 4 * PPQN)
    assert [tick for tick, _ in found.events] == [0, PPQN, PPQN + 1]
    assert worst_s(tempo, F(0), found, 4 * PPQN, step=1) < 1e-6 + 0.75 * 0.25 * (2 - 0.25) / PPQN
    small = TempoMap((TempoPoint(F(0), F(120)), TempoPoint(F(1) + F(1, 4 * PPQN), F(125))))
    assert [tick for tick, _ in tempo_events(small, F(0), 4 * PPQN).events] == [0, PPQN]


@pytest.mark.parametrize("curve", [Curve.LINEAR_IN_BEATS, Curve.LINEAR_IN_TIME])
def test_a_ramp_has_no_more_steps_than_it_needs(curve: Curve) -> None:
    tempo = TempoMap((TempoPoint(F(0), F(120), curve), TempoPoint(F(16), F(140))))
    found = tempo_events(tempo, F(0), 20 * PPQN)
    assert 16 < len(found.events) < 80
    micros = [micros for _, micros in found.events]
    assert micros == sorted(micros, reverse=True)
    assert micros[-1] == round(60_000_000 / 140)


def test_slower_than_a_file_can_be_is_told() -> None:
    tempo = TempoMap((TempoPoint(F(0), F(120)), TempoPoint(F(4), F(2)), TempoPoint(F(8), F(120))))
    found = tempo_events(tempo, F(0), 12 * PPQN)
    assert found.events == ((0, 500_000), (4 * PPQN, MOST_TEMPO_US), (8 * PPQN, 500_000))
    assert found.drift_s == pytest.approx(4 * (30 - 16.777215))


def test_faster_than_anything() -> None:
    tempo = TempoMap((TempoPoint(F(0), F(60_000_000)), TempoPoint(F(4000), F(7_000_001))))
    found = tempo_events(tempo, F(0), 8000 * PPQN)
    assert found.events[0] == (0, 1)
    assert found.drift_s < MILLISECOND
    assert worst_s(tempo, F(0), found, 8000 * PPQN, step=1000 * PPQN) < MILLISECOND


def test_an_empty_file_has_the_tempo_of_its_place() -> None:
    tempo = TempoMap((TempoPoint(F(0), F(120)), TempoPoint(F(8), F(1))))
    assert tempo_events(tempo, F(7), 0) == TempoEvents(((0, 500_000),), 0.0)
    assert tempo_events(tempo, F(9), 0) == TempoEvents(((0, MOST_TEMPO_US),), 0.0)


@pytest.mark.slow
def test_thousands_of_points_in_one_tick() -> None:
    points = tuple(TempoPoint(F(index, 4_000_000), F(60 + index % 100)) for index in range(4000))
    tempo = TempoMap(points)
    found = tempo_events(tempo, F(0), PPQN)
    assert len(found.events) <= 4
    assert worst_s(tempo, F(0), found, PPQN, step=1) < MILLISECOND
