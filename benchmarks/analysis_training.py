"""Learns the weights of keys and bars anew: linear softmax models, from songs whose music is known.

    python -m benchmarks.analysis_training --peer-venv DIR [--out bridge/engine/analysis]

DIR is an environment with music21, which writes Bach's chorales 21 to 140 (those whose last bass note is the
tonic of their key signature). Songs are of seeds 100 to 559; none of what `benchmarks.analysis` reports on is
among them. Takes about twenty minutes; writes `key_weights.py` and `bar_weights.py`, to be formatted by ruff.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from benchmarks.analysis import MINOR_MODES, on_instrument, play
from benchmarks.songs import Song, render, song
from benchmarks.songs.peer import program
from bridge.engine.analysis import bars, keys
from bridge.engine.analysis.beat_activation import BeatListener
from bridge.engine.analysis.chroma import RATE_HZ, PitchClasses, in_semitones, pitch_classes, tuning_steps
from bridge.engine.analysis.rhythm import EARLY_S
from bridge.engine.models import ModelStore

Wide = NDArray[np.float64]
Lesson = tuple[Wide, int]
"""(choices, features), and which choice is right."""

KEY_MATERIALS = ("mix", "mix", "mix", "piano", "epiano", "guitar")
KEY_SEEDS, BAR_SEEDS = range(100, 400), range(300, 560)
KEY_PENALTY, BAR_PENALTY = 0.0007, 0.003
ROUNDS, MOMENTUM = 400, 0.9

CHORALES = """
import json, sys
from music21 import corpus
from music21.corpus.chorales import ChoraleListRKBWV
numbers, rows = ChoraleListRKBWV().byRiemenschneider, []
for number in range(21, 141):
    try:
        score = corpus.parse(f"bach/bwv{numbers[number]['bwv']}")
        signature = next(iter(score.recurse().getElementsByClass("KeySignature")))
        last = score.parts[-1].recurse().notes[-1].pitch.pitchClass
        for mode in ("major", "minor"):
            if signature.asKey(mode).tonic.pitchClass == last:
                file = f"{sys.argv[1]}/lesson-{number:03d}.mid"
                score.write("midi", file)
                rows.append([file, last, mode])
    except Exception as fault:
        print(number, fault, file=sys.stderr)
print(json.dumps(rows))
"""


def mono(sound: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    return np.asarray(soxr.resample(sound.mean(axis=1), rate_hz, RATE_HZ), np.float32)


# --- keys -------------------------------------------------------------------------------------------------


def key_lesson(heard: PitchClasses, tonic: int, mode: str) -> Lesson:
    """24 choices, major and minor of each tonic; 10 rows of 12 for either mode, and which mode it is."""
    tuning = tuning_steps(heard)
    everything, bass = (in_semitones(part, tuning) for part in (heard.all, heard.bass))
    rows = keys.turned(keys.features(everything, bass, keys.sounding(everything))).reshape(12, -1)
    nothing = np.zeros_like(rows)
    majors, minors = np.hstack([rows, nothing]), np.hstack([nothing, rows])
    choices = np.stack([majors, minors], axis=1).reshape(24, -1)
    modes = np.tile(np.eye(2), (12, 1))
    return np.hstack([choices, modes]), 2 * tonic + int(mode == "minor")


def key_lessons(python: Path, folder: Path) -> Iterator[Lesson]:
    for seed in KEY_SEEDS:
        made = song(KEY_MATERIALS[seed % len(KEY_MATERIALS)], seed)
        mode = "minor" if made.sheet.mode in MINOR_MODES else "major"
        sound = mono(*render(made, "fluid", cache=folder))
        yield key_lesson(pitch_classes([sound]), made.sheet.tonic, mode)
    said = subprocess.run(
        [str(python), "-W", "ignore", "-c", CHORALES, str(folder)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    for number, (midi, tonic, mode) in enumerate(json.loads(said.stdout.splitlines()[-1])):
        wav = Path(midi).with_suffix(".wav")
        play(on_instrument(Path(midi), number), wav)
        sound = mono(*sf.read(wav, dtype="float32", always_2d=True))
        yield key_lesson(pitch_classes([sound]), tonic, mode)


# --- bars -------------------------------------------------------------------------------------------------


def true_beats(made: Song) -> tuple[Wide, int]:
    """The counts of the meter (in 6/8 eighths) as the network tells them, and how many a bar has."""
    sheet = made.sheet
    meter = int(sheet.meter[0])
    steps = range(0, sheet.bar_length, sheet.bar_length // meter)
    times = [sheet.time_s(bar, at) - EARLY_S for bar in range(len(sheet.bars)) for at in steps]
    return np.maximum(0.0, np.array(times)), meter


def bar_lessons(model: Path, folder: Path) -> Iterator[Lesson]:
    """Each song twice: from its first beat and from its second one on."""
    for seed in BAR_SEEDS:
        made = song("mix", seed)
        if made.sheet.meter not in bars.NAMES.values():
            continue
        listener = BeatListener(model, 1)
        listener.hear(mono(*render(made, "synth" if seed % 3 == 2 else "fluid", cache=folder)))
        heard, (beats_s, meter) = listener.finish(), true_beats(made)
        for cut in (0, 1):
            rows, right = [], []
            for number, grid in enumerate(bars.grids_of(beats_s[cut:])):
                measured = bars.measures(heard, grid)
                for one, phase, laid_out, about in bars.readings(heard, grid, measured):
                    is_meter = np.array(bars.METERS) == one
                    rows.append(np.concatenate([laid_out.ravel(), about, is_meter]))
                    right.append((number, one, phase) == (0, meter, -cut % meter))
            if any(right):
                yield np.array(rows), right.index(True)


# --- learning ---------------------------------------------------------------------------------------------


def learn(lessons: Sequence[Lesson], penalty: float, rate: float) -> Wide:
    """The weights under which the right choices are likeliest, less `penalty` for their squares."""
    weights = np.zeros(lessons[0][0].shape[1])
    speed = np.zeros_like(weights)
    for _ in range(ROUNDS):
        slope = -penalty * weights
        for choices, right in lessons:
            slope += (choices[right] - _chances(choices @ weights) @ choices) / len(lessons)
        speed = MOMENTUM * speed + slope
        weights = weights + rate * speed
    return weights


def _chances(scores: Wide) -> Wide:
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum())


def table(name: str, values: Any) -> str:
    return f"{name} = np.array({np.rint(100 * np.asarray(values)).astype(int).tolist()}, np.float64) / 100\n"


def write(path: Path, tables: dict[str, Any]) -> None:
    head = f'"""Weights learnt by `benchmarks.{Path(__file__).stem}`, in hundredths."""\n\n'
    text = "".join(table(name, values) for name, values in tables.items())
    path.write_text(
        f"{head}from __future__ import annotations\n\nimport numpy as np\n\n{text}", encoding="utf-8"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--peer-venv", type=Path, required=True, help="an environment that has music21")
    parser.add_argument("--out", type=Path, default=Path("bridge/engine/analysis"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bridge-training-") as name:
        folder = Path(name)
        found = learn(list(key_lessons(program(asked.peer_venv, "python"), folder)), KEY_PENALTY, 2.0)
        rows = found[:-2].reshape(2, -1, 12)
        write(asked.out / "key_weights.py", {"WEIGHTS": rows, "BIAS": found[-2:]})
        model = ModelStore(folder / "models").pull("beatnet", report=print)
        found = learn(list(bar_lessons(model, folder)), BAR_PENALTY, 0.2)
        places, grid, meters = np.split(found, [sum(bars.METERS) * bars.MEASURES, -len(bars.METERS)])
        tables = {
            "PLACE_WEIGHTS": places.reshape(-1, bars.MEASURES),
            "GRID_WEIGHTS": grid,
            "METER_BIAS": meters,
        }
        write(asked.out / "bar_weights.py", tables)


if __name__ == "__main__":
    main()
