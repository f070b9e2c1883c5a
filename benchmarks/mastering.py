"""How near masters come to their loudness, peak and reference, and what they take.

    python -m benchmarks.mastering [--seeds 1000-1019] [--pairs 6] [--peer-venv DIR] [--no-peer]

Each seed is a song (`benchmarks.songs`, our own synthesis) at another level, rate, width, tone and dynamics.
ffmpeg's ebur128 measures what was written, beside ffmpeg's own one-pass loudnorm. For the reference, songs
are paired; the distance is that of the third octaves of middle and sides from 50 Hz to 12 kHz, levels
apart. `matchering` (GPL) does the same in an environment of its own: made here, which needs the network, or
given as `--peer-venv`. Nothing was tuned on seeds from 1000 up.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import mean

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from scipy import signal

from benchmarks.notes import seeds
from benchmarks.songs import render, song
from benchmarks.songs.peer import program
from bridge.conversions import catalogue
from bridge.engine.audio_job import AudioJob
from bridge.engine.mastering.master import master

Sound = NDArray[np.float64]

TARGETS = ((-14.0, -1.0), (-9.0, -0.3), (-23.0, -2.0))
LOUDNESS_LIMIT_LU, PEAK_LIMIT_DB, RTF_LIMIT = 0.3, 0.1, 0.06
RATES_HZ = (44_100, 48_000, 96_000)
LEVELS_DB = (-3.0, -9.0, -18.0, -30.0)
DEPTHS = ("PCM_24", "PCM_16", "FLOAT")
BANDS_HZ = 1000 * 2.0 ** (np.arange(-13, 12) / 3)
PEER = "matchering==2.0.6"
PEER_CODE = """
import sys, matchering
target, reference, result = sys.argv[1:]
matchering.process(target=target, reference=reference, results=[matchering.pcm24(result)])
"""


# The material


def mix(seed: int, folder: Path) -> Path:
    """A song as somebody's mix of it: the seed says what is odd about it."""
    rng = np.random.default_rng([seed, 6])
    sound, rate_hz = render(song("mix", seed), "synth")
    made_hz = RATES_HZ[seed % len(RATES_HZ)]
    made: Sound = np.asarray(soxr.resample(sound, rate_hz, made_hz, quality="VHQ"), np.float64)
    made = DYNAMICS[seed % len(DYNAMICS)](made / np.abs(made).max(), made_hz)
    made = _tilted(made, made_hz, float(rng.uniform(-5, 5)))
    made = made.mean(axis=1, keepdims=True) if seed % 5 == 4 else _widened(made, float(rng.uniform(0.4, 1.6)))
    made *= 10 ** (LEVELS_DB[seed % len(LEVELS_DB)] / 20) / np.abs(made).max()
    path = folder / f"mix-{seed}.wav"
    sf.write(path, made, made_hz, DEPTHS[seed % len(DEPTHS)])
    return path


def _as_it_is(sound: Sound, _: int) -> Sound:
    return sound


def _squashed(sound: Sound, _: int) -> Sound:
    return np.asarray(np.tanh(4 * sound))


def _open(sound: Sound, rate_hz: int) -> Sound:
    """The loud louder: an expander of 1 to 1.5 on the level of 50 ms."""
    b, a = signal.butter(1, 20, fs=rate_hz)
    level = np.sqrt(np.maximum(signal.lfilter(b, a, np.square(sound).mean(axis=1)), 1e-9))
    return np.asarray(sound * np.sqrt(level / level.max())[:, np.newaxis])


def _with_an_intro(sound: Sound, _: int) -> Sound:
    gain = np.ones(len(sound))
    gain[: len(gain) // 3] = 10 ** (-24 / 20)
    return np.asarray(sound * gain[:, np.newaxis])


DYNAMICS: Sequence[Callable[[Sound, int], Sound]] = (_as_it_is, _squashed, _open, _with_an_intro)


def _tilted(sound: Sound, rate_hz: int, db: float) -> Sound:
    """So much brighter above 1 kHz, and as much duller below, by a shelf of the first order."""
    gain = 10 ** (db / 10)
    b, a = signal.bilinear([gain, 2 * np.pi * 1000], [1, 2 * np.pi * 1000], rate_hz)
    return np.asarray(signal.lfilter(b, a, sound, axis=0))


def _widened(sound: Sound, width: float) -> Sound:
    middle, sides = sound.sum(axis=1) / 2, np.diff(sound, axis=1)[:, 0] / -2 * width
    return np.stack([middle + sides, middle - sides], axis=1)


# What measures


def by_ffmpeg(path: Path) -> tuple[float, float]:
    """LUFS and dBTP."""
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said.rpartition("Summary:")[2]
    return tuple(float(summary.partition(name)[2].split()[0]) for name in ("I:", "Peak:"))  # type: ignore[return-value]


def third_octaves(path: Path) -> list[Sound]:
    """Levels in dB of middle and (of two channels that differ) sides."""
    sound, rate_hz = sf.read(path, always_2d=True)
    parts = [sound.mean(axis=1)] + ([sound @ [0.5, -0.5]] if sound.shape[1] == 2 else [])
    found = []
    for part in parts:
        hz, density = signal.welch(part, rate_hz, nperseg=2 ** round(np.log2(rate_hz / 4)))
        edges = [(hz >= at * 2 ** (-1 / 6)) & (hz < at * 2 ** (1 / 6)) for at in BANDS_HZ]
        found.append(10 * np.log10([density[inside].sum() + 1e-20 for inside in edges]))
    return found


def distance_db(path: Path, reference: Path) -> float:
    """The mean difference of their third octaves, without that of their levels (the middle's mean)."""
    ours, theirs = third_octaves(path), third_octaves(reference)
    apart = [one - other for one, other in zip(ours, theirs, strict=False)]
    return float(np.abs(np.concatenate(apart) - apart[0].mean()).mean())


# Who makes masters


@dataclass(frozen=True)
class Made:
    path: Path
    cpu_rtf: float
    wall_rtf: float
    note: str = ""


def ours(source: Path, folder: Path, **parameters: object) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    defaults = catalogue.conversion("audio_mastering").resolve({}, converter="local")
    job = AudioJob(source, defaults | parameters, folder, {}, 2, lambda *_: None, lambda: None, Path)
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    row = master(job)[0]
    cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
    length_s = sf.info(source).duration
    return Made(folder / row["file"], cpu_s / length_s, wall_s / length_s, row["about"]["note"])


def loudnorm(source: Path, folder: Path, loudness: float, true_peak: float) -> Path:
    """ffmpeg's filter in one pass, at the source's rate."""
    path = folder / "loudnorm.wav"
    asked = f"loudnorm=I={loudness}:TP={true_peak}"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-af", asked, "-c:a", "pcm_s24le"]
    subprocess.run([*command, "-ar", str(sf.info(source).samplerate), str(path)], check=True)
    return path


def make_peer(folder: Path) -> Path | str:
    """A throw-away environment with matchering in it, or why there is none."""
    environment = folder / "peer"
    try:
        venv.create(environment, with_pip=True)
        command = [str(program(environment, "python")), "-m", "pip", "install", "--quiet", PEER]
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (subprocess.CalledProcessError, OSError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip()
        return said.splitlines()[-1] if said else "it cannot be installed"
    return environment


def matchering(environment: Path, source: Path, reference: Path, folder: Path) -> Path | str:
    path = folder / "matchering.wav"
    command = [str(program(environment, "python")), "-c", PEER_CODE, str(source), str(reference), str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return path if done.returncode == 0 else done.stderr.strip().splitlines()[-1]


# The tables


def targets(sources: Sequence[Path], folder: Path) -> Iterator[str]:
    yield f"{'target':>12} {'':9} {'LU off: mean':>13} {'worst':>6} {'dB over: worst':>15} {'reached':>8}"
    for loudness, peak in TARGETS:
        rows: dict[str, list[tuple[float, float]]] = {"ours": [], "loudnorm": []}
        notes = []
        for source in sources:
            made = ours(source, folder / "ours", loudness=loudness, true_peak=peak)
            rows["ours"].append(by_ffmpeg(made.path))
            rows["loudnorm"].append(by_ffmpeg(loudnorm(source, folder, loudness, peak)))
            if "too" in made.note:
                notes.append(f"{source.stem}: {made.note}")
        for name, found in rows.items():
            off = [abs(lufs - loudness) for lufs, _ in found]
            over = [dbtp - peak for _, dbtp in found]
            good = sum(
                lu <= LOUDNESS_LIMIT_LU and db <= PEAK_LIMIT_DB for lu, db in zip(off, over, strict=True)
            )
            aim, share = f"{loudness:g}/{peak:g}", f"{good}/{len(found)}"
            yield f"{aim:>12} {name:9} {mean(off):13.2f} {max(off):6.2f} {max(over):15.2f} {share:>8}"
        yield from notes


def references(pairs: Sequence[tuple[Path, Path]], folder: Path, peer: Path | str) -> Iterator[str]:
    yield "reference: mean third-octave distance in dB, then LU from its loudness: ours, matchering"
    yield f"{'source > reference':24} {'before':>7} {'ours':>6} {'matchering':>11}"
    found: list[tuple[float, float]] = []
    for source, reference in pairs:
        made = ours(source, folder / "ours", reference_audio_file=str(reference), true_peak=-0.1).path
        theirs = matchering(peer, source, reference, folder) if isinstance(peer, Path) else peer
        before, after = distance_db(source, reference), distance_db(made, reference)
        found.append((before, after))
        loud = by_ffmpeg(reference)[0]
        line = f"{source.stem + ' > ' + reference.stem:24} {before:7.2f} {after:6.2f}"
        if isinstance(theirs, Path):
            line += f" {distance_db(theirs, reference):11.2f}   {by_ffmpeg(made)[0] - loud:+.1f}"
            yield line + f" {by_ffmpeg(theirs)[0] - loud:+.1f}"
        else:
            yield f"{line}   {by_ffmpeg(made)[0] - loud:+.1f}, failed: {theirs}"
    if found:
        before, after = (mean(one) for one in zip(*found, strict=True))
        yield f"{'mean':24} {before:7.2f} {after:6.2f}"


def speed(source: Path, folder: Path) -> Iterator[str]:
    """Five minutes of it, with everything on."""
    sound, rate_hz = sf.read(source, always_2d=True)
    long = folder / "long.wav"
    sf.write(long, np.tile(sound, (-(-300 * rate_hz // len(sound)), 1))[: 300 * rate_hz], rate_hz, "PCM_24")
    plain = ours(long, folder / "ours", loudness=-11.0)
    matched = ours(long, folder / "ours", reference_audio_file=str(source))
    for name, made in (("tone", plain), ("reference", matched)):
        yield f"RTF {name}: {made.wall_rtf:.3f} wall, {made.cpu_rtf:.3f} processor (limit {RTF_LIMIT})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", type=seeds, default=seeds("1000-1019"))
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--peer-venv", type=Path)
    parser.add_argument("--no-peer", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as name:
        folder = Path(name)
        sources = [mix(seed, folder) for seed in options.seeds]
        limits = f"limits {LOUDNESS_LIMIT_LU} LU and {PEAK_LIMIT_DB} dB"
        print(f"{len(sources)} mixes, {limits}, measured by ffmpeg's ebur128", flush=True)
        for line in targets(sources, folder):
            print(line, flush=True)
        peer = "not asked for" if options.no_peer else options.peer_venv or make_peer(folder)
        pairs = list(pairwise(sources))[: options.pairs]
        for line in references(pairs, folder, peer):
            print(line, flush=True)
        stereo = next(path for path in sources if sf.info(path).channels > 1)
        for line in speed(stereo, folder):
            print(line, flush=True)


if __name__ == "__main__":
    main()
