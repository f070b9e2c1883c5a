"""Echoes taken out of speech and music, and music that repeats itself without any.

    python -m benchmarks.deecho [--seeds 1000-1005] [--json FILE]

Single echoes of 80 to 600 ms at -6 dB with delays between the frames, and delay lines with feedback. The peer
is the usual recipe, written here, as no package that does it was found: the highest peak of the plain
autocorrelation as the delay, its height as the gain. Loops repeat one bar of struck sounds exactly, to the
frame. Seeds from 1000 up are for reporting.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from benchmarks.dereverb import Sound, by_ours, music, seeds_of, si_sdr, speech
from benchmarks.songs.rendering import default_cache

RATE_HZ = 44_100
DELAYS_MS = (80.0, 150.0, 312.0, 450.0, 600.0)
GAIN = 0.5
FEEDBACKS = ((500.0, 0.5, 0.5), (250.0, 0.3, 0.6))
"""Delay in ms, gain of the first repeat, share of each later one."""
MUSIC = ("mix", "piano", "guitar", "drums")
DRY_MUSIC = (*MUSIC, "bass", "lead", "epiano")
LOOPS_A_SEED = 10
LIMIT_DB, KEPT_DB = 12.0, 40.0


@dataclass(frozen=True)
class Measured:
    material: str
    echo: str
    before_db: float
    after_db: float
    peer_db: float
    rtf: float
    note: str


def echoed(sound: Sound, delay: float, gain: float, feedback: float = 0.0) -> Sound:
    """The sound (frames, channels) with its repeats, each `delay` frames later, which need not be whole."""
    size = 1 << (2 * len(sound)).bit_length()
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * delay)[:, np.newaxis]
    spectrum = np.fft.rfft(sound, size, axis=0)
    total, level, number = sound.copy(), gain, 1
    while abs(level) > 1e-5 and number * delay < len(sound):
        total += level * np.fft.irfft(spectrum * turn**number, size, axis=0)[: len(sound)]
        level, number = level * feedback, number + 1
    return total


def loop(seed: int) -> Sound:
    """(frames, 1): four struck sounds on a grid of sixteenths, one bar repeated exactly for 20 s."""
    rng = np.random.default_rng([seed, 5])
    step = round(RATE_HZ * 60 / float(rng.choice([90, 100, 120, 128, 140])) / 4)
    frames = 20 * RATE_HZ
    sound = np.zeros(frames + 32 * step)
    for number in range(4):
        size = int(RATE_HZ * rng.uniform(0.05, 0.35))
        time_s = np.arange(size) / RATE_HZ
        shot = (
            rng.normal(0, 1, size) if number else np.sin(2 * np.pi * 55 * time_s * (1 + np.exp(-30 * time_s)))
        )
        if number == 3:
            shot = 0.5 * np.sign(np.sin(2 * np.pi * rng.uniform(100, 400) * time_s))
        shot *= np.exp(-time_s * rng.uniform(8, 40))
        levels = rng.uniform(0.4, 1, 16) * (rng.random(16) < (0.25, 0.2, 0.5, 0.3)[number])
        for place in range(frames // step):
            if levels[place % 16]:
                sound[place * step : place * step + size] += levels[place % 16] * shot
    sound = sound[:frames, np.newaxis]
    return np.asarray(sound * (0.4 / max(1e-9, np.abs(sound).max())))


def by_autocorrelation(sound: Sound) -> Sound:
    """The usual recipe, on all channels as one."""
    size = 1 << (2 * len(sound)).bit_length()
    power = np.square(np.abs(np.fft.rfft(sound.mean(axis=1), size)))
    found = np.fft.irfft(power, size)
    first, last = round(0.05 * RATE_HZ), round(1.3 * RATE_HZ)
    delay = first + int(np.argmax(found[first:last]))
    height = min(0.49, float(found[delay] / found[0]))
    gain = (1 - np.sqrt(1 - 4 * height**2)) / (2 * height) if height > 0 else 0.0
    clean = sound.copy()
    for at in range(delay, len(clean), delay):
        end = min(len(clean), at + delay)
        clean[at:end] -= gain * clean[at - delay : end - delay]
    return clean


def measure(material: str, echo: str, wet: Sound, dry: Sound, work: Path) -> Measured:
    path = work / "wet.wav"
    sf.write(path, 0.5 * wet, RATE_HZ, subtype="FLOAT")
    clean, note, took_s = by_ours(path, work / "out", "deecho")
    values = [min(150.0, si_sdr(one, dry)) for one in (wet, clean / 0.5, by_autocorrelation(wet))]
    return Measured(material, echo, values[0], values[1], values[2], took_s * RATE_HZ / len(wet), note)


def run(seeds: Sequence[int]) -> list[Measured]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed in seeds:
            rng = np.random.default_rng([seed, 6])
            said = speech(seed, RATE_HZ, default_cache())[:, np.newaxis]
            sounds = {"speech": said} | {name: music(seed, RATE_HZ, name) for name in MUSIC}
            for name, dry in sounds.items():
                for delay_ms in DELAYS_MS:
                    delay = delay_ms * RATE_HZ / 1000 + rng.uniform(0, 30)
                    rows.append(
                        measure(name, f"single, {delay_ms:.0f} ms", echoed(dry, delay, GAIN), dry, work)
                    )
                for delay_ms, gain, feedback in FEEDBACKS:
                    wet = echoed(dry, delay_ms * RATE_HZ / 1000 + rng.uniform(0, 30), gain, feedback)
                    rows.append(measure(name, f"feedback {feedback}, {delay_ms:.0f} ms", wet, dry, work))
            free = {"speech": said} | {name: music(seed, RATE_HZ, name) for name in DRY_MUSIC}
            rows += [measure(name, "none", dry, dry, work) for name, dry in free.items()]
            for number in range(LOOPS_A_SEED):
                dry = loop(LOOPS_A_SEED * seed + number)
                rows.append(measure("loop", "none", dry, dry, work))
                if number < 2:
                    wet = echoed(dry, 312 * RATE_HZ / 1000 + rng.uniform(0, 30), GAIN)
                    rows.append(measure("loop", "single, 312 ms", wet, dry, work))
    return rows


def report(rows: Sequence[Measured]) -> None:
    print(f"\n| material | echo | files | found | gain | worst (limit {LIMIT_DB:.0f} dB) | autocorrelation |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for key in dict.fromkeys((row.material, row.echo) for row in rows if row.echo != "none"):
        some = [row for row in rows if (row.material, row.echo) == key]
        gains = [row.after_db - row.before_db for row in some]
        peer = np.median([row.peer_db - row.before_db for row in some])
        found = sum(row.note.startswith("an echo") for row in some)
        values = f"{np.median(gains):.1f} | {min(gains):.1f} | {peer:.1f}"
        print(f"| {key[0]} | {key[1]} | {len(some)} | {found} | {values} |")
    print(
        f"\n| without echo | files | false | kept, worst (limit {KEPT_DB:.0f} dB) | autocorrelation, worst |"
    )
    print("| --- | --- | --- | --- | --- |")
    for material in dict.fromkeys(row.material for row in rows if row.echo == "none"):
        some = [row for row in rows if row.material == material and row.echo == "none"]
        false = sum(row.note.startswith("an echo") for row in some)
        kept, peer = min(row.after_db for row in some), min(row.peer_db for row in some)
        print(f"| {material} | {len(some)} | {false} | {kept:.1f} | {peer:.1f} |")
    print(f"\nRTF, median: {np.median([row.rtf for row in rows]):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="1000-1005", type=seeds_of)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = run(given.seeds)
    report(rows)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
