"""The MusicGPT client on a rehearsal server: what it costs beside a plain script, and many jobs at once.

    python -m benchmarks.remote              everything
    python -m benchmarks.remote overhead     upload, poll and download by our client and a plain script
    python -m benchmarks.remote many         200 jobs at once through a daemon; calls of byId in any minute
    python -m benchmarks.remote memory       a 400 MB upload: how much memory it adds

The server is `bridge serve --rehearse` in a process of its own. The script is what one writes by hand from
the vendor's page: post the file with `requests`, ask every second from the eta on, download. Both convert the
same file in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import requests
import soundfile

from bridge.clock import SystemClock
from bridge.config import MusicGPTSettings
from bridge.conversions.catalogue import conversion
from bridge.converters.base import ConversionRequest
from bridge.converters.fitting import EngineFitter
from bridge.converters.musicgpt import MusicGPTConverter
from bridge.engine.worker import Worker, WorkerOptions
from bridge.jobs.model import Fingerprint
from bridge.jobs.store import JOURNAL_NAME, connect
from bridge.jobs.views import Views
from bridge.owner import read_note

RATE_HZ = 48_000
KEY = "rehearse"
UPLOAD_SECONDS = 120.0
RUNS = 7
JOBS = 200
PLANS = {"pro": 500, "plus": 200}


@contextmanager
def rehearsal(*options: str) -> Iterator[str]:
    """The base address of a rehearsal in a process of its own."""
    command = [sys.executable, "-m", "bridge", "serve", "--rehearse", "--json", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            break
    try:
        yield json.loads(text)["base_url"]
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def noise(path: Path, seconds: float, seed: int = 0) -> Path:
    """24-bit stereo that no two seeds share."""
    sound = np.random.default_rng(seed).normal(0.0, 0.1, (round(seconds * RATE_HZ), 2)).astype(np.float32)
    soundfile.write(path, sound, RATE_HZ, subtype="PCM_24")
    return path


def by_hand(base: str, source: Path, target: Path) -> None:
    """What one writes from the vendor's page."""
    headers = {"Authorization": KEY}
    with source.open("rb") as file:
        answer = requests.post(
            f"{base}/v1/file_convert",
            headers=headers,
            data={"target_format": "wav", "target_sr": 48000},
            files={"audio_file": file},
            timeout=600,
        ).json()
    time.sleep(max(answer["eta"], 0))
    asked = {"conversionType": "FILE_CONVERT", "task_id": answer["task_id"]}
    while True:
        told = requests.get(f"{base}/v1/byId", headers=headers, params=asked, timeout=60).json()["conversion"]
        if told["status"] == "COMPLETED":
            break
        time.sleep(1.0)
    with requests.get(told["output_file_path"], stream=True, timeout=600) as link, target.open("wb") as file:
        for block in link.iter_content(1 << 18):
            file.write(block)


def by_client(client: MusicGPTConverter, source: Path, folder: Path) -> None:
    """The same as the runner does it."""
    values = {"target_format": "wav", "target_sr": 48000}
    parameters = conversion("file_convert").resolve(values, converter="musicgpt")
    request = ConversionRequest(
        "file_convert", parameters, source, "key", Fingerprint.of(source), duration_s=UPLOAD_SECONDS
    )
    ticket = client.submit(request)
    while (progress := client.poll(ticket)).state == "running":
        time.sleep(progress.poll_after_s)
    assert progress.state == "done", progress
    folder.mkdir()
    client.fetch(ticket, folder, request)


@contextmanager
def a_client(base: str, folder: Path) -> Iterator[MusicGPTConverter]:
    worker = Worker("benchmark", WorkerOptions())
    settings = MusicGPTSettings(base_url=base, plan="pro")
    client = MusicGPTConverter(settings, lambda: KEY, EngineFitter(worker), folder / "spool", SystemClock())
    try:
        yield client
    finally:
        client.close()
        worker.stop()


def overhead(folder: Path) -> None:
    for pace_s in (0.5, 5.0):
        with rehearsal("--pace", str(pace_s)) as base, a_client(base, folder / f"pace {pace_s}") as client:
            times: dict[str, list[float]] = {"by hand": [], "our client": []}
            for run in range(RUNS + 1):
                source = noise(folder / "upload.wav", UPLOAD_SECONDS, seed=run)
                began = time.perf_counter()
                by_hand(base, source, folder / "by hand.wav")
                between = time.perf_counter()
                by_client(client, source, folder / f"ours {pace_s} {run}")
                took = {"by hand": between - began, "our client": time.perf_counter() - between}
                if run:  # the first warms the server
                    for name, seconds in took.items():
                        times[name].append(seconds)
        medians = {name: statistics.median(all_of) for name, all_of in times.items()}
        ratio = medians["our client"] / medians["by hand"]
        size_mb = (folder / "upload.wav").stat().st_size / 1e6
        print(
            f"{size_mb:.0f} MB up and down, a task of {pace_s:g} s: by hand {medians['by hand']:.2f} s, "
            f"our client {medians['our client']:.2f} s, {ratio:.2f} x (medians of {RUNS})"
        )


def many(folder: Path) -> None:
    for plan, calls in PLANS.items():
        with rehearsal("--pace", "0.5", "--plan", plan) as base:
            took_s, states, polls = _through_a_daemon(folder / plan, base, plan)
        busiest = max((sum(one <= other < one + 60 for other in polls) for one in polls), default=0)
        print(
            f"{JOBS} jobs at once on {plan}: {states} after {took_s:.0f} s; {len(polls)} calls of byId, "
            f"at most {busiest} in a minute (the plan's: {calls})"
        )


def _through_a_daemon(folder: Path, base: str, plan: str) -> tuple[float, dict[str, int], list[float]]:
    home, watched, out = folder / "home", folder / "in", folder / "out"
    for one in (home, watched, out):
        one.mkdir(parents=True)
    home.joinpath("config.toml").write_text(
        f"[[folders]]\npath = '{watched}'\nproject_folder = '{out}'\npreset = '@extract_key_bpm'\n"
        f"existing = 'convert'\n[musicgpt]\nplan = '{plan}'\nconsent = 'always'\ncap_day_usd = 1000.0\n"
    )
    for number in range(JOBS):
        noise(watched / f"{number}take.wav", 1.0, seed=number)
    environment = {
        **os.environ,
        "BRIDGE_HOME": str(home),
        "BRIDGE_MUSICGPT_BASE_URL": base,
        "MUSICGPT_API_KEY": KEY,
    }
    began = time.monotonic()
    daemon = subprocess.Popen(
        [sys.executable, "-m", "bridge", "run"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while read_note(home) is None:
            time.sleep(0.05)
        views = Views(connect(home / JOURNAL_NAME, read_only=True))
        while (counts := views.counts()).get("done", 0) < JOBS and time.monotonic() - began < 600:
            time.sleep(0.2)
        took_s = time.monotonic() - began
    finally:
        daemon.terminate()
        daemon.wait()
    ledger: dict[str, Any] = requests.get(
        base.removesuffix("/api/public") + "/rehearsal/ledger", timeout=60
    ).json()
    return took_s, counts, [one["at"] for one in ledger["polls"]]


def memory(folder: Path) -> None:
    source = folder / "400 MB.wav"
    with soundfile.SoundFile(source, "w", RATE_HZ, 6, "PCM_24") as file:
        for _ in range(465):
            file.write(np.zeros((RATE_HZ, 6), np.float32))
    own = psutil.Process()
    with rehearsal("--pace", "0") as base, a_client(base, folder / "memory") as client:
        values = conversion("extract_key_bpm").resolve({}, converter="musicgpt")
        request = ConversionRequest("extract_key_bpm", values, source, "key", duration_s=465.0)
        before, peak = own.memory_info().rss, 0
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(0.01):
                peak = max(peak, own.memory_info().rss)

        watching = threading.Thread(target=watch)
        watching.start()
        began = time.perf_counter()
        client.submit(request)
        took_s = time.perf_counter() - began
        done.set()
        watching.join()
    print(
        f"{source.stat().st_size / 1e6:.0f} MB sent in {took_s:.1f} s:"
        f" {(peak - before) / 1e6:.1f} MB of memory more"
    )


PARTS = {"overhead": overhead, "many": many, "memory": memory}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", nargs="?", choices=sorted(PARTS))
    wanted = parser.parse_args().part
    for name, part in PARTS.items():
        if wanted in (None, name):
            with tempfile.TemporaryDirectory(prefix="daw-bridge-benchmark-") as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
