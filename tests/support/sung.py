"""A voice by rule whose pitch is known at every moment, for tests of what hears pitch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.media.notes import Note

HARMONICS = 12
ATTACK_S, RELEASE_S = 0.02, 0.03

Samples = NDArray[np.float32]
Floats = NDArray[np.floating[Any]]
Curve = tuple[tuple[float, float], ...]


def sung(notes: Sequence[Note], *, rate_hz: int, duration_s: float) -> Samples:
    """(frames,) float32: each note along its bends, which are joined by lines here."""
    sound = np.zeros(round(duration_s * rate_hz))
    for note in notes:
        first, last = round(note.start_s * rate_hz), min(round(note.end_s * rate_hz), len(sound))
        time_s = np.arange(last - first) / rate_hz
        hz = 440 * 2 ** ((note.pitch + pitch_at(note, time_s) - 69) / 12)
        phase = 2 * np.pi * np.cumsum(hz) / rate_hz
        voice = np.zeros_like(time_s)
        for number in range(1, HARMONICS + 1):
            voice += np.where(hz * number < rate_hz / 2.2, np.sin(number * phase) / number**1.2, 0)
        held_s = time_s[-1] - time_s
        envelope = np.minimum(1, time_s / ATTACK_S) * np.minimum(1, held_s / RELEASE_S)
        sound[first:last] += 0.2 * note.velocity / 127 * envelope * voice
    return sound.astype(np.float32)


def pitch_at(note: Note, time_s: Floats) -> Floats:
    """Semitones off the note's pitch at these seconds after its start, its bends joined by lines."""
    at_s, semitones = zip(*note.bends or ((0.0, 0.0),), strict=True)
    curve: Floats = np.interp(time_s, at_s, semitones)
    return curve


def held_at(note: Note, time_s: Floats) -> Floats:
    """The same, each bend held until the next: as a transcription's bends are."""
    at_s, semitones = zip(*note.bends or ((0.0, 0.0),), strict=True)
    index = np.searchsorted(at_s, time_s, side="right") - 1
    held: Floats = np.asarray(semitones)[np.maximum(index, 0)]
    return held


def vibrato(length_s: float, *, depth: float, rate_hz: float = 5.5, waits_s: float = 0.2) -> Curve:
    time_s = np.arange(0, length_s, 0.005)
    grown = np.clip((time_s - waits_s) / 0.2, 0, 1)
    bends = depth * grown * np.sin(2 * np.pi * rate_hz * (time_s - waits_s))
    return tuple(zip(time_s.tolist(), bends.tolist(), strict=True))


def slide(length_s: float, *, semitones: float, within_s: float = 0.1) -> Curve:
    """From `semitones` off into the pitch."""
    time_s = np.arange(0, length_s, 0.005)
    part = np.minimum(time_s / within_s, 1)
    bends = semitones * 0.5 * (1 + np.cos(np.pi * part))
    return tuple(zip(time_s.tolist(), bends.tolist(), strict=True))
