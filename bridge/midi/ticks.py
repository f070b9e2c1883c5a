"""Where a 24-ppqn clock is between its ticks, though they come with jitter, too few or too many. Pure.

Three trackers of different memory run side by side. What counts is the one with the longest memory whose
prediction errors show no trend: it is the calmest that still follows. Times are seconds, numbers count ticks.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from itertools import pairwise

from bridge.midi.trackers import TREND_SPREAD, Memory, Tracker

SHORTEST_PERIOD_S, LONGEST_PERIOD_S = 0.005, 0.25  # 500 and 10 BPM

# The calmest first. Chosen by what benchmarks/midi_clock.py shows.
_MEMORIES = (Memory(fades=0.03), Memory(fades=0.08, curved=True), Memory(fades=0.3))
# A trend is a mean error beyond so many of its standard deviations.
_TREND = 3.0
# A tick counts as later ones, or not at all, when it is off by this share of a period; where the jitter is
# worse than that, when it is off by so many standard deviations.
_LATE, _EARLY, _SURE = 0.5, 0.6, 3.5
# So many intervals in a row, alike, and all off by more than this share to the same side: a new tempo.
_STEP, _STEP_OFF, _ALIKE = 4, 0.15, 0.3
_NOISE_NEWEST, _FIRST_NOISE_S, _LEAST_NOISE_S, _CLIP = 1 / 64, 0.0012, 0.0002, 4.0
# The share of its speed that the given place wins or loses at most while it slews to the tracked one.
_SLEW = 0.75
# What is known of the period when the ticks begin anew at another phase.
_KNOWN = 8


@dataclass(frozen=True, slots=True)
class _Heard:
    """A tick as it came, and what was thought then."""

    at_s: float
    number: int
    period_s: float


class TickLine:
    """Numbers the ticks, and tells the number of any time and the time of any number.

    The place that it tells never goes back: where the ticks prove it wrong, it slews. `grid_s`: the times are
    only looked at so often (a JACK period), so a tick came up to so much earlier, and two may come at once.
    """

    def __init__(self, grid_s: float = 0.0) -> None:
        self._least_noise_s = max(_LEAST_NOISE_S, grid_s / math.sqrt(12))
        self._trackers = [Tracker(memory) for memory in _MEMORIES]
        self._heard: deque[_Heard] = deque(maxlen=4 * _STEP)
        self._noise_s = max(_FIRST_NOISE_S, self._least_noise_s)
        self.forget()

    def forget(self) -> None:
        """As if no tick had ever come; only the numbers go on."""
        self._chosen = self._trackers[0]
        self._heard.clear()
        for tracker in self._trackers:
            tracker.begin(0.0, 0.0, seen=0)
        # `_ahead`: by how much the place told was ahead of the tracked one when the slew began.
        self._slew_from_s, self._slew_for_s, self._ahead = 0.0, 1.0, 0.0

    number: int = -1
    """Of the last tick; -1 before the first one."""

    @property
    def period_s(self) -> float:
        """Time between ticks; 0 while unknown."""
        return self._chosen.period_s

    @property
    def last_s(self) -> float:
        """When the last tick came; minus infinity before the first one."""
        return self._heard[-1].at_s if self._heard else -math.inf

    def number_at(self, at_s: float) -> float:
        if not self.period_s:
            return float(self.number)
        return self._tracked(at_s) + self._ahead * self._slewing(at_s)

    def time_of(self, number: float) -> float:
        """Infinity while the period is unknown and the number has not come."""
        if not self.period_s:
            return self.last_s if number <= self.number else math.inf
        before_s = self._untracked(number - self._ahead)
        if before_s <= self._slew_from_s:
            return before_s
        after_s = self._untracked(number)
        if after_s >= self._slew_from_s + self._slew_for_s:
            return after_s
        speed = 1 / self._pace_s() - self._ahead / self._slew_for_s
        return self._slew_from_s + (number - self.number_at(self._slew_from_s)) / speed

    def tick(self, at_s: float) -> None:
        """Takes a tick. Times go up."""
        before = self.number_at(at_s)
        if not self.period_s:
            self._begin(at_s)
            return
        steps = self._steps(at_s)
        if steps:
            self._take(at_s, steps)
        self._heard.append(_Heard(at_s, self.number, self.period_s))
        self._follow_step()
        self._slew(at_s, before)

    def downbeat(self, at_s: float) -> None:
        """Takes the first tick after a start: it is the next number whatever its phase."""
        off_s = abs(at_s - self._chosen.next_s)
        if not self.period_s or off_s <= max(self.period_s / 4, _SURE * self._noise_s):
            self._next(at_s)
            return
        period_s = self.period_s
        for tracker in self._trackers:
            tracker.begin(at_s, period_s, seen=_KNOWN)
        self.number += 1
        self._heard.clear()
        self._heard.append(_Heard(at_s, self.number, period_s))
        self._ahead = 0.0

    def _next(self, at_s: float) -> None:
        if self.period_s:
            self._take(at_s, 1)
            self._heard.append(_Heard(at_s, self.number, self.period_s))
            self._ahead = 0.0
        else:
            self._begin(at_s)

    def _begin(self, at_s: float) -> None:
        """The first two ticks."""
        period_s = at_s - self.last_s
        if period_s < SHORTEST_PERIOD_S:
            return
        self.number += 1
        known = period_s <= LONGEST_PERIOD_S
        for tracker in self._trackers:
            tracker.begin(at_s, period_s if known else 0.0, seen=2 if known else 1)
        self._heard.append(_Heard(at_s, self.number, self.period_s))

    def _steps(self, at_s: float) -> int:
        """How many numbers further the tick is: more than one behind lost ones, none for a double."""
        off_s = at_s - self._chosen.next_s
        unsure_s = _SURE * self._noise_s * self._chosen.spread()
        if off_s > max(_LATE * self.period_s, unsure_s):
            return 1 + max(1, round(off_s / self.period_s))
        return 0 if off_s < -max(_EARLY * self.period_s, unsure_s) else 1

    def _take(self, at_s: float, steps: int) -> None:
        self.number += steps
        errors = [tracker.tick(at_s, steps) for tracker in self._trackers]
        error_s = min(abs(errors[1]), _CLIP * self._noise_s)
        variance = self._noise_s**2 + _NOISE_NEWEST * (error_s**2 - self._noise_s**2)
        self._noise_s = max(math.sqrt(variance), self._least_noise_s)
        self._choose()

    def _choose(self) -> None:
        limit_s = _TREND * TREND_SPREAD * self._noise_s
        calm = (tracker for tracker in self._trackers[:-1] if abs(tracker.trend_s) <= limit_s)
        self._chosen = next(calm, self._trackers[-1])
        if self._chosen is self._trackers[-1]:
            for tracker in self._trackers[:-1]:
                tracker.adopt(self._chosen)

    def _follow_step(self) -> None:
        """Recognises a tempo that changed at once, and counts the ticks since then anew."""
        heard = list(self._heard)
        old_s = heard[0].period_s
        recount = heard[-1 - _STEP :]
        unsure_s = _SURE * self._noise_s
        period_s = _stepped(recount, old_s, unsure_s)
        if not period_s:
            return
        for earlier in reversed(heard[: -1 - _STEP]):
            span_s = recount[0].at_s - earlier.at_s
            if span_s < period_s / 2 or abs(span_s - old_s) <= max(_STEP_OFF * old_s, unsure_s):
                break
            recount.insert(0, earlier)
        number = recount[0].number
        self._heard.clear()
        self._heard.append(_Heard(recount[0].at_s, number, period_s))
        for before, after in pairwise(recount):
            number += max(1, round((after.at_s - before.at_s) / period_s))
            self._heard.append(_Heard(after.at_s, number, period_s))
        self.number = number
        self._chosen = self._trackers[0]
        for tracker in self._trackers:
            tracker.begin(recount[-1].at_s, period_s, seen=_STEP)

    def _slew(self, at_s: float, given: float) -> None:
        """The place told goes on from what was `given`, and meets the tracked one as soon as it may."""
        self._ahead = given - self._tracked(at_s)
        self._slew_from_s = at_s
        self._slew_for_s = self._pace_s() * max(1.0, abs(self._ahead) / _SLEW)

    def _slewing(self, at_s: float) -> float:
        """The share of the slew that is still to come."""
        return min(1.0, max(0.0, 1 - (at_s - self._slew_from_s) / self._slew_for_s))

    def _pace_s(self) -> float:
        """The period just ahead: the next ones' mean while the tempo changes steadily."""
        return max(self._chosen.period_s + self._chosen.bend_s, SHORTEST_PERIOD_S / 2)

    def _tracked(self, at_s: float) -> float:
        return self.number + (at_s - self._chosen.time_s) / self._pace_s()

    def _untracked(self, number: float) -> float:
        return self._chosen.time_s + (number - self.number) * self._pace_s()


def _stepped(heard: list[_Heard], old_s: float, unsure_s: float) -> float:
    """The new period, if the intervals between these ticks are alike and not the old period; else 0."""
    if len(heard) <= _STEP or not old_s:
        return 0.0
    spans = [after.at_s - before.at_s for before, after in pairwise(heard)]
    new_s = sum(spans) / len(spans)
    if not SHORTEST_PERIOD_S <= new_s <= LONGEST_PERIOD_S:
        return 0.0
    longer = min(spans) > (1 + _STEP_OFF) * old_s
    shorter = max(spans) < (1 - _STEP_OFF) * old_s
    sure = abs(new_s - old_s) * len(spans) > unsure_s
    alike = max(abs(span - new_s) for span in spans) <= max(_ALIKE * new_s, 1.5 * unsure_s)
    return new_s if (longer or shorter) and sure and alike else 0.0
