"""What has been said about a candidate's relatives, as one row of numbers each. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_features import RELATIVES
from bridge.engine.note_candidates import Candidates, Indices
from bridge.engine.posteriors import PITCHES

SIDES = 36  # columns around the pitches, so that no relative falls outside
NEAR = 4  # frames to both sides that count as the same time
# On the own pitch within `NEAR` frames of these, one group a number: no two of a span overlap the candidate.
OTHERS = ((-36, -27), (-18,), (-9,), (9,), (18, 27))
MARGIN = 40
BLOCK = 4096
MOST_SURE = 1e-4

Rows = NDArray[np.float32]


def relations(found: Candidates, sure: NDArray[np.float64], frames: int) -> Rows:
    """One row a candidate, (candidates, RELATIONS): how `sure` (0..1) it is of each that they are notes."""
    columns = np.zeros((RELATIONS, len(found)), dtype=np.float32)
    odds = np.clip(sure, MOST_SURE, 1 - MOST_SURE)
    columns[0] = np.log(odds / (1 - odds))
    for first in range(0, frames, BLOCK):
        inside = (found.frame >= first - MARGIN) & (found.frame < first + BLOCK + MARGIN)
        around = np.nonzero(inside)[0]
        map_ = np.zeros((BLOCK + 2 * MARGIN, PITCHES + 2 * SIDES), dtype=np.float32)
        at_frame, at_pitch = found.frame[around] - first + MARGIN, found.pitch[around] + SIDES
        map_[at_frame, at_pitch] = sure[around]
        here = (at_frame >= MARGIN) & (at_frame < MARGIN + BLOCK)
        if here.any():
            told = _columns(map_, at_frame[here], at_pitch[here])
            for column, values in zip(columns[1:], told, strict=True):
                column[around[here]] = values
    return columns.T


def _columns(sure: Rows, frame: Indices, pitch: Indices) -> Iterator[Rows]:
    near, width = sure.copy(), sure.shape[1]
    for step in range(1, NEAR + 1):
        np.maximum(near[step:], sure[:-step], out=near[step:])
        np.maximum(near[:-step], sure[step:], out=near[:-step])
    yield (near @ np.ones(near.shape[1], dtype=np.float32))[frame] / np.float32(3)
    for distance in RELATIVES:
        yield near.ravel().take(frame * width + pitch + distance)
    for steps in OTHERS:
        surest = near.ravel().take((frame + steps[0]) * width + pitch)
        for step in steps[1:]:
            surest = np.maximum(surest, near.ravel().take((frame + step) * width + pitch))
        yield surest


RELATIONS = 2 + len(RELATIVES) + len(OTHERS)
