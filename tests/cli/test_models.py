"""`bridge models …`, in this process, with the mirror folder as the only source that there is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bridge.cli.app import run
from bridge.engine.model_table import MIRROR_VARIABLE, MODELS
from support.separators import write_separator

Captured = pytest.CaptureFixture[str]
SMALL = ("basic-pitch", "swift-f0", "beatnet")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("BRIDGE_HOME", str(home))
    return home


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, models_folder: Path) -> None:
    """No publisher and no package index can be reached; the mirror has what is kept for tests."""
    for scheme in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv(MIRROR_VARIABLE, str(models_folder))


def rows(capsys: Captured) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert run(["models", "--json"]) == 0
    return {row["name"]: row for row in json.loads(capsys.readouterr().out)}


def test_small_pulls_what_is_small_and_says_what_is_left_out(
    bridge_home: Path, offline: None, capsys: Captured
) -> None:
    (bridge_home / "models" / "swift-f0-0.3.0.onnx").unlink()
    for left_out in (row for row in MODELS if row.name not in SMALL):
        for path in (bridge_home / "models").glob(f"{left_out.name}*"):
            path.unlink()
    assert run(["models", "pull", "--small"]) == 0
    told = capsys.readouterr().out
    assert "To fetch: at most 0.1 MB (swift-f0 0.1 MB)" in told
    assert f"swift-f0: pulled from the folder in {MIRROR_VARIABLE}" in told
    there = rows(capsys)
    assert [name for name, row in there.items() if row["state"] == "present"] == list(SMALL)
    assert there["spleeter"]["state"] == "missing"
    assert there["spleeter"]["remedy"] == "Run: bridge models pull spleeter"
    assert run(["models", "verify"]) == 0
    words = "spleeter: it is missing: without it, no Extraction. Run: bridge models pull spleeter"
    assert words in capsys.readouterr().err
    assert run(["models"]) == 0
    assert words in capsys.readouterr().err
    assert run(["models", "verify", "spleeter"]) == 1


def test_licences_and_whom_to_name_are_shown(bridge_home: Path, capsys: Captured) -> None:
    assert run(["models", "pull", "beatnet"]) == 0
    there = rows(capsys)
    assert [there[row.name]["licence"] for row in MODELS] == [row.licence for row in MODELS]
    assert "CC BY 4.0" in str(there["beatnet"]["attribution"])
    assert run(["models"]) == 0
    told = capsys.readouterr()
    assert "CC-BY-4.0" in told.out
    assert "beatnet: its licence asks for these words" in told.err
    assert "deepfilternet: An experiment." in told.err


def test_what_cannot_be_had_does_not_keep_the_others_out(
    bridge_home: Path, offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv(MIRROR_VARIABLE, str(tmp_path))
    (tmp_path / "swift-f0-0.3.0.onnx").write_bytes(b"not this one")
    (bridge_home / "models" / "swift-f0-0.3.0.onnx").unlink()
    assert run(["models", "pull", "swift-f0", "basic-pitch"]) == 1
    told = capsys.readouterr()
    assert "basic-pitch: already here" in told.out
    assert "pip failed" in told.err
    assert "another file than promised" in told.err
    assert "Put swift-f0-0.3.0.onnx into a folder" in told.err


def test_names_and_small_are_not_said_together(home: Path, capsys: Captured) -> None:
    assert run(["models", "pull", "--small", "spleeter"]) == 2
    assert "--small" in capsys.readouterr().err


def test_a_model_of_ones_own_is_added_listed_and_removed(
    home: Path, tmp_path: Path, capsys: Captured
) -> None:
    file = write_separator(tmp_path / "mine.onnx")
    assert run(["models", "add", "htdemucs", str(file)]) == 0
    told = capsys.readouterr().out
    assert "htdemucs: added" in told
    assert "drums, bass, other, vocals" in told
    row = rows(capsys)["htdemucs"]
    assert (row["state"], row["added"], row["made_by"]) == ("present", True, "added by you")
    assert run(["models", "add", "htdemucs", str(file)]) == 2
    assert run(["models", "remove", "htdemucs"]) == 0
    assert "htdemucs" not in rows(capsys)
    assert run(["models", "remove", "spleeter"]) == 2


def test_what_is_no_model_is_not_added(home: Path, tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "song.onnx"
    file.write_bytes(b"RIFF")
    assert run(["models", "add", "mine", str(file)]) == 1
    told = capsys.readouterr().err
    assert f"Error in {file}" in told
    assert ".part" not in told


def test_listing_loads_nothing_heavy(home: Path) -> None:
    heavy = ("numpy", "onnx", "onnxruntime", "requests", "soundfile")
    code = (
        "import sys\nfrom bridge.cli.app import run\n"
        f"run(['models', '--json'])\nsys.exit(str([m for m in {heavy} if m in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "[]"
    assert len(json.loads(done.stdout)) == len(MODELS)
