"""Where the notes of one voice end. Pure.

The moments at which a note's level, its confidence and its activation have fallen below several thresholds
are handed to a small network (`bridge.engine.voice_network`), which knows how instruments let go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.posteriors import LOWEST_PITCH
from bridge.engine.voice_path import View

Rows = NDArray[np.float32]
Indices = NDArray[np.int64]

BELOW_TOP_DB = (3.0, 6.0, 10.0, 16.0, 24.0)
FIRST_BELOW_DB = (6.0, 12.0)
CONFIDENCES = (0.4, 0.7, 0.9)
ACTIVATIONS = (0.2, 0.4, 0.6)
FALLS_DB = (2.5, 5.0)  # within `FALL_FRAMES`
FALL_FRAMES = 4
STRUCK_FRAMES = 13  # the note's top is in its first 150 ms
SETTLED_FRAMES = 4  # after which a note can end


def release_features(view: View, pitch: Indices, start: Indices, limit: Indices) -> tuple[Rows, Indices]:
    """(notes, RELEASE_FEATURES), and the frame near which each note ends.

    `start` and `limit` are frames, the limit being where the next note begins or the pitch is left; the limit
    is greater than the start.
    """
    marks, top_db = _marks(view, pitch, start, limit)
    near = np.maximum(np.minimum(marks[3], marks[len(BELOW_TOP_DB) + len(FIRST_BELOW_DB)]), start + 2)
    columns = _columns(view, pitch, start, limit, marks, near, top_db)
    return np.stack([column.astype(np.float32) for column in columns], axis=1), near


def _marks(view: View, pitch: Indices, start: Indices, limit: Indices) -> tuple[list[Indices], Rows]:
    """For each threshold the notes' frames, and the notes' tops in dB."""
    length = limit - start
    first = np.cumsum(length) - length
    note = np.repeat(np.arange(len(start)), length)
    frame = np.arange(len(note)) - first[note] + start[note]
    late = frame - start[note]
    level = view.level_db[frame]
    top = np.maximum.reduceat(np.where(late < STRUCK_FRAMES, level, -200), first)
    below = top[note] - level
    active = view.note[frame, pitch[note] - LOWEST_PITCH]
    ahead = view.level_db[np.minimum(frame + FALL_FRAMES, view.frames - 1)]

    def last(above: NDArray[np.bool_]) -> Indices:
        return np.maximum.reduceat(np.where(above, frame + 1, start[note] + 1), first)

    def soonest(there: NDArray[np.bool_]) -> Indices:
        return np.minimum.reduceat(np.where(there & (late >= SETTLED_FRAMES), frame, limit[note]), first)

    marks = [last(below <= least) for least in BELOW_TOP_DB]
    marks += [soonest(below > least) for least in FIRST_BELOW_DB]
    marks += [last(view.confidence[frame] >= least) for least in CONFIDENCES]
    marks += [last(active >= least) for least in ACTIVATIONS]
    marks += [soonest(active < ACTIVATIONS[0])]
    marks += [soonest(level - ahead > least) for least in FALLS_DB]
    return marks, top


def _columns(
    view: View,
    pitch: Indices,
    start: Indices,
    limit: Indices,
    marks: list[Indices],
    near: Indices,
    top_db: Rows,
) -> Iterator[NDArray[np.floating[Any]]]:
    def level(frame: Indices) -> Rows:
        return np.maximum((view.level_db[np.clip(frame, 0, view.frames - 1)] - top_db) / 20, -2)

    yield np.log(near - start)
    for mark in marks:
        yield np.log(np.maximum(mark - start, 1)) - np.log(near - start)
        yield (mark >= limit).astype(np.float32)
    yield np.log(limit - start) - np.log(near - start)
    for step in (-12, -8, -4, 0, 4, 8):
        yield level(near + step)
    for step in (-8, -4, 0, 4, 8):
        yield level(limit + step)
    for step in (8, 16, 30, 60):
        yield level(np.minimum(start + step, limit))
    yield (top_db - view.top_db) / 20
    yield (pitch - 60) / 24
    yield np.full(len(pitch), float(view.heard is not None))
