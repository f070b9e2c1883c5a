"""Commands that do work, as processes of their own, with and without a running daemon."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import owner
from bridge.engine import synth
from bridge.media.midi_files import smf_to_notes
from bridge.media.notes import Note
from support.audio_samples import RATE_HZ, write
from support.bridge_process import BridgeProcess
from support.commands import bridge
from support.polling import eventually

MODEL = "basic-pitch-icassp_2022.onnx"


@pytest.fixture(autouse=True)
def needs_the_model(models_folder: Path) -> None:
    assert (models_folder / MODEL).is_file(), "scripts/test.py pulls the models"


def play(path: Path, *pitches: int) -> Path:
    """A file with one note of half a second for each pitch."""
    notes = [Note(0.5 * place, 0.5 * place + 0.45, pitch, 100) for place, pitch in enumerate(pitches)]
    sound = synth.render(notes, rate_hz=RATE_HZ)
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, sound[:, None].astype(float))


@pytest.fixture
def daemon(tmp_path: Path, models_folder: Path) -> Iterator[BridgeProcess]:
    daemon = BridgeProcess(tmp_path / "daemon", models_folder)
    daemon.start()
    yield daemon
    daemon.close()


def terminal(daemon: BridgeProcess) -> str:
    return (daemon.home.parent / "terminal.log").read_text(encoding="utf-8")


# convert


@pytest.mark.slow
def test_convert_without_a_daemon(bridge_home: Path, tmp_path: Path) -> None:
    file = play(tmp_path / "riff_90bpm.wav", 60, 64, 67)
    done = bridge(bridge_home, "convert", file, "--to", tmp_path / "out")
    midi = tmp_path / "out" / "riff_90bpm_midi.mid"
    assert done.exit_code == 0, done.stderr
    assert str(midi) in done.stdout
    assert "90 BPM from the file name" in done.stdout
    assert [note.pitch for note in smf_to_notes(midi.read_bytes())] == [60, 64, 67]
    assert not owner.is_owned(bridge_home)


@pytest.mark.slow
def test_convert_a_folder_with_a_file_that_is_no_audio(bridge_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "takes"
    play(folder / "a.wav", 60)
    play(folder / "deeper" / "b.wav", 62)
    (folder / "text.wav").write_text("this is no audio " * 10)
    (folder / ".hidden.wav").write_text("not looked at")
    done = bridge(bridge_home, "convert", folder, "--set", "lowest_note=50", "--json")
    assert done.exit_code == 1
    states = {Path(job["parts"][0]["path"]).name: job["state"] for job in done.data()}
    assert states == {"a.wav": "done", "b.wav": "done", "text.wav": "failed"}
    assert all(job["overrides"] == {"lowest_note": "50"} for job in done.data())
    assert (folder / "deeper" / "b_midi.mid").exists()
    assert "text.wav" in done.stderr


@pytest.mark.slow
def test_convert_tells_wrong_use_before_it_begins(bridge_home: Path, tmp_path: Path) -> None:
    file = play(tmp_path / "a.wav", 60)
    for options, words in (
        (("--set", "lowest=40"), "Did you mean 'lowest_note'?"),
        (("--preset", "audio-to-mid"), "Did you mean 'audio-to-midi'?"),
    ):
        done = bridge(bridge_home, "convert", file, *options)
        assert done.exit_code == 2
        assert words in done.stderr
        assert done.stdout == ""


@pytest.mark.slow
def test_a_result_that_cannot_be_delivered_is_kept_for_the_next_time(
    bridge_home: Path, tmp_path: Path
) -> None:
    file = play(tmp_path / "a.wav", 60)
    drive = tmp_path / "drive"
    out = drive / "not" / "plugged" / "in" / "out"
    done = bridge(bridge_home, "convert", file, "--to", out)
    assert done.exit_code == 1
    assert "Nothing is lost" in done.stderr
    assert ": waiting (next try " in bridge(bridge_home, "show", "1").stdout
    out.parent.mkdir(parents=True)
    again = bridge(bridge_home, "retry", "--json")
    assert again.exit_code == 0, again.stderr
    assert again.data()[0]["state"] == "done"
    assert (out / "a_midi.mid").exists()


@pytest.mark.slow
def test_retry_of_a_file_that_is_still_no_audio(bridge_home: Path, tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_text("no audio")
    assert bridge(bridge_home, "convert", file).exit_code == 1
    play(file, 60)
    again = bridge(bridge_home, "retry", "1")
    assert again.exit_code == 0, again.stderr
    assert "a_midi.mid" in again.stdout


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
@pytest.mark.alone  # it must be caught while it converts
def test_ctrl_c_leaves_the_jobs_in_the_journal(bridge_home: Path, tmp_path: Path) -> None:
    file = play(tmp_path / "long.wav", *([60, 64, 67, 72] * 400))
    # A shell that starts the tests in its background lets all of them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "convert", str(file)], stderr=subprocess.PIPE, encoding="utf-8"
    )
    signal.signal(signal.SIGINT, before)
    eventually(
        lambda: json.loads(bridge(bridge_home, "status", "--json").stdout)["jobs"].get("running"),
        what="the conversion to begin",
    )
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 job is in the journal" in said
    assert bridge(bridge_home, "cancel", "--json").data()["state"] == "cancelled"


# run


def test_run_converts_what_is_bounced_and_says_so(daemon: BridgeProcess) -> None:
    play(daemon.watched / "loop_128bpm.wav", 60, 64)
    daemon.settled(1)
    eventually(lambda: "loop_128bpm.wav → loop_128bpm_midi.mid" in terminal(daemon), what="the line")
    assert "128 BPM from the file name" in terminal(daemon)
    (daemon.watched / "text.wav").write_text("no audio at all " * 10)
    daemon.settled(2)
    eventually(lambda: "text.wav: failed: " in terminal(daemon), what="the second line")
    if os.name == "posix":
        assert daemon.stop() < 2.0
        assert terminal(daemon).endswith("Stopped.\n")


@pytest.mark.slow
def test_run_tells_each_stem_of_an_export_once(daemon: BridgeProcess) -> None:
    for name in ("bass", "keys", "lead"):
        play(daemon.watched / f"Song - {name}.wav", 60, 64)
    eventually(lambda: len(daemon.delivered()) == 6, what="all stems")
    eventually(lambda: terminal(daemon).count("→ Song") == 3, what="a line for each")
    for name in ("bass", "keys", "lead"):
        assert terminal(daemon).count(f"Song - {name}.wav → Song - {name}_midi.mid") == 1
    assert "Song - lead.wav → " in (daemon.home / "logs" / "bridge.log").read_text(encoding="utf-8")


@pytest.mark.slow
def test_everything_goes_through_the_daemon_that_runs(daemon: BridgeProcess, tmp_path: Path) -> None:
    home = daemon.home
    file = play(tmp_path / "riff.wav", 60, 64)
    done = bridge(home, "convert", file, "--json")
    assert done.exit_code == 0, done.stderr
    assert done.data()[0]["trigger"] == "cli"
    assert (tmp_path / "riff_midi.mid").exists()
    assert "on the command line" in bridge(home, "show", "1").stdout

    told = bridge(home, "status", "--json").data()
    assert told["running"] is True
    assert told["pid"] == daemon.pid
    assert told["folders"][0]["state"] == "watching"
    assert str(daemon.pid) in bridge(home, "status").stdout

    result = bridge(home, "trigger", "convert-latest", f"to={tmp_path / 'again'}", "--json")
    assert result.exit_code == 0, result.stderr
    eventually((tmp_path / "again" / "riff_midi.mid").exists, what="the latest, once more")

    wrong = bridge(home, "trigger", "convert-lattest")
    assert (wrong.exit_code, "Did you mean" in wrong.stderr) == (2, True)
    second = bridge(home, "run")
    assert (second.exit_code, "another bridge" in second.stderr) == (1, True)
    (checks,) = [row for row in bridge(home, "doctor", "--json").data() if row["name"] == "control API"]
    assert checks["state"] == "ok"


@pytest.mark.slow
def test_without_a_control_api_it_is_said_plainly(tmp_path: Path, models_folder: Path) -> None:
    daemon = BridgeProcess(tmp_path / "daemon", models_folder)
    daemon.start(BRIDGE_SERVER_ENABLED="false")
    try:
        done = bridge(daemon.home, "convert", play(tmp_path / "a.wav", 60))
        assert done.exit_code == 1
        assert "server.enabled" in done.stderr
        assert bridge(daemon.home, "status", "--json").data()["running"] is True
    finally:
        daemon.close()


@pytest.mark.slow
def test_run_without_models_says_the_remedy_and_runs(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    daemon = BridgeProcess(tmp_path / "daemon", tmp_path / "none")
    daemon.start()
    try:
        eventually(lambda: "Ctrl-C stops" in terminal(daemon), what="the greeting")
        assert "bridge models pull" in terminal(daemon)
        assert not daemon.has_ended()
    finally:
        daemon.close()


@pytest.mark.slow
def test_a_configuration_with_faults_lists_them_all(bridge_home: Path) -> None:
    (bridge_home / "config.toml").write_text("log_levle = 'info'\n[engine]\nthreads = -1\nmemory_mb = 'x'\n")
    for command in (("run",), ("convert", __file__)):
        done = bridge(bridge_home, *command)
        assert done.exit_code == 2
        assert all(word in done.stderr for word in ("log_level", "threads", "memory_mb", "config.toml"))


# doctor, and what nobody expected


@pytest.mark.slow
def test_doctor_finds_a_sound_home_sound(bridge_home: Path) -> None:
    done = bridge(bridge_home, "doctor", "--json")
    rows = {row["name"]: row for row in done.data()}
    assert done.exit_code == 0, done.stdout
    assert {"python", "home", "disk", "config", "presets", "model", "engine", "ffmpeg", "daemon"} <= set(rows)
    assert rows["engine"]["state"] == "ok"


@pytest.mark.slow
def test_doctor_tells_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "presets").mkdir(parents=True)
    (home / "presets" / "mine.toml").write_text("nonsense")
    (home / "config.toml").write_text("[[folders]]\npath = '/not/there'\npreset = 'mine'\n")
    done = bridge(home, "doctor")
    assert done.exit_code == 1
    for words in (
        "/not/there is not there",
        "mine.toml",
        "bridge models pull",
        "'mine', which is not usable",
    ):
        assert words in done.stdout
    (home / "config.toml").write_text("folder = 1")
    told = bridge(home, "doctor").stdout
    assert "folders" in told
    assert str(home / "config.toml") in told


@pytest.mark.slow
def test_a_journal_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").write_text("this is no database, whatever its name says " * 100)
    for command in ("status", "history", "run"):
        done = bridge(tmp_path, command, BRIDGE_SERVER_ENABLED="false")
        assert done.exit_code == 1
        assert "the journal cannot be opened" in done.stderr


def test_what_nobody_expected_is_one_plain_line(tmp_path: Path) -> None:
    crash = "import bridge.cli.reading as r; r.status = None; from bridge.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", crash, "status"],
        env={**os.environ, "BRIDGE_HOME": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert str(tmp_path / "logs" / "bridge.log") in done.stderr
    assert "Traceback" in (tmp_path / "logs" / "bridge.log").read_text()


def test_the_version(tmp_path: Path) -> None:
    assert bridge(tmp_path, "--version").stdout.startswith("DAW Bridge ")
