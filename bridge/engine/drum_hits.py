"""From what was heard of a drum kit to notes on General MIDI's percussion keys. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.drum_bands import FRAME_S, RATE_HZ
from bridge.engine.drum_loudness import velocities
from bridge.engine.drum_network import HIGH_TOM, LOW_TOM, OPEN, PIECES, RIDE, STICK
from bridge.media.notes import Note

KICK, SIDE_STICK, SNARE, CLOSED_HAT, OPEN_HAT = 36, 37, 38, 42, 46
TOMS = (43, 47, 50)
CRASH, RIDE_CYMBAL = 49, 51

PACKED_ONE = 65_535
SORT_ONE = 255

USUAL_THRESHOLD = 0.5
BESIDE_FRAMES = 5  # a stroke is likelier than all within 29 ms
SURE_OF_STICK = 0.6
NOTE_S = 0.06
RING_S: Mapping[str, float] = {"cymbal": 0.5}

Packed = NDArray[np.uint16]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class DrumActivity:
    """A drum kit heard in `samples` samples at 44,100 Hz; frame f is at sample f * 256.

    `struck` is (frames, 5): how likely each of `PIECES` is struck there, 65535 = 1. `sort` is (frames, 6):
    which sort of it, 255 = 1, in the columns STICK, OPEN, LOW_TOM, MID_TOM, HIGH_TOM, RIDE. `hard` is
    (frames, 5): what the network takes its MIDI velocity for, were it struck there. `level` is (frames, 5):
    how loud its bands then become, in half decibels over -110 dB.
    """

    struck: Packed
    sort: Bytes
    hard: Bytes
    level: Bytes
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ


@dataclass(frozen=True)
class HitOptions:
    """`onset_threshold`: how sure a stroke must be, 0..1; a lower one finds all that a higher one finds, and
    more. None: what is usually right (0.5)."""

    onset_threshold: float | None = None


def hits_of(activity: DrumActivity, options: HitOptions | None = None) -> list[Note]:
    """The strokes, in order of time and key; none longer than the audio."""
    asked = (options or HitOptions()).onset_threshold
    threshold = USUAL_THRESHOLD if asked is None else asked
    found = [
        note for column in range(len(PIECES)) for note in _of_piece(activity, column, threshold)
        if note.start_s < activity.duration_s
    ]  # fmt: skip
    return sorted(found, key=lambda note: (note.start_s, note.pitch))


def _of_piece(activity: DrumActivity, column: int, threshold: float) -> Iterator[Note]:
    likely = activity.struck[:, column].astype(np.float32) / np.float32(PACKED_ONE)
    frames = peaks(likely, min(threshold, USUAL_THRESHOLD))
    hard, level = activity.hard[frames, column], activity.level[frames, column]
    loudness = velocities(PIECES[column], level, hard, likely[frames] > USUAL_THRESHOLD)
    asked = likely[frames] > threshold
    frames, loudness = frames[asked], loudness[asked]
    starts_s = np.maximum(0, (frames + summit_offsets(likely, frames)) * FRAME_S)
    piece = PIECES[column]
    until_s = [*starts_s, activity.duration_s][1:]
    for frame, start_s, next_s, velocity in zip(frames, starts_s, until_s, loudness, strict=True):
        end_s = min(start_s + RING_S.get(piece, NOTE_S), max(next_s, start_s), activity.duration_s)
        key = _key(piece, activity.sort[frame])
        yield Note(float(start_s), float(max(start_s, end_s)), key, int(velocity), float(likely[frame]))


def peaks(likely: NDArray[np.float32], threshold: float) -> NDArray[np.intp]:
    """Frames above the threshold that are likelier than all before within `BESIDE_FRAMES`, and no less likely
    than those after."""
    if len(likely) == 0:
        return np.empty(0, dtype=np.intp)
    padded = np.pad(likely, BESIDE_FRAMES, constant_values=-1)
    beside = np.lib.stride_tricks.sliding_window_view(padded, BESIDE_FRAMES)
    before, after = beside[: len(likely)].max(axis=1), beside[BESIDE_FRAMES + 1 :].max(axis=1)
    return np.flatnonzero((likely > before) & (likely >= after) & (likely > threshold))


def summit_offsets(likely: NDArray[np.float32], frames: NDArray[np.intp]) -> NDArray[np.float32]:
    """Where the summit lies beside each peak, in frames (-0.5..0.5), by a parabola through three frames."""
    padded = np.pad(likely, 1)
    left, middle, right = padded[frames], padded[frames + 1], padded[frames + 2]
    bend = left - 2 * middle + right
    offsets: NDArray[np.float32] = np.where(bend < 0, (left - right) / (2 * np.minimum(bend, -1e-6)), 0)
    return np.clip(offsets, -0.5, 0.5)


def _key(piece: str, sort: Bytes) -> int:
    """The General MIDI key of a piece, by what sort of it is likeliest."""
    if piece == "tom":
        return TOMS[int(np.argmax(sort[LOW_TOM : HIGH_TOM + 1]))]
    if piece == "kick":
        return KICK
    usual, other, column, sure = _TWO_SORTS[piece]
    return other if sort[column] > sure * SORT_ONE else usual


# Piece: its usual key, its other, the sort that makes it the other, how sure that must be.
_TWO_SORTS: Mapping[str, tuple[int, int, int, float]] = {
    "snare": (SNARE, SIDE_STICK, STICK, SURE_OF_STICK),
    "hat": (CLOSED_HAT, OPEN_HAT, OPEN, 0.5),
    "cymbal": (CRASH, RIDE_CYMBAL, RIDE, 0.5),
}
