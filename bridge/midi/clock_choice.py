"""Whose beat holds: a clock that comes in at a port, Ableton Link, or our own. Pure but for Link.

`Clocks` is the one `BeatClock` that everybody plays by; behind it the chosen clock may change at any time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bridge.errors import BridgeError
from bridge.midi import port_names
from bridge.midi.clock import ClockFollower, FreeClock, Meter, TapTempo
from bridge.midi.messages import INTERNAL, LINK, ClockTold, Configure, Errand, Trouble
from bridge.midi.timing import BeatClock

TICK, START, CONTINUE, STOP, SONG_POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
CLOCK_BYTES = frozenset({TICK, START, CONTINUE, STOP, SONG_POSITION})
AUTO = "auto"
SILENT_S = 2.0
"""A clock of another's that is silent for so long does not hold any more when something is to play."""
LINK_EVERY_S = 0.02
TEMPO_NEWS = 0.001
TEMPO_NEWS_EVERY_S = 0.25
LEAST_S = 0.001
_EPS = 1e-6


class OwnClock(BeatClock, Protocol):
    """A clock that we may start and stop."""

    def start(self, at_s: float) -> None: ...
    def stop(self, at_s: float) -> None: ...
    def go_on(self, at_s: float) -> None: ...
    def set_tempo(self, bpm: float, at_s: float) -> None: ...
    def pulses(self, after_s: float, until_s: float) -> list[float]: ...


@dataclass
class _Follower:
    clock: ClockFollower
    last_s: float = -math.inf
    ticks: int = 0


@dataclass
class _Last:
    """What was told of the clock last."""

    source: str = ""
    running: bool = False
    jumps: int = -1
    bpm: float = 0.0
    bar: float = -math.inf
    at_s: float = -math.inf


@dataclass
class Clocks:
    """`link` makes the Link clock (tempo, beats a bar); raises BridgeError where it is missing.

    `grid_s` is how far apart the moments are at which messages come in.
    """

    link: Callable[[float, float], Any]
    grid_s: float = 0.0
    _setting: str = AUTO
    _meter: Meter = field(default_factory=Meter)
    _tempo_is_given: bool = False

    def __post_init__(self) -> None:
        self._free = FreeClock()
        self._tap = TapTempo()
        self._link: Any = None
        self._link_at = -math.inf
        self._followers: dict[str, _Follower] = {}
        self._chosen: BeatClock = self._free
        self._base = 0
        self._last = _Last()
        self._troubles: list[Trouble] = []

    # As a clock

    @property
    def source(self) -> str:
        return self._chosen.source

    @property
    def running(self) -> bool:
        return self._chosen.running

    @property
    def bpm(self) -> float:
        return self._chosen.bpm

    @property
    def jumps(self) -> int:
        return self._base + self._chosen.jumps

    def beat_at(self, at_s: float) -> float:
        return self._chosen.beat_at(at_s)

    def time_of(self, beat: float) -> float:
        return self._chosen.time_of(beat)

    @property
    def meter(self) -> Meter:
        return self._meter

    @property
    def own(self) -> OwnClock | None:
        """The chosen clock, if it is one that we may start and whose pulses we may send."""
        return self._chosen if self._chosen is self._free or self._chosen is self._link else None

    def _choose(self, clock: BeatClock) -> None:
        if clock is not self._chosen:
            # Whoever counts jumps sees that the clock is another one.
            self._base = self.jumps + 1 - clock.jumps
            self._chosen = clock

    # Settings

    def configure(self, wanted: Configure, now: float) -> None:
        """Takes the settings in. What runs goes on running if it is still meant."""
        try:
            self._meter = Meter.named(wanted.meter)
        except ValueError as fault:
            self._trouble(f"{fault}.", "Mend midi.meter in config.toml.")
        for follower in self._followers.values():
            follower.clock.meter = self._meter
        if self._link is not None:
            self._link.set_quantum(self._meter.beats_a_bar)
        if not self._tempo_is_given and not self._free.running:
            self._set_tempo(self._free, wanted.tempo_bpm, now)
        before, self._setting = self._setting, wanted.clock
        if before != wanted.clock or self._link is None:
            self._begin(now)

    def _begin(self, now: float) -> None:
        if self._setting == LINK:
            self._choose(self._linked(now))
            return
        if self._link is not None:
            self._link.close()
            self._link = None
        if self._chosen is self._free or not self._may_lead(self._chosen.source):
            waits = self._setting not in (AUTO, INTERNAL)
            self._choose(ClockFollower(self._setting, self._meter) if waits else self._free)

    def _linked(self, now: float) -> BeatClock:
        if self._link is None:
            try:
                self._link = self.link(self._free.bpm, self._meter.beats_a_bar)
            except BridgeError as fault:
                self._trouble(f"{fault.message}. Our own clock is used.", fault.remedy)
                return self._free
        self._link_at = now
        link: BeatClock = self._link
        return link

    def _may_lead(self, port: str) -> bool:
        """Whether the clock that comes in at a port is one that the setting means."""
        if self._setting in (INTERNAL, LINK):
            return False
        return self._setting == AUTO or port_names.matches(port, self._setting)

    # What comes in

    def heard(self, port: str, data: Sequence[int], at_s: float) -> None:
        """A message of `CLOCK_BYTES`."""
        if not self._may_lead(port):
            return
        follower = self._followers.get(port)
        if follower is None:
            clock = ClockFollower(port, self._meter, grid_s=self.grid_s)
            follower = self._followers[port] = _Follower(clock)
        if data[0] in (TICK, START, CONTINUE):
            self._lead(follower, at_s)
        clock = follower.clock
        match data[0]:
            case 0xF8:
                follower.last_s = at_s
                clock.tick(at_s)
            case 0xFA:
                clock.start(at_s)
            case 0xFB:
                clock.go_on(at_s)
            case 0xFC:
                clock.stop(at_s)
            case 0xF2:
                low, high = (*data[1:3], 0, 0)[:2]
                clock.song_position(low | high << 7, at_s)

    def _lead(self, follower: _Follower, at_s: float) -> None:
        """The first lively one leads, until it falls silent."""
        if self._chosen is follower.clock:
            return
        leader = next((one for one in self._followers.values() if one.clock is self._chosen), None)
        if leader is None or at_s - leader.last_s > SILENT_S:
            self._choose(follower.clock)

    def gone(self, port: str, now: float) -> None:
        """The port was unplugged, or is heard elsewhere now: its clock stands, and another may lead."""
        follower = self._followers.get(port)
        if follower is not None:
            follower.clock.stop(now)
            follower.last_s = -math.inf

    def look(self, now: float) -> None:
        if isinstance(self._chosen, ClockFollower):
            self._chosen.lost(now)
        if self._link is not None and now >= self._link_at + LINK_EVERY_S:
            self._link.poll()
            self._link_at = now

    def next_at(self) -> float:
        """When `look` is due."""
        return self._link_at + LINK_EVERY_S if self._link is not None else math.inf

    # What hands do

    def start_for(self, bpm: float | None, at_s: float, now: float) -> None:
        """Something is to play. If it is our own clock that stands, it starts at `at_s`.

        It does so at the tempo `bpm`, if there is one and nobody has set another.
        """
        if isinstance(self._chosen, ClockFollower):
            if not self._silent(self._chosen, now) or self._setting != AUTO:
                return
            self._choose(self._free)
        if self._chosen.running:
            return
        if bpm and not self._tempo_is_given and self._chosen is self._free:
            self._set_tempo(self._free, bpm, now)
        if self._chosen is self._free:
            self._free.start(at_s)
        elif self._link is not None:
            self._link.start(at_s)

    def _silent(self, clock: ClockFollower, now: float) -> bool:
        follower = self._followers.get(clock.source)
        last_s = follower.last_s if follower else -math.inf
        return not clock.running and now - last_s > SILENT_S

    def transport(self, errand: Errand, beat: float | None, at_s: float, now: float) -> None:
        """At `at_s`; `beat` only moves our own clock, since that of others is where it is."""
        if isinstance(self._chosen, ClockFollower):
            if not self._silent(self._chosen, now):
                self._trouble(
                    f"The clock comes from “{self.source}”, so it is started and stopped there.", ""
                )
                return
            self._choose(self._free)
        own = self.own
        assert own is not None
        if beat is not None and self._chosen is self._free:
            self._free.locate(max(beat, 0.0), at_s)
        if errand == "stop":
            own.stop(at_s)
        elif errand == "start" and beat is None:
            own.start(at_s)
        else:
            own.go_on(at_s)

    def tap(self, at_s: float, now: float) -> None:
        bpm = self._tap.tap(at_s)
        if bpm is not None:
            self.set_tempo(bpm, now)

    def set_tempo(self, bpm: float, now: float) -> None:
        """Of our own clock, or of everybody's in Link."""
        self._tempo_is_given = True
        self._set_tempo(self._free, bpm, now)
        if self._link is not None:
            self._set_tempo(self._link, bpm, now)

    def _set_tempo(self, clock: OwnClock, bpm: float, now: float) -> None:
        try:
            clock.set_tempo(bpm, now)
        except ValueError as fault:
            self._trouble(f"{fault}.".capitalize(), "")

    # What is told

    def news(self, now: float, wall: Callable[[], float]) -> Iterator[ClockTold]:
        """What is to be told of the clock: starts, stops, jumps, another tempo, each bar."""
        last, running, bpm = self._last, self.running, self.bpm
        bar = math.floor(self.beat_at(now) / self._meter.beats_a_bar + _EPS) if running else -math.inf
        other = (last.source, last.running, last.jumps) != (self.source, running, self.jumps)
        faster = self._has_new_tempo() and now >= last.at_s + TEMPO_NEWS_EVERY_S
        if not other and not faster and bar == last.bar:
            return
        self._last = _Last(self.source, running, self.jumps, bpm, bar, now)
        yield ClockTold(self.source, running, bpm, self.beat_at(now), self._meter.name, wall())

    def next_news_at(self, now: float) -> float:
        """When there is something to tell again, if nothing else happens."""
        tempo_at = self._last.at_s + TEMPO_NEWS_EVERY_S if self._has_new_tempo() else math.inf
        if not self.running:
            return tempo_at
        bars = self._meter.beats_a_bar
        bar_at = self.time_of((math.floor(self.beat_at(now) / bars + _EPS) + 1) * bars)
        return min(tempo_at, max(bar_at, now + LEAST_S))

    def _has_new_tempo(self) -> bool:
        return abs(self.bpm - self._last.bpm) >= TEMPO_NEWS * self.bpm

    def _trouble(self, words: str, remedy: str) -> None:
        self._troubles.append(Trouble(words, remedy))

    def troubles(self) -> list[Trouble]:
        told, self._troubles = self._troubles, []
        return told
