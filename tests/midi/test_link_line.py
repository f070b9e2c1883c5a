from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.midi.link_line import LinkLine, Reading

BPM = 120.0  # two beats a second


def at(at_s: float, beat: float, bpm: float = BPM, *, playing: bool = False) -> Reading:
    return Reading(at_s, beat, bpm, playing)


def test_a_session_in_which_nobody_says_start_runs() -> None:
    line = LinkLine(at(10, 4))
    assert line.running
    assert line.beat_at(11) == 6
    assert line.time_of(6) == 11
    line.read(at(11, 6))
    assert (line.running, line.jumps) == (True, 0)


def test_from_the_first_start_on_start_and_stop_count() -> None:
    line = LinkLine(at(0, 0))
    line.read(at(1, 2, playing=True))
    assert (line.running, line.jumps) == (True, 1)
    line.read(at(2, 4))
    assert (line.running, line.jumps) == (False, 2)
    assert line.beat_at(9) == 4
    assert line.time_of(8) == math.inf
    line.read(at(5, 10))
    assert line.beat_at(9) == 4, "where it stood, though the session's time goes on"
    line.read(at(6, 12, playing=True))
    assert (line.running, line.jumps) == (True, 3)
    assert line.beat_at(6.5) == 13


def test_our_own_stop_counts_where_nobody_ever_said_start() -> None:
    line = LinkLine(at(0, 0))
    line.read(at(1, 2), told=True)
    assert not line.running


def test_a_session_that_plays_when_it_is_joined_can_be_stopped() -> None:
    line = LinkLine(at(0, 0, playing=True))
    line.read(at(1, 2))
    assert not line.running


@pytest.mark.parametrize(("beat", "jumps"), [(2.0, 0), (2.001, 0), (1.95, 0), (2.1, 1), (-6.0, 1), (4.0, 1)])
def test_another_place_is_a_jump_and_a_breath_is_none(beat: float, jumps: int) -> None:
    line = LinkLine(at(0, 0))
    line.read(at(1, beat))
    assert line.jumps == jumps
    assert line.beat_at(1) == beat


def test_another_tempo_is_no_jump() -> None:
    line = LinkLine(at(0, 0))
    # It was changed 8 ms before we look.
    line.read(at(1, 1.984 + 0.008 * 140 / 60, 140))
    assert (line.jumps, line.bpm) == (0, 140)
    assert line.beat_at(1 + 60 / 140) == pytest.approx(line.beat_at(1) + 1)


def test_a_place_that_changes_while_it_stands_is_no_news() -> None:
    line = LinkLine(at(0, 0, playing=True))
    line.read(at(1, 2))
    line.read(at(2, 400))
    assert (line.jumps, line.beat_at(3)) == (1, 2)


def test_ticks_come_24_to_a_beat_and_begin_anew_at_a_jump() -> None:
    line = LinkLine(at(0, 0))
    assert line.pulses(-1, 0.5) == pytest.approx([number / 48 for number in range(25)])
    line.read(at(0.5, 100.5))
    assert line.pulses(0.5 - 1e-9, 0.53) == pytest.approx([0.5, 0.5 + 1 / 48])
    line.read(at(0.6, 100.7), told=True)
    assert line.pulses(0.6, 9) == []


@given(st.lists(st.floats(0.001, 0.1), min_size=1, max_size=50), st.floats(30, 300))
@example([0.042344232635471955, 0.02848966775179325, 0.026, 0.0115, 0.0625], 300).via(
    "a tick that slipped back"
)
def test_no_tick_is_lost_or_comes_twice_however_it_is_asked(steps: list[float], bpm: float) -> None:
    line, now, ticks = LinkLine(at(0, 0, bpm)), 0.0, list[float]()
    for step in steps:
        ticks += line.pulses(now, now + step)
        now += step
        # Readings tremble by a microsecond.
        line.read(at(now, now * bpm / 60 + 1e-6 * bpm / 60 * (-1 if len(ticks) % 2 else 1), bpm))
    expected = math.floor(now * bpm / 60 * 24)
    assert abs(len(ticks) - expected) <= 1
    assert ticks == sorted(ticks)
    assert all(
        later - earlier == pytest.approx(60 / bpm / 24, abs=5e-6) for earlier, later in pairwise(ticks)
    )
