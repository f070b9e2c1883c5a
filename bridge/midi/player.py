"""Songs played by a clock, several at once: what is to be sent, on whose behalf, and exactly when. Pure.

What is given is to be taken in the order given, and sent in the order of time. A `Cut` drops all that was
given before it for its owner and is not due before the cut is; so a clock that jumps takes back what was
handed out ahead.
"""

from __future__ import annotations

import math

from bridge.midi.messages import Begin, Play, PlayState, PlayTold
from bridge.midi.playing import Playing
from bridge.midi.sequence import Sequence
from bridge.midi.timing import BeatClock, Emission

MOST_IDLE = 64
"""So many that have ended are kept, for `Begin` to start them again."""
_OVER = ("ended", "stopped")


class Player:
    """`beats_a_bar` is that of the clock's meter, in quarters; another one counts from the next start."""

    def __init__(self, beats_a_bar: float = 4.0) -> None:
        self.beats_a_bar = beats_a_bar
        self._playings: dict[str, Playing] = {}
        self._due: list[Emission] = []
        self._told: dict[str, PlayState] = {}
        self._telling: list[PlayTold] = []

    def add(self, order: Play, sequence: Sequence, clock: BeatClock, now: float) -> None:
        """Makes a song ready, arranged as ordered, and starts it unless it is only `armed`.

        One with the same id is halted. An order that cannot be is told as failed.
        """
        self._remove(order.id, now)
        try:
            arranged = sequence.arranged(order.transpose, order.channels)
        except ValueError as fault:
            self._tell(order.id, "failed", str(fault))
            return
        playing = Playing(order, arranged, self.beats_a_bar)
        self._playings[order.id] = playing
        if not order.armed:
            playing.begin(order.when, order.count, self.beats_a_bar, clock, now)
        self._tell(order.id, playing.state)

    def begin(self, order: Begin, clock: BeatClock, now: float) -> None:
        """Starts what is armed or over, or again what plays."""
        playing = self._playings.get(order.id)
        if playing is None:
            self._tell(order.id, "failed", "it is not there any more: it has to be armed again")
            return
        playing.begin(order.when, order.count, self.beats_a_bar, clock, now)
        self._tell(order.id, playing.state)

    def halt(self, id: str, now: float) -> None:  # noqa: A002 - the field's name in messages.Halt
        """Ends playings at once, by an id as in `messages.Halt`. The cuts come with the next `advance`."""
        for playing in self._named(id):
            if playing.state not in _OVER:
                self._due += playing.halt(now)
                self._tell(playing.order.id, playing.state)

    def loop(self, id: str, on: bool | None = None) -> None:  # noqa: A002, FBT001 - as in messages.Loop
        """Whether playings go on over and over; switched off, this round is the last one."""
        for playing in self._named(id):
            playing.loop = not playing.loop if on is None else on

    def advance(self, clock: BeatClock, now: float, until: float) -> list[Emission]:
        """All that is due up to `until`, each once; of one owner in order. Calls go forward in time.

        Something may be due a little before `now`; what would be late by a quarter of a second is left out,
        and the place found anew.
        """
        given, self._due = self._due, []
        for playing in self._playings.values():
            given += playing.advance(clock, now, until)
            self._tell(playing.order.id, playing.state)
        self._forget_oldest()
        return given

    def next_at(self, clock: BeatClock, now: float) -> float:
        """When `advance` has something to do, by what is known now; infinity if never."""
        if self._due:
            return now
        return min((playing.next_at(clock, now) for playing in self._playings.values()), default=math.inf)

    def told(self) -> list[PlayTold]:
        """What has changed since this was last asked, in order."""
        telling, self._telling = self._telling, []
        return telling

    def states(self) -> dict[str, PlayState]:
        """Of all that is there, by id."""
        return {id: playing.state for id, playing in self._playings.items()}  # noqa: A001

    def _named(self, id: str) -> list[Playing]:  # noqa: A002
        return [
            playing
            for name, playing in self._playings.items()
            if not id or name == id or name.startswith(f"{id}/")
        ]

    def _remove(self, id: str, now: float) -> None:  # noqa: A002
        playing = self._playings.pop(id, None)
        if playing is not None and not playing.idle:
            self._due += playing.halt(now)
        self._told.pop(id, None)

    def _tell(self, id: str, state: PlayState, why: str = "") -> None:  # noqa: A002
        if self._told.get(id) != state or why:
            self._told[id] = state
            self._telling.append(PlayTold(id, state, why))

    def _forget_oldest(self) -> None:
        over = [name for name, playing in self._playings.items() if playing.state in _OVER]
        for name in over[: max(0, len(over) - MOST_IDLE)]:
            del self._playings[name]
            self._told.pop(name, None)
