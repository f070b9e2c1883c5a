"""The delay is found whatever it is; members of a set agree."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.engine.fitting_bounce import windows
from bridge.engine.fitting_delay import Delay, Evidence, Member, correlated, delays, evidence_of
from support.returned_sets import Sound, parts

RATE_HZ = 12_000
REACH = RATE_HZ
STEMS = {name: stem.mean(axis=1) for name, stem in parts(3.0, rate_hz=RATE_HZ).items()}
MIX = sum(STEMS.values())


def heard(stem: Sound, offset: int, *, noise: float = 0.0, seed: int = 0) -> Evidence | None:
    """The evidence of `stem`, `offset` frames late, against the mix."""
    late = np.zeros(len(MIX) + 2 * REACH)
    late[REACH + offset : REACH + offset + len(stem)] = stem
    late += noise * np.random.default_rng(seed).standard_normal(len(late))
    return evidence_of(correlated(MIX[:, np.newaxis], late[:, np.newaxis], RATE_HZ), RATE_HZ)


def alone(evidence: Evidence | None, *, expected: int = 0) -> Delay:
    return delays([Member(evidence, "mp3", expected)])[0]


@settings(max_examples=40)
@given(
    offset=st.integers(-1700, 1700),
    name=st.sampled_from(["drums", "voice"]),
    level=st.floats(0.02, 4.0),
    is_inverted=st.booleans(),
)
def test_any_offset_is_found_to_the_frame(offset: int, name: str, level: float, *, is_inverted: bool) -> None:
    stem = (-level if is_inverted else level) * STEMS[name]
    assert alone(heard(stem, offset, noise=1e-4 * level)) == Delay(offset, "itself")


@settings(max_examples=20)
@given(offset=st.integers(2500, REACH - 1) | st.integers(1 - REACH, -2500))
def test_a_long_delay_is_believed_where_it_is_clear(offset: int) -> None:
    assert alone(heard(STEMS["voice"], offset)) == Delay(offset, "itself")


@settings(max_examples=20)
@given(seed=st.integers(0, 1 << 30), expected=st.sampled_from([0, 1105]))
def test_noise_decides_nothing(seed: int, expected: int) -> None:
    assert alone(heard(0 * MIX, 0, noise=0.1, seed=seed), expected=expected) == Delay(expected, "file")


def test_silence_is_no_evidence() -> None:
    assert heard(0 * MIX, 0) is None
    assert alone(None, expected=1105) == Delay(1105, "file")


def test_low_notes_alone_may_be_a_frame_off_and_go_with_their_set() -> None:
    scores = np.ones(2 * REACH + 1)
    scores[REACH + 700 : REACH + 705] = 30.0
    broad, clear = Evidence(scores, RATE_HZ), heard(STEMS["drums"], 705)
    found = delays([Member(broad, "mp3"), Member(clear, "mp3")])
    assert found == [Delay(705, "itself"), Delay(705, "itself")]


def test_a_usual_delay_wins_where_a_peak_is_broad() -> None:
    scores = np.ones(2 * REACH + 1)
    scores[REACH + 1095 : REACH + 1110] = 30.0
    scores[REACH + 1099] = 31.0
    assert alone(Evidence(scores, RATE_HZ)).frames == 1105
    scores[REACH + 1099] = 40.0
    assert alone(Evidence(scores, RATE_HZ)).frames == 1099


def test_only_files_of_one_coding_share_a_delay() -> None:
    clear = heard(STEMS["drums"], 705)
    found = delays([Member(None, "wav"), Member(clear, "mp3"), Member(None, "mp3")])
    assert found == [Delay(0, "file"), Delay(705, "itself"), Delay(705, "set")]


def test_what_was_taken_away_has_no_vote() -> None:
    away, kept = heard(STEMS["drums"], 1705), heard(0.1 * STEMS["drums"], 705, noise=0.002)
    found = delays([Member(away, "mp3", votes=False), Member(kept, "mp3")])
    assert [one.frames for one in found] == [705, 705]
    assert alone(away).frames == 1705


@pytest.mark.parametrize(
    ("source", "result", "found"),
    [
        ([1, 1, 1], [1, 1, 1], (3, [0])),
        ([1] * 100, [1] * 20 + [0] * 80, (16, [0, 16])),
        ([1] * 100, [0] * 40 + [1] * 16 + [0] * 44, (16, [40])),
        ([1] * 100, [0] * 100, (16, [])),
        ([0] * 10, [1] * 10, (10, [])),
        ([1] * 5, [1] * 900, (5, [0])),
        ([1] * 900, [1] * 5, (16, [0])),
        ([], [], (1, [])),
    ],
)
def test_windows_lie_where_both_are_heard(
    source: list[float], result: list[float], found: tuple[int, list[int]]
) -> None:
    assert windows(np.array(source, float), np.array(result, float)) == found


def test_windows_do_not_overlap() -> None:
    loud = np.random.default_rng(3).uniform(0, 1, 500)
    seconds, starts = windows(loud, loud)
    assert len(starts) == 3
    assert all(later - earlier >= seconds for earlier, later in pairwise(starts))
