"""100,000 jobs in the journal: how long do `bridge status`, `history` and `show` take, whole process?

    python benchmarks/journal_scale.py [--jobs 100000] [--runs 5]

Makes a journal with plain inserts in one transaction (two deliveries and five events a job, 40 jobs still
open), then runs each command and reports the median and the worst. Limit: 0.4 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bridge.jobs import store

LIMIT_S = 0.4
OPEN_JOBS = 40
PRESET = json.dumps(
    {"name": "audio-to-midi", "title": "Audio to MIDI", "steps": [{"name": "notes"}], "deliver": [{}]}
)
SHA256 = "0" * 64
COMMANDS: tuple[tuple[str, ...], ...] = (
    ("status",),
    ("history",),
    ("history", "--state", "failed"),
    ("history", "--state", "running", "--json"),
    ("show", "50000"),
)


def make_journal(path: Path, jobs: int) -> None:
    """A journal of `jobs` jobs: every hundredth failed, the newest 40 open, the rest done."""
    connection = store.connect(path)
    connection.execute("PRAGMA foreign_keys = OFF")
    connection.execute("BEGIN")
    for table, width, rows in (
        ("jobs", 13, _jobs(jobs)),
        ("parts", 13, _parts(jobs)),
        ("conversions", 20, _conversions(jobs)),
        ("artifacts", 6, _artifacts(jobs)),
        ("deliveries", 18, _deliveries(jobs)),
        ("events", 5, _events(jobs)),
        ("files", 4, _files(jobs)),
    ):
        marks = ", ".join("?" * width)
        connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
    connection.execute("COMMIT")
    connection.close()


def _state(job: int, jobs: int) -> str:
    if job > jobs - OPEN_JOBS:
        return "queued"
    return "failed" if job % 100 == 0 else "done"


def _jobs(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1):
        at, state = 1.7e9 + job, _state(job, jobs)
        words = (f"take {job}", "audio-to-midi", PRESET, "{}", "/music/project", "folder", 0, "/music/in")
        yield (job, at, at + 1, state, 10, *words)


def _parts(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1):
        facts = (7_000_000, job, 1.7e9 + job, SHA256, 1_764_000, 2, 44_100, 40.0, "[]", None)
        yield (job, job, f"/music/in/take {job}.wav", *facts)


def _conversions(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1):
        what = ("notes", "audio_to_midi", "local", "{}", None, _state(job, jobs), None)
        key = (f"{job:064x}", 1, 0, f"{job:064x}", 0, None, 1.7e9, 1.7e9, None)
        yield (job, job, job, 10e11 + job, *what, *key)


def _artifacts(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1):
        yield (job, job, "midi", f"/cache/{job}/notes.json", "application/json", SHA256)


def _deliveries(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1 - OPEN_JOBS):
        for offset, kind, name in ((-1, "artifact", "_midi.mid"), (0, "sidecar", ".bridge.json")):
            final = f"/music/project/take {job}{name}"
            facts = (SHA256, 900, job, "34 notes, 120 BPM", 0, None, 1.7e9 + job, None)
            head = (2 * job + offset, job, job, 10e11 + job, kind, "{}", job)
            yield (*head, "done", final, final + ".part", *facts)


def _events(jobs: int) -> Iterator[Sequence[Any]]:
    for row in range(1, 5 * jobs + 1):
        yield (row, 1.7e9 + row / 5, (row + 4) // 5, "job.state", '{"state": "done", "before": "running"}')


def _files(jobs: int) -> Iterator[Sequence[Any]]:
    for job in range(1, jobs + 1):
        yield (f"/music/in/take {job}.wav", 7_000_000, job, job)


def seconds_of(command: Sequence[str], home: Path, runs: int) -> list[float]:
    """Wall times of the whole process, interpreter and all."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "bridge", *command],
            env={**os.environ, "BRIDGE_HOME": str(home)},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        times.append(time.perf_counter() - began)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    worst = 0.0
    with tempfile.TemporaryDirectory(prefix="bridge-scale-") as name:
        home = Path(name)
        began = time.perf_counter()
        make_journal(home / store.JOURNAL_NAME, options.jobs)
        size_mb = (home / store.JOURNAL_NAME).stat().st_size / 1e6
        print(f"{options.jobs} jobs, {size_mb:.0f} MB, made in {time.perf_counter() - began:.1f} s")
        for command in (("--help",), *COMMANDS):
            times = seconds_of(command, home, options.runs)
            worst = max(worst, statistics.median(times))
            words = f"bridge {' '.join(command)}"
            print(f"{words:40} median {statistics.median(times):.3f} s, worst {max(times):.3f} s")
    print("good" if worst <= LIMIT_S else f"a median is above {LIMIT_S} s")
    return 0 if worst <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())
