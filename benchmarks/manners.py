"""Whether the engine at full work disturbs a DAW: the gaps between a JACK client's callbacks.

    python -m benchmarks.manners [--runs 5] [--seconds 20]

A JACK server with its dummy driver, without -S (a late client is left behind, as with a sound card), a period
of 64 frames, and a client in a process of its own that writes down when it is called. Each run measures it
alone, beside an engine with the default settings (one core less than there are, lowest priority) that takes
stems apart without a pause, and, to see what the manners are good for, beside one that takes every core at
normal priority. Told: the 99.9th percentile of the gaps, medians of the runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from benchmarks.bounds import arguments
from bridge.engine.worker import Call, Worker, WorkerOptions
from support.jack import JackServer

RATE_HZ, PERIOD = 48_000, 64
LIMIT = 1.2
SOUND_S = 60.0
CORES = os.cpu_count() or 2
BESIDE: Mapping[str, WorkerOptions | None] = {
    "alone": None,
    "beside the engine": WorkerOptions(threads=max(1, CORES - 1), low_priority=True),
    "beside one without manners": WorkerOptions(threads=CORES, low_priority=False),
}


def client(seconds: float) -> None:
    """Prints the gaps between its callbacks, in microseconds."""
    import jack

    called: list[float] = []
    one = jack.Client("gaps", no_start_server=True)
    one.set_process_callback(lambda _frames: called.append(time.perf_counter()))
    one.activate()
    time.sleep(seconds)
    one.deactivate()
    one.close()
    np.savetxt(sys.stdout, np.diff(called) * 1e6, fmt="%.1f")


@contextmanager
def working(options: WorkerOptions | None, sound: Path, folder: Path) -> Iterator[None]:
    """An engine that has work all the time."""
    if options is None:
        yield
        return
    worker = Worker("manners", options)
    calls: list[Call] = []

    def go_on() -> None:
        calls.append(worker.call("Extraction", arguments("Extraction", {}, sound, folder)))
        calls[-1].future.add_done_callback(
            lambda done: None if done.cancelled() or done.exception() else go_on()
        )

    try:
        go_on()
        time.sleep(3.0)  # it has loaded its network, and works
        yield
        if calls[-1].future.done():
            raise SystemExit(f"the engine stopped working: {calls[-1].future.exception()}")
    finally:
        worker.stop()


def gaps(seconds: float, environment: Mapping[str, str]) -> np.ndarray:
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.manners", "--client", str(seconds)],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    return np.array(told.split(), np.float64)


def _sound(folder: Path) -> Path:
    import soundfile as sf

    rng = np.random.default_rng(1)
    path = folder / "sound.wav"
    sf.write(path, rng.standard_normal((round(SOUND_S * 44_100), 2)) * 0.1, 44_100, "PCM_16")
    return path


def measure(runs: int, seconds: float) -> None:
    found: dict[str, list[float]] = {name: [] for name in BESIDE}
    longest: dict[str, float] = dict.fromkeys(BESIDE, 0.0)
    with tempfile.TemporaryDirectory(prefix="bridge-manners-") as name:
        folder = Path(name)
        sound = _sound(folder)
        (folder / "out").mkdir()
        with JackServer(period=PERIOD, synchronous=False) as server:
            for run in range(runs):
                for what, options in BESIDE.items():
                    with working(options, sound, folder / "out"):
                        seen = gaps(seconds, server.environment)
                    found[what].append(float(np.percentile(seen, 99.9)))
                    longest[what] = max(longest[what], float(seen.max()))
                    print(f"run {run + 1}, {what}: p99.9 {found[what][-1]:.0f} us of {len(seen)} gaps")
    alone = statistics.median(found["alone"])
    print(f"\na period is {PERIOD / RATE_HZ * 1e6:.0f} us; {runs} runs; load {os.getloadavg()[0]:.1f}")
    print(f"{'':28} {'p99.9':>9} {'of alone':>9} {'longest':>10}")
    for what, values in found.items():
        middle = statistics.median(values)
        print(f"{what:28} {middle:7.0f} us {middle / alone:8.2f}x {longest[what]:7.0f} us")
    ratio = statistics.median(found["beside the engine"]) / alone
    print(f"\nlimit {LIMIT}x: {'reached' if ratio <= LIMIT else 'MISSED'} ({ratio:.2f}x)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--client", type=float, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.client:
        client(asked.client)
    else:
        measure(asked.runs, asked.seconds)


if __name__ == "__main__":
    main()
