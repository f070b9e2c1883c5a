from __future__ import annotations

import random
from itertools import pairwise

from bridge.midi.jack_output import FrameMap

RATE_HZ = 48_000


def _frames(drift: float, seconds: int) -> list[int]:
    """The frames of one event each 10 ms, while the card's clock is read each time with some jitter."""
    chance, places, frames = random.Random(2), FrameMap(RATE_HZ), []
    for number in range(seconds * 100):
        at_s = 100.0 + number * 0.01
        places.note(at_s, round(7 + at_s * RATE_HZ * drift + chance.gauss(0, 1.5)))
        frames.append(places.frame(at_s + 0.005))
    return frames


def test_intervals_are_exact_to_the_frame() -> None:
    frames = _frames(1.0, 60)[100:]
    assert {after - before for before, after in pairwise(frames)} == {480}


def test_a_card_that_is_a_little_fast_is_followed() -> None:
    drift = 1 + 50e-6
    frames = _frames(drift, 120)
    true = 7 + (100.0 + (len(frames) - 1) * 0.01 + 0.005) * RATE_HZ * drift
    assert abs(frames[-1] - true) < 16
    gaps = [after - before for before, after in pairwise(frames[100:])]
    assert sum(gap != 480 for gap in gaps) < 40


def test_after_a_gap_it_finds_its_place_at_once() -> None:
    places = FrameMap(RATE_HZ)
    places.note(0.0, 0)
    places.note(10.0, 10 * RATE_HZ + 4096)
    assert places.frame(10.0) == 10 * RATE_HZ + 4096
