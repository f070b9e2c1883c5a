"""A MIDI process for a moment: for whoever wants to know what there is, or what comes in."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bridge.clock import SystemClock
from bridge.midi.child import MidiChild
from bridge.midi.messages import Command, Configure, Told


class Looking:
    """A process that is spoken to, and listened to, from one thread."""

    def __init__(self, settings: Configure, log_file: Path | None) -> None:
        self._told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self.child = MidiChild(lambda: settings, self._told.put, log_file, SystemClock())
        self.tell: Callable[[Command], None] = self.child.tell

    def next(self, timeout_s: float) -> Told | None:
        """What it tells next; None when it says nothing for so long."""
        try:
            return self._told.get(timeout=timeout_s)
        except queue.Empty:
            return None


@contextmanager
def looking(settings: Configure, log_file: Path | None = None) -> Iterator[Looking]:
    """Started with these settings; ended with the block. Raises OSError where it cannot be started."""
    process = Looking(settings, log_file)
    process.child.start()
    try:
        yield process
    finally:
        process.child.stop()
