"""Putting a file into a folder that others use too: whole or not at all, never over anything, never twice.

The order is: intent in the journal, temporary file in the target folder, sync, rename. After a crash the
intent tells what may lie there, and `recover` finds out what does.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path, PurePath
from typing import TypeVar

from bridge.crash_points import reach
from bridge.errors import DeliveryError
from bridge.jobs.cache import file_sha256, sync_folder

MAX_NAME_BYTES = 240
"""File systems allow 255 bytes; the rest is for " (12)" and the temporary name."""

LONGEST_SUFFIX_BYTES = 16
"""What stands behind a dot and is longer is no suffix."""

_FORBIDDEN = str.maketrans(
    dict.fromkeys('<>:"/\\|?*\x7f', "-")
    | {chr(code): "-" for code in range(32)}
    | {chr(code): "_" for code in range(0xD800, 0xE000)}  # bytes of a name that is not Unicode
)

_RESERVED = frozenset({"con", "prn", "aux", "nul", "conin$", "conout$"}) | {
    f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"
}
"""Names that Windows keeps for devices, whatever the suffix."""


class NameTakenError(Exception):
    """Somebody else has made a file of this name since it was chosen."""


@dataclass(frozen=True)
class Content:
    """What shall lie there: bytes, or the bytes of the file `copy_of`."""

    data: bytes | None
    copy_of: Path | None
    sha256: str
    size: int

    @classmethod
    def of_bytes(cls, data: bytes) -> Content:
        return cls(data, None, hashlib.sha256(data).hexdigest(), len(data))

    @classmethod
    def of_file(cls, path: Path, sha256: str) -> Content:
        return cls(None, path, sha256, path.stat().st_size)

    def read(self) -> bytes:
        """The bytes themselves. Raises OSError."""
        if self.data is not None:
            return self.data
        assert self.copy_of is not None
        return self.copy_of.read_bytes()


@dataclass(frozen=True)
class Choice:
    """The name that was chosen; `exists` when the very same bytes lie there already."""

    path: Path
    exists: bool


def safe_name(name: str) -> str:
    """A file name that every system takes: NFC, no separators or control signs, none of Windows' devices."""
    clean = unicodedata.normalize("NFC", name).translate(_FORBIDDEN).rstrip(". ") or "bounce"
    device, _, rest = clean.partition(".")
    if device.rstrip().casefold() in _RESERVED:
        clean = f"{device.rstrip()}_.{rest}" if rest else f"{device.rstrip()}_"
    stem, dot, suffix = clean.rpartition(".")
    if not dot or len(suffix.encode()) > LONGEST_SUFFIX_BYTES:
        stem, dot, suffix = clean, "", ""
    while len((stem + dot + suffix).encode()) > MAX_NAME_BYTES and stem:
        stem = stem[:-1]
    return stem + dot + suffix


def choose_name(folder: Path, relative: Path, content: Content) -> Choice:
    """The first of `name`, `name (2)`, `name (3)` … that is free, or that holds these very bytes already."""
    wanted = folder.joinpath(*(safe_name(part) for part in relative.parts))
    for number in range(1, 10_000):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.stem} ({number}){wanted.suffix}")
        if not os.path.lexists(path):
            return Choice(path, exists=False)
        if _holds(path, content.sha256, content.size):
            return Choice(path, exists=True)
    raise DeliveryError("there are 10,000 files of this name.", file=wanted, remedy="Clear that folder up.")


def _holds(path: Path, sha256: str, size: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size == size and file_sha256(path) == sha256
    except OSError:
        return False


def temp_path(final: Path, delivery_id: int) -> Path:
    """The temporary name beside `final`; it begins with a dot, so folder watchers leave it alone."""
    return final.with_name(f".daw-bridge-{delivery_id}.part")


def place(final: Path, temp: Path, content: Content, *, project_folder: Path | None = None) -> None:
    """Writes `content` to `temp`, syncs, renames to `final`, which lies in or below `project_folder`.

    Raises NameTakenError where `final` has come into being meanwhile, DeliveryError for the disk's troubles.
    """
    try:
        make_folder(project_folder or final.parent)
        final.parent.mkdir(parents=True, exist_ok=True)
        _write(temp, content)
        reach("delivery-before-rename")
        rename_without_overwriting(temp, final)
        sync_folder(final.parent)
    except NameTakenError:
        temp.unlink(missing_ok=True)
        raise
    except OSError as error:
        discard(temp)
        raise DeliveryError(_in_words(error, final.parent), file=final, remedy=_REMEDY) from error


def _write(temp: Path, content: Content) -> None:
    with temp.open("wb") as file:
        if content.data is not None:
            half = len(content.data) // 2
            file.write(content.data[:half])
            reach("delivery-temp-half")
            file.write(content.data[half:])
        else:
            assert content.copy_of is not None
            with content.copy_of.open("rb") as source:
                shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        reach("delivery-before-fsync")
        os.fsync(file.fileno())
    reach("delivery-after-fsync")


def rename_without_overwriting(temp: Path, final: Path) -> None:
    """Gives `temp` the name `final`. Raises NameTakenError where there is something of that name."""
    try:
        if os.name == "nt":
            temp.rename(final)  # On Windows this refuses to overwrite by itself.
            return
        try:
            os.link(temp, final)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_over_reservation(temp, final)
            return
        temp.unlink()
    except FileExistsError as error:
        raise NameTakenError(str(final)) from error


_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
"""What file systems without hard links (exFAT, some network shares) answer."""


def _rename_over_reservation(temp: Path, final: Path) -> None:
    with final.open("xb"):
        pass
    try:
        temp.replace(final)
    except OSError:
        if _is_empty_reservation(final):
            final.unlink(missing_ok=True)
        raise


def recover(final: Path, temp: Path, sha256: str, size: int) -> bool:
    """After a crash in mid-delivery: True when the file lies there whole; else its remains are removed."""
    done = _holds(final, sha256, size)
    if not done and _is_empty_reservation(final):
        final.unlink(missing_ok=True)
    discard(temp)
    return done


def _is_empty_reservation(final: Path) -> bool:
    try:
        return final.is_file() and final.stat().st_size == 0
    except OSError:
        return False


def make_folder(folder: Path) -> None:
    """Makes the project folder, but not a drive that is not plugged in.

    Raises DeliveryError when the folder's parent is gone: making it anew could be a ghost of a mount point.
    """
    missing = missing_of(folder, os.path.exists)
    # A drive that is gone is the last of its own parents.
    if len(missing) > MAX_NEW_LEVELS or (missing and missing[-1] == missing[-1].parent):
        raise DeliveryError(
            f"the folder {folder} is not there.",
            remedy="Plug the drive in or make the folder; the result is kept and delivered then.",
        )
    for one in reversed(missing):
        one.mkdir(exist_ok=True)


AnyPath = TypeVar("AnyPath", bound=PurePath)


def missing_of(folder: AnyPath, exists: Callable[[AnyPath], bool]) -> list[AnyPath]:
    """The folder and those above it that are not there, the innermost first; up to a drive that is gone."""
    chain = takewhile(lambda one: not exists(one), (folder, *folder.parents))
    return list(chain)


MAX_NEW_LEVELS = 3


def discard(temp: Path) -> None:
    """Removes a temporary file; one that cannot be removed now is no reason to stop."""
    try:
        temp.unlink(missing_ok=True)
    except OSError:
        return  # It carries our name and a dot; the next delivery of this row overwrites it.


_REMEDY = "The result is kept; it is tried again by itself."

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "your share of the disk is full",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "you may not write to this folder",
    errno.EPERM: "you may not write to this folder",
    errno.ENOENT: "the folder is gone",
    errno.ENOTDIR: "there is a file where the folder should be",
    errno.EEXIST: "there is a file where the folder should be",
    errno.EIO: "the disk does not answer",
    errno.ENAMETOOLONG: "the name is too long for this disk",
}


def _in_words(error: OSError, folder: Path) -> str:
    words = _WORDS.get(error.errno or 0, f"it cannot be written ({error.strerror or error})")
    return f"{words}: {folder}."
