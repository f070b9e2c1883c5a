from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bridge.midi.stamps import Stamps


def _stamped(times: list[float], *, drift: float = 1.0, poll_s: float = 0.003) -> list[float]:
    """Messages at these times, fetched by looks with a little jitter, by deltas of a clock that drifts."""
    chance, stamps, found, last = random.Random(1), Stamps(), [], None
    now, waiting = times[0] - 1.0, list(times)
    while waiting:
        now += poll_s * chance.uniform(0.5, 2.0)
        while waiting and waiting[0] <= now:
            at_s = waiting.pop(0)
            found.append(stamps.stamp(0.0 if last is None else (at_s - last) * drift, now))
            last = at_s
        stamps.nothing(now)
    return found


def test_how_often_one_looks_does_not_jitter_the_stamps() -> None:
    times = [10.0 + number * 0.0205 for number in range(500)]
    stamped = _stamped(times)
    later = stamped[50:]  # by then the anchor has been drawn to where it belongs
    gaps = [after - before for before, after in pairwise(later)]
    assert max(abs(gap - 0.0205) for gap in gaps) < 0.0002


@pytest.mark.parametrize("drift", [1.0005, 0.9995])
def test_two_clocks_do_not_drift_apart(drift: float) -> None:
    times = [10.0 + number * 0.1 for number in range(5000)]
    stamped = _stamped(times, drift=drift)
    assert max(abs(stamp - at_s) for stamp, at_s in zip(stamped, times, strict=True)) < 0.0061


def test_a_stamp_is_never_in_the_future_nor_before_a_look_that_found_nothing() -> None:
    stamps = Stamps()
    assert stamps.stamp(0.0, 5.0) == 5.0
    assert stamps.stamp(9.0, 6.0) == 6.0
    stamps.nothing(7.0)
    assert stamps.stamp(0.0, 8.0) == 7.0
