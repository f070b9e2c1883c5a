"""Keys and their combinations as a musician writes them: "ctrl+alt+h". Pure.

One way to write each: `str(Combination.parse("Alt + Control + H"))` is "ctrl+alt+h".
"""

from __future__ import annotations

import difflib
import string
from collections.abc import Mapping
from dataclasses import dataclass

MODIFIERS = ("ctrl", "alt", "shift", "cmd")
"""In the order in which they are written."""
NOT_FOR_TYPING = frozenset({"ctrl", "alt", "cmd"})
"""With one of these a letter is no letter any more."""

_OTHER_MODIFIER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("control",), "ctrl"),
    **dict.fromkeys(("option", "opt"), "alt"),
    **dict.fromkeys(("command", "super", "win", "windows", "meta"), "cmd"),
}

FUNCTION_KEYS = tuple(f"f{number}" for number in range(1, 25))
MEDIA_KEYS = (
    *("media_play_pause", "media_stop", "media_next", "media_previous"),
    *("media_volume_up", "media_volume_down", "media_volume_mute"),
)
SIGNS: Mapping[str, str] = {
    "minus": "-",
    "equal": "=",
    "comma": ",",
    "period": ".",
    "slash": "/",
    "backslash": "\\",
    "semicolon": ";",
    "apostrophe": "'",
    "bracket_left": "[",
    "bracket_right": "]",
    "grave": "`",
}
"""Keys with a sign on them: name → sign."""
NAMED_KEYS = (
    *("space", "enter", "tab", "esc", "backspace", "delete", "insert"),
    *("home", "end", "page_up", "page_down", "up", "down", "left", "right"),
)
KEYS = frozenset((*string.ascii_lowercase, *string.digits, *FUNCTION_KEYS, *MEDIA_KEYS, *NAMED_KEYS, *SIGNS))

_OTHER_KEY_NAMES: Mapping[str, str] = {
    "return": "enter",
    "escape": "esc",
    "del": "delete",
    "ins": "insert",
    **dict.fromkeys(("pageup", "pgup"), "page_up"),
    **dict.fromkeys(("pagedown", "pgdn"), "page_down"),
    "play_pause": "media_play_pause",
    "next_track": "media_next",
    "previous_track": "media_previous",
    **{sign: name for name, sign in SIGNS.items()},
}
_ALONE = frozenset((*FUNCTION_KEYS, *MEDIA_KEYS))


@dataclass(frozen=True)
class Combination:
    """Modifiers out of `MODIFIERS`, exactly these and no more, and one key out of `KEYS`."""

    modifiers: frozenset[str]
    key: str

    @classmethod
    def parse(cls, text: str) -> Combination:
        """Order, case and spaces do not matter. Raises ValueError in plain words."""
        words = [word.strip().lower().replace(" ", "_") for word in text.split("+")]
        if not all(words):
            raise ValueError(f"{text!r} is no combination of keys. Write it like 'ctrl+alt+h'")
        names = [_OTHER_MODIFIER_NAMES.get(word, _OTHER_KEY_NAMES.get(word, word)) for word in words]
        keys = [name for name in names if name not in MODIFIERS]
        for name in keys:
            if name not in KEYS:
                raise ValueError(f"{text!r} names no key with {name!r}. {_hint(name)}")
        if len(keys) != 1 or len(set(names)) != len(names):
            raise ValueError(f"{text!r} must have one key, and each modifier once, like 'ctrl+alt+h'")
        modifiers = frozenset(names) - {keys[0]}
        if keys[0] not in _ALONE and not modifiers & NOT_FOR_TYPING:
            raise ValueError(f"{text!r} would fire whenever it is typed. Add ctrl, alt or cmd")
        return cls(modifiers, keys[0])

    def __str__(self) -> str:
        return "+".join((*(name for name in MODIFIERS if name in self.modifiers), self.key))


def _hint(name: str) -> str:
    known = (*KEYS, *MODIFIERS, *_OTHER_MODIFIER_NAMES, *_OTHER_KEY_NAMES)
    near = difflib.get_close_matches(name, sorted(known), n=1)
    if near:
        return f"Did you mean '{near[0]}'?"
    return "There are letters, digits, f1 to f24, space, enter, arrows and media keys"
