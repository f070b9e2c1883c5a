"""What an hour costs: memory, time and how soon a cancel is obeyed, for each local conversion.

    python -m benchmarks.bounds [--minutes 60] [--threads 2] [--cancels 5] [CONVERSION …]

A generated stereo file of 48 kHz and 24 bits goes through an engine process as the daemon starts it. Told:
the process's largest resident memory (limit 1.5 GB), processing time by audio length, and the longest time
from a cancel, at moments spread over the work, to its end (limit 1 s); "killed" counts those that had to be.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile as sf

from bridge.conversions import catalogue
from bridge.converters.local import NEEDS_MODELS
from bridge.engine.models import ModelStore
from bridge.engine.worker import Worker, WorkerOptions
from bridge.errors import BridgeError
from bridge.home import home

RATE_HZ = 48_000
MEMORY_LIMIT_MB, CANCEL_LIMIT_S = 1536, 1.0
ASKED: Mapping[str, Mapping[str, Any]] = {
    "extract_key_bpm": {},
    "denoise": {"material": "music"},
    "deecho": {},
    "dereverb": {},
    "Extraction": {"stems": ["vocals", "instrumental", "residual"]},
    "audio_mastering": {},
    "audio_cutter": {"start_time": 1000.0, "end_time": 3_000_000.0},
    "audio_speed_changer": {"speed_change_factor": 1.25},
    "file_convert": {"target_format": "flac", "target_sr": 44100, "target_bit_depth": 16},
    "audio_to_midi": {},
}
SPEECH = ("denoise", {"material": "speech"})


@dataclass(eq=False)
class Peak(threading.Thread):
    """The largest resident memory of a process while this runs, in MB."""

    pid: int
    mb: float = 0.0

    def __post_init__(self) -> None:
        super().__init__(daemon=True)
        self.over = threading.Event()

    def run(self) -> None:
        process = psutil.Process(self.pid)
        while not self.over.wait(0.05):
            try:
                self.mb = max(self.mb, process.memory_info().rss / 2**20)
            except psutil.Error:
                return


def sound(folder: Path, minutes: float) -> Path:
    """A loop of chords, a beat and a little noise, never quite the same."""
    path = folder / "hour.wav"
    rng = np.random.default_rng(1000)
    bar = 2 * RATE_HZ
    time_s = np.arange(bar) / RATE_HZ
    with sf.SoundFile(path, "w", RATE_HZ, 2, "PCM_24") as file:
        for number in range(round(minutes * 30)):
            root = 110 * 2 ** ((0, 5, 7, 3)[number // 2 % 4] / 12)
            chord = sum(np.sin(2 * np.pi * root * ratio * time_s) for ratio in (1, 1.26, 1.5, 2, 3))
            hits = np.exp(-40 * (time_s % 0.5)) * rng.standard_normal(bar)
            mono = 0.05 * chord + 0.1 * hits
            file.write(np.stack([mono, 0.8 * mono], axis=1) + 0.002 * rng.standard_normal((bar, 2)))
    return path


def arguments(conversion: str, parameters: Mapping[str, Any], source: Path, folder: Path) -> dict[str, Any]:
    models = ModelStore(home() / "models")
    out = Path(tempfile.mkdtemp(dir=folder))
    needed = NEEDS_MODELS.get(conversion, ())
    return {
        "source": str(source),
        "parameters": catalogue.conversion(conversion).resolve(parameters, converter="local"),
        "folder": str(out),
        "models": {name: str(models.path(name)) for name in needed},
        "models_folder": str(models.folder),
        "made_of": {name: models.fingerprint(name) for name in needed},
        "audio": str(out),
        "hearings": str(out),
    }


def measure(
    name: str, given: Mapping[str, Any], source: Path, minutes: float, threads: int, cancels: int
) -> None:
    with tempfile.TemporaryDirectory(prefix="bridge-bounds-") as made:
        folder = Path(made)
        worker = Worker("bounds", WorkerOptions(threads=threads, memory_mb=0))
        try:
            began = time.perf_counter()
            call = worker.call(name, arguments(name, given, source, folder))
            pid = worker.pid()
            assert pid is not None
            peak = Peak(pid)
            peak.start()
            try:
                call.future.result()
            except BridgeError as error:
                print(f"{name:20} failed: {error}", flush=True)
                return
            finally:
                peak.over.set()
            took_s = time.perf_counter() - began
            longest_s, killed = _cancel_often(worker, name, given, source, folder, took_s, cancels)
        finally:
            worker.stop()
    memory = "" if peak.mb <= MEMORY_LIMIT_MB else " MISSED"
    late = "" if longest_s <= CANCEL_LIMIT_S and not killed else " MISSED"
    print(
        f"{name:20} {peak.mb:7.0f} MB{memory} {took_s / minutes / 60:8.4f} RTF"
        f" {longest_s:6.2f} s to cancel, {killed} killed{late}",
        flush=True,
    )


def _cancel_often(
    worker: Worker,
    name: str,
    given: Mapping[str, Any],
    source: Path,
    folder: Path,
    took_s: float,
    cancels: int,
) -> tuple[float, int]:
    longest_s, killed = 0.0, 0
    for number in range(cancels):
        call = worker.call(name, arguments(name, given, source, folder))
        pid = worker.pid()
        time.sleep(min(took_s, 60.0) * (number + 0.5) / cancels)
        began = time.perf_counter()
        worker.cancel(call)
        call.future.exception()
        longest_s = max(longest_s, time.perf_counter() - began)
        killed += worker.pid() != pid
    return longest_s, killed


def main(wanted: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("conversions", nargs="*", metavar="CONVERSION")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cancels", type=int, default=5)
    asked = parser.parse_args(wanted)
    with tempfile.TemporaryDirectory(prefix="bridge-hour-") as made:
        source = sound(Path(made), asked.minutes)
        print(
            f"{asked.minutes:g} min, {asked.threads} threads; limits {MEMORY_LIMIT_MB} MB, {CANCEL_LIMIT_S} s"
        )
        for name in asked.conversions or ASKED:
            measure(name, ASKED[name], source, asked.minutes, asked.threads, asked.cancels)
        if not asked.conversions:
            print("and for speech:")
            measure(*SPEECH, source, asked.minutes, asked.threads, asked.cancels)


if __name__ == "__main__":
    main()
