"""How hard each note was struck, from the energy of its partials. Pure.

A velocity v sounds 40 * log10(v / 127) dB below the loudest, as General MIDI has it; what "loudest" is, the
piece's own loud notes say. How energy follows the velocity depends on the instrument, the pitch, and what
else sounds, so a small network that knows the material (`bridge.engine.candidate_network`) reads it from the
energies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_network import answers, networks
from bridge.engine.note_candidates import Indices
from bridge.engine.posteriors import LEVEL_PITCHES, PITCHES, Levels, Packed, Posteriors, level_db, unpack
from bridge.media.notes import Material

PARTIALS = (0, 12, 19, 24, 28, 31)
RISES_WITHIN = 9  # frames after the start
BEFORE = (-5, -4, -3)
LEAST_SHARE = 0.1  # of the energy that counts as the new note's at the least
LOUD_NOTES, LOUD_VELOCITY = 0.9, 105  # the piece's notes at this quantile get this velocity
QUIETEST_DB = -40.0  # below the piece's loud notes: all that is quieter is alike

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]


def velocities(heard: Posteriors, pitch: Indices, frame: Indices, material: Material) -> Indices:
    """Velocities 1..127 for notes that begin at these frames, on these columns: (notes,)."""
    if len(pitch) == 0:
        return np.zeros(0, dtype=np.int64)
    rows = loudness_features(heard, pitch, frame)
    struck_db = answers(networks().loudness, rows, material)[:, 0].astype(np.float64)
    return as_velocities(struck_db)


def as_velocities(struck_db: Floats) -> Indices:
    """Velocities for how hard notes were struck, in decibels; their loud notes are always as loud."""
    below_db = struck_db - np.quantile(struck_db, LOUD_NOTES)
    return np.clip(np.rint(LOUD_VELOCITY * 10 ** (below_db / 40)), 1, 127).astype(np.int64)


def loudness_features(heard: Posteriors, pitch: Indices, frame: Indices) -> Rows:
    """(notes, LOUDNESS_FEATURES): energies in 10 dB to the piece's loud notes, and what is around."""
    after, before = _partials(heard.level, pitch, frame)
    risen = np.maximum(after - before, LEAST_SHARE * after)
    whole_db = _decibels(risen.sum(axis=1))
    loud_db = np.quantile(whole_db, LOUD_NOTES)
    around_db = level_db(heard.level[np.minimum(frame + 4, len(heard.level) - 1)].max(axis=1))
    columns = [
        *((_decibels(after) - loud_db).T),
        *((_decibels(risen) - loud_db).T),
        whole_db - loud_db,
        around_db - loud_db,
    ]
    energies = np.maximum(np.stack(columns, axis=1), QUIETEST_DB) / 10
    place = (pitch - PITCHES / 2) / 24
    onset = _highest(heard.onset, pitch, frame)
    return np.column_stack([energies, place, place**2, onset, onset**2]).astype(np.float32)


def _partials(level: Levels, pitch: Indices, frame: Indices) -> tuple[Floats, Floats]:
    """Energy at each partial after the start and before it: (notes, partials) each."""
    after, before = (np.zeros((len(pitch), len(PARTIALS))) for _ in range(2))
    for number, partial in enumerate(PARTIALS):
        column = np.minimum(pitch + partial, LEVEL_PITCHES - 1)
        audible = pitch + partial < LEVEL_PITCHES
        after[:, number] = audible * _energies(level, column, frame, np.arange(RISES_WITHIN)).max(axis=1)
        before[:, number] = audible * _energies(level, column, frame, np.array(BEFORE)).min(axis=1)
    return after, before


def _energies(level: Levels, column: Indices, frame: Indices, steps: Indices) -> Floats:
    around = np.clip(frame[:, np.newaxis] + steps, 0, len(level) - 1)
    return np.asarray(ENERGIES[level[around, column[:, np.newaxis]]], dtype=np.float64)


def _decibels(energy: Floats) -> Floats:
    return np.asarray(10 * np.log10(np.maximum(energy, 1e-12)), dtype=np.float64)


def _highest(onset: Packed, pitch: Indices, frame: Indices) -> Floats:
    around = np.clip(frame[:, np.newaxis] + np.arange(-1, 3), 0, len(onset) - 1)
    return np.asarray(unpack(onset[around, pitch[:, np.newaxis]]).max(axis=1), dtype=np.float64)


ENERGIES = 10 ** (level_db(np.arange(256, dtype=np.uint8)).astype(np.float64) / 10)  # of each packed level
LOUDNESS_FEATURES = 2 * len(PARTIALS) + 2 + 4
