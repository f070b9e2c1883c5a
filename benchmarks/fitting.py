"""How exactly stems that come back as MP3s lie on their bounce, and what laying them there costs.

    python -m benchmarks.fitting [--seeds 1000-1003] [--seconds 30] [--minutes 8]

Songs of four stems (`benchmarks.songs`, our own synthesis) are mixed to a bounce of 48 kHz and 24 bit. Each
stem is coded as a service would do it, at 44.1 kHz, and laid back, in a set and alone, also where it is 30 dB
lower in the mix: the offset is the place of the highest cross-correlation with the true stem, over all
channels. What it costs is measured on four stems of `--minutes` through the engine's own process. LAME needs
an ffmpeg on the PATH and is left out without it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil
import soundfile as sf
import soxr
from numpy.typing import NDArray

from benchmarks.notes import seeds
from benchmarks.songs import render, song
from benchmarks.songs.rendering import default_cache
from bridge.converters.base import Artifact
from bridge.converters.fitting import EngineFitter, Raw
from bridge.engine.worker import Worker, WorkerOptions

Sound = NDArray[np.float32]
Coder = Callable[[Path, Sound], None]

STEMS = ("piano", "bass", "drums", "voice")
BOUNCE_HZ, SERVICE_HZ = 48_000, 44_100
QUIET = 10 ** (-30 / 20)
PEAK = 0.2
LOOK_EVERY_S = 0.02
CACHE = default_cache()


def stems(seed: int, seconds: float) -> dict[str, Sound]:
    """Four stems of 48 kHz, repeated until they are long enough."""
    found = {}
    frames = round(seconds * BOUNCE_HZ)
    for name in STEMS:
        sound, rate_hz = render(song(name, seed), "synth", cache=CACHE)
        at_rate = soxr.resample(sound, rate_hz, BOUNCE_HZ, quality="VHQ")
        times = -(-frames // len(at_rate))
        found[name] = PEAK / np.abs(at_rate).max() * np.tile(at_rate, (times, 1))[:frames]
    return found


def _late(path: Path, sound: Sound, delay: int) -> None:
    at_rate = soxr.resample(sound, BOUNCE_HZ, SERVICE_HZ, quality="VHQ")
    sf.write(path, np.pad(at_rate, ((delay, 0), (0, 0))), SERVICE_HZ, format="MP3")


def _by_lame(path: Path, sound: Sound, options: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory() as work:
        plain = Path(work) / "stem.wav"
        sf.write(plain, sound, BOUNCE_HZ, subtype="PCM_24")
        command = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-i",
            str(plain),
            "-ar",
            str(SERVICE_HZ),
            "-c:a",
            "libmp3lame",
        ]
        subprocess.run([*command, *options, str(path)], check=True)


WITHOUT_FFMPEG: Mapping[str, Coder] = {
    "MP3, its delay told": lambda path, sound: _late(path, sound, 0),
    "MP3, 1105 frames late": lambda path, sound: _late(path, sound, 1105),
    "MP3, 2257 frames late": lambda path, sound: _late(path, sound, 2257),
    "MP3, 0.3 s late": lambda path, sound: _late(path, sound, 13_231),
}
WITH_FFMPEG: Mapping[str, Coder] = {
    "LAME 128 kbit/s, tagged": lambda path, sound: _by_lame(path, sound, ("-b:a", "128k")),
    "LAME 128 kbit/s, no tag": lambda path, sound: _by_lame(
        path, sound, ("-b:a", "128k", "-write_xing", "0")
    ),
    "LAME V4, no tag": lambda path, sound: _by_lame(path, sound, ("-q:a", "4", "-write_xing", "0")),
}


def offset(placed: Sound, true: Sound) -> int:
    """By how many frames `placed` is late."""
    size = 1 << (len(placed) + len(true)).bit_length()
    spectra = (
        np.fft.rfft(placed[:, one], size) * np.conj(np.fft.rfft(true[:, one], size)) for one in range(2)
    )
    at = int(np.argmax(np.abs(np.fft.irfft(sum(spectra), size))))
    return at if at < size // 2 else at - size


@dataclass(frozen=True)
class Error:
    """Of one stem: frames off, and frames too many."""

    offset: int
    length: int


def errors(
    fitter: EngineFitter, given: Mapping[str, Sound], code: Coder, *, together: bool
) -> Iterator[Error]:
    """Lays the stems onto their bounce, all in one set or each alone."""
    with tempfile.TemporaryDirectory(prefix="bridge-fitting-") as work:
        folder = Path(work)
        source, raws = _returned(folder, given, code)
        sets = [raws] if together else [[raw] for raw in raws]
        for raw in sets:
            for artifact in fitter.fit(raw, folder, source=source, fingerprint=None):
                placed = sf.read(artifact.path, dtype="float32")[0]
                true = given[artifact.role]
                yield Error(offset(placed, true), len(placed) - len(true))


def _returned(folder: Path, given: Mapping[str, Sound], code: Coder) -> tuple[Path, list[Raw]]:
    source = folder / "bounce.wav"
    sf.write(source, sum(given.values()), BOUNCE_HZ, subtype="PCM_24")
    (folder / "original").mkdir()
    raws = []
    for name, sound in given.items():
        path = folder / "original" / f"{name}.mp3"
        code(path, sound)
        raws.append(Raw(name, path, "audio/mpeg", "source"))
    return source, raws


def accuracy(fitter: EngineFitter, asked: argparse.Namespace) -> None:
    print("| came back as | stems | at 0 frames | largest error | alone: at 0 | 30 dB lower: at 0 | length |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    coders = {**WITHOUT_FFMPEG, **(WITH_FFMPEG if shutil.which("ffmpeg") else {})}
    songs = [stems(seed, asked.seconds) for seed in asked.seeds]
    for name, code in coders.items():
        sets = [error for given in songs for error in errors(fitter, given, code, together=True)]
        alone = [error for given in songs for error in errors(fitter, given, code, together=False)]
        quiet = [error for given in songs for error in _quiet(fitter, given, code)]
        lengths = "exact" if not any(one.length for one in (*sets, *alone, *quiet)) else "wrong"
        largest = max(abs(one.offset) for one in sets)
        counts = (f"{sum(one.offset == 0 for one in group)}" for group in (sets, alone, quiet))
        exact, exact_alone, exact_quiet = counts
        print(
            f"| {name} | {len(sets)} | {exact} | {largest} | {exact_alone} | {exact_quiet} | {lengths} |",
            flush=True,
        )


def _quiet(fitter: EngineFitter, given: Mapping[str, Sound], code: Coder) -> Iterator[Error]:
    """Each stem 30 dB lower in the mix, and looked for alone."""
    for name in given:
        lower = {**given, name: given[name] * np.float32(QUIET)}
        with tempfile.TemporaryDirectory(prefix="bridge-fitting-") as work:
            folder = Path(work)
            source, raws = _returned(folder, lower, code)
            raw = next(one for one in raws if one.role == name)
            (artifact,) = fitter.fit([raw], folder, source=source, fingerprint=None)
            placed = sf.read(artifact.path, dtype="float32")[0]
            yield Error(offset(placed, lower[name]), len(placed) - len(lower[name]))


def cost(worker: Worker, fitter: EngineFitter, asked: argparse.Namespace) -> None:
    """Time a minute of stem and the engine's largest memory, for a long set."""
    given = stems(asked.seeds[0], asked.minutes * 60)
    with tempfile.TemporaryDirectory(prefix="bridge-fitting-") as work:
        folder = Path(work)
        source, raws = _returned(folder, given, WITHOUT_FFMPEG["MP3, 1105 frames late"])
        frames = len(given[STEMS[0]])
        del given
        before, peak, took_s, made = _watched(
            worker, lambda: fitter.fit(raws, folder, source=source, fingerprint=None)
        )
        exact = all(sf.info(one.path).frames == frames for one in made)
    print(f"\n{len(raws)} stems of {asked.minutes:g} min, 48 kHz, stereo, 24 bit, from 44.1 kHz MP3s:")
    minutes = len(raws) * asked.minutes
    print(f"  {took_s:.1f} s in all, {took_s / minutes:.2f} s a minute of stem")
    print(f"  engine's memory: {before / 1e6:.0f} MB before, {peak / 1e6:.0f} MB at most")
    print(f"  length: {'exact' if exact else 'WRONG'}")


def _watched(worker: Worker, work: Callable[[], list[Artifact]]) -> tuple[int, int, float, list[Artifact]]:
    """Resident memory of the engine before and at most, seconds, and what the work gave."""
    process = psutil.Process(worker.pid())
    before = peak = process.memory_info().rss
    is_over = threading.Event()

    def look() -> None:
        nonlocal peak
        while not is_over.wait(LOOK_EVERY_S):
            peak = max(peak, process.memory_info().rss)

    looking = threading.Thread(target=look)
    looking.start()
    began = time.perf_counter()
    try:
        made = work()
    finally:
        is_over.set()
        looking.join()
    return before, peak, time.perf_counter() - began, made


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=seeds, default=seeds("1000-1003"))
    parser.add_argument("--seconds", type=float, default=30.0, help="length of the songs of the first table")
    parser.add_argument("--minutes", type=float, default=8.0, help="length of the long set; 0: none")
    asked = parser.parse_args()
    worker = Worker("fitting", WorkerOptions(low_priority=False))
    try:
        fitter = EngineFitter(worker)
        accuracy(fitter, asked)
        if asked.minutes:
            cost(worker, fitter, asked)
    finally:
        worker.stop()


if __name__ == "__main__":
    main()
