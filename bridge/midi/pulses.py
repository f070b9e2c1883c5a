"""The 24 ticks to a beat that a clock of ours sends, each of them once. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

TICKS_A_BEAT = 24
TREMBLE_S = 50e-6
"""A tick may slip back by so much, behind what was asked for last, when its beat is looked at anew."""


class Pulses:
    """Counts through the ticks of one clock. `time_of(beat)` is asked anew for each of them."""

    def __init__(self, time_of: Callable[[float], float], beat: float) -> None:
        self._time_of = time_of
        self.restart(beat)

    def restart(self, beat: float) -> None:
        """The next tick is that place itself, or the first one behind it."""
        self._next = math.ceil(beat * TICKS_A_BEAT - 1e-6)

    def take(self, after_s: float, until_s: float) -> list[float]:
        """The times of the ticks in (after_s, until_s], none of them ever twice.

        One that was due later when it was last looked at, and now lies a hair before `after_s`, is given too.
        """
        return [at_s for at_s in self._until(until_s) if at_s > after_s - TREMBLE_S]

    def _until(self, until_s: float) -> Iterator[float]:
        while (at_s := self._time_of(self._next / TICKS_A_BEAT)) <= until_s:
            self._next += 1
            yield at_s
