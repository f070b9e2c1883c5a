"""Which files of the models folder were read and found right: large ones are not hashed at every start.

A note beside them, that may be deleted at any time. Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from pathlib import Path
from typing import Final

from bridge.media.whole_files import whole_file

NOTE: Final = ".checked.json"
WORTH_NOTING_BYTES: Final = 1 << 20


class Checked:
    """The notes of one folder. A file that was written to since is not the one that was checked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes: dict[str, list[int | str]] | None = None
        self._lock = threading.Lock()

    def knows(self, path: Path, stat: os.stat_result, sha256: str) -> bool:
        """Whether this file, as it is now, was found to have this hash."""
        return self._read().get(path.name) == _facts(stat, sha256)

    def note(self, path: Path, stat: os.stat_result, sha256: str) -> None:
        """It has. Where that cannot be written down, it is read again another time."""
        if stat.st_size < WORTH_NOTING_BYTES or path.parent != self._folder:
            return
        with self._lock:
            notes = {**self._read(), path.name: _facts(stat, sha256)}
            self._notes = notes
            with contextlib.suppress(OSError), whole_file(self._folder / NOTE) as file:
                file.write(json.dumps(notes).encode())

    def forget(self) -> None:
        """Everything is read again."""
        self._notes = {}

    def _read(self) -> dict[str, list[int | str]]:
        if self._notes is None:
            try:
                found = json.loads((self._folder / NOTE).read_text(encoding="utf-8"))
                self._notes = dict(found)
            except (OSError, ValueError, TypeError):
                self._notes = {}
        return self._notes


def _facts(stat: os.stat_result, sha256: str) -> list[int | str]:
    return [stat.st_size, stat.st_mtime_ns, sha256]
