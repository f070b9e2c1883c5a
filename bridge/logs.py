"""Logs: one file that rolls over in BRIDGE_HOME/logs, and the terminal for `bridge run`.

No secret gets into either: what is written goes through `keys.hidden`, tracebacks too.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from pathlib import Path

from bridge.keys import hidden

LOG_NAME = "bridge.log"
_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
MAX_BYTES = 2_000_000
OLD_FILES = 3


class _Masking(logging.Formatter):
    """Masks the whole line as it is written: message, arguments and traceback."""

    def format(self, record: logging.LogRecord) -> str:
        return hidden(super().format(record))


class _LogFile(logging.handlers.RotatingFileHandler):
    """Says nothing where it cannot write: the usual complaint would show the arguments as they are."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  the base's name
        """A full disk is told by what needs the disk."""


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
    to_file = _LogFile(
        folder / LOG_NAME,
        maxBytes=MAX_BYTES,
        backupCount=OLD_FILES,
        encoding="utf-8",
        errors="backslashreplace",  # file names need not be Unicode on Linux
        delay=True,
    )
    to_file.setFormatter(_Masking(_FORMAT))
    root.addHandler(to_file)
    if to_terminal:
        terminal = logging.StreamHandler(sys.stderr)
        terminal.setFormatter(_Masking("%(levelname)s: %(message)s"))
        terminal.setLevel(max(logging.WARNING, root.level))
        root.addHandler(terminal)
