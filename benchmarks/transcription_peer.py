"""Audio to MIDI beside the `basic-pitch` command line: whole processes in time and memory.

    python -m benchmarks.transcription_peer [--peer-venv DIR] [--runs 5] [--seconds 40 600] [--json FILE]

Without `--peer-venv` the peer gets a throw-away environment of its own (it needs the network for that).
Both commands run cold, one after the other, in turn, on the same generated files; medians. How right the
notes are is measured by `benchmarks.notes`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import soundfile as sf

from benchmarks.songs import song, song_file
from benchmarks.songs.peer import make_peer, program
from bridge.engine.models import ModelStore

OUR_COMMAND = f"{shlex.quote(sys.executable)} -m bridge convert {{file}} --to {{out}}"
POLL_S = 0.01


@dataclass(frozen=True)
class Run:
    wall_s: float
    cpu_s: float
    peak_process_mb: float  # of the largest process
    peak_tree_mb: float  # of all together


@dataclass(frozen=True)
class Speed:
    seconds: float
    peer: Run
    ours: Run

    @property
    def ratio(self) -> float:
        return self.ours.wall_s / self.peer.wall_s


def watch(command: Sequence[str], environment: Mapping[str, str]) -> Run:
    """Runs a command to its end and looks at its process tree all the while."""
    began_s = time.perf_counter()
    with tempfile.TemporaryFile() as said:
        process = psutil.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        largest = together = 0.0
        cpu: dict[int, float] = {}
        while process.poll() is None:
            sizes = dict(_looks(process, cpu))
            largest = max([largest, *sizes.values()])
            together = max(together, sum(sizes.values()))
            time.sleep(POLL_S)
        wall_s = time.perf_counter() - began_s
        if process.returncode != 0:
            said.seek(0)
            raise SystemExit(f"{shlex.join(command)} failed:\n{said.read().decode(errors='replace')}")
    return Run(wall_s, sum(cpu.values()), largest, together)


def _looks(process: psutil.Process, cpu: dict[int, float]) -> Iterable[tuple[int, float]]:
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return
    for member in family:
        try:
            times = member.cpu_times()
            cpu[member.pid] = times.user + times.system
            yield member.pid, member.memory_info().rss / 1e6
        except psutil.Error:
            continue


def speed(peer: Path, folder: Path, models: Path, command: str, *, seconds: float, runs: int) -> Speed:
    source = _source(folder, seconds)
    theirs, ours = [], []
    for run in range(runs):  # in turn, so that a slow minute of the machine hits both
        out = folder / f"peer-{seconds:g}-{run}"
        out.mkdir()
        words = [str(program(peer, "basic-pitch")), "--model-serialization", "onnx", str(out), str(source)]
        theirs.append(watch(words, os.environ))
        ours.append(_our_run(folder / f"ours-{seconds:g}-{run}", source, models, command))
    return Speed(seconds, _middle(theirs), _middle(ours))


def _source(folder: Path, seconds: float) -> Path:
    """A piano song of ours, again and again until it is as long."""
    sound, rate_hz = sf.read(
        song_file(song("piano", 7), "synth", cache=folder), dtype="float32", always_2d=True
    )
    frames = round(seconds * rate_hz)
    path = folder / f"speed-{seconds:g}s.wav"
    sf.write(path, np.tile(sound, (-(-frames // len(sound)), 1))[:frames], rate_hz, subtype="PCM_24")
    return path


def _our_run(folder: Path, source: Path, models: Path, command: str) -> Run:
    """With a BRIDGE_HOME of its own, so that no cache knows the file."""
    shutil.copytree(models, folder / "home" / "models")
    out = folder / "out"
    out.mkdir()
    words = [word.format(file=source, out=out) for word in shlex.split(command)]
    run = watch(words, {**os.environ, "BRIDGE_HOME": str(folder / "home")})
    if not any(out.rglob("*.mid")):
        raise SystemExit(f"{shlex.join(words)} made no MIDI")
    return run


def _middle(runs: Sequence[Run]) -> Run:
    rows = [asdict(run) for run in runs]
    return Run(**{name: median(row[name] for row in rows) for name in rows[0]})


def print_speed(rows: Sequence[Speed]) -> None:
    print(f"\n{'cold, whole process':20} {'wall s':>8} {'CPU s':>8} {'process MB':>11} {'tree MB':>8}")
    for row in rows:
        for name, run in (("basic-pitch", row.peer), ("bridge", row.ours)):
            sizes = f"{run.peak_process_mb:11.0f} {run.peak_tree_mb:8.0f}"
            print(f"{f'{row.seconds:g} s {name}':20} {run.wall_s:8.2f} {run.cpu_s:8.2f} {sizes}")
        print(f"{'':20} {row.ratio:8.2f} x the peer's time")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-venv", type=Path, help="an environment that has the basic-pitch command")
    parser.add_argument("--command", default=OUR_COMMAND, help="ours; {file} and {out} are filled in")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, nargs="+", default=[40.0, 600.0])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as name:
        folder = Path(name)
        peer = asked.peer_venv or make_peer(folder)
        store = ModelStore(folder / "models")
        for state in store.states():
            if not state.model.on_first_use:
                store.pull(state.model.name, report=print)
        timed = [
            speed(peer, folder, store.folder, asked.command, seconds=seconds, runs=asked.runs)
            for seconds in asked.seconds
        ]
    print_speed(timed)
    if asked.json:
        rows = [{**asdict(row), "ratio": row.ratio} for row in timed]
        figures: dict[str, Any] = {"cpus": os.cpu_count(), "runs": asked.runs, "speed": rows}
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
