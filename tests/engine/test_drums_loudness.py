"""Velocities of drums: by level, relative to the piece's own loud strokes."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine.drum_bands import BANDS, FLOOR_DB, STEPS_PER_DB
from bridge.engine.drum_hits import DrumActivity, HitOptions, hits_of
from bridge.engine.drum_loudness import PIECE_BANDS, piece_levels, risen, velocities
from bridge.engine.drum_network import OPEN, PIECES, RIDE, STICK

FRAMES = 200


def _activity(
    struck: dict[tuple[int, str], float], sorts: dict[tuple[int, int], float] | None = None
) -> DrumActivity:
    """Strokes at (frame, piece) with their likelihood, and what sort they are at (frame, column)."""
    activity = DrumActivity(
        struck=np.zeros((FRAMES, 5), np.uint16),
        sort=np.zeros((FRAMES, 6), np.uint8),
        hard=np.full((FRAMES, 5), 90, np.uint8),
        level=np.full((FRAMES, 5), 180, np.uint8),
        samples=FRAMES * 256,
    )
    for (frame, piece), likely in struck.items():
        activity.struck[frame, PIECES.index(piece)] = round(likely * 65_535)
    for (frame, column), share in (sorts or {}).items():
        activity.sort[frame, column] = round(share * 255)
    return activity


def test_a_piece_for_every_level() -> None:
    assert tuple(PIECE_BANDS) == PIECES


def test_the_level_of_a_piece_is_that_of_its_bands() -> None:
    levels = np.zeros((3, BANDS), np.uint8)
    levels[1, 1] = 200  # a low band, heard as kick only
    found = piece_levels(levels)
    assert found.shape == (3, 5)
    assert found[1, PIECES.index("kick")] == pytest.approx(200, abs=1)
    assert found[1, PIECES.index("hat")] < 20
    two = levels.copy()
    two[1, 2] = 200  # twice the power
    louder_db = (int(piece_levels(two)[1, 0]) - int(found[1, 0])) / STEPS_PER_DB
    assert louder_db == pytest.approx(3.0, abs=0.5)


def test_a_stroke_is_as_loud_as_it_becomes() -> None:
    levels = np.array([[10], [10], [90], [80], [10], [10], [10], [10], [10], [10]], np.uint8)
    assert risen(levels)[:, 0].tolist() == [90, 90, 90, 80, 10, 10, 10, 10, 10, 10]
    assert risen(levels[:0]).shape == (0, 1)
    assert risen(levels[:2])[:, 0].tolist() == [10, 10]


@pytest.mark.parametrize("piece", PIECES)
def test_forty_decibels_are_a_factor_of_ten(piece: str) -> None:
    level = np.array([180, 180, 180, 180, 180 - 12 * STEPS_PER_DB], np.uint8)
    hard = np.full(5, 100, np.uint8)
    found = velocities(piece, level, hard, np.ones(5, np.bool_))
    assert found.tolist() == [100, 100, 100, 100, 50]


def test_velocities_stay_in_midi() -> None:
    level = np.array([0, 255, 100, 100, 100, 100, 100, 100, 100, 100, 100], np.uint8)
    found = velocities("kick", level, np.full(11, 120, np.uint8), np.ones(11, np.bool_))
    assert (int(found.min()), int(found.max())) == (7, 127)  # 50 dB softer; 77 dB harder
    quiet = velocities("kick", level, np.full(11, 5, np.uint8), np.ones(11, np.bool_))
    assert int(quiet.min()) == 1
    assert velocities("kick", level[:0], level[:0], np.zeros(0, np.bool_)).tolist() == []


def test_doubtful_strokes_do_not_move_the_sure_ones() -> None:
    level, hard = np.array([180, 170, 60, 50], np.uint8), np.array([100, 95, 40, 30], np.uint8)
    sure = np.array([True, True, False, False])
    both = velocities("hat", level, hard, sure)
    assert both[:2].tolist() == velocities("hat", level[:2], hard[:2], sure[:2]).tolist()
    assert velocities("hat", level, hard, np.zeros(4, np.bool_)).tolist() == [100, 95, 40, 30]


@pytest.mark.parametrize(
    ("piece", "column", "key", "other"),
    [("snare", STICK, 38, 37), ("hat", OPEN, 42, 46), ("cymbal", RIDE, 49, 51)],
)
def test_the_sort_says_the_key(piece: str, column: int, key: int, other: int) -> None:
    struck = {(50, piece): 0.9, (90, piece): 0.9}
    found = hits_of(_activity(struck, {(50, column): 0.1, (90, column): 0.9}))
    assert [note.pitch for note in found] == [key, other]


def test_toms_by_height_and_kick() -> None:
    struck = {(10, "tom"): 0.9, (50, "tom"): 0.9, (90, "tom"): 0.9, (130, "kick"): 0.9}
    found = hits_of(_activity(struck, {(10, 2): 0.8, (50, 3): 0.8, (90, 4): 0.8, (130, STICK): 1.0}))
    assert [note.pitch for note in found] == [43, 47, 50, 36]


def test_pieces_that_are_struck_together_are_all_there() -> None:
    found = hits_of(_activity({(50, piece): 0.9 for piece in PIECES}))
    assert [note.pitch for note in found] == [36, 38, 42, 43, 49]
    assert [note.start_s for note in found] == pytest.approx([50 * 256 / 44_100] * 5)


def test_a_cymbal_rings_until_it_is_struck_again_and_no_longer_than_the_audio() -> None:
    found = hits_of(_activity({(10, "cymbal"): 0.9, (50, "cymbal"): 0.9, (190, "cymbal"): 0.9}))
    assert found[0].end_s == pytest.approx(found[1].start_s)
    assert found[1].end_s == pytest.approx(found[1].start_s + 0.5)
    assert found[2].end_s == pytest.approx(FRAMES * 256 / 44_100)


def test_the_threshold_is_a_stroke_s_confidence() -> None:
    activity = _activity({(50, "kick"): 0.45, (90, "kick"): 0.8})
    assert [round(note.confidence, 2) for note in hits_of(activity)] == [0.8]
    found = hits_of(activity, HitOptions(onset_threshold=0.4))
    assert [round(note.confidence, 2) for note in found] == [0.45, 0.8]
    assert hits_of(activity, HitOptions(onset_threshold=0.9)) == []


def test_the_floor_is_low_enough_for_16_bits() -> None:
    assert FLOOR_DB < -96
