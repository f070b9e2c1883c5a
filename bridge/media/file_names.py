"""What a bounce's file name tells: tempo, key, bar; and whether it can be written down."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridge.media.musical_time import Key

LOWEST_NAMED_BPM, HIGHEST_NAMED_BPM = 20.0, 400.0

_NUMBER = r"([0-9]{1,3}(?:[.,][0-9]{1,3})?)"
_BETWEEN = r"[ _=-]{0,3}"
# `128bpm` is what nearly everybody writes; `bpm128` is asked only where that is not there.
_PATTERNS = (
    re.compile(rf"(?<![\d.,]){_NUMBER}{_BETWEEN}bpm(?![^\W_])", re.IGNORECASE),
    re.compile(rf"(?<![^\W_])bpm{_BETWEEN}{_NUMBER}(?![^\W_])", re.IGNORECASE),
)

# A key has an accidental or a mode: a lone "A" is a take.
_KEY = re.compile(
    r"(?<!\bI )(?P<key>[A-G](?:[#b♯♭]?[ _-]?(?i:minor|major|moll|dur|min|maj)|[#b♯♭]?m|[#b♯♭]))"
)
_BAR = re.compile(r"(?<![^\W_])bars?[ _-]?([0-9]{1,4})(?![^\W_])", re.IGNORECASE)


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


def key_from_name(stem: str) -> Key | None:
    """The key that a file's name states (`_F#m`, `(Bb)`, `C minor`), or None.

    It must stand between separators. Between spaces it is read only where the name states a tempo too:
    "Who I Am" is no key.
    """
    by_spaces = tempo_from_name(stem) is not None
    for found in _keys(stem):
        before, after = stem[: found.start()], stem[found.end() :]
        ends = (before[-1:], after[:1])
        if all(end in _SEPARATORS or (by_spaces and end == " ") for end in ends):
            return Key.named(found["key"].replace("_", " "))
    return None


_SEPARATORS = ("", "_", "-", "(", ")", "[", "]", ",", "+")


def _keys(stem: str) -> Iterator[re.Match[str]]:
    """Every place where a key may stand, the longest reading of each."""
    at = 0
    while found := _KEY.search(stem, at):
        yield found
        at = found.start() + 1


def bar_from_name(stem: str) -> int | None:
    """The bar at which the bounce begins, by its name (`_bar17`, `Bars 17-24`), or None."""
    found = _BAR.search(stem)
    return int(found[1]) if found and int(found[1]) else None
