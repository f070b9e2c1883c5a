"""How hard a drum was struck, from how loud it then is. Pure.

A stroke's level is the loudest moment of its piece's bands within 35 ms. General MIDI's usual curve makes the
amplitude the velocity's square, so 40 dB are a factor of ten in velocity.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bridge.engine.drum_bands import FLOOR_DB, STEPS_PER_DB, Levels

# Which bands a piece is heard in: first, and one after the last.
PIECE_BANDS: Mapping[str, tuple[int, int]] = {
    "kick": (0, 4),
    "snare": (5, 20),
    "hat": (21, 26),
    "tom": (2, 9),
    "cymbal": (17, 26),
}
RISING_FRAMES = 6
DB_PER_TENFOLD = 40.0
LOUD_SHARE = 80  # percentile of a piece's strokes that are its usual loud ones
# Above the hats' and cymbals' bands there is much else: there the network's opinion counts as well.
TRUST_IN_NETWORK: Mapping[str, float] = {"kick": 0.0, "snare": 0.0, "hat": 1.5, "tom": 1.0, "cymbal": 1.5}
SOFTEST, HARDEST = 1, 127


def piece_levels(levels: Levels) -> Levels:
    """(frames, bands) to (frames, 5): each piece's level, in the same half decibels."""
    power = 10 ** ((levels.astype(np.float32) / STEPS_PER_DB + np.float32(FLOOR_DB)) / 10)
    summed = [power[:, first:last].sum(axis=1) for first, last in PIECE_BANDS.values()]
    decibels = 10 * np.log10(np.maximum(np.stack(summed, axis=1), np.float32(1e-12)))
    steps = np.rint((decibels - np.float32(FLOOR_DB)) * STEPS_PER_DB)
    packed: Levels = np.clip(steps, 0, 255).astype(np.uint8)
    return packed


def risen(levels: Levels) -> Levels:
    """Each frame's loudest level in itself and the frames just after it."""
    highest = levels.copy()
    for later in range(1, min(RISING_FRAMES, len(levels))):
        np.maximum(highest[:-later], levels[later:], out=highest[:-later])
    return highest


def velocities(
    piece: str, level: NDArray[np.uint8], hard: NDArray[np.uint8], usual: NDArray[np.bool_]
) -> NDArray[np.intp]:
    """MIDI velocities of all strokes of a piece: by their level, relative to that of its loud strokes.

    `hard` is what the network takes their velocities for: how hard the loud strokes are is its word. `usual`
    marks the strokes that are sure: the others are measured by them, so that another threshold changes none.
    Are there none, the network's word is all there is.
    """
    decibels, opinion = level.astype(np.float64) / STEPS_PER_DB, hard.astype(np.float64)
    if not usual.any():
        return np.clip(np.rint(opinion), SOFTEST, HARDEST).astype(np.intp)
    loud_db, loud = np.percentile(decibels[usual], LOUD_SHARE), np.percentile(opinion[usual], LOUD_SHARE)
    by_level = loud * 10 ** ((decibels - loud_db) / DB_PER_TENFOLD)
    found = by_level + TRUST_IN_NETWORK[piece] * (opinion - np.median(opinion[usual]))
    return np.clip(np.rint(found), SOFTEST, HARDEST).astype(np.intp)
