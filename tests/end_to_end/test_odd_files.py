"""Whatever lands in the folder: a clear error or a right result, and the daemon goes on.

No two names begin alike up to a space: such files of equal length are parts of one export, thus one job.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bridge.jobs.model import JobState
from bridge.jobs.records import JobDetail
from support.bridge_process import BridgeProcess
from support.tones import write_tone

RATE_HZ = 48_000
Write = Callable[[Path], object]


def _music(seconds: float = 1.0, rate_hz: int = RATE_HZ, channels: int = 1) -> np.ndarray:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    one = 0.3 * np.sin(2 * np.pi * 330.0 * time_s) * np.exp(-4.0 * (time_s % 0.5))
    return np.repeat(one[:, None], channels, axis=1)


def _sound(rate_hz: int = RATE_HZ, channels: int = 1, subtype: str = "PCM_16", **more: str) -> Write:
    def write(path: Path) -> None:
        soundfile.write(path, _music(rate_hz=rate_hz, channels=channels), rate_hz, subtype=subtype, **more)

    return write


def _truncated(path: Path) -> None:
    write_tone(path, seconds=2.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _ten_hours_of_header(path: Path) -> None:
    write_tone(path, seconds=1.0, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    data[at : at + 4] = struct.pack("<I", 10 * 3600 * RATE_HZ * 2)
    path.write_bytes(data)


def _not_numbers(path: Path) -> None:
    music = _music()[:, 0].astype(np.float32)
    music[1000:1010] = np.nan
    music[2000] = np.inf
    soundfile.write(path, music, RATE_HZ, subtype="FLOAT")


def _one_sample(path: Path) -> None:
    soundfile.write(path, np.zeros(1), RATE_HZ)


RIGHT: dict[str, Write] = {
    "8 bit.wav": _sound(subtype="PCM_U8"),
    "16 bit.wav": _sound(),
    "24 bit.wav": _sound(subtype="PCM_24"),
    "32 bit.wav": _sound(subtype="PCM_32"),
    "float.wav": _sound(subtype="FLOAT"),
    "64 bit.wav": _sound(subtype="DOUBLE"),
    "low rate.wav": _sound(rate_hz=8000),
    "high rate.wav": _sound(rate_hz=192_000),
    "many channels.wav": _sound(channels=32),
    "extensible.wav": _sound(format="WAVEX"),
    "rf64.wav": _sound(format="RF64"),
    "apple.aiff": _sound(),
    "small.flac": _sound(),
    "smaller.ogg": _sound(subtype="VORBIS", format="OGG"),
    "smallest.mp3": _sound(subtype="MPEG_LAYER_III", format="MP3"),
    "LOUD.WAV": _sound(format="WAV"),
    "Ünï © 🎹 'quoted'.wav": _sound(),
    "one sample.wav": _one_sample,
    "not numbers.wav": _not_numbers,
    "truncated.wav": _truncated,
    "ten hours.wav": _ten_hours_of_header,
}
WRONG: dict[str, Write] = {
    "zero.wav": lambda path: path.write_bytes(b""),
    "text.wav": lambda path: path.write_text("dear diary"),
    "cut.flac": lambda path: path.write_bytes(b"fLaC" + bytes(20)),
}
WARNED = {"not numbers.wav", "truncated.wav", "ten hours.wav"}


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory, models_folder: Path) -> Iterator[dict[str, JobDetail]]:
    bridge = BridgeProcess(tmp_path_factory.mktemp("odd"), models_folder)
    try:
        bridge.start()
        for name, write in {**RIGHT, **WRONG}.items():
            write(bridge.watched / name)
        details = bridge.settled(len(RIGHT) + len(WRONG), deadline_s=120)
        write_tone(bridge.watched / "after all that.wav")
        details = bridge.settled(len(details) + 1)
        assert bridge.stop() < 10
        yield {detail.parts[0].path.name: detail for detail in details}
    finally:
        bridge.close()


@pytest.mark.slow
def test_each_file_is_one_job(outcome: dict[str, JobDetail]) -> None:
    assert set(outcome) == {*RIGHT, *WRONG, "after all that.wav"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [*RIGHT, "after all that.wav"])
def test_a_file_that_can_be_read_becomes_midi(outcome: dict[str, JobDetail], name: str) -> None:
    detail = outcome[name]
    assert detail.job.state is JobState.DONE, detail.parts[0].error
    [midi] = [
        row.final_path for row in detail.deliveries if row.final_path and row.final_path.suffix == ".mid"
    ]
    assert midi.read_bytes().startswith(b"MThd")
    assert bool(detail.parts[0].warnings) is (name in WARNED)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(outcome: dict[str, JobDetail], name: str) -> None:
    detail = outcome[name]
    assert detail.job.state is JobState.FAILED
    error = detail.parts[0].error
    assert error is not None
    assert error["message"]
    assert error["remedy"]
    assert Path(error["file"]).name == name
