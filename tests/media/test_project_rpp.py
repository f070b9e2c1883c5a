"""Reaper projects, written as Reaper writes them: tempo points in seconds, regions, render settings."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.media import project_rpp
from bridge.media.musical_time import MeterPoint
from bridge.media.project_rpp import read_rpp
from support.projects import reaper_meter, reaper_project


def test_a_project_without_tempo_points(tmp_path: Path) -> None:
    project = read_rpp(reaper_project(tmp_path / "a.RPP", tempo="TEMPO 93.5 7 8 0"))
    assert (project.daw, project.version) == ("Reaper", "7.22")
    assert project.tempo.seconds_at(Fraction(7)) == Fraction(7 * 60) / Fraction("93.5")
    assert project.meters.points == (MeterPoint(Fraction(0), 7, 8),)
    assert project.rate_hz is None


def test_steps(tmp_path: Path) -> None:
    # 8 beats at 120 take 4 s, 8 at 150 take 3.2 s.
    points = [
        f'PT 0.000000000000 120.0000000000 1 {reaper_meter(4, 4)} 0 1 0 "" 0 169 0 ABBB',
        "PT 4.000000000000 150.0000000000 1",
        "PT 7.200000000000 75.0000000000 1",
    ]
    project = read_rpp(reaper_project(tmp_path / "a.rpp", points=points, tempo="TEMPO 99 4 4"))
    assert [(float(point.beat), float(point.bpm)) for point in project.tempo.points] == [
        (0, 120),
        (8, 150),
        (16, 75),
    ]
    assert project.tempo.beat_at(Fraction("7.2") + Fraction(60, 75)) == 17


def test_ramps_are_linear_in_time(tmp_path: Path) -> None:
    # From 100 to 140 in 6 s: 12 beats; half-way in time it is at 120, and 5.5 beats have passed.
    points = ["PT 0 100 0", "PT 6 140 1", "PT 9 60 1"]
    project = read_rpp(reaper_project(tmp_path / "a.rpp", points=points))
    assert [point.beat for point in project.tempo.points] == [0, 12, 19]
    assert float(project.tempo.beat_at(Fraction(3))) == pytest.approx(5.5)
    assert float(project.tempo.bpm_at(Fraction("5.5"))) == pytest.approx(120)
    assert float(project.tempo.seconds_at(Fraction(12))) == pytest.approx(6)


def test_many_ramps_keep_the_files_times(tmp_path: Path) -> None:
    points, at_s, times = [], 0.0, []
    for n in range(500):
        times.append(round(at_s, 12))
        points.append(f"PT {at_s:.12f} {60 + (n * 37) % 120}.1234567891 {n % 2}")
        at_s += 0.7310585786300049 + (n % 7) / 3
    project = read_rpp(reaper_project(tmp_path / "a.rpp", points=points))
    found = [float(project.tempo.seconds_at(point.beat)) for point in project.tempo.points]
    assert found == pytest.approx(times, abs=0.0001)


def test_meters_stand_on_their_tempo_points(tmp_path: Path) -> None:
    points = [
        f"PT 0.000000000000 117.3000000000 1 {reaper_meter(4, 4)} 0 1",
        f"PT 8.184143222506 117.3000000000 1 {reaper_meter(6, 8)} 0 1",  # 16 beats at 117.3, rounded
        f"PT 12.276214833759 117.3000000000 1 {reaper_meter(200, 3)} 0 1",
    ]
    project = read_rpp(reaper_project(tmp_path / "a.rpp", points=points))
    assert project.meters.points == (MeterPoint(Fraction(0), 4, 4), MeterPoint(Fraction(16), 6, 8))
    assert project.warnings == ("A meter of 200/3 at beat 24 is left out.",)


def test_markers_and_regions(tmp_path: Path) -> None:
    project = read_rpp(
        reaper_project(
            tmp_path / "a.rpp",
            'MARKER 1 4 "Intro part" 0 0 1 B {A} 0',
            "MARKER 2 8 Verse 1 0 1 R {B} 0",
            'MARKER 3 9 "Bridge" 5 0 1 R {C} 0',
            'MARKER 2 12 "" 1',
            'MARKER 3 10.25 "" 5',
            "MARKER 4 1 'say \"hi\"' 0",
            "MARKER 5 0.5 `both ' and \"` 0",
            "MARKER 6 14 open 1",
        )
    )
    assert [(float(one.beat), one.name, one.end_beat and float(one.end_beat)) for one in project.markers] == [
        (1, "both ' and \"", None),
        (2, 'say "hi"', None),
        (8, "Intro part", None),
        (16, "Verse", 24),
        (18, "Bridge", 20.5),
    ]


@pytest.mark.parametrize(
    ("flag", "first"),
    [
        (0, ("custom", None, 2, 6)),
        (1, ("project", None, 0, 10.5)),
        (2, ("selection", None, 3, 5)),
        (3, ("region", "Verse", 8, 10)),
        (5, ("region", "Verse", 8, 10)),
    ],
)
def test_render_bounds(tmp_path: Path, flag: int, first: tuple[str, str | None, float, float]) -> None:
    project = read_rpp(
        reaper_project(
            tmp_path / "a.rpp",
            "RENDER_FILE /home/me/Bounces",
            "RENDER_PATTERN $project-$region",
            f"RENDER_RANGE {flag} 2 6 18 1000",
            "SELECTION 3 5",
            "MARKER 1 8 Verse 1",
            "MARKER 1 10 Verse 1",
        )
    )
    one = project.render[0]
    assert (one.kind, one.name, float(one.start_s), float(one.end_s or 0)) == first
    assert [bounds.kind for bounds in project.render if bounds.set_for_export] == [first[0]]
    assert {bounds.kind for bounds in project.render} == {"custom", "project", "selection", "region"}
    assert {bounds.pattern for bounds in project.render} == {"$project-$region"}


@pytest.mark.parametrize(
    ("file", "pattern", "expected"),
    [
        (r'"C:\My Bounces\song mix.wav"', '""', "song mix"),
        ("/home/me/song.wav", '""', "song"),
        ("Renders", r"stems\$track", "$track"),
        ('""', '""', None),
    ],
)
def test_the_name_that_it_is_exported_under(
    tmp_path: Path, file: str, pattern: str, expected: str | None
) -> None:
    lines = (f"RENDER_FILE {file}", f"RENDER_PATTERN {pattern}")
    project = read_rpp(reaper_project(tmp_path / "a.rpp", *lines))
    assert [bounds.pattern for bounds in project.render] == [expected]


@pytest.mark.parametrize(("line", "rate_hz"), [("44100 1 0", 44_100), ("44100 0 0", None), ("x 1", None)])
def test_rate(tmp_path: Path, line: str, rate_hz: int | None) -> None:
    assert read_rpp(reaper_project(tmp_path / "a.rpp", f"SAMPLERATE {line}")).rate_hz == rate_hz


def test_the_projects_start_may_be_shown_otherwise(tmp_path: Path) -> None:
    project = read_rpp(reaper_project(tmp_path / "a.rpp", "PROJOFFS 3600.5 -4 0"))
    assert (project.start_offset_s, project.first_bar) == (Fraction("3600.5"), -3)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str) -> None:
    path = reaper_project(tmp_path / "a.rpp", 'MARKER 1 1 "Größe €" 0', encoding=encoding)
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_rpp(path).markers[0].name == "Größe €"


def test_lines_of_other_blocks_do_not_count(tmp_path: Path) -> None:
    project = read_rpp(
        reaper_project(
            tmp_path / "a.rpp", "<NOTES 0 2", "|TEMPO 66 4 4", "TEMPO 66 3 4", ">", "SAMPLERATE 96000 1"
        )
    )
    assert project.tempo.bpm_at(Fraction(0)) == 120
    assert project.rate_hz == 96_000


def test_points_that_make_no_sense_are_left_out(tmp_path: Path) -> None:
    points = ["PT", "PT 0", "PT x 120 1", "PT -1 60 1", "PT 1 0 1", "PT 1 1e99 1", "PT 2 90 1", "PT 3 180 4"]
    project = read_rpp(reaper_project(tmp_path / "a.rpp", points=points))
    assert [(float(point.beat), float(point.bpm)) for point in project.tempo.points] == [
        (0, 120),
        (4, 90),
        (5.5, 180),
    ]
    assert project.warnings == (
        "A tempo point that makes no sense is left out.",
        "A curved tempo ramp is read as a straight one.",
    )


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "no Reaper project"),
        (b"\0\1\2\3\n" * 10, "no Reaper project"),
        (b">\n>\n", "no Reaper project"),
        (b"<REAPER_PROJECT 0.1\n  TEMPO 120 4 4\n", "cut short"),
        (b"<REAPER_PROJECT 0.1\n" + b"<\n" * 1000, "nested"),
    ],
)
def test_no_project(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "broken.rpp"
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=says) as caught:
        read_rpp(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_the_rest_of_a_line_beyond_reason_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_rpp, "LONGEST_LINE", 64)
    path = reaper_project(
        tmp_path / "a.rpp", "NOTE ".ljust(62, "x") + "TEMPO 60 4 4 " + "x" * 64, "SAMPLERATE 8000 1"
    )
    project = read_rpp(path)
    assert project.tempo.bpm_at(Fraction(0)) == 120
    assert project.rate_hz == 8000
