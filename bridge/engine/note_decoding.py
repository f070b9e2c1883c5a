"""From the model's two posteriorgrams to notes: our own decoding, in whole-array operations.

A note begins at a peak of the onset activation and lasts until its pitch's note activation has stayed low for
a while, or until the next onset on the same pitch. The arrays are turned to one row a pitch and laid end to
end, so that each rule is one operation on many pitches at once: ten minutes take a fraction of a second.

The frame grid is exact: frame f is at f * 256 / 22,050 s (`bridge.engine.notes` stitches on that grid).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.media.notes import Note

FRAME_HOP = 256
MODEL_RATE_HZ = 22_050
FRAME_S = FRAME_HOP / MODEL_RATE_HZ
LOWEST_PITCH = 21  # MIDI number of the first of the 88 columns
PITCHES = 88

# A ghost stands at one of these distances in semitones over the note whose overtone it is: harmonics 2 to 8.
OVERTONES = (12, 19, 24, 28, 31, 36)

# Chosen by measurement on rendered pianos, guitars, basses, leads and mixes, on flat optima
# (benchmarks/transcription_peer.py measures them again, on other seeds).
RELEASE_LAG = 4  # frames that the activation outlasts the sound
RELEASE_FRAMES = 11  # a note ends where its pitch is silent for this many frames
GHOST_RATIO = 1.6  # a note this much stronger makes those at its overtones ghosts
GHOST_REACH = 5  # frames that the stronger note may begin later
GHOST_OVERLAP = 3  # frames that it must sound on: one that ends as the other begins throws no ghost
RESTRIKE_RISE = 0.15  # of the note activation: less is no new stroke of a note that still sounds ...
RESTRIKE_SHARE = 0.9  # ... if another pitch begins then and its onset is clearly stronger
RESTRIKE_REACH = 4  # frames that "then" reaches to both sides
BEFORE_STROKE, AFTER_STROKE = 6, 7  # frames in which the rise is looked for

PACKED_ONE = 65_535
GROUP = 11  # pitches that are worked on at a time
GROUPS = range(0, PITCHES, GROUP)

Rows = NDArray[np.float32]  # (pitches, frames)
Indices = NDArray[np.int64]
Activations = NDArray[np.floating[Any]] | NDArray[np.uint16]


@dataclass(frozen=True)
class DecodingOptions:
    """How to read the activations. Thresholds are activations in 0..1, pitches MIDI note numbers."""

    onset_threshold: float = 0.6
    frame_threshold: float = 0.3
    minimum_note_ms: float = 60.0
    lowest_note: int = LOWEST_PITCH
    highest_note: int = LOWEST_PITCH + PITCHES - 1
    remove_ghosts: bool = True


@dataclass(frozen=True)
class _Strokes:
    """Onsets as arrays, one entry an onset, in order of pitch and then time."""

    pitch: Indices  # column, 0..87
    start: Indices  # frame
    start_frame: NDArray[np.float64]  # the same between frames
    onset: NDArray[np.float64]  # activation at the onset
    before: NDArray[np.float32]  # the least note activation just before
    after: NDArray[np.float32]  # the most just after

    def only(self, keep: NDArray[np.bool_]) -> _Strokes:
        return _Strokes(*(values[keep] for values in vars(self).values()))


@dataclass(frozen=True)
class _Found:
    """Notes as arrays, one entry a note, in order of pitch and then time; no two overlap on one pitch."""

    pitch: Indices  # column, 0..87
    start: Indices  # frame
    end: Indices  # frame after the last
    start_frame: NDArray[np.float64]
    onset: NDArray[np.float64]
    level: NDArray[np.float64]  # mean note activation

    def only(self, keep: NDArray[np.bool_]) -> _Found:
        return _Found(*(values[keep] for values in vars(self).values()))


def decode(note: Activations, onset: Activations, options: DecodingOptions) -> list[Note]:
    """The notes in two posteriorgrams, in order of start and pitch.

    `note` and `onset` are (frames, 88) activations, column 0 = MIDI note 21: floats in 0..1, or packed
    by `pack`.
    """
    if len(note) == 0:
        return []
    minimum_frames = options.minimum_note_ms / 1000 / FRAME_S
    strokes = _strokes(note, onset, options.onset_threshold)
    strokes = strokes.only(_is_struck(strokes, options.frame_threshold))
    strokes = strokes.only(~_too_soon(strokes, minimum_frames))
    found = _sustained(note, strokes, options.frame_threshold)
    found = found.only(found.end - found.start >= max(minimum_frames, 1))
    if options.remove_ghosts:
        found = found.only(~_ghosts(found))
    column = found.pitch + LOWEST_PITCH
    found = found.only((column >= options.lowest_note) & (column <= options.highest_note))
    return _as_notes(found)


def pack(activations: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Activations in 0..1 as 16-bit whole numbers: half the memory, and finer than float16."""
    return np.rint(np.clip(np.nan_to_num(activations), 0, 1) * PACKED_ONE).astype(np.uint16)


def _rows(activations: Activations, first: int) -> Rows:
    """`GROUP` pitches from column `first` on, one row a pitch: (GROUP, frames), contiguous."""
    rows = np.ascontiguousarray(activations[:, first : first + GROUP].T, dtype=np.float32)
    if activations.dtype == np.uint16:
        rows *= np.float32(1 / PACKED_ONE)
    return rows


def _strokes(note: Activations, onset: Activations, threshold: float) -> _Strokes:
    """All onset peaks. A few pitches at a time, so that hours need little memory beyond the packed arrays."""
    parts = [_strokes_in(_rows(note, first), _rows(onset, first), first, threshold) for first in GROUPS]
    columns = zip(*(vars(part).values() for part in parts), strict=True)
    return _Strokes(*(np.concatenate(column) for column in columns))


def _strokes_in(note: Rows, onset: Rows, first: int, threshold: float) -> _Strokes:
    row, start = np.nonzero(_peaks(onset, threshold))
    around = start[:, None] + np.arange(-BEFORE_STROKE, AFTER_STROKE + 1)
    level = note[row[:, None], np.clip(around, 0, note.shape[1] - 1)]
    return _Strokes(
        pitch=row + first,
        start=start,
        start_frame=_between_frames(onset, row, start),
        onset=onset[row, start].astype(np.float64),
        before=level[:, : BEFORE_STROKE + 1].min(axis=1),
        after=level[:, BEFORE_STROKE + 1 :].max(axis=1),
    )


def _peaks(onset: Rows, threshold: float) -> NDArray[np.bool_]:
    """Where the activation is over the threshold and over both neighbours; of a plateau, its first frame."""
    peaks = onset >= threshold
    peaks[:, 1:] &= onset[:, 1:] > onset[:, :-1]
    peaks[:, :-1] &= onset[:, :-1] >= onset[:, 1:]
    return peaks


def _is_struck(strokes: _Strokes, frame_threshold: float) -> NDArray[np.bool_]:
    """Which onsets are real strokes.

    A stroke on one pitch shakes the activations of the pitches that sound on: an onset on a sounding pitch
    counts only if it is not clearly the weaker of two, or if its pitch gets louder.
    """
    strongest = np.zeros(int(strokes.start.max(initial=0)) + 2 * RESTRIKE_REACH + 1)
    np.maximum.at(strongest, strokes.start + RESTRIKE_REACH, strokes.onset)
    near = strongest[strokes.start[:, None] + np.arange(2 * RESTRIKE_REACH + 1)].max(axis=1)
    is_new = strokes.before < frame_threshold
    gets_louder = strokes.after - strokes.before >= RESTRIKE_RISE
    return np.asarray(is_new | gets_louder | (strokes.onset >= RESTRIKE_SHARE * near))


def _too_soon(strokes: _Strokes, minimum_frames: float) -> NDArray[np.bool_]:
    """Which onsets follow one on their own pitch too soon for a note: one stroke, seen twice."""
    soon = np.zeros(len(strokes.start), dtype=bool)
    soon[1:] = (np.diff(strokes.pitch) == 0) & (np.diff(strokes.start) < minimum_frames)
    return soon


def _sustained(note: Activations, strokes: _Strokes, frame_threshold: float) -> _Found:
    """Each stroke with its end and its level."""
    ends, levels = [], []
    following = _next_starts(strokes.pitch, strokes.start, len(note))
    for first in GROUPS:
        here = slice(*np.searchsorted(strokes.pitch, (first, first + GROUP)))
        rows, row, start = _rows(note, first), strokes.pitch[here] - first, strokes.start[here]
        ends.append(np.minimum(_releases(rows, row, start, frame_threshold), following[here]))
        levels.append(_means(rows, row, start, ends[-1]))
    end, level = np.concatenate(ends), np.concatenate(levels)
    return _Found(strokes.pitch, strokes.start, end, strokes.start_frame, strokes.onset, level)


def _releases(note: Rows, pitch: Indices, start: Indices, frame_threshold: float) -> Indices:
    """For each note the frame where its pitch falls silent for `RELEASE_FRAMES`, or the number of frames."""
    frames = note.shape[1]
    # One silent frame before each row and enough after it, so that no run crosses into the next pitch.
    width = frames + RELEASE_FRAMES + 1
    silent = np.ones((len(note), width), dtype=np.int8)
    silent[:, :frames] = note < frame_threshold
    silent[:, -1] = 0
    edges = np.diff(silent.ravel(), prepend=np.int8(0))
    run_start, run_end = np.nonzero(edges == 1)[0], np.nonzero(edges == -1)[0]
    long_enough = run_end - run_start >= RELEASE_FRAMES
    run_start, run_end = run_start[long_enough], run_end[long_enough]
    after = pitch * width + start + 1
    # The first long silence that still has `RELEASE_FRAMES` to go after the onset.
    run = np.searchsorted(run_end, after + RELEASE_FRAMES)
    end: Indices = np.maximum(run_start[run] - RELEASE_LAG, after) - pitch * width
    return end


def _next_starts(pitch: Indices, start: Indices, frames: int) -> Indices:
    """For each note the start of the next one on its pitch, or the number of frames."""
    following = np.full_like(start, frames)
    same = pitch[1:] == pitch[:-1]
    following[:-1][same] = start[1:][same]
    return following


def _means(note: Rows, pitch: Indices, start: Indices, end: Indices) -> NDArray[np.float64]:
    """Each note's mean activation over its frames. `end` is greater than `start`."""
    if len(start) == 0:
        return np.zeros(0)
    row = pitch * note.shape[1]
    borders = np.stack([row + start, row + end], axis=1).ravel()
    # The last border of all may be the end of the array, which reduceat does not take as an index.
    last = borders[-1] == note.size
    sums = np.add.reduceat(note.ravel(), borders[:-1] if last else borders)[::2]
    means: NDArray[np.float64] = sums.astype(np.float64) / (end - start)
    return means


def _between_frames(onset: Rows, pitch: Indices, start: Indices) -> NDArray[np.float64]:
    """The peaks' places between frames: the top of the parabola through each peak and its neighbours."""
    last = onset.shape[1] - 1
    before = onset[pitch, np.maximum(start - 1, 0)].astype(np.float64)
    peak = onset[pitch, start].astype(np.float64)
    after = onset[pitch, np.minimum(start + 1, last)].astype(np.float64)
    bend = before - 2 * peak + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    between: NDArray[np.float64] = start + np.clip(shift, -0.5, 0.5)
    return between


def _ghosts(found: _Found) -> NDArray[np.bool_]:
    """Which notes are overtones: a clearly stronger note sounds at an overtone's distance below them."""
    strength = found.onset * found.level
    ghost = np.zeros(len(strength), dtype=bool)
    for overtone in OVERTONES:
        below = _sounding_at(found, pitch=found.pitch - overtone, frame=found.start)
        there = below >= 0
        ghost[there] |= strength[below[there]] > GHOST_RATIO * strength[there]
    return ghost


def _sounding_at(found: _Found, *, pitch: Indices, frame: Indices) -> Indices:
    """For each pitch and frame the note that sounds there or begins just after, as an index; -1 = none."""
    width = int(found.end.max(initial=0)) + GHOST_REACH + 1
    last = (
        np.searchsorted(found.pitch * width + found.start, pitch * width + frame + GHOST_REACH, "right") - 1
    )
    at = np.maximum(last, 0)
    sounds = (last >= 0) & (found.pitch[at] == pitch) & (found.end[at] > frame + GHOST_OVERLAP)
    return np.where(sounds, at, -1)


def _as_notes(found: _Found) -> list[Note]:
    velocity = np.clip(np.round(127 * found.level), 1, 127).astype(int)
    start_s = np.maximum(found.start_frame * FRAME_S, 0.0)
    end_s = np.maximum(found.end * FRAME_S, start_s + FRAME_S)
    order = np.lexsort((found.pitch, start_s))
    return [
        Note(start, end, pitch, loud, sure)
        for start, end, pitch, loud, sure in zip(
            start_s[order].tolist(),
            end_s[order].tolist(),
            (found.pitch[order] + LOWEST_PITCH).tolist(),
            velocity[order].tolist(),
            found.onset[order].tolist(),
            strict=True,
        )
    ]
