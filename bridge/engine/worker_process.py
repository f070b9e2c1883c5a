"""The engine process: reads calls from its standard input, runs them, answers on its standard output.

Started by `Worker` as `python -m bridge.engine.worker_process`. Whatever a library prints goes to standard
error, which is the engine's log: the pipe carries messages only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import queue
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import psutil

from bridge.engine.tasks import TASKS, Task, TaskContext, load_ahead
from bridge.engine.worker import LANES, OUT_OF_MEMORY_EXIT
from bridge.errors import BridgeError, Cancelled, TryLater, WorkerError, WorkerOutOfMemory

WATCH_EVERY_S = 0.2
LOWEST_NICE = 19
PROGRESS_EVERY_S = 0.1
RESTING_TOLD_EVERY_S = 1.0
PAUSED_LOOK_S = 0.1
NO_ROOM_S = 10.0


class Answers:
    """The way back to the daemon. One line a message, whole."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            self._stream.write(json.dumps(message).encode() + b"\n")
            self._stream.flush()


class LaneRunner(threading.Thread):
    """Runs the calls of one lane, one after the other."""

    def __init__(
        self, lane: str, answers: Answers, woken: threading.Event, threads: int, tasks: Mapping[str, Task]
    ) -> None:
        super().__init__(name=f"lane-{lane}", daemon=True)
        self.calls: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self.cancelled: set[int] = set()
        self.last_work = time.monotonic()
        self.busy = False
        self._answers = answers
        self._woken = woken
        self._threads = threads
        self._tasks = tasks
        self._going = threading.Event()
        self._going.set()

    def pause(self, *, on: bool) -> None:
        """What it does rests at its next `check`."""
        if on:
            self._going.clear()
        else:
            self._going.set()

    def run(self) -> None:
        while True:
            message = self.calls.get()
            self.busy = True
            self._woken.set()
            self._answers.send({"id": message["id"], **self._outcome(message)})
            self.last_work = time.monotonic()
            self.busy = False

    def _outcome(self, message: Mapping[str, Any]) -> dict[str, Any]:
        try:
            task, context = self._tasks[message["task"]], self._context(message["id"])
            context.check()
            return {"result": task(message["arguments"], context)}
        except MemoryError:
            error: BridgeError = WorkerOutOfMemory(
                "there was not enough memory for this.", remedy="Bounce a shorter piece."
            )
        except BridgeError as known:
            error = known
        except OSError as trouble:
            error = _of_disk(trouble)
        except Exception as unforeseen:  # noqa: BLE001  whatever happens, the daemon gets an answer
            error = _unforeseen(unforeseen)
        return {"error": error.to_json()}

    def _context(self, call_id: int) -> TaskContext:
        report = self._progress(call_id)
        return TaskContext(
            threads=self._threads,
            progress=report,
            check=lambda: self._check(call_id, report),
        )

    def _check(self, call_id: int, report: Report) -> None:
        while not self._going.is_set() and call_id not in self.cancelled:
            report.rest()
            self._going.wait(PAUSED_LOOK_S)
        if call_id in self.cancelled:
            self.cancelled.discard(call_id)
            raise Cancelled("cancelled.")

    def _progress(self, call_id: int) -> Report:
        return Report(lambda words: self._answers.send({"id": call_id, **words}))


class Report:
    """Tells how far a call is, not more often than anybody can read."""

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._told_at = 0.0
        self._fraction = 0.0

    def __call__(self, fraction: float, doing: str) -> None:
        self._fraction = round(fraction, 4)
        if time.monotonic() - self._told_at >= PROGRESS_EVERY_S:
            self._told_at = time.monotonic()
            self._send({"fraction": self._fraction, "doing": doing})

    def rest(self) -> None:
        """It goes on later, from where it is."""
        if time.monotonic() - self._told_at >= RESTING_TOLD_EVERY_S or not self._told_at:
            self._told_at = time.monotonic()
            self._send({"fraction": self._fraction, "doing": "paused"})


def _of_disk(trouble: OSError) -> BridgeError:
    if trouble.errno in (errno.ENOSPC, errno.EDQUOT):
        return TryLater(
            "the disk is full, so the engine has no room to work.",
            wait_s=NO_ROOM_S,
            remedy="Make room; it is tried again by itself.",
        )
    return _unforeseen(trouble)


def _unforeseen(error: Exception) -> BridgeError:
    traceback.print_exception(error)
    return WorkerError(
        f"the engine failed: {type(error).__name__}: {error}.",
        remedy="logs/engine.log says where; please report it.",
    )


def _watch(
    lanes: Mapping[str, LaneRunner], woken: threading.Event, *, memory_mb: int, idle_exit_s: float
) -> None:
    """Ends the process when it is too large or has been idle for long. Runs for ever otherwise."""
    process = psutil.Process()
    while True:
        if any(lane.busy for lane in lanes.values()):
            time.sleep(WATCH_EVERY_S)
        else:
            woken.wait(1.0)  # Work that begins is watched from its beginning.
            woken.clear()
        if memory_mb and process.memory_info().rss > memory_mb * 2**20:
            os._exit(OUT_OF_MEMORY_EXIT)
        idle_since = max(lane.last_work for lane in lanes.values())
        busy = any(lane.busy or not lane.calls.empty() for lane in lanes.values())
        if idle_exit_s and not busy and time.monotonic() - idle_since > idle_exit_s:
            os._exit(0)


def _lower_priority() -> None:
    """Threads that come later inherit it."""
    with contextlib.suppress(AttributeError, OSError):
        # Linux: whoever else wants this core has it at once. A nice value only makes the share smaller, and
        # a client of JACK without real-time rights then waits for milliseconds.
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(psutil.Error, OSError):
        idle = getattr(psutil, "IDLE_PRIORITY_CLASS", None)  # Windows only
        psutil.Process().nice(LOWEST_NICE if idle is None else idle)


def _private_stdout() -> BinaryIO:
    """The pipe to the daemon, with file descriptor 1 turned into standard error for everybody else."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return answers


def main(tasks: Mapping[str, Task], load_ahead: Callable[[], None]) -> None:
    """Runs until the pipe closes; `load_ahead` imports what is slow while the daemon may still start."""
    answers = Answers(_private_stdout())
    load_ahead()
    options = json.loads(sys.stdin.buffer.readline() or b'{"options": {}}')["options"]
    if options.get("low_priority"):
        _lower_priority()
    woken, threads = threading.Event(), options.get("threads", 1)
    lanes = {lane: LaneRunner(lane, answers, woken, threads, tasks) for lane in LANES}
    for lane in lanes.values():
        lane.start()
    limits = {name: options.get(name, 0) for name in ("memory_mb", "idle_exit_s")}
    threading.Thread(target=_watch, args=(lanes, woken), kwargs=limits, daemon=True).start()
    for line in sys.stdin.buffer:
        message = json.loads(line)
        if "cancel" in message:
            for lane in lanes.values():
                lane.cancelled.add(message["cancel"])
        elif "pause" in message:
            lanes["main"].pause(on=message["pause"])
        else:
            lanes[message["lane"]].calls.put(message)
    # End of file: the daemon is gone, and nobody waits for an answer any more.
    os._exit(0)


if __name__ == "__main__":
    main(TASKS, load_ahead)
