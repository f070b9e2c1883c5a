"""pynput's listener, made to hand over what the system said, and to end without noise."""

from __future__ import annotations

import contextlib
import importlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from bridge.triggers.hotkey_session import NO_PYNPUT, NotHeard

log = logging.getLogger(__name__)

ENDS_WITHIN_S = 3.0
STOP_AGAIN_S = 0.05


class Ears:
    """A listening thread of pynput's. It ends when it is closed, or when the system takes the keys away.

    pynput is imported here and nowhere else: where there is no display the import alone raises. `methods`
    stand in for pynput's own, which tell neither a physical key nor what the system knows to be held. `stop`
    ends a listener, and is called again if it came too early; `after` is called with one that has ended.
    """

    def __init__(
        self,
        woken: Callable[[], None],
        *,
        methods: dict[str, Callable[..., Any]],
        stop: Callable[[Any], None] = lambda listener: listener.stop(),
        after: Callable[[Any], None] = lambda _: None,
        **options: Any,
    ) -> None:
        """`woken` is called when the listening ends. Raises NotHeard."""
        self._woken = woken
        self._stop = stop
        self._after = after
        self._ended = threading.Event()
        keyboard = imported()
        for name in methods:
            if not hasattr(keyboard.Listener, name):
                raise NotHeard(
                    "this version of pynput is not one that the bridge knows",
                    "Install one that it knows: pip install pynput==1.8.2",
                )
        run = {"run": lambda listener: self._run(keyboard.Listener, listener)}
        self._listener = type("Listener", (keyboard.Listener,), {**methods, **run})(**options)
        self._listener.name = "keys"

    def start(self) -> None:
        self._listener.start()

    def alive(self) -> bool:
        return not self._ended.is_set()

    def close(self) -> None:
        until = time.monotonic() + ENDS_WITHIN_S
        while self.alive() and time.monotonic() < until:
            # The display may go away at this very moment.
            with contextlib.suppress(Exception):
                self._stop(self._listener)
            self._ended.wait(STOP_AGAIN_S)
        # pynput's own join raises again what the thread ended with.
        threading.Thread.join(self._listener, ENDS_WITHIN_S)

    def _run(self, base: Any, listener: Any) -> None:
        try:
            base.run(listener)
        except Exception as fault:  # noqa: BLE001  whatever a dying display makes pynput raise
            log.info("listening to keys ended: %r", fault)
        finally:
            self._ended.set()
            # Whoever stops a listener that never came up would wait for it for ever.
            listener._mark_ready()  # noqa: SLF001
            self._after(listener)
            self._woken()


def imported() -> Any:
    """pynput.keyboard. Raises NotHeard."""
    try:
        return importlib.import_module("pynput.keyboard")
    except ModuleNotFoundError as fault:
        state = NO_PYNPUT
        raise NotHeard(state.why, state.remedy) from fault
    except Exception as fault:
        why = f"pynput does not start ({str(fault).splitlines()[0] if str(fault) else fault!r})"
        raise NotHeard(why, "See docs/troubleshooting.md, “Hotkeys”") from fault
