"""Submits files, watches their jobs to the end, and says what became of each."""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from bridge.cli import describe
from bridge.cli.connection import LOST, Connection, Data, NextEvent
from bridge.errors import BridgeError, WrongUse

LOOK_AGAIN_S = 2.0
"""Even if an event got lost on its way, the job is looked at so often."""
TICK_S = 0.1
REVIVAL_S = 3.0
"""A bounce that could not be read is looked at again after a retry; so long it may still say "failed"."""


@dataclass(frozen=True)
class Wish:
    """A file and the arguments that `convert_file` gets for it."""

    file: Path
    arguments: Mapping[str, Any]


@dataclass
class Outcomes:
    """What became of the wishes. `stopped`: the musician did not want to wait any longer."""

    details: dict[int, Data] = field(default_factory=dict)
    refused: dict[Path, BridgeError] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    stopped: bool = False

    def all_done(self) -> bool:
        done = all(one["state"] == "done" for one in self.details.values())
        return done and not self.refused and not self.open and not self.stopped


class Display(Protocol):
    """Where progress is shown."""

    def submitted(self, job_id: int, name: str) -> None: ...
    def progress(self, job_id: int, fraction: float, doing: str) -> None: ...
    def ended(self, job_id: int) -> None: ...


class Submitter:
    """Hands the files over one after the other, in a thread, because each is looked at first."""

    def __init__(self, connection: Connection, wishes: Sequence[Wish]) -> None:
        self.answers: queue.SimpleQueue[tuple[Wish, int | BridgeError] | None] = queue.SimpleQueue()
        self._connection = connection
        self._wishes = wishes
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="submitter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        for wish in self._wishes:
            if self._stopping.is_set():
                break
            try:
                job_id = int(self._connection.act("convert_file", wish.arguments)["job"])
            except BridgeError as error:
                self.answers.put((wish, error))
                if isinstance(error, WrongUse):
                    break  # the next file would be refused in the same words
            except Exception as error:  # noqa: BLE001  nobody sees a thread's traceback: it becomes this file's error
                self.answers.put(
                    (wish, BridgeError(f"it could not be handed over: {error}.", file=wish.file))
                )
            else:
                self.answers.put((wish, job_id))
        self.answers.put(None)


class Follower:
    """`outcomes` are those of an earlier round, where this one goes on with them."""

    def __init__(self, connection: Connection, display: Display, outcomes: Outcomes | None = None) -> None:
        self._connection = connection
        self._display = display
        self.outcomes = outcomes or Outcomes()
        self._looked_at: dict[int, float] = {}
        self._patient_until: dict[int, float] = {}

    def convert(self, wishes: Sequence[Wish]) -> Outcomes:
        """Converts the files; returns when each job is over, or waits for something that may take long.

        KeyboardInterrupt ends the waiting, not the jobs: the outcomes say so.
        """
        submitter = Submitter(self._connection, wishes)
        try:
            with self._connection.events() as next_event:
                submitter.start()
                submitting = True
                while submitting or self.outcomes.open:
                    submitting = submitting and self._take_answers(submitter)
                    self._follow(next_event)
        except KeyboardInterrupt:
            self.outcomes.stopped = True
        finally:
            submitter.stop()
        return self.outcomes

    def after(self, act: Callable[[], Mapping[int, str]]) -> Outcomes:
        """Does something and waits for the jobs that it gives, each with its name; returns as `convert`."""
        try:
            with self._connection.events() as next_event:
                for job_id, name in act().items():
                    self._begin(job_id, name)
                while self.outcomes.open:
                    self._follow(next_event)
        except KeyboardInterrupt:
            self.outcomes.stopped = True
        return self.outcomes

    def retry(self, arguments: Mapping[str, Any]) -> Outcomes:
        """Tries a job again; returns as `convert` does."""

        def act() -> Mapping[int, str]:
            job_id = int(self._connection.act("retry", arguments)["job"])
            self._patient_until[job_id] = time.monotonic() + REVIVAL_S
            return {job_id: f"job {job_id}"}

        return self.after(act)

    def _take_answers(self, submitter: Submitter) -> bool:
        """Everything that the submitter has said by now; False when it is through."""
        while not submitter.answers.empty():
            answer = submitter.answers.get()
            if answer is None:
                return False
            wish, result = answer
            if isinstance(result, BridgeError):
                self.outcomes.refused[wish.file] = result
            else:
                self._begin(result, wish.file.name)
        return True

    def _begin(self, job_id: int, name: str) -> None:
        self.outcomes.open.add(job_id)
        self._display.submitted(job_id, name)
        self._look(job_id)

    def _follow(self, next_event: NextEvent) -> None:
        event = next_event(TICK_S)
        while event is not None:
            self._take(event)
            event = next_event(0.0) if self.outcomes.open else None
        now = time.monotonic()
        for job_id in [one for one in self.outcomes.open if now - self._looked_at[one] > LOOK_AGAIN_S]:
            self._look(job_id)

    def _take(self, event: Data) -> None:
        if event["kind"] == LOST["kind"]:
            raise BridgeError(
                "the running bridge has ended.",
                remedy="Its jobs go on when it is started again: bridge run",
            )
        job_id = event["job"]
        if job_id not in self.outcomes.open:
            return
        if event["kind"] == "progress":
            self._display.progress(job_id, float(event["fraction"]), str(event["doing"]))
        elif event["kind"] in ("job.state", "delivery.state"):
            self._look(job_id)

    def _look(self, job_id: int) -> None:
        self._looked_at[job_id] = time.monotonic()
        detail = self._connection.detail(job_id)
        if detail is None:
            raise BridgeError(f"job {job_id} is not in the journal any more.")
        self.outcomes.details[job_id] = detail
        may_revive = any(part["error"] for part in detail["parts"])
        if may_revive and time.monotonic() < self._patient_until.get(job_id, 0.0):
            return
        if not describe.is_open(detail) or describe.is_stuck(detail):
            self.outcomes.open.discard(job_id)
            self._display.ended(job_id)


class Silence:
    """Shows nothing."""

    def submitted(self, job_id: int, name: str) -> None: ...
    def progress(self, job_id: int, fraction: float, doing: str) -> None: ...
    def ended(self, job_id: int) -> None: ...


class Bars:
    """One bar a job that is at work, and one for all of them where there are several."""

    def __init__(self, progress: Any, total: int) -> None:
        self._progress = progress
        self._all = progress.add_task("all files", total=total) if total > 1 else None
        self._names: dict[int, str] = {}
        self._bars: dict[int, Any] = {}

    def submitted(self, job_id: int, name: str) -> None:
        self._names[job_id] = name

    def progress(self, job_id: int, fraction: float, doing: str) -> None:
        if job_id not in self._bars:
            self._bars[job_id] = self._progress.add_task("", total=1.0)
        words = f"{self._names.get(job_id, job_id)}: {doing}"
        self._progress.update(self._bars[job_id], completed=fraction, description=words)

    def ended(self, job_id: int) -> None:
        bar = self._bars.pop(job_id, None)
        if bar is not None:
            self._progress.remove_task(bar)
        if self._all is not None:
            self._progress.advance(self._all)


def display(total: int) -> AbstractContextManager[Display]:
    """Bars where somebody looks at stderr, else silence."""
    if not sys.stderr.isatty():
        return nullcontext(Silence())
    return _bars(total)


def _bars(total: int) -> AbstractContextManager[Display]:
    from contextlib import contextmanager

    from rich.progress import BarColumn, Progress, TextColumn

    from bridge.cli.output import console

    @contextmanager
    def shown() -> Any:
        columns = (TextColumn("{task.description}", markup=False), BarColumn())
        with Progress(*columns, console=console(stderr=True), transient=True) as progress:
            yield Bars(progress, total)

    return shown()


def wishes_for(files: Iterable[Path], arguments: Callable[[Path], Mapping[str, Any]]) -> list[Wish]:
    """One wish a file."""
    return [Wish(file, {"file": str(file), "trigger": "cli", **arguments(file)}) for file in files]
