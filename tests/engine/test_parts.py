"""Parts and what is left of the source: whole numbers add up to it to the last bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bridge.engine.parts import write_parts
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.raw_pcm import Samples
from support.audio_jobs import audio_job

FRAMES, RATE_HZ = 150_001, 48_000


def source_file(folder: Path, subtype: str, *, suffix: str = "wav", gain: float = 0.2) -> Path:
    sound = np.clip(np.random.default_rng(7).standard_normal((FRAMES, 2)) * gain, -1, 1 - 2**-23)
    path = folder / f"bounce.{suffix}"
    sf.write(path, sound, RATE_HZ, subtype)
    return path


def split(path: Path, *shares: float) -> Iterator[tuple[Samples, ...]]:
    with open_source(path) as source:
        for block in source.blocks:
            yield tuple(block * np.float32(share) for share in shares)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32"])
@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_whole_numbers_add_up_to_the_last_bit(tmp_path: Path, subtype: str, suffix: str) -> None:
    source = source_file(tmp_path, subtype, suffix=suffix)
    job = audio_job("denoise", source, tmp_path / "out")
    rows = write_parts(job, AudioFormat.of(source), split(source, 0.3123, 0.5), ["a", "b"], rest="left")
    assert [row["role"] for row in rows] == ["a", "b", "left"]
    total = sum(sf.read(job.folder / row["file"], dtype="int32")[0].astype(np.int64) for row in rows)
    assert np.array_equal(total, sf.read(source, dtype="int32")[0])
    assert {sf.info(job.folder / row["file"]).subtype for row in rows} == {subtype}
    # What is left is 0.1877 of noise at 0.2: -14 dB and -14.5 dB.
    assert rows[0]["about"]["residual_dbfs"] == pytest.approx(-28.5, abs=0.2)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_floats_add_up_to_140_db(tmp_path: Path, subtype: str) -> None:
    source = source_file(tmp_path, subtype)
    job = audio_job("denoise", source, tmp_path / "out")
    rows = write_parts(job, AudioFormat.of(source), split(source, 0.3123), ["a"], rest="left")
    total = sum(sf.read(job.folder / row["file"], dtype="float64")[0] for row in rows)
    assert np.abs(total - sf.read(source, dtype="float64")[0]).max() < 10 ** (-140 / 20)


def test_parts_that_are_too_loud_become_floats_and_still_add_up(tmp_path: Path) -> None:
    source = source_file(tmp_path, "PCM_24", gain=0.3)
    job = audio_job("denoise", source, tmp_path / "out")
    rows = write_parts(job, AudioFormat.of(source), split(source, 3.0), ["loud"], rest="left")
    assert "32-bit float" in rows[0]["about"]["note"]
    total = sum(sf.read(job.folder / row["file"], dtype="float64")[0] for row in rows)
    assert np.abs(total - sf.read(source, dtype="float64")[0]).max() < 10 ** (-140 / 20)


def test_the_level_of_what_is_left_is_told_also_where_it_is_not_written(tmp_path: Path) -> None:
    source = source_file(tmp_path, "PCM_16")
    job = audio_job("denoise", source, tmp_path / "out")
    rows = write_parts(job, AudioFormat.of(source), split(source, 1.0), ["all"])
    assert rows == [
        {"role": "all", "file": "all.wav", "media_type": "audio/wav", "about": {"residual_dbfs": None}}
    ]
    assert [one.name for one in job.folder.iterdir()] == ["all.wav"]
