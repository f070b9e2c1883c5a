"""The MIDI process's one loop, as a step: takes what came in, advances clock and playings, sends what is due.

Pure: ports and time are given. Whoever calls `step` sleeps until the time that it returns, or until something
comes in. Nothing raises but `SystemEnded`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from bridge.midi import messages, port_names
from bridge.midi.board import OPENED_ANEW, OWN, Board, Incoming
from bridge.midi.clock_choice import CLOCK_BYTES, Clocks
from bridge.midi.clock_sending import BEFORE_THE_TICK_S, Leader
from bridge.midi.control import Control
from bridge.midi.lights import Lights
from bridge.midi.measuring import Measuring
from bridge.midi.messages import Configure, Pressed, Told, Trouble
from bridge.midi.outbox import Outbox
from bridge.midi.player import Player
from bridge.midi.sequence import Sequence
from bridge.midi.through import Through
from bridge.midi.timing import Cut

log = logging.getLogger(__name__)

HORIZON_S = 0.005
"""So far ahead playings are worked out: enough to wake up in time, short enough for tempo changes."""
GRAIN_S = 1e-6
"""Sums of times are only so exact: who wakes up for something must find it due."""
POLL_S, POLL_WHILE_S = 0.001, ((2.0, 0.001), (60.0, 0.003), (math.inf, 0.006))
"""How often inputs are asked: while something plays; else by how long ago anything came in."""
RESET_AFTER_S = 0.05
"""A connection that was just made again takes a period of the system until something gets through."""
NOTHING_TO_TELL = frozenset({0xF8, 0xFE})
CLOCK = "clock"
THROUGH = "through/"


class Heart:
    """`say` is told what happens; `wall` gives seconds since 1970; `link` makes the Link clock."""

    def __init__(
        self,
        board: Board,
        say: Callable[[Told], None],
        wall: Callable[[], float],
        link: Callable[[float, float], Any],
    ) -> None:
        self._board = board
        self._say = say
        self._wall = wall
        self._wanted = Configure()
        self._clocks = Clocks(link)
        self._leader = Leader()
        self._outbox = Outbox(board)
        self._player = Player(self._clocks.meter.beats_a_bar)
        self._control = Control(())
        self._lights = Lights(())
        self._through = Through()
        self._measuring: Measuring | None = None
        self._watching = False
        self._heard_at = -math.inf
        self._told_ports: messages.Ports | None = None
        self._touched = False
        self._due_at = self._lights_at = -math.inf
        self._lights_jumps = 0
        self._commands: dict[type, Callable[[Any, float], None]] = {
            messages.Configure: self._configure,
            messages.Begin: self._begin,
            messages.Halt: self._halt,
            messages.Loop: self._loop,
            messages.Panic: lambda _, now: self._panic(now),
            messages.Tap: self._tap,
            messages.Tempo: lambda command, now: self._clocks.set_tempo(command.bpm, now),
            messages.Transport: self._transport,
            messages.Light: self._light,
            messages.Watch: self._watch,
            messages.Measure: self._measure,
            messages.Ping: lambda command, _: self._say(messages.Pong(command.number)),
            messages.Joined: self._board.join,
        }

    # Commands

    def take(self, command: messages.Command, now: float) -> None:
        """Any command but `Play`, whose file somebody else reads."""
        self._touched = True
        self._commands[type(command)](command, now)

    def play(self, order: messages.Play, sequence: Sequence, now: float) -> None:
        self._touched = True
        if order.port != OWN and not self._board.targets(order.port):
            self._trouble(f"There is no port “{order.port}” to play to now.", "`bridge ports` lists them.")
        if not order.armed:
            self._start_clock(sequence.bpm, now)
        self._player.add(order, sequence, self._clocks, now)

    def _start_clock(self, bpm: float | None, now: float) -> None:
        self._clocks.start_for(bpm, self._soonest(now), now)

    def _soonest(self, now: float) -> float:
        """When our own clock may start, so that everybody gets what belongs to its first beat in time."""
        return now + self._outbox.ahead_s() + (BEFORE_THE_TICK_S if self._wanted.clock_to else 0.0)

    def _configure(self, wanted: Configure, now: float) -> None:
        before, self._wanted = self._wanted, wanted
        if any(getattr(before, name) != getattr(wanted, name) for name in OPENED_ANEW):
            self._outbox.silence_all(now)
        self._outbox.configure(wanted.latency_ms)
        self._clocks.configure(wanted, now)
        self._player.beats_a_bar = self._clocks.meter.beats_a_bar
        if (before.pads, before.controller) != (wanted.pads, wanted.controller):
            self._map(wanted, now)
        self._board.configure(wanted)
        self._look(now)

    def _map(self, wanted: Configure, now: float) -> None:
        for port, data in self._lights.farewell():
            self._board.send(port, data, now)
        try:
            self._control = Control(wanted.pads)
            self._lights = Lights(wanted.pads, wanted.controller)
        except ValueError as fault:
            self._trouble(f"A mapping cannot be: {fault}.", "Mend [[pads]] in config.toml.")

    def _begin(self, command: messages.Begin, now: float) -> None:
        self._start_clock(None, now)
        self._player.begin(command, self._clocks, now)

    def _halt(self, command: messages.Halt, now: float) -> None:
        self._player.halt(command.id, now)

    def _loop(self, command: messages.Loop, _now: float) -> None:
        self._player.loop(command.id, command.on)

    def _tap(self, command: messages.Tap, now: float) -> None:
        self._clocks.tap(now if command.at_s is None else command.at_s, now)

    def _transport(self, command: messages.Transport, now: float) -> None:
        at_s = now if command.errand == "stop" else self._soonest(now)
        self._clocks.transport(command.errand, command.beat, at_s, now)

    def _panic(self, now: float) -> None:
        self._player.halt("", now)
        self._emit(now)
        self._outbox.silence_all(now, self._outputs())
        for port in self._outputs():  # where lights are among what was silenced
            self._lights.connected(port)
        self._lights_at = -math.inf

    def _light(self, command: messages.Light, now: float) -> None:
        self._lights.set(command.pad, command.state)
        self._lights_at = min(self._lights_at, now)

    def _watch(self, command: messages.Watch, _now: float) -> None:
        self._watching = command.on

    def _measure(self, command: messages.Measure, now: float) -> None:
        state = self._board.state()
        outputs = self._board.targets(command.output)
        own_input = [self._board.virtual_input()] if self._board.virtual_input() else []
        inputs = port_names.matching([*state.inputs, *own_input], [command.input])
        missing = command.output if not outputs else command.input if not inputs else ""
        if missing:
            self._say(messages.Measured(command.output, command.input, why=f"there is no port “{missing}”"))
            return
        self._measuring = Measuring(outputs[0], inputs[0], command.count)
        self._look(now)

    # The step

    def step(self, now: float) -> float:
        """Does all that is to be done at `now`; returns when there is something again."""
        self._outbox.flush(now)
        incoming = self._board.heard(now)
        look_at = self._board.next_look_at()
        if incoming or self._touched or now >= min(self._due_at, look_at):
            self._touched = False
            self._act(incoming, now)
        return min(self._outbox.next_at(), self._due_at, look_at, self._poll_at(now))

    def _act(self, incoming: Iterable[Incoming], now: float) -> None:
        if now >= self._board.next_look_at():
            self._look(now)
        for one in incoming:
            self._hear(one)
        self._press(self._control.due(now))
        self._clocks.look(now)
        self._emit(now)
        self._lead(now)
        self._measure_on(now)
        self._light_up(now)
        self._outbox.flush(now)
        self._tell(now)
        self._due_at = self._next_at(now)

    def _emit(self, now: float) -> None:
        until = now + self._outbox.ahead_s() + HORIZON_S + GRAIN_S
        for emission in self._player.advance(self._clocks, now, until):
            self._outbox.add(emission)

    def _lead(self, now: float) -> None:
        """Sends our clock to those who shall follow it."""
        if not self._wanted.clock_to:
            return
        anew, due = self._leader.due(self._clocks, now, now + self._outbox.ahead_s() + HORIZON_S)
        if anew:
            self._outbox.cut(Cut(now, CLOCK))
        ports = dict.fromkeys(port for name in self._wanted.clock_to for port in self._board.targets(name))
        for at_s, data in due:
            for port in ports:
                self._outbox.put(at_s, CLOCK, port, data)

    def _measure_on(self, now: float) -> None:
        if self._measuring is None:
            return
        probe = self._measuring.due(now)
        if probe is not None:
            self._board.send(self._measuring.output, probe, now)
        if self._measuring.is_over():
            self._say(self._measuring.result())
            self._measuring = None
            self._look(now)

    def _light_up(self, now: float) -> None:
        if now < self._lights_at and self._clocks.jumps == self._lights_jumps:
            return
        self._lights_jumps = self._clocks.jumps
        for port, data in self._lights.due(self._clocks, now):
            self._board.send(port, data, now)  # a lit pad is no note that must be ended
        self._lights_at = self._lights.next_at(self._clocks, now)

    def _next_at(self, now: float) -> float:
        """When something is due by itself, besides what the outbox holds and looks at ports."""
        ahead_s = self._outbox.ahead_s() + HORIZON_S
        sends_clock = self._wanted.clock_to and self._clocks.own is not None and self._clocks.running
        return min(
            self._player.next_at(self._clocks, now) - ahead_s,
            self._control.next_at(),
            self._lights_at,
            self._clocks.next_at(),
            self._clocks.next_news_at(now),
            self._measuring.next_at() if self._measuring else math.inf,
            now + HORIZON_S / 2 if sends_clock else math.inf,
        )

    def _poll_at(self, now: float) -> float:
        """When inputs must be asked again, where nobody wakes us up."""
        if not self._board.polled():
            return math.inf
        if self._clocks.running or self._outbox.next_at() < math.inf:
            return now + POLL_S
        quiet_s = now - self._heard_at
        return now + next(poll_s for until_s, poll_s in POLL_WHILE_S if quiet_s <= until_s)

    # What comes in

    def _hear(self, incoming: Incoming) -> None:
        port, data, at_s = incoming.port, incoming.data, incoming.at_s
        if not data:
            return
        self._heard_at = at_s
        if self._measuring is not None and self._measuring.heard(port, data, at_s):
            return
        if self._watching and data[0] not in NOTHING_TO_TELL:
            self._say(messages.Heard(port, data, at_s))
        if data[0] in CLOCK_BYTES:
            self._clocks.heard(port, data, at_s)
            return
        verdict = self._control.heard(port, data, at_s)
        self._press(verdict.pressed)
        through = self._board.through()
        from_hands = not verdict.swallowed and port != self._board.virtual_input()
        if through and from_hands and self._through.passes(port, data, at_s):
            self._outbox.put(at_s, f"{THROUGH}{port}", through, data)

    def _press(self, pressed: Iterable[Pressed]) -> None:
        for one in pressed:
            self._say(one)

    # Ports

    def _look(self, now: float) -> None:
        before = self._board.state()
        self._board.look(now)
        measured = [self._measuring.input] if self._measuring else []
        if self._board.also(inputs=measured, outputs=self._paired(self._board.state())):
            self._board.look(now)
        after = self._board.state()
        self._clocks.grid_s = self._board.grid_s()
        for port in set(before.listening) - set(after.listening):
            self._unplugged(port, now)
        for port in set(before.playing_to) - set(after.playing_to):
            self._outbox.gone(port)
        self._greet(after, now)
        told = self._without_lights(after)
        if told != self._told_ports:
            self._told_ports = told
            self._say(told)
        joined = self._board.joined()
        if joined is not None:
            self._say(joined)

    def _without_lights(self, state: messages.Ports) -> messages.Ports:
        """As it is told: a port that only carries lights is none that is played to."""
        meant = {*self._board.targets(OWN), *port_names.matching(state.playing_to, self._wanted.clock_to)}
        lights = set(self._paired(state)) - meant
        return replace(state, playing_to=tuple(name for name in state.playing_to if name not in lights))

    def _paired(self, state: messages.Ports) -> tuple[str, ...]:
        """The outputs that carry lights."""
        try:
            return self._lights.pair(state.listening, state.outputs)
        except (ValueError, OSError) as fault:
            self._lights = Lights(self._wanted.pads, "none")
            self._trouble(f"The controller's file cannot be read: {fault}.", "Mend midi.controller.")
            return ()

    def _unplugged(self, port: str, now: float) -> None:
        self._control.gone(port)
        self._clocks.gone(port, now)
        if self._board.through():
            self._outbox.cut(Cut(now, f"{THROUGH}{port}"))

    def _greet(self, state: messages.Ports, now: float) -> None:
        """Ports that are new, or connected again: they may sound from before; lights know nothing yet."""
        for port in self._board.renewed():
            if port in state.virtual or self._outbox.is_stale(port):
                self._outbox.reset(port, now + RESET_AFTER_S)
            self._lights.connected(port)
            self._lights_at = -math.inf

    def _outputs(self) -> list[str]:
        """What may sound. A port that only carries lights is no such one: silencing would put them out."""
        return [*self._board.targets(OWN), *filter(None, [self._board.through()])]

    # What is told

    def _tell(self, now: float) -> None:
        for told in self._player.told():
            self._say(told)
        for clock in self._clocks.news(now, self._wall):
            self._say(clock)
        for trouble in (*self._board.troubles(), *self._clocks.troubles()):
            self._say(trouble)

    def _trouble(self, words: str, remedy: str) -> None:
        log.warning("%s %s", words, remedy)
        self._say(Trouble(words, remedy))

    # The end

    def close(self, now: float) -> None:
        """Everything is silent, lights are out; ports are still open, so that it gets through."""
        for port, data in self._lights.farewell():
            self._board.send(port, data, now)
        self._outbox.silence_all(now, self._outputs())
