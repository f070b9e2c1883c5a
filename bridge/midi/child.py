"""The daemon's end of the MIDI process: starts it, says and hears what is to be said, starts it again.

A process that has ended by accident is started by the supervisor; one that left because its MIDI server had
ended starts again at once. The next one is told what the last one knew: settings, connections, tempo, lights,
and what was armed or played (armed then). `process.py` is the other end.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from bridge import child_process
from bridge.clock import Clock
from bridge.midi import messages
from bridge.midi.messages import AGAIN_EXIT, Command, Told

log = logging.getLogger(__name__)

MODULE = "bridge.midi.process"
PING_EVERY_S, MISSED_PINGS = 0.5, 4
LONGEST_START_S = 20.0
STOP_WITHIN_S = 1.0
SHORT_LIFE_S, SHORT_LIVES = 1.0, 3
_NO_SERVER_OF_OURS = {"JACK_NO_START_SERVER": "1"}
_OVER = frozenset({"ended", "stopped", "failed"})


def midi_log(home: Path) -> Path:
    """Where the MIDI process of this BRIDGE_HOME writes what its libraries have to say."""
    return home / "logs" / "midi.log"


class Knowledge:
    """What the next process must be told. Pure."""

    def __init__(self) -> None:
        self._joined: messages.Joined | None = None
        self._plays: dict[str, messages.Play] = {}
        self._lights: dict[int, messages.Light] = {}
        self._tempo: messages.Tempo | None = None
        self._watch = messages.Watch(on=False)

    def said(self, command: Command) -> None:
        match command:
            case messages.Play():
                self._plays[command.id] = command
            case messages.Light():
                self._lights[command.pad] = command
            case messages.Tempo():
                self._tempo = command
            case messages.Watch():
                self._watch = command
            case messages.Configure():
                self._lights.clear()

    def heard(self, told: Told) -> None:
        match told:
            case messages.Joined():
                self._joined = told
            case messages.PlayTold() if told.state in _OVER:
                self._plays.pop(told.id, None)
            case messages.ClockTold(source=messages.INTERNAL) if told.running:
                self._tempo = messages.Tempo(told.bpm)

    def again(self) -> Iterator[Command]:
        """After the settings. What played is silenced first, whatever still sounds at the other ends."""
        if self._joined is not None:
            yield self._joined
        yield messages.Panic()
        if self._tempo is not None:
            yield self._tempo
        if self._watch.on:
            yield self._watch
        yield from self._lights.values()
        for play in self._plays.values():
            yield replace(play, armed=True)


class MidiChild:
    """All methods may be called from any thread. `on_told` is called from a thread of ours.

    `configure` gives the settings of now; it is asked at each start.
    """

    def __init__(
        self,
        configure: Callable[[], messages.Configure],
        on_told: Callable[[Told], None],
        log_file: Path | None,
        clock: Clock,
        *,
        module: str = MODULE,
    ) -> None:
        self._configure = configure
        self._on_told = on_told
        self._log_file = log_file
        self._clock = clock
        self._module = module
        self._lock = threading.RLock()
        self._life: _Life | None = None
        self._knowledge = Knowledge()
        self._stopped = False
        self._crashed = False
        self._started_at = 0.0
        self._short_lives = 0

    def start(self) -> None:
        """Raises OSError where no process can be started."""
        with self._lock:
            self._stopped = False
            self._begin([self._configure()])

    def restart(self) -> None:
        """Starts it again, with all that the last one knew. Raises OSError."""
        with self._lock:
            if not self._stopped and self._life is None:
                self._begin([self._configure(), *self._knowledge.again()])

    def stop(self) -> None:
        """Ends the process, all notes off; returns when it has ended."""
        with self._lock:
            self._stopped = True
            life = self._life
        if life is not None:
            life.stop()

    def tell(self, command: Command) -> None:
        """Never blocks, never raises: what cannot be said now is said to the next process, or is void."""
        with self._lock:
            self._knowledge.said(command)
            if self._life is not None:
                self._life.say(command)

    def reconfigure(self) -> None:
        """Tells the settings of now, after they have changed."""
        self.tell(self._configure())

    def crashed(self) -> bool:
        """True when the process ended by accident and has not been started again."""
        with self._lock:
            return self._crashed and self._life is None

    def alive(self) -> bool:
        with self._lock:
            return self._life is not None and self._life.process.poll() is None

    def pid(self) -> int | None:
        with self._lock:
            return self._life.process.pid if self._life else None

    def _begin(self, first: list[Command]) -> None:
        try:
            process = child_process.spawn(self._module, self._log_file, _NO_SERVER_OF_OURS)
        except OSError:
            self._crashed = True
            raise
        self._crashed = False
        self._started_at = self._clock.monotonic()
        self._life = _Life(process, self._heard, self._ended)
        for command in first:
            self._life.say(command)
        self._life.start()

    def _heard(self, told: Told) -> None:
        with self._lock:
            self._knowledge.heard(told)
        if not isinstance(told, messages.Joined):
            self._on_told(told)

    def _ended(self, life: _Life, exit_code: int) -> None:
        with self._lock:
            if self._life is not life:
                return
            self._life = None
            short = self._clock.monotonic() - self._started_at < SHORT_LIFE_S
            self._short_lives = self._short_lives + 1 if short else 0
            again = exit_code == AGAIN_EXIT and self._short_lives <= SHORT_LIVES and not self._stopped
            self._crashed = not self._stopped and not again
        if again:
            log.info("the MIDI server has ended; it is waited for")
            try:
                self.restart()
            except OSError:
                log.exception("the MIDI process cannot be started")
        elif self._crashed:
            log.warning("the MIDI process ended by accident (exit code %d)", exit_code)
            why = "The MIDI process ended by accident."
            self._on_told(
                messages.Ports("", why, "It is started again by itself; logs/midi.log may say more.")
            )


class _Life:
    """One process and its three threads: one says, one hears, one asks whether it is there."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        on_told: Callable[[Told], None],
        on_end: Callable[[_Life, int], None],
    ) -> None:
        self.process = process
        self._on_told = on_told
        self._on_end = on_end
        self._to_say: queue.SimpleQueue[Command | None] = queue.SimpleQueue()
        self._over = threading.Event()
        self._ponged = 0
        self._threads = [
            threading.Thread(target=work, name=f"midi-{name}", daemon=True)
            for name, work in (("writer", self._write), ("reader", self._read), ("pinger", self._ping))
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def say(self, command: Command) -> None:
        self._to_say.put(command)

    def stop(self) -> None:
        self._to_say.put(None)
        try:
            self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.warning("the MIDI process did not end in %g s; it is killed", STOP_WITHIN_S)
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _write(self) -> None:
        pipe = self.process.stdin
        assert pipe is not None
        # A process that has ended is noticed by the reader; here is nothing to be done.
        with contextlib.suppress(OSError, ValueError):
            while (command := self._to_say.get()) is not None:
                pipe.write(messages.packed(command))
                pipe.flush()
        with contextlib.suppress(OSError):
            pipe.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                self._receive(messages.unpacked(line))  # type: ignore[arg-type]
            except Exception:
                log.exception("a message of the MIDI process could not be handled: %r", line[:200])
        code = self.process.wait()
        self._over.set()
        self._to_say.put(None)
        self.process.stdout.close()
        self._on_end(self, code)

    def _receive(self, told: Told) -> None:
        if isinstance(told, messages.Pong):
            self._ponged = told.number
        else:
            self._on_told(told)

    def _ping(self) -> None:
        """Kills a process that does not answer. What counts is how often, not how long: computers sleep."""
        number = missed = 0
        patience = round(LONGEST_START_S / PING_EVERY_S)
        while not self._over.wait(PING_EVERY_S):
            if self._ponged == number and number:
                missed, patience = 0, MISSED_PINGS
            elif number:
                missed += 1
            if missed >= patience:
                log.warning("the MIDI process does not answer; it is killed")
                self.process.kill()
                return
            if not missed:
                number += 1
                self.say(messages.Ping(number))
