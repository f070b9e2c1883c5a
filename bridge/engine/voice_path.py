"""Which semitone one voice is on at each moment: a Viterbi search over what two networks say. Pure.

To leave a semitone costs, and costs less where the sound is new. So a vibrato stays one note, a glide goes to
one of its two notes, and a short slip of the pitch (an octave, a breath) is mended. The search runs on
overlapping stretches side by side, so that its time grows with the length of a stretch, not of the audio.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.pitch_track import FRAME_S as TRACK_FRAME_S
from bridge.engine.pitch_track import LEVEL_S, NOVELTY_S, PitchTrack
from bridge.engine.posteriors import FRAME_S, LOWEST_PITCH, PITCHES, Posteriors, unpack

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

RANGE_DB = 40.0  # what is softer than the loud moments by more is no note
LOUD_SHARE = 98  # percentile of the level that the loud moments have
SURE = 0.8  # frames that the tuning is taken from ...
STEADY, STEADY_FRAMES = 0.2, 4  # ... if the pitch moves no more than this around them

# What a frame costs, in semitones off the pitch that a sure frame has.
FAR = 1.5  # a pitch further off costs no more
OCTAVE, OCTAVE_REACH = 0.6, 0.5  # one off by an octave: a slip
SILENT = 1.4  # silence, for a frame with a pitch
UNSURE = 1.2  # a pitch, for a frame without one
HEARD = 4.0  # a pitch that the note network hears costs less by its activation
HEARD_ALONE = 0.1  # activation from which on that is so
LEAVE = 2.2  # to go to another pitch or to silence
NEW = 1.2  # less where the novelty is full
NEW_DB = 3.0  # a novelty that is full
ONSET = 1.5  # less for the pitch whose onset the note network hears

UNLIKELY = 0.25  # a pitch that neither network is surer of in any frame is left out
STRETCH, OVERLAP = 240, 40  # frames
AT_ONCE = 96  # stretches: bounds the memory


@dataclass(frozen=True)
class View:
    """One voice as all curves on the note network's frames, `frame` f at f * 256 / 22,050 s.

    (frames,): `pitch` in semitones, off the voice's own tuning, `confidence` (0 where it is too soft),
    `level_db`. (frames, 88): `note` and `onset` activations; zero if that network was not asked (`heard`
    None). `fine_level_db` is on the track's 2 ms grid, `novelty_db` on its 4 ms grid, both smoothed.
    """

    pitch: Floats
    confidence: Floats
    level_db: Floats
    note: Floats
    onset: Floats
    fine_level_db: Floats
    novelty_db: Floats
    top_db: float
    heard: Posteriors | None
    duration_s: float

    @property
    def frames(self) -> int:
        return len(self.pitch)


def view_of(track: PitchTrack, heard: Posteriors | None) -> View:
    """Both networks' answers side by side."""
    frames = int(track.duration_s / FRAME_S) + 1
    at_s = np.arange(frames) * FRAME_S
    nearest = np.clip(np.rint(at_s / TRACK_FRAME_S).astype(np.int64), 0, len(track.hz) - 1)
    pitch = (69 + 12 * np.log2(np.maximum(track.hz, 1.0) / 440))[nearest].astype(np.float32)
    fine = smoothed(track.level_db, 3)
    level = window_max(fine, 4, 4)[np.clip(np.rint(at_s / LEVEL_S).astype(np.int64), 0, len(fine) - 1)]
    top_db = float(np.percentile(level, LOUD_SHARE))
    loud = level > top_db - RANGE_DB
    confidence = np.where(loud, track.confidence[nearest], 0)
    return View(
        pitch=(pitch - _tuning(pitch, confidence)).astype(np.float32),
        confidence=confidence.astype(np.float32),
        level_db=level,
        note=_columns(heard.note if heard else None, frames) * loud[:, None],
        onset=_columns(heard.onset if heard else None, frames),
        fine_level_db=fine,
        novelty_db=smoothed(track.novelty_db, 3),
        top_db=top_db,
        heard=heard,
        duration_s=track.duration_s,
    )


def path(view: View) -> Indices:
    """The MIDI note number of each frame, -1 for silence."""
    count = -(-view.frames // STRETCH)
    pitches = _pitches(view)
    leave = _leave(view)
    parts = [
        _search(view, np.arange(first, min(first + AT_ONCE, count)), pitches, leave)
        for first in range(0, count, AT_ONCE)
    ]
    states = np.concatenate(parts)[: view.frames]
    return np.where(states == 0, -1, states - 1 + pitches[0])


def _pitches(view: View) -> Indices:
    """Those that either network takes into account."""
    tracked = np.rint(view.pitch[view.confidence > UNLIKELY]).astype(np.int64) - LOWEST_PITCH
    likely: NDArray[np.bool_] = np.any(view.note > UNLIKELY, axis=0)
    likely[tracked[(tracked >= 0) & (tracked < PITCHES)]] = True
    column = np.flatnonzero(likely)
    return np.arange(column.min(initial=PITCHES // 2), column.max(initial=PITCHES // 2) + 1) + LOWEST_PITCH


def _search(view: View, which: Indices, pitches: Indices, leave: Floats) -> Indices:
    """The best states (0 = silence) of these stretches, end to end."""
    frame = np.arange(-OVERLAP, STRETCH + OVERLAP)[:, None] + which * STRETCH
    outside = (frame < 0) | (frame >= view.frames)
    frame = np.clip(frame, 0, view.frames - 1)
    costs, welcome = _costs(view, frame, pitches), _welcome(view, frame, pitches)
    costs[outside] = 0
    value = np.zeros(costs.shape[1:], np.float32)
    left = np.empty(costs.shape, dtype=bool)
    best = np.empty(frame.shape, dtype=np.int64)
    rows = np.arange(len(which))
    for step, here in enumerate(frame):
        best[step] = value.argmin(axis=1)
        reached = (value[rows, best[step]] + leave[here])[:, None] - welcome[step]
        np.less(reached, value, out=left[step])
        value = np.minimum(value, reached, out=reached)
        value += costs[step]
    states = _backwards(value.argmin(axis=1), left, best)
    return states[:, OVERLAP : OVERLAP + STRETCH].ravel()


def _backwards(last: Indices, left: NDArray[np.bool_], best: Indices) -> Indices:
    """(stretches, steps): the states on the way to the last ones."""
    states = np.empty((len(last), len(left)), dtype=np.int64)
    state, rows = last, np.arange(len(last))
    for step in range(len(left) - 1, -1, -1):
        states[:, step] = state
        state = np.where(left[step, rows, state], best[step], state)
    return states


def _costs(view: View, frame: Indices, pitches: Indices) -> Floats:
    """(steps, stretches, 1 + pitches): what silence and each pitch cost in each frame."""
    sure = view.confidence[frame][..., None]
    off = np.abs(view.pitch[frame][..., None] - pitches.astype(np.float32))
    far = np.where(np.abs(off - 12) < OCTAVE_REACH, np.float32(OCTAVE), np.minimum(off, np.float32(FAR)))
    costs = np.empty((*frame.shape, 1 + len(pitches)), np.float32)
    costs[..., :1] = sure * np.float32(SILENT)
    costs[..., 1:] = sure * far + (1 - sure) * np.float32(UNSURE)
    if view.heard is not None:
        heard = view.note[:, pitches - LOWEST_PITCH] - np.float32(HEARD_ALONE)
        costs[..., 1:] -= np.float32(HEARD) * heard[frame]
    return costs


def _welcome(view: View, frame: Indices, pitches: Indices) -> Floats:
    """By how much less each state costs to go to, for its onset in this frame or the next to it."""
    onset = np.pad(view.onset[:, pitches - LOWEST_PITCH], ((1, 1), (0, 0)))
    onset = np.maximum(np.maximum(onset[:-2], onset[1:-1]), onset[2:])
    welcome = np.zeros((*frame.shape, 1 + len(pitches)), np.float32)
    welcome[..., 1:] = np.float32(ONSET) * onset[frame]
    return welcome


def _leave(view: View) -> Floats:
    """(frames,): what it costs to leave a state."""
    novelty = window_max(view.novelty_db, 2, 2)
    at = np.rint(np.arange(view.frames) * (FRAME_S / NOVELTY_S)).astype(np.int64)
    full = np.clip(novelty[np.clip(at, 0, len(novelty) - 1)] / NEW_DB, 0, 1)
    return np.asarray(LEAVE - NEW * full, dtype=np.float32)


def _columns(activations: NDArray[Any] | None, frames: int) -> Floats:
    """(frames, 88), cut or filled up."""
    full = np.zeros((frames, PITCHES), np.float32)
    if activations is not None:
        kept = min(frames, len(activations))
        full[:kept] = unpack(activations[:kept])
    return full


def _tuning(pitch: Floats, confidence: Floats) -> float:
    """By how much of a semitone (-0.5..0.5) all of it is off, as its steady moments say."""
    moves = window_max(pitch, STEADY_FRAMES, STEADY_FRAMES) + window_max(-pitch, STEADY_FRAMES, STEADY_FRAMES)
    steady = pitch[(confidence > SURE) & (moves < STEADY)]
    return float(np.angle(np.exp(2j * np.pi * steady).sum()) / (2 * np.pi)) if len(steady) else 0.0


def smoothed(curve: NDArray[np.floating[Any]], width: int) -> Floats:
    """The mean of `width` (odd) values around each."""
    padded = np.pad(curve, width // 2, mode="edge")
    return np.convolve(padded, np.full(width, 1 / width), mode="valid").astype(np.float32)


def window_max(curve: Floats, before: int, after: int) -> Floats:
    """The greatest of each value, `before` values before and `after` after it."""
    padded = np.pad(curve, (before, after), mode="edge")
    result = padded[: len(curve)].copy()
    for shift in range(1, before + after + 1):
        np.maximum(result, padded[shift : shift + len(curve)], out=result)
    return result
