"""`audio_speed_changer` on this machine: length, pitch, place and sharpness of attacks, chunks, bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from bridge.engine.editing.attacks import Attacks, find_attacks
from bridge.engine.editing.speed import change_speed
from bridge.engine.editing.stretch import sections, stretched
from bridge.errors import Cancelled
from bridge.media.wav_chunks import read_chunks
from support.audio_jobs import audio_job
from support.wav_files import acid, bext, cue, saved, smpl, wav

Sound = npt.NDArray[np.float32]
RATE_HZ = 48_000
FACTORS = [0.5, 0.8, 1.25, 2.0]


def sines(seconds: float = 2.0, rate_hz: int = RATE_HZ) -> Sound:
    time_s = np.arange(round(seconds * rate_hz)) / rate_hz
    left = 0.3 * np.sin(2 * np.pi * 440 * time_s)
    right = 0.3 * np.sin(2 * np.pi * 440 * time_s + 1.0)
    return np.stack([left, right], axis=1).astype(np.float32)


HITS = (9_600, 24_000, 43_200, 60_011)


def hits(seconds: float = 1.6) -> Sound:
    """Bursts of noise over a quiet tone."""
    rng = np.random.default_rng(5)
    sound = 0.01 * np.sin(2 * np.pi * 220 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    for at in HITS:
        sound[at : at + 9600] += 0.4 * rng.standard_normal(9600) * np.exp(-np.arange(9600) / 1200)
    return sound.astype(np.float32)[:, None]


def changed(source: Path, folder: Path, factor: float, **parameters: Any) -> tuple[Path, dict[str, Any]]:
    [row] = change_speed(
        audio_job("audio_speed_changer", source, folder, speed_change_factor=factor, **parameters)
    )
    assert row["role"] == "speed"
    return folder / row["file"], row


def stretch(sound: Sound, factor: float, *, block: int = 5000, rate_hz: int = RATE_HZ) -> Sound:
    blocks = [sound[at : at + block] for at in range(0, len(sound), block)]
    attacks = find_attacks(iter(blocks), rate_hz, lambda: None)
    made = stretched(
        iter(blocks), attacks, factor, rate_hz=rate_hz, channels=sound.shape[1], check=lambda: None
    )
    return np.concatenate([sound[:0], *made])


def pitch_hz(sound: npt.NDArray[np.floating], rate_hz: int = RATE_HZ) -> float:
    """Of the strongest tone in the middle, by a parabola through the peak's logarithms."""
    middle = sound[len(sound) // 4 : 3 * len(sound) // 4]
    level = np.log(np.abs(np.fft.rfft(middle * np.hanning(len(middle)))) + 1e-12)
    top = int(level.argmax())
    low, here, high = level[top - 1 : top + 2]
    return float((top + (low - high) / (2 * (low - 2 * here + high))) * rate_hz / len(middle))


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("keep_pitch", [True, False])
def test_length_and_pitch(tmp_path: Path, factor: float, keep_pitch: bool) -> None:
    source = tmp_path / "tone.wav"
    sf.write(source, sines()[:95_999], RATE_HZ, subtype="PCM_24")
    path, row = changed(source, tmp_path / "out", factor, keep_pitch=keep_pitch)
    sound, rate_hz = sf.read(path)
    assert (len(sound), rate_hz, sf.info(path).subtype) == (round(95_999 / factor), RATE_HZ, "PCM_24")
    wanted = 440 if keep_pitch else 440 * factor
    assert abs(1200 * np.log2(pitch_hz(sound[:, 0]) / wanted)) < 1
    assert row["about"] == {}
    level = np.sqrt(np.mean(sound[4800:-4800] ** 2))
    assert abs(20 * np.log10(level / (0.3 / np.sqrt(2)))) < 0.3


def test_what_is_between_the_channels_stays() -> None:
    sound = stretch(sines(), 0.7)[9600:-9600]
    left, right = (np.fft.rfft(sound[:48_000, side] * np.hanning(48_000))[440] for side in (0, 1))
    assert abs(np.angle(right / left) - 1.0) < 0.01


@pytest.mark.parametrize("factor", FACTORS)
def test_attacks_stay_sharp_and_come_in_time(factor: float) -> None:
    sound = hits()
    made = stretch(sound, factor)[:, 0]
    for at in HITS:
        there = round(at / factor)
        # The attack is the source's to the sample, at most a frame or two from its place.
        around = [made[there + off : there + off + 480] for off in range(-2, 3)]
        assert min(float(np.abs(one - sound[at : at + 480, 0]).max()) for one in around) < 0.02
        before = made[there - 2400 : there - 48]
        assert np.abs(before).max() < 0.12 * np.abs(sound[at : at + 480]).max()


def test_attacks_are_found_where_they_are() -> None:
    found = find_attacks(iter([hits()]), RATE_HZ, lambda: None)
    assert found.frames == len(hits())
    assert len(found.at) == len(HITS)
    assert max(abs(a - b) for a, b in zip(found.at, HITS, strict=True)) < 100


def test_a_steady_sound_has_no_attack() -> None:
    noise = np.random.default_rng(2).standard_normal((96_000, 1)).astype(np.float32)
    assert find_attacks(iter([0.1 * noise]), RATE_HZ, lambda: None).at == ()
    assert find_attacks(iter([np.zeros((96_000, 2), np.float32)]), RATE_HZ, lambda: None).at == ()


def test_the_size_of_the_blocks_makes_no_difference() -> None:
    np.testing.assert_array_equal(stretch(hits(), 0.8), stretch(hits(), 0.8, block=777))


def test_sections_lie_end_to_end() -> None:
    found = sections(Attacks(10_000, (10, 3000, 3100, 9_990)), 2.0, least=100)
    assert [(one.start, one.made_start) for one in found] == [(0, 0), (3000, 1500)]
    assert [(one.end, one.made_end) for one in found] == [(3000, 1500), (10_000, 5000)]


@pytest.mark.parametrize("rate_hz", [8_000, 192_000])
@pytest.mark.parametrize("frames", [0, 1, 80, 5000])
def test_short_sounds_and_other_rates(rate_hz: int, frames: int) -> None:
    for factor in (0.25, 4.0):
        made = stretch(np.full((frames, 3), 0.5, np.float32), factor, rate_hz=rate_hz)
        assert made.shape == (round(frames / factor), 3)
        assert np.isfinite(made).all()
        assert np.abs(made).max(initial=0) < 1


def test_what_is_no_number_does_not_spread() -> None:
    sound = hits()
    sound[1000] = np.nan
    assert np.isfinite(stretch(sound, 0.8)).all()


def test_silence_stays_silent() -> None:
    assert not stretch(np.zeros((48_000, 2), np.float32), 1.3).any()


def test_the_speed_as_it_is_changes_nothing(tmp_path: Path) -> None:
    source = saved(tmp_path, wav([(b"cue ", cue((1, 100)))]))
    path, _ = changed(source, tmp_path / "out", 1.0)
    assert path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("keep_pitch", [True, False])
def test_markers_and_tempo_move_with_the_sound(tmp_path: Path, keep_pitch: bool) -> None:
    before = [
        (b"bext", bext(time_reference=1_000_000)),
        (b"cue ", cue((1, 100), (2, 1000))),
        (b"smpl", smpl((500, 1499))),
        (b"acid", acid(beats=8, tempo_bpm=120)),
    ]
    path, _ = changed(saved(tmp_path, wav(before)), tmp_path / "out", 1.25, keep_pitch=keep_pitch)
    chunks = read_chunks(path)
    assert (chunks.frames, chunks.rate_hz) == (1600, RATE_HZ)
    assert chunks.bext is not None
    assert chunks.bext.time_reference == 1_000_000
    assert chunks.cues is not None
    assert [one.frame for one in chunks.cues.points] == [80, 800]
    assert chunks.sampler is not None
    assert [(one.start, one.end) for one in chunks.sampler.loops] == [(400, 1199)]
    assert chunks.sampler.sample_period_ns == 20_833
    assert chunks.acid is not None
    assert (chunks.acid.beats, chunks.acid.tempo_bpm) == (8, 150.0)


@pytest.mark.parametrize("extension", ["mp3", "flac"])
def test_other_formats(tmp_path: Path, extension: str) -> None:
    source = tmp_path / "tone.wav"
    sf.write(source, sines(0.5), RATE_HZ)
    path, _ = changed(source, tmp_path / "out", 2.0, output_extension=extension)
    assert path.name == f"speed.{extension}"
    assert sf.info(path).frames == 12_000


@pytest.mark.parametrize("keep_pitch", [True, False])
def test_progress_and_cancelling(tmp_path: Path, keep_pitch: bool) -> None:
    source = tmp_path / "tone.wav"
    sf.write(source, sines(4.0), RATE_HZ)
    told: list[float] = []

    def tell(fraction: float, _: str) -> None:
        told.append(fraction)
        if fraction > 0.3:
            raise Cancelled("cancelled.")

    folder = tmp_path / "out"
    job = audio_job(
        "audio_speed_changer",
        source,
        folder,
        progress=tell,
        speed_change_factor=0.5,
        keep_pitch=keep_pitch,
    )
    with pytest.raises(Cancelled):
        change_speed(job)
    assert told == sorted(told)
    assert not list(folder.iterdir())
