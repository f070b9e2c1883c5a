"""Trains the small networks that tell notes from what only looks like them, and where notes end.

    python -m benchmarks.songs.train_candidates --model GRAPH [--heard DIR] [--out FILE]

On the songs of seeds 0 to 9, rendered by the tuning sources, and on variants of the same songs: transposed,
faster or slower, and played on other instruments. What the note network heard is kept in `--heard`, so that
a second run takes minutes. The same songs give the same weights. Nothing is learned from seeds of 1000 and
more, nor from the sources that are left for the report.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.songs import ENGINE_MATERIAL, MATERIALS, TUNING_SOURCES, Song, song, song_file, sources_for
from benchmarks.songs.learning import Examples, folded, grow, loudness_loss, note_loss, release_loss, together
from benchmarks.songs.rendering import VERSION
from benchmarks.songs.variants import VARIANT_SOURCES, begun, varied
from bridge.engine import candidate_network
from bridge.engine.basic_pitch import posteriors
from bridge.engine.candidate_features import features
from bridge.engine.candidate_network import LIKELY, Network, verdicts
from bridge.engine.candidate_relations import relations
from bridge.engine.note_candidates import Candidates, candidates
from bridge.engine.note_loudness import LOUD_NOTES, loudness_features
from bridge.engine.note_release import release_features
from bridge.engine.posteriors import FRAME_S, LOWEST_PITCH, MODEL_RATE_HZ, Posteriors, unpack
from bridge.media.notes import Material

__all__ = ["Learned", "Lesson", "judged", "learned", "lessons", "nearest", "train", "varied"]

SEEDS = range(10)
VARIANTS = 6  # of each song
SECONDS = 2  # second networks, whose mean is taken
MATCH_S = 0.09  # a candidate this near to a true note's start is that note
GHOST_OVER = (12, 19, 24, 28, 31, 34, 36)
GHOST_ONSET = 0.4  # less is no ghost that anybody would take for a note
HIDDEN, RELEASE_HIDDEN, LOUDNESS_HIDDEN = 64, 24, 16
STRANGER_EPOCHS, FIRST_EPOCHS, SECOND_EPOCHS, RELEASE_EPOCHS, LOUDNESS_EPOCHS = 9, 12, 20, 40, 12
NOTHING, NOTE, GHOST = 0, 1, 2

Truth = NDArray[np.float64]  # (notes, 4): start_s, end_s, MIDI pitch, velocity


@dataclass(frozen=True)
class Lesson:
    """One song as it was heard, and what is true of it."""

    seed: int
    material: Material
    heard: Posteriors
    truth: Truth


# Songs, and what is heard of them


def lessons(folder: Path, model: Path, cache: Path | None) -> Iterator[Lesson]:
    """Each song from each of the sources, and its variants, one source each in turn."""
    for seed in SEEDS:
        for number, name in enumerate(MATERIALS):
            played = song(name, seed)
            if not played.pitched:
                continue
            for source in sources_for(name, cache):
                if source in TUNING_SOURCES:
                    yield lesson(played, source, folder, model, cache)
            for variant in range(VARIANTS):
                rng = np.random.default_rng([seed, number, 500 + variant])
                source = VARIANT_SOURCES[variant % len(VARIANT_SOURCES)]
                yield lesson(begun(varied(played, rng), rng), source, folder, model, cache)


def lesson(played: Song, source: str, folder: Path, model: Path, cache: Path | None) -> Lesson:
    known = hashlib.sha256(repr((VERSION, source, played)).encode()).hexdigest()[:16]
    kept = folder / f"{played.material}-{played.seed}-{source}-{known}.npz"
    if not kept.exists():
        np.savez(kept, **vars(_hear(song_file(played, source, cache=cache), model)))
    with np.load(kept) as file:
        heard = Posteriors(file["note"], file["onset"], file["contour"], file["level"], int(file["samples"]))
    rows = [(note.start_s, note.end_s, note.pitch, note.velocity) for note in played.pitched]
    return Lesson(played.seed, engine_material(played.material), heard, np.array(rows, dtype=float))


def engine_material(name: str) -> Material:
    """What the product calls a song's material."""
    called = {other: other for other in get_args(Material)}
    material: Material = called[ENGINE_MATERIAL[name]]
    return material


def _hear(path: Path, model: Path) -> Posteriors:
    sound, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(sound.mean(axis=1), rate_hz, MODEL_RATE_HZ).astype(np.float32)
    return posteriors([mono], model=model, threads=1)


# What is true of candidates


def judged(found: Candidates, onset: NDArray[np.uint16], truth: Truth) -> tuple[NDArray[np.int64], Truth]:
    """What each candidate is (NOTHING, NOTE or GHOST) and by how many frames its note begins later."""
    at_s, pitch = found.frame * FRAME_S, found.pitch + LOWEST_PITCH
    which = nearest(at_s, pitch, truth, MATCH_S)
    label = np.where(which >= 0, NOTE, NOTHING)
    shift = np.where(which >= 0, truth[which, 0] / FRAME_S - found.frame, 0.0)
    strong = unpack(onset)[found.frame, found.pitch] >= GHOST_ONSET
    for index in np.nonzero(strong & (label == NOTHING))[0]:
        under = np.isin(pitch[index] - truth[:, 2], GHOST_OVER)
        sounds = (truth[:, 0] <= at_s[index] + 0.06) & (truth[:, 1] > at_s[index])
        if np.any(under & sounds):
            label[index] = GHOST
    return label, shift


def nearest(
    at_s: NDArray[np.floating[Any]], pitch: NDArray[np.int64], truth: Truth, within_s: float
) -> NDArray[np.int64]:
    """For each candidate the true note that it is, -1 = none; each note once, the nearest pairs first."""
    which = np.full(len(at_s), -1)
    for one in np.unique(pitch):
        ours, theirs = np.nonzero(pitch == one)[0], np.nonzero(truth[:, 2] == one)[0]
        apart = np.abs(at_s[ours][:, np.newaxis] - truth[theirs, 0])
        near = np.argwhere(apart <= within_s)
        taken: set[int] = set()
        for row, column in near[np.argsort(apart[near[:, 0], near[:, 1]], kind="stable")]:
            if which[ours[row]] < 0 and int(column) not in taken:
                which[ours[row]] = theirs[column]
                taken.add(int(column))
    return which


@dataclass(frozen=True)
class Learned:
    """A lesson as rows of inputs; `found` to look up relatives."""

    seed: int
    material: Material
    found: Candidates
    frames: int
    rows: NDArray[np.float32]
    label: NDArray[np.int64]
    shift: Truth
    release: Examples
    loudness: Examples


def learned(one: Lesson) -> Learned:
    found = candidates(one.heard.note, one.heard.onset)
    label, shift = judged(found, one.heard.onset, one.truth)
    rows = features(one.heard, found)
    frames = len(one.heard.note)
    return Learned(one.seed, one.material, found, frames, rows, label, shift, _releases(one), _loudness(one))


def _releases(one: Lesson) -> Examples:
    """Each true note with its length, as `release_features` describes it."""
    truth = one.truth[np.lexsort((one.truth[:, 0], one.truth[:, 2]))]
    pitch, start = _places(truth, one.heard)
    limit = np.full(len(start), len(one.heard.note))
    same = pitch[1:] == pitch[:-1]
    limit[:-1][same] = start[1:][same]
    limit = np.maximum(limit, start + 1)
    rows, even = release_features(one.heard, pitch, start, limit)
    length = np.maximum((truth[:, 1] - truth[:, 0]) / FRAME_S, 1)
    targets = np.stack([np.maximum(even - start, 1), length], axis=1)
    return Examples(rows, _of_material(len(rows), one.material), targets)


def _loudness(one: Lesson) -> Examples:
    """Each true note with how hard it was struck, in decibels to the piece's loud notes."""
    rows = loudness_features(one.heard, *_places(one.truth, one.heard))
    struck_db = 40 * np.log10(np.maximum(one.truth[:, 3], 1) / 127)
    targets = (struck_db - np.quantile(struck_db, LOUD_NOTES))[:, np.newaxis]
    return Examples(rows, _of_material(len(rows), one.material), targets)


def _places(truth: Truth, heard: Posteriors) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The notes' columns and frames."""
    frame = np.minimum(np.rint(truth[:, 0] / FRAME_S).astype(np.int64), len(heard.note) - 1)
    return truth[:, 2].astype(np.int64) - LOWEST_PITCH, frame


def _of_material(count: int, material: Material) -> NDArray[np.int64]:
    return np.full(count, candidate_network.MATERIALS.index(material))


# Training


def second_look(one: Learned, first: Network) -> Learned:
    """Those candidates that the first network finds likely, with what it says of their relatives."""
    said = verdicts(first, one.rows, one.material)
    likely = said.note + said.ghost >= LIKELY
    found = one.found.only(likely)
    rows = np.concatenate([one.rows[likely], relations(found, said.note[likely], one.frames)], axis=1)
    return replace(one, found=found, rows=rows, label=one.label[likely], shift=one.shift[likely])


def train(songs: Sequence[Learned]) -> dict[str, NDArray[Any]]:
    """All weights. The second network learns from what a first one says of songs that it has not seen."""
    halves = [[one for one in songs if one.seed % 2 == half] for half in (0, 1)]
    strangers = [_note_network(half, STRANGER_EPOCHS) for half in halves]
    looked_at = [second_look(one, strangers[1 - one.seed % 2]) for one in songs]
    release, loudness = (_joined([getattr(one, name) for one in songs]) for name in ("release", "loudness"))
    grown = {
        "first": _note_network(songs, FIRST_EPOCHS),
        "second": together([_note_network(looked_at, SECOND_EPOCHS, seed=seed) for seed in range(SECONDS)]),
        "release": grow(release, release_loss, hidden=RELEASE_HIDDEN, outputs=1, epochs=RELEASE_EPOCHS),
        "loudness": grow(loudness, loudness_loss, hidden=LOUDNESS_HIDDEN, outputs=1, epochs=LOUDNESS_EPOCHS),
    }
    return {f"{which}_{name}": values for which in grown for name, values in folded(grown[which]).items()}


def _note_network(songs: Sequence[Learned], epochs: int, *, seed: int = 0) -> Network:
    every = [
        Examples(
            one.rows, _of_material(len(one.rows), one.material), np.stack([one.label, one.shift], axis=1)
        )
        for one in songs
    ]
    return grow(_joined(every), note_loss, hidden=HIDDEN, outputs=3, epochs=epochs, seed=seed)


def _joined(parts: Sequence[Examples]) -> Examples:
    columns = zip(*((part.rows, part.material, part.targets) for part in parts), strict=True)
    return Examples(*(np.concatenate(column) for column in columns))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, required=True, help="the note network's graph")
    parser.add_argument("--heard", type=Path, default=Path(tempfile.gettempdir()) / "bridge-heard")
    parser.add_argument("--cache", type=Path, help="where the songs' audio is kept")
    parser.add_argument("--out", type=Path, default=candidate_network.WEIGHTS_FILE)
    asked = parser.parse_args()
    asked.heard.mkdir(parents=True, exist_ok=True)
    songs = [learned(one) for one in lessons(asked.heard, asked.model, asked.cache)]
    np.savez(asked.out, allow_pickle=False, **train(songs))
    print(f"{len(songs)} songs, {sum(len(one.label) for one in songs)} candidates -> {asked.out}")


if __name__ == "__main__":
    main()
