"""Noise out of music and speech: what is gained, what is left alone, and that the parts add up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.engine.enhancement import denoise as module
from bridge.engine.enhancement import noise_material
from bridge.engine.enhancement.denoise import denoise
from bridge.engine.models import ModelStore
from bridge.errors import Cancelled, ModelError
from support.audio_jobs import audio_job

RATE_HZ = 44_100
Sound = NDArray[np.float64]


def noise(frames: int, *, level: float = 0.02, channels: int = 2, seed: int = 5) -> Sound:
    return np.random.default_rng(seed).standard_normal((frames, channels)) * level


def music(seconds: float, *, rate_hz: int = RATE_HZ, channels: int = 2) -> Sound:
    """Struck notes that die away, some of them low, each side with its own loudness."""
    rng = np.random.default_rng(3)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    sound = np.zeros((len(time_s), channels))
    for start_s in np.arange(0.2, seconds - 0.1, 0.3):
        hertz = 110 * 2 ** (rng.integers(0, 30) / 12)
        held = np.maximum(time_s - start_s, 0)
        tone = sum(np.sin(2 * np.pi * hertz * k * held) / k**2 for k in range(1, 6))
        sound += (0.2 * tone * np.exp(-5 * held) * (time_s >= start_s))[:, np.newaxis] * rng.uniform(
            0.4, 1, channels
        )
    return sound


def syllables(seconds: float, *, rate_hz: int = 48_000) -> Sound:
    """Something like a voice: a gliding tone with formants, four times a second, and hisses in between."""
    rng = np.random.default_rng(9)
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch = 120 * 2 ** (
        np.interp(time_s, np.arange(0, seconds, 0.13), rng.uniform(-4, 4, len(np.arange(0, seconds, 0.13))))
        / 12
    )
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    formant = np.interp(
        time_s, np.arange(0, seconds, 0.2), rng.uniform(400, 2000, len(np.arange(0, seconds, 0.2)))
    )
    voice = sum(np.sin(k * phase) / (1 + ((k * pitch - formant) / 300) ** 2) for k in range(1, 25))
    turn = np.sin(2 * np.pi * 4 * time_s + np.cumsum(rng.standard_normal(len(time_s))) * 0.004)
    hiss = np.diff(rng.standard_normal(len(time_s) + 1))
    return (0.1 * voice * np.maximum(turn, 0) ** 0.7 + 0.05 * hiss * (turn < -0.8))[:, np.newaxis]


def si_sdr(wanted: Sound, found: Sound) -> float:
    one, other = wanted.ravel(), found.ravel()
    target = one * (one @ other) / (one @ one)
    return float(10 * np.log10((target @ target) / np.square(other - target).sum().clip(1e-30)))


def run(folder: Path, sound: Sound, *, rate_hz: int = RATE_HZ, subtype: str = "PCM_24", **more: Any) -> Any:
    """The rows, and the two results as arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "bounce.wav"
    sf.write(source, sound, rate_hz, subtype)
    job = audio_job("denoise", source, folder / "out", **more)
    rows = denoise(job)
    assert [row["role"] for row in rows] == ["clean", "removed"]
    clean, removed = (sf.read(job.folder / row["file"], always_2d=True)[0] for row in rows)
    whole = sf.read(source, always_2d=True)[0]
    assert clean.shape == removed.shape == whole.shape
    assert np.abs(clean + removed - np.nan_to_num(whole)).max() < 1e-7
    return rows, clean, removed


@pytest.fixture
def nsnet2(models_folder: Path) -> Callable[[str], Path]:
    try:
        path = ModelStore(models_folder).path("nsnet2")
    except ModelError as error:
        pytest.skip(str(error))
    return lambda _name: path


def test_steady_noise_leaves_music(tmp_path: Path) -> None:
    clean = music(8.0)
    noisy = clean + noise(len(clean))
    rows, found, removed = run(tmp_path, noisy, threads=2)
    assert si_sdr(clean, found) > si_sdr(clean, noisy) + 5
    assert si_sdr(noisy - clean, removed) > 5
    about = rows[0]["about"]
    assert (about["material"], about["material_was_heard"], about["quality"]) == ("music", True, "good")
    assert about["note"] == "taken for music"


def test_both_sides_get_the_same_gains(tmp_path: Path) -> None:
    clean = music(8.0, channels=1) * [1.0, 0.5]
    _, found, _ = run(tmp_path, clean + noise(len(clean), channels=1), material="music")
    difference = found[:, 0] - found[:, 1]
    alone = clean[:, 0] - clean[:, 1]
    # The noise is the same on both sides: what only the music has is left in the difference, nothing else.
    quiet = slice(0, round(0.15 * RATE_HZ))
    assert np.abs(difference[quiet]).max() < 1e-3
    assert si_sdr(alone, difference) > 25


def test_clean_music_stays_as_it_is(tmp_path: Path) -> None:
    rows, found, removed = run(tmp_path, music(6.0))
    assert not removed.any()
    assert rows[1]["about"]["residual_dbfs"] is None
    assert module.NO_NOISE in rows[0]["about"]["note"]
    assert found.any()


def test_a_held_tone_is_no_noise(tmp_path: Path) -> None:
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ
    organ = 0.1 * np.sin(2 * np.pi * 220 * np.outer(time_s, (1, 2, 3, 4))).sum(axis=1, keepdims=True)
    sound = organ + noise(len(organ), level=1e-3, channels=1)
    _, found, _ = run(tmp_path, sound, material="music")
    assert si_sdr(organ, found) > 40


def test_attacks_keep_their_time_and_height(tmp_path: Path) -> None:
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ - 0.5
    clicks = (np.exp(-400 * (time_s % 1)) * 0.9 * (time_s >= 0))[:, np.newaxis] * np.cos(
        2 * np.pi * 1_000 * (time_s % 1)
    )[:, np.newaxis]
    _, found, _ = run(tmp_path, clicks + noise(len(clicks), channels=1), material="music")
    for at in range(RATE_HZ // 2, len(clicks), RATE_HZ):
        assert abs(np.argmax(np.abs(found[at - 500 : at + 500])) - 500) <= 4
        assert np.abs(found[at - 500 : at + 500]).max() > 0.65


def test_noise_that_grows_slowly_is_followed(tmp_path: Path) -> None:
    rising = noise(90 * 8_000, channels=1) * np.linspace(0.2, 1.0, 90 * 8_000)[:, np.newaxis]
    clean = np.tile(music(9.0, rate_hz=8_000, channels=1), (10, 1))
    _, _, removed = run(tmp_path, clean + rising, rate_hz=8_000, material="music")
    for part in (slice(0, 160_000), slice(-160_000, None)):
        level = removed[part].std() / rising[part].std()
        assert 0.6 < level < 1.1


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 96_000])
@pytest.mark.parametrize("frames", [1, 480, 30_000])
def test_any_rate_and_length(tmp_path: Path, rate_hz: int, frames: int) -> None:
    for channels in (1, 3):
        sound = noise(frames, channels=channels)
        run(tmp_path / str(channels), sound, rate_hz=rate_hz, subtype="FLOAT")


@pytest.mark.parametrize("level", [0.0, 0.25])
def test_silence_and_direct_current(tmp_path: Path, level: float) -> None:
    _, clean, _ = run(tmp_path, np.full((3 * RATE_HZ, 2), level), subtype="FLOAT")
    assert np.isfinite(clean).all()


def test_what_is_no_number_is_silence(tmp_path: Path) -> None:
    sound = noise(3 * RATE_HZ)
    sound[1_000:1_100] = np.nan
    sound[2_000] = np.inf
    source = tmp_path / "bounce.wav"
    sf.write(source, sound, RATE_HZ, "FLOAT")
    job = audio_job("denoise", source, tmp_path / "out", material="music")
    for row in denoise(job):
        assert np.isfinite(sf.read(job.folder / row["file"])[0]).all()


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_speech_by_the_network(tmp_path: Path, nsnet2: Callable[[str], Path], rate_hz: int) -> None:
    voice = syllables(4.0, rate_hz=rate_hz)
    clean = np.concatenate([np.zeros((2 * rate_hz, 1)), voice])
    noisy = clean + noise(len(clean), channels=1)
    rows, found, _ = run(tmp_path, noisy, rate_hz=rate_hz, material="speech", fetch_model=nsnet2)
    assert rows[0]["about"]["material"] == "speech"
    assert not rows[0]["about"]["material_was_heard"]
    assert found[rate_hz : 2 * rate_hz].std() < 0.1 * noisy[rate_hz : 2 * rate_hz].std()
    # Where it takes it for a voice it leaves it alone, and at its place.
    assert np.corrcoef(found[2 * rate_hz :, 0], voice[:, 0])[0, 1] > 0.7


def test_speech_without_its_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = syllables(4.0) + noise(4 * 48_000, channels=1)
    with pytest.raises(ModelError):
        run(tmp_path / "named", sound, rate_hz=48_000, material="speech")
    monkeypatch.setattr(noise_material, "is_speech", lambda blocks: [len(block) for block in blocks] != [])
    rows, _, removed = run(tmp_path / "heard", sound, rate_hz=48_000)
    assert rows[0]["about"]["material"] == "speech"
    assert module.NO_NETWORK in rows[0]["about"]["note"]
    assert removed.any()
    with pytest.raises(ModelError):
        run(tmp_path / "model", sound, rate_hz=48_000, model="deepfilternet")


def test_cancel_and_progress(tmp_path: Path) -> None:
    told: list[float] = []
    run(tmp_path, music(4.0) + noise(4 * RATE_HZ), progress=lambda share, _doing: told.append(share))
    assert told == sorted(told)
    assert told[-1] == 1.0

    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(tmp_path / "again", music(2.0), check=stop)
