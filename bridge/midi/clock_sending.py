"""What others follow our clock by: Start, Stop, Continue, Song Position and 24 ticks a beat. Pure."""

from __future__ import annotations

import math

from bridge.midi.clock_choice import CONTINUE, SONG_POSITION, START, STOP, TICK, Clocks, OwnClock
from bridge.midi.pulses import TICKS_A_BEAT

SIXTEENTHS = 4
BEFORE_THE_TICK_S = 0.001
"""So long before the first tick others are told that it is the first."""
_EPS = 1e-6
Timed = tuple[float, tuple[int, ...]]
"""A message and its time."""


class Leader:
    """Makes the messages by which others follow our clock."""

    def __init__(self) -> None:
        self._jumps: int | None = None
        self._is_on = False
        self._from_s = math.inf

    def due(self, clocks: Clocks, now: float, until: float) -> tuple[bool, list[Timed]]:
        """What is due until then, in order, each with its time; and whether what was given before is void."""
        own = clocks.own
        running = own is not None and own.running
        jumped = self._jumps is not None and clocks.jumps != self._jumps
        first, self._jumps = self._jumps is None, clocks.jumps
        messages: list[Timed] = []
        if self._is_on and (jumped or not running):
            messages.append((now, (STOP,)))
            self._is_on = False
        if own is None:
            return jumped, messages
        if running and not self._is_on and (jumped or first):
            messages += self._begin(own, now)
        # All pulses are taken, so that none is left over for later.
        pulses = own.pulses(now - 1.0, until)
        messages += [(at_s, (TICK,)) for at_s in pulses if self._is_on and at_s >= self._from_s - _EPS]
        return jumped, messages

    def _begin(self, own: OwnClock, now: float) -> list[Timed]:
        """From beat 0 by Start; from elsewhere at the next sixteenth: a song position can say no other."""
        self._is_on = True
        beat = own.beat_at(now)
        place = 0 if beat < 1 / TICKS_A_BEAT else math.ceil(beat * SIXTEENTHS - _EPS)
        self._from_s = own.time_of(place / SIXTEENTHS)
        if not place:
            return [(self._from_s - BEFORE_THE_TICK_S, (START,))]
        position = (SONG_POSITION, place & 0x7F, place >> 7 & 0x7F)
        return [(now, position), (max(now, self._from_s - BEFORE_THE_TICK_S), (CONTINUE,))]
