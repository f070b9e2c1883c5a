"""Stems of real files: what adds up to what, on which frames, what is refused. The network is a small one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.conversions.enhancement import LOCAL_STEMS
from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.models import ModelStore
from bridge.engine.separation.drafts import Drafts
from bridge.engine.separation.extraction import extract
from bridge.engine.separation.voices import Voices
from bridge.errors import Cancelled, ModelError, WrongUse
from support.audio_jobs import audio_job
from support.separation import small_spleeter
from support.separators import write_separator

Sound = NDArray[np.float64]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_spleeter(tmp_path_factory.mktemp("network"))


def noise_file(
    folder: Path, *, rate_hz: int = 8000, channels: int = 2, frames: int = 15_001, subtype: str = "PCM_24"
) -> Path:
    sound = np.random.default_rng(7).normal(0, 0.1, (frames, channels))
    path = folder / "bounce.wav"
    sf.write(path, sound, rate_hz, subtype)
    return path


def job_of(network: Path, source: Path, *stems: str, **changes: Any) -> AudioJob:
    return audio_job(
        "Extraction", source, source.parent / "out", models={"spleeter": network}, stems=stems, **changes
    )


def sounds(job: AudioJob, rows: list[Row]) -> Mapping[str, Sound]:
    return {row["role"]: sf.read(job.folder / row["file"], always_2d=True)[0] for row in rows}


@pytest.mark.parametrize(
    ("rate_hz", "channels", "frames"),
    [(8000, 1, 15_001), (44_100, 2, 3000), (192_000, 3, 20_000), (48_000, 2, 1), (22_050, 2, 220)],
)
def test_voices_and_instrumental_are_the_source(
    tmp_path: Path, network: Path, rate_hz: int, channels: int, frames: int
) -> None:
    source = noise_file(tmp_path, rate_hz=rate_hz, channels=channels, frames=frames)
    job = job_of(network, source, "vocals", "instrumental", "residual")
    made = sounds(job, extract(job))
    whole, _ = sf.read(source, always_2d=True)
    assert list(made) == ["vocals", "instrumental", "residual"]
    assert made["vocals"].shape == whole.shape
    assert np.abs(sum(made.values()) - whole).max() < 2**-30
    assert np.abs(made["residual"]).max() <= 2 * 2**-23  # the two files' rounding
    if frames > 1000:
        assert 0.05 < np.linalg.norm(made["vocals"]) / np.linalg.norm(whole) < 0.95


def test_drafts_add_up_to_the_instrumental_and_say_what_they_are(tmp_path: Path, network: Path) -> None:
    job = job_of(network, noise_file(tmp_path), "instrumental", *LOCAL_STEMS, eco_mode=True)
    rows = extract(job)
    made = sounds(job, rows)
    assert np.abs(sum(made[name] for name in LOCAL_STEMS) - made["instrumental"]).max() < 4 * 2**-23
    for row in rows:
        words = LOCAL_STEMS.get(row["role"], "")
        assert row["about"]["quality"] == ("draft" if words else "good")
        assert words in row["about"]["note"]
        assert "eco_mode" in row["about"]["note"]


def test_the_residual_is_what_the_stems_leave(tmp_path: Path, network: Path) -> None:
    source = noise_file(tmp_path, subtype="PCM_16")
    job = job_of(network, source, "residual", "vocals")
    rows = extract(job)
    total = sum(sf.read(job.folder / row["file"], dtype="int32")[0].astype(np.int64) for row in rows)
    assert np.array_equal(total, sf.read(source, dtype="int32")[0])
    assert "quality" not in rows[-1]["about"]
    assert rows[0]["about"]["residual_dbfs"] > -60


@pytest.mark.parametrize("sound", [np.zeros((9000, 2)), np.full((9000, 2), 0.5), np.full((9000, 2), np.nan)])
def test_silence_dc_and_what_is_no_number_stay_numbers(tmp_path: Path, network: Path, sound: Sound) -> None:
    path = tmp_path / "bounce.wav"
    sf.write(path, sound, 8000, "FLOAT")
    job = job_of(network, path, "vocals", "instrumental", "drums", "bass", "other")
    made = sounds(job, extract(job))
    assert all(np.isfinite(one).all() for one in made.values())
    np.testing.assert_allclose(made["vocals"] + made["instrumental"], np.nan_to_num(sound), atol=1e-6)


@pytest.mark.parametrize(
    ("stems", "words"),
    [
        (("vocals", "guitar", "kick_drum"), "guitar, kick_drum"),
        (("residual",), "beside residual"),
        ((), "beside"),
    ],
)
def test_stems_that_cannot_be_had_are_refused_by_name(
    tmp_path: Path, network: Path, stems: tuple[str, ...], words: str
) -> None:
    job = job_of(network, noise_file(tmp_path), *stems)
    with pytest.raises(WrongUse, match=words) as told:
        extract(job)
    assert "guitar" not in stems or "bridge models add" in told.value.remedy
    assert not list(job.folder.iterdir())


def test_a_cancel_ends_it_and_leaves_no_file(tmp_path: Path, network: Path) -> None:
    looks = 0

    def check() -> None:
        nonlocal looks
        looks += 1
        if looks > 6:
            raise Cancelled("stop")

    job = job_of(network, noise_file(tmp_path, frames=200_000), "vocals", check=check)
    with pytest.raises(Cancelled):
        extract(job)
    assert not list(job.folder.iterdir())


def test_progress_rises_to_the_end(tmp_path: Path, network: Path) -> None:
    told: list[float] = []
    source = noise_file(tmp_path, frames=300_000, channels=1)
    extract(job_of(network, source, "vocals", progress=lambda share, _: told.append(share)))
    assert told == sorted(told)
    assert 0.9 < told[-1] <= 1
    assert len(told) > 3


def test_a_moment_sounds_the_same_wherever_windows_begin(network: Path) -> None:
    """Nothing is shifted: an impulse stays on its frame, whatever share of it is taken."""
    voices = Voices(lambda x: np.full_like(x, 0.25), 48_000, 2, 0.1, lambda: None)
    window = np.zeros((voices.frames, 2), np.float32)
    window[[5, 7000, -3]] = 1
    np.testing.assert_allclose(voices(window), 0.25 * window, atol=1e-5)


def test_the_network_hears_every_sound_as_loud_as_a_record() -> None:
    heard: list[NDArray[np.float32]] = []

    def network(x: NDArray[np.float32]) -> NDArray[np.float32]:
        heard.append(x)
        return np.full_like(x, 0.5)

    sound = np.random.default_rng(1).normal(0, 0.1, (30_000, 2)).astype(np.float32)
    for gain, rate_hz in ((1, 44_100), (0.01, 44_100), (1, 96_000)):
        gain32 = np.float32(gain)
        Voices(network, rate_hz, 2, float(gain32 * 0.1), lambda: None)(sound * gain32)
    np.testing.assert_allclose(heard[0], heard[1], rtol=1e-3, atol=1e-3)
    # Noise of one spectral density is as loud under each window: 96 kHz have less of it below 11 kHz.
    assert np.square(heard[2][0, :, 2:8]).mean() == pytest.approx(
        np.square(heard[0][0, :, 2:8]).mean() * 44_100 / 96_000, rel=0.1
    )


def test_hits_are_drums_and_low_notes_are_bass() -> None:
    rate_hz = 44_100
    time_s = np.arange(2 * rate_hz) / rate_hz
    bass, tone = np.sin(2 * np.pi * 60 * time_s), np.sin(2 * np.pi * 1000 * time_s)
    hits = np.zeros(len(time_s))
    hits[rate_hz // 4 :: rate_hz // 2] = 20
    parts = {"drums": hits, "bass": bass, "other": tone}
    window = np.repeat((hits + bass + tone)[:, None], 2, axis=1).astype(np.float32)
    made = Drafts(rate_hz, lambda: None)(window)
    for name, part in parts.items():
        error = made[name][:, 0] - part
        assert np.square(error).sum() < 0.15 * np.square(part).sum(), name


# --- what is cleaned before ---------------------------------------------------------------------------------


def test_what_is_cleaned_before_is_what_the_stems_add_up_to(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real cleaners have tests of their own: here is one that halves, and one that adds nothing."""
    seen: list[str] = []

    def halves(job: AudioJob) -> list[Row]:
        seen.append(job.folder.name)
        sound, rate_hz = sf.read(job.source, dtype="float64")
        sf.write(job.folder / "clean.wav", sound / 2, rate_hz, "PCM_24")
        about = {"note": "it was loud"} if len(seen) > 1 else {}
        return [{"role": "clean", "file": "clean.wav", "media_type": "audio/wav", "about": about}]

    class Module:
        denoise = deecho = dereverb = staticmethod(halves)

    monkeypatch.setattr("importlib.import_module", lambda _: Module)
    source = noise_file(tmp_path)
    job = job_of(network, source, "vocals", "residual", preprocessing_options=["Dereverb", "Denoise"])
    rows = extract(job)
    made = sounds(job, rows)
    assert rows[0]["about"]["note"] == "Denoise first. Dereverb first: it was loud"
    assert seen == ["denoise", "dereverb"]
    whole, _ = sf.read(source)
    assert np.abs(made["vocals"] + made["residual"] - whole / 4).max() < 4 * 2**-23
    assert sorted(one.name for one in job.folder.iterdir()) == ["residual.wav", "vocals.wav"]


# --- networks of one's own ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("rate_hz", "channels", "tolerance"), [(44_100, 2, 1e-6), (48_000, 1, 2e-3)])
def test_an_added_network_gives_its_stems_on_the_source_s_frames(
    tmp_path: Path, rate_hz: int, channels: int, tolerance: float
) -> None:
    model = write_separator(tmp_path / "own.onnx", seed=3)
    time_s = np.arange(40_000)[:, None] / rate_hz
    sound = 0.3 * np.sin(2 * np.pi * 440 * time_s) * np.ones((1, channels))
    source = tmp_path / "bounce.wav"
    sf.write(source, sound, rate_hz, "FLOAT")
    job = audio_job(
        *("Extraction", source, tmp_path / "out"),
        fetch_model={"mine": model}.__getitem__,
        model="mine",
        stems=["vocals", "drums", "instrumental"],
    )
    rows = extract(job)
    made = sounds(job, rows)
    gains = np.random.default_rng(3).random(4)
    inner = slice(500, -500)  # resampling rings where a sound is cut
    np.testing.assert_allclose(made["vocals"][inner], gains[3] * sound[inner], atol=tolerance)
    np.testing.assert_allclose(made["drums"][inner], gains[0] * sound[inner], atol=tolerance)
    np.testing.assert_allclose(made["vocals"] + made["instrumental"], sound, atol=1e-6)
    assert all(row["about"] == {**row["about"], "quality": "good"} for row in rows)


def test_an_added_network_is_asked_for_its_own_stems_only(tmp_path: Path) -> None:
    model = write_separator(tmp_path / "own.onnx")
    job = audio_job(
        *("Extraction", noise_file(tmp_path), tmp_path / "out"),
        fetch_model=lambda _: model,
        model="mine",
        stems=["guitar"],
    )
    with pytest.raises(WrongUse, match="the network mine cannot take out guitar"):
        extract(job)


def test_a_network_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "spleeter.onnx"
    path.write_bytes(b"no network")
    with pytest.raises(ModelError, match="no network that can be run"):
        extract(job_of(path, noise_file(tmp_path), "vocals"))


# --- the real network ---------------------------------------------------------------------------------------


def test_a_band_without_a_singer_is_instrumental(tmp_path: Path, models_folder: Path) -> None:
    model = ModelStore(models_folder).pull("spleeter", report=print)
    rate_hz = 44_100
    time_s = np.arange(3 * rate_hz) / rate_hz
    tones = [np.sin(2 * np.pi * hz * time_s) for hz in (110, 220, 277, 330)]
    chord = np.sum(tones, axis=0) * np.exp(-3 * (time_s % 0.5))
    source = tmp_path / "bounce.wav"
    sf.write(source, np.repeat(0.1 * chord[:, None], 2, axis=1), rate_hz, "PCM_24")
    job = job_of(model, source, "vocals", "instrumental")
    made = sounds(job, extract(job))
    assert np.square(made["vocals"]).sum() < 0.05 * np.square(made["instrumental"]).sum()
    assert threading.active_count() < 20
    assert onnxruntime.InferenceSession(model).get_inputs()[0].name == "magnitudes"
