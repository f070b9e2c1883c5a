"""How exactly the player keeps to the clock of a real Ardour: headless, JACK with -p 64, one minute.

    python -m benchmarks.midi_ardour [--seconds 60]

Ardour sends its MIDI clock at exact frames. A listener notes at which frame each pulse and each note arrives;
a note belongs on every quarter, and every 24th pulse is one. What is told is by how much notes are late (one
JACK period on the way in and one on the way out cannot be helped with RtMidi), and how much that varies.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mido
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bridge.clock import SystemClock
from bridge.midi.child import MidiChild
from bridge.midi.messages import ClockTold, Configure, Play, Told
from support.jack import JackServer, listening

RATE_HZ, PERIOD = 48_000, 64
BARS, PULSES_A_BEAT = 4, 24
LIBRARIES = Path("/usr/lib/ardour7")
CONFIG = """<?xml version="1.0" encoding="UTF-8"?>
<Ardour><Config><Option name="send-midi-clock" value="1"/></Config></Ardour>
"""


def clicks(path: Path) -> None:
    """A note on each quarter of four bars."""
    track = mido.MidiTrack()
    for _ in range(4 * BARS):
        track.append(mido.Message("note_on", note=76, velocity=100, time=0))
        track.append(mido.Message("note_off", note=76, time=120))
        track.append(mido.MetaMessage("marker", text="", time=360))
    mido.MidiFile(ticks_per_beat=480, tracks=[track]).save(path)


@contextmanager
def ardour(server: JackServer, folder: Path) -> Iterator[None]:
    """A session of Ardour at the server, which sends its clock."""
    home = folder / "home"
    (home / ".config" / "ardour7").mkdir(parents=True)
    (home / ".config" / "ardour7" / "config").write_text(CONFIG)
    environment = {
        **server.environment,
        "HOME": str(home),
        "LD_LIBRARY_PATH": str(LIBRARIES),
        "ARDOUR_DATA_PATH": "/usr/share/ardour7",
        "ARDOUR_CONFIG_PATH": "/etc/ardour7",
        "ARDOUR_DLL_PATH": str(LIBRARIES),
        "VAMP_PATH": str(LIBRARIES / "vamp"),
    }
    nowhere = subprocess.DEVNULL
    session = [str(folder / "session"), "session"]
    new = ["ardour7-new_empty_session", "-s", str(RATE_HZ), *session]
    subprocess.run(new, env=environment, stdout=nowhere, stderr=nowhere, check=False)
    program = next(iter(sorted(LIBRARIES.glob("hardour-*"))))
    running = subprocess.Popen(
        [str(program), *session],
        env=environment,
        stdin=nowhere,
        stdout=nowhere,
        stderr=nowhere,
    )
    try:
        yield
    finally:
        running.send_signal(signal.SIGKILL)
        running.wait()


def late_ms(pulses: list[tuple[int, tuple[int, ...]]], notes: list[int]) -> np.ndarray:
    """By how much each note is later than the quarter that is nearest to it, in milliseconds."""
    frames: list[int] = []
    number = 0
    for frame, data in pulses:
        if data[0] in (0xFA, 0xFB):
            frames.clear()
            number = 0
        elif data[0] == 0xF8:
            if number % PULSES_A_BEAT == 0:
                frames.append(frame)
            number += 1
    beats = np.asarray(frames)
    nearest = np.asarray([beats[np.abs(beats - note).argmin()] for note in notes])
    late: np.ndarray = (np.asarray(notes) - nearest) * 1000 / RATE_HZ
    return late


def measure(seconds: float) -> int:
    if not shutil.which("ardour7-new_empty_session") or not list(LIBRARIES.glob("hardour-*")):
        print("ardour   not measured: Ardour 7 is not installed")
        return 1
    told: list[Told] = []
    with tempfile.TemporaryDirectory() as name, JackServer(period=PERIOD) as server:
        folder = Path(name)
        clicks(folder / "clicks.mid")
        settings = Configure(inputs=("ardour:MIDI Clock*",), clock="ardour*")
        child = MidiChild(lambda: settings, told.append, None, SystemClock())
        with listening(server, "pulses") as pulses, listening(server, "notes") as out:
            child.start()
            server.connect("DAW Bridge:DAW Bridge", "notes:in", 30)
            child.tell(Play("clicks", str(folder / "clicks.mid"), when="bar", loop=True))
            # It rolls by itself a second or so after its ports are there.
            with ardour(server, folder):
                server.connect("ardour:MIDI Clock out", "pulses:in", 30)
                time.sleep(seconds)
                heard, notes = pulses.heard(), out.heard()
                child.stop()
    starts = [frame for frame, _, data in notes if data[0] == 0x90 and data[2]]
    late = late_ms([(frame, data) for frame, _, data in heard], starts)
    tempi = [one.bpm for one in told if isinstance(one, ClockTold) and one.running]
    period_ms = 1000 * PERIOD / RATE_HZ
    beyond = np.maximum(0.0, np.abs(late) - period_ms)
    print(
        f"ardour   {len(late)} notes in {seconds:g} s at {tempi[-1] if tempi else 0:.2f} BPM; late by"
        f" {np.median(late):.2f} ms (from {late.min():.2f} to {late.max():.2f}); beyond one period of"
        f" {period_ms:.2f} ms: p50 {np.median(beyond):.2f}, p99 {np.percentile(beyond, 99):.2f},"
        f" max {beyond.max():.2f} ms; the first note {late[0]:.2f} ms after its bar line"
    )
    return 0


if __name__ == "__main__":
    os.environ.pop("DISPLAY", None)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    sys.exit(measure(parser.parse_args().seconds))
