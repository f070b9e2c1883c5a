from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest

from bridge import config
from bridge.config import Settings, WatchedFolder, is_private, load, may_upload, write_template
from bridge.config_controls import MidiSettings
from bridge.errors import ConfigError

POSIX = os.name == "posix"


def _load(folder: Path, text: str | bytes, **environment: str) -> Settings:
    data = text if isinstance(text, bytes) else text.encode()
    (folder / "config.toml").write_bytes(data)
    return load(folder, environment)


def _faults(folder: Path, text: str | bytes, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        _load(folder, text, **environment)
    assert caught.value.exit_code == 2
    assert caught.value.file == str(folder / "config.toml")
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


def _watch(*folders: tuple[Path, str]) -> str:
    return "".join(f"[[folders]]\npath = '{path}'\n{more}\n" for path, more in folders)


def test_without_a_file_everything_is_the_default(tmp_path: Path) -> None:
    assert load(tmp_path, {}) == Settings()
    assert load(tmp_path / "not-there", {}) == Settings()


def test_every_setting_can_be_set_in_each_way_that_toml_knows(tmp_path: Path) -> None:
    one, two, out = tmp_path / "In 1", tmp_path / "Ün 2", tmp_path / "Out"
    text = f"""\ufeff# with a BOM
tempo_bpm = 98.5
log_level = "debug"
server = {{ enabled = false, port = 8123 }}
engine.threads = 3
engine.low_priority = false
[[folders]]
path = '{one}'
project_folder = '{out}'
[[folders]]
path = '{two}'
preset = "mine"
recursive = false
private = true
polling = true
settle_s = 2
existing = "convert"
"""
    settings = _load(tmp_path, text)
    assert settings.tempo_bpm == 98.5
    assert (settings.server.enabled, settings.server.port) == (False, 8123)
    assert (settings.engine.threads, settings.engine_threads(), settings.engine.low_priority) == (3, 3, False)
    assert settings.folders == (
        WatchedFolder(path=one, project_folder=out),
        WatchedFolder(
            path=two,
            preset="mine",
            recursive=False,
            private=True,
            polling=True,
            settle_s=2.0,
            existing="convert",
        ),
    )


def test_an_inline_list_of_folders_is_as_good(tmp_path: Path) -> None:
    settings = _load(tmp_path, f"folders = [\n  {{ path = '{tmp_path}' }},\n]")
    assert settings.folders == (WatchedFolder(path=tmp_path),)


def test_threads_default_to_one_less_than_there_are() -> None:
    assert Settings().engine_threads() == max(1, (os.cpu_count() or 2) - 1)


def test_all_faults_are_told_at_once_with_line_and_remedy(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path,
        f"tempo = 120\nlog_level = 'x'\n\n[[folders]]\nsettle_s = 0\n[[folders]]\npath = '{tmp_path}'\n"
        "presett = 'x'\n[server]\nport = 70000\n[engin]\nthreads = 2\n",
        BRIDGE_ENGINE_THREADS="x",
    )
    assert faults == [
        "line 4: folders[1].path is missing. Add it.",
        "line 5: folders[1].settle_s must be at least 0.05 (found: 0). Choose a greater one.",
        "line 8: folders[2].presett is not a setting here. Did you mean 'preset'?",
        "BRIDGE_ENGINE_THREADS: engine.threads must be a whole number (found: 'x'). Write it without quotes.",
        "line 10: server.port must be at most 65535 (found: 70000). Choose a smaller one.",
        "line 2: log_level must be 'debug', 'info', 'warning' or 'error' (found: 'x'). Choose one of these.",
        "line 1: tempo is not a setting here. Did you mean 'tempo_bpm'?",
        "line 11: engin is not a setting here. Did you mean 'engine'?",
    ]


@pytest.mark.parametrize("value", ["nan", "inf", "-1.0"])
def test_numbers_that_cannot_be_waited_for_are_refused(tmp_path: Path, value: str) -> None:
    assert len(_faults(tmp_path, f"[engine]\nidle_exit_s = {value}")) == 1


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ("[[folders]\n", "line 1"),
        ("a = 1\nb = C:\\Music", "line 2"),
        ('[[folders]]\npath = "C:\\Users\\me"', "single quotes"),
        ("log_level = 'info' # Ä".encode("latin-1"), "UTF-8"),
        ("log_level = 'info'".encode("utf-16"), "UTF-8"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(
    tmp_path: Path, data: str | bytes, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, data)
    assert words in str(caught.value)
    assert caught.value.remedy
    assert str(caught.value).startswith("config.toml: ")


def test_a_folder_in_the_files_place_is_an_error_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigError, match=r"config\.toml: it cannot be read"):
        load(tmp_path, {})


# The environment


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    settings = _load(
        tmp_path,
        "tempo_bpm = 100\n[engine]\nthreads = 1\nmemory_mb = 900",
        BRIDGE_ENGINE_THREADS="4",
        BRIDGE_TEMPO_BPM="90",
        BRIDGE_SERVER_ENABLED="false",
        BRIDGE_ENGINE="ignored",
        OTHER="x",
    )
    assert (settings.engine.threads, settings.engine.memory_mb) == (4, 900)
    assert (settings.tempo_bpm, settings.server.enabled) == (90.0, False)


def test_the_environment_over_a_table_that_is_none_is_a_fault_and_not_a_crash(tmp_path: Path) -> None:
    (fault,) = _faults(tmp_path, "engine = 3", BRIDGE_ENGINE_THREADS="4")
    assert fault.startswith("line 1: engine must be a table (found: 3).")


def test_a_misspelt_variable_is_told_and_foreign_ones_are_left_alone(tmp_path: Path) -> None:
    (fault,) = _faults(tmp_path, "", BRIDGE_ENGINE_THREAD="4", BRIDGE_HOME="/x", BRIDGE_CARDS="2")
    assert fault.startswith("BRIDGE_ENGINE_THREAD: ")
    assert fault.endswith("Did you mean 'BRIDGE_ENGINE_THREADS'?")


# Paths


def test_home_and_variables_are_filled_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("MUSIC_DISK", str(tmp_path / "disk"))
    text = "[[folders]]\npath = '~/Bounces'\nproject_folder = '${MUSIC_DISK}/Out'"
    (folder,) = _load(tmp_path, text).folders
    assert (folder.path, folder.project_folder) == (tmp_path / "Bounces", tmp_path / "disk" / "Out")


@pytest.mark.parametrize(
    "path",
    [
        "''",
        "'Bounces'",
        "'$NOT_SET_ANYWHERE/In'",
        "'~no-such-user-here/In'",
        '"C:\\new\\take"',
        '"/x\\u0000y"',
        pytest.param(r"'C:\Music\In'", marks=pytest.mark.skipif(not POSIX, reason="a whole path there")),
    ],
)
def test_a_path_that_leads_nowhere_is_a_fault(tmp_path: Path, path: str) -> None:
    (fault,) = _faults(tmp_path, f"[[folders]]\npath = {path}")
    assert fault.startswith("line 2: folders[1].path ")
    assert len(fault.split(". ")) == 2


def test_backslashes_stay_in_literal_texts(tmp_path: Path) -> None:
    prefix = "/" if POSIX else ""
    (folder,) = _load(tmp_path, f"[[folders]]\npath = '{prefix}C:\\new\\take'").folders
    assert str(folder.path) == f"{prefix}C:\\new\\take"


# Watched folders that overlap


def test_the_same_folder_twice_is_an_error_that_names_both(tmp_path: Path) -> None:
    (tmp_path / "In").mkdir()
    text = _watch((tmp_path / "In", ""), (tmp_path / "x" / ".." / "In", "preset = 'other'"))
    (fault,) = _faults(tmp_path, text)
    assert fault.startswith("line 5: folders[2] ")
    assert f"is the same folder as folders[1] {tmp_path / 'In'} (line 2). " in fault
    assert fault.endswith("recursive = false.")


@pytest.mark.parametrize("inner_first", [False, True])
def test_a_folder_inside_a_recursive_one_is_an_error(tmp_path: Path, inner_first: bool) -> None:
    pair = [(tmp_path / "In", ""), (tmp_path / "In" / "Deep" / "er", "")]
    (fault,) = _faults(tmp_path, _watch(*(pair[::-1] if inner_first else pair)))
    assert str(tmp_path / "In") in fault
    assert str(tmp_path / "In" / "Deep" / "er") in fault
    assert ("holds" if inner_first else "lies in") in fault


def test_a_folder_inside_one_that_is_not_recursive_is_fine(tmp_path: Path) -> None:
    text = _watch(
        (tmp_path / "In", "recursive = false"), (tmp_path / "In" / "Deep", ""), (tmp_path / "In2", "")
    )
    assert len(_load(tmp_path, text).folders) == 3


@pytest.mark.skipif(not POSIX, reason="links need rights there")
def test_a_link_to_a_watched_folder_is_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / "In").mkdir()
    (tmp_path / "Link").symlink_to(tmp_path / "In")
    (fault,) = _faults(tmp_path, _watch((tmp_path / "In", ""), (tmp_path / "Link", "")))
    assert "is the same folder as" in fault


def test_overlaps_are_told_beside_other_faults(tmp_path: Path) -> None:
    text = _watch((tmp_path / "In", ""), (tmp_path / "Other", "settle_s = -1"), (tmp_path / "In", ""))
    first, second = _faults(tmp_path, text)
    assert "settle_s" in first
    assert second.startswith("line 8: folders[3] ")


# The template


def test_the_template_loads_and_watches_the_default_folders(tmp_path: Path) -> None:
    path = write_template(tmp_path / "home")
    assert path == tmp_path / "home" / "config.toml"
    assert load(tmp_path / "home", {}) == Settings(folders=config.default_folders())


def test_every_line_of_the_template_shows_the_default(tmp_path: Path) -> None:
    path = write_template(tmp_path)
    text, count = re.subn(r"^# (?=[a-z_]+ = )", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    assert load(tmp_path, {}) == Settings(folders=config.default_folders())
    shown = set(re.findall(r"^([a-z_]+) = ", text, flags=re.MULTILINE))
    tables: dict[str, Any] = {
        "folders": WatchedFolder,
        "engine": config.EngineSettings,
        "server": config.ServerSettings,
        "musicgpt": config.MusicGPTSettings,
        "midi": MidiSettings,
    }
    not_shown = {*tables, "pads", "hotkeys"}  # the last two as examples: they have no default
    known = [name for table in (Settings, *tables.values()) for name in table.model_fields]
    known = [name for name in known if name not in not_shown]
    assert shown == set(known)
    assert count == len(known) - 2  # path and project_folder are set


def test_a_file_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text("# mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="there is one already"):
        write_template(tmp_path)
    assert (tmp_path / "config.toml").read_text(encoding="utf-8") == "# mine"


def test_a_home_that_cannot_be_made_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="Choose another BRIDGE_HOME"):
        write_template(tmp_path / "file" / "home")


def test_names_with_quotes_survive_the_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = tmp_path / 'O\'Brien "x" \\ ü'
    monkeypatch.setattr("platformdirs.user_music_path", lambda: odd)
    write_template(tmp_path)
    assert load(tmp_path, {}).folders == (
        WatchedFolder(path=odd / "DAW Bridge" / "In", project_folder=odd / "DAW Bridge" / "Out"),
    )


def test_the_home_is_what_the_environment_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_HOME", str(tmp_path))
    assert config.home() == tmp_path
    monkeypatch.delenv("BRIDGE_HOME")
    assert config.home().name == "daw-bridge"


def test_a_private_file_is_private_by_every_name_that_it_has(tmp_path: Path) -> None:
    secret, public = tmp_path / "secret", tmp_path / "public"
    for folder in (secret, public):
        folder.mkdir()
    (secret / "a.wav").write_bytes(b"RIFF")
    settings = Settings(
        folders=(WatchedFolder(path=public), WatchedFolder(path=secret, private=True, upload="never"))
    )
    assert is_private(settings, secret / "a.wav")
    assert is_private(settings, public / ".." / "secret" / "a.wav")
    assert not is_private(settings, public / "a.wav")
    try:
        (public / "link.wav").symlink_to(secret / "a.wav")
        (tmp_path / "door").symlink_to(secret, target_is_directory=True)
    except OSError:
        pytest.skip("no links may be made here")
    assert is_private(settings, public / "link.wav")
    assert is_private(settings, tmp_path / "door" / "a.wav")


def test_what_the_innermost_folder_says_counts(tmp_path: Path) -> None:
    outer = WatchedFolder(path=tmp_path, recursive=False, upload="always")
    inner = WatchedFolder(path=tmp_path / "inner", upload="never")
    for folders in ((outer, inner), (inner, outer)):
        settings = Settings(folders=folders)
        assert may_upload(settings, tmp_path / "inner" / "a.wav") == "never"
        assert may_upload(settings, tmp_path / "a.wav") == "always"
