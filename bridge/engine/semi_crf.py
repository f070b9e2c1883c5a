"""The best set of intervals on each of many lines of time: the Viterbi of a semi-Markov field, in numpy.

On a line (one key of a piano) intervals follow each other, share at most an end frame, and the gaps between
them score 0. An interval may also be a single frame. Method: Yan, Cwitkowitz and Duan, "Skipping the
Frame-Level: Event-Based Piano Transcription With Neural Semi-CRFs", NeurIPS 2021.

Only intervals that score above 0 need to be known. The best score from a frame to the end never gets smaller
as the frame moves towards the beginning, for waiting costs nothing; so an interval of no score at best equals
waiting through it. That leaves a few thousand of the twenty million intervals of a window, and the result is
exactly the same.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Intervals:
    """One entry an interval: line, first and last frame (the same for a single one), and score."""

    line: Indices
    first: Indices
    last: Indices
    score: Scores

    def __len__(self) -> int:
        return len(self.line)

    def only(self, keep: NDArray[np.bool_] | Indices) -> Intervals:
        return Intervals(*(getattr(self, each.name)[keep] for each in fields(self)))


def best_intervals(
    single: Scores, pairs: Intervals, begin: Indices, *, lenience: Scores | None = None
) -> Intervals:
    """The intervals of the best path of every line, in order of line and time.

    `single` is (lines, frames), what a note within each one frame scores. `pairs` are the longer intervals
    (`first` before `last`), at least those that score above 0, in any order. `begin` is (lines,), the frame
    from which on a line is looked at. `lenience` (lines,) is added to each longer interval's score while the
    path is sought; then `pairs` must go down to minus that.
    Of two equal ways the later start and the earlier end is taken.
    """
    if lenience is not None:
        eased = replace(pairs, score=pairs.score + lenience[pairs.line])
        found = best_intervals(single, eased, begin)
        longer = found.last > found.first
        return replace(found, score=found.score - np.where(longer, lenience[found.line], np.float32(0)))
    lines, frames = single.shape
    gain = np.maximum(single.T.astype(np.float64), 0)
    pairs = pairs.only(pairs.score > 0)
    pairs = pairs.only(np.lexsort((-pairs.last, -pairs.first)))
    borders = np.searchsorted(-pairs.first, -np.arange(frames), side="left")
    ends = np.searchsorted(-pairs.first, -np.arange(frames), side="right")
    best = np.zeros((frames + 1, lines))
    choice = np.full((frames, lines), -1, np.int64)
    for frame in range(frames - 1, -1, -1):
        best[frame] = best[frame + 1]
        here = slice(borders[frame], ends[frame])
        if here.stop > here.start:
            _choose(best, choice, frame, pairs.line[here], pairs.last[here], pairs.score[here])
        best[frame] += gain[frame]
    return _followed(single, pairs, choice, begin)


def _choose(
    best: NDArray[np.float64], choice: Indices, frame: int, line: Indices, last: Indices, score: Scores
) -> None:
    """Enter the best interval that begins at `frame` into each line where it beats waiting."""
    value = best[last, line] + score
    better = np.flatnonzero(value > best[frame, line])
    # In rising order: of several on one line the last one written is the best, and of equals the shortest.
    better = better[np.argsort(value[better], kind="stable")]
    best[frame, line[better]] = value[better]
    choice[frame, line[better]] = last[better]


def _followed(single: Scores, pairs: Intervals, choice: Indices, begin: Indices) -> Intervals:
    """From each line's `begin`, what was chosen, single frames included."""
    line, stop = np.nonzero((choice.T >= 0) | (single > 0))
    free = begin.tolist()
    found: list[tuple[int, int, int]] = []
    ends = choice[stop, line].tolist()
    alone = (single[line, stop] > 0).tolist()
    for at, frame, end, is_single in zip(line.tolist(), stop.tolist(), ends, alone, strict=True):
        if frame < free[at]:
            continue
        if is_single:
            found.append((at, frame, frame))
        if end >= 0:
            found.append((at, frame, end))
            free[at] = end
    lines, firsts, lasts = np.array(found, np.int64).reshape(-1, 3).T
    return Intervals(lines, firsts, lasts, _scores_of(lines, firsts, lasts, single, pairs))


def _scores_of(line: Indices, first: Indices, last: Indices, single: Scores, pairs: Intervals) -> Scores:
    frames = single.shape[1]
    keys = (pairs.line * frames + pairs.first) * frames + pairs.last
    order = np.argsort(keys)
    wanted = (line * frames + first) * frames + last
    score: Scores = single[line, first]
    longer = last > first
    score[longer] = pairs.score[order[np.searchsorted(keys[order], wanted[longer])]]
    return score
