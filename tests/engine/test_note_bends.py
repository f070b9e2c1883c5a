"""Bends: as deep as they were sung, none where nothing moves, and none of a neighbour's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine import posteriors as network
from bridge.engine.models import ModelStore
from bridge.engine.note_bends import bends_from_contour, bends_from_track
from bridge.engine.pitch_track import FRAME_S, RATE_HZ, PitchTrack, listen
from bridge.engine.posteriors import CONTOUR_BINS, LEVEL_PITCHES, PITCHES, Posteriors, pack
from bridge.media.notes import Note, check_note
from support.sung import held_at, pitch_at, slide, sung, vibrato

Floats = NDArray[np.floating[Any]]


def track_of(
    notes: Sequence[Note], *, duration_s: float = 4.0, jitter: float = 0.0, off: float = 0.0
) -> PitchTrack:
    """What a perfect tracker would hear, or one that errs by `jitter` semitones."""
    rng = np.random.default_rng(5)
    at_s = np.arange(round(duration_s / FRAME_S)) * FRAME_S
    pitch, confidence = np.full(len(at_s), 60.0), np.zeros(len(at_s))
    for note in notes:
        inside = (at_s >= note.start_s) & (at_s < note.end_s)
        pitch[inside] = note.pitch + pitch_at(note, at_s[inside] - note.start_s)
        confidence[inside] = 0.95
    pitch += off + jitter * rng.normal(0, 1, len(at_s))
    hz = (440 * 2 ** ((pitch - 69) / 12)).astype(np.float32)
    steps = len(at_s) * 8
    empty = np.zeros(steps, np.uint8)
    return PitchTrack(hz, confidence.astype(np.float32), empty, empty[::2], steps * 32)


def bare(notes: Sequence[Note]) -> list[Note]:
    return [replace(note, bends=()) for note in notes]


def errors(truth: Note, found: Note) -> Floats:
    """Semitones between the two, every 5 ms."""
    at_s = np.arange(0, truth.end_s - truth.start_s, 0.005)
    return np.abs(pitch_at(truth, at_s) - held_at(found, at_s))


@pytest.mark.parametrize("depth", [0.15, 0.5, 1.0])
def test_a_vibrato_keeps_its_depth(depth: float) -> None:
    truth = Note(0.503, 2.2, 64, 90, 1.0, vibrato(1.7, depth=depth))
    [found] = bends_from_track(bare([truth]), track_of([truth]))
    assert np.median(errors(truth, found)) < 0.06 + 0.03 * depth
    depths = [semitones for _, semitones in found.bends]
    assert max(depths) == pytest.approx(depth, abs=0.12)
    assert min(depths) == pytest.approx(-depth, abs=0.12)


def test_bends_are_few_in_order_and_begin_with_the_note() -> None:
    truth = Note(0.5, 2.5, 64, 90, 1.0, vibrato(2.0, depth=1.0, rate_hz=7))
    [found] = bends_from_track(bare([truth]), track_of([truth]))
    check_note(found)
    times = [after_s for after_s, _ in found.bends]
    assert times[0] == 0
    assert times[-1] < 2.0
    assert np.diff(times).min() >= 0.02 - 1e-9
    assert len(times) <= 100


@pytest.mark.parametrize("jitter", [0.0, 0.03])
@pytest.mark.parametrize("off", [0.0, 0.3, -0.4])
def test_steady_notes_have_no_bends_however_the_voice_is_tuned(jitter: float, off: float) -> None:
    notes = [Note(at, at + 0.45, 60 + round(at * 2), 90) for at in (0.2, 0.7, 1.2, 1.7, 2.2)]
    found = bends_from_track(notes, track_of(notes, jitter=jitter, off=off))
    assert [note.bends for note in found] == [()] * 5


def test_a_note_sung_flat_as_a_whole_is_bent_as_a_whole() -> None:
    notes = [Note(at, at + 0.45, 60, 90) for at in (0.2, 0.7, 1.2, 1.7)]
    flat = replace(notes[2], bends=((0.0, -0.3),))
    found = bends_from_track(notes, track_of([*notes[:2], flat, notes[3]]))
    assert [len(note.bends) for note in found] == [0, 0, 1, 0]
    assert found[2].bends[0] == pytest.approx((0.0, -0.3), abs=0.1)


def test_a_slide_is_kept_and_a_jump_from_the_note_before_is_not() -> None:
    before = Note(0.2, 1.0, 60, 90)
    slid = Note(1.0, 2.0, 62, 90, 1.0, slide(1.0, semitones=-2, within_s=0.12))
    [_, found] = bends_from_track(bare([before, slid]), track_of([before, slid]))
    assert found.bends[0][1] < -1.2
    assert abs(found.bends[-1][1]) < 0.1
    # The tracker still sees the note before in the first frames of the next.
    struck, late = Note(1.0, 2.0, 62, 90), Note(0.2, 1.035, 60, 90)
    [_, found] = bends_from_track([before, struck], track_of([late, replace(struck, start_s=1.035)]))
    assert found.bends == ()


def test_the_note_after_does_not_leak_in() -> None:
    held, after = Note(0.2, 1.0, 60, 90), Note(0.96, 2.0, 61, 90)
    [found, _] = bends_from_track([held, replace(after, start_s=1.0)], track_of([held, after]))
    assert found.bends == ()


def test_an_octave_slip_and_frames_without_a_pitch_are_no_bend() -> None:
    note = Note(0.2, 1.8, 60, 90)
    track = track_of([note])
    track.hz[40:46] *= 2
    track.hz[60:66] *= 1.4
    track.confidence[60:66] = 0.2
    assert bends_from_track([note], track)[0].bends == ()


def test_the_wavering_of_an_attack_and_a_release_is_no_bend() -> None:
    note = Note(0.2, 1.8, 60, 90)
    track = track_of([note])
    first, last = int(np.ceil(0.2 / FRAME_S)), int(np.ceil(1.8 / FRAME_S)) - 1
    track.hz[[first, last]] *= 2 ** (0.22 / 12)
    assert bends_from_track([note], track)[0].bends == ()


def test_a_note_that_is_heard_an_octave_off_keeps_its_bends() -> None:
    truth = Note(0.2, 1.8, 60, 90, 1.0, vibrato(1.6, depth=0.5))
    track = track_of([truth])
    track.hz[:] *= 2
    [found] = bends_from_track(bare([truth]), track)
    assert np.median(errors(truth, found)) < 0.08


def test_a_note_that_is_mostly_unheard_has_no_bends() -> None:
    truth = Note(0.2, 1.8, 60, 90, 1.0, vibrato(1.6, depth=0.5))
    track = track_of([truth])
    track.confidence[20:90] = 0.1
    assert bends_from_track(bare([truth]), track)[0].bends == ()


def test_nothing_to_bend() -> None:
    track = track_of([])
    assert bends_from_track([], track) == []
    outside = Note(9.0, 9.5, 60, 90)
    assert bends_from_track([outside], track)[0].bends == ()
    empty = PitchTrack(*(np.zeros(0, np.float32),) * 2, *(np.zeros(0, np.uint8),) * 2, 0)
    assert bends_from_track([outside], empty)[0].bends == ()


# The contour of chords


def contour_of(notes: Sequence[Note], *, duration_s: float = 4.0) -> Posteriors:
    """A contour with a hill at each note's pitch, 1.2 bins wide."""
    frames = round(duration_s / network.FRAME_S)
    at_s, bins = np.arange(frames) * network.FRAME_S, np.arange(CONTOUR_BINS)
    contour = np.zeros((frames, CONTOUR_BINS))
    for note in notes:
        inside = (at_s >= note.start_s) & (at_s < note.end_s)
        middle = 3 * (note.pitch - 21 + pitch_at(note, at_s[inside] - note.start_s)) + 1
        contour[inside] += 0.9 * np.exp(-0.5 * ((bins - middle[:, None]) / 1.2) ** 2)
    nothing = np.zeros((frames, PITCHES), np.uint16)
    level = np.zeros((frames, LEVEL_PITCHES), np.uint8)
    return Posteriors(nothing, nothing, pack(contour.astype(np.float32)), level, round(duration_s * 22_050))


def test_a_note_shaken_in_a_chord_is_bent_and_the_others_are_not() -> None:
    shaken = Note(0.5, 2.5, 67, 90, 1.0, vibrato(2.0, depth=0.5))
    chord = [Note(0.5, 2.5, pitch, 90) for pitch in (55, 60)]
    found = bends_from_contour([*chord, replace(shaken, bends=())], contour_of([*chord, shaken]))
    assert [bool(note.bends) for note in found] == [False, False, True]
    assert np.median(errors(shaken, found[2])) < 0.12


def test_where_neighbours_sound_the_contour_is_not_believed() -> None:
    chord = [Note(0.5, 2.5, 60, 90), Note(1.0, 2.0, 61, 90), Note(1.4, 2.4, 59, 90)]
    assert [note.bends for note in bends_from_contour(chord, contour_of(chord))] == [()] * 3


def test_notes_off_the_contours_ends_are_left_alone() -> None:
    notes = [Note(0.5, 1.5, 21, 90), Note(0.5, 1.5, 108, 90), Note(0.5, 1.5, 12, 90), Note(0.5, 1.5, 120, 90)]
    assert all(not note.bends for note in bends_from_contour(notes, contour_of(notes[:2])))


# The real network


@pytest.fixture(scope="module")
def model(models_folder: Path) -> Path:
    return ModelStore(models_folder).pull("swift-f0", report=print)


def test_a_sung_line_is_bent_as_it_was_sung(model: Path) -> None:
    truth = [
        Note(0.2, 1.4, 57, 100, 1.0, vibrato(1.2, depth=0.4)),
        Note(1.4, 2.4, 59, 100, 1.0, slide(1.0, semitones=-2)),
        Note(2.5, 3.2, 62, 100),
        Note(3.2, 4.6, 64, 100, 1.0, vibrato(1.4, depth=0.8, rate_hz=6.2)),
    ]
    track = listen([sung(truth, rate_hz=RATE_HZ, duration_s=5.0)], model=model)
    found = bends_from_track(bare(truth), track)
    assert [bool(note.bends) for note in found] == [True, True, False, True]
    every = np.concatenate([errors(*pair) for pair in zip(truth, found, strict=True)])
    assert np.median(every) < 0.06
    assert np.percentile(every, 95) < 0.25
