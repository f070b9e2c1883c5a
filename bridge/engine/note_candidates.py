"""Where a note may begin: every onset peak, however weak, and every sudden rise without one. Pure.

What is found here is looked at closely afterwards (`bridge.engine.candidate_features`), so weak ones are
welcome: a note that is not a candidate is lost, a candidate that is no note costs microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.posteriors import PACKED_ONE, Packed, unpack

LEAST_ONSET = 0.16  # the network answers 0.1 to silence: weaker peaks are its noise
ONE_STROKE = 4  # frames: peaks that are nearer to each other are one stroke, seen twice
RISE_SPAN = 3  # frames to both sides between which the note activation must rise ...
LEAST_RISE = 0.22  # ... by this much to be a beginning without an onset peak
NO_PEAK_NEAR = 6  # frames without any peak around such a rise
# How promising a candidate is, as a sum of weighted activations. Chosen so that 199 of 200 notes pass, and
# not half of the rest.
BEFORE, AFTER = range(-6, 1), range(9)  # frames
ONSET_WEIGHT, STRONG_ONSET_WEIGHT, STRONG_ONSET = 6.11, 2.94, 0.5
NOTE_WEIGHT, STRONG_NOTE_WEIGHT, STRONG_NOTE = 2.34, 9.28, 0.3
RISE_WEIGHT = 4.22
LEAST_PROMISE = 4.05

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Candidates:
    """Possible beginnings of notes, one entry each, in order of pitch and then time."""

    pitch: Indices  # column, 0..87
    frame: Indices

    def __len__(self) -> int:
        return len(self.pitch)

    def only(self, keep: NDArray[np.bool_] | Indices) -> Candidates:
        return Candidates(self.pitch[keep], self.frame[keep])


def candidates(note: Packed, onset: Packed) -> Candidates:
    """All candidates in two packed posteriorgrams of (frames, 88)."""
    peaks = _peaks(onset)
    begins = peaks | (_rises(note) & ~_around(peaks, NO_PEAK_NEAR))
    frame, pitch = np.nonzero(begins)
    order = np.lexsort((frame, pitch))
    found = Candidates(pitch[order], frame[order])
    return found.only(_promise(note, onset, found) >= LEAST_PROMISE)


def _promise(note: Packed, onset: Packed, found: Candidates) -> NDArray[np.float32]:
    """A first look at each candidate's onset, and at its note activation before and after."""
    struck: NDArray[np.float32] = unpack(onset[found.frame, found.pitch])
    sounds = unpack(_extreme(note, found, AFTER, np.maximum))
    promise = ONSET_WEIGHT * struck + STRONG_ONSET_WEIGHT * np.minimum(struck, STRONG_ONSET)
    promise += NOTE_WEIGHT * sounds + STRONG_NOTE_WEIGHT * np.minimum(sounds, STRONG_NOTE)
    promise += RISE_WEIGHT * (sounds - unpack(_extreme(note, found, BEFORE, np.minimum)))
    return np.asarray(promise, dtype=np.float32)


def _extreme(note: Packed, found: Candidates, steps: range, choose: np.ufunc) -> Packed:
    """For each candidate the most or the least of its pitch's activation in these frames; 0 outside."""
    frames, width = note.shape
    padded = np.zeros((frames + len(BEFORE) + len(AFTER), width), dtype=note.dtype)
    padded[len(BEFORE) : len(BEFORE) + frames] = note
    at = (found.frame + len(BEFORE)) * width + found.pitch
    extreme: Packed = padded.ravel().take(at + steps[0] * width)
    for step in steps[1:]:
        choose(extreme, padded.ravel().take(at + step * width), out=extreme)
    return extreme


def _peaks(onset: Packed) -> NDArray[np.bool_]:
    """Where the activation is the largest within `ONE_STROKE` frames; of equal ones, the first."""
    peaks = onset >= np.uint16(LEAST_ONSET * PACKED_ONE)
    for step in range(1, ONE_STROKE + 1):
        peaks[step:] &= onset[step:] > onset[:-step]
        peaks[:-step] &= onset[:-step] >= onset[step:]
    return peaks


def _rises(note: Packed) -> NDArray[np.bool_]:
    """Where the activation rises most, of all frames around, and by enough."""
    rise = np.zeros_like(note)
    if len(note) > 2 * RISE_SPAN:
        later, sooner = note[2 * RISE_SPAN :], note[: -2 * RISE_SPAN]
        np.subtract(np.maximum(later, sooner), sooner, out=rise[RISE_SPAN:-RISE_SPAN])
    steep = rise >= np.uint16(LEAST_RISE * PACKED_ONE)
    for step in range(1, ONE_STROKE + 1):
        steep[step:] &= rise[step:] > rise[:-step]
        steep[:-step] &= rise[:-step] >= rise[step:]
    return steep


def _around(there: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Where `there` is true within `reach` frames."""
    near = there.copy()
    for step in range(1, reach + 1):
        near[step:] |= there[:-step]
        near[:-step] |= there[step:]
    return near
