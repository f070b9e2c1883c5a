"""Which project file a bounce comes from, and which part of its song the bounce is."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.media import project_files, project_types
from bridge.media.musical_time import MeterMap, TempoMap
from bridge.media.project_files import (
    Project,
    RenderBounds,
    find_project,
    place_of,
    project_once,
    read_project,
)
from support.projects import ardour_session, live_set, reaper_project

BEGIN_S = 1_700_000_000


def touch(path: Path, age_s: int = 0) -> Path:
    """A project that was saved `age_s` before the others."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(b"")
    os.utime(path, (BEGIN_S - age_s, BEGIN_S - age_s))
    return path


def found(bounce: Path, folder: Path | None = None) -> Path | None:
    project = find_project(bounce, folder)
    return project.path if project else None


def test_each_kind_is_read(tmp_path: Path) -> None:
    assert read_project(live_set(tmp_path / "a.als")).daw == "Live"
    assert read_project(reaper_project(tmp_path / "b.RPP")).daw == "Reaper"
    assert read_project(ardour_session(tmp_path / "c.ardour")).daw == "Ardour"


@pytest.mark.parametrize("name", ["song.logicx", "song", "gone.als", "folder.rpp"])
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name.startswith("folder"):
        path.mkdir()
    with pytest.raises(BridgeError) as caught:
        read_project(path)
    assert caught.value.file == str(path)
    assert caught.value.remedy


@pytest.mark.parametrize("damaged", [False, True])
def test_a_project_is_read_once_until_it_is_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, damaged: bool
) -> None:
    path = touch(tmp_path / "a.rpp") if damaged else reaper_project(tmp_path / "a.rpp")
    reads: list[Path] = []
    reader = project_files.READERS[".rpp"]
    counted = {".rpp": lambda path: reads.append(path) or reader(path)}  # type: ignore[func-returns-value]
    monkeypatch.setattr(project_files, "READERS", counted)
    for saved_s in (10, 10, 0):
        os.utime(path, (BEGIN_S - saved_s, BEGIN_S - saved_s))
        with pytest.raises(BridgeError) if damaged else contextlib.nullcontext():
            assert project_once(path).daw == "Reaper"
    assert len(reads) == 2


@pytest.mark.parametrize("name", ["a.rpp", "a.ardour", "a.als"])
def test_a_file_that_takes_too_long_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    makers: dict[str, Callable[[Path], Path]] = {
        ".rpp": reaper_project, ".ardour": ardour_session, ".als": live_set,
    }  # fmt: skip
    path = makers[Path(name).suffix](tmp_path / name)
    monkeypatch.setattr(project_types, "MOST_WORK_S", -1.0)
    with pytest.raises(BridgeError, match=rf"{name}: reading it takes longer"):
        read_project(path)


@pytest.mark.parametrize(
    ("project", "bounce"),
    [
        ("Song Project/Song.als", "Song Project/Samples/Processed/Bounce/x.wav"),
        ("Song Project/Song.als", "Song Project/x.wav"),
        ("session/session.ardour", "session/export/x.wav"),
        ("Song/Song.RPP", "Song/Renders/x.wav"),
    ],
)
def test_in_the_folders_above_the_bounce(tmp_path: Path, project: str, bounce: str) -> None:
    wanted = touch(tmp_path / project)
    assert found(tmp_path / bounce) == wanted


def test_the_project_folder_comes_first(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "project/a.rpp", age_s=100)
    touch(tmp_path / "b.rpp")
    assert found(tmp_path / "bounces/x.wav", tmp_path / "project") == wanted


def test_no_further_than_asked(tmp_path: Path) -> None:
    touch(tmp_path / "a.als")
    bounce = tmp_path / "1/2/3/4/5/x.wav"
    assert found(bounce) is None
    assert find_project(bounce, levels=5) is not None


def test_the_home_folder_is_no_projects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path / "old.als")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert found(tmp_path / "Bounces/x.wav") is None
    assert found(tmp_path / "x.wav") == tmp_path / "old.als"


def test_a_project_that_lies_about_is_no_bounces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The default folder to export to lies in the user's folder of music."""
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    stray = touch(tmp_path / "Music/sketch.als")
    assert found(tmp_path / "Music/DAW Bridge/In/x.wav", tmp_path / "Music/DAW Bridge/Out") is None
    assert found(tmp_path / "Music/DAW Bridge/In/sketch 2.wav") == stray
    assert found(tmp_path / "Music/x.wav") == stray
    song = touch(tmp_path / "Music/Song/Song.als", age_s=100)
    assert found(tmp_path / "Music/Song/Renders/x.wav") == song


@pytest.mark.timeout(10)
def test_a_pattern_of_countless_wildcards_is_no_trap() -> None:
    pattern = "$a a" * 120 + "z"
    assert (
        place_of(song(part(None, 0, 1, pattern, is_set=True)), Path("a a " * 60), duration_s=Fraction(2))
        is None
    )


def test_the_newest_of_several_and_the_others_are_told(tmp_path: Path) -> None:
    older = touch(tmp_path / "a.als", age_s=10)
    newest = touch(tmp_path / "b.als")
    oldest = touch(tmp_path / "c.als", age_s=20)
    project = find_project(tmp_path / "x.wav")
    assert project is not None
    assert (project.path, project.others) == (newest, (older, oldest))
    assert project.why == "it is the newest of 3 projects in its folder"


@pytest.mark.parametrize(
    "name",
    [
        "Backup/Song [2024-03-01 120000].als", "Backups/a.rpp", "a.rpp-bak", "a.RPP-UNDO", "a-UNDO.rpp",
        "a.ardour.bak", "a.ardour.pending", "._a.als", ".hidden.als", "a_autosave.als", "a.bak.rpp", "a.wav",
        "als", "folder.als/x",
    ],
)  # fmt: skip
def test_backups_and_autosaves_are_none(tmp_path: Path, name: str) -> None:
    touch(tmp_path / name)
    assert found((tmp_path / name).parent / "x.wav") is None


@pytest.mark.parametrize("bounce", ["Old Song.wav", "old_song mix 2.wav", "Old-Song_96bpm.wav"])
def test_a_project_of_the_bounces_name_wins(tmp_path: Path, bounce: str) -> None:
    wanted = touch(tmp_path / "Old Song.als", age_s=1000)
    touch(tmp_path / "Old.als", age_s=10)
    touch(tmp_path / "bounces/new.als")
    project = find_project(tmp_path / "bounces" / bounce)
    assert project is not None
    assert (project.path, project.why) == (wanted, "it has the bounce's name")


@pytest.mark.parametrize("bounce", ["Older.wav", "Songs.wav", "x.wav"])
def test_a_part_of_a_word_is_no_name(tmp_path: Path, bounce: str) -> None:
    touch(tmp_path / "Song.als", age_s=1000)
    touch(tmp_path / "Old.als", age_s=1000)
    newest = touch(tmp_path / "b.als")
    assert found(tmp_path / bounce) == newest


@pytest.mark.parametrize(
    ("pattern", "bounce", "names_it"),
    [
        ("take_five", "take_five.wav", True),
        ("take-$project-$region", "take-b-Verse.wav", True),
        ("take$date[hh]", "take12.wav", True),
        ("$project", "x.wav", False),
        ("take", "taken.wav", False),
        ("take", "take 2.wav", True),
        ("$date take $region five", "12 take one five.wav", True),
        ("$date take $region five", "12 take one fives and five.wav", True),
        ("$date take $region five", "12 five take.wav", False),
        ("a$date", "x a.wav", False),
        ("$n$n", "x.wav", False),
    ],
)
def test_render_settings_that_name_the_bounce(
    tmp_path: Path, pattern: str, bounce: str, names_it: bool
) -> None:
    older = touch(reaper_project(tmp_path / "b.rpp", f'RENDER_PATTERN "{pattern}"'), age_s=100)
    newest = touch(reaper_project(tmp_path / "c.rpp"))
    touch(tmp_path / "damaged.rpp", age_s=50)
    assert found(tmp_path / bounce) == (older if names_it else newest)


@pytest.mark.skipif(sys.platform != "linux", reason="names elsewhere are Unicode")
def test_a_name_that_nobody_can_write_down_is_no_projects(tmp_path: Path) -> None:
    touch(tmp_path / os.fsdecode(b"S\xff.als"))
    assert found(tmp_path / "x.wav") is None


def test_a_folder_with_countless_files_is_not_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project_files, "MOST_ENTRIES", 5)
    for n in range(40):
        touch(tmp_path / f"{n}.als")
    project = find_project(tmp_path / "x.wav")
    assert project is not None
    assert len(project.others) == 4


def test_folders_that_are_gone(tmp_path: Path) -> None:
    assert found(tmp_path / "gone/x.wav", tmp_path / "gone too") is None


def song(*render: RenderBounds) -> Project:
    return Project(Path("a.rpp"), "Reaper", "7", TempoMap.constant(120), MeterMap.constant(), render=render)


def part(
    name: str | None, start_s: int, end_s: int, pattern: str | None = None, *, is_set: bool = False
) -> RenderBounds:
    return RenderBounds(name, pattern, Fraction(start_s), Fraction(end_s), set_for_export=is_set)


@pytest.mark.parametrize(
    ("render", "bounce", "duration_s", "start_s"),
    [
        # By name, exactly as long or with a tail.
        ((part("Verse", 8, 16), part("Bridge", 20, 28)), "song_Verse.wav", "8", 8),
        ((part("Verse", 8, 16), part("Bridge", 20, 28)), "song bridge 2.wav", "10.5", 20),
        ((part("Verse", 8, 16), part("Verse", 20, 24)), "Verse.wav", "4", 20),
        # A shorter one may have lost its beginning; a word's part is no name.
        ((part("Verse", 8, 16),), "Verse.wav", "7.5", None),
        ((part("Verse", 8, 16),), "Verses.wav", "9", None),
        # By the render settings' own pattern.
        ((part(None, 8, 16, "mix", is_set=True), part("A", 0, 8)), "mix.wav", "12", 8),
        ((part(None, 8, 16, "$project", is_set=True),), "mix.wav", "12", None),
        # By length alone.
        ((part("Verse", 8, 16), part("Bridge", 20, 29)), "x.wav", "8.0005", 8),
        ((part("Verse", 8, 16), part("Bridge", 20, 29)), "x.wav", "8.002", None),
        ((part("Verse", 8, 16), part("Bridge", 20, 28)), "x.wav", "8", None),
        ((part("Verse", 8, 16), part(None, 20, 28, is_set=True)), "x.wav", "8", 20),
        ((part("Verse", 8, 16), part("Verse again", 8, 16)), "x.wav", "8", 8),
        ((RenderBounds("Verse", None, Fraction(8), None),), "Verse.wav", "8", None),
        ((), "x.wav", "8", None),
    ],
)
def test_where_a_bounce_lies(
    render: tuple[RenderBounds, ...], bounce: str, duration_s: str, start_s: int | None
) -> None:
    place = place_of(song(*render), Path(bounce), duration_s=Fraction(duration_s))
    assert (place.bounds.start_s if place else None) == start_s
    assert place is None or place.why
