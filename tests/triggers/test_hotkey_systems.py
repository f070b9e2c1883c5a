"""Hotkeys on macOS and Windows, against stand-ins that do what the systems' documents promise."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bridge.triggers import hotkey, hotkey_windows
from bridge.triggers.hotkey import Hotkeys, check, look
from support.polling import eventually

CTRL, ALT, SHIFT = 1 << 18, 1 << 19, 1 << 17


@dataclass
class System:
    """The listener that was made last, and how a test presses keys on it."""

    listeners: list[Any] = field(default_factory=list)

    def listener(self) -> Any:
        return eventually(lambda: self.listeners[-1] if self.listeners else None, what="a listener")


def stand_in(system: System) -> type[threading.Thread]:
    class Listener(threading.Thread):
        def __init__(self, **options: Any) -> None:
            super().__init__(daemon=True)
            self.options = options
            self.over = threading.Event()
            self.messages: list[Any] = []

        def run(self) -> None:
            system.listeners.append(self)
            self.over.wait()

        def stop(self) -> None:
            self.over.set()

        def _mark_ready(self) -> None:
            return

        def _handle_message(self, _proxy: Any, kind: int, event: Any, _refcon: Any, _injected: bool) -> None:
            press = self.options["on_press" if event["down"] else "on_release"]
            press(SimpleNamespace(name=event["media"]))

    return Listener


def modules(monkeypatch: pytest.MonkeyPatch, **named: dict[str, Any]) -> None:
    for name, content in named.items():
        module = ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name.replace("__", "."), module)


# macOS


@pytest.fixture
def macos(monkeypatch: pytest.MonkeyPatch) -> tuple[System, dict[str, Any]]:
    system = System()
    rights: dict[str, Any] = {"allowed": True, "asked": 0}

    def ask() -> None:
        rights["asked"] += 1

    quartz = {
        "CGPreflightListenEventAccess": lambda: rights["allowed"],
        "CGRequestListenEventAccess": ask,
        "CGEventGetFlags": lambda event: event["flags"],
        "CGEventGetIntegerValueField": lambda event, _field: event.get("code", 0),
    }
    german = {"z": 0x10, "y": 0x06, "h": 0x04}
    modules(
        monkeypatch,
        pynput={},
        pynput__keyboard={"Listener": stand_in(system)},
        pynput___util={},
        Quartz=quartz,
    )
    darwin = ModuleType("darwin")
    darwin.__dict__["get_unicode_to_keycode_map"] = lambda: german
    monkeypatch.setitem(sys.modules, "pynput._util.darwin", darwin)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(hotkey, "RETRY_S", 0.01)
    return system, rights


def strike(listener: Any, kind: int, **event: Any) -> None:
    listener._handle_message(None, kind, event, None, False)


def test_macos_hears_by_layout_and_flags(macos: tuple[System, dict[str, Any]]) -> None:
    system, _ = macos
    fired: list[str] = []
    keys = Hotkeys([("ctrl+alt+z", "z"), ("media_play_pause", "play")], fired.append)
    keys.start()
    assert keys.state() == hotkey.HotkeyState(ready=True)
    listener = system.listener()
    strike(listener, 10, code=0x10, flags=CTRL | ALT | SHIFT)
    strike(listener, 11, code=0x10, flags=CTRL | ALT)
    strike(listener, 12, code=0x3A, flags=CTRL | ALT)  # a modifier alone
    strike(listener, 10, code=0x10, flags=CTRL | ALT)
    strike(listener, 10, code=0x10, flags=CTRL | ALT)  # it repeats
    strike(listener, 14, media="media_play_pause", down=True, flags=0)
    strike(listener, 14, media="media_play_pause", down=False, flags=0)
    strike(listener, 14, media="media_play_pause", down=True, flags=0)
    eventually(lambda: len(fired) == 3, what="three presses")
    keys.stop()
    assert fired == ["z", "play", "play"]


def test_macos_permission_is_asked_for_and_waited_for(macos: tuple[System, dict[str, Any]]) -> None:
    system, rights = macos
    rights["allowed"] = False
    assert "Input Monitoring" in look().remedy
    assert rights["asked"] == 0, "a look asks nobody"
    keys = Hotkeys([("ctrl+alt+h", 0)], lambda _: None)
    keys.start()
    assert not keys.state().ready
    assert "Input Monitoring" in keys.state().remedy
    rights["allowed"] = True
    eventually(lambda: keys.state().ready, what="hotkeys after the permission")
    keys.stop()
    assert rights["asked"] > 0
    assert len(system.listeners) == 1


def test_a_listener_that_ends_is_started_again(macos: tuple[System, dict[str, Any]]) -> None:
    system, _ = macos
    fired: list[int] = []
    keys = Hotkeys([("ctrl+alt+h", 7)], fired.append)
    keys.start()
    system.listener().stop()
    eventually(lambda: len(system.listeners) == 2, what="another listener")
    strike(system.listener(), 10, code=0x04, flags=CTRL | ALT)
    eventually(lambda: fired == [7], what="the press")
    keys.stop()


def test_a_failing_action_does_not_end_the_listening(macos: tuple[System, dict[str, Any]]) -> None:
    system, _ = macos
    calls: list[int] = []

    def fail(value: int) -> None:
        calls.append(value)
        raise RuntimeError("the action's own fault")

    keys = Hotkeys([("ctrl+alt+h", 7)], fail)
    keys.start()
    for kind in (10, 11, 10):
        strike(system.listener(), kind, code=0x04, flags=CTRL | ALT)
    eventually(lambda: calls == [7, 7], what="both presses")
    keys.stop()


def test_another_version_of_pynput_is_a_state(
    macos: tuple[System, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    modules(monkeypatch, pynput__keyboard={"Listener": threading.Thread})
    keys = Hotkeys([("ctrl+alt+h", 0)], lambda _: None)
    keys.start()
    keys.stop()
    assert "version of pynput" in keys.state().why
    assert "pip install" in keys.state().remedy


def test_a_missing_pynput_is_a_state(
    macos: tuple[System, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynput.keyboard", None)
    assert not look().ready
    assert "daw-bridge[hotkeys]" in look().remedy


# Windows


class User32:
    """The calls of user32.dll that are used, over a keyboard with US layout."""

    def __init__(self) -> None:
        self.held: set[int] = set()
        self.taken: set[tuple[int, int]] = set()
        self.registered: list[int] = []
        self.GetAsyncKeyState = lambda code: 0x8000 if code in self.held else 0
        self.MapVirtualKeyW = lambda code, _kind: {0xBD: ord("-"), 0xDE: 0x80000000 | ord("'")}.get(code, 0)
        self.RegisterHotKey = self._register
        self.UnregisterHotKey = lambda _window, number: self.registered.remove(number)

    def _register(self, _window: None, number: int, modifiers: int, code: int) -> int:
        if (modifiers, code) in self.taken:
            return 0
        self.registered.append(number)
        return 1


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> tuple[System, User32]:
    system, user32 = System(), User32()
    modules(monkeypatch, pynput={}, pynput__keyboard={"Listener": stand_in(system)})
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(hotkey_windows, "_user32", lambda: user32)
    monkeypatch.setattr(hotkey_windows, "last_error", lambda: 1409)
    return system, user32


def hit(listener: Any, message: int, code: int, time_ms: int) -> Any:
    return listener.options["win32_event_filter"](message, SimpleNamespace(vkCode=code, time=time_ms))


def test_windows_hears_what_is_really_held(windows: tuple[System, User32]) -> None:
    system, user32 = windows
    fired: list[str] = []
    keys = Hotkeys([("ctrl+alt+q", "q"), ("ctrl+minus", "minus")], fired.append)
    keys.start()
    listener = system.listener()
    user32.held = {0x11, 0xA2, 0x12, 0xA5}  # AltGr+Q writes @ on a German keyboard
    hit(listener, 0x0100, 0x51, 0)
    hit(listener, 0x0101, 0x51, 10)
    user32.held = {0x11, 0xA3, 0x12, 0xA4}
    assert hit(listener, 0x0104, 0x51, 20) is False
    hit(listener, 0x0104, 0x51, 500)  # it repeats
    hit(listener, 0x0105, 0x51, 600)
    user32.held = {0x11, 0xA2}
    hit(listener, 0x0100, 0xBD, 700)
    eventually(lambda: len(fired) == 2, what="two presses")
    keys.stop()
    assert fired == ["q", "minus"]


def test_windows_tells_which_combination_is_taken(windows: tuple[System, User32]) -> None:
    _, user32 = windows
    user32.taken = {(2 | 1, 0x48)}
    state = look(["ctrl+alt+h", "ctrl+alt+j", "ctrl+apostrophe"])
    assert state.ready
    assert "ctrl+alt+h is taken by" in state.why
    assert "ctrl+alt+j" not in state.why
    assert "no key of this keyboard is apostrophe" in state.why
    assert user32.registered == [], "nothing stays registered"


# Everywhere


def test_the_same_combination_twice_is_told(windows: tuple[System, User32]) -> None:
    state = look(["ctrl+alt+h", "Alt+Control+H"])
    assert state.ready
    assert "ctrl+alt+h is there twice" in state.why
    assert state.remedy


@pytest.mark.parametrize("text", ["h", "ctrl+", "ctrl+alt", "ctrl+hh", "shift+h"])
def test_a_combination_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'"):
        check(text)
    with pytest.raises(ValueError, match="'"):
        Hotkeys([(text, 0)], lambda _: None)


def test_stopping_what_was_never_started() -> None:
    Hotkeys([("ctrl+alt+h", 0)], lambda _: None).stop()
