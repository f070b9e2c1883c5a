"""What a clock that ran tells about the bounce that was made meanwhile."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from bridge.media.musical_context import Told, context_of
from bridge.midi.messages import ClockTold
from bridge.surface.clock_log import ClockLog, snapped

T0 = 1_800_000_000.0


def told(at_s: float, **changes: Any) -> ClockTold:
    facts = {"source": "Live", "running": True, "bpm": 100.0, "beat": 0.0, "meter": "4/4", **changes}
    return ClockTold(wall=T0 + at_s, **facts)


def log_of(*entries: ClockTold) -> ClockLog:
    log = ClockLog()
    for one in entries:
        log.add(one)
    return log


def bounced(log: ClockLog, closed_s: float, duration_s: float) -> Told | None:
    return log.told(T0 + closed_s, duration_s)


def test_a_clock_that_runs_tells_its_tempo() -> None:
    heard = bounced(log_of(told(0), told(2.4, bpm=128.02)), 5.0, 60.0)
    assert heard is not None
    context = context_of([heard])
    assert context.tempo_bpm == 128
    assert context.tempo_source == "clock of Live"
    assert context.position_source == "unknown"
    assert context.meter_source == "assumed"


def test_a_tempo_that_holds_is_counted_out_over_its_beats() -> None:
    """What a clock's pulses tell at one moment is off by more than a tenth."""
    bars = [told(number * 240 / 140, bpm=140.2, beat=4.0 * number) for number in range(6)]
    heard = bounced(log_of(*bars), 9.0, 60.0)
    assert heard is not None
    assert context_of([heard]).tempo_bpm == 140


def test_of_a_tempo_that_holds_since_a_moment_the_middle_one_holds() -> None:
    """A few beats tell less than the pulses do."""
    off = (0.0, -0.3, 0.02, 0.25, -0.04)
    bars = [told(number * 240 / 140, bpm=140 + one, beat=4.0 * number) for number, one in enumerate(off[1:])]
    heard = bounced(log_of(*bars, told(5.3, bpm=139.8, beat=5.3 * 140 / 60 + 0.02)), 5.5, 60.0)
    assert heard is not None
    assert context_of([heard]).tempo_bpm == 140


@pytest.mark.parametrize(
    "earlier",
    [
        [told(0.0, bpm=100.0, beat=0.0)],
        [told(0.0, bpm=128.0, beat=64.0)],
        [told(0.0, bpm=128.0, running=False, beat=0.0)],
        [told(0.0, bpm=128.0, beat=0.0, source="Drums")],
    ],
    ids=["another tempo", "another place", "it stood", "another clock"],
)
def test_what_was_before_the_tempo_held_does_not_count(earlier: list[ClockTold]) -> None:
    heard = bounced(log_of(*earlier, told(3.0, bpm=128.0, beat=6.0)), 5.0, 60.0)
    assert heard is not None
    assert context_of([heard]).tempo_bpm == 128


def test_a_meter_that_was_set_is_told() -> None:
    heard = bounced(log_of(told(0, meter="6/8")), 5.0, 60.0)
    assert heard is not None
    assert context_of([heard]).meter_source == "clock of Live"


def test_what_came_later_says_nothing() -> None:
    assert bounced(log_of(told(10)), 5.0, 4.0) is None
    heard = bounced(log_of(told(0), told(10, bpm=140.0)), 5.0, 60.0)
    assert heard is not None
    assert context_of([heard]).tempo_bpm == 100


def test_a_clock_that_stood_says_nothing() -> None:
    assert bounced(log_of(), 5.0, 4.0) is None
    assert bounced(log_of(told(0, running=False)), 5.0, 4.0) is None
    assert bounced(log_of(told(0), told(2, running=False, beat=3.3)), 30.0, 4.0) is None


def test_our_own_clock_says_nothing_about_the_project() -> None:
    assert bounced(log_of(told(0, source="internal")), 5.0, 4.0) is None


def test_a_bounce_in_real_time_begins_where_the_clock_was_started() -> None:
    # From bar 17 on, 8 bars at 100 BPM: 19.2 s. The DAW stops, and closes the file a little later.
    log = log_of(
        told(-60), told(-50, running=False), told(0, beat=64.0), told(19.2, running=False, beat=96.0)
    )
    heard = bounced(log, 19.6, 19.2)
    assert heard is not None
    context = context_of([heard])
    assert context.to_json()["position_bar"] == 17
    assert context.tempo_bpm == 100


@pytest.mark.parametrize(
    ("closed_s", "duration_s"),
    [(2.0, 19.2), (60.0, 19.2), (19.5, 120.0)],
    ids=["rendered faster", "closed much later", "longer than it ran"],
)
def test_a_bounce_that_was_not_played_in_real_time_has_no_place(closed_s: float, duration_s: float) -> None:
    heard = bounced(log_of(told(0, beat=64.0)), closed_s, duration_s)
    assert heard is not None
    assert heard.start_bar is None


def test_a_bar_is_the_nearest_bar_line_of_its_meter() -> None:
    heard = bounced(log_of(told(0, beat=8.98, meter="3/4")), 10.0, 10.0)
    assert heard is not None
    assert heard.start_bar == 4


@pytest.mark.parametrize(
    ("heard", "meant"),
    [(119.97, 120), (120.09, 120), (128.46, Fraction(257, 2)), (97.351, Fraction(9735, 100)), (87.5, 87.5)],
)
def test_a_tempo_near_a_half_is_meant_to_be_it(heard: float, meant: Fraction) -> None:
    assert snapped(heard) == meant
