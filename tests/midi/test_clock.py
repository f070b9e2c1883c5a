from __future__ import annotations

import math
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midi.clock import ClockFollower, FreeClock, Meter
from support.midi_clocks import TICKS, Ramp, followed, steady, step, ticks, worst


def playing(bpm: float = 120.0, beats: float = 4.0) -> tuple[ClockFollower, float]:
    """A follower of a clean clock that was started at beat 0 at 10 s, and the time of the last tick."""
    follower = ClockFollower("DAW")
    follower.start(10.0)
    at_s = 10.0
    for number in range(round(beats * TICKS) + 1):
        at_s = 10.0 + number * 60 / bpm / TICKS
        follower.tick(at_s)
    return follower, at_s


def errors(
    time_of: Callable[[float], float],
    beats: float,
    *,
    seed: int = 1,
    from_beat: float = 4.0,
    grid_s: float = 0.0,
    **faults: float,
) -> list[float]:
    """By how many seconds the notes of a simulated follower are late."""
    arrivals = list(ticks(time_of, beats, seed=seed, grid_s=grid_s, **faults))
    return followed(ClockFollower("DAW", grid_s=grid_s), time_of, arrivals, from_beat=from_beat)


# Following a clock that jitters


@pytest.mark.parametrize("bpm", [60, 120, 174])
@pytest.mark.parametrize("seed", range(3))
def test_notes_come_within_two_milliseconds_though_the_ticks_jitter_by_two(bpm: int, seed: int) -> None:
    late = errors(steady(bpm).time_of, 128, seed=seed)
    assert worst(late) <= 2.0
    assert worst(late, 0.5) <= 0.5


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("first", "last"), [(100, 140), (140, 100)])
def test_a_ramp_over_eight_bars_is_followed_without_lag(first: int, last: int, seed: int) -> None:
    ramp = Ramp(first, last, 32, begins=8)
    late = errors(ramp.time_of, 44, seed=seed, from_beat=8)
    assert worst(late) <= 2.0
    assert abs(sum(late) / len(late)) < 0.0003


def test_ten_minutes_bring_no_drift() -> None:
    late = errors(steady(120).time_of, 1200, from_beat=0)
    assert worst(late) <= 2.0
    last_minute = late[-120 * 16 :]
    assert abs(sum(last_minute) / len(last_minute)) < 0.0002


@pytest.mark.parametrize("bpm", [60, 120, 174])
def test_one_lost_tick_in_a_hundred_makes_no_jump(bpm: int) -> None:
    late = errors(steady(bpm).time_of, 256, lost=0.01)
    assert worst(late) <= 2.0
    assert worst(late, 1.0) < 1000 * 60 / bpm / TICKS / 2


def test_lost_ticks_in_a_ramp_make_no_jump() -> None:
    late = errors(Ramp(100, 140, 32, begins=8).time_of, 48, lost=0.01)
    assert worst(late) <= 2.0


def test_doubled_ticks_do_not_count_twice() -> None:
    late = errors(steady(120).time_of, 128, doubled=0.05)
    assert worst(late) <= 2.0


@pytest.mark.parametrize("bpm", [60, 174])
def test_a_port_that_is_looked_at_every_jack_period_only_costs_half_of_one(bpm: int) -> None:
    period_s = 1024 / 48000
    late = errors(steady(bpm).time_of, 256, grid_s=period_s, jitter_s=0.0)
    assert worst(late) <= 1000 * period_s / 2 + 2
    assert abs(sum(late) / len(late)) < 0.001


def test_ticks_of_a_stall_that_come_in_one_burst_are_all_counted() -> None:
    true = steady(120)
    stalled = [at_s if not 10 < at_s < 10.3 else 10.3 for at_s in ticks(true.time_of, 60, seed=2)]
    follower = ClockFollower("DAW")
    late = followed(follower, true.time_of, [at_s + n * 1e-6 for n, at_s in enumerate(stalled)])
    assert worst(late[-16 * 16 :]) <= 2.0


@pytest.mark.parametrize(
    ("before", "after"),
    [(120, 60), (60, 120), (120, 126), (120, 90), (120, 180), (174, 60), (120, 40), (90, 160)],
)
def test_a_tempo_that_changes_at_once_is_followed_within_two_beats(before: int, after: int) -> None:
    time_of = step(before, after, 16)
    late = errors(time_of, 32, from_beat=18)
    assert worst(late, 1.0) <= 3.0


def test_a_change_of_tempo_at_a_clean_clock_is_followed_without_losing_a_tick() -> None:
    for after in (40, 50, 60, 75, 90, 110, 125, 140, 170, 200, 240):
        late = errors(step(120, after, 16), 32, from_beat=18, jitter_s=0.0)
        assert worst(late, 1.0) <= 0.2, after


def test_the_tempo_is_right() -> None:
    follower, _ = playing(bpm=132.5, beats=8)
    assert follower.bpm == pytest.approx(132.5)


# Start, stop, song position


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("seed", range(8))
def test_the_bar_line_of_a_start_is_met_within_three_milliseconds(known: bool, seed: int) -> None:
    chance = random.Random(seed)
    follower = ClockFollower("DAW")
    if known:
        for number in range(-48, 0):
            follower.tick(number / 48 + chance.uniform(-0.002, 0.002))
    follower.start(-0.004)
    first_s = chance.uniform(-0.002, 0.002)
    follower.tick(first_s)
    assert abs(max(first_s, follower.time_of(0.0))) <= 0.003


def test_after_start_it_stands_at_the_beginning_until_the_first_tick() -> None:
    follower = ClockFollower("DAW")
    follower.start(1.0)
    assert not follower.running
    assert follower.beat_at(1.5) == 0
    assert follower.time_of(0.0) == math.inf
    follower.tick(2.0)
    assert follower.running
    assert follower.time_of(0.0) == 2.0
    assert follower.beat_at(2.0) == 0


def test_with_a_tempo_known_from_before_the_start_the_beats_ahead_are_known_at_the_first_tick() -> None:
    follower = ClockFollower("DAW")
    for number in range(48):
        follower.tick(number / 48)
    follower.start(1.0)
    follower.tick(1.0)
    assert follower.time_of(1.0) == pytest.approx(1.5, abs=0.001)


def test_a_start_may_begin_at_another_phase_than_the_ticks_before_it() -> None:
    follower = ClockFollower("DAW")
    for number in range(48):
        follower.tick(number / 48)
    follower.start(1.0)
    for number in range(48):
        follower.tick(1.0075 + number / 48)
    assert follower.beat_at(1.0075 + 47 / 48) == pytest.approx(47 / 24, abs=0.001)


def test_stop_keeps_the_place_and_continue_goes_on_there() -> None:
    follower, at_s = playing(beats=4)
    follower.stop(at_s + 0.005)
    assert not follower.running
    assert 4 <= follower.beat_at(at_s + 9) <= 4 + 1 / 24
    follower.go_on(at_s + 20)
    follower.tick(at_s + 21)
    assert follower.running
    assert follower.beat_at(at_s + 21) == pytest.approx(4 + 1 / 24)


def test_the_song_position_counts_sixteenths_and_holds_for_the_next_tick() -> None:
    follower, at_s = playing(beats=4)
    follower.stop(at_s)
    follower.song_position(6, at_s + 0.1)
    assert follower.beat_at(at_s + 0.1) == 1.5
    follower.go_on(at_s + 0.2)
    follower.tick(at_s + 0.3)
    assert follower.beat_at(at_s + 0.3) == 1.5


def test_a_song_position_while_it_runs_holds_for_the_very_next_tick() -> None:
    follower, at_s = playing(beats=4)
    follower.song_position(64, at_s + 0.002)
    assert follower.running
    assert follower.time_of(16.0) == pytest.approx(at_s + 1 / 48, abs=1e-6)
    assert follower.beat_at(at_s + 0.003) == 16
    for number in range(1, 25):
        follower.tick(at_s + number / 48)
    assert follower.beat_at(at_s + 0.5) == pytest.approx(16 + 23 / 24, abs=1e-6)


def test_every_start_stop_continue_and_position_is_a_jump() -> None:
    follower, at_s = playing()
    seen = [follower.jumps]
    orders: tuple[Callable[[], None], ...] = (
        lambda: follower.stop(at_s),
        lambda: follower.song_position(0, at_s),
        lambda: follower.go_on(at_s),
        lambda: follower.tick(at_s + 0.02),
        lambda: follower.start(at_s + 0.03),
    )
    for order in orders:
        order()
        seen.append(follower.jumps)
    assert all(before < after for before, after in pairwise(seen))


def test_ticks_alone_are_no_jump() -> None:
    follower, at_s = playing(beats=1)
    before = follower.jumps
    for number in range(1, 200):
        follower.tick(at_s + number / 48)
    assert follower.jumps == before


def test_a_clock_that_falls_silent_stands_and_goes_on_when_ticks_come_back() -> None:
    follower, at_s = playing(beats=4)
    assert not follower.lost(at_s + 0.4)
    assert follower.lost(at_s + 0.6)
    assert not follower.lost(at_s + 0.7)
    assert not follower.running
    stood = follower.beat_at(at_s + 5)
    assert stood == pytest.approx(4, abs=0.1)
    follower.tick(at_s + 5)
    follower.tick(at_s + 5 + 1 / 48)
    assert follower.running
    assert follower.beat_at(at_s + 5 + 1 / 48) == pytest.approx(4 + 2 / 24, abs=0.01)


def test_a_silence_that_nobody_asked_about_counts_too() -> None:
    follower, at_s = playing(beats=4)
    before = follower.jumps
    follower.tick(at_s + 3)
    assert follower.jumps > before
    assert follower.beat_at(at_s + 3) == pytest.approx(4 + 1 / 24, abs=0.01)


def test_a_slow_clock_is_not_taken_for_a_silent_one() -> None:
    follower, at_s = playing(bpm=25, beats=2)
    assert not follower.lost(at_s + 0.9)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.lists(
        st.tuples(st.sampled_from([40, 60, 90, 120, 174, 240]), st.integers(5, 60)), min_size=1, max_size=5
    ),
    st.floats(0, 0.1),
    st.floats(0, 0.05),
)
def test_the_beat_never_goes_back_while_it_runs(
    seed: int, tempi: list[tuple[int, int]], lost: float, doubled: float
) -> None:
    chance = random.Random(seed)
    follower = ClockFollower("DAW")
    follower.start(0.0)
    at_s, beat, last_s = 0.1, 0.0, 0.1
    for bpm, count in tempi:
        for _ in range(count):
            at_s += 60 / bpm / TICKS
            come_s = max(last_s, at_s + chance.uniform(-0.002, 0.002))
            for share in (0.25, 0.5, 0.75, 1.0):
                asked_s = last_s + share * (come_s - last_s)
                assert follower.beat_at(asked_s) >= beat - 1e-9
                beat = follower.beat_at(asked_s)
            last_s = come_s
            if chance.random() < lost:
                continue
            follower.tick(come_s)
            if chance.random() < doubled:
                follower.tick(come_s)
            assert follower.beat_at(come_s) >= beat - 1e-9
            beat = follower.beat_at(come_s)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 0.2), st.floats(0.0, 3.0))
def test_the_time_of_a_beat_is_where_that_beat_is(seed: int, lost: float, ahead: float) -> None:
    follower = ClockFollower("DAW")
    follower.start(0.0)
    at_s = 0.0
    for at_s in ticks(Ramp(90, 150, 8).time_of, 6, seed=seed, lost=lost):
        follower.tick(at_s + 1)
    beat = follower.beat_at(at_s + 1) + ahead
    assert follower.beat_at(follower.time_of(beat)) == pytest.approx(beat, abs=1e-6)


# Our own clock


def test_our_own_clock_stands_until_it_is_started() -> None:
    clock = FreeClock(90)
    assert (clock.running, clock.source, clock.bpm) == (False, "internal", 90)
    assert clock.beat_at(100.0) == 0
    assert clock.time_of(1.0) == math.inf
    clock.start(100.0)
    assert clock.beat_at(102.0) == pytest.approx(3)
    assert clock.time_of(3.0) == pytest.approx(102.0)


def test_a_new_tempo_keeps_the_phase_and_is_no_jump() -> None:
    clock = FreeClock(120)
    clock.start(0.0)
    before = clock.jumps
    clock.set_tempo(60, 1.25)
    assert clock.jumps == before
    assert clock.beat_at(1.25) == pytest.approx(2.5)
    assert clock.time_of(3.0) == pytest.approx(1.75)


def test_stop_continue_and_locate() -> None:
    clock = FreeClock(120)
    clock.start(0.0)
    clock.stop(1.0)
    assert clock.beat_at(9.0) == 2
    clock.go_on(10.0)
    assert clock.beat_at(10.5) == 3
    clock.locate(16.0, 11.0)
    assert clock.running
    assert clock.beat_at(11.5) == 17
    assert clock.jumps == 4


@pytest.mark.parametrize("bpm", [0, -1, 19, 401, math.nan, math.inf])
def test_a_tempo_that_cannot_be_is_refused(bpm: float) -> None:
    with pytest.raises(ValueError, match="range 20 to 400"):
        FreeClock().set_tempo(bpm, 0.0)


@pytest.mark.parametrize("beat", [-1.0, math.nan, math.inf])
def test_a_place_that_cannot_be_is_refused(beat: float) -> None:
    with pytest.raises(ValueError, match="no beat"):
        FreeClock().locate(beat, 0.0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.floats(0.001, 0.2), st.floats(40, 240)), min_size=1, max_size=30))
def test_pulses_come_24_a_beat_whatever_the_tempo_does_and_never_twice(
    moves: list[tuple[float, float]],
) -> None:
    clock = FreeClock(120)
    clock.start(5.0)
    now, given_s = 5.0, [*clock.pulses(4.9, 5.0)]
    for wait_s, bpm in moves:
        given_s += clock.pulses(now, now + wait_s)
        now += wait_s
        clock.set_tempo(bpm, now)
    assert len(given_s) == math.floor(clock.beat_at(now) * 24 + 1e-6) + 1
    assert given_s[0] == 5.0
    assert given_s == sorted(given_s)


def test_our_own_clock_is_followed_as_it_is() -> None:
    clock, follower = FreeClock(100), ClockFollower("bridge")
    clock.start(2.0)
    follower.start(2.0)
    for at_s in clock.pulses(1.0, 12.0):
        follower.tick(at_s)
    assert follower.beat_at(12.0) == pytest.approx(clock.beat_at(12.0), abs=1e-3)


# Meter


@pytest.mark.parametrize(
    ("text", "beats"), [("4/4", 4.0), ("3/4", 3.0), ("6/8", 3.0), ("7/8", 3.5), ("2/2", 4.0)]
)
def test_a_meter_by_its_name(text: str, beats: float) -> None:
    assert Meter.named(text).beats_a_bar == beats
    assert Meter.named(text).name == text


@pytest.mark.parametrize(
    "text", ["", "4", "4/", "/4", "0/4", "4/3", "65/4", "4/4/4", "-3/4", "waltz", "4/64"]
)
def test_what_is_no_meter_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no meter"):
        Meter.named(text)
