"""The folder trigger: finds what a DAW puts into a watched folder, each file once, each when it is finished.

Events are hints. Whatever the operating system tells is only a reason to look at a file; the look decides,
and `bridge.triggers.settle` says when it is finished. What no event told of, a scan finds: at the start, each
minute, when events were lost, and each second where a folder sends none (network shares).

Each watched folder has one thread of its own, because a network share that hangs holds the thread that asks
it, and the other folders must go on.
"""

from __future__ import annotations

import errno
import logging
import os
import stat
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.config import WatchedFolder
from bridge.jobs.model import Fingerprint
from bridge.triggers.looks import Intake, Looker, header_of
from bridge.triggers.scan import Found, lies_behind_link, scan
from bridge.triggers.settle import Patience, Settler
from bridge.triggers.watch import Inbox, Post, Watch

__all__ = ["POLLING", "STOPPED", "WAITING", "WATCHING", "FolderTrigger", "Intake", "Timing"]

log = logging.getLogger(__name__)

WATCHING = "watching"
POLLING = "polling"
WAITING = "waiting for the folder"
STOPPED = "stopped"

NO_WATCH_LEFT = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE})
NO_WATCH_LEFT_WORDS = (
    "the system has no folder watch left for %s; it is looked through again and again instead. "
    "Raise fs.inotify.max_user_watches and max_user_instances, then restart the bridge."
)
NO_EVENTS_WORDS = (
    "%s sends no events (a network share?); it is looked through again and again instead. "
    "`polling = true` in its settings does so from the start."
)


@dataclass(frozen=True)
class Timing:
    """The trigger's own beats, in seconds."""

    stable_s: float = 2.0
    unfinished_s: float = 10.0
    rescan_s: float = 60.0
    polling_s: float = 1.0
    presence_s: float = 2.0
    """Between two looks whether the folder and the watch on it are still there."""
    retry_s: float = 5.0
    """After a step that failed, and between a loss of events and the second scan."""
    first_visit_s: float = 3600.0
    """An unfinished file that was there before us is taken only if somebody wrote to it so lately."""


MOST_SCANNING = 0.02
"""Which share of the time polling may spend scanning: large folders are polled less often."""
MISSED_BEFORE_POLLING = 2


class FolderTrigger:
    """Watches one folder from `start` until `stop`, each called once, from any thread."""

    def __init__(
        self,
        folder: WatchedFolder,
        intake: Intake,
        *,
        clock: Clock,
        default_project_folder: Path | None = None,
        timing: Timing | None = None,
    ) -> None:
        self._settings = folder
        self._intake = intake
        self._clock = clock
        self._timing = timing or Timing()
        self._root = os.path.abspath(folder.path)  # noqa: PTH100 - Path.resolve would follow links
        self._settler = Settler(
            Patience(
                settle_s=folder.settle_s,
                stable_s=self._timing.stable_s,
                unfinished_s=self._timing.unfinished_s,
            )
        )
        self._looker = Looker(
            folder, intake, self._settler, clock=clock, default_project_folder=default_project_folder
        )
        self._inbox = Inbox()
        self._watch = Watch(
            self._root, self._inbox, recursive=folder.recursive, growing=self._settler.growing
        )
        self._thread = threading.Thread(target=self._run, name=f"folder {folder.path.name}", daemon=True)
        self._stopping = threading.Event()
        self._polling = folder.polling
        self._identity: tuple[int, int] | None = None
        self._visited = False
        self._missed = 0
        self._started_at = clock.wall()
        self._last_scan_at: float | None = None
        self._why_polling = ""
        self._problem = ""
        self._reason = ""
        self._presence_s = self._rescan_s = float("-inf")

    # From any thread.

    def start(self) -> None:
        """Begins to watch, in a thread of its own. A folder that does not exist is waited for."""
        self._started_at = self._clock.wall()
        self._thread.start()

    def stop(self) -> None:
        """Ends the watch. What was not settled is found again by the next start's scan."""
        self._stopping.set()
        self._inbox.ring()
        if self._thread.is_alive():
            # A network share that hangs may hold the thread for minutes: it ends with the process then.
            self._thread.join(timeout=5.0)

    def alive(self) -> bool:
        return self._thread.is_alive()

    def rescan(self, reason: str) -> None:
        """Orders a scan of the whole folder, soon."""
        self._inbox.rescan(reason)

    def status(self) -> dict[str, Any]:
        """What the trigger does, as plain data: `state` is one of the words above."""
        return {
            "folder": str(self._settings.path),
            "state": self._state(),
            "last_scan_at": self._last_scan_at,
            "candidates": len(self._settler),
            "problem": self._problem or self._why_polling,
        }

    def _state(self) -> str:
        if not self.alive():
            return STOPPED
        if self._identity is None:
            return WAITING
        return POLLING if self._polling else WATCHING

    # In the trigger's own thread.

    def _run(self) -> None:
        while not self._stopping.is_set():
            fine = self._guarded(self._round)
            wait_s = self._next_s() - self._clock.monotonic()
            self._inbox.wait(max(wait_s, 0.0 if fine else 0.5))
        self._watch.stop()

    def _guarded(self, step: Callable[..., None], *arguments: Any, **options: Any) -> bool:
        """Does one step. The thread outlives any error, also one of the intake: a scan repeats the step."""
        try:
            step(*arguments, **options)
        except Exception as error:
            # With a full disk each of 10,000 files fails in the same words: once is enough.
            level = logging.DEBUG if str(error) == self._problem else logging.ERROR
            log.log(level, "%s: %s; it is tried again soon", self._root, error, exc_info=True)
            self._problem = str(error)
            self._scan_soon("something failed", self._timing.retry_s)
            return False
        return True

    def _next_s(self) -> float:
        if self._identity is None:
            return self._presence_s
        return min(self._presence_s, self._rescan_s, self._settler.next_wake_s())

    def _round(self) -> None:
        post = self._inbox.take()
        if post.root_lost or self._clock.monotonic() >= self._presence_s:
            self._check_presence()
        if self._identity is None:
            return
        self._absorb(post)
        for path in self._settler.due(self._clock.monotonic()):
            self._consider(path)
        if post.rescans:
            self._scan_all(", ".join(post.rescans))
            # Watches on new folders may still be on their way after a loss: so once more, later.
            self._scan_soon(post.rescans[-1], self._timing.retry_s)
        elif self._clock.monotonic() >= self._rescan_s:
            self._scan_all(self._reason)

    def _scan_soon(self, reason: str, wait_s: float = 0.0) -> None:
        self._rescan_s = min(self._rescan_s, self._clock.monotonic() + wait_s)
        self._reason = reason

    # Is the folder there?

    def _check_presence(self) -> None:
        self._presence_s = self._clock.monotonic() + self._timing.presence_s
        identity = _identity(self._root)
        if identity is None:
            if self._identity is not None:
                self._lose()
        elif identity != self._identity:
            self._take_up(identity)
        elif not self._polling and not self._watch.alive():
            log.warning("the watch on %s had ended; it begins again", self._root)
            self._take_up(identity)

    def _lose(self) -> None:
        log.warning("%s is gone; the bridge waits for it", self._root)
        self._watch.stop()
        for path in self._settler.below(""):
            self._guarded(self._looker.drop, path)
        self._identity = None

    def _take_up(self, identity: tuple[int, int]) -> None:
        self._watch.stop()
        if not self._polling:
            self._begin_watch()
        # Only now, so that a watch that could not begin is tried again; and the scan comes after the watch.
        self._identity = identity
        self._scan_soon("the folder is there")

    def _begin_watch(self) -> None:
        try:
            self._watch.start()
        except OSError as error:
            if error.errno not in NO_WATCH_LEFT:
                raise
            self._poll_instead(NO_WATCH_LEFT_WORDS)

    def _poll_instead(self, why: str) -> None:
        log.warning(why, self._root)
        self._why_polling = why % self._root
        self._polling = True

    # Hints and scans lead to one look at one file.

    def _absorb(self, post: Post) -> None:
        for folder in post.lost_folders:
            for path in self._settler.below(folder + os.sep):
                self._consider(path)
        for path, hint in post.files.items():
            self._consider(path, touched=hint.touched, closed=hint.closed)
        for folder in post.new_folders:
            self._scan_new_folder(folder)

    def _scan_new_folder(self, folder: str) -> None:
        # watchdog tells of links in a new folder as of folders.
        if lies_behind_link(folder, self._root):
            return
        for path in scan(folder, recursive=True).files:
            if path not in self._settler:
                self._consider(path)

    def _consider(self, path: str, *, touched: bool = False, closed: bool = False) -> None:
        """Looks at one file. Never raises: a file that cannot be judged now is found by the next scan."""
        if not self._guarded(self._looker.look, path, touched=touched, closed=closed):
            self._guarded(self._looker.drop, path)

    def _scan_all(self, reason: str) -> None:
        began_s = self._clock.monotonic()
        found = scan(self._root, recursive=self._settings.recursive)
        self._report(found)
        self._plan_next_scan(began_s)
        if self._root in found.faults:
            self._presence_s = began_s
            return
        new = self._new_in(found)
        if not self._visited:
            new = self._first_visit(new)
        elif not reason and not self._polling:
            self._count_missed(new)
        for path in new:
            self._consider(path)
        if not found.faults:
            self._settler.keep_only(found.files)
        if new:
            log.info(
                "%d files to look at in %s (%s)", len(new), self._root, reason or "found by the regular scan"
            )

    def _report(self, found: Found) -> None:
        problem = "; ".join(f"{path} cannot be read: {error}" for path, error in found.faults.items())
        if problem and problem != self._problem:
            log.warning("%s", problem)
        self._problem = problem

    def _plan_next_scan(self, began_s: float) -> None:
        now_s = self._clock.monotonic()
        every_s = max(self._timing.polling_s, (now_s - began_s) / MOST_SCANNING)
        self._rescan_s = now_s + (every_s if self._polling else self._timing.rescan_s)
        self._reason = ""
        self._last_scan_at = self._clock.wall()

    def _new_in(self, found: Found) -> dict[str, Fingerprint]:
        return {
            path: fingerprint
            for path, fingerprint in found.files.items()
            if not self._settler.is_settled(path, fingerprint) and path not in self._settler
        }

    def _first_visit(self, new: dict[str, Fingerprint]) -> dict[str, Fingerprint]:
        """Records what was here before us, if nobody has yet, and gives what is to be converted."""
        folder = self._settings.path
        if self._intake.is_first_visit(folder):
            every = self._settings.existing == "convert"
            arriving = {
                path for path, fingerprint in new.items() if every or self._arrives(path, fingerprint)
            }
            rest = {path: fingerprint for path, fingerprint in new.items() if path not in arriving}
            self._intake.remember(folder, {Path(path): fingerprint for path, fingerprint in rest.items()})
            for path, fingerprint in rest.items():
                self._settler.settle(path, fingerprint)
            new = {path: fingerprint for path, fingerprint in new.items() if path in arriving}
        self._visited = True
        return new

    def _arrives(self, path: str, fingerprint: Fingerprint) -> bool:
        """Whether a file that is here at the first visit is being written, or was since we began."""
        written_at = fingerprint.mtime_ns / 1e9
        if written_at >= self._started_at - self._timing.stable_s:
            return True
        if self._clock.wall() - written_at > self._timing.first_visit_s:
            return False
        try:
            return header_of(path) == "unfinished"
        except OSError:
            return True  # it cannot be judged, and nothing may be lost

    def _count_missed(self, new: Mapping[str, Fingerprint]) -> None:
        """A folder that sends no events is polled: files that lie here for a while must have sent some."""
        late_at = self._clock.wall() - self._timing.retry_s
        self._missed += any(fingerprint.mtime_ns / 1e9 < late_at for fingerprint in new.values())
        if self._missed >= MISSED_BEFORE_POLLING:
            self._poll_instead(NO_EVENTS_WORDS)


def _identity(folder: str) -> tuple[int, int] | None:
    """Which folder it is, so that another one in its place is noticed; None where there is none."""
    try:
        status = os.stat(folder)  # noqa: PTH116 - paths are str in this thread
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if stat.S_ISDIR(status.st_mode) else None
