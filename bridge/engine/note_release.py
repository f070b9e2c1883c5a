"""Where notes end, from the note activation and the level of their pitch. Pure.

The activation falls at another pace for each instrument, so the frames at which it has fallen below several
thresholds are handed, together with how far the sound has died away by then, to a small network that knows
the material (`bridge.engine.candidate_network`).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_network import answers, networks
from bridge.engine.note_candidates import Indices
from bridge.engine.posteriors import LEVEL_STEPS_PER_DB, PACKED_ONE, PITCHES, Levels, Packed, Posteriors
from bridge.media.notes import Material

THRESHOLDS = (0.17, 0.22, 0.3, 0.4, 0.5, 0.65)
SILENT_FRAMES = 4  # a dip shorter than this ends nothing
LATER = (3, 6, 10, 16, 25, 40, 60)  # frames after the start at which a note is looked at
EVEN = 0.3  # the threshold whose crossing is corrected
MOST_CORRECTION = 4.0  # of the logarithm of a note's length

Rows = NDArray[np.float32]


def by_pitch(note: Packed) -> Packed:
    """The note activation as one row a pitch, with silence after each: no run goes on into the next pitch."""
    rows = np.zeros((PITCHES, len(note) + SILENT_FRAMES), dtype=note.dtype)
    rows[:, : len(note)] = note.T
    return rows


def crossings(rows: Packed, pitch: Indices, start: Indices, limit: Indices, threshold: float) -> Indices:
    """For each note the frame where its activation falls below `threshold`, at the most `limit`.

    `rows` are those of `by_pitch`; `start` is a frame in which the note sounds already. All are (notes,).
    """
    silent = (rows < np.uint16(threshold * PACKED_ONE)).ravel()
    borders = np.flatnonzero(silent[1:] != silent[:-1]) + 1
    if silent[0]:
        borders = np.concatenate([[0], borders])
    borders = np.concatenate([borders, [silent.size]])
    run_start, run_end = borders[0::2], borders[1::2]
    long_enough = run_end - run_start >= SILENT_FRAMES
    run_start, run_end = run_start[long_enough], run_end[long_enough]
    at = pitch * rows.shape[1] + start
    run = np.searchsorted(run_end, at + SILENT_FRAMES)
    end: Indices = np.maximum(run_start[run], at) - pitch * rows.shape[1]
    return np.minimum(end, limit)


def ends_of(
    heard: Posteriors, pitch: Indices, start: Indices, limit: Indices, material: Material
) -> NDArray[np.float64]:
    """For each note the frame at which it ends, between frames, at the most `limit`."""
    rows, even = release_features(heard, pitch, start, limit)
    longer = answers(networks().release, rows, material)[:, 0].astype(np.float64)
    length = np.maximum(even - start, 1) * np.exp(np.clip(longer, -MOST_CORRECTION, MOST_CORRECTION))
    ends: NDArray[np.float64] = np.minimum(start + length, limit)
    return ends


def release_features(
    heard: Posteriors, pitch: Indices, start: Indices, limit: Indices
) -> tuple[Rows, Indices]:
    """(notes, RELEASE_FEATURES), and each note's frame at which its activation falls below `EVEN`."""
    after = np.minimum(start + 2, limit)
    by_row = by_pitch(heard.note)
    ends = {at: crossings(by_row, pitch, after, limit, at) for at in THRESHOLDS}
    even = np.maximum(ends[EVEN], start + 1)
    columns = _columns(heard, pitch, start, limit, list(ends.values()), even)
    return np.stack(list(columns), axis=1).astype(np.float32), even


def _columns(
    heard: Posteriors, pitch: Indices, start: Indices, limit: Indices, ends: list[Indices], even: Indices
) -> Iterator[Rows]:
    yield _length(even - start)
    for end in ends:
        yield _length(end - start) - _length(even - start)
        yield (end == limit).astype(np.float32)
    yield _length(limit - start)
    begins_db = _level(heard.level, start + 3, pitch)
    for end in ends:
        yield (_level(heard.level, end, pitch) - begins_db) / np.float32(20)
    for step in LATER:
        inside = start + step < limit
        yield np.where(inside, _share(heard.note, start + step, pitch), np.float32(0))
        yield np.where(
            inside, (_level(heard.level, start + step, pitch) - begins_db) / np.float32(20), np.float32(-2)
        )
    for step in (-8, -4, 0, 4):
        yield (
            _level(heard.level, even + step, pitch) - _level(heard.level, even + step - 4, pitch)
        ) / np.float32(10)
        yield _share(heard.onset, even + step, pitch)
    yield (pitch.astype(np.float32) - np.float32(PITCHES / 2)) / np.float32(24)


def _length(frames: Indices) -> Rows:
    return np.log(np.maximum(frames, 1)).astype(np.float32)


def _share(values: Packed, frame: Indices, pitch: Indices) -> Rows:
    return values[np.clip(frame, 0, len(values) - 1), pitch].astype(np.float32) / np.float32(PACKED_ONE)


def _level(level: Levels, frame: Indices, pitch: Indices) -> Rows:
    packed = level[np.clip(frame, 0, len(level) - 1), pitch]
    return packed.astype(np.float32) / np.float32(LEVEL_STEPS_PER_DB)


RELEASE_FEATURES = 1 + 2 * len(THRESHOLDS) + 1 + len(THRESHOLDS) + 2 * len(LATER) + 8 + 1
