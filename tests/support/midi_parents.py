"""MIDI processes of tests, seen from the daemon's end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from bridge.clock import SystemClock
from bridge.midi import messages
from bridge.midi.child import MODULE, MidiChild
from bridge.midi.messages import Configure, Told
from support.polling import eventually

T = TypeVar("T")


class Ear:
    """What a child told, waited for in plain words."""

    def __init__(self, settings: Configure, log: Path | None, module: str = MODULE) -> None:
        self.settings = settings
        self.told: list[Told] = []
        self.on_told: Callable[[Told], None] = lambda _: None
        """Called at once with everything that is told."""
        self._lock = threading.Lock()
        self.child = MidiChild(lambda: self.settings, self._hear, log, SystemClock(), module=module)

    def _hear(self, told: Told) -> None:
        self.on_told(told)
        with self._lock:
            self.told.append(told)

    def all(self, kind: type[T]) -> list[T]:
        with self._lock:
            return [one for one in self.told if isinstance(one, kind)]

    def forget(self) -> None:
        with self._lock:
            self.told.clear()

    def waits_for(
        self, kind: type[T], which: Callable[[T], object] = lambda _: True, deadline_s: float = 10.0
    ) -> T:
        def look() -> T | None:
            return next((one for one in self.all(kind) if which(one)), None)

        return eventually(look, what=f"{kind.__name__}", deadline_s=deadline_s)

    def answers(self) -> bool:
        """Whether it takes commands and answers: asked by a measurement of a port that is not there."""
        before = len(self.all(messages.Measured))
        self.child.tell(messages.Measure("no such port", "no such port", 1))
        eventually(lambda: len(self.all(messages.Measured)) > before, what="an answer", deadline_s=10)
        return True

    def restart_after(self, pid: int | None) -> None:
        """As the supervisor does, once the process `pid` has ended; waits until another one runs."""

        def another() -> bool:
            if self.child.crashed():
                self.child.restart()
            return self.child.alive() and self.child.pid() != pid

        eventually(another, what="another process", deadline_s=15, every_s=0.02)


@contextmanager
def midi_child(
    settings: Configure | None = None, log: Path | None = None, module: str = MODULE
) -> Iterator[Ear]:
    ear = Ear(settings or Configure(), log, module)
    ear.child.start()
    try:
        yield ear
    finally:
        ear.child.stop()


def is_running(pid: int) -> bool:
    """Also False for one that has ended and that nobody has asked about yet."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
