"""One song that is played by a clock: what of it is due, and where it goes on when the clock jumps. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bridge.midi.messages import Play, PlayState, Quantum
from bridge.midi.sequence import Sequence
from bridge.midi.status import Data
from bridge.midi.timing import BeatClock, Cut, Emission, Out

# Whoever is called so much after something was due has been asleep: it goes on from where the clock is.
_ASLEEP_S = 0.25
# A clock is noticed a little after it has jumped: what began there begins late rather than not.
_JUST_JUMPED = 1 / 24
_ON_THE_LINE = 0.005
# Beats are sums of floats: what lies this close together is one place.
_SAME = 1e-6

_Place = tuple[str, int, bool]


@dataclass(frozen=True)
class Start:
    """When to begin; `beat` is None while the clock stands."""

    when: Quantum
    count: int
    beat: float | None = None

    def placed(self, beat: float, bar: float, grace: float) -> Start:
        """At the next place from `beat` on, or one that is at most `grace` beats ago."""
        if self.when != "now":
            grid = self.count * (bar if self.when == "bar" else 1.0)
            beat = math.ceil((beat - grace) / grid) * grid
        return Start(self.when, self.count, max(0.0, beat))


class Playing:
    """A song with its place. `advance` gives what is due; nothing twice, and in order but for a `Cut`.

    A round is once through the song. A launched song's first round begins where it was started; a loop keeps
    its phase when the clock jumps. What follows the song is counted from beat 0.
    """

    def __init__(self, order: Play, sequence: Sequence, bar: float) -> None:
        self.order, self.sequence = order, sequence
        self.loop = order.loop
        self.state: PlayState = "armed"
        self._bar = bar
        self._start: Start | None = None
        self._place: _Place | None = None
        self._begun = False
        # The beat where this round began, the next event of it, when the last thing given is due, and since
        # when it goes on from there.
        self._anchor, self._index, self._last_s, self._entered_s = 0.0, 0, -math.inf, -math.inf

    @property
    def idle(self) -> bool:
        return not self._begun and self._start is None

    def begin(self, when: Quantum, count: int, bar: float, clock: BeatClock, now: float) -> None:
        """Starts there; what plays until then is cut at that very place."""
        self._start = Start(when, max(1, count))
        self._bar = bar
        if not self._begun:
            self._place = _place(clock)
            self.state = "waiting"
        if clock.running and self._place == _place(clock):
            self._start = self._start.placed(clock.beat_at(now), bar, _ON_THE_LINE)

    def halt(self, now: float) -> list[Emission]:
        ending: list[Emission] = [self._cut(now)] if self._begun else []
        self._start, self._begun = None, False
        self.state = "stopped"
        return ending

    def next_at(self, clock: BeatClock, now: float) -> float:
        """When `advance` has something to do; infinity if never."""
        if self.idle:
            return math.inf
        if self._place != _place(clock):
            return now
        beat = self._next_beat()
        return clock.time_of(beat) if math.isfinite(beat) else math.inf

    def advance(self, clock: BeatClock, now: float, until: float) -> Iterator[Emission]:
        if self.idle:
            return
        if self._place != _place(clock):
            self._place = _place(clock)
            yield from self._jump(clock, now)
        while not self.idle and math.isfinite(beat := self._next_beat()):
            at_s = clock.time_of(beat)
            if at_s > until:
                return
            yield from self._step(clock, beat, at_s, now)

    def _step(self, clock: BeatClock, beat: float, at_s: float, now: float) -> Iterator[Emission]:
        asleep = max(at_s, self._entered_s) < now - _ASLEEP_S
        if self._start and self._start.beat == beat:
            yield from self._launch(beat, at_s, sound=not asleep)
            if asleep:
                yield from self._enter(clock.beat_at(now), now)
        elif asleep:
            yield self._cut(now)
            yield from self._enter(clock.beat_at(now), now)
        elif self._index < len(self.sequence.events):
            yield self._out(at_s, self.sequence.events[self._index][1])
            self._index += 1
        elif self.loop:
            yield self._cut(max(at_s, self._last_s))
            self._anchor, self._index = beat, 0
            yield from self._all_out(at_s, self.sequence.rewound)
        else:
            yield self._cut(max(at_s, self._last_s))
            self._end()

    def _next_beat(self) -> float:
        """Where the next thing happens: the start, an event, the seam of a loop or the end."""
        start = self._start.beat if self._start and self._start.beat is not None else math.inf
        return min(start, self._next_of_round())

    def _next_of_round(self) -> float:
        if not self._begun or self.state == "paused":
            return math.inf
        if self._index < len(self.sequence.events):
            return self._anchor + self.sequence.events[self._index][0]
        if self.loop:
            return self._anchor + self._loop_length()
        # Once a song that follows the clock's is over, it waits to be come back to.
        over = self.order.follow == "song" and self.state == "waiting"
        return math.inf if over else self._anchor + self.sequence.length

    def _loop_length(self) -> float:
        """In whole bars."""
        return max(1, math.ceil(self.sequence.length / self._bar - _SAME)) * self._bar

    def _launch(self, beat: float, at_s: float, *, sound: bool) -> Iterator[Emission]:
        if self._begun:
            yield self._cut(at_s)
        self._start, self._begun = None, True
        self._anchor = beat
        if sound:
            yield from self._enter(beat, at_s)

    def _jump(self, clock: BeatClock, now: float) -> Iterator[Emission]:
        """Ends what sounds, and finds the place anew."""
        # The first moments after a jump belong to where it went.
        beat = math.floor(clock.beat_at(now) / _JUST_JUMPED + _SAME) * _JUST_JUMPED
        if self._start:
            anew = Start(self._start.when, self._start.count)
            self._start = anew.placed(beat, self._bar, _JUST_JUMPED) if clock.running else anew
        if not self._begun:
            return
        yield self._cut(now)
        if not clock.running:
            self.state = "paused"
        elif not self._start or self._start.beat != beat:
            yield from self._enter(beat, max(now, clock.time_of(beat)))

    def _enter(self, beat: float, at_s: float) -> Iterator[Emission]:
        """Goes on from a beat of the clock: everything is set, and sounds, as if played through to there."""
        place, self._entered_s = self._round_at(beat), at_s
        if place >= self.sequence.length and not self.loop:
            self._index = len(self.sequence.events)
            self._end()
            return
        self._index = self.sequence.index_at(place - _SAME)
        state = self.sequence.state_at(place - _SAME)
        yield from self._all_out(at_s, (*state.settings, *state.notes))
        self.state = "playing" if place > -_SAME else "waiting"

    def _round_at(self, beat: float) -> float:
        """Finds the round, and the place in it; below 0 before a song that is not looped."""
        if self.order.follow == "song":
            self._anchor = 0.0
        place = beat - self._anchor
        if self.loop:
            length = self._loop_length()
            place %= length
            place = 0.0 if length - place < _SAME else place
            self._anchor = beat - place
        return place

    def _end(self) -> None:
        if self.order.follow == "song":
            self.state = "waiting"
        else:
            self._begun = False
            self.state = "waiting" if self._start else "ended"

    def _cut(self, at_s: float) -> Cut:
        self._last_s = at_s
        return Cut(at_s, self.order.id)

    def _out(self, at_s: float, data: Data) -> Out:
        self.state = "playing"
        self._last_s = max(self._last_s, at_s)
        return Out(self._last_s, self.order.id, self.order.port, data)

    def _all_out(self, at_s: float, messages: Iterable[Data]) -> Iterator[Out]:
        for data in messages:
            yield self._out(at_s, data)


def _place(clock: BeatClock) -> _Place:
    return clock.source, clock.jumps, clock.running
