from __future__ import annotations

from bridge.midi.clock import TapTempo


def tapped(*times: float) -> list[float | None]:
    tap = TapTempo()
    return [round(bpm, 1) if (bpm := tap.tap(at_s)) else None for at_s in times]


def test_two_taps_are_a_tempo() -> None:
    assert tapped(10.0, 10.5) == [None, 120.0]


def test_unsteady_taps_come_to_their_median() -> None:
    assert tapped(0, 0.5, 1.04, 1.5, 2.0, 2.58)[-1] == 120


def test_a_single_tap_that_is_off_does_not_count() -> None:
    assert tapped(0, 0.5, 1.0, 1.5, 2.3, 2.8)[-1] == 120


def test_a_new_tempo_is_taken_up_at_its_second_interval() -> None:
    assert tapped(0, 0.5, 1.0, 1.5, 2.25, 3.0)[-1] == 80


def test_after_two_seconds_it_begins_anew() -> None:
    assert tapped(0, 0.5, 3.0, 4.0) == [None, 120.0, None, 60.0]


def test_a_tap_that_bounces_is_one() -> None:
    assert tapped(0, 0.02, 0.5, 0.51, 1.0) == [None, None, 120.0, 120.0, 120.0]
