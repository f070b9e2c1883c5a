"""Logs: one file that rolls over in BRIDGE_HOME/logs, and the terminal for `bridge run`."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

LOG_NAME = "bridge.log"
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MAX_BYTES = 2_000_000
OLD_FILES = 3


def set_up(bridge_home: Path, *, level: str, to_terminal: bool) -> None:
    """Sends the bridge's log to its file, and to the terminal if asked. Called once at start."""
    folder = bridge_home / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger("bridge")
    root.setLevel(level.upper())
    root.propagate = False
    for old in root.handlers[:]:
        root.removeHandler(old)
        old.close()
    to_file = logging.handlers.RotatingFileHandler(
        folder / LOG_NAME,
        maxBytes=MAX_BYTES,
        backupCount=OLD_FILES,
        encoding="utf-8",
        errors="backslashreplace",  # file names need not be Unicode on Linux
        delay=True,
    )
    to_file.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(to_file)
    if to_terminal:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
        terminal.setLevel(max(logging.WARNING, root.level))
        root.addHandler(terminal)
