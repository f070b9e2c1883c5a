"""What a bounce's file name tells: its tempo, and whether it can be written down. Standard library only."""

from __future__ import annotations

import re

LOWEST_NAMED_BPM, HIGHEST_NAMED_BPM = 20.0, 400.0

_NUMBER = r"([0-9]{1,3}(?:[.,][0-9]{1,3})?)"
_BETWEEN = r"[ _=-]{0,3}"
# `128bpm` is what nearly everybody writes; `bpm128` is asked only where that is not there.
_PATTERNS = (
    re.compile(rf"(?<![\d.,]){_NUMBER}{_BETWEEN}bpm(?![^\W_])", re.IGNORECASE),
    re.compile(rf"(?<![^\W_])bpm{_BETWEEN}{_NUMBER}(?![^\W_])", re.IGNORECASE),
)


def is_unicode(name: str) -> bool:
    """False for a name whose bytes are no UTF-8, as Linux lets them be: databases and MIDI cannot hold it."""
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def tempo_from_name(stem: str) -> float | None:
    """The tempo in beats a minute that a file's name states (`_128bpm`, `128.5 BPM`, `bpm128`), or None.

    A number without `bpm`, a `bpm` within a word, and tempi outside 20 to 400 do not count.
    """
    for pattern in _PATTERNS:
        for found in pattern.finditer(stem):
            bpm = float(found[1].replace(",", "."))
            if LOWEST_NAMED_BPM <= bpm <= HIGHEST_NAMED_BPM:
                return bpm
    return None
