"""The local `audio_mastering` on real files: level, peaks, frames, references, and what is told."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from bridge.engine.audio_job import Row
from bridge.engine.mastering.loudness import Grid, Measured, Meter, channel_weights
from bridge.engine.mastering.master import master
from bridge.engine.mastering.spectrum import Analyser
from bridge.errors import AudioError, Cancelled, WrongUse
from support.audio_jobs import audio_job

Sound = NDArray[np.float64]


def mix(rate_hz: int = 48_000, channels: int = 2, *, seconds: float = 4.0, seed: int = 1) -> Sound:
    """A dull noise with beats in it, some 18 dB between its peaks and its loudness."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate_hz)
    along = np.arange(frames) % (rate_hz // 2) / rate_hz
    body = rng.standard_normal((frames, channels)) * 0.03
    body[1:] += 0.6 * body[:-1]
    return np.asarray(body * (1 + 5 * np.exp(-along * 30))[:, np.newaxis])


def written(folder: Path, sound: Sound, rate_hz: int = 48_000, subtype: str = "PCM_24") -> Path:
    path = folder / "mix.wav"
    sf.write(path, sound, rate_hz, subtype)
    return path


def mastered(source: Path, **parameters: Any) -> tuple[Row, Path]:
    job = audio_job("audio_mastering", source, source.parent / "out", **parameters)
    rows = master(job)
    assert [row["role"] for row in rows] == ["master"]
    assert [one.name for one in job.folder.iterdir()] == [rows[0]["file"]]
    return rows[0], job.folder / rows[0]["file"]


def measured(path: Path) -> Measured:
    sound, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    meter = Meter(Grid.of(rate_hz), channel_weights(sound.shape[1]))
    meter.add(sound)
    return meter.finish()


@pytest.mark.parametrize("target", [(-14.0, -1.0), (-11.0, -0.3), (-23.0, -2.0)])
@pytest.mark.parametrize("tone", [True, False])
def test_the_targets_are_reached(tmp_path: Path, target: tuple[float, float], tone: bool) -> None:
    row, path = mastered(written(tmp_path, mix()), loudness=target[0], true_peak=target[1], tone=tone)
    found = measured(path)
    assert found.loudness_lufs == pytest.approx(target[0], abs=0.1)
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= target[1] + 0.02
    about = row["about"]
    assert about["loudness_lufs"] == pytest.approx(found.loudness_lufs, abs=0.006)
    assert about["true_peak_dbtp"] == pytest.approx(found.true_peak_dbtp, abs=0.006)
    assert about["note"].startswith(f"{target[0]:.1f} LUFS, {found.true_peak_dbtp:.1f} dBTP; ")
    if about["limited_db"] > 0.1:
        assert found.true_peak_dbtp == pytest.approx(target[1], abs=0.1)


@pytest.mark.parametrize(
    ("rate_hz", "channels", "subtype"),
    [
        (8_000, 1, "PCM_16"),
        (44_100, 2, "PCM_16"),
        (48_000, 6, "FLOAT"),
        (96_000, 3, "PCM_24"),
        (192_000, 1, "PCM_24"),
        (44_100, 2, "PCM_U8"),
    ],
)
def test_it_stays_what_it_was(tmp_path: Path, rate_hz: int, channels: int, subtype: str) -> None:
    sound = mix(rate_hz, channels, seconds=1.503)
    row, path = mastered(written(tmp_path, sound, rate_hz, subtype))
    info = sf.info(path)
    kept = (info.frames, info.samplerate, info.channels, info.subtype)
    assert kept == (len(sound), rate_hz, channels, subtype)
    assert measured(path).loudness_lufs == pytest.approx(-14.0, abs=0.1)
    assert ("all channels count alike" in row["about"]["note"]) == (channels == 3)


def test_it_lies_on_the_sources_frames(tmp_path: Path) -> None:
    sound = mix()
    _, path = mastered(written(tmp_path, sound))
    made, _ = sf.read(path)
    across = np.fft.irfft(np.conj(np.fft.rfft(sound[:, 0])) * np.fft.rfft(made[:, 0]))
    assert int(np.argmax(across)) == 0


def test_without_tone_a_gain_is_all(tmp_path: Path) -> None:
    sound = mix()
    row, path = mastered(written(tmp_path, sound, subtype="FLOAT"), loudness=-30.0, tone=False)
    gain = 10 ** (row["about"]["gain_db"] / 20)
    assert row["about"]["limited_db"] == 0.0
    assert np.abs(sf.read(path)[0] - sound * gain).max() < 1e-3 * np.abs(sound).max()


def test_gains_move_from_sample_to_sample(tmp_path: Path) -> None:
    """In steps of a grain the limiter would crackle: 2 dB at once where it sets in."""
    time = np.arange(96_000)[:, np.newaxis] / 48_000
    sound = 0.1 * (1 + 5 * np.exp(-30 * (time % 0.5))) * np.sin(2 * np.pi * 300 * time) * np.ones(2)
    row, path = mastered(written(tmp_path, sound, subtype="DOUBLE"), loudness=-10.0, tone=False)
    assert row["about"]["limited_db"] > 3
    ratio_db = 20 * np.log10(np.abs(sf.read(path)[0] / np.where(np.abs(sound) > 0.02, sound, np.nan)))
    assert np.nanmax(np.abs(np.diff(ratio_db, axis=0))) < 0.2


def test_16_bits_are_dithered(tmp_path: Path) -> None:
    """A tone of a third of a step is still there, as noise carries it; rounded, it would be silence."""
    time = np.arange(96_000)[:, np.newaxis] / 48_000
    sound = np.hstack([0.2 * np.sin(2 * np.pi * 1000 * time), 2.0**-15 * np.sin(2 * np.pi * 3000 * time)])
    _, path = mastered(written(tmp_path, sound, subtype="PCM_16"), loudness=-26.0, tone=False)
    made = sf.read(path)[0][:, 1]
    spectrum = np.abs(np.fft.rfft(made))
    assert int(np.argmax(spectrum)) == 6000
    assert spectrum[6000] > 10 * np.median(spectrum[6500:])


@pytest.mark.parametrize("frames", [0, 1, 480, 19_199])
def test_what_is_too_short_keeps_its_level(tmp_path: Path, frames: int) -> None:
    sound = mix(seconds=1)[:frames]
    row, path = mastered(written(tmp_path, sound))
    assert np.array_equal(sf.read(path)[0], sf.read(tmp_path / "mix.wav")[0])
    assert "shorter than 0.4 s" in row["about"]["note"]
    assert row["about"]["loudness_lufs"] is None


def test_what_is_too_short_and_too_hot_is_turned_down(tmp_path: Path) -> None:
    row, path = mastered(written(tmp_path, np.clip(mix(seconds=0.1) * 20, -0.999, 0.999)))
    assert measured(path).true_peak_dbtp == pytest.approx(-1.0, abs=0.05)
    assert row["about"]["gain_db"] < 0


def test_silence_stays_silence(tmp_path: Path) -> None:
    row, path = mastered(written(tmp_path, np.zeros((48_000, 2)), subtype="PCM_16"))
    assert not sf.read(path)[0].any()
    assert "nothing is heard" in row["about"]["note"]


def test_samples_that_are_no_numbers_and_beyond_full_scale(tmp_path: Path) -> None:
    sound = mix() * 30
    sound[1000], sound[2000] = np.nan, np.inf
    _, path = mastered(written(tmp_path, sound, subtype="FLOAT"))
    found = measured(path)
    assert found.loudness_lufs == pytest.approx(-14, abs=0.1)
    assert found.true_peak_dbtp == pytest.approx(-1.02, abs=0.03)


def test_a_mix_that_is_too_dynamic_says_so(tmp_path: Path) -> None:
    sound = mix() * 0.01
    sound[::24_000] = 0.9
    sound[100::24_000] = -0.9
    row, _ = mastered(written(tmp_path, sound), loudness=-6.0, tone=False)
    about = row["about"]
    assert "too dynamic for -6.0 LUFS" in about["note"]
    assert about["loudness_lufs"] < -7
    assert about["true_peak_dbtp"] <= -0.98


@pytest.mark.parametrize("extension", ["mp3", "flac", "ogg"])
def test_other_formats_keep_the_promise_as_decoded(tmp_path: Path, extension: str) -> None:
    row, path = mastered(written(tmp_path, mix(44_100), 44_100), output_extension=extension)
    found = measured(path)
    assert path.suffix == f".{extension}"
    assert found.loudness_lufs == pytest.approx(-14, abs=0.2)
    assert found.true_peak_dbtp is not None
    assert found.true_peak_dbtp <= -0.9
    assert row["about"]["true_peak_dbtp"] == pytest.approx(found.true_peak_dbtp, abs=0.01)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg writes it")
def test_what_cannot_be_read_again_is_measured_before_coding(tmp_path: Path) -> None:
    row, _ = mastered(written(tmp_path, mix()), output_extension="webm")
    assert "measured before coding" in row["about"]["note"]


# References


def reference(folder: Path, sound: Sound, rate_hz: int = 44_100) -> str:
    path = folder / "hit.flac"
    sf.write(path, sound, rate_hz, "PCM_24")
    return str(path)


def bands(path: Path) -> Any:
    sound, rate_hz = sf.read(path, dtype="float32", always_2d=True)
    analyser = Analyser(rate_hz, sound.shape[1])
    list(analyser.through(iter([sound])))
    return analyser.finish()


def test_the_reference_gives_loudness_tone_and_width(tmp_path: Path) -> None:
    bright = np.diff(mix(44_100, seed=2), axis=0) * 0.5
    bright = bright @ np.array([[1, 0.6], [0.6, 1]])
    model = reference(tmp_path, bright)
    source = written(tmp_path, mix())
    row, path = mastered(source, reference_audio_file=model)
    assert row["about"]["loudness_lufs"] == pytest.approx(measured(Path(model)).loudness_lufs, abs=0.1)
    there, before, after = bands(Path(model)), bands(source), bands(path)
    middle = slice(9, 25)  # 160 Hz to 5 kHz

    def apart(one: Any, name: str) -> float:
        away = getattr(there, name)[middle] - getattr(one, name)[middle]
        return float(np.abs(away - np.median(there.mid[middle] - one.mid[middle])).mean())

    assert apart(after, "mid") < 0.5 * apart(before, "mid")
    assert apart(after, "side") < 0.5 * apart(before, "side")


@pytest.mark.parametrize(("channels", "others"), [(1, 2), (2, 1), (3, 2)])
def test_a_reference_may_have_other_channels_and_another_rate(
    tmp_path: Path, channels: int, others: int
) -> None:
    model = reference(tmp_path, mix(22_050, others, seed=2), 22_050)
    row, path = mastered(
        written(tmp_path, mix(channels=channels)), reference_audio_file=model, loudness=-16.0
    )
    assert sf.info(path).channels == channels
    assert row["about"]["loudness_lufs"] == pytest.approx(-16, abs=0.1)


def test_a_reference_that_is_missing_broken_or_silent_is_named(tmp_path: Path) -> None:
    source = written(tmp_path, mix(seconds=1))
    with pytest.raises(WrongUse, match=r"gone\.wav.*[Gg]ive the whole path"):
        mastered(source, reference_audio_file=str(tmp_path / "gone.wav"))
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF not really" * 9)
    with pytest.raises(AudioError, match=r"broken\.wav"):
        mastered(source, reference_audio_file=str(broken))
    silent = reference(tmp_path, np.zeros((44_100, 2)))
    with pytest.raises(AudioError, match=r"hit\.flac.*silent"):
        mastered(source, reference_audio_file=silent)


def test_a_format_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="output_extension"):
        mastered(written(tmp_path, mix(seconds=1)), output_extension="wma")


def test_progress_rises_and_a_stop_leaves_nothing_behind(tmp_path: Path) -> None:
    told: list[float] = []
    source, folder = written(tmp_path, mix()), tmp_path / "out"
    master(audio_job("audio_mastering", source, folder, progress=lambda share, _: told.append(share)))
    assert told == sorted(told)
    assert told[-1] == 1.0
    (folder / "master.wav").unlink()

    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked > 12:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        master(audio_job("audio_mastering", source, folder, check=check))
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is another meter")
def test_ffmpeg_agrees(tmp_path: Path) -> None:
    _, path = mastered(written(tmp_path, mix(44_100), 44_100), loudness=-12.0)
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.rpartition("Summary:")[
        2
    ]
    loudness = float(said.partition("I:")[2].split()[0])
    peak = float(said.partition("Peak:")[2].split()[0])
    assert loudness == pytest.approx(-12, abs=0.15)
    assert peak == pytest.approx(-1, abs=0.15)
