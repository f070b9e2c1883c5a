"""What in a watched folder is no bounce, whatever is in it: tables of names, compared without case.

A path is judged below its watched folder only: the watched folder itself may be called what it likes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePath

from bridge.media.audio_header import AUDIO_SUFFIXES
from bridge.media.file_names import is_unicode

# "." covers hidden files, AppleDouble twins ("._take.wav") and our own files in the making (".name.id.part").
IGNORED_PREFIXES = (
    ".",
    "qrender_",  # REAPER's queued renders
    "~$",  # lock files of Windows programs
)

# Only what ends like audio is a bounce: .asd, .reapeaks, .tmp, .part and .crdownload need no row here.
BOUNCE_SUFFIXES: frozenset[str] = AUDIO_SUFFIXES

IGNORED_FOLDERS = frozenset(
    {
        "queuedrenders",  # REAPER
        "peaks",  # REAPER's and Ardour's caches (interchange/<session>/peaks)
        "reapeaks",
        "@eadir",  # Synology's thumbnails
        "#recycle",
        "#snapshot",
        "$recycle.bin",  # Windows
        "system volume information",
        "lost+found",
    }
)


def is_bounce_name(name: str) -> bool:
    """Whether a file of this name may be a bounce. One that is not in Unicode is none: nobody can type it."""
    folded = name.casefold()
    # Called for each file of a scan: four times as fast as splitting the name.
    return (
        folded[folded.rfind(".") :] in BOUNCE_SUFFIXES
        and not folded.startswith(IGNORED_PREFIXES)
        and is_unicode(name)
    )


def is_ignored_folder(name: str) -> bool:
    """Whether everything below a folder of this name is left alone."""
    return name.startswith(".") or name.casefold() in IGNORED_FOLDERS or not is_unicode(name)


def is_ignored_way(folder_names: Iterable[str]) -> bool:
    """Whether one of these folders, from the watched one down, is left alone."""
    return any(is_ignored_folder(name) for name in folder_names)


def may_be_bounce(below: str, *, recursive: bool) -> bool:
    """Whether the file with this path, seen from its watched folder, may be a bounce."""
    *folders, name = PurePath(below).parts or ("",)
    return is_bounce_name(name) and not (folders and not recursive) and not is_ignored_way(folders)


def may_hold_bounces(below: str, *, recursive: bool) -> bool:
    """Whether the folder with this path, seen from its watched folder, is looked into."""
    return recursive and not is_ignored_way(PurePath(below).parts)
