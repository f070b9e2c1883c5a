"""Trains `bridge.engine.materials` again: python -m benchmarks.songs.train_materials --model GRAPH [--write]

Seeds 0 to 9 and `TUNING_SOURCES` only: the songs, and variants of them in other keys and tempi on other
instruments. Each is taken whole and as two pieces, so that short bounces are known as well. A multinomial
logistic regression with a penalty on the square of its weights; features are centred, scaled, and clipped at
four deviations.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs import ENGINE_MATERIAL, MATERIALS, TUNING_SOURCES, Song, song, song_file, sources_for
from benchmarks.songs.band import KITS
from benchmarks.songs.rendering import default_cache
from benchmarks.songs.variants import varied
from bridge.engine import materials
from bridge.engine.basic_pitch import posteriors
from bridge.engine.hearing import Hearings
from bridge.engine.posteriors import FRAME_HOP, MODEL_RATE_HZ, Posteriors
from bridge.media.audio_files import read_mono

PENALTY = 1.0
STEPS = 4_000
VARIANTS, VARIANT_S = 4, 16.0
VARIANT_SOURCES = ("fluid", "synth")  # the quick ones
TARGET = Path(materials.__file__).with_name("material_weights.py")
NAMES = ("piano", "chords", "guitar", "bass", "solo", "voice", "drums", "mix")

Floats = NDArray[np.float64]


def heard_song(path: Path, *, model: Path, cache: Path) -> Posteriors:
    """A file's posteriorgrams, kept in `cache`."""
    kept = Hearings(cache / "heard", path.stem)
    made_of = f"{model.name} {model.stat().st_size}"

    def hear() -> Posteriors:
        return posteriors(read_mono(path, rate_hz=MODEL_RATE_HZ), model=model, threads=1)

    heard = kept.of("basic-pitch", made_of, Posteriors, hear)
    assert isinstance(heard, Posteriors)
    return heard


def pieces(heard: Posteriors) -> Iterator[Posteriors]:
    """The whole, and its halves."""
    yield heard
    half = len(heard.note) // 2
    for part in (slice(0, half), slice(half, None)):
        yield replace(
            heard,
            note=heard.note[part],
            onset=heard.onset[part],
            contour=heard.contour[part],
            level=heard.level[part],
            samples=half * FRAME_HOP,
        )


def recordings(seeds: Iterable[int], cache: Path) -> Iterator[tuple[str, Path]]:
    """Material and file: every song by every source it is tuned with, and variants of it by some."""
    for name in MATERIALS:
        sources = [source for source in sources_for(name, cache) if source in TUNING_SOURCES]
        for seed in seeds:
            played = song(name, seed)
            yield from ((name, song_file(played, source, cache=cache)) for source in sources)
            for variant in range(VARIANTS):
                rng = np.random.default_rng([seed, MATERIALS.index(name), 500 + variant])
                source = VARIANT_SOURCES[variant % len(VARIANT_SOURCES)]
                yield (
                    name,
                    song_file(
                        begun(varied(played, rng) if played.pitched else played, rng), source, cache=cache
                    ),
                )


def begun(played: Song, rng: np.random.Generator) -> Song:
    """Its first seconds; its drums on any kit."""
    parts = tuple(
        replace(
            part,
            notes=tuple(note for note in part.notes if note.start_s < VARIANT_S),
            sustain=tuple(span for span in part.sustain if span[0] < VARIANT_S),
            program=int(rng.choice(KITS)) if part.drums else part.program,
        )
        for part in played.parts
    )
    return replace(played, parts=parts, duration_s=VARIANT_S)


def examples(seeds: Iterable[int], *, model: Path, cache: Path) -> tuple[Floats, NDArray[np.int64]]:
    """Feature rows and the number of the material of each."""
    rows, labels = [], []
    for name, path in recordings(seeds, cache):
        for piece in pieces(heard_song(path, model=model, cache=cache)):
            found = materials.features(piece)
            if found is not None:
                rows.append([found[feature] for feature in materials.FEATURES])
                labels.append(NAMES.index(ENGINE_MATERIAL[name]))
    return np.array(rows), np.array(labels)


def fit(rows: Floats, labels: NDArray[np.int64], *, penalty: float = PENALTY) -> tuple[Floats, Floats]:
    """(materials, features) weights and (materials,) intercepts by accelerated gradient descent.

    Every material weighs the same, however many songs it has.
    """
    count, classes = len(rows), len(NAMES)
    inputs = np.hstack([rows, np.ones((count, 1))])
    wanted = np.eye(classes)[labels]
    share = 1 / (classes * np.bincount(labels, minlength=classes)[labels])
    step = 1 / (0.5 * np.linalg.norm((inputs * np.sqrt(share)[:, np.newaxis]), 2) ** 2 + penalty / count)
    keep = np.ones(inputs.shape[1]) * penalty / count
    keep[-1] = 0
    weights = ahead = np.zeros((inputs.shape[1], classes))
    for turn in range(STEPS):
        logits = inputs @ ahead
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        slope = inputs.T @ ((shares - wanted) * share[:, np.newaxis]) + keep[:, np.newaxis] * ahead
        new = ahead - step * slope
        ahead = new + turn / (turn + 3) * (new - weights)
        weights = new
    return weights[:-1].T, weights[-1]


def standard(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """The rows centred, scaled and clipped as `materials.scores` does it, with centres and scales."""
    centres, scales = rows.mean(axis=0), rows.std(axis=0) + 1e-6
    return np.clip((rows - centres) / scales, -4, 4), centres, scales


def text(centres: Floats, scales: Floats, weights: Floats, intercepts: Floats) -> str:
    """The module of weights."""

    def line(values: Floats) -> str:
        return "(" + ", ".join(f"{value:.4g}" for value in values) + ")"

    rows = "\n".join(f"    {line(row)},  # {name}" for name, row in zip(NAMES, weights, strict=True))
    names = ", ".join(f'"{name}"' for name in NAMES)
    return (
        '"""The weights of `bridge.engine.materials`, in the order of its `FEATURES`.\n\n'
        "Written by `python -m benchmarks.songs.train_materials --write`: do not edit.\n"
        '"""\n\n'
        "from __future__ import annotations\n\nfrom bridge.media.notes import Material\n\n"
        f"MATERIALS: tuple[Material, ...] = ({names})\n"
        "# fmt: off\n# ruff: noqa: E501\n"
        f"CENTRES: tuple[float, ...] = {line(centres)}\n"
        f"SCALES: tuple[float, ...] = {line(scales)}\n"
        f"COEFFICIENTS: tuple[tuple[float, ...], ...] = (\n{rows}\n)\n"
        f"INTERCEPTS: tuple[float, ...] = {line(intercepts)}\n"
        "# fmt: on\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", type=Path, required=True, help="the graph of Basic Pitch")
    parser.add_argument("--cache", type=Path, default=default_cache())
    parser.add_argument("--write", action="store_true", help=f"write {TARGET.name}")
    options = parser.parse_args()
    rows, labels = examples(range(10), model=options.model, cache=options.cache)
    inputs, centres, scales = standard(rows)
    weights, intercepts = fit(inputs, labels)
    right = np.mean(np.argmax(inputs @ weights.T + intercepts, axis=1) == labels)
    print(f"{len(rows)} pieces, {right:.3f} right among those it was trained on")
    if options.write:
        TARGET.write_text(text(centres, scales, weights, intercepts), encoding="utf-8")


if __name__ == "__main__":
    main()
