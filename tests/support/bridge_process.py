"""A real `bridge run` in a process of its own, and what a test wants to know of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from bridge.jobs.model import JOB_OPEN
from bridge.jobs.records import JobDetail
from bridge.jobs.store import JOURNAL_NAME, connect
from bridge.jobs.views import Views
from bridge.owner import read_note
from support.polling import eventually

CONFIG = """
log_level = "debug"
[[folders]]
path = '{watched}'
project_folder = '{out}'
existing = "convert"
settle_s = {settle_s}
preset = '{preset}'
[engine]
memory_mb = {memory_mb}
{more}
"""
NO_MIDI = "[midi]\nenabled = false\n"
"""Where no test presses pads: the MIDI process takes every start a while."""


class BridgeProcess:
    """One BRIDGE_HOME with a watched folder and a project folder; the daemon on it comes and goes."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        *,
        settle_s: float = 0.1,
        memory_mb: int = 1500,
        watched: Path | None = None,
        out: Path | None = None,
        preset: str = "audio-to-midi",
        more: str = "",
    ) -> None:
        """`more` is what else stands in config.toml. MIDI is off unless that has pads or a table of it."""
        quiet = "" if "[[pads]]" in more or "[midi]" in more else NO_MIDI
        self.home, self.watched = folder / "home", watched or folder / "watched"
        self.out = out or folder / "out"
        self.watched.mkdir(parents=True, exist_ok=watched is not None)
        shutil.copytree(models, self.home / "models")
        self.home.joinpath("config.toml").write_text(
            CONFIG.format(
                watched=self.watched,
                out=self.out,
                settle_s=settle_s,
                memory_mb=memory_mb,
                preset=preset,
                more=f"{more}\n{quiet}",
            ),
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (folder / "terminal.log").open("ab")

    def start(self, **environment: str) -> None:
        """Starts the daemon; returns when it is ready, or has ended already."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bridge", "run"],
            env={**os.environ, "BRIDGE_HOME": str(self.home), **environment},
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        eventually(lambda: self.is_ready() or self.has_ended(), what="the daemon to be ready")

    def is_ready(self) -> bool:
        note = read_note(self.home)
        return self._process is not None and note is not None and note.pid == self._process.pid

    def has_ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def wait_for_end(self, deadline_s: float = 60.0) -> int:
        assert self._process is not None
        return self._process.wait(deadline_s)

    def kill(self) -> None:
        """As a power cut would end it: SIGKILL, or its like on Windows."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> float:
        """Asks it to end; gives the seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        assert self._process.wait(20) is not None
        return time.monotonic() - began

    def close(self) -> None:
        self.kill()
        self._log.close()

    # What it did

    def views(self) -> Views:
        return Views(connect(self.home / JOURNAL_NAME, read_only=True))

    def details(self) -> list[JobDetail]:
        views = self.views()
        try:
            found = [views.detail(job.id) for job in views.jobs(limit=10_000)]
        finally:
            views._db.close()
        return [detail for detail in found if detail is not None]

    def settled(self, count: int, *, deadline_s: float = 60.0) -> list[JobDetail]:
        """All jobs, once there are `count` of them and none is open."""

        def look() -> list[JobDetail] | None:
            details = self.details()
            through = all(detail.job.state not in JOB_OPEN for detail in details)
            return details if len(details) >= count and through else None

        return eventually(look, what=f"{count} jobs to be over", deadline_s=deadline_s)

    def delivered(self) -> list[str]:
        """Names in the project folder, hidden ones too."""
        return sorted(path.name for path in self.out.iterdir()) if self.out.is_dir() else []
