"""From a press to the job in the journal: 200 presses of a pad, 200 of a key.

    python -m benchmarks.pads            both, a table
    python -m benchmarks.pads pad        pad: a JACK server (-p 64) and a note through it; key: X11 (Xvfb)

A whole daemon runs. The clock starts when the press is handed to JACK or X11 and stops when another process
reads the new job in the journal. Each press asks for the latest bounce again; what came of it is cached.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.daemon import RATE_HZ, Trial, music
from bridge.jobs.store import JOURNAL_NAME, connect

PRESSES = 200
PAUSE_S = 0.15
GIVE_UP_S = 5.0
SETTINGS = """
[midi]
inputs = ["Pad*"]
[[pads]]
message = "note 36"
action = "convert_latest"
[[hotkeys]]
keys = "ctrl+alt+h"
action = "convert_latest"
"""


class Journal:
    """What another process sees of the journal."""

    def __init__(self, home: Path) -> None:
        self._db = connect(home / JOURNAL_NAME, read_only=True)

    def jobs(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM jobs").fetchone()[0])

    def open(self) -> int:
        row = self._db.execute("SELECT count(*) FROM jobs WHERE state IN ('queued', 'running', 'waiting')")
        return int(row.fetchone()[0])


def pressed(journal: Journal, press: Callable[[], None]) -> list[float]:
    """Milliseconds of each press that became a job; what did not is left out."""
    times = []
    for _ in range(PRESSES):
        before = journal.jobs()
        began = time.perf_counter()
        press()
        while journal.jobs() == before and time.perf_counter() - began < GIVE_UP_S:
            time.sleep(0.0002)
        if journal.jobs() > before:
            times.append(1000 * (time.perf_counter() - began))
        while journal.open():
            time.sleep(0.01)
        time.sleep(PAUSE_S)
    return times


def told(name: str, times: list[float], jobs: int) -> None:
    if not times:
        print(f"{name:8} no press became a job")
        return
    p50, p99, most = statistics.median(times), float(np.percentile(times, 99)), max(times)
    print(
        f"{name:8} {len(times)} of {PRESSES} presses, {jobs} jobs; press to journal: p50 {p50:.1f} ms,"
        f" p99 {p99:.1f} ms, max {most:.1f} ms"
    )


@contextmanager
def bounced(environment: dict[str, str]) -> Iterator[tuple[Trial, Journal]]:
    """A daemon that has converted one 40 s bounce."""
    trial = Trial(SETTINGS, environment)
    try:
        soundfile.write(trial.folder / "x.wav", music(40.0, 0), RATE_HZ, subtype="PCM_24")
        shutil.move(trial.folder / "x.wav", trial.watched / "take.wav")
        trial.wait((trial.out / "take_midi.mid").exists, 120)
        journal = Journal(trial.home)
        trial.wait(lambda: journal.open() == 0, 60)
        yield trial, journal
    finally:
        trial.close()


@contextmanager
def jack(name: str) -> Iterator[dict[str, str]]:
    environment = {"JACK_DEFAULT_SERVER": name, "JACK_NO_START_SERVER": "1"}
    command = ["jackd", "-n", name, "-R", "-S", "-d", "dummy", "-r", "48000", "-p", "64"]
    nowhere = subprocess.DEVNULL
    server = subprocess.Popen(command, stdin=nowhere, stdout=nowhere, stderr=nowhere)
    subprocess.run(["jack_wait", "-s", name, "-w", "-t", "10"], check=True, stdout=nowhere, stderr=nowhere)
    os.environ.update(environment)
    try:
        yield environment
    finally:
        server.terminate()
        server.wait(20)


def pad() -> None:
    import rtmidi

    with jack(f"pads{os.getpid()}") as environment:
        controller = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="Pad")
        controller.open_virtual_port("pads")

        def press() -> None:
            controller.send_message([0x99, 36, 100])
            controller.send_message([0x89, 36, 0])

        with bounced(environment) as (trial, journal):
            joined = ["jack_lsp", "-c", "Pad:pads"]
            trial.wait(lambda: len(subprocess.check_output(joined, text=True).split()) > 1, 30)
            before = journal.jobs()
            times = pressed(journal, press)
            told("pad", times, journal.jobs() - before)
        controller.close_port()


def key() -> None:
    from Xlib import XK, X, display
    from Xlib.ext import xtest

    screen = f":{300 + os.getpid() % 500}"
    nowhere = subprocess.DEVNULL
    server = subprocess.Popen(["Xvfb", screen], stdout=nowhere, stderr=nowhere)
    try:
        found = opened(display.Display, screen)
        codes = [found.keysym_to_keycode(one) for one in (XK.XK_Control_L, XK.XK_Alt_L, XK.XK_h)]

        def press() -> None:
            for code in codes:
                xtest.fake_input(found, X.KeyPress, code)
            found.sync()
            for code in reversed(codes):
                xtest.fake_input(found, X.KeyRelease, code)
            found.sync()

        with bounced({"DISPLAY": screen, "WAYLAND_DISPLAY": "", "XDG_SESSION_TYPE": "x11"}) as (_, journal):
            before = journal.jobs()
            times = pressed(journal, press)
            told("key", times, journal.jobs() - before)
    finally:
        server.terminate()
        server.wait(20)


def opened(display: Callable[[str], Any], screen: str) -> Any:
    """The display, once its server is up."""
    until = time.monotonic() + 20
    while True:
        try:
            return display(screen)
        except Exception:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


PARTS = {"pad": pad, "key": key}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS], help="which; else all")
    for name in parser.parse_args().parts or PARTS:
        PARTS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
