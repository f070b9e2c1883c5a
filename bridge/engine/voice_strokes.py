"""Where the notes of one voice may begin, and what speaks for each place. Pure.

A candidate is a peak of the novelty or of the onset activation within one stretch of a held pitch, or shortly
before it (the sound begins before its pitch is clear), or the stretch's beginning itself. What the curves do
around it becomes one row of numbers for a small network (`bridge.engine.voice_network`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.pitch_track import LEVEL_S, NOVELTY_S
from bridge.engine.posteriors import FRAME_S, LEVEL_PITCHES, LOWEST_PITCH, PITCHES, level_db
from bridge.engine.voice_path import View

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]
Indices = NDArray[np.int64]
Columns = NDArray[np.floating[Any]]

BEFORE_S, BEFORE_END_S = 0.1, 0.03  # how far candidates reach before their stretch, and before its end
LEAST_EVIDENCE = 0.1
NOVELTY_SHARE = 0.15  # of a decibel of novelty beside a whole onset activation
MOST_NOVELTY_DB = 6.0
PEAK_REACH = 4  # steps of the novelty's grid
OVERTONES = (12, 19, 24)
NEAR_S = 0.02  # a stretch's beginning this near to a peak is that peak


@dataclass(frozen=True)
class Stretches:
    """Runs of one pitch: `start` and `end` (after the last) in frames, `pitch` a MIDI note number,
    `before` that of the run just before, -1 for silence."""

    start: Indices
    end: Indices
    pitch: Indices
    before: Indices


@dataclass(frozen=True)
class Strokes:
    """Candidates in order of stretch and time: seconds, the stretch each belongs to, and its pitch."""

    at_s: Floats
    stretch: Indices
    pitch: Indices


def stretches_of(states: Indices) -> Stretches:
    """The runs of one pitch in a path."""
    edge = np.flatnonzero(np.diff(states, prepend=-2, append=-2))
    pitch = states[edge[:-1]]
    before = np.concatenate([[-1], pitch[:-1]])
    held = pitch >= 0
    return Stretches(edge[:-1][held], edge[1:][held], pitch[held], before[held])


def strokes_of(view: View, runs: Stretches) -> Strokes:
    """All candidates."""
    at_s, stretch = _peaks(view, runs)
    begin_s = runs.start * FRAME_S
    # A stretch's beginning counts where no peak of its own is near.
    key, span = stretch * 1e6 + at_s, np.arange(len(begin_s)) * 1e6
    alone = np.searchsorted(key, span + begin_s - NEAR_S) == np.searchsorted(key, span + begin_s + NEAR_S)
    at_s = np.concatenate([at_s, begin_s[alone]])
    stretch = np.concatenate([stretch, np.flatnonzero(alone)])
    order = np.lexsort((at_s, stretch))
    return Strokes(at_s[order], stretch[order], runs.pitch[stretch[order]])


def _peaks(view: View, runs: Stretches) -> tuple[Floats, Indices]:
    """Peaks of novelty and onset together: seconds, and the stretch."""
    first = np.maximum((runs.start * FRAME_S - BEFORE_S) / NOVELTY_S, 0).astype(np.int64)
    last = np.minimum((runs.end * FRAME_S - BEFORE_END_S) / NOVELTY_S, len(view.novelty_db) - 1)
    count = np.maximum(last.astype(np.int64) - first, 0)
    stretch = np.repeat(np.arange(len(count)), count)
    step = np.arange(len(stretch)) - np.repeat(np.cumsum(count) - count, count) + first[stretch]
    frame = step * (NOVELTY_S / FRAME_S)
    low = np.clip(frame.astype(np.int64), 0, view.frames - 1)
    high = np.minimum(low + 1, view.frames - 1)
    column = runs.pitch[stretch] - LOWEST_PITCH
    share = (frame - low).astype(np.float32)
    evidence = (1 - share) * view.onset[low, column] + share * view.onset[high, column]
    evidence += NOVELTY_SHARE * np.minimum(view.novelty_db[step], MOST_NOVELTY_DB)
    # Silence between the stretches, so that no peak looks over into the next.
    padded = np.concatenate([evidence, np.zeros(PEAK_REACH, np.float32)])
    peak = evidence > LEAST_EVIDENCE
    for reach in range(1, PEAK_REACH + 1):
        same = np.zeros(len(evidence), dtype=bool)
        same[reach:] = stretch[reach:] == stretch[:-reach]
        peak[reach:] &= ~same[reach:] | (evidence[reach:] > evidence[:-reach])
        after = padded[reach : reach + len(evidence)]
        followed = np.zeros(len(evidence), dtype=bool)
        followed[:-reach] = same[reach:]
        peak &= ~followed | (evidence >= after)
    return step[peak] * NOVELTY_S, stretch[peak]


def features(view: View, runs: Stretches, strokes: Strokes) -> Rows:
    """(candidates, FEATURES): what the curves do around each candidate, each number about -1..1."""
    columns = [*_heard(view, strokes), *_sound(view, strokes), *_pitch(view, strokes), *_place(runs, strokes)]
    return np.stack([column.astype(np.float32) for column in columns], axis=1)


def _around(
    curve: NDArray[np.floating[Any]], at_s: Floats, step_s: float, first_s: float, last_s: float
) -> Rows:
    """(candidates, steps): a curve from `first_s` to `last_s` around each candidate."""
    steps = np.arange(round(first_s / step_s), round(last_s / step_s) + 1)
    index = np.rint(at_s / step_s).astype(np.int64)[:, None] + steps
    return np.asarray(curve[np.clip(index, 0, len(curve) - 1)], dtype=np.float32)


def _column(table: Rows, strokes: Strokes, offset: int, steps: range) -> Rows:
    """(candidates, steps): an activation of each candidate's pitch plus `offset`, frames around it."""
    frame = np.rint(strokes.at_s / FRAME_S).astype(np.int64)[:, None] + np.arange(steps.start, steps.stop)
    column = strokes.pitch - LOWEST_PITCH + offset
    there = (column >= 0) & (column < PITCHES)
    picked = table[np.clip(frame, 0, len(table) - 1), np.clip(column, 0, PITCHES - 1)[:, None]]
    return np.asarray(picked * there[:, None], dtype=np.float32)


def _heard(view: View, strokes: Strokes) -> Iterator[Columns]:
    onset = _column(view.onset, strokes, 0, range(-3, 4))
    yield onset.max(axis=1)
    yield onset[:, 3]
    yield onset[:, :3].max(axis=1)
    yield onset[:, 4:].max(axis=1)
    yield (onset.argmax(axis=1) - 3) / 3
    for offset in (-1, 1, -12, 12):
        yield _column(view.onset, strokes, offset, range(-3, 4)).max(axis=1)
    note = _column(view.note, strokes, 0, range(-10, 13))
    yield note[:, :7].mean(axis=1)
    yield note[:, 4:11].min(axis=1)
    yield note[:, 11:17].mean(axis=1)
    yield note[:, 17:].mean(axis=1)
    yield from _partials(view, strokes)


def _partials(view: View, strokes: Strokes) -> Iterator[Columns]:
    """How much louder the pitch and its overtones become."""
    if view.heard is None:
        yield from (np.zeros(len(strokes.at_s), np.float32) for _ in range(4))
        return
    frame = np.rint(strokes.at_s / FRAME_S).astype(np.int64)[:, None] + np.arange(-6, 8)
    frame = np.clip(frame, 0, len(view.heard.level) - 1)
    rises, dips = [], []
    for overtone in (0, *OVERTONES):
        column = np.minimum(strokes.pitch - LOWEST_PITCH + overtone, LEVEL_PITCHES - 1)
        level = np.maximum(level_db(view.heard.level[frame, column[:, None]]), -70)
        rises.append(level[:, 7:].max(axis=1) - level[:, 2:8].min(axis=1))
        dips.append(level[:, :3].max(axis=1) - level[:, 2:8].min(axis=1))
    yield rises[0] / 20
    yield np.mean(rises[1:], axis=0) / 20
    yield dips[0] / 20
    yield np.mean(dips[1:], axis=0) / 20


def _sound(view: View, strokes: Strokes) -> Iterator[Columns]:
    novelty = _around(view.novelty_db, strokes.at_s, NOVELTY_S, -0.2, 0.2)
    here = novelty[:, 44:57].max(axis=1)
    yield np.minimum(here, 10) / 5
    yield np.minimum(novelty[:, 50], 10) / 5
    yield (here - novelty.mean(axis=1)) / 5
    yield np.minimum(novelty[:, 25:42].max(axis=1), 10) / 5
    yield np.minimum(novelty[:, 59:76].max(axis=1), 10) / 5
    yield (novelty[:, 35:66].argmax(axis=1) - 15) / 15
    level = np.maximum(_around(view.fine_level_db, strokes.at_s, LEVEL_S, -0.12, 0.12), view.top_db - 60)
    rise = level[:, 36:95] - level[:, 28:87]  # within 16 ms, ending 48 ms before to 68 ms after
    yield (rise.argmax(axis=1) - 28) / 28
    yield rise.max(axis=1) / 10
    yield (level[:, 30:68].argmin(axis=1) - 30) / 30
    low = level[:, 40:64].min(axis=1)
    yield (level[:, 60:81].max(axis=1) - low) / 10
    yield (level[:, 60:].max(axis=1) - low) / 10
    yield (level[:, :41].max(axis=1) - low) / 10
    yield (level[:, 60:81].max(axis=1) - view.top_db) / 20
    yield (level[:, :41].mean(axis=1) - view.top_db) / 20
    yield (level[:, 50:61].mean(axis=1) - view.top_db) / 20


def _pitch(view: View, strokes: Strokes) -> Iterator[Columns]:
    frame = np.rint(strokes.at_s / FRAME_S).astype(np.int64)[:, None] + np.arange(-6, 11)
    frame = np.clip(frame, 0, view.frames - 1)
    off = np.clip(view.pitch[frame] - strokes.pitch[:, None], -2, 2)
    sure = view.confidence[frame]
    for part in (slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 13), slice(13, 17)):
        yield np.median(off[:, part], axis=1)
        yield np.abs(off[:, part]).max(axis=1)
        yield sure[:, part].mean(axis=1)
    yield sure[:, 3:10].min(axis=1)


def _place(runs: Stretches, strokes: Strokes) -> Iterator[Columns]:
    since_s = strokes.at_s - runs.start[strokes.stretch] * FRAME_S
    until_s = runs.end[strokes.stretch] * FRAME_S - strokes.at_s
    yield np.clip(since_s, -0.12, 0.12) / 0.1
    yield (since_s < 0).astype(np.float32)
    yield np.minimum(since_s, 0.6) / 0.3
    yield np.clip(until_s, 0, 0.4) / 0.3
    before = runs.before[strokes.stretch]
    yield (before < 0).astype(np.float32)
    yield np.where(before < 0, 0, np.clip(strokes.pitch - before, -3, 3) / 2)
    yield (np.where(before < 0, 0, np.abs(np.abs(strokes.pitch - before) - 12)) < 1).astype(np.float32)
    yield (strokes.pitch - 60) / 24
