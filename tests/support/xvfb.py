"""An X server of a test's own, without a screen, and keys pressed on it by xdotool."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import IO

STARTS_WITHIN_S = 20.0

missing = [program for program in ("Xvfb", "xdotool") if shutil.which(program) is None]


class Xvfb:
    """Xvfb on a display number that it chooses itself, or on `display` (":123") again."""

    def __init__(self, display: str = "") -> None:
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop()
        reading, writing = os.pipe()
        where = [display] if display else ["-displayfd", str(writing)]
        self._server = subprocess.Popen(
            ["Xvfb", *where, "-screen", "0", "640x480x8", "-nolisten", "tcp", "-noreset"],
            stdout=self._log,
            stderr=self._log,
            pass_fds=[writing],
        )
        os.close(writing)
        with os.fdopen(reading) as told:
            self.display = display or self._chosen(told)

    def _chosen(self, told: IO[str]) -> str:
        ready, _, _ = select.select([told], [], [], STARTS_WITHIN_S)
        number = told.readline().strip() if ready else ""
        assert number, f"Xvfb did not start: {self.said()}"
        return f":{number}"

    def said(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

    def press(self, *arguments: str) -> None:
        """`xdotool key ARGUMENTS`: a combination, or several, or options before them."""
        self.xdotool("key", *arguments)

    def xdotool(self, *arguments: str) -> None:
        environment = {**os.environ, "DISPLAY": self.display}
        subprocess.run(["xdotool", *arguments], env=environment, check=True, timeout=60)

    def run(self, command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(command, env={**os.environ, "DISPLAY": self.display}, check=True, timeout=60)

    def kill(self) -> None:
        self._server.kill()
        self._server.wait(10)

    def stop(self) -> None:
        if self._server.poll() is None:
            self._server.terminate()
            try:
                self._server.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
        self._log.close()

    def __enter__(self) -> Xvfb:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
