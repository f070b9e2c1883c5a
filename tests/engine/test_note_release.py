"""Where notes end and how hard they were struck."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.note_loudness import (
    LOUD_VELOCITY,
    LOUDNESS_FEATURES,
    as_velocities,
    loudness_features,
    velocities,
)
from bridge.engine.note_release import (
    RELEASE_FEATURES,
    SILENT_FRAMES,
    by_pitch,
    crossings,
    ends_of,
    release_features,
)
from bridge.engine.posteriors import pack
from support.drawings import Drawing

Indices = NDArray[np.int64]


def falls(drawing: Drawing, pitch: int, start: int, threshold: float = 0.3, limit: int = 10_000) -> int:
    rows = by_pitch(drawing.heard().note)
    ends = crossings(rows, np.array([pitch - 21]), np.array([start]), np.array([limit]), threshold)
    return int(ends[0])


def test_a_note_falls_at_its_end_or_at_the_limit() -> None:
    drawing = Drawing(300).note(60, 50, 120)
    assert falls(drawing, 60, 51) == 120
    assert falls(drawing, 60, 51, limit=90) == 90
    assert falls(drawing, 60, 51, threshold=0.9) == 51
    assert falls(drawing, 60, 51, threshold=0.05) == 300


def test_a_short_dip_ends_nothing() -> None:
    drawing = Drawing(300).note(60, 50, 120)
    drawing.notes[80 : 80 + SILENT_FRAMES - 1, 39] = 0
    assert falls(drawing, 60, 51) == 120
    drawing.notes[80 : 80 + SILENT_FRAMES, 39] = 0
    assert falls(drawing, 60, 51) == 80


def test_a_note_that_sounds_to_the_audios_end_stays_on_its_pitch() -> None:
    drawing = Drawing(300).note(60, 250, 300).note(61, 0, 40)
    assert falls(drawing, 60, 251) == 300
    assert falls(drawing, 61, 1) == 40


def _by_walking(activation: list[float], start: int, limit: int, threshold: float) -> int:
    silent = 0
    for frame in range(start, len(activation)):
        silent = silent + 1 if activation[frame] < threshold else 0
        if silent == SILENT_FRAMES:
            return min(frame + 1 - silent, limit)
    return min(len(activation) - silent, limit)  # the audio's end is silence too


@pytest.mark.parametrize("seed", range(4))
def test_falls_are_those_that_walking_frame_by_frame_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    steps = np.repeat(rng.random((80, 88)) < 0.6, 5, axis=0)
    note = pack((steps * rng.uniform(0.31, 1, steps.shape)).astype(np.float32))
    pitch, start = rng.integers(0, 88, 300), rng.integers(0, 390, 300)
    limit = start + rng.integers(1, 200, 300)
    found = crossings(by_pitch(note), pitch, start, limit, 0.3)
    for index in range(300):
        column = (note[:, pitch[index]] / 65_535).tolist()
        assert found[index] == _by_walking(column, int(start[index]), int(limit[index]), 0.3)


def _notes(count: int) -> tuple[Drawing, Indices, Indices, Indices]:
    rng = np.random.default_rng(count)
    drawing = Drawing(2000)
    pitch, start = rng.integers(10, 80, count), np.sort(rng.integers(0, 1900, count))
    for column, frame in zip(pitch.tolist(), start.tolist(), strict=True):
        drawing.note(
            column + 21, frame, frame + int(rng.integers(5, 90)), strength=float(rng.uniform(0.4, 1))
        )
    return drawing, pitch, start, np.minimum(start + rng.integers(3, 300, count), 2000)


def test_release_features_are_finite_and_ends_lie_between_start_and_limit() -> None:
    drawing, pitch, start, limit = _notes(60)
    heard = drawing.heard()
    rows, even = release_features(heard, pitch, start, limit)
    assert rows.shape == (60, RELEASE_FEATURES)
    assert np.isfinite(rows).all()
    assert ((even > start) & (even <= np.maximum(limit, start + 1))).all()
    ends = ends_of(heard, pitch, start, limit, "piano")
    assert ((ends > start) & (ends <= limit)).all()


def test_velocities_follow_40_log10_of_the_loud_notes() -> None:
    struck_db = np.array([0.0] * 8 + [-6.0, -12.0, -40.0, 0.0])
    expected = [LOUD_VELOCITY] * 8 + [round(LOUD_VELOCITY * 10 ** (db / 40)) for db in (-6, -12, -40)]
    assert as_velocities(struck_db).tolist() == [*expected, LOUD_VELOCITY]
    assert as_velocities(struck_db - 23).tolist() == as_velocities(struck_db).tolist()
    assert as_velocities(np.array([0.0, -500.0, 500.0])).min() == 1


def test_velocities_do_not_depend_on_gain() -> None:
    drawing, pitch, start, _ = _notes(40)
    loud, quiet = drawing.heard(), drawing.heard(gain_db=-20.0)
    rows = loudness_features(loud, pitch, start)
    assert rows.shape == (40, LOUDNESS_FEATURES)
    assert np.abs(rows - loudness_features(quiet, pitch, start)).max() < 0.1
    difference = velocities(loud, pitch, start, "piano") - velocities(quiet, pitch, start, "piano")
    assert np.abs(difference).max() <= 2
    assert velocities(loud, pitch[:0], start[:0], "piano").tolist() == []


def test_louder_notes_are_harder() -> None:
    drawing = Drawing(600)
    for number, loud_db in enumerate((-20.0, -10.0, 0.0)):
        drawing.note(60, 50 + 150 * number, 150 + 150 * number, loud_db=loud_db)
    frames = np.array([50, 200, 350])
    soft, middle, hard = velocities(drawing.heard(), np.full(3, 39), frames, "piano").tolist()
    assert soft < middle < hard
