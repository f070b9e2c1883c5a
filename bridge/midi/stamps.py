"""When a message came in, though it is only fetched some milliseconds later. Pure."""

from __future__ import annotations


class Stamps:
    """Turns the deltas that a MIDI system measures into times of our own clock.

    A delta says exactly how long after its predecessor a message came, but not when; a look says only that
    it came since the last one that found nothing. A stamp is the sum of the deltas, held within what the
    looks allow: so how often we look neither jitters the stamps, nor do two clocks drift apart.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._empty_at: float | None = None

    def nothing(self, now: float) -> None:
        """A look found nothing: what comes later came after this."""
        self._empty_at = now

    def stamp(self, delta_s: float, now: float) -> float:
        """The time of the next message, which was found at `now`."""
        at_s = now if self._last is None else self._last + delta_s
        if self._empty_at is not None:
            at_s = max(at_s, self._empty_at)
        self._last = min(at_s, now)
        return self._last
