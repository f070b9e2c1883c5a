from __future__ import annotations

import json
import math
import pickle
import random
import time
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.musical_time import (
    Curve,
    Key,
    KeyPoint,
    Marker,
    MeterMap,
    MeterPoint,
    Mode,
    TempoMap,
    TempoPoint,
    Timeline,
    beat_of_tick,
    frames_at,
    seconds_of_frames,
    ticks_at,
)
from support.tempo_reference import BEATS, Reference, decimal, meter_maps, tempo_maps

F = Fraction
STEPS = tempo_maps(curves=[Curve.STEP])
TIMES = st.fractions(-100, 300, max_denominator=48_000)


def bars_at(map_: MeterMap, *beats: float) -> list[Any]:
    return [map_.bar_beat_at(F(beat)) for beat in beats]


def tempo(*rows: tuple[float, float] | tuple[float, float, Curve]) -> TempoMap:
    return TempoMap(tuple(TempoPoint(F(row[0]), F(row[1]), *row[2:]) for row in rows))


@given(tempo_maps(), BEATS)
def test_beats_to_seconds_and_back(map_: TempoMap, beat: Fraction) -> None:
    back = map_.beat_at(map_.seconds_at(beat))
    assert abs(back - beat) <= 1e-9


@given(tempo_maps(), TIMES)
def test_seconds_to_beats_and_back(map_: TempoMap, seconds: Fraction) -> None:
    assert abs(map_.seconds_at(map_.beat_at(seconds)) - seconds) <= 1e-9


@pytest.mark.slow
@given(STEPS, BEATS, TIMES)
def test_steps_are_exact(map_: TempoMap, beat: Fraction, seconds: Fraction) -> None:
    assert map_.beat_at(map_.seconds_at(beat)) == beat
    assert map_.seconds_at(map_.beat_at(seconds)) == seconds
    # by the areas under the steps, piece by piece
    edges = sorted({F(0), beat, *(point.beat for point in map_.points if 0 < point.beat < beat)})
    if beat >= 0:
        assert map_.seconds_at(beat) == sum((b - a) * 60 / map_.bpm_at(a) for a, b in pairwise(edges))


@pytest.mark.slow
@given(tempo_maps(), BEATS)
def test_time_is_the_reference_s(map_: TempoMap, beat: Fraction) -> None:
    wanted = Reference(map_.points).seconds(beat)
    # what is small is the difference of two larger times
    near = 1e-12 * max(abs(float(wanted)), 1.0)
    assert float(abs(decimal(map_.seconds_at(beat)) - wanted)) <= near


@pytest.mark.slow
@given(tempo_maps(), BEATS, BEATS)
def test_time_never_runs_backwards(map_: TempoMap, one: Fraction, other: Fraction) -> None:
    early, late = sorted((one, other))
    assert map_.seconds_at(early) <= map_.seconds_at(late)
    if late - early > 1e-6:
        assert map_.seconds_at(early) < map_.seconds_at(late)


@pytest.mark.slow
@given(tempo_maps(), BEATS, BEATS)
def test_a_map_rebased_gives_the_same_lengths(map_: TempoMap, origin: Fraction, beat: Fraction) -> None:
    rebased = map_.rebased(origin)
    assert rebased.seconds_at(F(0)) == 0
    length = map_.seconds_at(origin + beat) - map_.seconds_at(origin)
    assert abs(rebased.seconds_at(beat) - length) <= 1e-9
    assert rebased.bpm_at(beat) == map_.bpm_at(origin + beat)
    assert rebased.rebased(-origin) == map_


@pytest.mark.parametrize("bpms", [(60, 180), (180, 60), (120, F("120.001")), (1000, 20), (20, 1000)])
def test_a_ramp_in_beats_is_its_integral(bpms: tuple[Any, Any]) -> None:
    low, high = bpms
    map_ = tempo((0, low, Curve.LINEAR_IN_BEATS), (8, high))
    count = 10_000
    for end in (F(1, 3), F(4), F(8)):
        # Simpson's rule over 60 / bpm
        tempi = [
            float(low) + float(high - low) * float(end) * index / count / 8 for index in range(count + 1)
        ]
        weights = [1, *([4, 2] * (count // 2 - 1)), 4, 1]
        area = sum(60 / bpm * weight for bpm, weight in zip(tempi, weights, strict=True))
        assert float(map_.seconds_at(end)) == pytest.approx(area * float(end) / count / 3, rel=1e-9)
        assert map_.bpm_at(end) == low + (F(high) - low) * end / 8


@pytest.mark.parametrize("bpms", [(60, 180), (180, 60), (120, F("120.001")), (10_000, 1), (1, 10_000)])
def test_a_ramp_in_time_rises_evenly(bpms: tuple[int, int]) -> None:
    low, high = bpms
    map_ = tempo((0, low, Curve.LINEAR_IN_TIME), (8, high))
    whole_s = map_.seconds_at(F(8))
    for part in (F(1, 5), F(1, 2), F(9, 10)):
        beat = map_.beat_at(whole_s * part)
        # a straight line in time: the mean tempo until then is that of the middle
        middle_bpm = low + (F(high) - low) * part / 2
        assert float(beat) == pytest.approx(float(whole_s * part * middle_bpm / 60), rel=1e-12)
        assert float(map_.bpm_at(beat)) == pytest.approx(float(low + (F(high) - low) * part), rel=1e-7)


@pytest.mark.parametrize("curve", [Curve.LINEAR_IN_BEATS, Curve.LINEAR_IN_TIME])
@pytest.mark.parametrize("bpms", [(60_000_000, 1), (1, 60_000_000)])
def test_the_steepest_ramps_keep_their_digits(curve: Curve, bpms: tuple[int, int]) -> None:
    map_ = tempo((0, bpms[0], curve), (8, bpms[1]))
    reference = Reference(map_.points)
    for beat in (F(1, 10**6), F(4), F(8) - F(1, 10**6), F(8)):
        assert float(map_.seconds_at(beat)) == pytest.approx(float(reference.seconds(beat)), rel=1e-12, abs=0)


def test_known_times() -> None:
    map_ = tempo((0, 120), (4, 60), (8, 90, Curve.LINEAR_IN_TIME), (12, 150), (12, 100))
    assert [map_.seconds_at(F(beat)) for beat in (-2, 0, 4, 6, 8, 12, 22)] == [-1, 0, 2, 4, 6, 8, 14]
    assert [map_.bpm_at(F(beat)) for beat in (-1, 0, 4, 8, 12, 99)] == [120, 120, 60, 90, 100, 100]
    assert map_.beat_at(F(7)) == F(8) + F(105, 60)
    assert TempoMap.constant(128).seconds_at(F(64)) == 30
    assert float(tempo((0, 60, Curve.LINEAR_IN_BEATS), (60, 120)).seconds_at(F(60))) == 60 * math.log(2)


def test_a_jump_ends_the_ramp_before_it() -> None:
    map_ = tempo((0, 60, Curve.LINEAR_IN_BEATS), (4, 120), (4, 240, Curve.LINEAR_IN_BEATS), (8, 200))
    assert float(map_.bpm_at(F(4) - F(1, 10**9))) == pytest.approx(120)
    assert map_.bpm_at(F(4)) == 240
    assert float(map_.seconds_at(F(4))) == 4 * math.log(2)


def test_points_too_near_for_floats_are_told_apart() -> None:
    near = F(1, 10**30)
    edge = F(10) ** 6 + 2 * near
    points = (TempoPoint(F(0), F(60)), TempoPoint(F(10) ** 6, F(60)), TempoPoint(edge, F(120)))
    map_ = TempoMap(points)
    assert map_.bpm_at(edge - near) == 60
    assert map_.seconds_at(edge - near) == edge - near
    assert map_.seconds_at(edge + near) == edge + near / 2
    assert map_.beat_at(edge - near) == edge - near
    assert map_.beat_at(edge + near) == edge + 2 * near


@pytest.mark.slow
def test_far_sums_stay_small_and_near() -> None:
    rng = random.Random(5)
    points = tuple(TempoPoint(F(index, 7), F(rng.uniform(50, 200))) for index in range(3000))
    map_ = TempoMap(points)
    end = F(3000, 7)
    exact = sum(60 * (b.beat - a.beat) / a.bpm for a, b in pairwise([*points, TempoPoint(end, F(60))]))
    assert abs(map_.seconds_at(end) - exact) < F(1, 2**100)
    assert map_.seconds_at(end).denominator.bit_length() < 20_000


@pytest.mark.slow
def test_twenty_thousand_notes_are_quick() -> None:
    rng = random.Random(1)
    beat, points = F(0), []
    for _ in range(500):
        points.append(TempoPoint(beat, F(rng.randint(2000, 40_000), 100), rng.choice(list(Curve))))
        beat += F(rng.randint(1, 64), 4)
    map_ = TempoMap(tuple(points))
    times = [F(rng.uniform(0, float(map_.seconds_at(beat)))) for _ in range(20_000)]
    began = time.process_time()
    beats = [map_.beat_at(seconds) for seconds in times]
    between = time.process_time()
    back = [map_.seconds_at(beat) for beat in beats]
    ended = time.process_time()
    assert max(abs(one - other) for one, other in zip(times, back, strict=True)) < 1e-9
    # 0.2 s each on an idle machine
    assert between - began < 2
    assert ended - between < 2


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "at least one point"),
        ([(4, 120), (0, 120)], "in order of beats, not 0 after 4"),
        ([(4, 120), (4, 90), (4, 60)], "more than two tempo points stand on beat 4"),
        ([(0, 0.99)], "bpm must be in range 1..60000000"),
        ([(0, 60_000_001)], "bpm must be in range"),
        ([(10**10, 120)], "beat must be in range -1000000000..1000000000"),
    ],
)
def test_tempo_maps_that_cannot_be(rows: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        tempo(*rows)


@pytest.mark.parametrize("value", [math.nan, math.inf, "", "x", None])
def test_numbers_that_are_none(value: Any) -> None:
    with pytest.raises(ValueError, match="bpm must be a number"):
        TempoPoint(F(0), value)
    with pytest.raises(ValueError, match="start_s must be a number"):
        Timeline.constant(120, start_s=value)


@given(meter_maps(), BEATS)
def test_beats_to_bars_and_back(map_: MeterMap, beat: Fraction) -> None:
    bar, within = map_.bar_beat_at(beat)
    assert map_.beat_of_bar(bar) + within == beat
    assert map_.bar_line_at(beat) == beat - within
    assert 0 <= within < map_.meter_at(map_.bar_line_at(beat)).bar_beats
    assert map_.next_bar_line(beat) > beat
    assert map_.bar_beat_at(map_.next_bar_line(beat)) == (bar + 1, F(0))


@pytest.mark.slow
@given(meter_maps(), st.integers(-60, 200))
def test_bars_to_beats_and_back(map_: MeterMap, bar: int) -> None:
    assert map_.bar_beat_at(map_.beat_of_bar(bar)) == (bar, F(0))
    assert map_.beat_of_bar(bar) < map_.beat_of_bar(bar + 1)


@given(meter_maps())
def test_every_change_of_meter_begins_a_bar(map_: MeterMap) -> None:
    assert map_.bar_beat_at(F(0)) == (1, F(0))
    for point in map_.points:
        assert map_.bar_beat_at(point.beat)[1] == 0
        assert map_.meter_at(point.beat) == point


def test_known_bars() -> None:
    map_ = MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(8), 7, 8), MeterPoint(F(13), 3, 4)))
    # the second bar of 7/8 is cut short after one beat and a half
    assert bars_at(map_, -5, -1, 0, 9, 12, 13, 16) == [
        (-1, 3), (0, 3), (1, 0), (3, 1), (4, F(1, 2)), (5, 0), (6, 0),
    ]  # fmt: skip
    assert [map_.beat_of_bar(bar) for bar in (-1, 0, 1, 3, 4, 5, 6)] == [-8, -4, 0, 8, F(23, 2), 13, 16]
    assert map_.bar_line_at(F("12.9")) == F("11.5")
    assert MeterMap.constant().beat_of_bar(17) == 64


def test_bar_one_is_at_beat_0_wherever_the_meters_begin() -> None:
    late = MeterMap((MeterPoint(F(6), 3, 4),))
    assert bars_at(late, -3, 0, 5, 6) == [(0, 0), (1, 0), (2, 2), (3, 0)]
    early = MeterMap((MeterPoint(F(-6), 4, 4), MeterPoint(F(4), 3, 4)))
    assert bars_at(early, -7, -6, -1, 0, 4) == [
        (-2, 3),
        (-1, 0),
        (0, 1),
        (1, 0),
        (2, 0),
    ]


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "at least one point"),
        ([(0, 4, 4), (0, 3, 4)], "in order of beats, not 0 after 0"),
        ([(0, 0, 4)], "numerator must be in range 1..255"),
        ([(0, 4, 3)], "denominator must be one of"),
    ],
)
def test_meter_maps_that_cannot_be(rows: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        MeterMap(tuple(MeterPoint(F(beat), upper, lower) for beat, upper, lower in rows))


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("F#m", (6, "minor", "F#")), ("Bb", (10, "major", "Bb")), ("c minor", (0, "minor", "C")),
        ("Amaj", (9, "major", "A")), ("Cb", (11, "major", "Cb")), ("B# min", (0, "minor", "B#")),
        ("E♭m", (3, "minor", "Eb")), ("G-flat major", (6, "major", "Gb")), ("D_M", (2, "major", "D")),
        ("C Minor", (0, "minor", "C")), ("F# MAJOR", (6, "major", "F#")), ("a moll", (9, "minor", "A")),
        ("E Flat Dur", (3, "major", "Eb")), ("AM", (9, "major", "A")),
    ],
)  # fmt: skip
def test_names_of_keys(name: str, key: tuple[int, Mode, str]) -> None:
    assert Key.named(name) == Key(*key)
    assert Key(*key).name == f"{key[2]} {key[1]}"


@pytest.mark.parametrize("name", ["", "H", "m", "Fm#", "F#mm", "dorian", "A B"])
def test_names_of_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="is no key"):
        Key.named(name)


def test_keys_that_cannot_be() -> None:
    assert Key(6, "minor").spelling == "F#"
    assert Key(8, "major").spelling == "Ab"
    with pytest.raises(ValueError, match=r"tonic must be in range 0..11"):
        Key(12, "major")
    with pytest.raises(ValueError, match="mode must be major or minor"):
        Key(0, "dorian")  # type: ignore[arg-type]  # that is the point
    with pytest.raises(ValueError, match="'F#' is not the name of pitch class 5"):
        Key(5, "major", "F#")
    with pytest.raises(ValueError, match="no name of a note"):
        Key(5, "major", "Fes")


def test_ticks_and_frames() -> None:
    assert ticks_at(F(3, 2)) == 1440
    assert ticks_at(F(-1, 960) + F(1, 10_000)) == -1
    assert beat_of_tick(1440) == F(3, 2)
    assert frames_at(F(1, 3), 44_100) == 14_700
    assert seconds_of_frames(14_700, 44_100) == F(1, 3)


@pytest.mark.slow
@given(
    tempo_maps(most=3),
    meter_maps(most=2),
    st.lists(st.tuples(BEATS, st.integers(0, 11), st.sampled_from(["major", "minor"])), max_size=3),
    st.lists(st.tuples(BEATS, st.text(max_size=8), st.one_of(st.none(), st.just(F(1000, 3)))), max_size=3),
    st.one_of(TIMES, st.floats(-1e6, 1e6).map(F)),
)
def test_a_timeline_survives_json(
    map_: TempoMap, meters: MeterMap, keys: list[Any], markers: list[Any], start_s: Fraction
) -> None:
    timeline = Timeline(
        map_,
        meters,
        tuple(KeyPoint(beat, Key(tonic, mode)) for beat, tonic, mode in keys),
        tuple(Marker(*marker) for marker in markers),
        start_s,
    )
    data = json.loads(json.dumps(timeline.to_json()))
    back = Timeline.from_json(data)
    assert back == timeline
    assert back.to_json() == data
    assert pickle.loads(pickle.dumps(timeline)) == timeline
    assert list(timeline.keys) == sorted(timeline.keys, key=lambda point: point.beat)


def good() -> dict[str, Any]:
    return Timeline.constant(120).to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"tempo": []}, {"tempo": [["0", "120", "cubic"]]}, {"tempo": [["0", "120"]]},
        {"tempo": [["0", 120, "step"]]}, {"tempo": [["0", "1e99999999", "step"]]}, {"start_s": "1/0"},
        {"start_s": "0.5"}, {"start_s": None}, {"meters": [["0", 4, 5]]}, {"meters": 3}, {"tempo": None},
        {"keys": [["0", 3, "minor", "Fb"]]}, {"markers": [["4", "A", "3"]]}, {"markers": [["4"]]},
        {"start_s": "9" * 10_000}, {"meters": [["0", "x", 4]]},
    ],
)  # fmt: skip
def test_json_that_is_no_timeline(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Timeline.from_json(good() | change)
    with pytest.raises(ValueError, match="no timeline"):
        Timeline.from_json({})


def test_audio_lies_on_the_timeline() -> None:
    timeline = Timeline(tempo((0, 120), (8, 60)), MeterMap.constant(), start_s=F(3))
    assert timeline.beat_of_audio(0) == 6
    assert timeline.beat_of_audio(1.5) == F(17, 2)
    assert timeline.audio_s_of(F(17, 2)) == F(3, 2)
    assert Timeline.constant(120, start_s=F(-1)).beat_of_audio(0.5) == -1
