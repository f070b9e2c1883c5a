"""A folder trigger on a real folder, with an intake that writes down what it is told."""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bridge.clock import SystemClock
from bridge.config import WatchedFolder
from bridge.jobs.model import Fingerprint, JobRequest
from bridge.triggers.folder import FolderTrigger, Timing

DEADLINE_S = 20.0
SETTLE_S = 0.1
QUICK = Timing(stable_s=0.25, unfinished_s=0.6, polling_s=0.1, presence_s=0.1, retry_s=0.3)
PATIENT = replace(QUICK, stable_s=0.8, unfinished_s=2.0)
"""For files that grow: a writer that is late on a busy machine must not look finished."""


def wav(frames: int = 100, *, promised_frames: int | None = None) -> bytes:
    """A mono 16-bit WAV; with `promised_frames` its header promises another length than it has."""
    promised = (frames if promised_frames is None else promised_frames) * 2
    head = b"RIFF" + struct.pack("<I", 36 + promised) + b"WAVEfmt "
    head += struct.pack("<IHHIIHH", 16, 1, 1, 48000, 96000, 2, 16) + b"data" + struct.pack("<I", promised)
    return head + b"\x01\x00" * frames


def until(condition: Callable[[], Any], what: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Waits until `condition` holds; fails after the deadline."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, f"waited {deadline_s} s in vain until {what}"
        time.sleep(0.005)


@dataclass
class Diary:
    """An intake in memory: it knows what it remembered and accepted, as the journal does."""

    visited: set[Path] = field(default_factory=set)
    known: dict[Path, Fingerprint] = field(default_factory=dict)
    outputs: set[Path] = field(default_factory=set)
    lines: list[tuple[float, str, Path]] = field(default_factory=list)
    accepted: list[JobRequest] = field(default_factory=list)
    failures: int = 0
    """So many calls of `accept` raise before one succeeds."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def knows(self, path: Path, fingerprint: Fingerprint) -> bool:
        with self.lock:
            return path in self.outputs or self.known.get(path) == fingerprint

    def is_first_visit(self, folder: Path) -> bool:
        return folder not in self.visited

    def remember(self, folder: Path, files: Mapping[Path, Fingerprint]) -> None:
        self.visited.add(folder)
        self._write("remember", folder)
        self.known.update(files)

    def hint(self) -> None:
        self._write("hint", Path())

    def speculate(self, request: JobRequest) -> None:
        self._write("speculate", request.source)

    def withdraw(self, path: Path) -> None:
        self._write("withdraw", path)

    def accept(self, request: JobRequest) -> None:
        if self.failures:
            self.failures -= 1
            raise RuntimeError("the journal is busy")
        with self.lock:
            self.known[request.source] = request.fingerprint
            self.accepted.append(request)
        self._write("accept", request.source)

    def _write(self, deed: str, path: Path) -> None:
        self.lines.append((time.monotonic(), deed, path))

    def of(self, path: Path) -> list[str]:
        """What was told of `path`, in order."""
        return [deed for _, deed, about in list(self.lines) if about == path]

    def count(self, path: Path) -> int:
        return self.of(path).count("accept")

    def at_s(self, deed: str, path: Path) -> float:
        """The monotonic time of the last such line."""
        return max(at_s for at_s, what, about in list(self.lines) if (what, about) == (deed, path))


@dataclass
class Bench:
    """Files are made outside (`apart`, the same file system) or inside (`folder`) of the watched folder."""

    folder: Path
    apart: Path
    diary: Diary = field(default_factory=Diary)
    triggers: list[FolderTrigger] = field(default_factory=list)
    sentinels: int = 0

    def trigger(self, *, timing: Timing = QUICK, start: bool = True, **options: Any) -> FolderTrigger:
        """A trigger on the folder; waits until it watches (not where `start` is False)."""
        options.setdefault("settle_s", SETTLE_S)
        options.setdefault("path", self.folder)
        trigger = FolderTrigger(WatchedFolder(**options), self.diary, clock=SystemClock(), timing=timing)
        self.triggers.append(trigger)
        if start:
            trigger.start()
            until(lambda: trigger.status()["last_scan_at"], "the first scan is over")
        return trigger

    def stop(self) -> None:
        for trigger in self.triggers:
            trigger.stop()
            assert not trigger.alive()
        self.triggers.clear()

    def barrier(self, *, thorough: bool = False) -> None:
        """A file that comes after all others: when it is accepted, they had their time.

        `thorough`: it must stand still as long as a file must that nobody saw being closed.
        """
        self.sentinels += 1
        made = self.apart / f"sentinel {self.sentinels}.wav"
        made.write_bytes(wav(10))
        if not thorough:
            os.utime(made, (1_000_000_000, 1_000_000_000))
        sentinel = self.folder / made.name
        made.rename(sentinel)
        until(lambda: self.diary.count(sentinel), "the sentinel is accepted")

    def expect(self, *paths: Path, times: int = 1, thorough: bool = False) -> None:
        """Each of these, and no other, is accepted so many times; waits, and proves that no more come."""
        for path in paths:
            until(lambda path=path: self.diary.count(path) >= times, f"{path.name!r} is accepted")  # type: ignore[misc]
        self.barrier(thorough=thorough)
        counts = {path: self.diary.count(path) for path in self.found()}
        assert counts == dict.fromkeys(paths, times)

    def found(self) -> set[Path]:
        """What was accepted, without sentinels."""
        return {
            request.source
            for request in list(self.diary.accepted)
            if not request.source.name.startswith("sentinel ")
        }
