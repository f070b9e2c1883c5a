"""What the note network hears in a piece of audio, as arrays on one grid of frames.

Frame f is at exactly f * 256 / 22,050 s from the first sample, for hours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

FRAME_HOP = 256
MODEL_RATE_HZ = 22_050
FRAME_S = FRAME_HOP / MODEL_RATE_HZ
LOWEST_PITCH = 21  # MIDI number of the first of the 88 columns
PITCHES = 88
CONTOUR_BINS = 3 * PITCHES
LEVEL_PITCHES = 103  # semitones from MIDI note 21 up, to the top of the constant-Q transform

PACKED_ONE = 65_535
LEVEL_STEPS_PER_DB = 2
LEVEL_FLOOR_DB = -100.0

Packed = NDArray[np.uint16]
Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class Posteriors:
    """One piece of audio of `samples` samples at 22,050 Hz, as the network hears it.

    `note` and `onset` are (frames, 88), column 0 = MIDI note 21; `contour` is (frames, 264), three bins a
    semitone: all in 0..1 as 16-bit whole numbers (`pack`), which is half of float32 and finer than float16.
    `level` is (frames, 103): how loud each semitone from MIDI 21 up is, in half decibels over -100 dB
    (`pack_level`).
    """

    note: Packed
    onset: Packed
    contour: Packed
    level: Levels
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / MODEL_RATE_HZ


def pack(activations: NDArray[np.float32]) -> Packed:
    """Activations in 0..1 as 16-bit whole numbers; what is no number is 0."""
    return np.rint(np.clip(np.nan_to_num(activations), 0, 1) * PACKED_ONE).astype(np.uint16)


def unpack(activations: NDArray[Any]) -> NDArray[np.float32]:
    """Activations in 0..1, also those that `pack` has packed, as float32."""
    if activations.dtype == np.uint16:
        return activations.astype(np.float32) * np.float32(1 / PACKED_ONE)
    return activations.astype(np.float32, copy=False)


def pack_level(magnitude: NDArray[np.float32]) -> Levels:
    """Magnitudes as half decibels over -100 dB, in 0..255; what is no number is 0."""
    decibels = 20 * np.log10(np.maximum(np.nan_to_num(magnitude), 1e-9))
    return np.clip(np.rint((decibels - LEVEL_FLOOR_DB) * LEVEL_STEPS_PER_DB), 0, 255).astype(np.uint8)


def level_db(level: Levels) -> NDArray[np.float32]:
    """Packed levels in decibels."""
    decibels: NDArray[np.float32] = level.astype(np.float32) / np.float32(LEVEL_STEPS_PER_DB)
    return decibels + np.float32(LEVEL_FLOOR_DB)
