"""One look at one file: what the disk says goes to the settler, what the settler says goes to the intake."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from bridge.clock import Clock
from bridge.config import WatchedFolder
from bridge.jobs.model import Fingerprint, JobRequest
from bridge.media.audio_header import examine
from bridge.triggers.scan import NO_FILE
from bridge.triggers.settle import Action, Header, Settler, Step


class Intake(Protocol):
    """Where the trigger's findings go. Each call is quick; all come from the trigger's own thread."""

    def knows(self, path: Path, fingerprint: Fingerprint) -> bool:
        """True when the journal has this file in just this state (existing, converted, failed), or when it
        is one of our own outputs (finished or being written)."""
        ...

    def is_first_visit(self, folder: Path) -> bool:
        """Whether this folder was never watched before."""
        ...

    def remember(self, folder: Path, files: Mapping[Path, Fingerprint]) -> None:
        """Records files that shall not be converted, and with them (`files` may be empty) that the folder
        was visited."""
        ...

    def hint(self) -> None:
        """Audio is being written here: an engine may get warm now."""
        ...

    def speculate(self, request: JobRequest) -> None:
        """Closed, not yet settled: work may begin, and is thrown away if the file changes."""
        ...

    def withdraw(self, path: Path) -> None:
        """The file changed or vanished after `speculate`."""
        ...

    def accept(self, request: JobRequest) -> None:
        """Settled: a bounce."""
        ...


class Looker:
    """Looks at files of one watched folder, in one thread. Errors of disk and intake pass through."""

    def __init__(
        self,
        folder: WatchedFolder,
        intake: Intake,
        settler: Settler,
        *,
        clock: Clock,
        default_project_folder: Path | None,
    ) -> None:
        self._settings = folder
        self._intake = intake
        self._settler = settler
        self._clock = clock
        self._project_folder = folder.project_folder or default_project_folder
        self._actions: Mapping[Action, Callable[[Step], None]] = {
            Action.SPECULATE: self._speculate,
            Action.WITHDRAW: self._withdraw,
            Action.READY: self._accept,
        }

    def drop(self, path: str) -> None:
        """Forgets the file; the next look at it is the first."""
        self._settler.forget(path)
        self._perform(self._settler.vanished(path))

    def look(self, path: str, *, touched: bool = False, closed: bool = False) -> None:
        """Looks at `path` and does what follows. Raises OSError where it cannot be told what is there."""
        try:
            fingerprint = _fingerprint(path)
            if fingerprint is None:
                self._perform(self._settler.vanished(path))
                return
            if path not in self._settler and not self._is_news(path, fingerprint):
                return
            steps = self._settler.observe(
                path,
                fingerprint,
                now_s=self._clock.monotonic(),
                wall_s=self._clock.wall(),
                header=lambda: header_of(path),
                touched=touched,
                closed=closed,
            )
        except FileNotFoundError:
            steps = self._settler.vanished(path)
        self._perform(steps)

    def _is_news(self, path: str, fingerprint: Fingerprint) -> bool:
        if self._settler.is_settled(path, fingerprint):
            return False
        if self._intake.knows(Path(path), fingerprint):
            self._settler.settle(path, fingerprint)
            return False
        self._intake.hint()
        return True

    # What follows from the look.

    def _perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            self._actions[step.action](step)

    def _withdraw(self, step: Step) -> None:
        self._intake.withdraw(Path(step.path))

    def _speculate(self, step: Step) -> None:
        if self._intake.knows(Path(step.path), step.fingerprint):
            self._settler.settle(step.path, step.fingerprint)
            return
        self._intake.speculate(self._request(step))

    def _accept(self, step: Step) -> None:
        if step.speculated or not self._intake.knows(Path(step.path), step.fingerprint):
            self._intake.accept(self._request(step))

    def _request(self, step: Step) -> JobRequest:
        source = Path(step.path)
        return JobRequest(
            source=source,
            fingerprint=step.fingerprint,
            preset=self._settings.preset,
            project_folder=self._project_folder or source.parent,
            trigger="folder",
            private=self._settings.private,
            warnings=step.warnings,
            watched_folder=self._settings.path,
            closed_at=step.closed_at,
        )


def _fingerprint(path: str) -> Fingerprint | None:
    """The state of the file, None where there is no plain file; raises OSError where that cannot be told."""
    try:
        status = os.stat(path)  # noqa: PTH116 - paths are str in this thread
    except OSError as error:
        if error.errno in NO_FILE:
            return None
        raise
    return Fingerprint.from_stat(status) if stat.S_ISREG(status.st_mode) else None


def header_of(path: str) -> Header:
    """What the header says; "locked" while another program keeps us from opening it."""
    try:
        return examine(Path(path)).verdict
    except PermissionError:
        return "locked"
