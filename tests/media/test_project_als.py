"""Live sets: real ones of Live 8 to 12 with known times, and made ones for what those do not have."""

from __future__ import annotations

import gzip
import math
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.media import project_als
from bridge.media.musical_time import Key, MeterPoint
from bridge.media.project_als import read_als
from bridge.media.project_types import Project
from support.projects import FAR_BEFORE, live_meter, live_scale, live_set

REAL = Path(__file__).parents[1] / "data/projects/als"
EXAMPLE_S = [0, 200, 216, 324, 464, 604, 716, 840, 1000, 1189.0537, 1392, 1512, 1656, 1792, 3904]
RAMPS_S = {"A": 0.0, "B": 4.0, "D": 5.62186043, "C": 6.77258872, "Z": 7.63563494, "E": 8.90506559}


def marker_times(project: Project) -> list[tuple[str, float]]:
    return [(one.name, float(project.tempo.seconds_at(one.beat))) for one in project.markers]


def test_real_set_of_live_10_with_a_steady_tempo() -> None:
    project = read_als(REAL / "example-120.als")
    assert (project.daw, project.version) == ("Live", "10.1.7")
    assert [time_s for _, time_s in marker_times(project)] == pytest.approx(EXAMPLE_S, abs=0.001)
    assert project.markers[0].name == "mirvs - his track你好"
    assert float(project.tempo.bpm_at(Fraction(1000))) == pytest.approx(120, abs=0.0001)
    assert project.meters.meter_at(Fraction(0)) == MeterPoint(Fraction(0), 4, 4)
    assert project.warnings == ()


@pytest.mark.parametrize(
    ("name", "version"), [("automation.als", "10.1.7"), ("L12-automation.als", "12.0b16")]
)
def test_real_ramps_are_linear_in_beats(name: str, version: str) -> None:
    project = read_als(REAL / name)
    assert project.version == version
    assert dict(marker_times(project)) == pytest.approx(RAMPS_S, abs=0.00001)
    assert float(project.tempo.bpm_at(Fraction(10))) == pytest.approx(160)
    assert any("steps of a sixteenth" in warning and "88 ms" in warning for warning in project.warnings)


def test_real_set_with_many_ramps() -> None:
    project = read_als(REAL / "automation-intense.als")
    points = [(float(point.beat), float(point.bpm)) for point in project.tempo.points]
    assert (points[0], points[-1], len(points)) == ((2, 120.760574), (15.25, 147.658524), 11)
    seconds = 2 * 60 / 120.760574
    for (beat, bpm), (next_beat, next_bpm) in pairwise(points):
        mean = (next_bpm - bpm) / math.log(next_bpm / bpm)
        seconds += (next_beat - beat) * 60 / mean
    assert float(project.tempo.seconds_at(Fraction("15.25"))) == pytest.approx(seconds, abs=1e-9)


def test_real_set_without_a_tempo_envelope() -> None:
    project = read_als(REAL / "markers-malformed-no-master-ae.als")
    assert marker_times(project) == [("aa", 2.0), ("bb", 18.0), ("cc", 30.0)]


def test_real_set_of_live_8() -> None:
    project = read_als(REAL / "live8-patch-markers-auto.als")
    assert project.version == "8.1.4"
    assert [float(point.bpm) for point in project.tempo.points] == [95.3, 138.3, 160.0]
    first_s = 4 * 60 * math.log(138.3 / 95.3) / (138.3 - 95.3)
    second_s = 196 * 60 * math.log(160 / 138.3) / (160 - 138.3)
    expected_s = {"b": first_s + second_s, "c": first_s + second_s + 118 * 60 / 160}
    assert dict(marker_times(project)) == pytest.approx(expected_s, abs=1e-6)
    assert [(bounds.kind, bounds.name) for bounds in project.render] == [("selection", None)]


def test_a_jump_is_no_ramp(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", tempi=[(0, 100), (8, 100), (8, 150), (16, 150)]))
    assert project.tempo.seconds_at(Fraction(8)) == Fraction(480, 100)
    assert project.tempo.seconds_at(Fraction(16)) == Fraction(480, 100) + Fraction(480, 150)


def test_three_events_on_one_beat(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", tempi=[(0, 100), (8, 100), (8, 33), (8, 150)]))
    assert project.tempo.seconds_at(Fraction(16)) == Fraction(480, 100) + Fraction(480, 150)


def test_without_events_the_tempo_is_the_one_set_by_hand(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", bpm=87.5))
    assert project.tempo.seconds_at(Fraction(7)) == Fraction(7 * 60) / Fraction("87.5")


def test_a_lone_first_event_does_not_overrule_the_tempo_set_by_hand(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", bpm=87.5, tempi=[(FAR_BEFORE, 120)]))
    assert project.tempo.bpm_at(Fraction(0)) == Fraction("87.5")


def test_a_set_without_any_tempo_says_so(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", bpm=None))
    assert project.tempo.bpm_at(Fraction(0)) == 120
    assert project.warnings == ("The set names no tempo: 120 BPM is assumed.",)


def test_a_curve_is_followed(tmp_path: Path) -> None:
    bent = 'CurveControl1X="0.5" CurveControl1Y="0" CurveControl2X="1" CurveControl2Y="0.5"'
    straight = 'CurveControl1X="0.5" CurveControl1Y="0.5" CurveControl2X="0.5" CurveControl2Y="0.5"'
    curved = read_als(live_set(tmp_path / "a.als", tempi=[(0, 60, bent), (16, 180)]))
    plain = read_als(live_set(tmp_path / "b.als", tempi=[(0, 60, straight), (16, 180)]))
    # The curve's middle (t = 1/2) is at x = 0.6875, y = 0.3125.
    assert float(curved.tempo.bpm_at(Fraction(11))) == pytest.approx(60 + 120 * 0.3125, abs=0.2)
    assert float(plain.tempo.bpm_at(Fraction(11))) == pytest.approx(60 + 120 * 0.6875)
    assert len(plain.tempo.points) == 2
    assert any("curved" in warning for warning in curved.warnings)


@pytest.mark.parametrize("meter", [(4, 4), (3, 4), (7, 8), (1, 1), (99, 16), (5, 2)])
def test_meters(tmp_path: Path, meter: tuple[int, int]) -> None:
    project = read_als(live_set(tmp_path / "a.als", meters=[(0, live_meter(*meter)), (8, live_meter(3, 4))]))
    assert project.meters.points == (MeterPoint(Fraction(0), *meter), MeterPoint(Fraction(8), 3, 4))


def test_the_first_meter_holds_until_the_second(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", meters=[(12, live_meter(6, 8))]))
    assert project.meters.meter_at(Fraction(3)) == MeterPoint(Fraction(0), 6, 8)


@pytest.mark.parametrize(
    ("root", "name", "more", "scale", "key"),
    [
        (9, "Minor", "", "A Minor", Key(9, "minor")),
        (6, "Major", '<InKey Value="true" />', "F# Major", Key(6, "major")),
        (2, "Dorian", "", "D Dorian", None),
        (9, "1", "", "A Minor", Key(9, "minor")),
        (0, "Major", '<InKey Value="true" />', None, None),
        (9, "Minor", '<InKey Value="false" />', None, None),
        (9, "17", "", None, None),
        (12, "Minor", "", None, None),
    ],
)
def test_scale(tmp_path: Path, root: int, name: str, more: str, scale: str | None, key: Key | None) -> None:
    project = read_als(live_set(tmp_path / "a.als", scale=live_scale(root, name), more=more))
    assert (project.scale, project.key) == (scale, key)


def test_scale_of_later_sets(tmp_path: Path) -> None:
    project = read_als(live_set(tmp_path / "a.als", scale=live_scale(7, "1", tag="Root")))
    assert project.key == Key.named("G minor")


@pytest.mark.parametrize(("loops", "count"), [("true", 1), ("false", 0)])
def test_loop(tmp_path: Path, loops: str, count: int) -> None:
    more = f'<Transport><LoopOn Value="{loops}"/><LoopStart Value="16"/><LoopLength Value="8"/></Transport>'
    render = read_als(live_set(tmp_path / "a.als", more=more)).render
    assert [(one.kind, one.start_s, one.end_s) for one in render] == [
        ("loop", Fraction(8), Fraction(12))
    ] * count


def test_markers_stand_in_order_with_clean_names(tmp_path: Path) -> None:
    places = [(8.0, "B & <C>"), (4.5, "  two\nlines "), (1e300, "far")]
    project = read_als(live_set(tmp_path / "a.als", locators=places))
    assert [(one.beat, one.name) for one in project.markers] == [
        (Fraction("4.5"), "two lines"),
        (8, "B & <C>"),
    ]


def test_an_unpacked_set_is_read(tmp_path: Path) -> None:
    path = live_set(tmp_path / "a.als", bpm=99)
    path.write_bytes(gzip.decompress(path.read_bytes()))
    assert read_als(path).tempo.bpm_at(Fraction(0)) == 99


def test_tracks_across_blocks_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = live_set(tmp_path / "a.als", bpm=99, locators=[(4, "here")])
    whole = read_als(path)
    for size in (1, 7, 8, 64, 1000):
        monkeypatch.setattr(project_als, "BLOCK", size)
        assert read_als(path) == whole


def test_tracks_within_tracks_do_not_matter(tmp_path: Path) -> None:
    path = live_set(tmp_path / "a.als", bpm=99)
    text = gzip.decompress(path.read_bytes()).replace(b"<Tracks>", b"<Tracks><Tracks><a/></Tracks><Tracks>")
    path.write_bytes(gzip.compress(text.replace(b"</Tracks><M", b"</Tracks></Tracks><M")))
    assert read_als(path).tempo.bpm_at(Fraction(0)) == 99


HEAD = b'<?xml version="1.0"?><Ableton Creator="Ableton Live 12.1"><LiveSet>'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no Live set"),
        (b"RIFF\0\0\0\0", "no Live set"),
        (gzip.compress(b"<Session/>", mtime=0), "no Live set"),
        (gzip.compress(HEAD, mtime=0), "cut short"),
        (gzip.compress(HEAD + b"</LiveSet></Ableton>", mtime=0)[:-9], "cut short"),
        (gzip.compress(b'<!DOCTYPE a [<!ENTITY b "bb">]><Ableton>&b;</Ableton>', mtime=0), "document type"),
        (gzip.compress(HEAD + b"<a>" * 1000, mtime=0), "nested"),
        (gzip.compress(HEAD + b'<a b="' + b"x" * (3 << 20), mtime=0), "longer than 1 MB"),
        (gzip.compress(HEAD + b"\xff\xfe</LiveSet></Ableton>", mtime=0), "damaged"),
    ],
)
def test_no_set(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "broken.als"
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=says) as caught:
        read_als(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_a_set_that_inflates_beyond_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(project_als, "LEAST_INFLATED_LIMIT", 1 << 20)
    path = tmp_path / "bomb.als"
    path.write_bytes(gzip.compress(HEAD + b" " * (4 << 20) + b"</LiveSet></Ableton>"))
    with pytest.raises(BridgeError, match="inflates to more than 1 MB"):
        read_als(path)


def test_a_set_without_a_main_track_says_so(tmp_path: Path) -> None:
    path = tmp_path / "a.als"
    path.write_bytes(gzip.compress(HEAD + b"</LiveSet></Ableton>"))
    assert "The set has no main track: its tempo is not known." in read_als(path).warnings


def test_numbers_that_are_none_are_left_out(tmp_path: Path) -> None:
    path = live_set(tmp_path / "a.als", tempi=[(0, 100), (4, float("nan")), (8, 1e9), (12, -5)])
    project = read_als(path)
    assert [float(point.bpm) for point in project.tempo.points] == [100]
    assert any("left out" in warning for warning in project.warnings)
