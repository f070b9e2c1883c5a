"""Hotkeys on a real X server, with keys that another program presses."""

from __future__ import annotations

import gc
import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from bridge.triggers import hotkey
from bridge.triggers.hotkey import Hotkeys, look
from support import xvfb
from support.polling import eventually
from support.xvfb import Xvfb

without = [*xvfb.missing, *(name for name in ("pynput", "Xlib") if importlib.util.find_spec(name) is None)]
pytestmark = [
    pytest.mark.alone,  # presses are timed by another program
    pytest.mark.skipif(bool(without), reason=f"not installed: {', '.join(without)}"),
    # python-xlib leaves the socket open on which a server did not answer.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning"),
]

GRABBER = """
import sys, Xlib.X, Xlib.XK, Xlib.display
display = Xlib.display.Display()
code = display.keysym_to_keycode(Xlib.XK.string_to_keysym("g"))
mask = Xlib.X.ControlMask | Xlib.X.Mod1Mask
display.screen().root.grab_key(code, mask, True, Xlib.X.GrabModeAsync, Xlib.X.GrabModeAsync)
display.sync()
print("grabbed", flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(hotkey, "RETRY_S", 0.05)


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Xvfb]:
    with Xvfb() as server:
        monkeypatch.setenv("DISPLAY", server.display)
        yield server


class Pressed:
    """Hotkeys that are heard, and what they have told."""

    def __init__(self, *texts: str) -> None:
        self.told: list[str] = []
        self.hotkeys = Hotkeys([(text, text) for text in texts], self.told.append)

    def __enter__(self) -> Pressed:
        self.hotkeys.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.hotkeys.stop()

    def wait_for(self, count: int) -> None:
        eventually(lambda: len(self.told) >= count, what=f"{count} presses")


@pytest.mark.parametrize(
    "count", [60, pytest.param(200, marks=[pytest.mark.long, pytest.mark.slow], id="two-hundred")]
)
def test_every_press_fires_once(desk: Xvfb, count: int) -> None:
    with Pressed("ctrl+alt+h", "ctrl+f5") as keys:
        assert keys.hotkeys.state() == hotkey.HotkeyState(ready=True)
        desk.press("--repeat", str(count), "--delay", "4", "ctrl+alt+h")
        desk.press("ctrl+F5")
        keys.wait_for(count + 1)
    assert keys.told == [*["ctrl+alt+h"] * count, "ctrl+f5"]


def test_more_or_fewer_modifiers_do_not_fire(desk: Xvfb) -> None:
    others = ["ctrl+alt+shift+h", "ctrl+alt+super+h", "alt+h", "ctrl+h", "h", "ctrl+alt+j"]
    with Pressed("ctrl+alt+h", "ctrl+f5") as keys:
        desk.press(*others, "ctrl+F5")
        desk.press("Caps_Lock", "Num_Lock", "ctrl+alt+h", "Caps_Lock", "Num_Lock", "ctrl+F5")
        keys.wait_for(3)
    assert keys.told == ["ctrl+f5", "ctrl+alt+h", "ctrl+f5"]


def test_right_modifiers_are_the_left_ones(desk: Xvfb) -> None:
    with Pressed("ctrl+alt+h") as keys:
        desk.press("Control_R+Alt_R+h", "Control_L+Alt_R+h")
        keys.wait_for(2)


def test_a_key_that_is_kept_down_fires_once(desk: Xvfb) -> None:
    with Pressed("ctrl+alt+h", "ctrl+f5") as keys:
        # The server itself repeats the key after two thirds of a second.
        desk.xdotool("keydown", "ctrl", "keydown", "alt", "keydown", "h", "sleep", "1.2")
        desk.xdotool("keyup", "h", "keyup", "alt", "keyup", "ctrl")
        desk.press("ctrl+F5")
        keys.wait_for(2)
    assert keys.told == ["ctrl+alt+h", "ctrl+f5"]


def test_another_keyboard_layout_is_followed(desk: Xvfb) -> None:
    if shutil.which("setxkbmap") is None:
        pytest.skip("not installed: setxkbmap")
    with Pressed("ctrl+z", "ctrl+7") as keys:
        desk.run(["setxkbmap", "de"])
        # xdotool presses the key that writes a z now, which is another one than before.
        desk.press("ctrl+z")
        keys.wait_for(1)
        desk.run(["setxkbmap", "fr"])
        desk.press("ctrl+z", "ctrl+egrave")  # the key that writes è, and 7 with shift
        keys.wait_for(3)
    assert keys.told == ["ctrl+z", "ctrl+z", "ctrl+7"]


def test_a_combination_that_another_program_has_is_told(desk: Xvfb) -> None:
    grabber = subprocess.Popen([sys.executable, "-c", GRABBER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert grabber.stdin is not None
    assert grabber.stdout is not None
    with grabber:
        assert grabber.stdout.readline() == b"grabbed\n"
        state = look(["ctrl+alt+g", "ctrl+alt+h"])
        with Pressed("ctrl+alt+g", "ctrl+alt+h") as keys:
            at_start = keys.hotkeys.state()
            desk.press("ctrl+alt+h")
            keys.wait_for(1)
        grabber.stdin.close()
    assert state == at_start
    assert state.ready
    assert "ctrl+alt+g is taken" in state.why
    assert "ctrl+alt+h" not in state.why
    assert state.remedy
    assert look(["ctrl+alt+g", "ctrl+alt+h"]) == hotkey.HotkeyState(ready=True)


def test_a_key_that_this_keyboard_has_not_is_told(desk: Xvfb) -> None:
    state = look(["ctrl+f24"])
    assert state.ready
    assert "no key of this keyboard is f24" in state.why


def test_without_a_display_it_is_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pressed("ctrl+alt+h") as keys:
        assert not keys.hotkeys.state().ready
        assert "no display" in keys.hotkeys.state().why
        assert "DISPLAY" in keys.hotkeys.state().remedy
    assert look() == keys.hotkeys.state()


def test_on_wayland_the_desktop_is_the_way(desk: Xvfb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with Pressed("ctrl+alt+h") as keys:
        assert "Wayland" in keys.hotkeys.state().why
        assert "bridge trigger" in keys.hotkeys.state().remedy


def test_a_display_that_dies_is_a_state_and_is_taken_up_again(
    desk: Xvfb, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = psutil.Process().num_fds()
    with Pressed("ctrl+alt+h") as keys:
        desk.press("ctrl+alt+h")
        keys.wait_for(1)
        desk.kill()
        eventually(lambda: not keys.hotkeys.state().ready, what="the state of a dead display")
        eventually(lambda: "does not answer" in keys.hotkeys.state().why, what="another try")
        with Xvfb(desk.display) as again:
            eventually(lambda: keys.hotkeys.state().ready, what="the display again")
            again.press("ctrl+alt+h")
            keys.wait_for(2)
    assert keys.told == ["ctrl+alt+h"] * 2
    gc.collect()
    assert psutil.Process().num_fds() <= before, "no connection stays open"


def test_starting_and_stopping_leaves_nothing_behind(desk: Xvfb) -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        with Pressed("ctrl+alt+h"):
            pass
    assert set(threading.enumerate()) == before
