"""What a possible note looks like among its harmonic relatives, as one row of numbers each. Pure.

A candidate's own pitch is looked at closely in time; each pitch whose partials it could be, or that could be
a partial of it, is looked at just before and just after. Loudness is told relative to the loudest at that
time, so that the gain of a bounce does not matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.note_candidates import Candidates, Indices
from bridge.engine.posteriors import LEVEL_PITCHES, LEVEL_STEPS_PER_DB, PACKED_ONE, PITCHES, Posteriors

# Frames around the candidate's.
OWN_ONSET = (-4, -3, -2, -1, 0, 1, 2, 3, 4)
OWN_NOTE = (-16, -10, -6, -3, -1, 0, 1, 3, 5, 8, 12, 17, 24, 34)
OWN_LEVEL = (-8, -5, -3, -1, 0, 1, 3, 5, 8, 13, 20)
OWN_CONTOUR = (-4, 1, 4, 9)
CONTOUR_BINS_NEAR = (-3, -1, 0, 1, 3)  # thirds of a semitone from the pitch
# The own pitch's strongest onset within `NEAR` frames of these, one group a number.
OTHER_ONSETS = ((-37, -30, -24), (-18, -12), (-7,), (7,), (13, 18))

# Semitones: the pitches whose overtone it could be, its neighbours, and its own overtones.
BELOW = (-36, -34, -31, -28, -24, -19, -16, -12, -7, -5, -4, -3, -2, -1)
ABOVE = (1, 2, 3, 4, 5, 7, 12, 16, 19, 24, 28, 31, 34, 36)
RELATIVES = (*BELOW, *ABOVE)
LEVELS_ONLY = (9, 22, 40, 43)  # other partials, its own and those of notes below
BEFORE, AFTER = -4, 4  # frames at which relatives are looked at
NEAR = 3  # frames to both sides in which a relative's onset counts
LEAST_STRONGEST = np.float32(0.01)  # so that nothing is divided by nothing
LOUDEST_NEAR = 8  # frames to both sides in which the loudest is looked for, to compare with

QUIETEST_DB = 60.0  # below the loudest: all that is quieter is alike
BLOCK = 4096  # frames that are worked on at a time
MARGIN = 48  # frames around a block that its features reach into

Rows = NDArray[np.float32]


def features(heard: Posteriors, found: Candidates) -> Rows:
    """One row a candidate: (candidates, FEATURES)."""
    columns = np.zeros((FEATURES, len(found)), dtype=np.float32)
    for first in np.unique(found.frame // BLOCK) * BLOCK:
        here = np.nonzero((found.frame >= first) & (found.frame < first + BLOCK))[0]
        if len(here):
            window = _Window(heard, first)
            frame = found.frame[here] - first + MARGIN
            for column, values in zip(columns, _columns(window, frame, found.pitch[here]), strict=True):
                column[here] = values
    return columns.T


class _Window:
    """A block of the posteriorgrams with margins on all sides, so that no index falls outside."""

    def __init__(self, heard: Posteriors, first: int) -> None:
        self.note = _cut(heard.note, first, sides=36)
        self.onset = _cut(heard.onset, first, sides=36)
        self.contour = _cut(heard.contour, first, sides=3)
        self.level = _cut(heard.level, first, sides=36)
        self.onset_near = _largest_near(self.onset, NEAR)
        self.loudest = _largest_near(self.level.max(axis=1), LOUDEST_NEAR).astype(np.float32)
        self.strongest = self.onset_near.max(axis=1)
        self.sounding = _counts(self.note >= PACKED_ONE * 3 // 10)
        self.starting = _counts(self.onset_near >= PACKED_ONE * 4 // 10)
        self.flux = self._flux()

    def _flux(self) -> Rows:
        """By how much the sound as a whole gets louder around each frame, in 10 dB a pitch on average."""
        level = self.level[:, 36:-36]
        louder = np.maximum(level[4:], level[:-4]) - level[:-4]
        rise = np.zeros(len(level), dtype=np.float32)
        rise[2:-2] = _counts(louder) / np.float32(level.shape[1] * 10 * LEVEL_STEPS_PER_DB)
        return rise


def _counts(values: NDArray[Any]) -> Rows:
    """The sum of each row; as a product, which is the quickest way."""
    return values.astype(np.float32) @ np.ones(values.shape[1], dtype=np.float32)


def _cut(values: NDArray[Any], first: int, *, sides: int) -> NDArray[Any]:
    """`BLOCK` frames from `first` on with `MARGIN` frames and `sides` columns of zeros or more around."""
    start, end = max(first - MARGIN, 0), min(first + BLOCK + MARGIN, len(values))
    cut = np.zeros((BLOCK + 2 * MARGIN, values.shape[1] + 2 * sides), dtype=values.dtype)
    cut[start - first + MARGIN : end - first + MARGIN, sides : sides + values.shape[1]] = values[start:end]
    return cut


def _largest_near(values: NDArray[Any], reach: int) -> NDArray[Any]:
    largest = values.copy()
    for step in range(1, reach + 1):
        np.maximum(largest[step:], values[:-step], out=largest[step:])
        np.maximum(largest[:-step], values[step:], out=largest[:-step])
    return largest


def _columns(window: _Window, frame: Indices, pitch: Indices) -> Iterator[Rows]:
    yield from _own(window, frame, pitch)
    yield from _around(window, frame, pitch)
    for distance in RELATIVES:
        at = pitch + 36 + distance
        yield _share(_at(window.onset_near, frame, at))
        yield _share(_at(window.note, frame + AFTER, at))
        yield _share(_at(window.note, frame + BEFORE, at))
    for distance in (*RELATIVES, *LEVELS_ONLY):
        at = np.minimum(pitch + 36 + distance, LEVEL_PITCHES + 2 * 36 - 1)
        after = _relative_db(window, frame, at, after=AFTER)
        yield after
        yield after - _relative_db(window, frame, at, after=BEFORE)


def _own(window: _Window, frame: Indices, pitch: Indices) -> Iterator[Rows]:
    at = pitch + 36
    for step in OWN_ONSET:
        yield _share(_at(window.onset, frame + step, at))
    for step in OWN_NOTE:
        yield _share(_at(window.note, frame + step, at))
    for step in OWN_LEVEL:
        yield _relative_db(window, frame, at, after=step)
    for step in OWN_CONTOUR:
        for thirds in CONTOUR_BINS_NEAR:
            yield _share(_at(window.contour, frame + step, 3 + 3 * pitch + 1 + thirds))
    for steps in OTHER_ONSETS:
        strongest = _at(window.onset_near, frame + steps[0], at)
        for step in steps[1:]:
            strongest = np.maximum(strongest, _at(window.onset_near, frame + step, at))
        yield _share(strongest)


def _around(window: _Window, frame: Indices, pitch: Indices) -> Iterator[Rows]:
    own, strongest = _share(_at(window.onset_near, frame, pitch + 36)), _share(window.strongest[frame])
    yield np.asarray(own / np.maximum(strongest, LEAST_STRONGEST), dtype=np.float32)
    yield strongest
    for step in (BEFORE, AFTER):
        yield window.sounding[frame + step] / np.float32(5)
    yield window.starting[frame] / np.float32(5)
    for step in (-4, -2, 0, 2, 4):
        yield window.flux[frame + step]
    yield (window.loudest[frame + 12] - window.loudest[frame - 12]) / np.float32(20 * LEVEL_STEPS_PER_DB)
    place = (pitch.astype(np.float32) - np.float32(PITCHES / 2)) / np.float32(24)
    yield place
    yield place**2


def _at(values: NDArray[Any], frame: Indices, column: Indices) -> NDArray[Any]:
    """`values[frame, column]`, in half the time. Indices must be inside."""
    found: NDArray[Any] = values.ravel().take(frame * values.shape[1] + column)
    return found


def _share(packed: NDArray[np.uint16]) -> Rows:
    return packed.astype(np.float32) * np.float32(1 / PACKED_ONE)


def _relative_db(window: _Window, frame: Indices, at: Indices, *, after: int) -> Rows:
    """In 20 dB over the quietest that counts, `after` frames later, to the loudest around `frame`."""
    over_db: Rows = _at(window.level, frame + after, at).astype(np.float32)
    over_db -= window.loudest.take(frame)
    over_db /= np.float32(LEVEL_STEPS_PER_DB)
    over_db += np.float32(QUIETEST_DB)
    np.maximum(over_db, 0, out=over_db)
    over_db /= np.float32(20)
    return over_db


FEATURES = (
    len(OWN_ONSET)
    + len(OWN_NOTE)
    + len(OWN_LEVEL)
    + len(OWN_CONTOUR) * len(CONTOUR_BINS_NEAR)
    + len(OTHER_ONSETS)
    + 13
    + 3 * len(RELATIVES)
    + 2 * (len(RELATIVES) + len(LEVELS_ONLY))
)
