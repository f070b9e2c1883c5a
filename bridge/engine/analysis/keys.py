"""The key, and where it changes, from the pitch classes that sound.

What is heard of a stretch is laid out once for each of the twelve tonics: how much of each pitch class there
is, in all and in the bass; which triads, in all and at the opening; and by which steps the roots move.
Two rows of weights, for major and minor, score it (a linear model, learnt by `benchmarks.analysis_training`).
Over time the keys of windows are joined by a Viterbi path on which a change has its price.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from bridge.engine.analysis.chroma import PitchClasses, in_semitones, tuning_steps
from bridge.engine.analysis.key_weights import BIAS, WEIGHTS
from bridge.media.musical_time import Key, Mode

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]

MODES: Final[tuple[Mode, Mode]] = ("major", "minor")
SMOOTH_HOPS: Final = 5
SHARPNESS: Final = 16.0
BASS_WORTH: Final = 0.35
OPENING_HOPS: Final = 10
MOTION_HOPS: Final = 6
MOTIONS: Final = (5, 7, 2, 10)
"""Semitones down from a chord's root to that of the chord before."""
QUIET_SHARE: Final = 0.05
LEAST_TONES: Final = 0.3
"""Peaks in a hop, weighed, below which no tone is heard in it."""
LEAST_S: Final = 1.0
LEAST_CLEAR: Final = 0.11
"""Share of the peaks that stand far out: of drums alone up to 0.107, of bands from 0.125, of noise none."""
LEAST_CLASSES: Final = 2.5
"""Pitch classes (as the exponent of their entropy) that a key takes: one tone and its overtones are none."""
WINDOW_HOPS, STEP_HOPS = 86, 22  # 16 s and 4 s
CHANGE_PRICE: Final = 8.0
SHORTEST_HOPS: Final = 75  # 14 s


@dataclass(frozen=True)
class HeardKey:
    """From `start_s` on; `confidence` 0..1."""

    start_s: float
    key: Key
    confidence: float


def keys_of(heard: PitchClasses, check: Callable[[], None] = lambda: None) -> list[HeardKey]:
    """The keys in order of time; none where there is too little tone."""
    tuning = tuning_steps(heard)
    everything, bass = (in_semitones(part, tuning) for part in (heard.all, heard.bass))
    sounds = sounding(everything)
    if not _has_a_key(heard, everything, sounds):
        return []
    starts = [0, *_changes(everything, bass, sounds, check)]
    found: list[HeardKey] = []
    for start, stop in zip(starts, [*starts[1:], len(sounds)], strict=True):
        here = slice(start, stop)
        if not sounds[here].any():
            continue
        chances = chances_of(everything[here], bass[here], sounds[here])
        tonic, mode = np.unravel_index(int(chances.argmax()), chances.shape)
        key = Key(int(tonic), MODES[int(mode)])
        if not found or found[-1].key != key:
            found.append(HeardKey(start * heard.hop_s, key, float(chances.max())))
    return found


def chances_of(everything: Floats, bass: Floats, sounds: NDArray[np.bool_]) -> Wide:
    """(12, 2): how likely each tonic and mode is, in all 1."""
    return _chances(_scores(features(everything, bass, sounds)))


def features(everything: Floats, bass: Floats, sounds: NDArray[np.bool_]) -> Wide:
    """(10, 12) from C up, of hops of pitch classes (hops, 12)."""
    chords = _triads(everything, bass)[sounds]
    opening = chords[:OPENING_HOPS]
    before, after = (
        part.reshape(-1, 2, 12).sum(axis=1) for part in (chords[:-MOTION_HOPS], chords[MOTION_HOPS:])
    )
    motions = [
        (np.roll(before, step, axis=1) * after).mean(axis=0) if len(after) else np.zeros(12)
        for step in MOTIONS
    ]
    rows = [
        *(np.sqrt(_shares(_shares(part[sounds]).mean(axis=0))) - 0.28 for part in (everything, bass)),
        *(np.sqrt(part) - 0.2 for part in chords.mean(axis=0).reshape(2, 12)),
        *(np.sqrt(part) - 0.2 for part in opening.mean(axis=0).reshape(2, 12)),
        *(np.sqrt(part) - 0.1 for part in motions),
    ]
    return np.stack(rows).astype(np.float64)


def turned(laid_out: Wide) -> Wide:
    """(..., 12, rows, 12): as seen from each tonic."""
    return np.stack([np.roll(laid_out, -tonic, axis=-1) for tonic in range(12)], axis=-3)


def _scores(laid_out: Wide) -> Wide:
    return np.asarray(np.einsum("trc,mrc->tm", turned(laid_out), WEIGHTS) + BIAS)


def _chances(scores: Wide) -> Wide:
    raised = np.exp(scores - scores.max())
    return np.asarray(raised / raised.sum())


def _shares(values: Floats) -> Floats:
    return np.asarray(values / np.maximum(values.sum(axis=-1, keepdims=True), 1e-9))


def sounding(everything: Floats) -> NDArray[np.bool_]:
    """Which hops have tones."""
    amount = everything.sum(axis=1)
    most = float(amount.max(initial=0))
    return np.asarray(amount > max(QUIET_SHARE * most, LEAST_TONES))


def _has_a_key(heard: PitchClasses, everything: Floats, sounds: NDArray[np.bool_]) -> bool:
    if sounds.sum() * heard.hop_s < LEAST_S:
        return False
    clear = heard.clear[sounds].sum() / heard.all[sounds].sum()
    return bool(clear >= LEAST_CLEAR and _variety(everything[sounds]) >= LEAST_CLASSES)


def _variety(everything: Floats) -> float:
    """How many pitch classes there are, if all were alike."""
    shares = _shares(_shares(everything).mean(axis=0)).astype(np.float64)
    return float(np.exp(-(shares * np.log(shares + 1e-12)).sum()))


def _triads(everything: Floats, bass: Floats) -> Floats:
    """(hops, 24): how likely each major triad and each minor one sounds."""
    around = _shares(uniform_filter1d(np.sqrt(_shares(everything)), SMOOTH_HOPS, axis=0))
    around = around / np.maximum(np.linalg.norm(around, axis=1, keepdims=True), 1e-9)
    roots = BASS_WORTH * _shares(uniform_filter1d(_shares(bass), SMOOTH_HOPS, axis=0))
    shapes = np.zeros((12, 24), np.float32)
    for root in range(12):
        shapes[[root, (root + 4) % 12, (root + 7) % 12], root] = 3**-0.5
        shapes[[root, (root + 3) % 12, (root + 7) % 12], 12 + root] = 3**-0.5
    fits = SHARPNESS * (around @ shapes + np.tile(roots, 2))
    raised = np.exp(fits - fits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def _changes(
    everything: Floats, bass: Floats, sounds: NDArray[np.bool_], check: Callable[[], None]
) -> list[int]:
    """The hops at which another key begins."""
    logs = []
    for first in range(0, max(1, len(sounds) - WINDOW_HOPS // 2), STEP_HOPS):
        check()
        here = slice(
            max(0, first - WINDOW_HOPS // 2 + STEP_HOPS // 2), first + (WINDOW_HOPS + STEP_HOPS) // 2
        )
        heard = sounds[here]
        enough = heard.sum() > MOTION_HOPS
        chances = chances_of(everything[here], bass[here], heard) if enough else np.full((12, 2), 1 / 24)
        logs.append(np.log(chances.ravel() + 1e-6))
    edges = [STEP_HOPS * at for at, (old, new) in enumerate(pairwise(_path(np.array(logs))), 1) if old != new]
    kept: list[int] = []
    for edge in edges:
        if min(edge - (kept[-1] if kept else 0), len(sounds) - edge) >= SHORTEST_HOPS:
            kept.append(edge)
    return kept


def _path(logs: Wide) -> list[int]:
    """The best of 24 keys for each step; to change costs CHANGE_PRICE."""
    score, before = logs[0], []
    for row in logs[1:]:
        best = int(score.argmax())
        stays = score >= score[best] - CHANGE_PRICE
        before.append(np.where(stays, np.arange(len(row)), best))
        score = np.maximum(score, score[best] - CHANGE_PRICE) + row
    path = [int(score.argmax())]
    for step in reversed(before):
        path.append(int(step[path[-1]]))
    return path[::-1]
