"""How the three systems name keys and modifiers: tables and what reads them. Pure.

The numbers are those of X11's keysymdef.h and XF86keysym.h, of HIToolbox's Events.h (macOS) and of
"Virtual-Key Codes" (Windows).
"""

from __future__ import annotations

import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from bridge.key_names import FUNCTION_KEYS, SIGNS

NAME_OF_SIGN: Mapping[str, str] = {
    **{sign: name for name, sign in SIGNS.items()},
    **{letter: letter for letter in (*string.ascii_lowercase, *string.digits)},
}
"""What a key without modifiers writes → its name."""

KEYSYMS: Mapping[int, str] = (
    {ord(sign): name for sign, name in NAME_OF_SIGN.items()}
    | {0xFFBE + number: name for number, name in enumerate(FUNCTION_KEYS)}
    | {0x0020: "space", 0xFF0D: "enter", 0xFF8D: "enter", 0xFF09: "tab", 0xFF1B: "esc", 0xFF08: "backspace"}
    | {0xFFFF: "delete", 0xFF63: "insert", 0xFF50: "home", 0xFF57: "end", 0xFF55: "page_up"}
    | {0xFF56: "page_down", 0xFF52: "up", 0xFF54: "down", 0xFF51: "left", 0xFF53: "right"}
    | {0x1008FF14: "media_play_pause", 0x1008FF15: "media_stop", 0x1008FF17: "media_next"}
    | {0x1008FF16: "media_previous", 0x1008FF13: "media_volume_up", 0x1008FF11: "media_volume_down"}
    | {0x1008FF12: "media_volume_mute"}
)
X11_SHIFT, X11_CONTROL = 1 << 0, 1 << 2
X11_MODIFIER_KEYSYMS: Mapping[int, str] = {
    **dict.fromkeys((0xFFE9, 0xFFEA), "alt"),
    **dict.fromkeys((0xFFEB, 0xFFEC), "cmd"),
    **dict.fromkeys((0xFE03, 0xFF7E), "altgr"),
}

MACOS_KEYS: Mapping[int, str] = (
    {0x31: "space", 0x24: "enter", 0x4C: "enter", 0x30: "tab", 0x35: "esc", 0x33: "backspace"}
    | {0x75: "delete", 0x72: "insert", 0x73: "home", 0x77: "end", 0x74: "page_up", 0x79: "page_down"}
    | {0x7E: "up", 0x7D: "down", 0x7B: "left", 0x7C: "right"}
    | {0x7A: "f1", 0x78: "f2", 0x63: "f3", 0x76: "f4", 0x60: "f5", 0x61: "f6", 0x62: "f7", 0x64: "f8"}
    | {0x65: "f9", 0x6D: "f10", 0x67: "f11", 0x6F: "f12", 0x69: "f13", 0x6B: "f14", 0x71: "f15"}
    | {0x6A: "f16", 0x40: "f17", 0x4F: "f18", 0x50: "f19", 0x5A: "f20"}
)
MACOS_FLAGS: Mapping[str, int] = {"shift": 1 << 17, "ctrl": 1 << 18, "alt": 1 << 19, "cmd": 1 << 20}

WINDOWS_KEYS: Mapping[int, str] = (
    {ord(sign.upper()): sign for sign in (*string.ascii_lowercase, *string.digits)}
    | {0x70 + number: name for number, name in enumerate(FUNCTION_KEYS)}
    | {0x20: "space", 0x0D: "enter", 0x09: "tab", 0x1B: "esc", 0x08: "backspace", 0x2E: "delete"}
    | {0x2D: "insert", 0x24: "home", 0x23: "end", 0x21: "page_up", 0x22: "page_down"}
    | {0x26: "up", 0x28: "down", 0x25: "left", 0x27: "right"}
    | {0xB3: "media_play_pause", 0xB2: "media_stop", 0xB0: "media_next", 0xB1: "media_previous"}
    | {0xAF: "media_volume_up", 0xAE: "media_volume_down", 0xAD: "media_volume_mute"}
)
WINDOWS_MODIFIERS: Mapping[int, str] = {0x10: "shift", 0x11: "ctrl", 0x12: "alt", 0x5B: "cmd", 0x5C: "cmd"}
WINDOWS_LEFT_CTRL, WINDOWS_RIGHT_ALT = 0xA2, 0xA5


def x11_names(keysyms: Sequence[int], group: int = 0) -> tuple[str, ...]:
    """The keys that a physical key stands for, from its `keysyms` by column: two for each group (layout).

    First what it writes by itself in the layout in use, then with shift (digits of a French keyboard), and in
    the other layouts where it writes nothing that we know (a Russian one).
    """
    in_use = _known(keysyms[2 * group : 2 * group + 2])
    return in_use or _known(keysyms[:4])


def _known(keysyms: Iterable[int]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(KEYSYMS[keysym] for keysym in keysyms if keysym in KEYSYMS))


def x11_masks(mapping: Sequence[Sequence[int]], keysym_of: Callable[[int], int]) -> Mapping[str, int]:
    """Modifier → its bits in an event's state, from the server's table of eight rows of key codes."""
    masks = {"shift": X11_SHIFT, "ctrl": X11_CONTROL}
    for row, codes in enumerate(mapping):
        for code in filter(None, codes):
            name = X11_MODIFIER_KEYSYMS.get(keysym_of(code))
            if name and not any(mask & 1 << row for mask in masks.values()):
                masks[name] = masks.get(name, 0) | 1 << row
    return masks


def held(state: int, masks: Mapping[str, int]) -> frozenset[str]:
    """The modifiers that are held by an event's state or flags. Locks (caps, num) are not among them."""
    return frozenset(name for name, mask in masks.items() if state & mask)


def macos_names(code: int, written: Mapping[int, str]) -> tuple[str, ...]:
    """`written`: key code → what the key writes without modifiers in the layout in use."""
    name = MACOS_KEYS.get(code) or NAME_OF_SIGN.get(written.get(code, ""))
    return (name,) if name else ()


def windows_names(code: int, writes: Callable[[int], str]) -> tuple[str, ...]:
    """`writes` says what a virtual key writes without modifiers in the layout in use."""
    name = WINDOWS_KEYS.get(code) or NAME_OF_SIGN.get(writes(code).lower())
    return (name,) if name else ()


def windows_modifiers(is_down: Callable[[int], bool]) -> frozenset[str]:
    """AltGr comes as left ctrl and right alt together, and is neither."""
    names = frozenset(name for code, name in WINDOWS_MODIFIERS.items() if is_down(code))
    if is_down(WINDOWS_LEFT_CTRL) and is_down(WINDOWS_RIGHT_ALT):
        return (names - {"ctrl", "alt"}) | {"altgr"}
    return names
