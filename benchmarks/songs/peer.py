"""The peer: Basic Pitch's own decoding of the same weights, in an environment of its own."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path

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
AT_ONCE = 8  # files a process

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
    found[path] = [[float(n[0]), float(n[1]), int(n[2]), float(n[3])] for n in notes]
print(json.dumps(found))
"""


def make_peer(folder: Path) -> Path:
    """A throw-away environment with the peer in it. Needs the network."""
    print("making an environment for the peer ...", flush=True)
    environment = folder / "peer"
    venv.create(environment, with_pip=True)
    install = [str(program(environment, "python")), "-m", "pip", "install", "--quiet"]
    subprocess.run([*install, *PEER_DEPENDENCIES], check=True)
    subprocess.run([*install, "--no-deps", PEER], check=True)
    return environment


def program(environment: Path, name: str) -> Path:
    return environment / ("Scripts" if os.name == "nt" else "bin") / name


def peer_notes(environment: Path, files: Sequence[Path], *, cache: Path) -> Mapping[Path, list[Note]]:
    """What the peer finds in each file; kept in `cache`, as its decoding does not change."""
    kept = {path: cache / "peer" / f"{path.stem}.json" for path in files}
    missing = [path for path in files if not kept[path].exists()]
    for first in range(0, len(missing), AT_ONCE):
        for name, rows in _found(environment, missing[first : first + AT_ONCE]).items():
            answer = kept[Path(name)]
            answer.parent.mkdir(parents=True, exist_ok=True)
            answer.write_text(json.dumps(rows), encoding="utf-8")
    return {path: _notes(json.loads(answer.read_text(encoding="utf-8"))) for path, answer in kept.items()}


def _found(environment: Path, files: Sequence[Path]) -> dict[str, list[list[float]]]:
    command = [str(program(environment, "python")), "-W", "ignore", "-c", STOCK, *map(str, files)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    found: dict[str, list[list[float]]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _notes(rows: Sequence[Sequence[float]]) -> list[Note]:
    return [
        Note(start_s, end_s, int(pitch), max(1, min(127, round(127 * amplitude))))
        for start_s, end_s, pitch, amplitude in rows
    ]
