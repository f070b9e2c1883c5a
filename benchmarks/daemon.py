"""What a running daemon costs and how quick it is.

    python -m benchmarks.daemon            everything, a table
    python -m benchmarks.daemon latency    one of: latency, idle, drop, help

latency: 40 s bounces written as a DAW does; from the close of the file to the MIDI in the project folder, the
quiet delay (0.4 s) included. idle: memory and processor time of the daemon and its engine with nothing to do.
drop: 10,000 one-second files moved into the folder at once, until each is a job. help: `bridge --help`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import psutil
import soundfile

from bridge.engine.models import ModelStore
from bridge.jobs.store import JOURNAL_NAME, connect
from bridge.owner import read_note

RATE_HZ = 48_000
SETTINGS = """
[[folders]]
path = '{watched}'
project_folder = '{out}'
existing = "convert"
"""


def music(seconds: float, seed: int) -> np.ndarray:
    """Plucked chords, four a second, (frames, 2) float64; another seed gives other music."""
    chance = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    time_s = np.arange(RATE_HZ // 2) / RATE_HZ
    for start in range(0, len(sound) - len(time_s), RATE_HZ // 4):
        for pitch in chance.choice(np.arange(48, 84), 3, replace=False):
            hertz = 440.0 * 2 ** ((pitch - 69) / 12)
            tone = sum(np.sin(2 * np.pi * hertz * n * time_s) / n**1.5 for n in range(1, 5))
            sound[start : start + len(time_s)] += 0.08 * tone * np.exp(-4 * time_s)
    return np.stack([sound, sound], axis=1)


class Trial:
    """A daemon of its own on a temporary folder. `more` is what else its settings say."""

    def __init__(self, more: str = "", environment: Mapping[str, str] | None = None) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="daw-bridge-benchmark-"))
        self.watched, self.out, self.home = (self.folder / name for name in ("in", "out", "home"))
        self.watched.mkdir()
        self.home.mkdir()
        store = ModelStore(self.home / "models")
        for name in store.by_default():
            store.pull(name, report=lambda _: None)
        text = SETTINGS.format(watched=self.watched, out=self.out) + more
        (self.home / "config.toml").write_text(text, encoding="utf-8")
        environment = {**os.environ, "BRIDGE_HOME": str(self.home), **(environment or {})}
        nowhere = subprocess.DEVNULL
        command = [sys.executable, "-m", "bridge", "run"]
        self.process = subprocess.Popen(
            command, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere
        )
        self.wait(lambda: read_note(self.home) is not None)

    def wait(self, look: Callable[[], object], deadline_s: float = 600.0, pause_s: float = 0.001) -> None:
        until = time.monotonic() + deadline_s
        while not look():
            if time.monotonic() > until:
                raise SystemExit("the daemon did not do it in time")
            time.sleep(pause_s)

    def jobs(self) -> tuple[int, int]:
        """How many jobs there are, and how many different files."""
        db = connect(self.home / JOURNAL_NAME, read_only=True)
        row = db.execute(
            "SELECT count(DISTINCT job_id), count(DISTINCT path), count(*) FROM parts"
        ).fetchone()
        db.close()
        return row[2], row[1]

    def tree(self) -> list[psutil.Process]:
        daemon = psutil.Process(self.process.pid)
        return [daemon, *daemon.children(recursive=True)]

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def latency() -> None:
    _latency("its name tells the tempo", "_120bpm")
    _latency("nobody tells the tempo, so it is heard", "")


def _latency(what: str, told: str, runs: int = 7) -> None:
    trial = Trial()
    times = []
    for number in range(runs + 1):
        soundfile.write(trial.folder / "x.wav", music(40.0, number), RATE_HZ, subtype="PCM_24")
        data = (trial.folder / "x.wav").read_bytes()
        with (trial.watched / f"take{number}{told}.wav").open("wb") as file:
            for at in range(0, len(data), 1 << 20):
                file.write(data[at : at + (1 << 20)])
                file.flush()
                time.sleep(0.05)
        closed = time.monotonic()
        midi = trial.out / f"take{number}{told}_midi.mid"
        trial.wait(midi.exists, 60)
        times.append(time.monotonic() - closed)
        time.sleep(1.0)
    trial.close()
    warm = times[1:]
    median = statistics.median(warm)
    print(f"latency  40 s bounce, warm, {what}: median {median:.3f} s, worst {max(warm):.3f} s of {runs}")


def idle(seconds: float = 20.0) -> None:
    trial = Trial()
    soundfile.write(trial.watched / "one.wav", music(40.0, 1), RATE_HZ, subtype="PCM_24")
    trial.wait((trial.out / "one_midi.mid").exists, 60)
    time.sleep(3.0)
    tree = trial.tree()
    before = [process.cpu_times() for process in tree]
    time.sleep(seconds)
    after = [process.cpu_times() for process in tree]
    used = [sum(b[:2]) - sum(a[:2]) for a, b in zip(before, after, strict=True)]
    rss = tree[0].memory_info().rss / 2**20
    pss = [getattr(process.memory_full_info(), "pss", process.memory_info().rss) / 2**20 for process in tree]
    print(f"idle     daemon {rss:.1f} MB RSS, {100 * used[0] / seconds:.2f} % of a core;", end=" ")
    print(f"whole tree with a warm engine {sum(pss):.1f} MB PSS, {100 * sum(used) / seconds:.2f} % of a core")
    trial.close()


def drop(count: int = 10_000) -> None:
    trial = Trial()
    staging = trial.folder / "staging"
    staging.mkdir()
    base = music(1.0, 0)[:, 0]
    chance = np.random.default_rng(0)
    for number in range(count):
        noise = 1e-3 * chance.standard_normal(len(base))
        soundfile.write(staging / f"{number:05d} x.wav", base + noise, RATE_HZ, subtype="PCM_16")
    began = time.monotonic()
    for path in list(staging.iterdir()):
        path.rename(trial.watched / path.name)
    moved = time.monotonic() - began
    trial.wait(lambda: trial.jobs()[0] >= count, 1800, pause_s=0.2)
    found = time.monotonic() - began
    time.sleep(5.0)
    rows, files = trial.jobs()
    print(f"drop     {count} files moved in {moved:.1f} s; all found after {found:.1f} s;", end=" ")
    print(f"{rows} parts for {files} files (none twice: {rows == files == count})")
    trial.close()


def command_help(runs: int = 9) -> None:
    times = []
    for _ in range(runs):
        began = time.monotonic()
        subprocess.run([sys.executable, "-m", "bridge", "--help"], stdout=subprocess.DEVNULL, check=True)
        times.append(time.monotonic() - began)
    print(f"help     bridge --help: median {statistics.median(times):.3f} s")


PARTS = {"latency": latency, "idle": idle, "help": command_help, "drop": drop}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    for name in parser.parse_args().parts or list(PARTS):
        PARTS[name]()
