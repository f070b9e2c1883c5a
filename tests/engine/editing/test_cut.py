"""`audio_cutter` on this machine: exact to the sample, chunks moved, fades, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from bridge.engine.editing.cut import cut
from bridge.errors import AudioError
from bridge.media.wav_chunks import read_chunks
from support.audio_jobs import audio_job
from support.wav_files import acid, adtl, bext, cue, saved, smpl, wav

RATE_HZ = 48_000


def noise(frames: int, channels: int = 2, *, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (frames, channels))


def written(folder: Path, subtype: str = "PCM_24", *, name: str = "take.wav", rate_hz: int = RATE_HZ) -> Path:
    path = folder / name
    sf.write(path, noise(2 * rate_hz), rate_hz, subtype=subtype)
    return path


def cut_of(source: Path, folder: Path, **parameters: Any) -> tuple[Path, str]:
    [row] = cut(audio_job("audio_cutter", source, folder, **parameters))
    assert row["role"] == "cut"
    return folder / row["file"], row["about"].get("note", "")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_the_samples_are_the_sources(tmp_path: Path, subtype: str, rate_hz: int) -> None:
    source = written(tmp_path, subtype, rate_hz=rate_hz)
    path, note = cut_of(source, tmp_path / "out", start_time=333.337, end_time=1456.789)
    first, last = round(0.333337 * rate_hz), round(1.456789 * rate_hz)
    assert sf.info(path).subtype == subtype
    np.testing.assert_array_equal(sf.read(path)[0], sf.read(source)[0][first:last])
    assert not note or "PEAK" in note  # which libsndfile writes beside floats


@pytest.mark.parametrize("extension", ["flac", "ogg", "mp3"])
def test_other_formats(tmp_path: Path, extension: str) -> None:
    source = written(tmp_path, "PCM_16")
    path, _ = cut_of(source, tmp_path / "out", start_time=100, end_time=600, output_extension=extension)
    assert path.name == f"cut.{extension}"
    found, _ = sf.read(path)
    assert len(found) == RATE_HZ // 2
    if extension == "flac":
        np.testing.assert_array_equal(found, sf.read(source)[0][4800:28_800])


def test_chunks_move_with_the_cut(tmp_path: Path) -> None:
    before = [
        (b"bext", bext(time_reference=1_000_000)),
        (b"cue ", cue((1, 100), (2, 900), (3, 1900))),
        (b"LIST", adtl((1, "gone"), (2, "kept"), (3, "behind"))),
        (b"smpl", smpl((800, 1199))),
        (b"acid", acid(beats=8)),
    ]
    source = saved(tmp_path, wav(before))  # 2000 frames
    path, _ = cut_of(source, tmp_path / "out", start_time=500 / 48, end_time=1500 / 48)
    chunks = read_chunks(path)
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 1_000_500
    assert chunks.cues is not None
    assert [(one.id, one.frame) for one in chunks.cues.points] == [(2, 400)]
    assert chunks.sampler is not None
    assert [(one.start, one.end) for one in chunks.sampler.loops] == [(300, 699)]
    assert chunks.acid is not None
    assert chunks.acid.beats == 4
    assert sf.info(path).frames == 1000


def test_fades_are_of_equal_power_and_touch_nothing_else(tmp_path: Path) -> None:
    source = written(tmp_path, "FLOAT")
    whole = sf.read(source)[0][4800:33_600]
    path, _ = cut_of(source, tmp_path / "a", start_time=100, end_time=700, fade_in=100, fade_out=200)
    found = sf.read(path)[0]
    np.testing.assert_array_equal(found[4800:-9600], whole[4800:-9600])
    share = (np.arange(4800) + 0.5)[:, None] / 4800
    np.testing.assert_allclose(found[:4800], whole[:4800] * np.sin(np.pi / 2 * share), atol=1e-6)
    share = (np.arange(9600) + 0.5)[:, None] / 9600
    np.testing.assert_allclose(found[-9600:], whole[-9600:] * np.cos(np.pi / 2 * share), atol=1e-6)


def test_an_end_behind_the_file(tmp_path: Path) -> None:
    source = written(tmp_path)
    path, note = cut_of(source, tmp_path / "out", start_time=1500, end_time=9000, fade_out=2000)
    assert sf.info(path).frames == RATE_HZ // 2
    assert "it ends with the file at 0:02.0, before 0:09.0" in note
    assert "the fades are as long as the cut" in note
    assert np.abs(sf.read(path)[0][-3:]).max() < 1e-3


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (2000.0, 3000.0, r"begins at 0:02.0 \(2 s\), but the file ends at 0:02.0.*below 2000 ms"),
        (500.0, 500.0, "no sample between 0.5 s and 0.5 s.*later than start_time"),
        (500.0, 500.001, "no sample between"),
        (700.0, 500.0, "no sample between"),
    ],
)
def test_what_leaves_nothing(tmp_path: Path, start: float, end: float, words: str) -> None:
    source = written(tmp_path)
    with pytest.raises(AudioError, match=words) as caught:
        cut_of(source, tmp_path / "out", start_time=start, end_time=end)
    assert caught.value.file == str(source)
    assert not list((tmp_path / "out").iterdir())


def test_the_progress_rises_to_one(tmp_path: Path) -> None:
    told: list[float] = []
    job = audio_job(
        "audio_cutter",
        written(tmp_path),
        tmp_path / "out",
        progress=lambda fraction, _: told.append(fraction),
        start_time=500,
        end_time=1900,
    )
    cut(job)
    assert told == sorted(told)
    assert told[-1] == 1.0
