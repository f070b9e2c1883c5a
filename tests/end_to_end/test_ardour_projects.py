"""A real DAW: what is read from a session agrees with what Ardour itself makes of it, ramps included.

Needs Ardour 7 (Debian: `apt-get install --no-install-recommends ardour`); skipped where it is not installed.
"""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest
import soundfile

from bridge.media.musical_time import MeterPoint
from bridge.media.project_files import find_project, place_of, read_project
from support.ardour import WAV_PRESET, draw_ramps, needs_ardour, run

pytestmark = [pytest.mark.slow, needs_ardour]

RATE_HZ = 44_100
RAMPS = {8: (100.0, 150.0, 14), 24: (132.5, 71.25, 33)}
BEATS = [*range(48), 8.5, 13.25, 28.75]

NEW = """
s = create_session("{folder}", "song", {rate_hz})
tm = Temporal.TempoMap.write_copy()
tm:set_meter(Temporal.Meter(3, 4), at(8))
tm:set_meter(Temporal.Meter(7, 8), at(14))
tm:set_tempo(Temporal.Tempo(100, 100, 4), at(0))
tm:set_tempo(Temporal.Tempo(100, 150, 4), at(8))
tm:set_tempo(Temporal.Tempo(150, 150, 4), at(14))
tm:set_tempo(Temporal.Tempo(240, 240, 8), at(21))
tm:set_tempo(Temporal.Tempo(132.5, 71.25, 4), at(24))
tm:set_tempo(Temporal.Tempo(90, 90, 4), at(33))
Temporal.TempoMap.update(tm)
tm = nil
s:locations():add_range(Temporal.timepos_t({rate_hz} * 2), at(12)):set_name("Verse & Chorus")
s:locations():add_range(at(24), at(40)):set_name("Bridge")
s:save_state("")
s = nil
"""
TELL = """
s = load_session("{folder}", "song")
for _, beat in ipairs({{{beats}}}) do print("BEAT", beat, at(beat):samples()) end
for place in s:locations():list():iter() do
  print("PLACE", place:name(), place:start():samples(), place:_end():samples())
end
s:save_state("")
place, s = nil, nil
"""
EXPORT = """
s = load_session("{folder}", "song")
x = s:simple_export()
x:set_preset("{preset}")
x:set_range({first}, {last})
x:set_name("{name}")
x:set_folder("{out}")
assert(x:check_outputs())
assert(x:run_export())
x, s = nil, nil
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """Ardour's settings, its session with steps and ramps, and what Ardour says of it."""
    folder = tmp_path_factory.mktemp("ardour")
    home, song = folder / "home", folder / "song"
    run(home, NEW.format(folder=song, rate_hz=RATE_HZ), makes=song)
    draw_ramps(song / "song.ardour", RAMPS)
    beats = ", ".join(map(str, BEATS))
    return home, song, run(home, TELL.format(folder=song, beats=beats))


def test_times_of_beats_and_places_agree_with_ardour(session: tuple[Path, Path, str]) -> None:
    _, folder, told = session
    project = read_project(folder / "song.ardour")
    assert (project.daw, project.rate_hz, project.warnings) == ("Ardour", RATE_HZ, ())
    assert project.version.startswith("7.")
    assert project.meters.points == (
        MeterPoint(Fraction(0), 4, 4),
        MeterPoint(Fraction(8), 3, 4),
        MeterPoint(Fraction(14), 7, 8),
    )
    beats = re.findall(r"^BEAT\s+([\d.]+)\s+(\d+)$", told, re.MULTILINE)
    assert len(beats) == len(BEATS)
    for beat, samples in beats:
        ours_s = float(project.tempo.seconds_at(Fraction(beat)))
        assert ours_s == pytest.approx(int(samples) / RATE_HZ, abs=0.0001), beat
    assert float(project.tempo.bpm_at(Fraction(11))) == pytest.approx(125, abs=0.001)

    places = re.findall(r"^PLACE\s+(.*?)\s+(\d+)\s+(\d+)$", told, re.MULTILINE)
    ours = {bounds.name: bounds for bounds in project.render}
    assert {name for name, _, _ in places} >= {"Verse & Chorus", "Bridge"}
    for name, first, last in places:
        assert float(ours[name].start_s) == pytest.approx(int(first) / RATE_HZ, abs=0.0001), name
        assert float(ours[name].end_s or 0) == pytest.approx(int(last) / RATE_HZ, abs=0.0001), name
    markers = {one.name: project.tempo.seconds_at(one.beat) for one in project.markers}
    assert float(markers["Bridge"]) == pytest.approx(float(ours["Bridge"].start_s), abs=1e-9)


def test_an_export_from_mid_song_is_placed(session: tuple[Path, Path, str]) -> None:
    """A plain WAV says nothing about its place: its name and its length do."""
    home, folder, told = session
    found = re.search(r"^PLACE\s+Bridge\s+(\d+)\s+(\d+)$", told, re.MULTILINE)
    assert found is not None
    first, last = int(found[1]), int(found[2])
    bounce = folder / "export/take 3.wav"
    script = EXPORT.format(
        folder=folder, first=first, last=last, name=bounce.stem, out=bounce.parent, preset=WAV_PRESET
    )
    run(home, script, makes=bounce)
    frames = soundfile.info(bounce).frames
    assert frames == last - first

    found_project = find_project(bounce)
    assert found_project is not None
    assert found_project.path == folder / "song.ardour"
    project = read_project(found_project.path)
    for name in (bounce.name, "song_Bridge.wav"):
        place = place_of(project, bounce.with_name(name), duration_s=Fraction(frames, RATE_HZ))
        assert place is not None
        assert float(place.bounds.start_s) == pytest.approx(first / RATE_HZ, abs=0.0001)
