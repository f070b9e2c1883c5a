"""Posteriorgrams that are drawn by hand."""

from __future__ import annotations

import numpy as np

from bridge.engine.posteriors import (
    CONTOUR_BINS,
    FRAME_HOP,
    LEVEL_PITCHES,
    LOWEST_PITCH,
    PITCHES,
    Posteriors,
    pack,
    pack_level,
)

FLOOR = 0.1  # what the network answers to silence
OVERTONES_DB = {0: 0.0, 12: -8.0, 19: -14.0, 24: -18.0, 28: -22.0, 31: -25.0}


class Drawing:
    """What might be heard, to draw notes into. Frames are counted from 0; pitches are MIDI's."""

    def __init__(self, frames: int) -> None:
        self.notes = np.full((frames, PITCHES), FLOOR, dtype=np.float32)
        self.onsets = np.full((frames, PITCHES), FLOOR, dtype=np.float32)
        self.contours = np.zeros((frames, CONTOUR_BINS), dtype=np.float32)
        self.magnitudes = np.full((frames, LEVEL_PITCHES), 1e-5, dtype=np.float32)

    def note(
        self, pitch: int, start: int, end: int, *, strength: float = 1.0, loud_db: float = 0.0
    ) -> Drawing:
        """A note from frame `start` to `end`, its onset with shoulders, its partials dying away."""
        column = pitch - LOWEST_PITCH
        for step, height in ((-2, 0.15), (-1, 0.5), (0, 0.95), (1, 0.6), (2, 0.2)):
            if 0 <= start + step < len(self.onsets):
                at = (start + step, column)
                self.onsets[at] = max(self.onsets[at], strength * height)
        length = len(self.notes[start:end])
        self.notes[start:end, column] = np.maximum(self.notes[start:end, column], 0.85 * strength)
        bins = slice(3 * column, 3 * column + 3)
        self.contours[start:end, bins] = strength * np.array([0.3, 0.8, 0.3], dtype=np.float32)
        fading_db = -0.15 * np.arange(length) + 20 * np.log10(strength) + loud_db
        for overtone, level_db in OVERTONES_DB.items():
            if column + overtone < LEVEL_PITCHES:
                added = 10 ** ((fading_db + level_db) / 20)
                self.magnitudes[start:end, column + overtone] += added.astype(np.float32)
        return self

    def heard(self, *, gain_db: float = 0.0) -> Posteriors:
        level = pack_level(self.magnitudes * np.float32(10 ** (gain_db / 20)))
        samples = len(self.notes) * FRAME_HOP
        return Posteriors(pack(self.notes), pack(self.onsets), pack(self.contours), level, samples)
