"""What lies in a watched folder now: one walk, one `stat` a file, nothing is opened."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.jobs.model import Fingerprint
from bridge.triggers.ignore import is_bounce_name, is_ignored_folder

JUNCTION_TAG = 0xA0000003  # stat.IO_REPARSE_TAG_MOUNT_POINT, which exists only on Windows

# Gone between the listing and the look, or a link to nowhere or to itself.
NO_FILE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})

DEEPEST = 64
"""Folders in folders. Links are not followed, so this only stops file systems that contain themselves."""


@dataclass(frozen=True)
class Found:
    """`files`: possible bounces by path; `faults`: folders and files that could not be read, and why."""

    files: dict[str, Fingerprint]
    faults: dict[str, OSError]


def scan(folder: str, *, recursive: bool) -> Found:
    """The possible bounces in `folder`. Never raises OSError: what cannot be read is in `faults`.

    Links to files count as files. Links to folders are not followed: their files would be found under two
    names, and a loop would never end; a musician who wants them names the folder itself.
    """
    found = Found(files={}, faults={})
    waiting = [(folder, 0)]
    while waiting:
        path, depth = waiting.pop()
        try:
            with os.scandir(path) as entries:
                folders = _read(entries, found)
        except OSError as error:
            found.faults[path] = error
            continue
        if recursive and depth < DEEPEST:
            waiting += [(below, depth + 1) for below in folders]
    return found


def lies_behind_link(path: str, root: str) -> bool:
    """Whether a link leads from `root` to `path` below it: a scan of `root` would not come here."""
    while len(path) > len(root):
        if os.path.islink(path):  # noqa: PTH114 - paths are str here
            return True
        path = os.path.dirname(path)  # noqa: PTH120
    return False


def _read(entries: Iterable[os.DirEntry[str]], found: Found) -> list[str]:
    folders = []
    for entry in entries:
        try:
            if is_bounce_name(entry.name):
                # On Windows an entry's own stat is a cached one: size and time lag behind an open writer.
                status = os.stat(entry.path)  # noqa: PTH116 - a Path for each of 10,000 files costs 30 ms
                if stat.S_ISREG(status.st_mode):
                    found.files[entry.path] = Fingerprint.from_stat(status)
                    continue
            if not is_ignored_folder(entry.name) and _is_real_folder(entry):
                folders.append(entry.path)
        except OSError as error:
            if error.errno not in NO_FILE:
                found.faults[entry.path] = error
    return folders


def _is_real_folder(entry: os.DirEntry[str]) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return False
    # A junction is a folder to `is_dir`, but it is a link (Windows; the attribute exists only there).
    return getattr(entry.stat(follow_symlinks=False), "st_reparse_tag", 0) != JUNCTION_TAG
