"""Cut, speed and format, measured; speed beside Rubber Band R3, Signalsmith Stretch and ffmpeg's atempo.

    python -m benchmarks.editing [--seeds 1000-1001] [--peer-venv DIR] [--json FILE]

Cut: the samples and the chunks of a generated WAV. Convert: overtones of a sine of -90 dBFS at 16 bits.
Speed: length; pitch (the shift in cents between the long-term spectra) of sines, piano and voice; the attacks
of drum hits of a SoundFont, alone and over a chord: how much longer they rise (from a tenth to nine tenths),
how much of them sounds too early, how far from their place they are; and the distance in decibels between the
spectrum and the true one, for chords and a voice that can be made at any speed. Peers that are not here are
failed rows.
Seeds from 1000 up are for reporting; tuning was on smaller ones.
"""

from __future__ import annotations

import argparse
import json
import shutil
import struct
import subprocess
import tempfile
import time
import venv
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soundfile as sf

from benchmarks.songs import song
from benchmarks.songs.drum_kits import Kit, plain_kit, soundfont_kit
from benchmarks.songs.peer import program
from benchmarks.songs.rendering import SOUNDFONTS, render, sources_for
from bridge.conversions import catalogue
from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.editing.convert import file_convert
from bridge.engine.editing.cut import cut
from bridge.engine.editing.speed import change_speed
from bridge.errors import ModelError

Sound = npt.NDArray[np.float64]
Stretcher = Callable[[Path, Path, float], None]

RATE_HZ: Final = 44_100
FACTORS: Final = (0.5, 0.8, 1.25, 2.0)
PEER: Final = ("python-stretch==0.3.1", "numpy", "soundfile")
SIGNALSMITH: Final = """
import sys, numpy, soundfile
from python_stretch import Signalsmith
sound, rate = soundfile.read(sys.argv[1], dtype="float32", always_2d=True)
stretch = Signalsmith.Stretch(1)
stretch.preset(sound.shape[1], float(rate))
stretch.setTimeFactor(float(sys.argv[3]))
made = stretch.process(numpy.ascontiguousarray(sound.T))
soundfile.write(sys.argv[2], made.T, rate, subtype="FLOAT")
"""
HIT_KEYS: Final = (36, 38, 42, 36, 45, 46)
LEVELS: Final = {"drums": 0.0, "drums over a chord": 0.03}


# Our own, as a task runs it


def run(task: Callable[[AudioJob], list[Row]], name: str, source: Path, folder: Path, **asked: Any) -> Path:
    def no_model(model: str) -> Path:
        raise ModelError(f"{model} is not needed here")

    folder.mkdir(parents=True, exist_ok=True)
    parameters = catalogue.conversion(name).resolve({}, converter="local") | asked
    job = AudioJob(source, parameters, folder, {}, 1, lambda *_: None, lambda: None, no_model)
    [row] = task(job)
    return folder / str(row["file"])


def ours(source: Path, made: Path, factor: float) -> None:
    folder = made.parent / "ours"
    found = run(change_speed, "audio_speed_changer", source, folder, speed_change_factor=factor)
    found.replace(made)


# The peers


def rubber_band(source: Path, made: Path, factor: float) -> None:
    subprocess.run(
        ["rubberband", "-3", "-q", "-T", str(factor), str(source), str(made)], check=True, capture_output=True
    )


def atempo(source: Path, made: Path, factor: float) -> None:
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-af", f"atempo={factor}"]
    subprocess.run([*command, "-c:a", "pcm_f32le", str(made)], check=True, capture_output=True)


def signalsmith(environment: Path) -> Stretcher:
    def stretch(source: Path, made: Path, factor: float) -> None:
        python = str(program(environment, "python"))
        subprocess.run([python, "-c", SIGNALSMITH, str(source), str(made), str(factor)], check=True)

    return stretch


def peers(folder: Path, given: Path | None) -> tuple[dict[str, Stretcher], dict[str, str]]:
    """Those that are here, and why others are not."""
    found: dict[str, Stretcher] = {"ours": ours}
    failed: dict[str, str] = {}
    for name, command, stretch in (
        ("rubberband -3", "rubberband", rubber_band),
        ("ffmpeg atempo", "ffmpeg", atempo),
    ):
        if shutil.which(command):
            found[name] = stretch
        else:
            failed[name] = f"{command} is not on this machine"
    try:
        found["signalsmith"] = signalsmith(given or made_peer(folder))
    except (OSError, subprocess.CalledProcessError) as fault:
        failed["signalsmith"] = str(fault)
    return found, failed


def made_peer(folder: Path) -> Path:
    environment = folder / "peer"
    venv.create(environment, with_pip=True)
    install = [str(program(environment, "python")), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *PEER], check=True)
    return environment


# The material


def drums(seed: int, kit: Kit, chord: float) -> tuple[Sound, list[int]]:
    """Hits that are 400 ms and a little apart, and the frames at which they begin."""
    rng = np.random.default_rng(seed)
    sound, begins = np.zeros(RATE_HZ * 10), []
    for number in range(22):
        at = round((0.3 + 0.42 * number + rng.uniform(0, 0.05)) * RATE_HZ)
        _, stroke = kit[HIT_KEYS[number % len(HIT_KEYS)]][-1]
        stroke = stroke[: RATE_HZ // 3]
        first = int(np.flatnonzero(np.abs(stroke) > 0.02 * np.abs(stroke).max())[0])
        sound[at : at + len(stroke)] += 0.5 * stroke / np.abs(stroke).max()
        begins.append(at + first)
    time_s = np.arange(len(sound)) / RATE_HZ
    for hertz in (110, 138.6, 164.8, 220, 277.2, 329.6):
        sound += chord * np.sin(2 * np.pi * hertz * time_s + rng.uniform(0, 6))
    return sound, begins


def chords(seed: int, factor: float) -> Sound:
    """Struck notes as they truly are at that speed: their times and decays are shorter, not their tones."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(6 * RATE_HZ / factor))
    for number in range(12):
        begin = round((0.1 + 0.45 * number) / factor * RATE_HZ)
        time_s = np.arange(min(len(sound) - begin, round(2 / factor * RATE_HZ))) / RATE_HZ
        for key in rng.choice([40, 43, 48, 52, 55, 59, 60, 64, 67, 71, 72, 76], 3, replace=False):
            for over in range(1, 13):
                hertz = 440 * 2 ** ((key - 69) / 12) * over * np.sqrt(1 + 0.0004 * over**2)
                tone = 0.06 / over**1.2 * np.sin(2 * np.pi * hertz * time_s + rng.uniform(0, 6.28))
                decay = np.exp(-time_s * factor * (1.5 + 0.35 * over))
                sound[begin : begin + len(time_s)] += (
                    tone * decay * (1 - np.exp(-time_s * factor / 0.006)) * (hertz < 12_000)
                )
    return sound


def voice(seed: int, factor: float) -> Sound:
    """A sung vowel with vibrato and moving formants, as it truly is at that speed."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(6 * RATE_HZ / factor)) / RATE_HZ * factor
    tune = np.interp(time_s, np.linspace(0, 6, 9), rng.choice([180, 200, 220, 247, 262, 294], 9))
    tune *= 2 ** (0.4 / 12 * np.sin(2 * np.pi * 5.5 * time_s))
    phase = 2 * np.pi * np.cumsum(tune) / RATE_HZ
    first = np.interp(time_s, np.linspace(0, 6, 7), rng.uniform(400, 900, 7))
    second = np.interp(time_s, np.linspace(0, 6, 7), rng.uniform(1000, 2400, 7))
    sound = np.zeros(len(time_s))
    for over in range(1, 40):
        hertz = tune * over
        gain = 1 / (1 + ((hertz - first) / 120) ** 2) + 0.6 / (1 + ((hertz - second) / 180) ** 2) + 0.02
        sound += 0.1 * gain * (hertz < 14_000) * np.sin(over * phase + over**2 * 0.7)
    return sound


def pitched(seed: int) -> Iterator[tuple[str, Sound]]:
    time_s = np.arange(8 * RATE_HZ) / RATE_HZ
    rng = np.random.default_rng(seed)
    tones = rng.uniform(80, 4000, 6)
    yield "sines", sum((0.1 * np.sin(2 * np.pi * hertz * time_s) for hertz in tones), np.zeros(len(time_s)))
    source = "fluid" if "fluid" in sources_for("piano") else "synth"
    for material in ("piano", "voice"):
        sound, rate_hz = render(song(material, seed), source)
        assert rate_hz == RATE_HZ
        yield material, sound[: 15 * RATE_HZ].mean(axis=1).astype(np.float64)


# What is measured


def shift_cents(old: Sound, new: Sound) -> float:
    """By how much the mean spectrum has moved: the best fit on a scale of cents."""
    cents = np.arange(0, 1200 * 6, 0.25)
    hertz = 60 * 2 ** (cents / 1200)
    size = 1 << 16

    def spectrum(sound: Sound) -> Sound:
        frames = max(1, (len(sound) - size) // (size // 4))
        padded = np.pad(sound, (0, max(0, size - len(sound))))
        parts = [padded[at * size // 4 :][:size] * np.hanning(size) for at in range(frames)]
        power = np.mean([np.abs(np.fft.rfft(one, 4 * size)) for one in parts], axis=0)
        found: Sound = np.interp(hertz, np.arange(len(power)) * RATE_HZ / (4 * size), power)
        return found / np.linalg.norm(found)

    a, b = spectrum(old), spectrum(new)
    fits = [float(np.dot(a[200:-200], np.roll(b, -lag)[200:-200])) for lag in range(-160, 161)]
    top = min(max(int(np.argmax(fits)), 1), len(fits) - 2)
    low, here, high = fits[top - 1 : top + 2]
    return 0.25 * (top - 160 + (low - high) / (2 * (low - 2 * here + high) or 1))


def rise(sound: Sound, at: int) -> tuple[float, float, float]:
    """Of the attack near `at`: ms from a tenth to nine tenths, dB that sound before it, ms from its place."""
    around = round(0.09 * RATE_HZ)
    part = np.square(np.pad(sound, around)[at : at + 2 * around])
    level = np.sqrt(np.maximum(np.convolve(part, np.ones(44) / 44, mode="same"), 0))
    top = int(level.argmax())
    low = np.flatnonzero(level[: top + 1] < 0.1 * level[top])
    begin = int(low[-1]) if len(low) else 0
    end = begin + int(np.flatnonzero(level[begin:] >= 0.9 * level[top])[0])
    early = part[around - round(0.08 * RATE_HZ) : around - round(0.003 * RATE_HZ)].sum()
    late = part[around : around + round(0.08 * RATE_HZ)].sum()
    to_ms = 1000 / RATE_HZ
    return (end - begin) * to_ms, 10 * float(np.log10(early / late + 1e-12)), (begin - around) * to_ms


def distance_db(true: Sound, made: Sound) -> float:
    """The root mean square between two spectrograms in dB, down to 60 dB below the loudest."""
    size, frames = 2048, min(len(true), len(made))

    def levels(sound: Sound) -> Sound:
        framed = np.lib.stride_tricks.sliding_window_view(sound[:frames], size)[:: size // 4]
        return np.asarray(np.abs(np.fft.rfft(framed * np.hanning(size), axis=1)))

    a, b = levels(true), levels(made)
    floor = 1e-3 * a.max()
    heard = (a > floor) | (b > floor)
    return float(np.sqrt(np.mean(np.square(20 * np.log10((a + floor) / (b + floor)))[heard])))


def speed(name: str, stretch: Stretcher, seeds: Sequence[int], kit: Kit, work: Path) -> list[dict[str, Any]]:
    """A row for each factor."""
    rows = []
    for factor in FACTORS:
        off, took, lasted = [0], [0.0], [0.0]

        def made(
            sound: Sound, factor: float = factor, off: list[int] = off, took: list[float] = took,
            lasted: list[float] = lasted,
        ) -> Sound:  # fmt: skip
            source, target = work / "source.wav", work / "made.wav"
            sf.write(source, sound, RATE_HZ, subtype="FLOAT")
            began_s = time.perf_counter()
            stretch(source, target, factor)
            took.append(time.perf_counter() - began_s)
            lasted.append(len(sound) / RATE_HZ)
            found, _ = sf.read(target, dtype="float64")
            off.append(abs(len(found) - round(len(sound) / factor)))
            return np.asarray(found)

        row: dict[str, Any] = {"who": name, "factor": factor}
        for material, chord in LEVELS.items():
            growths, early, places = [], [], []
            for seed in seeds:
                sound, begins = drums(seed, kit, chord)
                found = made(sound)
                for at in begins:
                    old, new = rise(sound, at), rise(found, round(at / factor))
                    growths.append(new[0] - old[0])
                    early.append(new[1] - max(old[1], -60.0))
                    places.append(abs(new[2] - old[2]))
            row[material] = {
                "growth_ms": median(growths), "mean_growth_ms": mean(growths), "early_db": median(early),
                "place_ms": median(places), "worst_place_ms": max(places),
            }  # fmt: skip
        cents: dict[str, list[float]] = {}
        for seed in seeds[:2]:
            for material, sound in pitched(seed):
                cents.setdefault(material, []).append(abs(shift_cents(sound, made(sound))))
        row["cents"] = {material: max(all_of) for material, all_of in cents.items()}
        row["chords_db"] = mean(distance_db(chords(seed, factor), made(chords(seed, 1.0))) for seed in seeds)
        row["voice_db"] = mean(distance_db(voice(seed, factor), made(voice(seed, 1.0))) for seed in seeds)
        row |= {"frames_off": max(off), "rtf": sum(took) / sum(lasted)}
        rows.append(row)
        print(line_of(row), flush=True)
    return rows


HEAD: Final = (
    "who            factor  off  cents sine/piano/voice   alone: growth (mean) early place   "
    "over a chord: growth (mean) early place   chords voice  RTF"
)


def line_of(row: Mapping[str, Any]) -> str:
    attacks = "   ".join(
        f"{one['growth_ms']:6.2f} ({one['mean_growth_ms']:5.2f}) ms {one['early_db']:5.1f} dB "
        f"{one['place_ms']:5.2f} ms"
        for one in (row[material] for material in LEVELS)
    )
    cents = " ".join(f"{row['cents'][material]:5.2f}" for material in ("sines", "piano", "voice"))
    return (
        f"{row['who']:14} {row['factor']:5}  {row['frames_off']:4}  {cents}   {attacks}   "
        f"{row['chords_db']:5.2f} {row['voice_db']:5.2f}  {row['rtf']:.4f}"
    )


# Cut and convert


def cutting(work: Path) -> dict[str, Any]:
    """A 24-bit WAV with a marker, a loop and a time reference, cut at odd times; all read by hand."""
    rng = np.random.default_rng(1000)
    numbers = rng.integers(-(1 << 23), 1 << 23, (200_000, 2))
    samples = b"".join(int(one).to_bytes(3, "little", signed=True) for one in numbers.ravel())
    bext = bytes(338) + struct.pack("<QH", 4_800_000, 2) + bytes(602 - 348)
    cue = struct.pack("<IIIIIII", 1, 1, 100_000, int.from_bytes(b"data", "little"), 0, 0, 100_000)
    body = b"".join(
        name + struct.pack("<I", len(part)) + part
        for name, part in (
            (b"fmt ", struct.pack("<HHIIHH", 1, 2, 48_000, 288_000, 6, 24)),
            (b"bext", bext), (b"cue ", cue), (b"data", samples),
        )
    )  # fmt: skip
    source = work / "take.wav"
    source.write_bytes(b"RIFF" + struct.pack("<I", len(body) + 4) + b"WAVE" + body)
    made = run(cut, "audio_cutter", source, work / "cut", start_time=1234.567, end_time=3210.987).read_bytes()
    first, last = round(1234.567 * 48), round(3210.987 * 48)
    at = made.index(b"data", made.index(b"cue ") + 36)
    size = struct.unpack_from("<I", made, at + 4)[0]
    reference = struct.unpack_from("<Q", made, made.index(b"bext") + 8 + 338)[0]
    return {
        "samples": made[at + 8 : at + 8 + size] == samples[first * 6 : last * 6],
        "time_reference": reference == 4_800_000 + first,
        "cue": struct.unpack_from("<I", made, made.index(b"cue ") + 8 + 4 + 20)[0] == 100_000 - first,
    }


def dithering(work: Path) -> dict[str, float]:
    """The loudest of the overtones 2 to 9 of a sine of -90 dBFS, in dB below it: rounded, and converted."""
    frames, cycles = 480_000, 10_007
    tone = 10 ** (-90 / 20) * np.sin(2 * np.pi * cycles * np.arange(frames) / frames)
    source = work / "quiet.wav"
    sf.write(source, tone, 48_000, subtype="FLOAT")
    asked = {"target_format": "wav", "target_sr": 48_000, "target_bit_depth": 16}
    made, _ = sf.read(run(file_convert, "file_convert", source, work / "converted", **asked))

    def overtones_db(sound: Sound) -> float:
        level = np.abs(np.fft.rfft(sound))
        return float(20 * np.log10(level[2 * cycles : 10 * cycles : cycles].max() / level[cycles]))

    return {"rounded_db": overtones_db(np.rint(tone * 2**15)), "dithered_db": overtones_db(made)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seeds", default="1000-1001")
    parser.add_argument("--peer-venv", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    font = next((path for paths in SOUNDFONTS.values() for path in paths if path.exists()), None)
    kit = soundfont_kit(font, 0) if font and shutil.which("fluidsynth") else plain_kit()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        result: dict[str, Any] = {"cut": cutting(work), "dither": dithering(work), "speed": []}
        print("cut, exact:", result["cut"])
        print("convert, overtones of -90 dBFS at 16 bits:", result["dither"])
        found, failed = peers(work, options.peer_venv)
        print(HEAD)
        for who, stretch in found.items():
            result["speed"] += speed(who, stretch, seeds, kit, work)
        for who, why in failed.items():
            print(f"{who:14} failed: {why}")
        result["failed"] = failed
    if options.json:
        options.json.write_text(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
