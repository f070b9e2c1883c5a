"""Beats and bars that explain a network's activations best: the bar pointer model.

After Krebs, Böck and Widmer, "An Efficient State-Space Model for Joint Tempo and Meter Tracking" (ISMIR
2015), and their observations (ISMIR 2016): a pointer runs through the bar, at a tempo that may change at each
beat. Between two beats nothing is free, so the best path is found from beat to beat instead of from frame to
frame: the same maximum, but the work of many frames is one array's, and only a beat's beginning leaves a
trace. The memory is a byte a frame for each tempo and beat of the bar.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]

FRAMES_PER_S: Final = 100
SLOWEST_BPM, FASTEST_BPM = 50.0, 215.0
SHORTEST, LONGEST = round(60 * FRAMES_PER_S / FASTEST_BPM), round(60 * FRAMES_PER_S / SLOWEST_BPM)
INTERVALS: Final = np.arange(SHORTEST, LONGEST + 1)
"""Frames between two beats: the tempi that there are."""
STEADINESS: Final = 100.0
"""How unlikely a change of tempo is: e^(-100 |1 - ratio|)."""
MOST_CHANGE: Final = 0.12
BEAT_SHARE: Final = 16
"""The first sixteenth of a beat is where it is heard."""
LEAST: Final = np.float32(-1e30)

Check = Callable[[], None]


@dataclass(frozen=True)
class Beats:
    """`frames` (beats,), 100 a second; `numbers` in the bar, from 0; the log likelihood of the whole path."""

    frames: NDArray[np.int64]
    numbers: NDArray[np.int64]
    beats_per_bar: int
    likelihood: float


def decode(activation: Floats, beats_per_bar: int, check: Check = lambda: None) -> Beats:
    """The best beats for `activation` (frames, 2): the probabilities of a beat and of a downbeat.

    Frames are 100 a second. Only beats within the activation are given.
    """
    path = _Path(_Observed(activation), beats_per_bar)
    for first in range(0, len(activation), SHORTEST):
        check()
        path.go_on(first)
    return path.best()


class _Observed:
    """Sums of the log likelihood of what is observed, so that each beat's is three differences."""

    def __init__(self, activation: Floats) -> None:
        beat, downbeat = np.clip(activation.T.astype(np.float64), 1e-6, 1)
        neither = np.clip(1 - beat - downbeat, 1e-6, 1) / (BEAT_SHARE - 1)
        self.frames = len(activation)
        self.downbeat, self.beat, self.neither = (
            np.concatenate([[0.0], np.cumsum(np.log(part))]) for part in (downbeat, beat, neither)
        )

    def segments(self, starts: NDArray[np.int64], beats_per_bar: int) -> Wide:
        """(starts, beats, intervals): the likelihood of a beat that begins there and lasts so long."""
        start = np.minimum(starts, self.frames)[:, np.newaxis]
        loud = np.minimum(start + -(-INTERVALS // BEAT_SHARE), self.frames)
        end = np.minimum(start + INTERVALS, self.frames)
        rest = self.neither[end] - self.neither[loud]
        first = self.downbeat[loud] - self.downbeat[start] + rest
        others = self.beat[loud] - self.beat[start] + rest
        return np.stack([first, *[others] * (beats_per_bar - 1)], axis=1)


class _Path:
    """The best score of each beat's beginning, block by block of the shortest beat's length."""

    def __init__(self, observed: _Observed, beats_per_bar: int) -> None:
        self.observed, self.beats = observed, beats_per_bar
        self.taken = np.zeros((observed.frames, beats_per_bar, len(INTERVALS)), np.int8)
        # Of the beats that began in the last LONGEST frames: their score when they end, less `level`.
        self.ended = np.full((LONGEST, beats_per_bar, len(INTERVALS)), LEAST, np.float32)
        self.level = 0.0
        offsets = np.arange(SHORTEST)[:, np.newaxis]
        self.rows = LONGEST + offsets - INTERVALS
        self.columns = np.broadcast_to(np.arange(len(INTERVALS)), self.rows.shape)
        self.end: tuple[float, int, int, int] = (-np.inf, 0, 0, 0)

    def go_on(self, first: int) -> None:
        """Works on the frames from `first` on, as many as the shortest beat has."""
        before = self.ended[self.rows, :, self.columns].transpose(0, 2, 1)
        before = np.roll(before, 1, axis=1)
        best, taken = _changed(before)
        if first < LONGEST:
            self._begin(first, best, taken)
        count = min(SHORTEST, self.observed.frames - first)
        self.taken[first : first + count] = taken[:count]
        starts = first + np.arange(SHORTEST)
        ended = best + self.observed.segments(starts, self.beats)
        ended[count:] = LEAST
        self._look_for_end(starts[:count], ended[:count])
        top = float(ended.max())
        self.level += top
        self.ended = np.concatenate([self.ended[SHORTEST:], ended.astype(np.float32)]) - np.float32(top)
        np.maximum(self.ended, LEAST, out=self.ended)

    def _begin(self, first: int, best: Floats, taken: NDArray[np.int8]) -> None:
        """The first beat may begin at any frame within the longest one."""
        starts = np.minimum(first + np.arange(SHORTEST), self.observed.frames)
        alone = self.observed.neither[starts][:, np.newaxis] - self.level
        alone = np.where(starts[:, np.newaxis] < INTERVALS, alone, LEAST)[:, np.newaxis, :]
        is_first = alone > best
        np.copyto(best, alone, where=is_first, casting="same_kind")
        taken[is_first] = FIRST

    def _look_for_end(self, starts: NDArray[np.int64], ended: Wide) -> None:
        """Remembers the best beat that lasts to the activation's end."""
        lasts = starts[:, np.newaxis] + INTERVALS >= self.observed.frames
        if not lasts.any():
            return
        scores = np.where(lasts[:, np.newaxis, :], ended, -np.inf)
        frame, beat, interval = np.unravel_index(int(scores.argmax()), scores.shape)
        score = float(scores[frame, beat, interval]) + self.level
        if score > self.end[0]:
            self.end = (score, int(starts[frame]), int(beat), int(interval))

    def best(self) -> Beats:
        score, frame, beat, interval = self.end
        frames, numbers = [], []
        while np.isfinite(score):
            frames.append(frame)
            numbers.append(beat)
            change = int(self.taken[frame, beat, interval])
            if change == FIRST:
                break
            interval += change
            frame -= int(INTERVALS[interval])
            beat = (beat - 1) % self.beats
        return Beats(np.array(frames[::-1], np.int64), np.array(numbers[::-1], np.int64), self.beats, score)


FIRST: Final = 127
"""Taken instead of a change of the interval: no beat was before."""


def _changed(before: Floats) -> tuple[Floats, NDArray[np.int8]]:
    """The best over all changes of tempo, (frames, beats, intervals), and how much longer the last was."""
    reach, costs = _changes()
    count = len(INTERVALS)
    padded = np.pad(before, ((0, 0), (0, 0), (reach, reach)), constant_values=LEAST)
    best = np.full(before.shape, LEAST, np.float32)
    taken = np.zeros(before.shape, np.int8)
    for change in range(-reach, reach + 1):
        score = padded[:, :, reach + change : reach + change + count] + costs[change + reach]
        better = score > best
        taken[better] = change
        np.maximum(best, score, out=best)
    return best, taken


@lru_cache(maxsize=1)
def _changes() -> tuple[int, Floats]:
    """How many intervals a change may reach, and (2 reach + 1, intervals): the log probability of each."""
    ratio = INTERVALS[np.newaxis, :] / INTERVALS[:, np.newaxis]  # from a row to a column
    chances = np.exp(-STEADINESS * np.abs(ratio - 1))
    chances[np.abs(ratio - 1) > MOST_CHANGE] = 0
    chances /= chances.sum(axis=1, keepdims=True)
    reach = int(np.abs(np.subtract(*np.nonzero(chances))).max())
    costs = np.full((2 * reach + 1, len(INTERVALS)), LEAST, np.float32)
    for before, after in zip(*np.nonzero(chances), strict=True):
        costs[before - after + reach, after] = np.log(chances[before, after])
    return reach, costs
