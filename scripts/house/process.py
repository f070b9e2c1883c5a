"""Starting programs quietly, and saying one plain line a step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class SetupError(Exception):
    """The set-up cannot go on. Its text is what the musician reads: what happened, and what to do."""


@dataclass(frozen=True)
class Finished:
    """A program that has ended: its exit code (127: could not be started) and all that it printed."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    def last_line(self) -> str:
        lines = [line.strip() for line in self.output.splitlines() if line.strip()]
        return lines[-1] if lines else f"it ended with code {self.code} and said nothing"


def say(text: str) -> None:
    """To stderr: stdout belongs to the bridge, so that `run.py … --json` stays clean."""
    print(text, file=sys.stderr, flush=True)


def run(
    command: Sequence[str],
    *,
    timeout_s: float = 1800,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    keep_open: int | None = None,
) -> Finished:
    """Runs `command` to its end, without a terminal to ask questions on.

    `keep_open`: a file descriptor that the child holds too, so that our lock outlives us with it.
    """
    descriptors = () if keep_open is None or os.name == "nt" else (keep_open,)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            cwd=folder,
            env={**os.environ, **environment} if environment else None,
            pass_fds=descriptors,
            check=False,
        )
    except OSError as error:
        return Finished(127, f"{command[0]}: {error.strerror}")
    except subprocess.TimeoutExpired:
        return Finished(124, f"{command[0]} did not end within {timeout_s:.0f} s")
    return Finished(done.returncode, done.stdout)
