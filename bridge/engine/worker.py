"""`Worker`: an engine process with a pipe. Work in, progress and results out.

The process is spawned, never forked, and runs at low priority: the DAW comes first. It has two lanes, so
that looking at a fresh bounce (quick lane) never waits for a long conversion (main lane), which can be told
to pause. Cancelling is cooperative; a second later the process is killed. It leaves when it had nothing to
do for long, when its memory grows beyond the cap, and when the pipe closes: so it ends with the daemon even
after `kill -9`.

Messages are JSON, one a line; `worker_process.py` is the other end.
"""

from __future__ import annotations

import contextlib
import json
import logging
import subprocess
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bridge import child_process
from bridge.errors import Cancelled, WorkerDied, WorkerError, WorkerOutOfMemory, from_json

log = logging.getLogger(__name__)

Lane = Literal["quick", "main"]
LANES: tuple[Lane, ...] = ("quick", "main")
OUT_OF_MEMORY_EXIT = 70
KILL_AFTER_S = 1.0
_MANNERS = {
    "ORT_LOGGING_LEVEL": "3",
    # Numerical libraries take every core there is, and wait by spinning. The networks' threads are counted.
    **dict.fromkeys(
        ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
    ),
}
MODULE = "bridge.engine.worker_process"


@dataclass(frozen=True)
class WorkerOptions:
    """How the process is run. `memory_mb` caps its resident memory; `idle_exit_s` 0 means it never leaves."""

    threads: int = 1
    memory_mb: int = 1500
    idle_exit_s: float = 1800.0
    low_priority: bool = True
    log_file: Path | None = None


OPTIONS_TOLD = ("threads", "memory_mb", "idle_exit_s", "low_priority")
"""Options that the process is told in its first message."""


def engine_log(home: Path) -> Path:
    """Where the engine of this BRIDGE_HOME writes what its libraries have to say."""
    return home / "logs" / "engine.log"


def spawn(log_file: Path | None, module: str = MODULE) -> subprocess.Popen[bytes]:
    """Starts an engine process, which loads while its `Worker` is still being made; it ends with its pipe."""
    return child_process.spawn(module, log_file, _MANNERS)


@dataclass(eq=False)
class Call:
    """One piece of work: its `future` ends with the task's result or with a BridgeError."""

    id: int
    task: str
    arguments: Mapping[str, Any]
    lane: Lane
    on_progress: Callable[[float, str], None] | None
    future: Future[Any] = field(default_factory=Future)
    cancelled: bool = False


Lost = list[tuple[Call, Exception]]
"""Calls that nobody will do, and why."""


class Worker:
    """One engine process, started when there is work and started again when it has died.

    `process` is one that `spawn` has started ahead.

    All methods may be called from any thread. Newest work first within a lane.
    """

    def __init__(
        self,
        name: str,
        options: WorkerOptions,
        *,
        module: str = MODULE,
        process: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.name = name
        self._options = options
        self._module = module
        self._lock = threading.RLock()
        self._process: subprocess.Popen[bytes] | None = None
        self._waiting: dict[Lane, list[Call]] = {lane: [] for lane in LANES}
        self._running: dict[Lane, Call | None] = dict.fromkeys(LANES)
        self._ids = 0
        self._stopped = False
        self._crashed = False
        self._paused = False
        self._reader: threading.Thread | None = None
        if process is not None:
            self._adopt(process)

    # What others ask

    def call(
        self,
        task: str,
        arguments: Mapping[str, Any],
        *,
        lane: Lane = "main",
        on_progress: Callable[[float, str], None] | None = None,
    ) -> Call:
        """Puts work into a lane. The call's future raises what the task raised, WorkerDied or Cancelled."""
        with self._lock:
            self._ids += 1
            call = Call(self._ids, task, arguments, lane, on_progress)
            if self._stopped:
                call.future.set_exception(WorkerError("the engine is being stopped."))
                return call
            self._waiting[lane].append(call)
            unable = self._feed()
        _fail_each(unable)
        return call

    def cancel(self, call: Call) -> None:
        """Takes the work back: at once when it has not begun, else cooperatively, after 1 s by a kill."""
        with self._lock:
            call.cancelled = True
            if call in self._waiting[call.lane]:
                self._waiting[call.lane].remove(call)
                _fail(call, Cancelled("cancelled."))
            elif self._running[call.lane] is call:
                self._send({"cancel": call.id})
                timer = threading.Timer(KILL_AFTER_S, self._kill_if_running, (call,))
                timer.daemon = True
                timer.start()
                call.future.add_done_callback(lambda _: timer.cancel())

    @property
    def paused(self) -> bool:
        return self._paused

    def pause(self, *, on: bool) -> None:
        """Lets the work of the main lane rest where it is, or go on; also what comes, until it goes on."""
        with self._lock:
            self._paused = on
            if self._process is not None:
                self._send({"pause": on})

    def crashed(self) -> bool:
        """True when the process ended by accident and has not been started again."""
        with self._lock:
            return self._crashed and self._process is None

    def alive(self) -> bool:
        with self._lock:
            return self._process is not None and self._process.poll() is None

    def pid(self) -> int | None:
        with self._lock:
            return self._process.pid if self._process else None

    def stop(self) -> None:
        """Ends the process and fails all that was still waiting; returns when it has ended."""
        with self._lock:
            self._stopped = True
            process, reader = self._process, self._reader
            waiting = self._take_waiting()
        for call in waiting:
            _fail(call, Cancelled("the engine is being stopped."))
        if process is not None:
            process.kill()
            process.wait()
        if reader is not None and reader is not threading.current_thread():
            reader.join()

    # The process

    def _feed(self) -> Lost:
        """Gives idle lanes their next call. What comes back must be failed, outside the lock."""
        if self._process is None and any(self._waiting.values()):
            try:
                self._adopt(spawn(self._options.log_file, self._module))
            except OSError as error:
                self._crashed = True
                why = WorkerDied(f"the engine cannot be started: {error}.", remedy="Run `bridge doctor`.")
                return [(call, why) for call in self._take_waiting()]
        for lane in LANES:
            if self._running[lane] is None and self._waiting[lane]:
                call = self._running[lane] = self._waiting[lane].pop()
                self._send(
                    {"id": call.id, "lane": lane, "task": call.task, "arguments": dict(call.arguments)}
                )
        return []

    def _take_waiting(self) -> list[Call]:
        waiting = [call for lane in LANES for call in self._waiting[lane]]
        for lane in LANES:
            self._waiting[lane].clear()
        return waiting

    def _adopt(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        options = {name: getattr(self._options, name) for name in OPTIONS_TOLD}
        self._send({"options": options})
        if self._paused:
            self._send({"pause": True})
        self._reader = threading.Thread(
            target=self._read, args=(process,), name=f"worker-{self.name}", daemon=True
        )
        self._reader.start()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # A dead process is noticed by the reader, which fails the call; nothing is to be done here.
        with contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self._receive(json.loads(line))
            except Exception:
                log.exception("engine %s: a message could not be handled", self.name)
        self._ended(process, process.wait())

    def _receive(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            call = next((one for one in self._running.values() if one and one.id == message["id"]), None)
            if call is None:
                return
            report, unable = call.on_progress, Lost()
            if "fraction" not in message:
                report = None
                self._running[call.lane] = None
                unable = self._feed()
        # Outside the lock: whoever is told may call us again.
        _fail_each(unable)
        if report is not None:
            report(message["fraction"], message["doing"])
        elif "error" in message:
            _fail(call, from_json(message["error"]))
        elif "result" in message:
            _succeed(call, message["result"])

    def _ended(self, process: subprocess.Popen[bytes], exit_code: int) -> None:
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        with self._lock:
            self._process = None
            self._crashed = exit_code != 0 and not self._stopped
            if exit_code == 0 and not self._stopped:
                self._take_back()
            lost = [(call, self._why(call, exit_code)) for call in self._running.values() if call is not None]
            self._running = dict.fromkeys(LANES)
            if not self._stopped:
                lost += self._feed()
        _fail_each(lost)

    def _take_back(self) -> None:
        """The process left, idle, just as work was handed to it: nothing of that had begun."""
        for lane, call in self._running.items():
            if call is not None and not call.cancelled:
                self._waiting[lane].append(call)
                self._running[lane] = None

    def _why(self, call: Call, exit_code: int) -> Exception:
        if call.cancelled or self._stopped:
            return Cancelled("cancelled.")
        if exit_code == OUT_OF_MEMORY_EXIT:
            return WorkerOutOfMemory(
                f"the engine needed more than {self._options.memory_mb} MB of memory.",
                remedy="Bounce a shorter piece, or raise engine.memory_mb in config.toml.",
            )
        return WorkerDied(
            f"the engine process ended in mid-work (exit code {exit_code}).",
            remedy="It is started again by itself; logs/engine.log may say more.",
        )

    def _kill_if_running(self, call: Call) -> None:
        with self._lock:
            if self._running[call.lane] is call and self._process is not None:
                self._process.kill()


def _succeed(call: Call, result: Any) -> None:
    if not call.future.done():
        call.future.set_result(result)


def _fail_each(lost: Lost) -> None:
    for call, error in lost:
        _fail(call, error)


def _fail(call: Call, error: Exception) -> None:
    if not call.future.done():
        call.future.set_exception(error)
