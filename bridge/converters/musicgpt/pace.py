"""How often the MusicGPT API is asked: the plan's calls a minute over all tickets, each in its turn. Pure.

Times are seconds of a monotonic clock that the caller gives, so a laptop that slept or a clock that was set
changes nothing.
"""

from __future__ import annotations

import random
from collections import deque
from email.utils import parsedate_to_datetime

USED_SHARE = 0.95
"""So much of the plan's calls we use: the other side counts by its own clock."""

MINUTE_S = 60.0
LATE_S = 2.0
"""So late a turn may still be taken: whoever takes it may have been busy."""


class Pace:
    """Gives out turns: evenly spread, and never more in any minute than the plan has."""

    def __init__(self, calls_a_minute: int) -> None:
        self._most = max(1, int(calls_a_minute * USED_SHARE))
        self._spacing_s = MINUTE_S / self._most
        self._calls: deque[float] = deque()
        self._next = float("-inf")

    def turn(self, now: float, reserved: float | None = None) -> float:
        """`now` or earlier: the call is made now, and counted. Later: that is your turn; come back with it.

        A turn that was missed, in a sleep of the machine, is lost: else all that were would be taken at once.
        """
        missed = reserved is not None and now > reserved + LATE_S
        turn = self._reserve(now) if reserved is None or missed else reserved
        if turn > now:
            return turn
        while self._calls and self._calls[0] + MINUTE_S <= now:
            self._calls.popleft()
        if len(self._calls) >= self._most:
            self.hold(self._calls[0] + MINUTE_S)
            return self._reserve(now)
        self._calls.append(now)
        return turn

    def _reserve(self, now: float) -> float:
        turn = max(now, self._next)
        self._next = turn + self._spacing_s
        return turn

    def hold(self, until: float) -> None:
        """No new turn before `until`: the API has asked for a pause."""
        self._next = max(self._next, until)


FIRST_LOOK_S = (0.25, 60.0)
"""The earliest and the latest first look at a ticket, whatever its eta says."""

FIRST_INTERVAL_S, LONGEST_INTERVAL_S, GROWTH = 0.5, 15.0, 1.4
JITTER = 0.2


def first_look_s(eta_s: float | None) -> float:
    """How long after its submission a ticket is first asked for. An eta below 0 means that nobody knows."""
    shortest, longest = FIRST_LOOK_S
    if eta_s is None or eta_s < 0:
        return FIRST_INTERVAL_S
    return min(max(eta_s, shortest), longest)


def interval_s(looks: int, chance: random.Random) -> float:
    """How long after look number `looks` (from 0) the next one comes."""
    grown = FIRST_INTERVAL_S * GROWTH ** min(looks, 20)
    return min(_jittered(grown, chance), LONGEST_INTERVAL_S)


FIRST_BACKOFF_S, LONGEST_BACKOFF_S = 1.0, 300.0


def backoff_s(failures: int, chance: random.Random) -> float:
    """How long to stay away after the `failures`-th failure in a row (from 1)."""
    grown = FIRST_BACKOFF_S * 2.0 ** min(failures - 1, 20)
    return _jittered(min(grown, LONGEST_BACKOFF_S), chance)


def _jittered(seconds: float, chance: random.Random) -> float:
    return seconds * chance.uniform(1 - JITTER, 1 + JITTER)


LONGEST_RETRY_AFTER_S = 3600.0


def retry_after_s(text: str | None, wall: float) -> float | None:
    """What a Retry-After header means: seconds, or a date of HTTP. None for none, and for nonsense."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), LONGEST_RETRY_AFTER_S)
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(until - wall, 0.0), LONGEST_RETRY_AFTER_S)
