from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.notes import (
    CSV_HEADER,
    Note,
    Transcription,
    in_time,
    notes_to_csv,
    transcription_from_json,
    transcription_to_json,
)

TIMES = st.floats(0, 700, allow_nan=False, allow_subnormal=False)


@st.composite
def any_notes(draw: st.DrawFn) -> Note:
    start_s, length_s = draw(TIMES), draw(TIMES)
    times = sorted(draw(st.lists(TIMES, max_size=3)))
    bends = tuple((after_s, draw(st.floats(-24, 24))) for after_s in times)
    confidence = draw(st.floats(0, 1))
    pitch, velocity = draw(st.integers(0, 127)), draw(st.integers(1, 127))
    return Note(start_s, start_s + length_s, pitch, velocity, confidence, bends)


@given(st.lists(any_notes(), max_size=10), st.sampled_from(["off", "per_note", "mpe"]), st.booleans())
def test_json_round_trip(notes: list[Note], mode: Any, drums: bool) -> None:
    heard = Transcription(tuple(notes), 720.5, ((0.5, 1.0), (1.0, 2.5)), drums, mode, {"engine": "x"})
    back = transcription_from_json(json.loads(json.dumps(transcription_to_json(heard))))
    assert sorted(back.notes, key=repr) == sorted(notes, key=repr)
    assert [in_time(note) for note in back.notes] == sorted(in_time(note) for note in notes)
    assert (back.duration_s, back.sustain, back.drums) == (720.5, heard.sustain, drums)
    assert (back.pitch_bends, back.about) == (mode, {"engine": "x"})


def test_an_earlier_version_can_be_read() -> None:
    data = {"version": 1, "duration_s": 2, "about": {}, "notes": [[0, 1, 60, 90, 0.5]]}
    assert transcription_from_json(data) == Transcription((Note(0, 1, 60, 90, 0.5),), 2.0)


@pytest.mark.parametrize(
    "note",
    [
        Note(-0.1, 1, 60, 100),
        Note(math.nan, 1, 60, 100),
        Note(0, math.inf, 60, 100),
        Note(1, 0.5, 60, 100),
        Note(0, 1, 128, 100),
        Note(0, 1, 60, 0),
        Note(0, 1, 60, 100, math.nan),
        Note(0, 1, 60, 100, 1.0, ((0.2, 1.0), (0.1, 1.0))),
        Note(0, 1, 60, 100, 1.0, ((0.0, 24.5),)),
    ],
)
def test_notes_that_cannot_be(note: Note) -> None:
    with pytest.raises(ValueError, match="must be in range"):
        transcription_to_json(Transcription((note,), 1.0))


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 3, "duration_s": 1, "about": {}, "notes": []},
        {"version": 2, "duration_s": 1, "about": {}, "notes": [[0, 1, 60]]},
        {"version": 2, "duration_s": 1, "about": {}, "notes": [[0, 1, 60, 200, 1]]},
        {"version": 2, "duration_s": 1, "about": {}, "notes": 3},
        {"version": 2, "duration_s": -1, "about": {}, "notes": []},
        {"version": 2, "duration_s": 1, "about": 3, "notes": []},
        {"version": 2, "duration_s": 1, "about": {}, "notes": [], "pitch_bends": "always"},
        {"version": 2, "duration_s": 1, "about": {}, "notes": [], "sustain": [[2, 1]]},
        {"version": 2, "duration_s": 1, "about": {}, "notes": [], "sustain": [[0, 2], [1, 3]]},
    ],
)
def test_json_that_is_no_list_of_notes(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        transcription_from_json(data)


def test_csv() -> None:
    text = notes_to_csv([Note(1, 1.5, 62, 90, 0.25), Note(0.1234567, 1, 60, 100)])
    assert text == f"{CSV_HEADER}\n0.123457,1.000000,60,100,1.0000\n1.000000,1.500000,62,90,0.2500\n"
    assert CSV_HEADER == "start_s,end_s,pitch,velocity,confidence"
