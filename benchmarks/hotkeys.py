"""From a key going down to the call of what it is bound to, on a real X server.

    python -m benchmarks.hotkeys [--presses 200] [--busy 0]

Needs Xvfb; the keys are pressed through the server's XTEST extension. `--busy N`: beside N processes that
use a core each. Limit: 30 ms, for the press to be in the journal.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import queue
import random
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from bridge.triggers.hotkey import Hotkeys

LIMIT_MS = 30.0
KEYS = ("Control_L", "Alt_L", "h")
WAIT_S = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presses", type=int, default=200)
    parser.add_argument("--busy", type=int, default=0, metavar="N")
    options = parser.parse_args(arguments)
    with ExitStack() as stack:
        os.environ["DISPLAY"] = stack.enter_context(x_server())
        os.environ.pop("WAYLAND_DISPLAY", None)
        os.environ.pop("XDG_SESSION_TYPE", None)
        stack.enter_context(busy(options.busy))
        times_ms, extra = latencies_ms(options.presses)
    times_ms.sort()
    worst = times_ms[-1] if times_ms else float("inf")
    print(
        f"{len(times_ms)} of {options.presses} presses fired, {extra} twice; "
        f"p50 {share(times_ms, 0.5):.2f} ms, p99 {share(times_ms, 0.99):.2f} ms, worst {worst:.2f} ms"
    )
    whole = len(times_ms) == options.presses and extra == 0
    return 0 if whole and share(times_ms, 0.99) <= LIMIT_MS else 1


def latencies_ms(presses: int) -> tuple[list[float], int]:
    """The time of each press that fired, and how many calls there were beyond one a press."""
    called: queue.SimpleQueue[float] = queue.SimpleQueue()
    hotkeys = Hotkeys([("ctrl+alt+h", 0)], lambda _: called.put(time.perf_counter()))
    hotkeys.start()
    assert hotkeys.state().ready, hotkeys.state()
    keyboard, random_wait = Keyboard(), random.Random(5)
    times_ms: list[float] = []
    try:
        for _ in range(presses):
            pressed_at = keyboard.press()
            try:
                times_ms.append((called.get(timeout=WAIT_S) - pressed_at) * 1000)
            except queue.Empty:
                continue
            time.sleep(random_wait.uniform(0.005, 0.03))
    finally:
        hotkeys.stop()
    return times_ms, called.qsize()


class Keyboard:
    """Presses ctrl+alt+h through XTEST."""

    def __init__(self) -> None:
        self._x = importlib.import_module("Xlib.X")
        self._test = importlib.import_module("Xlib.ext.xtest")
        names = importlib.import_module("Xlib.XK")
        self._display: Any = importlib.import_module("Xlib.display").Display()
        self._codes = [self._display.keysym_to_keycode(names.string_to_keysym(name)) for name in KEYS]

    def press(self) -> float:
        """When the last of the keys was handed to the server."""
        *modifiers, key = self._codes
        for code in modifiers:
            self._test.fake_input(self._display, self._x.KeyPress, code)
        self._display.sync()
        pressed_at = time.perf_counter()
        self._test.fake_input(self._display, self._x.KeyPress, key)
        self._display.flush()
        for code in (key, *modifiers):
            self._test.fake_input(self._display, self._x.KeyRelease, code)
        self._display.sync()
        return pressed_at


@contextmanager
def x_server() -> Iterator[str]:
    """The display of an Xvfb of our own."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "640x480x8", "-nolisten", "tcp"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as told:
            yield f":{told.readline().strip()}"
    finally:
        server.terminate()
        server.wait(10)


@contextmanager
def busy(count: int) -> Iterator[None]:
    workers = [multiprocessing.Process(target=_spin, daemon=True) for _ in range(count)]
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.terminate()


def _spin() -> None:
    while True:
        sum(range(10_000))


def share(ordered: Sequence[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else float("inf")


if __name__ == "__main__":
    raise SystemExit(main())
