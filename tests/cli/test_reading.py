"""`status`, `history`, `show` and what else needs no engine, in this process."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path

import pytest

from bridge.actions import ACTIONS
from bridge.cli.app import run
from bridge.errors import AudioError
from bridge.jobs.store import JOURNAL_NAME, Journal
from support.journals import add_job, request_of

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("BRIDGE_HOME", str(home))
    return home


@pytest.fixture
def filled(home: Path) -> Path:
    """A home with a queued job and a failed one."""
    with closing(Journal(home / JOURNAL_NAME)) as journal:
        add_job(journal, Path("/in/[b]café[red].wav"))
        error = AudioError("this is no audio.", file=Path("/in/text.wav"), remedy="Bounce it again.")
        journal.create_job(request_of(Path("/in/text.wav")), {}, None, [], error=error)
    return home


def test_without_a_journal_there_is_nothing_to_tell(home: Path, capsys: Captured) -> None:
    assert run(["status"]) == 0
    assert "not running" in capsys.readouterr().out
    assert run(["history"]) == 0
    assert run(["history", "--json"]) == 0
    assert capsys.readouterr().out.endswith("[]\n")
    assert run(["show", "1"]) == 2
    assert not home.exists()


def test_status_counts_jobs(filled: Path, capsys: Captured) -> None:
    assert run(["status", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["running"] is False
    assert told["jobs"] == {"queued": 1, "failed": 1}
    assert [job["id"] for job in told["open"]] == [1]
    assert run(["status"]) == 0
    out = capsys.readouterr().out
    assert "1 in the queue" in out
    assert "goes on when the bridge is started" in out


def test_history_shows_names_as_they_are(filled: Path, capsys: Captured) -> None:
    assert run(["history"]) == 0
    out = capsys.readouterr().out
    assert "[b]café[red].wav" in out
    assert "this is no audio. Bounce it again." in out


def test_history_by_state_and_page(filled: Path, capsys: Captured) -> None:
    for options, ids in (
        ([], [2, 1]),
        (["--state", "failed"], [2]),
        (["--before", "2"], [1]),
        (["-n", "1"], [2]),
    ):
        assert run(["history", "--json", *options]) == 0
        assert [job["id"] for job in json.loads(capsys.readouterr().out)] == ids
    assert run(["history", "--state", "odd"]) == 2
    assert "needs_you" in capsys.readouterr().err
    assert run(["history", "--before", "1"]) == 0
    assert capsys.readouterr().out == "No such jobs.\n"


def test_history_has_no_empty_lines_and_names_a_file_once(filled: Path, capsys: Captured) -> None:
    assert run(["history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(line.strip() for line in lines)
    (failed,) = [line for line in lines if "failed" in line]
    assert failed.count("text.wav") == 1


def test_a_job_is_named_by_its_number(filled: Path, capsys: Captured) -> None:
    for command in ("retry", "cancel"):
        assert run([command, "loop.wav"]) == 2
        assert "not by 'loop.wav'" in capsys.readouterr().err
    assert run(["show", "loop.wav"]) == 2
    assert "no job and no file 'loop.wav'" in capsys.readouterr().err


def test_show_tells_everything(filled: Path, capsys: Captured) -> None:
    assert run(["show", "2"]) == 0
    out = capsys.readouterr().out
    assert "text.wav, failed" in out
    assert "Bounce it again." in out
    assert run(["show", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conversions"][0]["conversion"] == "audio_to_midi"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["show"],
        ["show", "x"],
        ["retry", "x"],
        ["models", "pull", "nonsense"],
        ["show", "99"],
        ["show", "9" * 30],
        ["history", "--limit", "0"],
        ["convert"],
        ["convert", "/not/there.wav"],
        ["convert", "/not/there.wav", "--set", "x"],
        ["models", "nonsense"],
    ],
)
def test_wrong_use_is_exit_code_2(filled: Path, arguments: list[str], capsys: Captured) -> None:
    assert run(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_without_a_daemon_nothing_can_be_triggered(filled: Path, capsys: Captured) -> None:
    assert run(["trigger", "convert-latest"]) == 1
    assert "bridge run" in capsys.readouterr().err


def test_init_writes_a_configuration_once(home: Path, capsys: Captured) -> None:
    assert run(["init"]) == 0
    before = (home / "config.toml").read_bytes()
    assert run(["init"]) == 2
    assert (home / "config.toml").read_bytes() == before
    assert str(home / "config.toml") in capsys.readouterr().err


def test_presets_with_faults_are_told(home: Path, capsys: Captured) -> None:
    (home / "presets").mkdir(parents=True)
    (home / "presets" / "mine.toml").write_text("name = 'other'\ntitle = 'x'\n")
    assert run(["presets"]) == 0
    told = capsys.readouterr()
    assert "audio-to-midi" in told.out
    assert "mine.toml" in told.err
    assert run(["presets", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["mine"]["error"]["code"] == "preset"
    assert rows["audio-to-midi"]["preset"]["steps"][0]["from"] == "source"


def test_models_that_are_missing_are_a_state(home: Path, capsys: Captured) -> None:
    assert run(["models"]) == 0
    assert "missing" in capsys.readouterr().out
    assert run(["models", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["state"] == "missing"
    assert run(["models", "verify"]) == 1
    assert "bridge models pull" in capsys.readouterr().err
    for command in ("verify", "pull"):
        assert run(["models", command, "basic-picth"]) == 2
        assert "Did you mean 'basic-pitch'?" in capsys.readouterr().err


def test_models_that_are_there_are_verified(bridge_home: Path, capsys: Captured) -> None:
    assert run(["models", "pull", "basic-pitch"]) == 0
    assert run(["models", "verify"]) == 0
    assert "as promised" in capsys.readouterr().out
    (bridge_home / "models" / "basic-pitch-icassp_2022.onnx").write_bytes(b"something else")
    assert run(["models", "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)[0]["state"] == "damaged"


def test_the_help_names_every_command(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    commands = (
        "run convert status history show retry cancel trigger presets models init doctor demo --version"
    )
    assert all(command in out for command in commands.split())


@pytest.mark.parametrize("command", ["convert", "show", "trigger", "history"])
def test_the_help_shows_no_python(command: str, capsys: Captured) -> None:
    assert run([command, "--help"]) == 0
    out = capsys.readouterr().out
    assert "list[" not in out
    assert "<" not in out.replace("<=", "")


def test_every_action_is_listed(capsys: Captured) -> None:
    assert run(["trigger"]) == 0
    lines = capsys.readouterr().out.splitlines()
    named = {line.split()[0] for line in lines if line[0] != " "}
    assert named == {name.replace("_", "-") for name in ACTIONS}
    assert run(["trigger", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tempo"] == {"bpm": "20 to 400"}


def test_the_list_of_commands_is_not_cut_off(capsys: Captured) -> None:
    assert run(["--help"]) == 0
    assert "..." not in capsys.readouterr().out.replace("[ARGS]...", "")


def test_no_arguments_are_a_question_for_help(capsys: Captured) -> None:
    assert run([]) == 2
    told = capsys.readouterr()
    assert "Commands:" in told.out + told.err
