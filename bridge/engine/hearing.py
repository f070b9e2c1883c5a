"""What the engine has heard is kept: another threshold or another material then costs milliseconds.

One file for each listener and piece of audio, named by the hash of its samples and by what the listener is
made of. It is only ever a shortcut: a file that is missing, damaged or of another making is heard again.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

KEPT_BYTES = 1 << 30
"""About five hours of audio; the longest unused goes first."""

SUFFIX = ".npz"

DAMAGED = (
    OSError, ValueError, TypeError, EOFError, KeyError, RuntimeError, MemoryError,
    zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What numpy and zipfile raise for a file with other bytes than were written."""

Heard = TypeVar("Heard")


@dataclass(frozen=True)
class Hearings:
    """What was heard in one piece of audio, `audio` being its samples' hash. No `folder`: nothing is kept."""

    folder: Path | None
    audio: str

    def of(self, listener: str, made_of: str, kind: type[Heard], hear: Callable[[], Heard]) -> Heard:
        """What the listener heard: what is kept, else what `hear` gives, which is kept then.

        `kind` is a dataclass of arrays and numbers. `made_of` names the listener's models and version.
        """
        if self.folder is None:
            return hear()
        digest = hashlib.sha256(made_of.encode()).hexdigest()
        path = self.folder / f"{self.audio}-{listener}-{digest[:16]}{SUFFIX}"
        kept = _read(path, kind)
        if kept is not None:
            return kept
        heard = hear()
        with suppress(OSError):  # a full disk must not cost the result
            _write(path, heard)
            _thin_out(self.folder, KEPT_BYTES)
        return heard


def _read(path: Path, kind: type[Heard]) -> Heard | None:
    try:
        # Opened here: of a damaged file numpy would leave its own handle open.
        with (
            path.open("rb") as opened,
            np.load(opened, allow_pickle=False) as file,
        ):  # checks each array's CRC
            arrays = {name: file[name] for name in file.files}
        os.utime(path)
        return kind(**{name: array if array.ndim else array.item() for name, array in arrays.items()})
    except DAMAGED:
        return None


def _write(path: Path, heard: Any) -> None:
    arrays = {name: np.asarray(value) for name, value in vars(heard).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _thin_out(folder: Path, most_bytes: int) -> None:
    """Removes what was not used for the longest time, until the rest is small enough."""
    found = []
    for path in folder.iterdir():
        with suppress(OSError):
            stat = path.stat()
            found.append((stat.st_mtime, stat.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= most_bytes:
            return
        with suppress(OSError):  # another process reads it just now (Windows)
            path.unlink()
            total -= size
