"""Files that appear whole or not at all: written under a hidden name beside the final one, then renamed."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO

from bridge.errors import AudioError

CHECK_DISK = "Check the disk's space and that you may write to this folder."


def hidden_beside(path: Path) -> Path:
    """A new name in the same folder; it begins with a dot, so folder watchers leave it alone."""
    return path.with_name(f".daw-bridge-{secrets.token_hex(6)}.part")


@contextmanager
def told_of_writing(path: Path) -> Iterator[None]:
    """Turns what the system raises on writing into AudioError."""
    try:
        yield
    except OSError as fault:
        words = f"it could not be written ({fault.strerror or fault})."
        raise AudioError(words, remedy=CHECK_DISK, file=path) from fault


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """An open file that gets the name `path` when all went well; an older one there is replaced.

    When anything goes wrong nothing is left behind. Raises OSError.
    """
    temp = hidden_beside(path)
    try:
        with temp.open("xb") as file:
            yield file
            settle(file)
        temp.replace(path)
    except BaseException:
        discard(temp)
        raise


MOST_IN_MEMORY = 32 << 20
"""A DAW's callbacks were late beside a disk that was busy with what is thrown away a moment later."""


@contextmanager
def scratch_file(folder: Path) -> Iterator[IO[bytes]]:
    """Something to write and read, gone afterwards; a file in `folder` where it grows. Raises OSError."""
    with tempfile.SpooledTemporaryFile(
        max_size=MOST_IN_MEMORY, mode="w+b", prefix=".scratch-", dir=str(folder)
    ) as file:
        yield file


def settle(file: BinaryIO) -> None:
    """Waits until the disk has the file. Raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def discard(path: Path) -> None:
    """Removes a hidden file; one that cannot be removed now is no reason to stop."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
