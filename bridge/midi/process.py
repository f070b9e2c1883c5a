"""The MIDI process: reads commands from its standard input, owns all ports, tells on its standard output.

Started by `MidiChild` as `python -m bridge.midi.process`. One thread, the loop, does everything with ports;
the others only put things into its inbox, read files, or write. End of file on the input: all notes off, and
the end.
"""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

from bridge.child_process import MAX_LOG_BYTES
from bridge.midi import messages
from bridge.midi.board import Board, SystemEnded
from bridge.midi.heart import Heart
from bridge.midi.loading import Loaded, Loader
from bridge.midi.messages import AGAIN_EXIT, Command, Told, Trouble
from bridge.midi.port_board import SystemBoard
from bridge.midi.ports import System, open_system
from bridge.midi.priority import raise_priority

log = logging.getLogger("bridge.midi.process")

FAILED_EXIT = 1
ASK_FOR_THE_GIL_S = 0.0005
FROZEN_S, GUARD_EVERY_S = 4.0, 1.0
LEAVE_WITHIN_S = 0.9
FINE_S = 0.002 if sys.platform == "win32" else 0.0
"""The last bit of a wait is slept, where waiting for the inbox is only as exact as the system's tick."""

Item = Command | Loaded | None
"""What comes into the inbox; None only wakes the loop up."""


class _Quit:
    """Comes into the inbox last."""


class Speaker:
    """The way back to the daemon: a thread writes, so that a daemon that does not read holds nothing up."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._waiting: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="speaker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def say(self, told: Told) -> None:
        self._waiting.put(told)

    def finish(self, within_s: float) -> None:
        self._waiting.put(None)
        self._thread.join(within_s)

    def _run(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            while (told := self._waiting.get()) is not None:
                self._stream.write(messages.packed(told))
                if self._waiting.empty():
                    self._stream.flush()


class Loop:
    """Sleeps until something is due or comes in, and lets the heart beat. `guard` is called every second."""

    def __init__(
        self,
        heart: Heart,
        board: Board,
        inbox: queue.SimpleQueue[Any],
        say: Callable[[Told], None],
        *,
        guard: Callable[[], None] = lambda: None,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._heart = heart
        self._board = board
        self._inbox = inbox
        self._say = say
        self._guard = guard
        self._now = now
        self._guarded_at = 0.0

    def run(self) -> int:
        """Runs until the end; returns the exit code."""
        try:
            self._beat()
            self._heart.close(self._now())
            self._board.close()
        except SystemEnded:
            return AGAIN_EXIT
        except Exception:
            log.exception("the MIDI process failed")
            with contextlib.suppress(Exception):
                self._heart.close(self._now())
                self._board.close()
            return FAILED_EXIT
        return 0

    def _beat(self) -> None:
        wake_at = 0.0
        while self._take_in(wake_at):
            now = self._now()
            if now >= self._guarded_at + GUARD_EVERY_S:
                self._guarded_at = now
                self._guard()
            wake_at = self._heart.step(self._now())

    def _take_in(self, wake_at: float) -> bool:
        """Waits, then takes in everything that has come. False at the end."""
        wait_s = min(wake_at - self._now(), GUARD_EVERY_S)
        try:
            item = self._inbox.get(timeout=wait_s - FINE_S) if wait_s > FINE_S else self._inbox.get_nowait()
        except queue.Empty:
            if FINE_S and wait_s < GUARD_EVERY_S:
                time.sleep(max(0.0, wake_at - self._now()))
            return True
        while True:
            if isinstance(item, _Quit):
                return False
            if item is not None:
                self._take(item)
            try:
                item = self._inbox.get_nowait()
            except queue.Empty:
                return True

    def _take(self, item: Command | Loaded) -> None:
        try:
            if isinstance(item, tuple):
                self._heart.play(*item, self._now())
            else:
                self._heart.take(item, self._now())
        except (SystemEnded, MemoryError):
            raise
        except Exception as fault:
            log.exception("%s could not be done", item)
            self._say(
                Trouble(f"MIDI could not do that: {fault}.", "logs/midi.log says where; please report it.")
            )


def _guard() -> None:
    """Should the loop ever stand still, as in RtMidi when a server is dead, the process ends itself."""
    faulthandler.dump_traceback_later(FROZEN_S, exit=True)
    with contextlib.suppress(OSError):
        if os.fstat(2).st_size > MAX_LOG_BYTES:
            os.ftruncate(2, 0)


def _open(wanted: messages.Configure, wake: Callable[[], None]) -> tuple[System | None, str]:
    return open_system(wanted.backend, wanted.port, wake, frame_exact=wanted.frame_exact)


def _link(bpm: float, quantum: float) -> Any:
    from bridge.midi.link import LinkClock

    return LinkClock(bpm, quantum)


def _read(stream: BinaryIO, loader: Loader, quit_now: Callable[[], None]) -> None:
    """The reader thread: commands, until the daemon has closed its end or is gone."""
    for line in stream:
        try:
            loader.take(messages.unpacked(line))  # type: ignore[arg-type]
        except ValueError:
            log.exception("a message could not be read")
    quit_now()


def _leave_in_time() -> None:
    """Whatever hangs: nobody waits for us any more."""
    late = threading.Timer(LEAVE_WITHIN_S, os._exit, (0,))
    late.daemon = True
    late.start()


def _private_stdout() -> BinaryIO:
    """The pipe to the daemon, with file descriptor 1 turned into standard error for everybody else."""
    told = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return told


def _catch_signals(quit_now: Callable[[], None]) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), lambda *_: quit_now())


def main() -> int:
    speaker = Speaker(_private_stdout())
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    board = SystemBoard(_open, lambda: inbox.put(None), sys.platform)
    heart = Heart(board, speaker.say, time.time, _link)

    def quit_now() -> None:
        inbox.put(_Quit())
        _leave_in_time()

    _catch_signals(quit_now)
    loader = Loader(inbox.put, speaker.say)
    loader.start()
    # Threads that start from here on are as important as this one; reading files is not.
    log.info("the MIDI loop runs at %s", raise_priority())
    speaker.start()
    reader = (sys.stdin.buffer, loader, quit_now)
    threading.Thread(target=_read, args=reader, name="reader", daemon=True).start()
    sys.setswitchinterval(ASK_FOR_THE_GIL_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1000)  # a collection of everything would be heard
    code = Loop(heart, board, inbox, speaker.say, guard=_guard).run()
    speaker.finish(0.2)
    return code


if __name__ == "__main__":
    exit_code = main()
    sys.stderr.flush()
    # Objects of a dead MIDI server must not be cleaned up, and there is nothing else to clean up.
    os._exit(exit_code)
