"""How the pitch of each note moves while it sounds. Pure.

From the track of one voice, or for chords from the network's contour (three bins a semitone). A bend says
what moved: a note that stays where it is has none, and neither the pitch of the note before nor that of the
next leaks into one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.pitch_track import FRAME_S as TRACK_FRAME_S
from bridge.engine.pitch_track import PitchTrack
from bridge.engine.posteriors import FRAME_S as HEARD_FRAME_S
from bridge.engine.posteriors import LOWEST_PITCH, PACKED_ONE, PITCHES, Posteriors
from bridge.media.notes import Note

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]
Bends = tuple[tuple[float, float], ...]

BINS = 3  # contour bins a semitone
SPAN_BINS = 5  # to each side of the note's own: 1.67 semitones
SEMITONES = np.arange(-SPAN_BINS, SPAN_BINS + 1) / BINS
NEIGHBOURS = (-3, -2, -1, 1, 2, 3)  # semitones at which another note would draw the centroid over
BEFORE_FRAMES, AFTER_FRAMES = 4, 20  # around a note in which it does so
CONFIDENT = 0.5  # a frame of the track
MOST_OFF = 2.7  # semitones that a note is slid or bent over
STRONG = 0.3  # a frame of the contour
LEAST_POINTS = 3
TOLERANCE = 0.05  # semitones that a step may be off the curve
STEP_S = 0.02  # at most 50 points a second
GRID_S = 0.005
JUMP_SHARE = 0.6  # of a movement made in one frame: the window saw another note, nobody slid
JUMP = 0.3  # semitones
EDGE_S = 0.13  # from a note's ends within which that can be
SMOOTHING = np.array([-3, 12, 17, 12, -3]) / 35  # Savitzky and Golay: keeps the depth of a vibrato


@dataclass(frozen=True)
class _Kind:
    """What one sort of curve can show, in semitones."""

    frame_s: float
    steady: float  # a note that moves over less is steady
    aside: float  # a steady note this far off its pitch and the tuning has one bend, its whole length
    least_trusted: float  # share of the note's frames
    rough_frames: int  # at each end, in which a pitch wavers that does not move


TRACK = _Kind(TRACK_FRAME_S, steady=0.24, aside=0.25, least_trusted=0.5, rough_frames=3)
CONTOUR = _Kind(HEARD_FRAME_S, steady=0.25, aside=9.0, least_trusted=0.6, rough_frames=3)


@dataclass(frozen=True)
class _Points:
    """One entry a note and frame, note by note: how far the pitch is off the note's, and if that is sure."""

    first: Indices  # of each note, and the end of the last
    frame: Indices
    off: Floats
    trusted: Mask


def bends_from_track(notes: Sequence[Note], track: PitchTrack) -> list[Note]:
    """The notes of one voice with their `bends`: seconds after the start, and semitones off the pitch.

    A voice that is tuned off 440 Hz as a whole is taken as it is: its tuning is no bend.
    """
    return _with_bends(notes, track)


def bends_from_contour(notes: Sequence[Note], heard: Posteriors) -> list[Note]:
    """The same for notes that may sound together, where the contour shows one of them clearly."""
    return _with_bends(notes, heard)


def _with_bends(notes: Sequence[Note], curve: PitchTrack | Posteriors) -> list[Note]:
    if not notes or _frames(curve) == 0:
        return [replace(note, bends=()) for note in notes]
    kind = TRACK if isinstance(curve, PitchTrack) else CONTOUR
    frame, number, first = _grid(notes, kind.frame_s, _frames(curve))
    pitch = np.array([note.pitch for note in notes])[number]
    if isinstance(curve, PitchTrack):
        off, trusted = _off_track(curve, pitch, frame)
    else:
        off, trusted = _off_contour(curve, pitch, frame, _crowded(notes, len(curve.contour)))
    points = _Points(first, frame, off - _tuning(off, trusted, number), trusted)
    moves = _moves(points, kind)
    return [
        replace(note, bends=_bends(note, points, index, kind) if moves[index] else ())
        for index, note in enumerate(notes)
    ]


def _frames(curve: PitchTrack | Posteriors) -> int:
    return len(curve.hz if isinstance(curve, PitchTrack) else curve.contour)


def _grid(notes: Sequence[Note], frame_s: float, frames: int) -> tuple[Indices, Indices, Indices]:
    """Each note's frames one after the other, whose they are, and where each note's begin."""
    start = np.clip(np.ceil([note.start_s / frame_s for note in notes]), 0, frames - 1).astype(np.int64)
    end = np.clip(np.ceil([note.end_s / frame_s for note in notes]), start + 1, frames).astype(np.int64)
    first = np.concatenate([[0], np.cumsum(end - start)])
    number = np.repeat(np.arange(len(notes)), end - start)
    return np.arange(first[-1]) - first[number] + start[number], number, first


def _off_track(track: PitchTrack, pitch: Indices, frame: Indices) -> tuple[Floats, Mask]:
    """Semitones off each note's pitch; a slip by an octave is put right."""
    semitones = 69 + 12 * np.log2(np.maximum(track.hz.astype(np.float64), 1.0) / 440)
    off = (semitones[frame] - pitch).astype(np.float64)
    off -= 12 * np.rint(off / 12)
    return off, (track.confidence[frame] >= CONFIDENT) & (np.abs(off) < MOST_OFF)


def _crowded(notes: Sequence[Note], frames: int) -> NDArray[np.uint8]:
    """(frames, 88): how many notes sound on each pitch, or have just sounded or are about to."""
    changes = np.zeros((frames + 1, PITCHES), np.int8)
    for note in notes:
        column = note.pitch - LOWEST_PITCH
        if 0 <= column < PITCHES:
            changes[np.clip(int(note.start_s / HEARD_FRAME_S) - BEFORE_FRAMES, 0, frames), column] += 1
            changes[np.clip(int(note.end_s / HEARD_FRAME_S) + AFTER_FRAMES, 0, frames), column] -= 1
    return np.cumsum(changes[:-1], axis=0, dtype=np.int8).astype(np.uint8)


def _off_contour(
    heard: Posteriors, pitch: Indices, frame: Indices, crowded: NDArray[np.uint8]
) -> tuple[Floats, Mask]:
    """The centroid of the contour round each pitch, sure where it is strong and no neighbour sounds."""
    middle = BINS * (pitch - LOWEST_PITCH) + 1
    bins = middle[:, None] + np.arange(-SPAN_BINS, SPAN_BINS + 1)
    there = (bins >= 0) & (bins < heard.contour.shape[1])
    picked = heard.contour[frame[:, None], np.clip(bins, 0, heard.contour.shape[1] - 1)]
    weight = picked * (there / PACKED_ONE)
    strong = weight.max(axis=1)
    weight = weight**2
    off = (weight @ SEMITONES) / np.maximum(weight.sum(axis=1), 1e-9)
    column = pitch[:, None] - LOWEST_PITCH + np.array(NEIGHBOURS)
    inside = (column >= 0) & (column < PITCHES)
    beside = (crowded[frame[:, None], np.clip(column, 0, PITCHES - 1)] > 0) & inside
    return off, (strong > STRONG) & ~beside.any(axis=1)


def _tuning(off: Floats, trusted: Mask, number: Indices) -> float:
    """By how many semitones the notes are off as a whole: half of what sounds is above, half below.

    Each note counts by its own middle, so that a vibrato counts as the pitch that it is around.
    """
    number, off = number[trusted], off[trusted]
    if len(off) == 0:
        return 0.0
    order = np.lexsort((off, number))
    first = np.flatnonzero(np.diff(number[order], prepend=-1))
    length = np.diff(np.append(first, len(order)))
    middle = off[order][first + length // 2]
    rank = np.argsort(middle)
    half = np.searchsorted(np.cumsum(length[rank]), length.sum() / 2)
    return float(middle[rank][half])


def _moves(points: _Points, kind: _Kind) -> Mask:
    """Which notes are worth a closer look."""
    first = points.first[:-1]
    high = np.maximum.reduceat(np.where(points.trusted, points.off, -np.inf), first)
    low = np.minimum.reduceat(np.where(points.trusted, points.off, np.inf), first)
    trusted = np.add.reduceat(points.trusted.astype(np.int64), first)
    enough = (trusted >= LEAST_POINTS) & (trusted >= kind.least_trusted * np.diff(points.first))
    with np.errstate(invalid="ignore"):
        moves: Mask = enough & ((high - low >= kind.steady) | (np.abs(high + low) / 2 >= kind.aside))
    return moves


def _bends(note: Note, points: _Points, index: int, kind: _Kind) -> Bends:
    here = slice(points.first[index], points.first[index + 1])
    trusted = points.trusted[here]
    time_s = points.frame[here] * kind.frame_s - note.start_s
    off: Floats = np.interp(time_s, time_s[trusted], points.off[here][trusted])
    edge = max(2, round(EDGE_S / kind.frame_s))
    off = _without_roughness(_without_jump(off, edge), kind.rough_frames)
    off = _without_roughness(_without_jump(off[::-1], edge), kind.rough_frames)[::-1]
    smooth = np.convolve(np.pad(off, 2, mode="edge"), SMOOTHING, mode="valid").astype(np.float64)
    if np.ptp(smooth) < kind.steady:
        aside = float(np.median(smooth))
        return ((0.0, round(aside, 3)),) if abs(aside) >= kind.aside else ()
    return _steps(time_s, smooth, note.end_s - note.start_s)


def _without_jump(off: Floats, edge: int) -> Floats:
    """A movement at the beginning that is made at once is another note's: what follows holds there too."""
    steps = np.diff(off[: edge + 1])
    if len(steps) == 0:
        return off
    at = int(np.abs(steps).argmax())
    if abs(steps[at]) < JUMP or abs(steps[at]) < JUMP_SHARE * np.ptp(off[: at + 3]):
        return off
    held = off.copy()
    held[: at + 1] = off[at + 1]
    return held


def _without_roughness(off: Floats, frames: int) -> Floats:
    """A little wavering in the first frames is the attack's: what follows holds there too."""
    if len(off) <= 2 * frames or np.ptp(off[: frames + 1]) >= JUMP:
        return off
    held = off.copy()
    held[:frames] = off[frames]
    return held


def _steps(time_s: NDArray[np.floating[Any]], off: Floats, length_s: float) -> Bends:
    """The curve as values that hold, each as long as the curve stays within the tolerance of it."""
    grid = np.arange(0, max(length_s, GRID_S), GRID_S)
    values = np.interp(grid, time_s, off).tolist()
    steps: list[tuple[float, float]] = []
    first, low, high = 0, values[0], values[0]
    least = round(STEP_S / GRID_S)
    for at, value in enumerate([*values, None]):
        if value is not None and (at - first < least or max(high, value) - min(low, value) <= 2 * TOLERANCE):
            low, high = min(low, value), max(high, value)
            continue
        middle = round((low + high) / 2, 3)
        if not steps or steps[-1][1] != middle:
            steps.append((round(first * GRID_S, 4), middle))
        if value is not None:
            first, low, high = at, value, value
    return tuple(steps)
