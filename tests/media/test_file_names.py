from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.file_names import tempo_from_name


@pytest.mark.parametrize(
    ("stem", "bpm"),
    [
        ("loop_128bpm", 128),
        ("128 BPM", 128),
        ("128.5bpm", 128.5),
        ("groove 128,25 bpm F#m", 128.25),
        ("bpm128", 128),
        ("loop-090-bpm", 90),
        ("Song_bpm_174", 174),
        ("Bass BPM=99 v2", 99),
        ("_128bpm_F#m", 128),
        ("Kick128bpm", 128),
        ("128Bpm_64", 128),
        ("Take_01_bpm_128", 128),
        ("v1.2_128bpm", 128),
        ("Bässe_85bpm_tief", 85),
        ("20bpm", 20),
        ("400bpm", 400),
        ("100bpm to 128bpm", 100),
    ],
)
def test_a_tempo_in_the_name(stem: str, bpm: float) -> None:
    assert tempo_from_name(stem) == bpm


@pytest.mark.parametrize(
    "stem",
    [
        "", "128", "loop_128", "abpm", "bpm", "abpm128", "128bpmix", "128 bpms", "19bpm", "401bpm", "bpm19",
        "1280bpm", "bpm1280", "0bpm", "take 3", "2024-05-01",
        "128_loop_bpm", "bpm_loop_128", "Ébpm 128", "٣٣bpm",
    ],
)  # fmt: skip
def test_no_tempo_in_the_name(stem: str) -> None:
    assert tempo_from_name(stem) is None


@given(st.text())
def test_any_name_is_safe(stem: str) -> None:
    bpm = tempo_from_name(stem)
    assert bpm is None or 20 <= bpm <= 400
