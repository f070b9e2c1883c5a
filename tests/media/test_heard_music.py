"""What an analysis tells of the music: only what is sure, exact, and nothing for what is no analysis."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from typing import Any

import pytest

from bridge.media.heard_music import told_of
from bridge.media.musical_context import HEARD, Told, context_of
from bridge.media.musical_time import MeterMap, TempoMap

SURE = {
    "bpm": 128.1,
    "bpm_confidence": 0.9,
    "key": "F# minor",
    "key_confidence": 0.8,
    "keys": [{"start_s": 0.0, "key": "F# minor", "confidence": 0.8}],
    "meter": "3/4",
    "meter_confidence": 0.95,
    "tempo_changes": [],
}


def analysis(**changes: Any) -> dict[str, Any]:
    return SURE | changes


def test_fills_tempo_meter_and_key_but_no_place() -> None:
    told = told_of(SURE)
    assert told.source == HEARD
    assert told.tempo == TempoMap.constant(Fraction(1281, 10))
    assert told.meters == MeterMap.constant(3, 4)
    assert [(int(point.beat), point.key.name) for point in told.keys] == [(0, "F# minor")]
    assert (told.start_s, told.start_bar, told.markers, told.cues) == (None, None, (), ())
    assert Told.from_json(told.to_json()) == told


@pytest.mark.parametrize(
    ("unsure", "missing"),
    [("bpm_confidence", {"tempo", "meters"}), ("meter_confidence", {"meters"}), ("key_confidence", {"keys"})],
)
@pytest.mark.parametrize("value", [0.3, None, "high", True, float("nan")])
def test_what_is_not_sure_is_not_told(unsure: str, missing: set[str], value: Any) -> None:
    told = told_of(analysis(**{unsure: value}))
    assert {name for name in ("tempo", "meters", "keys") if not getattr(told, name)} == missing


def test_changes_are_counted_from_where_the_audio_begins() -> None:
    told = told_of(
        analysis(
            bpm=120.0,
            tempo_changes=[{"start_s": 0.5, "bpm": 120.0}, {"start_s": 30.02, "bpm": 90.0}],
            keys=[{"start_s": 2.0, "key": "C major"}, {"start_s": 40.0, "key": "D major"}],
        )
    )
    assert told.tempo
    assert [(int(point.beat), int(point.bpm)) for point in told.tempo.points] == [(0, 120), (60, 90)]
    assert [(int(point.beat), point.key.name) for point in told.keys] == [(0, "C major"), (75, "D major")]


@pytest.mark.parametrize("at_s", [0.1, -5.0])
def test_changes_that_cannot_be_are_one_tempo(at_s: float) -> None:
    rows = [{"start_s": 0.0, "bpm": 100.0}, {"start_s": at_s, "bpm": 90.0}]
    told = told_of(analysis(bpm=100.0, tempo_changes=rows))
    assert told.tempo == TempoMap.constant(100)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"bpm": 120, "key": "A minor", "key_changes": {"0-120": ["A minor"]}},  # MusicGPT's
        analysis(bpm=None, key=None, keys=[]),
        analysis(bpm=10**9, key="H-dur", keys="none"),
        analysis(bpm="120", key=3, keys=[None, {"start_s": 0}]),
    ],
)
def test_nothing_is_told_for_what_tells_nothing(data: dict[str, Any]) -> None:
    assert told_of(data) == Told(HEARD)


def test_a_meter_that_is_none_is_not_told() -> None:
    assert told_of(analysis(meter="free")).meters is None


def test_any_other_source_goes_before_it() -> None:
    context = context_of([Told("preset", tempo=TempoMap.constant(100)), told_of(SURE)])
    assert (float(context.tempo_bpm), context.tempo_source) == (100.0, "preset")
    assert (context.meter_source, context.key_source) == (HEARD, HEARD)


def test_the_daemon_can_import_it_without_numpy() -> None:
    code = "import sys, bridge.media.heard_music; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("heard", "told"), [(107.01, 107), (106.97, 107), (107.2, 107.2), (92.5, 92.5)])
def test_a_tempo_that_is_as_good_as_whole_is_whole(heard: float, told: float) -> None:
    tempo = told_of({"bpm": heard, "bpm_confidence": 0.9}).tempo
    assert tempo is not None
    assert float(tempo.points[0].bpm) == told
