"""From the pitch of one voice over time to its notes, with or without what the note network heard. Pure.

The voice's semitone over time (`voice_path`) falls into stretches; where in or before them the sound is new a
note may begin (`voice_strokes`); a small network says where one does and exactly when, another where it is
over (`voice_release`, `voice_network`). Both were trained on leads, voices and basses.

Which strokes are kept is a threshold on how sure it is of each, and of two that are nearer than a shortest
note the surer is kept: so a lower threshold finds the same notes and more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.note_loudness import as_velocities
from bridge.engine.pitch_track import LEVEL_S, PitchTrack
from bridge.engine.posteriors import FRAME_S, LOWEST_PITCH, Posteriors
from bridge.engine.voice_network import length_factors, stroke_verdicts
from bridge.engine.voice_path import View, path, view_of
from bridge.engine.voice_release import release_features
from bridge.engine.voice_strokes import Stretches, Strokes, features, stretches_of, strokes_of
from bridge.media.notes import Material, Note

APART_S = 0.05  # two notes of one pitch
CHANGE_S = 0.03  # two notes of any pitch
BROKEN_FRAMES = 12  # a pitch that is lost for less goes on
STRUCK_STEPS = np.arange(round(0.02 / LEVEL_S), round(0.12 / LEVEL_S))  # that a velocity is taken from

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class _Chosen:
    """A material's own values. `frame_threshold` None: the network finds the ends."""

    onset_threshold: float = 0.5
    frame_threshold: float | None = None
    minimum_note_ms: float = 40.0
    lowest_note: int = 0
    highest_note: int = 127


CHOSEN: Mapping[Material, _Chosen] = {
    "solo": _Chosen(),
    "voice": _Chosen(),
    "bass": _Chosen(),
}


@dataclass(frozen=True)
class _Begun:
    """Notes without their ends, in order of time: seconds, pitch, how sure, and the stretch of each."""

    start_s: Floats
    pitch: Indices
    sure: Floats
    stretch: Indices

    def only(self, keep: Mask | Indices) -> _Begun:
        return _Begun(*(values[keep] for values in vars(self).values()))


def notes_of(
    track: PitchTrack, options: DecodingOptions, material: Material, heard: Posteriors | None = None
) -> list[Note]:
    """The notes of one voice in order of time, one at a time, without bends.

    `heard` is what the note network heard in the same audio: with it, struck-again notes and octaves are much
    surer. `material` is solo, voice or bass; any other is decoded as solo. Of the options `frame_threshold`
    is the confidence of the pitch under which a note is over; `remove_ghosts` is for chords only.
    """
    if len(track.hz) == 0:
        return []
    material = material if material in CHOSEN else "solo"
    chosen = chosen_values(options, material)
    view = view_of(track, heard)
    runs = stretches_of(path(view))
    begun = _begun(view, runs, strokes_of(view, runs), material)
    begun = begun.only((begun.pitch >= chosen.lowest_note) & (begun.pitch <= chosen.highest_note))
    begun = begun.only(begun.sure >= chosen.onset_threshold)
    start, limit = _frames(view, runs, begun)
    end_s = _ends_s(view, begun, start, limit, chosen, material)
    long_enough = end_s - begun.start_s >= chosen.minimum_note_ms / 1000
    velocity = _velocities(view, begun)
    columns = (begun.start_s, end_s, begun.pitch, velocity, begun.sure)
    rows = zip(*(column[long_enough].tolist() for column in columns), strict=True)
    return [Note(*row) for row in rows]


def chosen_values(options: DecodingOptions, material: Material) -> _Chosen:
    """The material's values, those that the options name replaced."""
    names = _Chosen.__dataclass_fields__
    named = {name: value for name, value in vars(options).items() if name in names and value is not None}
    return _Chosen(**{**vars(CHOSEN[material]), **named})


def _begun(view: View, runs: Stretches, strokes: Strokes, material: Material) -> _Begun:
    """All strokes that no surer one is too near to."""
    if len(strokes.at_s) == 0:
        return _Begun(np.zeros(0), np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64))
    sure, later_s = stroke_verdicts(features(view, runs, strokes), material)
    last_s = (view.frames - 1) * FRAME_S
    begun = _Begun(np.clip(strokes.at_s + later_s, 0, last_s), strokes.pitch, sure, strokes.stretch)
    begun = begun.only(np.lexsort((begun.start_s, begun.pitch)))
    begun = begun.only(_surest(begun, APART_S, begun.pitch))
    begun = begun.only(np.argsort(begun.start_s, kind="stable"))
    return begun.only(_surest(begun, CHANGE_S, np.zeros_like(begun.pitch)))


def _surest(begun: _Begun, apart_s: float, group: Indices) -> Mask:
    """Which notes no surer one of their group is nearer to. No threshold enters."""
    surest = np.ones(len(group), dtype=bool)
    for step in (1, 2, 3, 4):
        one, other = slice(None, -step), slice(step, None)
        near = (group[one] == group[other]) & (begun.start_s[other] - begun.start_s[one] < apart_s)
        weaker = begun.sure[one] < begun.sure[other]
        surest[one][near & weaker] = False
        surest[other][near & ~weaker] = False
    return surest


def _frames(view: View, runs: Stretches, begun: _Begun) -> tuple[Indices, Indices]:
    """Each note's first frame, and the frame at which it is over at the latest: the next note or silence."""
    start = np.minimum(np.rint(begun.start_s / FRAME_S).astype(np.int64), view.frames - 2)
    following = np.append(start[1:], view.frames)
    over = runs.end[begun.stretch]
    again, again_start = _taken_up_again(runs)
    for note, stretch in enumerate(begun.stretch.tolist()):
        run = stretch
        while again[run] >= 0 and again_start[run] < following[note]:
            run = again[run]
        over[note] = runs.end[run]
    return start, np.maximum(np.minimum(over, following), start + 1)


def _taken_up_again(runs: Stretches) -> tuple[list[int], list[int]]:
    """For each stretch the next one of its pitch if that follows at once, else -1; and where that begins."""
    after = np.full(len(runs.pitch), -1)
    order = np.lexsort((runs.start, runs.pitch))
    one, other = order[:-1], order[1:]
    follows = (runs.pitch[one] == runs.pitch[other]) & (runs.start[other] - runs.end[one] <= BROKEN_FRAMES)
    after[one[follows]] = other[follows]
    return after.tolist(), runs.start[after].tolist()


def _ends_s(
    view: View, begun: _Begun, start: Indices, limit: Indices, chosen: _Chosen, material: Material
) -> Floats:
    if len(start) == 0:
        return np.zeros(0)
    following_s = np.append(begun.start_s[1:], view.frames * FRAME_S)
    if chosen.frame_threshold is not None:
        end_s = _last_sure(view, begun.pitch, start, limit, chosen.frame_threshold) * FRAME_S
    else:
        rows, near = release_features(view, begun.pitch, start, limit)
        end_s = begun.start_s + (near - start) * FRAME_S * length_factors(rows, material)
    ends_s: Floats = np.minimum(np.minimum(end_s, following_s), view.duration_s)
    return ends_s


def _last_sure(view: View, pitch: Indices, start: Indices, limit: Indices, threshold: float) -> Indices:
    """For each note the frame after the last in which its pitch is sure."""
    length = limit - start
    first = np.cumsum(length) - length
    note = np.repeat(np.arange(len(start)), length)
    frame = np.arange(len(note)) - first[note] + start[note]
    sure = np.maximum(view.confidence[frame], view.note[frame, pitch[note] - LOWEST_PITCH])
    last: Indices = np.maximum.reduceat(np.where(sure >= threshold, frame + 1, 0), first)
    return last


def _velocities(view: View, begun: _Begun) -> Indices:
    """From the mean power just after the attack: of one voice it says more than its peak or its partials."""
    step = np.rint(begun.start_s / LEVEL_S).astype(np.int64)[:, None] + STRUCK_STEPS
    levels = view.fine_level_db[np.clip(step, 0, len(view.fine_level_db) - 1)].astype(np.float64)
    power = 10 ** (levels / 10)
    loud_db = 10 * np.log10(power.mean(axis=1))
    return as_velocities(loud_db) if len(loud_db) else np.zeros(0, np.int64)
