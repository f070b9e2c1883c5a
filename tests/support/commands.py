"""The command line as a musician has it: a process of its own, its output, its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0


@dataclass(frozen=True)
class Done:
    exit_code: int
    stdout: str
    stderr: str

    def data(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.stdout)


def bridge(home: Path, *arguments: str | Path, **environment: str) -> Done:
    """Runs `bridge` with `arguments` on this home, to its end."""
    return bridge_in(Path.cwd(), home, *arguments, **environment)


def bridge_in(folder: Path, home: Path, *arguments: str | Path, **environment: str) -> Done:
    """As `bridge`, called in this folder."""
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *map(str, arguments)],
        env={**os.environ, "BRIDGE_HOME": str(home), "PYTHONIOENCODING": "utf-8", **environment},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout, done.stderr)
