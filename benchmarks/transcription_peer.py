"""Audio to MIDI beside the `basic-pitch` command line: whole processes in time and memory, and what is found.

    python benchmarks/transcription_peer.py [--peer-venv DIR] [--runs 5] [--seconds 40 600] [--json FILE]

Without `--peer-venv` the peer gets a throw-away environment of its own (it needs the network for that).
Speed: both commands cold, one after the other, in turn, on the same generated files; medians.
Quality: both decodings of the same network on rendered pieces whose notes are known; onset F1 at 50 ms by
mir_eval. Pieces are rendered by the package's own synthesiser and, where fluidsynth and a SoundFont are
there, by that too.
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
import venv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import mido
import mir_eval
import numpy as np
import psutil
import soundfile as sf

from bridge.engine import synth
from bridge.engine.models import ModelStore
from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.notes import transcribe
from bridge.media.notes import Note

PEER = "basic-pitch==0.4.0"  # installed without its dependencies: they pin TensorFlow
PEER_DEPENDENCIES = (
    "librosa",
    "mir_eval",
    "numpy",
    "onnxruntime",
    "pretty_midi",
    "resampy",
    "scikit-learn",
    "scipy",
    "setuptools<80",
    "soundfile",
)
OUR_COMMAND = f"{shlex.quote(sys.executable)} -m bridge convert {{file}} --to {{out}}"
SOUNDFONTS = ("/usr/share/sounds/sf2/TimGM6mb.sf2", "/usr/share/sounds/sf2/FluidR3_GM.sf2")
POLL_S = 0.01
MODEL = "basic-pitch"

# Prints, for each file named, its notes by the peer's stock decoding with its own defaults.
STOCK = """
import contextlib, io, json, pathlib, sys
import basic_pitch
from basic_pitch.inference import Model, predict
model = Model(pathlib.Path(basic_pitch.__file__).parent / "saved_models/icassp_2022/nmp.onnx")
found = {}
for path in sys.argv[1:]:
    with contextlib.redirect_stdout(io.StringIO()):
        notes = predict(path, model)[2]
    found[path] = [[float(n[0]), float(n[1]), int(n[2])] for n in notes]
print(json.dumps(found))
"""

Rng = np.random.Generator
Rows = list[list[float]]  # start_s, end_s, MIDI pitch


# Pieces: notes at random, with the habits of an instrument.


def piano(rng: Rng, length_s: float) -> list[Note]:
    notes, at_s, scale = [], 0.3, (0, 2, 4, 5, 7, 9, 11)
    while at_s < length_s - 2:
        step_s = float(rng.choice([0.15, 0.2, 0.25, 0.4, 0.5]))
        for _ in range(int(rng.integers(1, 4))):
            pitch = 45 + 12 * int(rng.integers(0, 4)) + int(rng.choice(scale))
            end_s = at_s + step_s * float(rng.uniform(0.7, 2))
            notes.append(Note(at_s, end_s, pitch, int(rng.integers(50, 110))))
        at_s += step_s
    return notes


def guitar(rng: Rng, length_s: float) -> list[Note]:
    chords = ((40, 47, 52, 56, 59, 64), (45, 52, 57, 61, 64), (50, 57, 62, 66), (43, 47, 50, 55, 59, 67))
    notes, at_s = [], 0.3
    while at_s < length_s - 3:
        chord = chords[int(rng.integers(len(chords)))]
        for string, pitch in enumerate(chord):
            notes.append(Note(at_s + 0.012 * string, at_s + 0.9, pitch, int(rng.integers(60, 105))))
        for picked in range(4, 8):
            start_s = at_s + 0.25 * picked
            notes.append(Note(start_s, start_s + 0.24, int(rng.choice(chord)), int(rng.integers(60, 105))))
        at_s += 2.0
    return notes


def bass(rng: Rng, length_s: float) -> list[Note]:
    return _line(rng, length_s, low=28, high=52, leaps=(-12, -7, -5, -2, 0, 0, 2, 3, 5, 7, 12))


def lead(rng: Rng, length_s: float) -> list[Note]:
    return _line(rng, length_s, low=58, high=86, leaps=(-5, -4, -2, -1, 0, 1, 2, 4, 5))


def _line(rng: Rng, length_s: float, *, low: int, high: int, leaps: Sequence[int]) -> list[Note]:
    notes, at_s, pitch = [], 0.3, (low + high) // 2
    while at_s < length_s - 2:
        step_s = float(rng.choice([0.125, 0.25, 0.25, 0.5]))
        pitch = int(np.clip(pitch + rng.choice(leaps), low, high))
        notes.append(Note(at_s, at_s + 0.85 * step_s, pitch, int(rng.integers(70, 115))))
        at_s += step_s
    return notes


Part = tuple[int, Callable[[Rng, float], list[Note]]]  # General MIDI program, from 0
PIECES: Mapping[str, tuple[Part, ...]] = {
    "piano": ((0, piano),),
    "electric piano": ((4, piano),),
    "nylon guitar": ((24, guitar),),
    "steel guitar": ((25, guitar),),
    "fingered bass": ((33, bass),),
    "picked bass": ((34, bass),),
    "saxophone": ((65, lead),),
    "square lead": ((80, lead),),
    "bass, guitar, flute": ((33, bass), (25, guitar), (73, lead)),
}


def one_voice_a_pitch(notes: Iterable[Note]) -> list[Note]:
    """Cuts each note off where the next one on its pitch begins, as an instrument does."""
    result: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.pitch, note.start_s)):
        if result and result[-1].pitch == note.pitch and result[-1].end_s > note.start_s - 0.01:
            last = result.pop()
            if note.start_s - last.start_s > 0.04:
                result.append(Note(last.start_s, note.start_s - 0.01, last.pitch, last.velocity))
        result.append(note)
    return result


def render_with_fluidsynth(parts: Sequence[tuple[int, list[Note]]], path: Path, soundfont: Path) -> None:
    song = mido.MidiFile(ticks_per_beat=960)
    for channel, (program, notes) in enumerate(parts):
        track = mido.MidiTrack([mido.Message("program_change", program=program, channel=channel)])
        events = [(n.start_s, n.velocity, n.pitch) for n in notes] + [(n.end_s, 0, n.pitch) for n in notes]
        now = 0
        for at_s, velocity, pitch in sorted(events):
            tick = round(at_s * 1920)
            words = {"note": pitch, "velocity": velocity, "channel": channel, "time": tick - now}
            track.append(mido.Message("note_on", **words))
            now = tick
        song.tracks.append(track)
    midi = path.with_suffix(".mid")
    song.save(midi)
    command = ["fluidsynth", "-ni", "-r", "44100", "-F", str(path), "-T", "wav", "-O", "s16", str(soundfont)]
    subprocess.run([*command, str(midi)], check=True, capture_output=True)


# Quality


@dataclass(frozen=True)
class Quality:
    material: str
    stock_f1: float
    ours_f1: float


def onset_f1(reference: Rows, found: Rows) -> float:
    if not found:
        return 0.0
    columns = []
    for rows in (reference, found):
        array = np.array(rows)
        columns += [array[:, :2], 440 * 2 ** ((array[:, 2] - 69) / 12)]
    scores = mir_eval.transcription.precision_recall_f1_overlap(*columns, offset_ratio=None)
    return float(scores[2])


def quality(peer: Path, folder: Path, model: Path, *, seed: int, length_s: float) -> list[Quality]:
    references = dict(_materials(folder, seed=seed, length_s=length_s))
    stock = _stock_notes(peer, [path for path, _ in references.values()])
    rows = []
    for material, (path, notes) in references.items():
        reference = _rows(notes)
        ours = _rows(_our_notes(path, model))
        rows.append(Quality(material, onset_f1(reference, stock[str(path)]), onset_f1(reference, ours)))
    return rows


def _materials(folder: Path, *, seed: int, length_s: float) -> Iterable[tuple[str, tuple[Path, list[Note]]]]:
    soundfont = next((Path(name) for name in SOUNDFONTS if Path(name).exists()), None)
    can_render = soundfont is not None and shutil.which("fluidsynth") is not None
    for number, (name, parts) in enumerate(PIECES.items()):
        rng = np.random.default_rng([seed, number])
        played = [(program, one_voice_a_pitch(make(rng, length_s))) for program, make in parts]
        notes = [note for _, part in played for note in part]
        stem = name.replace(",", "").replace(" ", "-")
        if can_render and soundfont is not None:
            path = folder / f"{stem}-soundfont.wav"
            render_with_fluidsynth(played, path, soundfont)
            yield f"{name} (SoundFont)", (path, notes)
        if len({make for _, make in parts}) > 1 or name in ("piano", "nylon guitar", "picked bass"):
            path = folder / f"{stem}-synth.wav"
            sf.write(path, synth.render(notes, rate_hz=44_100), 44_100)
            yield f"{name} (our synth)", (path, notes)
    notes, demo_s = synth.demo_loop()
    path = folder / "demo.wav"
    sf.write(path, synth.render(notes, rate_hz=44_100, duration_s=demo_s), 44_100)
    yield "demo loop (our synth)", (path, notes)


def _rows(notes: Iterable[Note]) -> Rows:
    return [[note.start_s, note.end_s, note.pitch] for note in notes]


def _stock_notes(peer: Path, files: Sequence[Path]) -> dict[str, Rows]:
    command = [str(_bin(peer, "python")), "-W", "ignore", "-c", STOCK, *map(str, files)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[str, Rows] = json.loads(done.stdout.splitlines()[-1])
    return found


def _our_notes(path: Path, model: Path) -> list[Note]:
    def quiet(*_: object) -> None:
        return

    return transcribe(path, DecodingOptions(), model=model, progress=quiet, check=quiet, threads=2)[1]


# Speed


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


def speed(peer: Path, folder: Path, model: Path, command: str, *, seconds: float, runs: int) -> Speed:
    source = folder / f"speed-{seconds:g}s.wav"
    notes = one_voice_a_pitch(piano(np.random.default_rng(7), seconds))
    sound = synth.render(notes, rate_hz=48_000, duration_s=seconds)
    sf.write(source, np.stack([sound, 0.9 * sound], axis=1), 48_000, subtype="PCM_24")
    theirs, ours = [], []
    for run in range(runs):  # in turn, so that a slow minute of the machine hits both
        out = folder / f"peer-{seconds:g}-{run}"
        out.mkdir()
        their_command = [
            str(_bin(peer, "basic-pitch")),
            "--model-serialization",
            "onnx",
            str(out),
            str(source),
        ]
        theirs.append(watch(their_command, os.environ))
        ours.append(_our_run(folder / f"ours-{seconds:g}-{run}", source, model, command))
    return Speed(seconds, _middle(theirs), _middle(ours))


def _our_run(folder: Path, source: Path, model: Path, command: str) -> Run:
    """With a BRIDGE_HOME of its own, so that no cache knows the file."""
    models = folder / "home" / "models"
    models.mkdir(parents=True)
    shutil.copy2(model, models)
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


# The peer's environment, and what is printed


def _bin(environment: Path, name: str) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin") / name


def make_peer(folder: Path) -> Path:
    print("making an environment for the peer ...", flush=True)
    environment = folder / "peer"
    venv.create(environment, with_pip=True)
    pip = [str(_bin(environment, "python")), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *PEER_DEPENDENCIES], check=True)
    subprocess.run([*pip, "--no-deps", PEER], check=True)
    return environment


def print_quality(rows: Sequence[Quality]) -> None:
    print(f"\n{'onset F1 (50 ms)':34} {'stock':>7} {'ours':>7}")
    for row in rows:
        print(f"{row.material:34} {row.stock_f1:7.3f} {row.ours_f1:7.3f}")
    stock, ours = (np.mean([getattr(row, name) for row in rows]) for name in ("stock_f1", "ours_f1"))
    print(f"{'mean':34} {stock:7.3f} {ours:7.3f}")


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
    parser.add_argument("--seconds", type=float, nargs="*", default=[40.0, 600.0], help="none: no speed")
    parser.add_argument(
        "--piece-seconds", type=float, default=30.0, help="length of each piece; 0: no quality"
    )
    parser.add_argument("--seed", type=int, default=2024)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    figures: dict[str, Any] = {"cpus": os.cpu_count(), "runs": asked.runs, "seed": asked.seed}
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as name:
        folder = Path(name)
        peer = asked.peer_venv or make_peer(folder)
        model = ModelStore(folder / "models").pull(MODEL, report=print)
        if asked.piece_seconds > 0:
            found = quality(peer, folder, model, seed=asked.seed, length_s=asked.piece_seconds)
            print_quality(found)
            figures["quality"] = [asdict(row) for row in found]
        timed = [
            speed(peer, folder, model, asked.command, seconds=seconds, runs=asked.runs)
            for seconds in asked.seconds
        ]
        if timed:
            print_speed(timed)
            figures["speed"] = [{**asdict(row), "ratio": row.ratio} for row in timed]
    if asked.json:
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
