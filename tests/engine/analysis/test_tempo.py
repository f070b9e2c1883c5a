"""The tempo is a line through the beats: fine, robust, and broken only where it clearly changes."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine.analysis.tempo import main_stretch, of_a_loop, stretches


def test_is_finer_than_the_frames_and_stray_beats_do_not_bend_it() -> None:
    beats_s = np.round(0.3 + np.arange(64) * 60 / 127.3, 2)
    beats_s[[7, 30, 41]] += 0.2
    (only,) = stretches(beats_s)
    assert 60 / only.interval_s == pytest.approx(127.3, rel=3e-4)
    assert only.error_s < 0.006


def test_a_player_who_sways_has_one_tempo() -> None:
    places = np.arange(120)
    sway = 0.03 * np.sin(places / 11) + np.random.default_rng(2).normal(0, 0.01, 120)
    (only,) = stretches(np.asarray(places * 0.5 + sway, np.float64))
    assert only.interval_s == pytest.approx(0.5, rel=2e-3)


def test_a_clear_change_is_found_where_it_is() -> None:
    beats_s = np.concatenate([np.arange(40) * 0.5, 20 + np.arange(60) * 0.4])
    first, second = stretches(beats_s)
    assert (first.first, second.stop) == (0, 100)
    assert first.stop == second.first == pytest.approx(40, abs=1)
    assert (first.interval_s, second.interval_s) == pytest.approx((0.5, 0.4), rel=1e-3)
    assert main_stretch([first, second]) is second


@pytest.mark.parametrize("beats", [2, 3, 20])
def test_few_beats_have_one_tempo(beats: int) -> None:
    (only,) = stretches(np.arange(beats, dtype=np.float64) * 0.6)
    assert only.interval_s == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("heard", "quarters_a_bar", "duration_s", "bpm"),
    [
        (128.57, 4, 3.75, 128),  # two bars, exactly
        (88.15, 4, 4 * 60 / 87, 87),
        (174.19, 4, 16 * 60 / 174, 174),
        (93.2, 3, 12 * 60 / 93, 93),
        (120.0, 4, 5.3, 120.0),  # no whole bars
        (120.3, 4, 200.0, 120.3),  # too long: the beats know better
    ],
)
def test_a_loop_lasts_whole_bars(heard: float, quarters_a_bar: float, duration_s: float, bpm: float) -> None:
    assert of_a_loop(heard, quarters_a_bar, duration_s) == pytest.approx(bpm, abs=1e-9)
