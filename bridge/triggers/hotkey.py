"""Global hotkeys: combinations of keys that fire whichever program has the focus.

A thread of ours takes what the system's keyboard tells, matches it (`hotkey_state`) and calls back. Where
keys cannot be heard that is a state with a remedy, and is tried again until they can.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from bridge.key_names import Combination
from bridge.triggers.hotkey_session import HotkeyState, NotHeard, obstacle
from bridge.triggers.hotkey_state import KeyEvent, Matcher

__all__ = ["HotkeyState", "Hotkeys", "check", "look"]

log = logging.getLogger(__name__)

T = TypeVar("T")

RETRY_S = 2.0
FIRST_TRY_S = 3.0
SYSTEMS = {"darwin": "bridge.triggers.hotkey_macos", "win32": "bridge.triggers.hotkey_windows"}
X11 = "bridge.triggers.hotkey_x11"
AGAIN = "The bridge looks for it again by itself"
CHOOSE = "Choose another combination in config.toml, or free it in the other program"


class Keyboard(Protocol):
    def alive(self) -> bool: ...

    def close(self) -> None: ...


def check(text: str) -> None:
    """Raises ValueError, in plain words, for a combination that cannot be."""
    Combination.parse(text)


def look(texts: Sequence[str] = ()) -> HotkeyState:
    """Whether hotkeys could be heard here and now, and whether the combinations `texts` are free."""
    combinations, twice = _parsed((text, None) for text in texts)
    try:
        return _warned([*twice, *_system().look(combinations)])
    except NotHeard as fault:
        return fault.state


class Hotkeys(Generic[T]):
    """Calls `on_press` with a binding's value, in a thread of its own, when its combination is pressed."""

    def __init__(self, bindings: Sequence[tuple[str, T]], on_press: Callable[[T], None]) -> None:
        """Raises ValueError for a combination that cannot be. Of two that are the same the first counts."""
        self._bindings, self._twice = _parsed(bindings)
        self._on_press = on_press
        self._state = HotkeyState(ready=False, why="hotkeys have not been started")
        self._stopping = threading.Event()
        self._tried = threading.Event()
        self._events: queue.SimpleQueue[KeyEvent | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hotkeys", daemon=True)

    def start(self) -> None:
        """Comes back when the keys are heard, or when it is known that they are not. Never raises."""
        self._thread.start()
        self._tried.wait(FIRST_TRY_S)

    def stop(self) -> None:
        """Comes back when no callback is under way any more."""
        self._stopping.set()
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join()

    def state(self) -> HotkeyState:
        return self._state

    def _run(self) -> None:
        while not self._stopping.is_set():
            keyboard = self._opened()
            self._tried.set()
            if keyboard is not None:
                self._listen(keyboard)
                keyboard.close()
            self._stopping.wait(RETRY_S)

    def _opened(self) -> Keyboard | None:
        with contextlib.ExitStack() as stack:
            try:
                system = _system()
                keyboard: Keyboard = system.Keyboard(self._events.put, lambda: self._events.put(None))
                stack.callback(keyboard.close)
                self._tell(_warned([*self._twice, *system.look(self._bindings)]))
                stack.pop_all()
            except NotHeard as fault:
                self._tell(fault.state)
            except Exception as fault:
                log.exception("the keyboard cannot be listened to")
                self._tell(HotkeyState(ready=False, why=f"keys cannot be heard ({fault!r})"))
            else:
                return keyboard
        return None

    def _listen(self, keyboard: Keyboard) -> None:
        """Until the keyboard has gone away or we are stopped; either is followed by a None in the queue."""
        matcher = Matcher(self._bindings)
        while not self._stopping.is_set() and keyboard.alive():
            event = self._events.get()
            fired = matcher.heard(event) if event is not None else None
            if fired is not None:
                self._fire(fired)
        if not self._stopping.is_set():
            self._tell(HotkeyState(ready=False, why="the display has gone away", remedy=AGAIN))

    def _fire(self, value: T) -> None:
        try:
            self._on_press(value)
        except Exception:
            log.exception("what a hotkey starts has failed")

    def _tell(self, state: HotkeyState) -> None:
        if state != self._state:
            (log.info if state.ready else log.warning)("hotkeys: %s", state.why or "ready")
        self._state = state


def _system() -> Any:
    """The module that hears keys on this system. Raises NotHeard."""
    if (state := obstacle(os.environ, sys.platform)) is not None:
        raise NotHeard(state.why, state.remedy)
    return importlib.import_module(SYSTEMS.get(sys.platform, X11))


def _parsed(bindings: Iterable[tuple[str, T]]) -> tuple[dict[Combination, T], list[str]]:
    """Combination → value, and what is to be said about combinations that are there twice."""
    parsed: dict[Combination, T] = {}
    twice: list[str] = []
    for text, value in bindings:
        combination = Combination.parse(text)
        if combination in parsed:
            twice.append(f"{combination} is there twice; the first one counts")
        parsed.setdefault(combination, value)
    return parsed, twice


def _warned(warnings: Sequence[str]) -> HotkeyState:
    return HotkeyState(ready=True, why="; ".join(warnings), remedy=CHOOSE if warnings else "")
