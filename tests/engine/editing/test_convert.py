"""`file_convert` on this machine: every format, its rate and depth, the exact length, and what is kept."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from bridge.conversions.catalogue import conversion
from bridge.engine.editing import convert as editing
from bridge.engine.editing.writing import TARGETS
from bridge.errors import AudioError, Cancelled, WrongUse
from bridge.media.audio_files import probe
from bridge.media.wav_chunks import read_chunks
from support.audio_jobs import audio_job
from support.returned_sets import BOUNCE_HZ, HAS_LAME, Sound, bounce, lag, parts, with_bext

NEEDS_FFMPEG = pytest.mark.skipif(not HAS_LAME, reason="ffmpeg is not on this machine")
STEMS = parts(2.0)
MIX: Sound = np.asarray(sum(STEMS.values()))
FORMATS = ["wav", "flac", "mp3", "ogg"]
BY_FFMPEG = [pytest.param("aac", marks=NEEDS_FFMPEG), pytest.param("webm", marks=NEEDS_FFMPEG)]


def converted(source: Path, folder: Path, **parameters: Any) -> tuple[Path, dict[str, Any]]:
    rows = editing.file_convert(audio_job("file_convert", source, folder, **parameters))
    assert [row["role"] for row in rows] == ["converted"]
    assert [one.name for one in folder.iterdir()] == [rows[0]["file"]]
    return folder / rows[0]["file"], rows[0]


def test_every_format_of_the_table_can_be_written() -> None:
    table = next(row for row in conversion("file_convert").parameters if row.name == "target_format")
    assert set(table.choices) == set(TARGETS)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("rate_hz", [None, 44_100, 16_000])
def test_length_place_and_rate(tmp_path: Path, name: str, rate_hz: int | None) -> None:
    path, row = converted(bounce(tmp_path, STEMS), tmp_path / "out", target_format=name, target_sr=rate_hz)
    found = sf.info(path)
    wanted_hz = rate_hz or BOUNCE_HZ
    assert (found.samplerate, found.channels) == (wanted_hz, 2)
    assert found.frames == round(len(MIX) * wanted_hz / BOUNCE_HZ)
    assert path.name == f"converted.{name}"
    assert row["media_type"] in {"audio/wav", "audio/flac", "audio/mpeg", "audio/ogg"}
    if rate_hz is None:
        assert lag(sf.read(path, always_2d=True)[0], MIX) == 0


@pytest.mark.parametrize("name", BY_FFMPEG)
def test_what_ffmpeg_writes(tmp_path: Path, name: str) -> None:
    path, row = converted(bounce(tmp_path, STEMS), tmp_path / "out", target_format=name, target_sr=48_000)
    assert row["media_type"] == f"audio/{name}"
    assert row["about"] == {}
    if name == "aac":
        info = probe(path)
        assert (info.rate_hz, info.channels) == (BOUNCE_HZ, 2)
        assert 0 <= info.frames - len(MIX) < 4096  # frames of 1024, and the coder's delay
    else:
        assert path.read_bytes()[:4] == bytes.fromhex("1a45dfa3")


def test_without_ffmpeg_it_is_named_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("ffmpeg") is None
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(AudioError, match=r"writing aac needs ffmpeg.*Install ffmpeg"):
        converted(bounce(tmp_path, STEMS), folder, target_format="aac", target_sr=None)
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("name", "bits", "source_depth", "made"),
    [
        ("wav", None, "PCM_24", "PCM_24"),
        ("wav", 16, "PCM_24", "PCM_16"),
        ("wav", 24, "PCM_16", "PCM_24"),
        ("wav", 32, "PCM_24", "PCM_32"),
        ("wav", 32, "FLOAT", "FLOAT"),
        ("wav", None, "FLOAT", "FLOAT"),
        ("flac", None, "PCM_16", "PCM_16"),
        ("flac", None, "PCM_U8", "PCM_S8"),
        ("flac", None, "FLOAT", "PCM_24"),
        ("flac", 16, "PCM_24", "PCM_16"),
        ("flac", 32, "PCM_24", "PCM_24"),
    ],
)
def test_depths(tmp_path: Path, name: str, bits: int | None, source_depth: str, made: str) -> None:
    source = tmp_path / "bounce.wav"
    sf.write(source, MIX, BOUNCE_HZ, subtype=source_depth)
    path, row = converted(source, tmp_path / "out", target_format=name, target_sr=None, target_bit_depth=bits)
    found = sf.info(path)
    assert (found.format, found.subtype) == (name.upper(), made)
    assert ("24 bits" in row["about"].get("note", "")) is (bits == 32 and name == "flac")
    finest = {"PCM_S8": 2**-7, "PCM_16": 2**-15}.get(made, 2**-23)
    np.testing.assert_allclose(sf.read(path)[0], sf.read(source)[0], atol=2 * finest)


def test_a_coarser_depth_is_dithered(tmp_path: Path) -> None:
    quiet = np.full((BOUNCE_HZ, 1), 0.3 * 2**-15)
    source = bounce(tmp_path, {"quiet": quiet})
    path, _ = converted(source, tmp_path / "out", target_format="wav", target_sr=None, target_bit_depth=16)
    sound = sf.read(path)[0] * 2**15
    assert set(np.unique(sound)) <= {-1, 0, 1, 2}
    assert abs(sound.mean() - 0.3) < 0.02


def loudest_overtone_db(sound: Sound, bin_of_tone: int) -> float:
    """Against the tone itself; of the second to the ninth."""
    level = np.abs(np.fft.rfft(sound))
    return float(
        20 * np.log10(level[2 * bin_of_tone : 10 * bin_of_tone : bin_of_tone].max() / level[bin_of_tone])
    )


@pytest.mark.parametrize("name", ["wav", "flac"])
def test_dither_takes_the_distortion_of_a_quiet_tone(tmp_path: Path, name: str) -> None:
    frames, cycles = 5 * BOUNCE_HZ, 1009
    tone = 10 ** (-90 / 20) * np.sin(2 * np.pi * cycles * np.arange(frames) / frames)
    source = bounce(tmp_path, {"tone": tone[:, np.newaxis]})
    path, _ = converted(
        source, tmp_path / "out", target_format=name, target_sr=BOUNCE_HZ, target_bit_depth=16
    )
    assert loudest_overtone_db(np.rint(tone * 2**15), cycles) > -30
    assert loudest_overtone_db(sf.read(path)[0], cycles) < -45


def test_samples_that_were_resampled_are_dithered_too(tmp_path: Path) -> None:
    source = tmp_path / "take.wav"
    sf.write(source, np.full(BOUNCE_HZ, 5 * 2.0**-15), BOUNCE_HZ, subtype="PCM_16")
    path, _ = converted(source, tmp_path / "out", target_format="wav", target_sr=44_100)
    assert set(np.unique(sf.read(path)[0][9000:-9000] * 2**15)) == {4, 5, 6}


@pytest.mark.parametrize("name", ["mp3", "ogg", *BY_FFMPEG])
def test_a_depth_that_a_format_does_not_have_is_told(tmp_path: Path, name: str) -> None:
    _, row = converted(
        bounce(tmp_path, STEMS), tmp_path / "out", target_format=name, target_sr=48_000, target_bit_depth=24
    )
    assert row["about"]["note"] == f"{name} has no depth: the 24 bits say nothing"


def test_32_bits_keep_every_bit(tmp_path: Path) -> None:
    source = tmp_path / "take.wav"
    sf.write(source, MIX, BOUNCE_HZ, subtype="PCM_32")
    path, _ = converted(source, tmp_path / "out", target_format="wav", target_sr=None)
    np.testing.assert_array_equal(sf.read(path)[0], sf.read(source)[0])


def test_a_named_depth_is_kept_where_the_sound_is_too_loud(tmp_path: Path) -> None:
    source = tmp_path / "loud.wav"
    loud = MIX.copy()
    loud[1000] = 1.5
    sf.write(source, loud, BOUNCE_HZ, subtype="FLOAT")
    path, row = converted(source, tmp_path / "out", target_format="wav", target_sr=None, target_bit_depth=16)
    assert sf.info(path).subtype == "PCM_16"
    assert sf.read(path)[0][1000].min() > 0.9999
    assert row["about"]["note"].startswith("2 samples beyond full scale were clipped")


def test_chunks_of_a_wav_stay_and_move_with_the_rate(tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    with_bext(source, time_reference=480_000)
    for rate_hz, reference in ((48_000, 480_000), (44_100, 441_000)):
        path, row = converted(
            source, tmp_path / str(rate_hz), target_format="wav", target_sr=rate_hz, target_bit_depth=16
        )
        bext = read_chunks(path).bext
        assert bext is not None
        assert bext.time_reference == reference
        assert row["about"] == {}
    _, row = converted(source, tmp_path / "flac", target_format="flac", target_sr=None)
    assert row["about"]["note"] == "markers and other chunks of the WAV are not kept in the FLAC"


@pytest.mark.parametrize("name", ["mp3", "ogg", "wav"])
def test_titles_stay(tmp_path: Path, name: str) -> None:
    source = tmp_path / "take.flac"
    with sf.SoundFile(source, "w", BOUNCE_HZ, 2, "PCM_24", format="FLAC") as file:
        file.title, file.artist = "Grün", "We"
        file.write(MIX)
    path, _ = converted(source, tmp_path / "out", target_format=name, target_sr=None)
    with sf.SoundFile(path) as file:
        assert (file.title, file.artist) == ("Grün", "We")


def test_a_rate_that_a_format_does_not_have(tmp_path: Path) -> None:
    path, row = converted(bounce(tmp_path, STEMS), tmp_path / "a", target_format="mp3", target_sr=96_000)
    assert sf.info(path).samplerate == 48_000
    assert row["about"]["note"] == "48 kHz, as mp3 has no 96 kHz"


def test_more_channels_than_a_format_has(tmp_path: Path) -> None:
    wide = bounce(tmp_path, {"wide": np.zeros((4800, 6))})
    with pytest.raises(AudioError, match="2 channels at most, and this has 6") as caught:
        converted(wide, tmp_path / "out", target_format="mp3", target_sr=None)
    assert caught.value.remedy


def test_a_format_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(WrongUse, match="target_format must be one of wav, flac"):
        converted(bounce(tmp_path, STEMS), tmp_path / "out", target_format="midi")


@pytest.mark.parametrize("name", [*FORMATS, *BY_FFMPEG])
def test_cancelling_leaves_nothing(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise Cancelled("cancelled.")

    source = bounce(tmp_path, STEMS)
    with pytest.raises(Cancelled):
        editing.file_convert(audio_job("file_convert", source, folder, check=check, target_format=name))
    assert not list(folder.iterdir())


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    source = bounce(tmp_path, STEMS)
    for name in FORMATS[:3]:
        first, second = (
            converted(source, tmp_path / f"{name}{n}", target_format=name, target_bit_depth=16)[
                0
            ].read_bytes()
            for n in (1, 2)
        )
        assert first == second, name
