"""Starting a child process that is spoken to by its pipes and writes what its libraries say into a log."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

MAX_LOG_BYTES = 2_000_000
_WITHHELD = frozenset({"MUSICGPT_API_KEY"})
"""Variables that are none of a child's business."""


def spawn(module: str, log_file: Path | None, variables: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Starts `python -m module`; `variables` are set besides ours. Raises OSError where that cannot be."""
    errors = _open_log(log_file) if log_file else None
    try:
        return subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors or subprocess.DEVNULL,
            env=environment(variables),
            # On Windows a console window would jump into the musician's face.
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            # Ctrl-C in the terminal is for the daemon, which stops its children in order.
            start_new_session=os.name == "posix",
        )
    finally:
        if errors is not None:
            errors.close()


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """What a child gets to see: ours without secrets, and `variables` over it."""
    kept = {name: value for name, value in os.environ.items() if name not in _WITHHELD}
    return {**kept, "PYTHONUNBUFFERED": "1", **variables}


def _open_log(log_file: Path) -> BinaryIO | None:
    """The log, begun anew where it has grown large; None where it cannot be written: work goes first."""
    try:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        if log_file.exists() and log_file.stat().st_size > MAX_LOG_BYTES:
            log_file.replace(log_file.with_name(f"{log_file.name}.1"))
        return log_file.open("ab")
    except OSError as error:
        log.warning("%s cannot be written: %s", log_file, error)
        return None
