"""Fading-memory filters over the times of a clock's ticks. Pure.

They are polynomial filters of Morrison (Introduction to Sequential Smoothing and Prediction, 1969): at first
they weigh all that they have seen alike, later they forget the same share at every tick. Times are seconds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# A curve through fewer ticks than these is mostly their jitter.
_STRAIGHT = 12
# The newest error's share of their running mean.
_NEWEST = 1 / 8
TREND_SPREAD = math.sqrt(_NEWEST / (2 - _NEWEST))
"""The standard deviation of that mean, where the errors' own is 1 and nothing but noise."""


@dataclass(frozen=True)
class Memory:
    """`fades`: the share forgotten at a tick. `curved`: follows a steady change of tempo without lag."""

    fades: float
    curved: bool = False


class Tracker:
    """`time_s` is when the last tick should have come, `period_s` the time to the next, `bend_s` its growth.

    `trend_s` is the running mean of the prediction errors: about nothing as long as the prediction is right.
    """

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self.begin(0.0, 0.0, seen=0)

    def begin(self, time_s: float, period_s: float, *, seen: int) -> None:
        """Knows this much, as if from `seen` ticks."""
        self.time_s, self.period_s, self.bend_s, self.trend_s = time_s, period_s, 0.0, 0.0
        self._seen = seen

    def adopt(self, other: Tracker) -> None:
        """Goes on from where another stands, with no more memory than that one has."""
        self.begin(other.time_s, other.period_s, seen=min(other._seen, math.ceil(1 / other._memory.fades)))

    @property
    def next_s(self) -> float:
        """When the next tick should come."""
        return self.time_s + self.period_s + self.bend_s / 2

    def spread(self) -> float:
        """How much wider than the ticks' own jitter the errors of the prediction are."""
        n = min(self._seen, 2 / self._memory.fades)
        if self._curves():
            return math.sqrt(1 + 3 * (3 * n * n + 3 * n + 2) / (n * (n - 1) * (n - 2)))
        return math.sqrt(1 + 2 * (2 * n + 1) / (n * (n - 1))) if n > 1 else 3.0

    def tick(self, at_s: float, steps: int) -> float:
        """Takes the tick that comes `steps` after the last.

        Returns by how much it was later than predicted, in the measure of the ticks' own jitter.
        """
        error_s = at_s - (self.time_s + steps * self.period_s + steps * steps * self.bend_s / 2)
        scaled_s = error_s / self.spread()
        self._seen += 1
        place, period, bend = self._gains()
        self.time_s = at_s - error_s + place * error_s
        self.period_s += steps * self.bend_s + period * error_s
        self.bend_s += bend * error_s
        self.trend_s += _NEWEST * (scaled_s - self.trend_s)
        return scaled_s

    def _curves(self) -> bool:
        return self._memory.curved and self._seen > _STRAIGHT

    def _gains(self) -> tuple[float, float, float]:
        """The share of an error that goes into place, period and bend."""
        fades, n = self._memory.fades, self._seen
        kept = 1 - fades
        if self._curves():
            cubic = n * (n + 1) * (n + 2)
            return (
                max(1 - kept**3, 3 * (3 * n * n - 3 * n + 2) / cubic),
                max(1.5 * fades**2 * (1 + kept), 18 * (2 * n - 1) / cubic),
                max(fades**3, 60 / cubic),
            )
        square = n * (n + 1)
        return max(1 - kept**2, 2 * (2 * n - 1) / square), max(fades**2, 6 / square), 0.0
