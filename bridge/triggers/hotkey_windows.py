"""Keys on Windows: a low-level hook, which sees all keys but those typed into windows of an administrator."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bridge.key_names import Combination
from bridge.triggers import hotkey_ears
from bridge.triggers.hotkey_state import KeyEvent
from bridge.triggers.hotkey_tables import (
    WINDOWS_KEYS,
    windows_modifiers,
    windows_names,
)

KEY_DOWN_MESSAGES = frozenset({0x0100, 0x0104})  # WM_KEYDOWN, WM_SYSKEYDOWN
VK_TO_CHAR = 2
VIRTUAL_KEYS = range(1, 0xFF)
HELD_NOW = 0x8000
LAST_CHARACTER = 0xFFFF  # above it: a dead key
ALREADY_REGISTERED = 1409
HOTKEY_ID = 0x0DA3
HOTKEY_MODIFIERS = {"alt": 1, "ctrl": 2, "shift": 4, "cmd": 8}


def look(combinations: Iterable[Combination]) -> list[str]:
    """What should be known about `combinations`, in plain words. Raises NotHeard."""
    hotkey_ears.imported()
    return list(complaints(combinations, _user32(), last_error))


def complaints(
    combinations: Iterable[Combination], user32: Any, last_error: Callable[[], int]
) -> Iterator[str]:
    for combination in combinations:
        codes = (code for code in VIRTUAL_KEYS if combination.key in windows_names(code, writer(user32)))
        code = next(codes, None)
        modifiers = sum(HOTKEY_MODIFIERS[name] for name in combination.modifiers)
        if code is None:
            yield f"no key of this keyboard is {combination.key} ({combination})"
        elif user32.RegisterHotKey(None, HOTKEY_ID, modifiers, code):
            user32.UnregisterHotKey(None, HOTKEY_ID)
        elif last_error() == ALREADY_REGISTERED:
            yield f"{combination} is taken by Windows or another program, which also reacts to it"


def writer(user32: Any) -> Callable[[int], str]:
    """What a virtual key writes without modifiers in the layout in use; nothing for a dead key."""

    def written(code: int) -> str:
        if code in WINDOWS_KEYS:
            return ""
        sign = user32.MapVirtualKeyW(code, VK_TO_CHAR)
        return chr(sign) if 0 < sign <= LAST_CHARACTER else ""

    return written


class Keyboard:
    """Tells `hear` each key; `woken` is called when the listening has ended. Raises NotHeard."""

    def __init__(self, hear: Callable[[KeyEvent], None], woken: Callable[[], None]) -> None:
        self._user32 = _user32()
        self._write = writer(self._user32)

        def seen(message: int, data: Any) -> bool:
            hear(self._event(message, data))
            return False  # pynput itself has nothing more to do with it

        self._ears = hotkey_ears.Ears(woken, methods={}, win32_event_filter=seen)
        self._ears.start()

    def alive(self) -> bool:
        return self._ears.alive()

    def close(self) -> None:
        self._ears.close()

    def _event(self, message: int, data: Any) -> KeyEvent:
        return KeyEvent(
            down=message in KEY_DOWN_MESSAGES,
            code=data.vkCode,
            names=windows_names(data.vkCode, self._write),
            modifiers=windows_modifiers(self._is_down),
            at_s=data.time / 1000,
        )

    def _is_down(self, code: int) -> bool:
        return bool(self._user32.GetAsyncKeyState(code) & HELD_NOW)


def _user32() -> Any:
    return ctypes.WinDLL("user32", use_last_error=True)  # type: ignore[attr-defined, unused-ignore]


def last_error() -> int:
    return int(ctypes.get_last_error())  # type: ignore[attr-defined, unused-ignore]
