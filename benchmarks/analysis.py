"""Key and tempo beside librosa, essentia and madmom-infer: Bach's chorales and songs whose music is known.

    python -m benchmarks.analysis [--songs 8] [--first-seed 1000] [--peer-venv DIR] [--no-peers] [--json FILE]

Without `--peer-venv` the peers get a throw-away environment of their own (it needs the network for that);
music21 in it writes the chorales as MIDI. Chorales are the first twenty of Riemenschneider's, with the keys
of music21's analyses; FluidSynth plays them on a church organ, a piano and strings in turn. Songs are
bands with drums in 4/4, 3/4 and 6/8: the first so many seeds from `--first-seed` on. A key is right where its
tonic is, and its third: dorian and phrygian count as minor, mixolydian as major. A tempo is right within
0.5 % of the quarter notes' (for the peers also of another level of the meter, in brackets), bars where the
F-measure of the downbeats (70 ms) is at least 0.8.

The weights of keys and bars were learnt from songs of seeds below 1000 and from the chorales 21 to 140, as
linear softmax models: see `benchmarks.analysis_training`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from benchmarks.songs import Song, song, song_file
from benchmarks.songs.peer import program
from benchmarks.songs.rendering import SOUNDFONTS
from bridge.engine.analysis.key_bpm import MODEL, extract_key_bpm
from bridge.engine.audio_job import AudioJob
from bridge.engine.models import ModelStore
from bridge.media.musical_time import Key

METERS = ("4/4", "3/4", "6/8")
MINOR_MODES = ("minor", "harmonic minor", "dorian", "phrygian")
SOURCES = ("fluid", "timgm")
INSTRUMENTS = (19, 0, 48)  # church organ, piano, strings
NEAR_S, TEMPO_SHARE, RIGHT_BARS = 0.07, 0.005, 0.8
LEVELS = (1.0, 2.0, 0.5, 3.0, 1 / 3, 1.5, 2 / 3)
PEERS = ("librosa", "essentia", "madmom-infer==0.2.0", "onnxruntime", "soundfile", "music21")
LIMITS = {"chorales": "18/20", "keys": "7/8", "tempo": "8/8", "bars": "7/8", "rtf": "0.04"}

CHORALES = """
import json, sys
from pathlib import Path
from music21 import corpus
from music21.corpus.chorales import ChoraleListRKBWV
folder, numbers = Path(sys.argv[1]), ChoraleListRKBWV().byRiemenschneider
rows = []
for number in range(1, 21):
    roman = corpus.parse(f"bach/choraleAnalyses/riemenschneider{number:03d}.rntxt").recurse()
    key = next(iter(roman.getElementsByClass("RomanNumeral"))).key
    score = corpus.parse(f"bach/bwv{numbers[number]['bwv']}")
    for measure in score.recurse().getElementsByClass("Measure"):
        for side in ("leftBarline", "rightBarline"):
            if "Repeat" in type(getattr(measure, side)).__name__:
                setattr(measure, side, None)
    for mark in list(score.recurse().getElementsByClass("RepeatMark")):
        mark.activeSite.remove(mark)
    file = folder / f"chorale-{number:02d}.mid"
    score.write("midi", file)
    rows.append([str(file), key.tonic.pitchClass, key.mode])
print(json.dumps(rows))
"""

# Each prints {file: {"bpm":, "key": [tonic, mode], "downbeats": []}} as far as it can tell them.
LIBROSA = """
import json, sys
import librosa, numpy as np
MAJOR = [6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88]
MINOR = [6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17]
found = {}
for path in sys.argv[1:]:
    sound, rate = librosa.load(path)
    tempo, _ = librosa.beat.beat_track(y=sound, sr=rate)
    chroma = librosa.feature.chroma_cqt(y=sound, sr=rate).mean(axis=1)
    fits = {(t, m): np.corrcoef(np.roll(p, t), chroma)[0, 1]
            for m, p in (("major", MAJOR), ("minor", MINOR)) for t in range(12)}
    found[path] = {"bpm": float(np.atleast_1d(tempo)[0]), "key": list(max(fits, key=fits.get))}
print(json.dumps(found))
"""
ESSENTIA = """
import json, sys
import essentia, essentia.standard as es
essentia.log.infoActive = essentia.log.warningActive = False
NOTES = {"C": 0, "C#": 1, "Db": 1, "D": 2, "D#": 3, "Eb": 3, "E": 4, "F": 5, "F#": 6, "Gb": 6, "G": 7,
         "G#": 8, "Ab": 8, "A": 9, "A#": 10, "Bb": 10, "B": 11}
found = {}
for path in sys.argv[1:]:
    sound = es.MonoLoader(filename=path, sampleRate=44100)()
    bpm = es.RhythmExtractor2013(method="multifeature")(sound)[0]
    tonic, mode, _ = es.KeyExtractor(profileType="bgate")(sound)
    found[path] = {"bpm": float(bpm), "key": [NOTES[tonic], mode]}
print(json.dumps(found))
"""
MADMOM = """
import json, sys
import librosa, numpy as np, onnxruntime
from madmom_infer.audio.signal import FramedSignalProcessor, Signal
from madmom_infer.audio.spectrogram import (
    FilteredSpectrogramProcessor, LogarithmicSpectrogramProcessor, SpectrogramDifferenceProcessor)
from madmom_infer.audio.stft import ShortTimeFourierTransformProcessor
from madmom_infer.features.downbeats import DBNDownBeatTrackingProcessor
from madmom_infer.processors import SequentialProcessor
hear = SequentialProcessor((
    FramedSignalProcessor(frame_size=1411, hop_size=441), ShortTimeFourierTransformProcessor(),
    FilteredSpectrogramProcessor(num_bands=24, fmin=30, fmax=17000, norm_filters=True),
    LogarithmicSpectrogramProcessor(mul=1, add=1),
    SpectrogramDifferenceProcessor(diff_ratio=0.5, positive_diffs=True, stack_diffs=np.hstack)))
track = DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=50)
network, zeros = onnxruntime.InferenceSession(sys.argv[1]), np.zeros((2, 1, 150), np.float32)
found = {}
for path in sys.argv[2:]:
    sound, rate = librosa.load(path, sr=22050)
    given = {"features": np.asarray(hear(Signal(sound, sample_rate=rate))), "hidden": zeros, "cell": zeros}
    beats = track(network.run(["activation"], given)[0][:, :2])
    bpm = 60 / float(np.median(np.diff(beats[:, 0])))
    found[path] = {"bpm": bpm, "downbeats": beats[beats[:, 1] == 1, 0].tolist()}
print(json.dumps(found))
"""

Answer = Mapping[str, Any]
Answers = Mapping[Path, Answer]


@dataclass(frozen=True)
class Row:
    """What one program got right, of how many; None where it does not tell."""

    name: str
    chorales: str
    keys: str
    tempo: str
    bars: str
    rtf: str = ""
    failed: str = ""


# --- material ---------------------------------------------------------------------------------------------


def chorales(python: Path, folder: Path) -> dict[Path, tuple[int, str]]:
    """WAV files of the twenty chorales, and their tonic and mode."""
    folder.mkdir(parents=True, exist_ok=True)
    said = subprocess.run(
        [str(python), "-W", "ignore", "-c", CHORALES, str(folder)], check=True, capture_output=True, text=True
    )
    found = {}
    for number, (midi, tonic, mode) in enumerate(json.loads(said.stdout.splitlines()[-1])):
        wav = Path(midi).with_suffix(".wav")
        play(on_instrument(Path(midi), number), wav)
        found[wav] = (int(tonic), str(mode))
    return found


def on_instrument(midi: Path, number: int) -> Path:
    """The same file, played on an organ, a piano or strings."""
    import mido

    file = mido.MidiFile(midi)
    for track in file.tracks:
        for message in track:
            if message.type == "program_change":
                message.program = INSTRUMENTS[number % len(INSTRUMENTS)]
    file.save(midi)
    return midi


def play(midi: Path, wav: Path) -> None:
    soundfont = next(path for path in SOUNDFONTS["fluid"] if path.exists())
    command = [
        "fluidsynth",
        "-n",
        "-i",
        "-q",
        "-r",
        "44100",
        "-T",
        "wav",
        "-F",
        str(wav),
        str(soundfont),
        str(midi),
    ]
    subprocess.run(command, check=True, capture_output=True)


def songs(count: int, first_seed: int, folder: Path) -> dict[Path, Song]:
    """So many bands in meters that are asked for, each rendered by one of the sources in turn."""
    found: dict[Path, Song] = {}
    seed = first_seed
    while len(found) < count:
        made = song("mix", seed)
        if made.sheet.meter in METERS:
            found[song_file(made, SOURCES[len(found) % len(SOURCES)], cache=folder)] = made
        seed += 1
    return found


# --- programs ---------------------------------------------------------------------------------------------


def ours(files: Sequence[Path], model: Path, folder: Path) -> Answers:
    """What the local conversion says of each file."""
    found = {}
    for file in files:
        data = _analysed(file, model, folder)
        key = Key.named(data["key"]) if data["key"] else None
        found[file] = data | {"key": [key.tonic, key.mode] if key else None}
    return found


def _analysed(file: Path, model: Path, folder: Path) -> dict[str, Any]:
    def unneeded(name: str) -> Path:
        raise LookupError(name)

    job = AudioJob(file, {}, folder, {MODEL: model}, 2, lambda *_: None, lambda: None, unneeded)
    (row,) = extract_key_bpm(job)
    data: dict[str, Any] = json.loads((folder / row["file"]).read_text(encoding="utf-8"))
    return data


def peer(python: Path, script: str, files: Sequence[Path], *before: str) -> Answers:
    """What a peer's script says. Raises CalledProcessError."""
    command = [str(python), "-W", "ignore", "-c", script, *before, *map(str, files)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {Path(name): answer for name, answer in json.loads(done.stdout.splitlines()[-1]).items()}


def peers_environment(folder: Path) -> Path:
    """A throw-away environment with the peers. One that will not install is missing."""
    print("making an environment for the peers ...", flush=True)
    venv.create(folder, with_pip=True)
    for package in PEERS:
        install = [str(program(folder, "python")), "-m", "pip", "install", "--quiet", package]
        subprocess.run(install, check=False, capture_output=True)
    return folder


# --- scores -----------------------------------------------------------------------------------------------


def f_measure(true_s: NDArray[np.float64], found_s: NDArray[np.float64]) -> float:
    """Of times within 70 ms, each used once."""
    if not len(true_s) or not len(found_s):
        return 0.0
    free, hits = list(found_s), 0
    for at in true_s:
        nearest = min(free, key=lambda one: abs(one - at), default=None)
        if nearest is not None and abs(nearest - at) <= NEAR_S:
            free.remove(nearest)
            hits += 1
    return 2 * hits / (len(true_s) + len(found_s))


def downbeats_of(made: Song) -> NDArray[np.float64]:
    return np.array([made.sheet.time_s(bar, 0) for bar in range(len(made.sheet.bars))])


def true_key(made: Song) -> tuple[int, str]:
    return made.sheet.tonic, "minor" if made.sheet.mode in MINOR_MODES else "major"


def scored(
    name: str, answers: Answers, hymns: Mapping[Path, tuple[int, str]], bands: Mapping[Path, Song]
) -> Row:
    def keys(truth: Mapping[Path, tuple[int, str]]) -> str:
        told = [(answers[file].get("key"), key) for file, key in truth.items() if file in answers]
        if not any(found for found, _ in told):
            return "-"
        return f"{sum(tuple(found or ()) == key for found, key in told)}/{len(told)}"

    ratios = [float(answers[file].get("bpm") or 0) / made.sheet.bpm for file, made in bands.items()]
    exact = sum(abs(ratio - 1) <= TEMPO_SHARE for ratio in ratios)
    of_a_level = sum(any(abs(ratio / level - 1) <= TEMPO_SHARE for level in LEVELS) for ratio in ratios)
    bars = [
        f_measure(downbeats_of(made), np.array(answers[file]["downbeats"])) >= RIGHT_BARS
        for file, made in bands.items()
        if "downbeats" in answers[file]
    ]
    return Row(
        name,
        chorales=keys(hymns) if hymns else "-",
        keys=keys({file: true_key(made) for file, made in bands.items()}),
        tempo=f"{exact}/{len(bands)} ({of_a_level})",
        bars=f"{sum(bars)}/{len(bars)}" if bars else "-",
    )


def speed(bands: Sequence[Path], model: Path, folder: Path, *, seconds: float = 300.0) -> float:
    """Processing time over length, of one file of that length made of the songs."""
    sounds = [sf.read(file, dtype="float32", always_2d=True) for file in bands]
    whole = np.concatenate([sound for sound, _ in sounds])
    rate_hz = sounds[0][1]
    whole = np.resize(whole, (round(seconds * rate_hz), whole.shape[1]))
    path = folder / "long.wav"
    sf.write(path, whole, rate_hz, subtype="PCM_24")
    began_s = time.perf_counter()
    _analysed(path, model, folder)
    return (time.perf_counter() - began_s) / seconds


def report(rows: Sequence[Row]) -> None:
    heads = f"{'':14} {'chorales, key':>14} {'songs, key':>11} {'tempo':>9} {'bars':>6} {'RTF':>7}"
    print(heads)
    for row in [*rows, Row("limit", **LIMITS)]:
        if row.failed:
            print(f"{row.name:14} failed: {row.failed}")
        else:
            print(
                f"{row.name:14} {row.chorales:>14} {row.keys:>11} {row.tempo:>9} {row.bars:>6} {row.rtf:>7}"
            )


def each_song(answers: Answers, bands: Mapping[Path, Song]) -> None:
    for file, made in bands.items():
        sheet, answer = made.sheet, answers[file]
        bars = f_measure(downbeats_of(made), np.array(answer["downbeats"]))
        key = Key(sheet.tonic, "minor" if sheet.mode in MINOR_MODES else "major")
        heard = Key(*answer["key"]).name if answer["key"] else "no key"
        print(
            f"  {file.name[:20]:20} {sheet.bpm:6.2f} {sheet.meter} {key.name:9} ({sheet.mode}): "
            f"{answer['bpm'] or 0:6.2f} {answer['meter']} {heard:9}, bars {bars:.2f}"
        )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--songs", type=int, default=8)
    parser.add_argument("--first-seed", type=int, default=1000)
    parser.add_argument("--peer-venv", type=Path, help="an environment that has the peers and music21")
    parser.add_argument(
        "--no-peers", action="store_true", help="only ours (and no chorales without --peer-venv)"
    )
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="bridge-benchmark-") as name:
        folder = Path(name)
        environment = asked.peer_venv or (None if asked.no_peers else peers_environment(folder / "peers"))
        python = program(environment, "python") if environment else Path(sys.executable)
        model = ModelStore(folder / "models").pull(MODEL, report=print)
        hymns = chorales(python, folder / "chorales") if environment else {}
        bands = songs(asked.songs, asked.first_seed, folder)
        files = [*hymns, *bands]
        mine = ours(files, model, folder)
        each_song(mine, bands)
        row = scored("bridge", mine, hymns, bands)
        rows = [Row(**{**asdict(row), "rtf": f"{speed(list(bands), model, folder):.3f}"})]
        scripts: dict[str, tuple[str, ...]] = {
            "librosa": (LIBROSA,),
            "essentia": (ESSENTIA,),
            "madmom-infer": (MADMOM, str(model)),
        }
        for peer_name, (script, *before) in {} if asked.no_peers else scripts.items():
            try:
                rows.append(scored(peer_name, peer(python, script, files, *before), hymns, bands))
            except (subprocess.CalledProcessError, OSError) as fault:
                words = (getattr(fault, "stderr", "") or str(fault)).strip().splitlines()[-1:]
                rows.append(Row(peer_name, "", "", "", "", failed="".join(words)))
    report(rows)
    if asked.json:
        asked.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
