"""Keys on X11. The server records them for us (its RECORD extension), whoever has the focus."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from bridge.key_names import Combination
from bridge.triggers import hotkey_ears
from bridge.triggers.hotkey_session import NO_DISPLAY, NO_PYNPUT, NotHeard
from bridge.triggers.hotkey_state import KeyEvent
from bridge.triggers.hotkey_tables import held, x11_masks, x11_names

GROUP_SHIFT, GROUP_MASK = 13, 0b11  # where an event's state has the number of the layout in use


def look(combinations: Iterable[Combination]) -> list[str]:
    """What should be known about `combinations`, in plain words. Raises NotHeard."""
    server = Server()
    try:
        return list(server.complaints(combinations))
    except server.faults as fault:
        raise silent() from fault
    finally:
        server.close()


class Keyboard:
    """Tells `hear` each key; `woken` is called when the display has gone away. Raises NotHeard."""

    def __init__(self, hear: Callable[[KeyEvent], None], woken: Callable[[], None]) -> None:
        self._server = Server()

        def handle(_listener: Any, _display: Any, event: Any, _injected: bool) -> None:  # noqa: FBT001
            hear(self._server.key_event(event))

        try:
            self._ears = hotkey_ears.Ears(
                woken,
                methods={"_handle_message": handle},
                stop=self._server.stop_recording,
                after=hang_up_listener,
            )
        except NotHeard:
            self._server.close()
            raise
        self._ears.start()

    def alive(self) -> bool:
        return self._ears.alive()

    def close(self) -> None:
        self._ears.close()
        self._server.close()


class Server:
    """A connection to the X server, for what keys are called and who has taken them. Raises NotHeard."""

    def __init__(self) -> None:
        if importlib.util.find_spec("Xlib") is None:
            raise NotHeard(NO_PYNPUT.why, NO_PYNPUT.remedy)
        self._x = importlib.import_module("Xlib.X")
        self._error = error = importlib.import_module("Xlib.error")
        self.faults = (error.DisplayError, error.XauthError, error.ConnectionClosedError, OSError)
        try:
            self._display = importlib.import_module("Xlib.display").Display()
        except self.faults as fault:
            raise silent() from fault
        with contextlib.ExitStack() as stack:
            stack.callback(self.close)
            try:
                self._learn()
                recording = self._display.has_extension("RECORD")
            except self.faults as fault:
                raise silent() from fault
            if not recording:
                raise NotHeard("this X server tells nobody about keys (no RECORD extension)", NO_DISPLAY)
            stack.pop_all()

    def close(self) -> None:
        hang_up(self._display)

    def stop_recording(self, listener: Any) -> None:
        """pynput asks for it on the connection that is busy recording, where it waits for the next key."""
        self._display.record_disable_context(listener._context)  # noqa: SLF001
        self._display.flush()

    def _learn(self) -> None:
        info = self._display.display.info
        first, count = info.min_keycode, info.max_keycode - info.min_keycode + 1
        columns = self._display.get_keyboard_mapping(first, count)
        self._keysyms = {first + number: tuple(row) for number, row in enumerate(columns)}
        self._masks = x11_masks(
            self._display.get_modifier_mapping(), lambda code: next(iter(self._keysyms.get(code, ())), 0)
        )

    def key_event(self, event: Any) -> KeyEvent:
        """What the server recorded, in our words. `event.state` is what was held just before."""
        if self._changed():
            self._learn()
        group = event.state >> GROUP_SHIFT & GROUP_MASK
        return KeyEvent(
            down=event.type == self._x.KeyPress,
            code=event.detail,
            names=x11_names(self._keysyms.get(event.detail, ()), group),
            modifiers=held(event.state, self._masks),
            at_s=event.time / 1000,
        )

    def _changed(self) -> bool:
        """Whether the musician has chosen another keyboard layout: every client is told."""
        told = [self._display.next_event().type for _ in range(self._display.pending_events())]
        return self._x.MappingNotify in told

    def complaints(self, combinations: Iterable[Combination]) -> Iterator[str]:
        for combination in combinations:
            absent = sorted(combination.modifiers - set(self._masks))
            code = next(
                (code for code, row in self._keysyms.items() if combination.key in x11_names(row)), None
            )
            if code is None or absent:
                yield f"no key of this keyboard is {absent[0] if absent else combination.key} ({combination})"
            elif self._taken(code, sum(self._masks[name] for name in combination.modifiers)):
                yield f"{combination} is taken by the desktop or another program, which also reacts to it"

    def _taken(self, code: int, modifiers: int) -> bool:
        """Whether somebody has grabbed it: only one program may, so we try to, and let go at once."""
        root = self._display.screen().root
        refused = self._error.CatchError(self._error.BadAccess)
        mode = self._x.GrabModeAsync
        root.grab_key(code, modifiers, True, mode, mode, onerror=refused)  # noqa: FBT003
        self._display.sync()
        if refused.get_error():
            return True
        root.ungrab_key(code, modifiers)
        self._display.sync()
        return False


def silent() -> NotHeard:
    return NotHeard(f"the display {os.environ.get('DISPLAY', '')} does not answer", NO_DISPLAY)


def hang_up_listener(listener: Any) -> None:
    """pynput leaves its connections open when the server goes."""
    for name in ("_display_record", "_display_stop"):
        if (display := getattr(listener, name, None)) is not None:
            hang_up(display)


def hang_up(display: Any) -> None:
    """Closes a connection, also one whose server has gone, where python-xlib's own close raises first."""
    with contextlib.suppress(Exception):
        display.close()
    display.display.socket.close()
