"""How often the API is asked: pure, with times that the tests make up."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.converters.musicgpt.pace import (
    LONGEST_INTERVAL_S,
    Pace,
    backoff_s,
    first_look_s,
    interval_s,
    retry_after_s,
)


def test_turns_are_spread_over_the_minute() -> None:
    pace = Pace(20)
    turns = [pace.turn(100.0) for _ in range(5)]
    assert turns[0] == 100.0
    steps = [later - earlier for earlier, later in pairwise(turns)]
    assert steps == pytest.approx([60 / 19] * 4)
    assert pace.turn(turns[1], turns[1]) <= turns[1], "a turn that was given out is kept"


def test_a_missed_turn_is_lost() -> None:
    pace = Pace(20)
    turns = [pace.turn(0.0) for _ in range(10)]
    late = [pace.turn(1000.0, turn) for turn in turns[1:]]
    assert sum(turn <= 1000.0 for turn in late) == 1


def test_a_pause_holds_for_everybody() -> None:
    pace = Pace(500)
    pace.hold(50.0)
    assert pace.turn(10.0) == 50.0


@given(
    limit=st.integers(1, 600),
    steps=st.lists(st.tuples(st.floats(0, 40), st.integers(0, 30)), max_size=60),
)
def test_no_minute_has_more_calls_than_the_plan(limit: int, steps: list[tuple[float, int]]) -> None:
    pace, now, calls = Pace(limit), 0.0, list[float]()
    reserved: list[float] = []
    for ahead, asking in steps:
        now += ahead
        waiting, reserved = reserved, []
        for turn in [*waiting, *([None] * asking)]:
            given_turn = pace.turn(now, turn)
            if given_turn <= now:
                calls.append(now)
            else:
                reserved.append(given_turn)
    for begin in calls:
        assert sum(begin <= call < begin + 60 for call in calls) <= limit


@pytest.mark.parametrize(("eta_s", "wait_s"), [(37, 37), (0, 0.25), (300, 60), (-1, 0.5), (None, 0.5)])
def test_the_first_look_follows_the_eta(eta_s: float | None, wait_s: float) -> None:
    assert first_look_s(eta_s) == wait_s


def test_intervals_grow_with_jitter_up_to_a_limit() -> None:
    chance = random.Random(7)
    waits = [interval_s(looks, chance) for looks in range(40)]
    assert waits[0] < 1.3
    assert waits[0] < waits[4] < waits[8] <= LONGEST_INTERVAL_S
    assert len(set(waits[:6])) == 6
    assert max(waits) <= LONGEST_INTERVAL_S
    assert [interval_s(0, chance) for _ in range(3)] != [interval_s(0, chance)] * 3


def test_backing_off_grows_and_ends_somewhere() -> None:
    chance = random.Random(7)
    waits = [backoff_s(failures, chance) for failures in (1, 3, 6, 1000)]
    assert waits == sorted(waits)
    assert waits[-1] <= 360


@pytest.mark.parametrize(
    ("text", "wait_s"),
    [
        ("0", 0.0),
        (" 12 ", 12.0),
        ("99999999999999", 3600.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("²", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_what_retry_after_says(text: str | None, wait_s: float | None) -> None:
    assert retry_after_s(text, wall=100.0) == wait_s
