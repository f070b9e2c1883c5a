"""A rehearsal's results: real audio of the right length, stems that are their source again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from bridge import answerers
from bridge.conversions.catalogue import CATALOGUE
from bridge.engine.rehearsal import MAKERS, Job, rehearse
from bridge.engine.rehearsal_audio import WRITTEN, length_of
from bridge.errors import AudioError


def go_on() -> None:
    pass


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two seconds of stereo noise and tones at 48 kHz and 24 bits, with silence at both ends."""
    noise = np.random.default_rng(7)
    time_s = np.arange(96_000) / 48_000
    tones = 0.2 * np.sin(2 * np.pi * 110 * time_s) + 0.1 * np.sin(2 * np.pi * 2500 * time_s)
    sound = np.stack([tones, 0.5 * tones], axis=1) + 0.02 * noise.standard_normal((96_000, 2))
    sound[:4800] = sound[-4800:] = 0
    path = tmp_path / "bounce.wav"
    soundfile.write(path, sound, 48_000, subtype="PCM_24")
    return path


def made(name: str, source: Path | None, folder: Path, **parameters: Any) -> dict[str, dict[str, Any]]:
    return {row["role"]: row for row in rehearse(Job(name, parameters, source, folder, go_on))}


def sound_of(path: Path) -> Any:
    return soundfile.read(path, always_2d=True)[0]


def test_everything_in_the_table_has_its_maker() -> None:
    assert set(CATALOGUE) == set(MAKERS) | answerers.REALLY_DONE
    assert frozenset(WRITTEN) == answerers.WRITABLE


@pytest.mark.parametrize(
    "stems", [["vocals"], ["vocals", "drums"], ["vocals", "drums", "bass", "guitar", "piano"]]
)
def test_stems_are_mp3s_that_sum_up_to_their_source(source: Path, tmp_path: Path, stems: list[str]) -> None:
    rows = made("Extraction", source, tmp_path, stems=stems)
    assert set(rows) == set(stems)
    together = sum(sound_of(tmp_path / row["file"]) for row in rows.values())
    assert {soundfile.info(tmp_path / row["file"]).samplerate for row in rows.values()} == {44_100}
    made("file_convert", source, tmp_path, target_format="wav", target_sr=44_100)
    expected = sound_of(tmp_path / "converted.wav")
    spectrum = np.fft.rfft(together[:, 0], 1 << 18) * np.conj(np.fft.rfft(expected[:, 0], 1 << 18))
    delay = int(np.argmax(np.fft.irfft(spectrum)))
    aligned = together[delay : delay + len(expected)]
    off = aligned - expected[: len(aligned)]
    assert np.sqrt(np.mean(off**2)) < 0.2 * np.sqrt(np.mean(expected**2))


def test_a_long_source_is_split_in_blocks_without_a_seam(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    sound = np.random.default_rng(1).uniform(-0.3, 0.3, 700_000).astype(np.float32)
    soundfile.write(path, sound, 44_100, subtype="FLOAT")
    from bridge.engine.rehearsal_audio import _split, _with_margins, read

    halves = (60, 5)
    job = Job("Extraction", {}, path, tmp_path, go_on)
    parts = [list(_split(block, margin, halves)) for block, margin in _with_margins(read(job), 60)]
    assert len(parts) > 1
    low, middle, high = (np.concatenate(band)[:, 0] for band in zip(*parts, strict=True))
    assert len(low) == len(sound)
    assert np.abs(low + middle + high - sound).max() < 1e-6
    kernel = np.ones(121) / 121
    assert np.abs(low - np.convolve(sound, kernel, mode="same")).max() < 1e-5


def test_clean_and_removed_are_the_source(source: Path, tmp_path: Path) -> None:
    for name in ("denoise", "deecho", "dereverb"):
        assert set(made(name, source, tmp_path)) == {"clean", "removed"}


def test_cut_speed_and_format_are_those_that_were_asked_for(source: Path, tmp_path: Path) -> None:
    cut = made("audio_cutter", source, tmp_path, start_time=250, end_time=1250, output_extension="wav")
    assert cut["cut"]["seconds"] == pytest.approx(1.0, abs=1e-4)
    slow = made("audio_speed_changer", source, tmp_path, speed_change_factor=0.5, output_extension="flac")
    assert slow["speed"]["seconds"] == pytest.approx(4.0, abs=1e-3)
    made("file_convert", source, tmp_path, target_format="flac", target_sr=96_000, target_bit_depth=24)
    info = soundfile.info(tmp_path / "converted.flac")
    assert (info.samplerate, info.subtype, info.frames) == (96_000, "PCM_24", 192_000)


def test_a_range_beyond_the_end_leaves_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="nothing is left"):
        made("audio_cutter", source, tmp_path, start_time=5000, end_time=6000)


@pytest.mark.slow
def test_takes_keep_what_they_are_told_to_keep(source: Path, tmp_path: Path) -> None:
    one = made("extend", source, tmp_path, extend_after=1.0, num_outputs=1)
    assert set(one) == {"take_1", "lyrics_1", "lyrics_times_1"}
    assert one["take_1"]["seconds"] == pytest.approx(9.0, abs=0.01)
    two = made("inpaint", source, tmp_path, replace_start_at=0.5, replace_end_at=1.0)
    assert two["take_2"]["seconds"] == pytest.approx(2.0, abs=0.01)
    expected = made("file_convert", source, tmp_path, target_format="wav")
    kept, whole = (
        sound_of(tmp_path / two["take_1"]["wav"]),
        sound_of(tmp_path / expected["converted"]["file"]),
    )
    assert np.array_equal(kept[:20_000], whole[:20_000])
    assert not np.array_equal(kept[22_050:44_100], whole[22_050:44_100])


def test_words_come_in_the_form_that_was_asked_for(source: Path, tmp_path: Path) -> None:
    forms = (("srt", "1\n00:00:00,000 --> 00:00:02,000\n"), ("vtt", "WEBVTT\n"), ("plain_text", "these"))
    for form, begins in forms:
        rows = made("audio_transcribe", source, tmp_path, transcription_format=form, word_timestamps=True)
        assert rows["transcript"]["text"].startswith(begins)
        assert rows["words"]["data"][-1]["end"] == 2000


def test_a_picture_is_one(tmp_path: Path) -> None:
    rows = made("image_generator", None, tmp_path, width=32, height=16)
    data = (tmp_path / rows["image"]["file"]).read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data[16:24] == (32).to_bytes(4, "big") + (16).to_bytes(4, "big")


def test_what_is_no_audio_is_told(tmp_path: Path) -> None:
    path = tmp_path / "noise.wav"
    path.write_bytes(b"nothing" * 100)
    with pytest.raises(AudioError):
        length_of(path)
    with pytest.raises(AudioError):
        made("denoise", path, tmp_path)
    with pytest.raises(AudioError, match="no audio came"):
        made("denoise", None, tmp_path)


def test_results_are_plain_data(source: Path, tmp_path: Path) -> None:
    rows = rehearse(Job("extract_key_bpm", {}, source, tmp_path, go_on))
    assert json.loads(json.dumps(rows)) == rows
