"""`bridge show FILE`: what is known about the music of a bounce, and who says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.cli.app import run
from support import wav_files
from support.projects import reaper_project

Captured = pytest.CaptureFixture[str]


def bounce(folder: Path, name: str = "lead.wav", *, at_s: int = 0) -> Path:
    rows = [(b"bext", wav_files.bext(time_reference=at_s * 48_000))] if at_s else []
    return wav_files.saved(folder, wav_files.wav(before=rows, samples=bytes(2 * 48_000)), name)


def test_each_value_stands_with_its_source(bridge_home: Path, tmp_path: Path, capsys: Captured) -> None:
    reaper_project(tmp_path / "Song.RPP", points=["PT 0 120 0", "PT 8 90 1"], tempo="TEMPO 120 3 4")
    assert run(["show", str(bounce(tmp_path, "lead_Am.wav", at_s=10))]) == 0
    out = capsys.readouterr().out
    assert "Tempo    90 BPM where the bounce begins  (project file Song.RPP)" in out
    assert "bar 1: 120 BPM, then a ramp" in out
    assert "Meter    3/4  (project file Song.RPP)" in out
    assert "Key      A minor  (file name)" in out
    assert "10.000 s into the project  (WAV chunks)" in out


def test_what_nobody_knows_is_said_to_be_unknown(bridge_home: Path, tmp_path: Path, capsys: Captured) -> None:
    assert run(["show", str(bounce(tmp_path))]) == 0
    out = capsys.readouterr().out
    assert "Tempo    120 BPM  (assumed)" in out
    assert "Key      not known" in out
    assert "Begins   not known" in out


def test_the_same_as_data_with_the_preset_s_word(bridge_home: Path, tmp_path: Path, capsys: Captured) -> None:
    (bridge_home / "presets").mkdir()
    preset = 'name = "mine"\ntitle = "Mine"\ntempo_bpm = 77.7\nkey = "Bb"\n'
    preset += '[[steps]]\nname = "n"\nconversion = "audio_to_midi"\n'
    (bridge_home / "presets" / "mine.toml").write_text(preset, encoding="utf-8")
    assert run(["show", str(bounce(tmp_path)), "--preset", "mine", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["rate_hz"], data["frames"], data["duration_s"]) == (48_000, 48_000, 1.0)
    context = data["context"]
    assert (context["tempo_bpm"], context["tempo_source"]) == (77.7, "preset")
    assert (context["key"], context["key_source"]) == ("Bb major", "preset")


def test_what_is_no_audio_is_told_by_name(bridge_home: Path, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "notes.wav").write_text("words")
    assert run(["show", str(tmp_path / "notes.wav")]) == 1
    assert "notes.wav" in capsys.readouterr().err
    assert run(["show", str(tmp_path)]) == 2


def test_a_file_named_like_a_job_is_a_file(
    bridge_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    bounce(tmp_path, "7")
    monkeypatch.chdir(tmp_path)
    assert run(["show", "7"]) == 0
    assert "Bounce" in capsys.readouterr().out
