"""Trains the two small networks of the monophonic decoding (`bridge.engine.voice_network`).

    python -m benchmarks.songs.train_voice SWIFT_F0.onnx BASIC_PITCH.onnx [--out FILE]

Leads, voices and basses of seeds 0 to 9, on the tuning sources, each also by two other programs. Half of what
is learned from is without the note network, so that the decoding does without it too.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from benchmarks.songs import ENGINE_MATERIAL, Song, band, song, song_file
from bridge.engine import note_segments, voice_network, voice_release, voice_strokes
from bridge.engine.basic_pitch import posteriors
from bridge.engine.candidate_network import MATERIALS, Network
from bridge.engine.pitch_track import RATE_HZ, PitchTrack, listen
from bridge.engine.posteriors import FRAME_S, MODEL_RATE_HZ, Posteriors
from bridge.engine.voice_path import path, view_of
from bridge.media.notes import Note

KINDS = ("lead", "voice", "bass")
SOURCES = ("fluid", "musescore", "synth")
PROGRAMS = {"lead": tuple(band.LEADS), "voice": tuple(band.VOICES), "bass": tuple(sorted(set(band.BASSES)))}
OTHERS = 2  # programs beside the song's own
REACH_S = 0.08  # a candidate this near to a note's beginning may be that note's
ALONE_SHARE = 0.4  # weight of what is learned without the note network
STROKE_HIDDEN, RELEASE_HIDDEN = 40, 16
EPOCHS, BATCH, RATE, DECAY, NOISE = 40, 256, 4e-3, 1e-4, 0.08
SURE_LENGTH = 0.1  # of a length's logarithm: errors above count alike
SHIFT_SHARE, LATE_SHARE = 0.6, 0.1

Rng = np.random.Generator
Rows = NDArray[np.float32]
Gradient = Callable[[Rows, Rows], Rows]


@dataclass(frozen=True)
class Example:
    material: str
    track: PitchTrack
    heard: Posteriors
    truth: list[Note]


@dataclass(frozen=True)
class Lessons:
    """One row each: inputs, targets (rows, outputs), their weights (the same), the material's number."""

    rows: Rows
    targets: Rows
    weights: Rows
    material: NDArray[np.int64]


def songs_to_learn(seeds: Iterable[int]) -> Iterator[tuple[str, Song, str]]:
    """Kind, song and source."""
    for kind in KINDS:
        for seed in seeds:
            own = song(kind, seed)
            yield from ((kind, own, source) for source in SOURCES)
            others = [program for program in PROGRAMS[kind] if program != own.parts[0].program]
            for turn in range(OTHERS):
                program = others[(seed * 3 + turn * 3) % len(others)]
                parts = tuple(replace(part, program=program) for part in own.parts)
                yield kind, replace(own, parts=parts), SOURCES[(seed + turn) % len(SOURCES)]


def example(kind: str, played: Song, source: str, *, tracker: Path, network: Path) -> Example:
    sound, rate_hz = sf.read(song_file(played, source), dtype="float32", always_2d=True)
    mono = sound.mean(axis=1)
    track = listen([soxr.resample(mono, rate_hz, RATE_HZ).astype(np.float32)], model=tracker)
    blocks = [soxr.resample(mono, rate_hz, MODEL_RATE_HZ).astype(np.float32)]
    heard = posteriors(blocks, model=network, threads=1)
    return Example(ENGINE_MATERIAL[kind], track, heard, in_order(played))


def in_order(played: Song) -> list[Note]:
    return sorted((note for part in played.parts for note in part.notes), key=lambda note: note.start_s)


def lessons(examples: Iterable[Example]) -> tuple[Lessons, Lessons]:
    """What the stroke network and the release network learn from."""
    strokes, releases = [], []
    for given in examples:
        for heard, share in ((given.heard, 1.0), (None, ALONE_SHARE)):
            stroke, release = _of_one(given, heard, share)
            strokes.append(stroke)
            releases.append(release)
    return _joined(strokes), _joined(releases)


def _of_one(given: Example, heard: Posteriors | None, share: float) -> tuple[Lessons, Lessons]:
    view = view_of(given.track, heard)
    runs = voice_strokes.stretches_of(path(view))
    strokes = voice_strokes.strokes_of(view, runs)
    rows = voice_strokes.features(view, runs, strokes)
    targets, weights, own = _labels(strokes, given.truth)
    weights[:, 0] *= share
    number = MATERIALS.index(given.material)
    stroke = Lessons(rows, targets, weights, np.full(len(rows), number))
    known = [(note, candidate) for note, candidate in zip(given.truth, own, strict=True) if candidate >= 0]
    begun = note_segments._Begun(  # noqa: SLF001 - what is trained on must be what is used
        np.array([note.start_s for note, _ in known]),
        np.array([note.pitch for note, _ in known]),
        np.ones(len(known)),
        np.array([strokes.stretch[candidate] for _, candidate in known], dtype=np.int64),
    )
    start, limit = note_segments._frames(view, runs, begun)  # noqa: SLF001
    rows, near = voice_release.release_features(view, begun.pitch, start, limit)
    length_s = np.array([note.end_s - note.start_s for note, _ in known])
    longer = np.log(length_s / ((near - start) * FRAME_S))[:, None].astype(np.float32)
    release = Lessons(rows, longer, np.full_like(longer, share), np.full(len(rows), number))
    return stroke, release


def _labels(strokes: voice_strokes.Strokes, truth: list[Note]) -> tuple[Rows, Rows, list[int]]:
    """Targets and weights: is it a beginning, and how much later is that; each note's candidate, -1 for none.

    Of several near to a note the nearest is it, and the others say nothing about the first question.
    """
    targets = np.zeros((len(strokes.at_s), 2), np.float32)
    weights = np.zeros_like(targets)
    weights[:, 0] = 1
    own = []
    for note in truth:
        later_s = note.start_s - strokes.at_s
        near = np.flatnonzero((strokes.pitch == note.pitch) & (np.abs(later_s) <= REACH_S))
        if len(near) == 0:
            own.append(-1)
            continue
        free = near[targets[near, 0] == 0]
        targets[free, 1] = later_s[free] / voice_network.SHIFT_S
        weights[free] = (0, SHIFT_SHARE * LATE_SHARE)
        best = int(near[np.abs(later_s[near]).argmin()])
        targets[best] = (1, later_s[best] / voice_network.SHIFT_S)
        weights[best] = (1, SHIFT_SHARE)
        own.append(best)
    return targets, weights, own


def _joined(parts: list[Lessons]) -> Lessons:
    return Lessons(*(np.concatenate([getattr(part, name) for part in parts]) for name in vars(parts[0])))


def stroke_gradient(said: Rows, targets: Rows) -> Rows:
    """Of the logistic loss, and of an absolute error that is round at its foot."""
    late = np.clip(said[:, 1] - targets[:, 1], -1.5, 1.5)
    return np.stack([1 / (1 + np.exp(-said[:, 0])) - targets[:, 0], late], axis=1)


def release_gradient(said: Rows, targets: Rows) -> Rows:
    most = voice_network.MOST_CORRECTION
    slope: Rows = np.clip((said - np.clip(targets, -most, most)) / SURE_LENGTH, -1, 1)
    return slope


def fit(taught: Lessons, hidden: int, *, gradient: Gradient, seed: int = 0) -> Network:
    """One hidden layer by Adam, the inputs a little shaken."""
    rng = np.random.default_rng(seed)
    inputs, outputs = taught.rows.shape[1], taught.targets.shape[1]
    made = [
        rng.normal(0, np.sqrt(1 / inputs), (inputs, hidden)),
        np.zeros((len(MATERIALS), hidden)),
        rng.normal(0, 0.1, (hidden, outputs)),
        np.zeros(outputs),
    ]
    layers: list[Rows] = [layer.astype(np.float32) for layer in made]
    means, squares = ([np.zeros_like(layer) for layer in layers] for _ in range(2))
    useful = np.flatnonzero(taught.weights.any(axis=1))
    steps, step = EPOCHS * -(-len(useful) // BATCH), 0
    for _ in range(EPOCHS):
        rng.shuffle(useful)
        for first in range(0, len(useful), BATCH):
            batch = useful[first : first + BATCH]
            step += 1
            slopes = _slopes(layers, taught, batch, gradient, rng)
            pace = RATE * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
            for which, slope in enumerate(slopes):
                means[which] += 0.1 * (slope - means[which])
                squares[which] += 0.001 * (slope**2 - squares[which])
                ahead = means[which] / (1 - 0.9**step) / (np.sqrt(squares[which] / (1 - 0.999**step)) + 1e-8)
                layers[which] -= (pace * ahead).astype(np.float32)
    return Network(*layers)


def _slopes(
    layers: list[Rows], taught: Lessons, batch: NDArray[np.int64], gradient: Gradient, rng: Rng
) -> list[Rows]:
    rows = taught.rows[batch] + rng.normal(0, NOISE, (len(batch), taught.rows.shape[1])).astype(np.float32)
    hidden = np.maximum(rows @ layers[0] + layers[1][taught.material[batch]], 0)
    said = hidden @ layers[2] + layers[3]
    out = gradient(said, taught.targets[batch]) * taught.weights[batch] / len(batch)
    back = (out @ layers[2].T) * (hidden > 0)
    material = np.zeros_like(layers[1])
    np.add.at(material, taught.material[batch], back)
    return [
        rows.T @ back + DECAY * layers[0],
        material + DECAY * layers[1],
        hidden.T @ out + DECAY * layers[2],
        out.sum(axis=0),
    ]


def train(examples: Iterable[Example], out: Path) -> None:
    strokes, releases = lessons(examples)
    nets = {
        "stroke": fit(strokes, STROKE_HIDDEN, gradient=stroke_gradient),
        "release": fit(releases, RELEASE_HIDDEN, gradient=release_gradient),
    }
    arrays = {
        f"{which}_{name}": layer.astype(np.float16)
        for which, net in nets.items()
        for name, layer in vars(net).items()
    }
    np.savez_compressed(out, allow_pickle=False, **arrays)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tracker", type=Path)
    parser.add_argument("network", type=Path)
    parser.add_argument("--out", type=Path, default=voice_network.WEIGHTS_FILE)
    given = parser.parse_args()
    asked = songs_to_learn(range(10))
    train((example(*which, tracker=given.tracker, network=given.network) for which in asked), given.out)


if __name__ == "__main__":
    main()
