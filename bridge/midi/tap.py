"""Tempo by tapping. Pure."""

from __future__ import annotations

from collections import deque
from statistics import median

_RESET_S = 2.0
_SHORTEST_S = 0.15  # 400 BPM: what is quicker is one tap that bounced
_RECENT = 8
_OFF = 0.25


class TapTempo:
    """Two taps give a tempo, more make it sure; after two seconds it begins anew (30 BPM is the slowest).

    A single tap that is off does not count; two alike are a new tempo.
    """

    def __init__(self) -> None:
        self._last_s: float | None = None
        self._intervals: deque[float] = deque(maxlen=_RECENT)
        self._odd_s = 0.0

    def tap(self, at_s: float) -> float | None:
        """Takes a tap. Returns the tempo in BPM, None while there is none."""
        interval_s = at_s - self._last_s if self._last_s is not None else _RESET_S
        if interval_s < _SHORTEST_S:
            return self._bpm()
        self._last_s = at_s
        if interval_s >= _RESET_S:
            self._intervals.clear()
            self._odd_s = 0.0
        elif not self._intervals or _alike(interval_s, median(self._intervals)):
            self._intervals.append(interval_s)
            self._odd_s = 0.0
        elif self._odd_s and _alike(interval_s, self._odd_s):
            self._intervals.clear()
            self._intervals.extend((self._odd_s, interval_s))
            self._odd_s = 0.0
        else:
            self._odd_s = interval_s
        return self._bpm()

    def _bpm(self) -> float | None:
        return 60 / median(self._intervals) if self._intervals else None


def _alike(interval_s: float, other_s: float) -> bool:
    return abs(interval_s - other_s) <= _OFF * other_s
