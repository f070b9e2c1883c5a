"""The operating system's events of one folder, as hints: which files and folders to look at.

watchdog's threads only write into an `Inbox`; one other thread empties it.
"""

from __future__ import annotations

import logging
import os
import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from bridge.triggers.ignore import may_be_bounce, may_hold_bounces

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

log = logging.getLogger(__name__)

OVERFLOW_LOGGER = "watchdog.observers.inotify_c"
OVERFLOW_WORDS = "queue overflowed"
STOP_S = 2.0

# A folder that is made and filled while watchdog lists it gets its watch twice: it says so, and all is well.
warnings.filterwarnings("ignore", message="Callback with id", category=RuntimeWarning, module="watchdog")

# Opened and closed-without-writing are not asked for: our own reading makes them.
EVENTS: list[type[FileSystemEvent]] = [
    FileCreatedEvent,
    FileModifiedEvent,
    FileClosedEvent,
    FileMovedEvent,
    FileDeletedEvent,
    DirCreatedEvent,
    DirMovedEvent,
    DirDeletedEvent,
]
WRITTEN = frozenset({FileCreatedEvent, FileModifiedEvent})


@dataclass
class Hint:
    """What events said of one file since the last look: written to, and closed after that."""

    touched: bool = False
    closed: bool = False


@dataclass
class Post:
    """What lay in the inbox. Paths are below the watched folder as it is named in the settings."""

    files: dict[str, Hint] = field(default_factory=dict)
    new_folders: set[str] = field(default_factory=set)
    lost_folders: set[str] = field(default_factory=set)
    rescans: list[str] = field(default_factory=list)
    root_lost: bool = False


class Inbox:
    """Collects hints, one for each file; thread-safe. `wait` returns early only for what cannot wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bell = threading.Event()
        self._post = Post()

    def file(self, path: str, *, touched: bool = False, closed: bool = False, wake: bool = True) -> None:
        with self._lock:
            hint = self._post.files.setdefault(path, Hint())
            hint.touched = hint.touched or touched
            hint.closed = closed or (hint.closed and not touched)
        if wake:
            self._bell.set()

    def folder(self, path: str, *, lost: bool) -> None:
        with self._lock:
            (self._post.lost_folders if lost else self._post.new_folders).add(path)
        self._bell.set()

    def rescan(self, reason: str) -> None:
        with self._lock:
            self._post.rescans.append(reason)
        self._bell.set()

    def root_lost(self) -> None:
        with self._lock:
            self._post.root_lost = True
        self._bell.set()

    def ring(self) -> None:
        self._bell.set()

    def wait(self, timeout_s: float) -> None:
        self._bell.wait(timeout_s)

    def take(self) -> Post:
        """Everything so far; the inbox is empty afterwards."""
        self._bell.clear()
        with self._lock:
            post, self._post = self._post, Post()
        return post


class OverflowHandler(logging.Handler):
    """watchdog tells of lost events only in its log: this turns that line into a call. Never raises."""

    def __init__(self, on_overflow: Callable[[], None]) -> None:
        super().__init__(level=logging.WARNING)
        self._on_overflow = on_overflow

    def emit(self, record: logging.LogRecord) -> None:
        if OVERFLOW_WORDS in str(record.msg):
            self._on_overflow()


class _Handler(FileSystemEventHandler):
    """Writes events into the inbox. A handler that raises would end watchdog's thread, so it never does."""

    def __init__(self, folder: str, inbox: Inbox, *, recursive: bool, growing: Callable[[str], bool]) -> None:
        self._folder = folder
        # Events come with the real path: links are not followed by the system's watches.
        self._real = os.path.realpath(folder)
        self._inbox = inbox
        self._recursive = recursive
        self._growing = growing

    def dispatch(self, event: FileSystemEvent) -> None:
        try:
            if isinstance(event, (DirCreatedEvent, DirMovedEvent, DirDeletedEvent)):
                self._take_folder(event)
            elif type(event) in EVENTS:
                self._take_file(event)
        except Exception:
            log.exception("an event of %s could not be read; a rescan follows", self._folder)
            self._inbox.rescan("an event could not be read")

    def _take_file(self, event: FileSystemEvent) -> None:
        if path := self._bounce(event.src_path):
            touched = type(event) in WRITTEN
            # A growing file sends thousands of events, and each says the same.
            wake = not (touched and self._growing(path))
            self._inbox.file(path, touched=touched, closed=isinstance(event, FileClosedEvent), wake=wake)
        if isinstance(event, FileMovedEvent) and (path := self._bounce(event.dest_path)):
            # Renamed from another name: whoever writes under a temporary name renames when it is finished.
            self._inbox.file(path, touched=True)
            self._inbox.file(path, closed=True)

    def _take_folder(self, event: FileSystemEvent) -> None:
        source = self._below(event.src_path)
        if source == "":
            if not isinstance(event, DirCreatedEvent):
                self._inbox.root_lost()
            return
        if not isinstance(event, DirCreatedEvent):
            self._take_folder_path(source, lost=True)
        if isinstance(event, DirCreatedEvent):
            self._take_folder_path(source, lost=False)
        elif isinstance(event, DirMovedEvent):
            self._take_folder_path(self._below(event.dest_path), lost=False)

    def _take_folder_path(self, below: str | None, *, lost: bool) -> None:
        if below and may_hold_bounces(below, recursive=self._recursive):
            self._inbox.folder(os.path.join(self._folder, below), lost=lost)  # noqa: PTH118 - paths are str here

    def _bounce(self, raw: bytes | str) -> str | None:
        below = self._below(raw)
        if not below or not may_be_bounce(below, recursive=self._recursive):
            return None
        return os.path.join(self._folder, below)  # noqa: PTH118 - paths are str here

    def _below(self, raw: bytes | str) -> str | None:
        """The event's path seen from the watched folder; "" is that folder, None lies outside it."""
        path = os.fsdecode(raw)
        for root in (self._real, self._folder):
            if path == root:
                return ""
            if path.startswith(root.rstrip(os.sep) + os.sep):
                return path[len(root.rstrip(os.sep)) + 1 :]
        return None


class Watch:
    """watchdog's observer on one folder, with what it needs to be trusted: is it alive, did it lose events.

    `growing(path)` may be called from watchdog's threads.
    """

    def __init__(self, folder: str, inbox: Inbox, *, recursive: bool, growing: Callable[[str], bool]) -> None:
        self._folder = folder
        self._inbox = inbox
        self._recursive = recursive
        self._growing = growing
        self._observer: BaseObserver | None = None
        self._overflow = OverflowHandler(lambda: inbox.rescan("events were lost"))

    def start(self) -> None:
        """Begins; raises OSError where the system has no watch left, or no such folder."""
        self.stop()
        handler = _Handler(self._folder, self._inbox, recursive=self._recursive, growing=self._growing)
        observer = Observer()
        self._observer = observer
        logging.getLogger(OVERFLOW_LOGGER).addHandler(self._overflow)
        try:
            # The real path: a watch on a link would watch the link.
            real = os.path.realpath(self._folder)
            observer.schedule(handler, real, recursive=self._recursive, event_filter=EVENTS)
            observer.start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends all of watchdog's threads; may be called twice, and without a start."""
        logging.getLogger(OVERFLOW_LOGGER).removeHandler(self._overflow)
        observer, self._observer = self._observer, None
        if observer is None:
            return
        try:
            observer.stop()
            if observer.is_alive():
                observer.join(STOP_S)
        except Exception:
            log.exception("the watch on %s did not end cleanly", self._folder)

    def alive(self) -> bool:
        """Whether all of watchdog's threads live: the reader, the one that sorts, the one that tells."""
        observer = self._observer
        if observer is None or not observer.is_alive():
            return False
        # The reader is private in watchdog 7 and part of the emitter in 6; without it nothing is ever told.
        reader = getattr(observer, "_inotify_fd", None)
        threads = [*observer.emitters, *([reader] if isinstance(reader, threading.Thread) else [])]
        return all(thread.is_alive() for thread in threads)
