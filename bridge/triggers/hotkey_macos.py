"""Keys on macOS: an event tap that only listens, which the musician has to allow (Input Monitoring)."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.key_names import MEDIA_KEYS, Combination
from bridge.triggers import hotkey_ears
from bridge.triggers.hotkey_session import NotHeard
from bridge.triggers.hotkey_state import KeyEvent
from bridge.triggers.hotkey_tables import MACOS_FLAGS, held, macos_names

KEY_DOWN, KEY_UP, SYSTEM_DEFINED = 10, 11, 14
KEY_CODE_FIELD = 9
MEDIA_CODES = 1 << 16  # media keys have numbers of their own, which must not meet the others'

REMEDY = (
    "Allow the program that starts the bridge (Terminal, or Python) under System Settings > "
    "Privacy & Security > Input Monitoring, then start the bridge again"
)


def look(_combinations: Iterable[Combination]) -> list[str]:
    """macOS tells nobody which shortcuts are taken. Raises NotHeard."""
    hotkey_ears.imported()
    _permitted(ask=False)
    return []


def _permitted(*, ask: bool) -> None:
    """Raises NotHeard; with `ask`, macOS shows its question first (it does so once)."""
    quartz = importlib.import_module("Quartz")
    allowed = getattr(quartz, "CGPreflightListenEventAccess", None)
    if allowed is None or allowed():
        return
    if ask:
        quartz.CGRequestListenEventAccess()
    raise NotHeard("macOS has not allowed the bridge to hear keys", REMEDY)


class Keyboard:
    """Tells `hear` each key; `woken` is called when the listening has ended. Raises NotHeard."""

    def __init__(self, hear: Callable[[KeyEvent], None], woken: Callable[[], None]) -> None:
        base = hotkey_ears.imported().Listener
        _permitted(ask=True)
        self._hear = hear
        self._quartz = importlib.import_module("Quartz")
        self._written = _written()
        self._flags = 0

        def handle(listener: Any, proxy: Any, kind: int, event: Any, *others: Any) -> None:
            self._flags = self._quartz.CGEventGetFlags(event)
            if kind in (KEY_DOWN, KEY_UP):
                self._key(event, down=kind == KEY_DOWN)
            elif kind == SYSTEM_DEFINED:
                base._handle_message(listener, proxy, kind, event, *others)  # noqa: SLF001

        self._ears = hotkey_ears.Ears(
            woken,
            methods={"_handle_message": handle},
            on_press=lambda key: self._media_key(key, down=True),
            on_release=lambda key: self._media_key(key, down=False),
        )
        self._ears.start()

    def alive(self) -> bool:
        return self._ears.alive()

    def close(self) -> None:
        self._ears.close()

    def _key(self, event: Any, *, down: bool) -> None:
        code = self._quartz.CGEventGetIntegerValueField(event, KEY_CODE_FIELD)
        self._tell(code, macos_names(code, self._written), down=down)

    def _media_key(self, key: Any, *, down: bool) -> None:
        name = getattr(key, "name", "")
        if name in MEDIA_KEYS:
            self._tell(MEDIA_CODES + MEDIA_KEYS.index(name), (name,), down=down)

    def _tell(self, code: int, names: tuple[str, ...], *, down: bool) -> None:
        modifiers = held(self._flags, MACOS_FLAGS)
        self._hear(KeyEvent(down, code, names, modifiers, at_s=time.perf_counter()))


def _written() -> Mapping[int, str]:
    """Key code → what the key writes without modifiers in the layout in use when the bridge started."""
    darwin = importlib.import_module("pynput._util.darwin")
    return {code: text for text, code in darwin.get_unicode_to_keycode_map().items()}
