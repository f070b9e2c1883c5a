"""Fakes that ship: they pass the same contract suites as the real things."""

from __future__ import annotations


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, *, monotonic: float = 1000.0, wall: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"a clock does not go back (asked for {seconds} s)")
        self._monotonic += seconds
        self._wall += seconds
