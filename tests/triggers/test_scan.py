"""What a scan finds, and which names are left alone."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from bridge.jobs.model import Fingerprint
from bridge.triggers.ignore import (
    BOUNCE_SUFFIXES,
    is_bounce_name,
    is_ignored_folder,
    may_be_bounce,
    may_hold_bounces,
)
from bridge.triggers.scan import scan
from support.trigger_bench import wav


def names(folder: Path, *, recursive: bool = True) -> set[str]:
    return {
        Path(path).relative_to(folder).as_posix() for path in scan(str(folder), recursive=recursive).files
    }


@pytest.mark.parametrize("suffix", sorted(BOUNCE_SUFFIXES))
def test_each_suffix_in_any_case(suffix: str) -> None:
    assert is_bounce_name(f"take{suffix}")
    assert is_bounce_name(f"Take{suffix.upper()}")
    assert not is_bounce_name(suffix)
    assert not is_bounce_name(f".take{suffix}")
    assert not is_bounce_name(f"take{suffix}.part")


@pytest.mark.parametrize(
    "name",
    ["take.asd", "take.reapeaks", "take.mid", "._take.wav", "qrender_1.wav", "QRENDER_1.wav", "wav", ""],
)
def test_names_that_are_no_bounce(name: str) -> None:
    assert not is_bounce_name(name)


@pytest.mark.parametrize("name", ["QueuedRenders", "peaks", "Peaks", ".git", "@eaDir", "$RECYCLE.BIN"])
def test_folders_that_are_left_alone(name: str) -> None:
    assert is_ignored_folder(name)
    assert not may_be_bounce(str(Path("a") / name / "take.wav"), recursive=True)
    assert not may_hold_bounces(str(Path(name) / "deep"), recursive=True)


def test_paths_below_the_watched_folder() -> None:
    assert may_be_bounce("take.wav", recursive=False)
    assert not may_be_bounce(str(Path("deep") / "take.wav"), recursive=False)
    assert may_be_bounce(str(Path("deep") / "take.wav"), recursive=True)
    assert not may_be_bounce("", recursive=True)
    assert may_hold_bounces("deep", recursive=True)
    assert not may_hold_bounces("deep", recursive=False)


def test_a_scan_finds_files_with_their_state(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "take.wav"
    path.parent.mkdir()
    path.write_bytes(wav())
    found = scan(str(tmp_path), recursive=True)
    assert found.files == {str(path): Fingerprint.of(path)}
    assert found.faults == {}
    assert scan(str(tmp_path), recursive=False).files == {}


def test_a_watched_folder_may_be_hidden_itself(tmp_path: Path) -> None:
    hidden = tmp_path / ".peaks"
    hidden.mkdir()
    (hidden / "take.wav").write_bytes(wav())
    assert names(hidden) == {"take.wav"}


@pytest.mark.skipif(sys.platform == "win32", reason="links need a right there that tests do not have")
def test_links(tmp_path: Path) -> None:
    deep = tmp_path / "deep"
    deep.mkdir()
    (deep / "take.wav").write_bytes(wav())
    (deep / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link.wav").symlink_to(deep / "take.wav")
    (tmp_path / "nowhere.wav").symlink_to(tmp_path / "nothing")
    (tmp_path / "self.wav").symlink_to(tmp_path / "self.wav")
    assert names(tmp_path) == {"deep/take.wav", "link.wav"}
    assert scan(str(tmp_path), recursive=True).faults == {}


def test_a_folder_that_is_not_there_is_a_fault(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing")
    found = scan(missing, recursive=True)
    assert found.files == {}
    assert isinstance(found.faults[missing], FileNotFoundError)


def test_very_deep_folders_end(tmp_path: Path) -> None:
    folder = tmp_path
    for _ in range(80):
        folder /= "d"
    folder.mkdir(parents=True)
    (folder / "take.wav").write_bytes(wav())
    (tmp_path / "take.wav").write_bytes(wav())
    assert names(tmp_path) == {"take.wav"}


@pytest.mark.slow
def test_ten_thousand_files_are_all_found(tmp_path: Path) -> None:
    for number in range(10_000):
        (tmp_path / f"{number}.wav").touch()
    assert len(scan(str(tmp_path), recursive=True).files) == 10_000


@pytest.mark.parametrize(("name", "expected"), [("Übung 🎹.wav", True), ("gr\udcfc\udcdfe.wav", False)])
def test_only_names_that_can_be_written_down_are_bounces(name: str, expected: bool) -> None:
    assert is_bounce_name(name) is expected
