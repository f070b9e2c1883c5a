"""Reads the files of playings in a thread of its own, so that the loop never waits for one.

What belongs to playings goes this way in its order (`Begin` after its `Play`); everything else overtakes it.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from pathlib import Path

from bridge.midi.messages import Begin, Command, Halt, Loop, Panic, Play, PlayTold
from bridge.midi.sequence import Sequence

log = logging.getLogger(__name__)

Loaded = tuple[Play, Sequence]
Ready = Callable[[Command | Loaded], None]
_IN_ORDER = (Play, Begin, Halt, Loop)


class Loader:
    """`ready` gets every command, a `Play` with its song; `fail` what became of one that cannot be read."""

    def __init__(self, ready: Ready, fail: Callable[[PlayTold], None]) -> None:
        self._ready = ready
        self._fail = fail
        self._waiting: queue.SimpleQueue[tuple[int, Command | None]] = queue.SimpleQueue()
        self._generation = 0
        self._thread = threading.Thread(target=self._run, name="loader", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What has come before is still done."""
        self._waiting.put((self._generation, None))
        self._thread.join()

    def take(self, command: Command) -> None:
        if isinstance(command, _IN_ORDER):
            self._waiting.put((self._generation, command))
            return
        if isinstance(command, Panic):
            # What was ordered before a panic and is not read yet must not begin after it.
            self._generation += 1
        self._ready(command)

    def _run(self) -> None:
        while True:
            generation, command = self._waiting.get()
            if command is None:
                return
            try:
                self._load(generation, command)
            except Exception:
                log.exception("%s could not be done", command)

    def _load(self, generation: int, command: Command) -> None:
        if not isinstance(command, Play):
            if generation == self._generation:
                self._ready(command)
            return
        try:
            sequence = Sequence.read(Path(command.path).read_bytes(), Path(command.path).name)
            song = sequence.arranged(command.transpose, command.channels)
        except (OSError, ValueError) as fault:
            self._fail(PlayTold(command.id, "failed", _plain(fault, command.path)))
            return
        if generation == self._generation:
            self._ready((command, song))
        else:
            self._fail(PlayTold(command.id, "stopped"))


def _plain(fault: OSError | ValueError, path: str) -> str:
    if isinstance(fault, OSError):
        return f"{Path(path).name} cannot be read: {fault.strerror or fault}"
    return str(fault)
