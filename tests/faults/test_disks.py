"""Disks full, read-only or gone, an engine out of memory, a file that changes: through a real daemon."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.jobs.model import JobState
from bridge.jobs.records import JobDetail
from support.bridge_process import BridgeProcess
from support.polling import eventually
from support.tones import write_tone

pytestmark = pytest.mark.slow

SMALL_DISK = "48k"
MakeBridge = Callable[..., BridgeProcess]


@pytest.fixture
def make_bridge(tmp_path: Path, models_folder: Path) -> Iterator[MakeBridge]:
    made: list[BridgeProcess] = []

    def make(**options: object) -> BridgeProcess:
        made.append(BridgeProcess(tmp_path / "bridge", models_folder, **options))  # type: ignore[arg-type]  # as given
        made[-1].start()
        return made[-1]

    yield make
    for bridge in made:
        bridge.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of some kilobytes; needs the right to mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("nobody may mount a disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def _waiting(bridge: BridgeProcess) -> JobDetail:
    """The one job, once a delivery of it waits."""

    def look() -> JobDetail | None:
        return next((one for one in bridge.details() if one.job.state is JobState.WAITING), None)

    return eventually(look, what="a delivery to wait")


def _reason(detail: JobDetail) -> str:
    return " ".join(row.error["message"] for row in detail.deliveries if row.error)


def test_a_full_disk_is_waited_for(make_bridge: MakeBridge, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(
        bytes(os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize)
    )
    bridge = make_bridge(out=small_disk)
    write_tone(bridge.watched / "loop.wav")
    assert "full" in _reason(_waiting(bridge))
    assert bridge.delivered() == ["ballast"], "nothing half-written is left"
    (small_disk / "ballast").unlink()
    assert [detail.job.state for detail in bridge.settled(1)] == [JobState.DONE]
    assert bridge.delivered() == ["loop.bridge.json", "loop_midi.mid"]


def test_a_read_only_disk_is_waited_for(make_bridge: MakeBridge, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    bridge = make_bridge(out=small_disk)
    write_tone(bridge.watched / "loop.wav")
    assert "only be read" in _reason(_waiting(bridge))
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert [detail.job.state for detail in bridge.settled(1)] == [JobState.DONE]
    assert bridge.delivered() == ["loop.bridge.json", "loop_midi.mid"]


def test_a_project_folder_on_a_drive_that_is_gone_is_waited_for(
    make_bridge: MakeBridge, tmp_path: Path
) -> None:
    out = tmp_path / "drive" / "a" / "b" / "c" / "Project"
    bridge = make_bridge(out=out)
    write_tone(bridge.watched / "loop.wav")
    assert "not there" in _reason(_waiting(bridge))
    assert not (tmp_path / "drive").exists(), "no ghost of the drive is made"
    out.mkdir(parents=True)
    assert [detail.job.state for detail in bridge.settled(1)] == [JobState.DONE]
    assert bridge.delivered() == ["loop.bridge.json", "loop_midi.mid"]


def test_a_watched_folder_that_goes_and_comes_back(make_bridge: MakeBridge, tmp_path: Path) -> None:
    bridge = make_bridge()
    write_tone(bridge.watched / "before.wav")
    bridge.settled(1)
    bridge.watched.rename(tmp_path / "unplugged")
    write_tone(tmp_path / "unplugged" / "meanwhile.wav", hertz=330.0)
    (tmp_path / "unplugged").rename(bridge.watched)
    bridge.settled(2)
    write_tone(bridge.watched / "after.wav", hertz=550.0)
    bridge.settled(3)
    midi = [name for name in bridge.delivered() if name.endswith(".mid")]
    assert midi == ["after_midi.mid", "before_midi.mid", "meanwhile_midi.mid"]


def test_an_engine_out_of_memory_fails_that_job_and_no_other(make_bridge: MakeBridge) -> None:
    bridge = make_bridge(memory_mb=64)
    write_tone(bridge.watched / "large.wav", seconds=90.0)
    [detail] = bridge.settled(1)
    assert detail.job.state is JobState.FAILED
    error = detail.parts[0].error or detail.conversions[0].error
    assert error is not None
    assert "64 MB" in error["message"]
    assert "engine.memory_mb" in error["remedy"]
    assert not bridge.has_ended()


def test_a_file_that_is_written_over_again_and_again_ends_with_its_last_version(
    make_bridge: MakeBridge,
) -> None:
    bridge = make_bridge()
    path = bridge.watched / "loop.wav"
    for version in range(1, 6):
        write_tone(path, seconds=float(version), hertz=200.0 + 20 * version)
    last = path.stat()

    def look() -> bool:
        details = bridge.details()
        newest = details[0] if details else None
        return bool(
            newest
            and newest.job.state is JobState.DONE
            and (newest.parts[0].fingerprint.size, newest.parts[0].fingerprint.mtime_ns)
            == (last.st_size, last.st_mtime_ns)
        )

    eventually(look, what="the last version to be done")
    for detail in bridge.details():
        source = detail.parts[0].source
        assert source is None or source.frames in {48_000 * version for version in range(1, 6)}
