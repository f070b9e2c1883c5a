"""Watches over child processes: one that ended by accident is started again, later each time it happens."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from bridge.clock import Clock

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
BACKOFF_S = (0.0, 1.0, 5.0, 30.0, 60.0)
GOOD_AFTER_S = 120.0
"""A child that has lived so long starts with a clean slate."""


class Child(Protocol):
    def crashed(self) -> bool:
        """It ended by accident and has not been started again."""
        ...

    def restart(self) -> None:
        """Starts it again. Quick; may raise."""
        ...


@dataclass
class _Record:
    crashes: int = 0
    restart_at: float | None = None
    last_restart: float = 0.0


class Supervisor:
    def __init__(self, children: Mapping[str, Child], clock: Clock) -> None:
        self._children = children
        self._clock = clock
        self._records = {name: _Record() for name in children}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def restarts(self) -> dict[str, int]:
        """For each child: how often it had to be started again lately."""
        return {name: record.crashes for name, record in self._records.items()}

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                self.look()
            except Exception:
                # Whoever watches over the others must not be the one that dies.
                log.exception("a look at the child processes failed")

    def look(self) -> None:
        """One look at all children; called every second by the supervisor's own thread."""
        now = self._clock.monotonic()
        for name, child in self._children.items():
            record = self._records[name]
            if not child.crashed():
                record.restart_at = None
                continue
            if record.restart_at is None:
                if now - record.last_restart > GOOD_AFTER_S:
                    record.crashes = 0
                wait_s = BACKOFF_S[min(record.crashes, len(BACKOFF_S) - 1)]
                record.crashes += 1
                record.restart_at = now + wait_s
                log.warning("%s ended by accident; it is started again in %g s", name, wait_s)
            if now >= record.restart_at:
                self._restart(name, child, record, now)

    def _restart(self, name: str, child: Child, record: _Record, now: float) -> None:
        record.restart_at = None
        record.last_restart = now
        try:
            child.restart()
        except Exception:
            log.exception("%s cannot be started", name)
