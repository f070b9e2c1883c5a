"""From what the network hears to notes: our own decoding, in whole-array operations.

Everything that may be the beginning of a note is looked at (`note_candidates`), described among its harmonic
relatives (`candidate_features`) and judged by two small networks (`candidate_network`); where notes end
(`note_release`) and how hard they were struck (`note_loudness`) comes after. All steps know the material.

Which candidates are kept is a threshold on how sure it is of each of them, and of two that are nearer to each
other than the shortest note the surer one is kept: so a lower threshold finds the same notes and more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_features import BLOCK, features
from bridge.engine.candidate_network import LIKELY, networks, verdicts
from bridge.engine.candidate_relations import relations
from bridge.engine.note_candidates import Candidates, Indices, candidates
from bridge.engine.note_loudness import velocities
from bridge.engine.note_release import by_pitch, crossings, ends_of
from bridge.engine.posteriors import FRAME_S, LOWEST_PITCH, PITCHES, Posteriors
from bridge.media.notes import Material, Note

HIGHEST_PITCH = LOWEST_PITCH + PITCHES - 1
SOUNDS_AT_ALL = 0.2  # note activation of a pitch that sounds, however weakly
STRETCH = 2 * BLOCK  # frames that are looked at at a time
SHORTEST_S = 0.02  # of a note, whatever its activation


@dataclass(frozen=True)
class DecodingOptions:
    """What is to be otherwise than the material has it; None = the material's own.

    `onset_threshold`: how sure it must be of a note, 0..1. `frame_threshold`: the note activation under which
    a note is over, 0..1. Pitches are MIDI note numbers.
    """

    onset_threshold: float | None = None
    frame_threshold: float | None = None
    minimum_note_ms: float | None = None
    lowest_note: int | None = None
    highest_note: int | None = None
    remove_ghosts: bool | None = None


@dataclass(frozen=True)
class MaterialDecoding:
    """A material's own values. `frame_threshold` None: the network of `note_release` finds the ends."""

    onset_threshold: float = 0.5
    frame_threshold: float | None = None
    minimum_note_ms: float = 50.0
    lowest_note: int = LOWEST_PITCH
    highest_note: int = HIGHEST_PITCH
    remove_ghosts: bool = True


MATERIAL_DECODING: Mapping[Material, MaterialDecoding] = {
    "piano": MaterialDecoding(onset_threshold=0.45),
    "chords": MaterialDecoding(),
    "guitar": MaterialDecoding(lowest_note=28, highest_note=96),
    "bass": MaterialDecoding(onset_threshold=0.3, lowest_note=23, highest_note=72),
    "solo": MaterialDecoding(onset_threshold=0.4),
    "voice": MaterialDecoding(onset_threshold=0.3, lowest_note=33, highest_note=93),
    "drums": MaterialDecoding(),
    "mix": MaterialDecoding(onset_threshold=0.45),
}


@dataclass(frozen=True)
class _Strokes:
    """Beginnings of notes, one entry each, in order of pitch and then time."""

    pitch: Indices  # column, 0..87
    frame: Indices
    start: NDArray[np.float64]  # in frames, between them
    sure: NDArray[np.float64]  # that it is a note
    counts: NDArray[np.float64]  # the same, or that it is a note or a ghost where ghosts are kept

    def only(self, keep: NDArray[np.bool_] | Indices) -> _Strokes:
        return _Strokes(*(values[keep] for values in vars(self).values()))


def decode(heard: Posteriors, options: DecodingOptions, material: Material) -> list[Note]:
    """The notes in what was heard, in order of start and pitch; of drums none: they have their own engine."""
    if material == "drums" or len(heard.note) == 0:
        return []
    chosen = chosen_decoding(options, material)
    strokes = _strokes(heard, material, remove_ghosts=chosen.remove_ghosts)
    pitch = strokes.pitch + LOWEST_PITCH
    strokes = strokes.only((pitch >= chosen.lowest_note) & (pitch <= chosen.highest_note))
    minimum = max(chosen.minimum_note_ms / 1000 / FRAME_S, 1.0)
    strokes = strokes.only(_surest(strokes, minimum))
    strokes = strokes.only(_lasts(heard, strokes, minimum))
    strokes = strokes.only(strokes.counts >= chosen.onset_threshold)
    return _as_notes(heard, strokes, material, chosen)


def chosen_decoding(options: DecodingOptions, material: Material) -> MaterialDecoding:
    """The material's values, those that the options name replaced."""
    own = MATERIAL_DECODING[material]
    named = {name: value for name, value in vars(options).items() if value is not None}
    return MaterialDecoding(**{**vars(own), **named})


def _strokes(heard: Posteriors, material: Material, *, remove_ghosts: bool) -> _Strokes:
    found, rows, sure = _likely(heard, material)
    told = relations(found, sure, len(heard.note))
    rows = np.concatenate([rows.T, told.T]).T
    said = verdicts(networks().second, rows, material)
    start = np.clip(found.frame + said.shift, 0, len(heard.note) - 0.5)
    counts = said.note if remove_ghosts else said.note + said.ghost
    return _Strokes(found.pitch, found.frame, start, said.note, counts)


def _likely(
    heard: Posteriors, material: Material
) -> tuple[Candidates, NDArray[np.float32], NDArray[np.float64]]:
    """The candidates that the first network finds likely, their features, and how sure it is of each.

    A stretch of time after the other, as most candidates are none.
    """
    found = candidates(heard.note, heard.onset)
    parts = []
    for first in range(0, len(heard.note), STRETCH):
        inside = (found.frame >= first) & (found.frame < first + STRETCH)
        here = found.only(inside)
        rows = features(heard, here)
        said = verdicts(networks().first, rows, material)
        likely = said.note + said.ghost >= LIKELY
        which = np.flatnonzero(inside)[likely]
        parts.append((which, rows.T[:, likely], said.note[likely]))
    which, columns, sure = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    order = np.argsort(which)
    return found.only(which[order]), columns[:, order].T, sure[order]


def _surest(strokes: _Strokes, apart: float) -> NDArray[np.bool_]:
    """Which strokes no surer one on their pitch is nearer to than `apart` frames. No threshold enters."""
    surest = np.ones(len(strokes.pitch), dtype=bool)
    for step in (1, 2, 3):
        one, other = slice(None, -step), slice(step, None)
        near = strokes.pitch[one] == strokes.pitch[other]
        near &= np.abs(strokes.start[other] - strokes.start[one]) < apart
        weaker = strokes.counts[one] < strokes.counts[other]
        surest[one][near & weaker] = False
        surest[other][near & ~weaker] = False
    return surest


def _lasts(heard: Posteriors, strokes: _Strokes, minimum: float) -> NDArray[np.bool_]:
    """Which strokes sound on for `minimum` frames, whatever else is struck on their pitch."""
    start = np.rint(strokes.start).astype(np.int64)
    limit = np.full(len(start), len(heard.note))
    over = crossings(by_pitch(heard.note), strokes.pitch, start + 1, limit, SOUNDS_AT_ALL)
    return np.asarray((over - start >= minimum) | (over == limit))


def _as_notes(
    heard: Posteriors, strokes: _Strokes, material: Material, chosen: MaterialDecoding
) -> list[Note]:
    order = np.lexsort((strokes.start, strokes.pitch))
    strokes = strokes.only(order)
    frame = np.minimum(np.rint(strokes.start).astype(np.int64), len(heard.note) - 1)
    limit = np.maximum(_next_starts(strokes.pitch, frame, len(heard.note)), frame + 1)
    if chosen.frame_threshold is None:
        end = ends_of(heard, strokes.pitch, frame, limit, material)
    else:
        end = crossings(by_pitch(heard.note), strokes.pitch, frame + 1, limit, chosen.frame_threshold).astype(
            float
        )
    velocity = velocities(heard, strokes.pitch, frame, material)
    start_s = strokes.start * FRAME_S
    end_s = np.maximum(end * FRAME_S, start_s + SHORTEST_S)
    in_time = np.lexsort((strokes.pitch, start_s))
    columns = (start_s, end_s, strokes.pitch + LOWEST_PITCH, velocity, np.clip(strokes.sure, 0, 1))
    rows = zip(*(column[in_time].tolist() for column in columns), strict=True)
    return [Note(*row) for row in rows]


def _next_starts(pitch: Indices, start: Indices, frames: int) -> Indices:
    """For each note the start of the next one on its pitch, or the number of frames."""
    following = np.full_like(start, frames)
    same = pitch[1:] == pitch[:-1]
    following[:-1][same] = start[1:][same]
    return following
