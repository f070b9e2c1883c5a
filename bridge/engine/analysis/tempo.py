"""Tempo out of beats: a line through their times, not the middle interval, which frames would round. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Wide = NDArray[np.float64]

ROUNDS: Final = 8
LEAST_BEATS: Final = 16
"""That a tempo of its own needs."""
CLEAR_CHANGE: Final = 0.025
CLEAR_GAIN: Final = 4.0
"""A break in the line must leave so many times less of what does not fit."""
GRID_S: Final = 0.012
"""Beats are never known better than this."""
STEADY_S: Final = 0.03


@dataclass(frozen=True)
class Stretch:
    """Beats `first` to `stop` (excluded) at one tempo; `error_s`: how far they mostly lie from its line."""

    first: int
    stop: int
    interval_s: float
    error_s: float


def stretches(beats_s: Wide) -> list[Stretch]:
    """The beats in stretches of one tempo each, in order: one where it does not clearly change."""
    found: list[Stretch] = []
    waiting = [(0, len(beats_s))]
    while waiting:
        first, stop = waiting.pop()
        where = _break(beats_s[first:stop])
        if where is None:
            found.append(_line(beats_s, first, stop))
        else:
            waiting += [(first + where, stop), (first, first + where)]
    return found


LOOP_BEATS: Final = 64
LOOP_WITHIN_BEATS: Final = 0.08


def of_a_loop(bpm: float, quarters_a_bar: float, duration_s: float) -> float:
    """The tempo at which a sound of whole bars is exactly that; `bpm` where it is none, or long.

    Beats are heard to some milliseconds, which in a bar or two is a percent. A file's length is exact.
    """
    bars = round(duration_s * bpm / 60 / quarters_a_bar)
    quarters = bars * quarters_a_bar
    if not 0 < quarters <= LOOP_BEATS or abs(duration_s * bpm / 60 - quarters) > LOOP_WITHIN_BEATS:
        return bpm
    return quarters * 60 / duration_s


def main_stretch(found: list[Stretch]) -> Stretch:
    """The one that lasts longest."""
    return max(found, key=lambda one: (one.stop - one.first) * one.interval_s)


def _line(beats_s: Wide, first: int, stop: int) -> Stretch:
    """A line that stray beats do not bend: least absolute distances, by weights (Huber)."""
    times = beats_s[first:stop]
    places = np.arange(len(times), dtype=np.float64)
    weights = np.ones(len(times))
    slope, away = 0.0, np.zeros(len(times))
    for _ in range(ROUNDS):
        mean_x, mean_y = np.average(places, weights=weights), np.average(times, weights=weights)
        centred = places - mean_x
        slope = float((weights * centred * (times - mean_y)).sum() / (weights * centred**2).sum())
        away = times - mean_y - slope * centred
        weights = 1 / np.maximum(1, np.abs(away) / max(GRID_S, float(np.median(np.abs(away)))))
    return Stretch(first, stop, slope, float(np.median(np.abs(away))))


def _break(times: Wide) -> int | None:
    """Where two lines fit clearly better than one, and differ clearly; None if nowhere."""
    count = len(times)
    if count < 2 * LEAST_BEATS:
        return None
    heads = _misfits(times)
    tails = _misfits(-times[::-1])[::-1]
    places = np.arange(LEAST_BEATS, count - LEAST_BEATS + 1)
    both = heads[places - 1] + tails[places]
    best = int(places[int(both.argmin())])
    left, right = _line(times, 0, best), _line(times, best, count)
    is_clear = heads[-1] + GRID_S**2 * count > CLEAR_GAIN * (both.min() + GRID_S**2 * count)
    differs = abs(left.interval_s / right.interval_s - 1) > CLEAR_CHANGE
    return best if is_clear and differs else None


def _misfits(times: Wide) -> Wide:
    """For each n: the sum of squares that a line through the first n + 1 times leaves."""
    x = np.arange(len(times), dtype=np.float64)
    count = x + 1
    y = times - times[0]
    sx, sy, sxx, sxy, syy = (np.cumsum(part) for part in (x, y, x * x, x * y, y * y))
    cxx, cxy, cyy = sxx - sx**2 / count, sxy - sx * sy / count, syy - sy**2 / count
    left = cyy - np.where(cxx > 0, cxy**2 / np.maximum(cxx, 1e-9), 0)
    return np.asarray(np.maximum(left, 0))
