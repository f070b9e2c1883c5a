"""Whose word counts for tempo, meter, key and place, and how that is told."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest

from bridge.media.musical_context import Told, context_of, exact_bpm, meter_map
from bridge.media.musical_time import Curve, Key, KeyPoint, Marker, TempoMap, TempoPoint

F = Fraction


def told(source: str, bpm: float | None = None, **fields: Any) -> Told:
    tempo = None if bpm is None else TempoMap.constant(exact_bpm(bpm))
    return Told(source, tempo=tempo, **fields)


RISING = TempoMap((TempoPoint(F(0), F(100), Curve.LINEAR_IN_BEATS), TempoPoint(F(32), F(140))))


def test_each_value_is_the_first_teller_s() -> None:
    context = context_of(
        [
            told("WAV chunks", start_s=F(3, 2)),
            told("file name", 128.5, keys=(KeyPoint(F(0), Key.named("F#m")),), start_bar=9),
            told("preset", 100, meters=meter_map("3/4")),
            told("settings", 90),
        ]
    )
    facts = context.to_json()
    assert (facts["tempo_bpm"], facts["tempo_source"]) == (128.5, "file name")
    assert (facts["meter"], facts["meter_source"]) == ("3/4", "preset")
    assert (facts["key"], facts["key_source"]) == ("F# minor", "file name")
    assert (facts["position_s"], facts["position_source"]) == (1.5, "WAV chunks")
    assert context.note() == "128.5 BPM from the file name"
    assert context.remarks == ()


def test_where_nobody_knows_it_is_said() -> None:
    context = context_of([])
    facts = context.to_json()
    assert context.note() == "tempo unknown, written at 120 BPM"
    assert (facts["tempo_bpm"], facts["tempo_source"]) == (120.0, "assumed")
    assert (facts["meter"], facts["meter_source"]) == ("4/4", "assumed")
    assert (facts["key"], facts["key_source"]) == (None, "unknown")
    assert (facts["position_s"], facts["position_bar"], facts["position_source"]) == (None, None, "unknown")


def test_a_bar_becomes_a_place_by_the_tempo_and_meter_that_hold() -> None:
    context = context_of([told("file name", 120, start_bar=5), told("preset", meters=meter_map("3/4"))])
    assert context.timeline.start_s == 6  # 12 quarter notes of half a second
    assert context.to_json()["position_bar"] == 5


def test_a_map_that_agrees_with_a_single_tempo_is_taken() -> None:
    project = Told("project file Song.als", tempo=RISING)
    beat = RISING.beat_at(F(10))
    named = told("file name", round(float(RISING.bpm_at(beat)), 1))
    context = context_of([told("WAV chunks", start_s=F(10)), named, project])
    assert context.tempo_source == "project file Song.als"
    assert context.timeline.tempo == RISING
    assert context.note().startswith("tempo map (")
    assert context.remarks == ()


def test_a_bounce_that_begins_on_a_change_has_the_tempo_behind_it() -> None:
    """The last sample before the change is where a render of 44.1 kHz begins."""
    jump = TempoMap((TempoPoint(F(0), F(121)), TempoPoint(F(32), F(90))))
    start_s = F(int(jump.seconds_at(F(32)) * 44_100), 44_100)
    assert start_s < jump.seconds_at(F(32))
    context = context_of([told("WAV chunks", 90, start_s=start_s), Told("project file S.RPP", tempo=jump)])
    assert (context.tempo_bpm, context.tempo_source) == (F(90), "project file S.RPP")
    assert context.remarks == ()
    assert context.to_json()["position_bar"] == 9


def test_a_map_is_asked_at_the_bar_that_the_name_says() -> None:
    jump = TempoMap((TempoPoint(F(0), F(121)), TempoPoint(F(32), F(90))))
    context = context_of([told("file name", 90, start_bar=9), Told("project file S.RPP", tempo=jump)])
    assert (context.tempo_source, context.remarks) == ("project file S.RPP", ())
    assert context.timeline.start_s == jump.seconds_at(F(32))


def test_a_name_that_contradicts_the_project_wins_and_it_is_said() -> None:
    context = context_of([told("file name", 128), Told("project file Other.als", tempo=RISING)])
    assert (context.tempo_bpm, context.tempo_source) == (F(128), "file name")
    assert context.remarks == (
        "the file name says 128 BPM, the project file Other.als 100 BPM: the file name is taken",
    )


def test_preset_and_settings_never_contradict_aloud() -> None:
    assert context_of([told("file name", 128), told("preset", 90), told("settings", 70)]).remarks == ()


def test_a_map_without_a_place_is_taken_from_its_beginning_and_it_is_said() -> None:
    context = context_of([Told("project file Song.als", tempo=RISING)])
    assert context.timeline.start_s == 0
    assert "place in the song is unknown" in context.remarks[0]


def test_what_was_told_is_the_same_when_it_is_read_back() -> None:
    whole = Told(
        "project file A.ardour",
        tempo=RISING,
        meters=meter_map("7/8"),
        keys=(KeyPoint(F(0), Key.named("Bbm")),),
        markers=(Marker(F(4), "Chorus"), Marker(F(8), "Solo", F(12))),
        start_s=F(1, 3),
        start_bar=3,
        remarks=("one", "two"),
    )
    for one in (whole, Told("preset"), told("file name", 127.999)):
        assert Told.from_json(json.loads(json.dumps(one.to_json()))) == one


@pytest.mark.parametrize("row", [{}, {"source": "x"}, {"source": "x", "has": [], "timeline": {"version": 1}}])
def test_what_nobody_told_is_no_teller(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"nothing that a source told|no timeline"):
        Told.from_json(row)


@pytest.mark.parametrize("text", ["", "4", "4/0", "0/4", "four/4", "4/3", "4/4/4"])
def test_what_is_no_meter_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"meter|numerator|denominator"):
        meter_map(text)


def test_a_decimal_tempo_is_exact() -> None:
    assert exact_bpm(128.1) == F(1281, 10)
    assert exact_bpm(float("93.4567")) == F(934567, 10_000)
