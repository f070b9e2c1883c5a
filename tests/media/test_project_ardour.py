"""Ardour sessions of several ages, in the forms that Ardour itself writes."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.media.musical_time import MeterPoint
from bridge.media.project_ardour import read_ardour
from support.projects import SUPERCLOCK_HZ, TICKS, ardour_session


def session_of(path: Path, body: str) -> Path:
    path.write_text(f'<?xml version="1.0"?><Session version="6000" sample-rate="44100">{body}</Session>')
    return path


def test_steps_meters_and_version(tmp_path: Path) -> None:
    path = ardour_session(
        tmp_path / "song.ardour",
        tempi=[(0, 100, 100), (8, 150, 150), (21, 120, 120)],
        meters=[(0, 4, 4), (8, 3, 4), (14, 7, 8)],
    )
    project = read_ardour(path)
    assert (project.daw, project.version, project.rate_hz) == ("Ardour", "7.3.0", 48_000)
    assert project.tempo.seconds_at(Fraction(23)) == Fraction("4.8") + Fraction("5.2") + 1
    assert project.meters.points == (
        MeterPoint(Fraction(0), 4, 4),
        MeterPoint(Fraction(8), 3, 4),
        MeterPoint(Fraction(14), 7, 8),
    )
    assert project.warnings == ()


def test_ramps_are_linear_in_beats(tmp_path: Path) -> None:
    path = ardour_session(tmp_path / "a.ardour", tempi=[(0, 100, 100), (8, 100, 150), (14, 90, 90)])
    tempo = read_ardour(path).tempo
    assert float(tempo.bpm_at(Fraction(11))) == pytest.approx(125)
    assert tempo.bpm_at(Fraction(14)) == 90
    # As Ardour 7.3 itself has this session: 370,528 samples at 48 kHz (it cuts off what is after the point).
    assert float(tempo.seconds_at(Fraction(14))) * 48_000 == pytest.approx(370_528.74, abs=0.01)
    ramp_s = 6 * 60 / 50 * math.log(1.5)
    assert float(tempo.seconds_at(Fraction(16))) == pytest.approx(4.8 + ramp_s + 2 * 60 / 90, abs=1e-6)


def test_a_ramp_whose_omega_is_nothing_is_none(tmp_path: Path) -> None:
    """Ardour 7.3 writes this after its Lua functions, and plays 100 BPM up to beat 14."""
    path = ardour_session(tmp_path / "a.ardour", tempi=[(0, 100, 100), (14, 150, 150)])
    text = path.read_text().replace(
        'enpm="100" note-type="4" type="Tempo::Constant"', 'enpm="150" type="Tempo::Ramped"'
    )
    path.write_text(text)
    tempo = read_ardour(path).tempo
    assert tempo.seconds_at(Fraction(14)) == Fraction(14 * 60, 100)
    assert [float(point.bpm) for point in tempo.points] == [100, 150]


def test_note_types(tmp_path: Path) -> None:
    path = ardour_session(tmp_path / "a.ardour", tempi=[(0, 180, 180)])
    path.write_text(path.read_text().replace('note-type="4"', 'note-type="8"'))
    assert read_ardour(path).tempo.bpm_at(Fraction(0)) == 90


def test_a_tempos_own_time_counts(tmp_path: Path) -> None:
    """Beats are rounded to ticks; after 400 changes that would be many milliseconds."""
    lines, at_s, beats, times = [], 0.0, 0.0, []
    for n in range(400):
        bpm = 80 + n % 90
        times.append(at_s)
        quarters = f"{int(beats)}:{int((beats % 1) * TICKS)}"  # cut off, always to one side
        lines.append(f'<Tempo npm="{bpm}" note-type="4" sclock="{round(at_s * SUPERCLOCK_HZ)}" '
                     f'quarters="{quarters}" omega="0"/>')  # fmt: skip
        at_s += 1.2345
        beats += 1.2345 * bpm / 60
    path = session_of(tmp_path / "a.ardour", f"<TempoMap><Tempos>{''.join(lines)}</Tempos></TempoMap>")
    project = read_ardour(path)
    found = [float(project.tempo.seconds_at(point.beat)) for point in project.tempo.points]
    assert found == pytest.approx(times, abs=0.0001)
    assert project.warnings == ()


def test_times_and_tempi_that_do_not_agree_are_told(tmp_path: Path) -> None:
    body = (f'<TempoMap superclocks-per-second="{SUPERCLOCK_HZ}"><Tempo npm="120" sclock="0" quarters="0:0"/>'
            f'<Tempo npm="120" sclock="{3 * SUPERCLOCK_HZ}" quarters="4:0"/></TempoMap>')  # fmt: skip
    project = read_ardour(session_of(tmp_path / "a.ardour", body))
    assert float(project.tempo.seconds_at(Fraction(4))) == pytest.approx(3)
    assert project.warnings == (
        "The project's times and tempi do not agree at beat 0; its times are followed.",
    )


def test_another_superclock(tmp_path: Path) -> None:
    body = (
        '<Locations><Location name="x" start="a508032000" flags="IsMark"/></Locations>'
        '<TempoMap superclocks-per-second="508032000"><Tempo npm="60" quarters="0:0"/></TempoMap>'
    )
    assert [one.beat for one in read_ardour(session_of(tmp_path / "a.ardour", body)).markers] == [1]


def test_locations(tmp_path: Path) -> None:
    second = SUPERCLOCK_HZ
    path = ardour_session(
        tmp_path / "a.ardour",
        tempi=[(0, 120, 120), (8, 60, 60)],
        locations=[
            ("session", f"a{second}", f"a{9 * second}", "IsSessionRange"),
            ("Loop", "b1920", "b9600", "IsAutoLoop,IsHidden"),
            ("Punch", "b1920", "b9600", "IsAutoPunch,IsHidden"),
            ("solo in", "b19200", "b19200", "IsMark"),
            ("Verse & Chorus", "96000", "b17280", "IsRangeMarker,IsCDMarker"),
            ("xrun1", f"a{2 * second}", f"a{2 * second}", "IsMark,IsXrun"),
            ("lost", "?", "b0", "IsMark"),
        ],
    )
    project = read_ardour(path)
    assert [(float(one.beat), one.name, one.end_beat and float(one.end_beat)) for one in project.markers] == [
        (4, "Verse & Chorus", 9),
        (10, "solo in", None),
    ]
    assert [(one.kind, one.name, one.start_s, one.end_s, one.set_for_export) for one in project.render] == [
        ("session", "session", 1, 9, True),
        ("loop", "Loop", Fraction(1, 2), Fraction(5, 2), False),
        ("range", "Verse & Chorus", 2, 5, False),
    ]
    assert project.warnings == ("A marker or range that lies nowhere is left out.",)


def test_ardour_5_and_6(tmp_path: Path) -> None:
    """Whole notes, frames, and ramps that are written down."""
    body = (
        '<Locations><Location name="session" start="44100" end="441000" flags="IsSessionRange"/></Locations>'
        '<TempoMap><Tempo pulse="0" frame="0" beats-per-minute="120" note-type="4" end-beats-per-minute="120"'
        ' active="1"/><Tempo pulse="2" frame="176400" beats-per-minute="120" note-type="4"'
        ' end-beats-per-minute="240" active="1"/><Tempo pulse="3" frame="237536" beats-per-minute="240"'
        ' note-type="4" end-beats-per-minute="240" active="1"/>'
        '<Meter pulse="0" frame="0" bbt="1|1|0" beat="0" note-type="4" divisions-per-bar="4"/>'
        '<Meter pulse="2" frame="176400" beat="8" note-type="8" divisions-per-bar="6"/></TempoMap>'
    )
    project = read_ardour(session_of(tmp_path / "a.ardour", body))
    assert (project.version, project.rate_hz) == ("6000", 44_100)
    assert project.tempo.seconds_at(Fraction(8)) == 4
    ramp_s = 4 * 60 / 120 * math.log(2)
    assert float(project.tempo.seconds_at(Fraction(12))) == pytest.approx(4 + ramp_s, abs=0.0001)
    assert project.meters.points[1] == MeterPoint(Fraction(8), 6, 8)
    assert (project.render[0].start_s, project.render[0].end_s) == (Fraction(1), Fraction(10))


def test_bars_of_old_sessions(tmp_path: Path) -> None:
    body = (
        '<TempoMap><Meter start="1|1|0" note-type="4.0" beats-per-bar="3.0"/>'
        '<Meter start="5|1|0" note-type="8" divisions-per-bar="7"/>'
        '<Tempo start="1|1|0" beats-per-minute="90" note-type="4"/>'
        '<Tempo start="3|2|960" beats-per-minute="60" note-type="4"/>'
        '<Tempo start="7|3|0" beats-per-minute="30" note-type="4"/></TempoMap>'
    )
    project = read_ardour(session_of(tmp_path / "a.ardour", body))
    assert [point.beat for point in project.meters.points] == [0, 12]
    assert [point.beat for point in project.tempo.points] == [0, Fraction("7.5"), 20]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "cut short"),
        (b"<Ableton/>", "no Ardour session"),
        (b'<Session sample-rate="48000"><TempoMap>', "cut short"),
        (b'<!DOCTYPE Session><Session sample-rate="48000"/>', "document type"),
        (b"<a>" * 2000, "nested"),
        (b"\x1f\x8b\x08\0", "damaged"),
    ],
)
def test_no_session(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "broken.ardour"
    path.write_bytes(content)
    with pytest.raises(BridgeError, match=says) as caught:
        read_ardour(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


def test_a_session_without_a_tempo_says_so(tmp_path: Path) -> None:
    project = read_ardour(session_of(tmp_path / "a.ardour", ""))
    assert project.tempo.bpm_at(Fraction(0)) == 120
    assert project.warnings == ("The session names no tempo: 120 BPM is assumed.",)
