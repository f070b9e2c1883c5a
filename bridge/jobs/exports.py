"""Several files of one "export all tracks": what tells that they are, and how long more may come. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from bridge.jobs.model import Source

SAME_EXPORT_S = 3.0
"""Files of one export are closed no further apart than this."""

EXPORT_ENDS_S = 4.0
"""So long after its last file nothing more comes of an export, and what goes into one file is written."""


def same_export(first: Source, second: Source) -> bool:
    """Two tracks of one "export all tracks": names with a common beginning, same folder, length and rate."""
    if first.path == second.path or first.path.parent != second.path.parent:
        return False
    if (first.frames, first.rate_hz) != (second.frames, second.rate_hz):
        return False
    if first.path.suffix.lower() != second.path.suffix.lower():
        return False
    return bool(common_words((first.path.stem, second.path.stem), separators=" -_"))


def common_words(names: Sequence[str], *, separators: str) -> str:
    """The words that all names begin with, and the separator behind the last one.

    "Song Drums" and "Song Deep" share "Song D", of which "Song " is words.
    """
    same = takewhile(lambda letters: len(set(letters)) == 1, zip(*names, strict=False))
    common = "".join(letters[0] for letters in same)
    return common[: max(common.rfind(one) + 1 for one in separators)]
