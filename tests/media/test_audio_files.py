from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from bridge.errors import AudioError, Cancelled
from bridge.media import audio_sources
from bridge.media.audio_files import AudioInfo, probe, read_mono
from support.audio_samples import RATE_HZ, phrase, plain_wav, write

NEEDS_FFMPEG = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not on this machine")
EXACT = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "PCM_32"),
    ("WAV", "FLOAT"),
    ("WAV", "DOUBLE"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("RF64", "FLOAT"),
    ("W64", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AIFF", "PCM_24"),
    ("AIFF", "FLOAT"),
    ("AIFF", "DOUBLE"),
    ("CAF", "PCM_24"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
]
COARSE = [
    ("WAV", "PCM_U8", 0.01),
    ("AIFF", "PCM_S8", 0.01),
    ("WAV", "ULAW", 0.05),
    ("WAV", "IMA_ADPCM", 0.3),
    ("OGG", "VORBIS", 0.4),
    ("OGG", "OPUS", 0.4),
    ("MP3", "MPEG_LAYER_III", 0.4),
]


def mono(path: Path, rate_hz: int = RATE_HZ) -> npt.NDArray[np.float32]:
    return np.concatenate(list(read_mono(path, rate_hz=rate_hz)))


def saved(folder: Path, content: bytes, name: str = "take.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def int16(sound: npt.NDArray[np.float64]) -> bytes:
    return (sound * 2**15).astype("<i2").tobytes()


# ---- every format, width, rate and channel count


@pytest.mark.parametrize(("kind", "subtype"), EXACT)
def test_lossless_containers_have_one_hash_and_the_same_samples(
    tmp_path: Path, kind: str, subtype: str
) -> None:
    sound = phrase()
    plain = probe(write(tmp_path / "plain.wav", sound))
    path = write(tmp_path / "other", sound, kind=kind, subtype=subtype)
    info = probe(path)
    assert info.samples_sha256 == plain.samples_sha256
    assert (info.frames, info.channels, info.rate_hz) == (4800, 2, RATE_HZ)
    assert (info.format, info.subtype, info.warnings) == (kind, subtype, ())
    assert info.duration_s == pytest.approx(0.1)
    np.testing.assert_allclose(mono(path), sound.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize(("kind", "subtype", "tolerance"), COARSE)
def test_coarse_and_lossy_formats_are_near(tmp_path: Path, kind: str, subtype: str, tolerance: float) -> None:
    sound = phrase(frames=48_000, channels=1)
    path = write(tmp_path / "take", sound, kind=kind, subtype=subtype)
    info = probe(path)
    assert info.warnings == ()
    assert -100 < info.frames - 48_000 < 1200  # codecs fill up their last block
    heard = mono(path)[:48_000]
    assert np.sqrt(np.mean((heard - sound[: len(heard), 0]) ** 2)) < tolerance


@pytest.mark.parametrize("rate_hz", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
@pytest.mark.parametrize("target_hz", [16_000, 22_050, 48_000])
def test_rates(tmp_path: Path, rate_hz: int, target_hz: int) -> None:
    frames = rate_hz // 2 + 37
    time = np.arange(frames) / rate_hz
    tone = 0.5 * np.sin(2 * np.pi * 1000 * time)[:, np.newaxis]
    path = write(tmp_path / "tone.wav", tone, subtype="FLOAT", rate_hz=rate_hz)
    heard = mono(path, target_hz)
    assert abs(len(heard) - round(frames * target_hz / rate_hz)) <= 1
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(heard)) / target_hz)
    middle = slice(500, -500)
    np.testing.assert_allclose(heard[middle], expected[middle], atol=2e-3)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8, 16, 32])
def test_channels(tmp_path: Path, channels: int) -> None:
    sound = phrase(frames=70_000, channels=channels)
    path = write(tmp_path / "many.wav", sound)
    assert probe(path).channels == channels
    np.testing.assert_allclose(mono(path), sound.mean(axis=1), atol=1e-6)


@pytest.mark.parametrize("frames", [1, 2, 65_535, 65_536, 65_537, 131_073])
def test_lengths_around_the_block_size(tmp_path: Path, frames: int) -> None:
    path = write(tmp_path / "take.wav", phrase(frames=frames, channels=1))
    assert probe(path).frames == frames
    assert len(mono(path)) == frames
    assert abs(len(mono_or_nothing(path, 22_050)) - round(frames * 22_050 / RATE_HZ)) <= 1


def mono_or_nothing(path: Path, rate_hz: int) -> npt.NDArray[np.float32]:
    return np.concatenate([np.empty(0, np.float32), *read_mono(path, rate_hz=rate_hz)])


# ---- the hash


def test_the_hash_knows_rate_channels_and_samples(tmp_path: Path) -> None:
    sound = phrase(channels=1)
    louder = sound.copy()
    louder[77] += 2.0**-15
    hashes = {
        probe(write(tmp_path / "a.wav", sound)).samples_sha256,
        probe(write(tmp_path / "b.wav", sound, rate_hz=44_100)).samples_sha256,
        probe(write(tmp_path / "c.wav", np.repeat(sound[::2], 2, axis=1))).samples_sha256,
        probe(write(tmp_path / "d.wav", louder)).samples_sha256,
        probe(write(tmp_path / "e.wav", sound[:-1])).samples_sha256,
    }
    assert len(hashes) == 5


def test_minus_zero_is_zero(tmp_path: Path) -> None:
    a = probe(write(tmp_path / "a.wav", np.zeros((100, 1)), subtype="FLOAT"))
    b = probe(write(tmp_path / "b.wav", np.full((100, 1), -0.0), subtype="FLOAT"))
    assert a.samples_sha256 == b.samples_sha256


def test_json_round_trip(tmp_path: Path) -> None:
    info = probe(write(tmp_path / "a.wav", phrase()))
    assert AudioInfo.from_json(info.to_json()) == info


# ---- samples that are no numbers


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_nan_and_infinity_are_silence_and_told(tmp_path: Path, subtype: str) -> None:
    sound = phrase(frames=2000)
    broken = sound.copy()
    broken[100:700, 0], broken[900, 1], broken[901, 1] = np.nan, np.inf, -np.inf
    silent = np.where(np.isfinite(broken), broken, 0)
    path = write(tmp_path / "nan.wav", broken, subtype=subtype)
    info = probe(path)
    assert info.warnings == ("602 samples were not numbers; taken as silence",)
    assert info.samples_sha256 == probe(write(tmp_path / "silent.wav", silent)).samples_sha256
    np.testing.assert_allclose(mono(path), silent.mean(axis=1), atol=1e-6)
    assert np.isfinite(mono(path, 22_050)).all()


def test_huge_numbers_are_kept_and_make_no_infinity(tmp_path: Path) -> None:
    path = write(tmp_path / "huge.wav", np.full((5000, 2), 3e38), subtype="FLOAT")
    assert probe(path).warnings == ()
    assert np.isfinite(mono(path)).all()
    assert np.isfinite(mono(path, 22_050)).all()


def test_doubles_beyond_float_are_silence(tmp_path: Path) -> None:
    body = np.array([0.5, 1e300, -1e300, 0.25], "<f8").tobytes()
    path = saved(tmp_path, plain_wav(body, bits=64, tag=3, data_size=0))
    assert "2 samples were not numbers; taken as silence" in probe(path).warnings
    np.testing.assert_array_equal(mono(path), np.array([0.5, 0, 0, 0.25], np.float32))


# ---- headers that lie


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (0, 0),
        (36, 0),
        (36 + 96_000, 0),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (0xFFFFFFFF, 0),
        (0, 96_000),
        (36 + 960, 960),
        (36 + 0x7FFF0000, 0x7FFF0000),
        (3_456_000_036, 3_456_000_000),
    ],
    ids=["zero", "empty", "data-0", "ffff", "ffff-0", "riff-0", "outgrown", "2-gb", "ten-hours"],
)
@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_a_wrong_header_is_read_as_far_as_there_are_samples(
    tmp_path: Path, riff_size: int, data_size: int, bits: int
) -> None:
    sound = phrase(frames=12_000, channels=1)
    subtype = {8: "PCM_U8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}[bits]
    right = write(tmp_path / "right.wav", sound, subtype=subtype)
    body = right.read_bytes()[44:]
    if data_size == 96_000:
        data_size = len(body)
    path = saved(tmp_path, plain_wav(body, riff_size=riff_size, data_size=data_size, bits=bits))
    info, whole = probe(path), probe(right)
    assert (info.frames, info.samples_sha256) == (whole.frames, whole.samples_sha256)
    assert len(info.warnings) == 1
    assert "0:00.2 of sound" in info.warnings[0]
    np.testing.assert_array_equal(mono(path), mono(right))


@pytest.mark.parametrize(("kind", "subtype"), [row for row in EXACT if row[0] not in ("FLAC", "CAF")])
def test_a_truncated_file_gives_what_is_there(tmp_path: Path, kind: str, subtype: str) -> None:
    sound = phrase(frames=20_000)
    whole = write(tmp_path / "whole", sound, kind=kind, subtype=subtype).read_bytes()
    path = saved(tmp_path, whole[: len(whole) * 2 // 3 + 1])
    info = probe(path)
    assert 13_000 < info.frames < 13_400
    assert "missing" in info.warnings[0]
    np.testing.assert_allclose(mono(path), sound.mean(axis=1)[: info.frames], atol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_an_aiff_whose_sizes_were_never_written(tmp_path: Path, subtype: str) -> None:
    sound = phrase(frames=3000)
    whole = write(tmp_path / "whole", sound, kind="AIFF", subtype=subtype)
    content = whole.read_bytes()
    at = content.index(b"SSND")
    path = saved(tmp_path, content[: at + 4] + bytes(4) + content[at + 8 :], "take.aif")
    info = probe(path)
    assert (info.frames, info.samples_sha256) == (3000, probe(whole).samples_sha256)
    assert (info.rate_hz, info.subtype) == (RATE_HZ, subtype.replace("_S8", "_8"))
    assert len(info.warnings) == 1


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_big_endian_wav(tmp_path: Path, bits: int) -> None:
    values = (np.arange(-300, 300) * 2**20).astype(">i4")
    body = values.view(np.uint8).reshape(-1, 4)[:, : bits // 8].tobytes()
    for data_size in (None, 0):
        path = saved(tmp_path, plain_wav(body, bits=bits, order=">", data_size=data_size))
        expected = np.floor(values / 2 ** (32 - bits)) / 2 ** (bits - 1)
        np.testing.assert_array_equal(mono(path), expected.astype(np.float32))


def test_bw64_which_libsndfile_refuses(tmp_path: Path) -> None:
    sound = phrase()
    whole = write(tmp_path / "whole", sound, kind="RF64", subtype="PCM_24")
    info = probe(saved(tmp_path, b"BW64" + whole.read_bytes()[4:]))
    assert (info.samples_sha256, info.format) == (probe(whole).samples_sha256, "BW64")
    assert info.warnings == ()


def test_memory_does_not_follow_the_header(tmp_path: Path) -> None:
    """Ten hours, 32 channels or 1,024 in the header of a small file take no more than a few blocks."""
    for channels in (1, 32, 1024):
        body = bytes(channels * 2 * 50)
        path = saved(tmp_path, plain_wav(body, data_size=4_000_000_000, channels=channels))
        tracemalloc.start()
        assert probe(path).frames == 50
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 40_000_000


def test_memory_does_not_follow_the_length(tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", np.zeros((48_000 * 60, 2)))
    tracemalloc.start()
    for _ in read_mono(path, rate_hz=22_050):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


# ---- lossy files that break off


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_half_a_lossy_file_gives_about_half_with_a_warning(tmp_path: Path, kind: str, subtype: str) -> None:
    whole = write(tmp_path / "whole", phrase(frames=400_000), kind=kind, subtype=subtype)
    content = whole.read_bytes()
    info = probe(saved(tmp_path, content[: len(content) // 2]))
    assert 150_000 < info.frames < 250_000
    assert "breaks off" in info.warnings[0]


def test_an_mp3_with_a_hole_gives_what_comes_before_it(tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", phrase(frames=400_000), kind="MP3", subtype="MPEG_LAYER_III")
    content = bytearray(whole.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = np.random.default_rng(5).bytes(3000)
    info = probe(saved(tmp_path, bytes(content)))
    assert 190_000 < info.frames < 201_000
    assert "breaks off" in info.warnings[0]


@pytest.mark.slow
@NEEDS_FFMPEG
@pytest.mark.parametrize("rate_hz", [22_050, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_of_variable_bit_rate_without_an_index_is_read_to_its_end(
    tmp_path: Path, channels: int, rate_hz: int
) -> None:
    sound = phrase(frames=rate_hz * 6, channels=channels)
    sound[: rate_hz * 3] *= 0.001  # quiet, then loud: the first frames mislead a guess
    source, made = write(tmp_path / "a.wav", sound, rate_hz=rate_hz), tmp_path / "a.mp3"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(source),
        "-c:a",
        "libmp3lame",
        "-q:a",
        "2",
        "-write_xing",
        "0",
    ]
    subprocess.run([*command, str(made)], check=True)
    info = probe(made)
    assert 0 <= info.frames - rate_hz * 6 < 4000
    assert info.warnings == ()
    assert (info.channels, info.rate_hz) == (channels, rate_hz)
    loud = np.abs(mono(made, rate_hz)) > 0.2
    assert 2.9 < (np.flatnonzero(loud)[-1] - np.flatnonzero(loud)[0]) / rate_hz < 3.1
    content = bytearray(made.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    assert probe(saved(tmp_path, bytes(content), "hole.mp3")).frames > rate_hz * 2
    made.unlink()  # Windows refuses this for an open file


# ---- clear errors


def cut_flac(folder: Path) -> Path:
    content = write(folder / "whole", phrase(frames=60_000), kind="FLAC").read_bytes()
    return saved(folder, content[: len(content) // 2], "cut.flac")


def folder_named_wav(folder: Path) -> Path:
    (folder / "folder.wav").mkdir()
    return folder / "folder.wav"


FAULTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "zero bytes": (lambda folder: saved(folder, b""), "zero bytes"),
    "text": (lambda folder: saved(folder, b"not a sound\n" * 99), "not an audio file"),
    "header only": (lambda folder: saved(folder, plain_wav(b"")), "no sound"),
    "empty flac": (lambda folder: write(folder / "e.flac", np.zeros((0, 1)), kind="FLAC"), ""),
    "half a header": (lambda folder: saved(folder, plain_wav(b"")[:30]), "cannot be decoded"),
    "no chunks": (lambda folder: saved(folder, b"RIFF\x04\0\0\0WAVE"), "cannot be decoded"),
    "less than a frame": (lambda folder: saved(folder, plain_wav(b"\1", bits=32)), "no sound"),
    "a film": (lambda folder: saved(folder, b"RIFF\x10\0\0\0AVI LIST" + bytes(40)), "cannot be decoded"),
    "cut flac": (cut_flac, "breaks off"),
    "folder": (folder_named_wav, "folder"),
    "gone": (lambda folder: folder / "gone.wav", "not there"),
    "no rate": (lambda folder: saved(folder, plain_wav(bytes(400), rate_hz=1)), "1 Hz"),
    "too fast": (lambda folder: saved(folder, plain_wav(bytes(400), rate_hz=9_000_000)), "9000000 Hz"),
    "channels": (lambda folder: saved(folder, plain_wav(bytes(9000), channels=4000)), ""),
    "no channels": (lambda folder: saved(folder, plain_wav(bytes(400), channels=0)), ""),
    "mp3 of nothing": (lambda folder: saved(folder, b"ID3\3\0\0\0\0\0\0" + bytes(900), "a.mp3"), ""),
    "ogg of nothing": (lambda folder: saved(folder, b"OggS" + bytes(900), "a.ogg"), ""),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_an_audio_error_with_name_and_remedy(tmp_path: Path, name: str) -> None:
    make, words = FAULTS[name]
    path = make(tmp_path)
    for read in (probe, mono):
        with pytest.raises(AudioError) as caught:
            read(path)
        assert caught.value.file == str(path)
        assert caught.value.remedy
        assert words in caught.value.message
        assert path.name in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permission bits")
def test_an_unreadable_file(tmp_path: Path) -> None:
    path = write(tmp_path / "closed.wav", phrase())
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything: the rule is tested without the file
        with pytest.raises(AudioError, match="may not be read"), audio_sources.told(path):
            raise PermissionError(13, "Permission denied", str(path))
        return
    with pytest.raises(AudioError, match="may not be read"):
        probe(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(AudioError, match="plain file"):
        probe(tmp_path / "pipe.wav")


@pytest.mark.parametrize(
    "fault",
    [
        sf.LibsndfileError(3),
        RuntimeError("x"),
        OSError(5, "Input/output error"),
        ValueError("x"),
        EOFError(),
        TypeError("x"),
        OverflowError("x"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_no_foreign_exception_escapes(fault: Exception) -> None:
    with pytest.raises(AudioError) as caught, audio_sources.told(Path("take.wav")):
        raise fault
    assert caught.value.__cause__ is fault
    assert caught.value.remedy


def test_names_in_any_script_and_odd_characters(tmp_path: Path) -> None:
    for name in ("Bässe – 低音 🎹.wav", "-i.wav", "a:b%20?.wav" if sys.platform != "win32" else "a b.wav"):
        assert probe(write(tmp_path / name, phrase(), kind="WAV")).frames == 4800


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has names that are no Unicode")
def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/b\xe4ss.wav"))
    shutil.copy(write(tmp_path / "a.wav", phrase()), path)
    assert probe(path).frames == 4800


# ---- cancelling, closing


def test_check_is_called_each_block_and_may_cancel(tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", np.zeros((65_536 * 4, 1)))
    calls = []
    probe(path, check=lambda: calls.append(1))
    assert len(calls) == 4

    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        probe(path, check=stop)
    with pytest.raises(Cancelled):
        list(read_mono(path, rate_hz=22_050, check=stop))


def test_what_check_raises_is_not_renamed(tmp_path: Path) -> None:
    def stop() -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        probe(write(tmp_path / "a.wav", phrase()), check=stop)


def test_closing_the_stream_closes_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", np.zeros((65_536 * 3, 1)))
    stream = read_mono(path, rate_hz=RATE_HZ)
    next(iter(stream))
    stream.close()  # type: ignore[attr-defined]  # it is a generator
    path.unlink()  # Windows refuses this for an open file


def test_a_rate_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rate_hz"):
        list(read_mono(tmp_path / "a.wav", rate_hz=0))


# ---- through ffmpeg


@pytest.fixture(scope="module")
def m4a(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("m4a")
    source = write(folder / "source.wav", phrase(frames=48_000))
    made = {}
    for name, codec in (("aac.m4a", "aac"), ("alac.m4a", "alac"), ("adts.aac", "aac"), ("film.mp4", "aac")):
        made[name] = folder / name
        subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", codec, made[name]], check=True)
    return {**made, "source": source}


@pytest.mark.slow
@NEEDS_FFMPEG
@pytest.mark.parametrize("name", ["aac.m4a", "alac.m4a", "adts.aac", "film.mp4"])
def test_ffmpeg_reads_what_libsndfile_does_not(m4a: dict[str, Path], name: str) -> None:
    info = probe(m4a[name])
    assert (info.channels, info.rate_hz, info.subtype, info.warnings) == (2, RATE_HZ, "FFMPEG", ())
    assert 48_000 <= info.frames < 51_000
    assert abs(len(mono(m4a[name], 22_050)) - info.frames * 22_050 / RATE_HZ) <= 1


@pytest.mark.slow
@NEEDS_FFMPEG
def test_alac_has_the_hash_of_its_source(m4a: dict[str, Path]) -> None:
    assert probe(m4a["alac.m4a"]).samples_sha256 == probe(m4a["source"]).samples_sha256


@NEEDS_FFMPEG
def test_ffmpeg_is_ended_when_the_reader_leaves(m4a: dict[str, Path]) -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        probe(m4a["alac.m4a"], check=stop)


@NEEDS_FFMPEG
@pytest.mark.parametrize("keep", [40, 2000, 12_000])
def test_a_cut_m4a(m4a: dict[str, Path], tmp_path: Path, keep: int) -> None:
    with pytest.raises(AudioError) as caught:
        probe(saved(tmp_path, m4a["aac.m4a"].read_bytes()[:keep], "cut.m4a"))
    assert caught.value.remedy


@NEEDS_FFMPEG
def test_a_film_without_sound_is_called_that(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    picture = ["-f", "lavfi", "-i", "testsrc=duration=1:size=64x64:rate=5"]
    subprocess.run(["ffmpeg", "-v", "error", *picture, film], check=True)
    with pytest.raises(AudioError, match="no sound in it"):
        probe(film)


def test_without_ffmpeg_the_remedy_is_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = saved(tmp_path, b"\0\0\0\x10ftypM4A \0\0\0\0", "take.m4a")
    with pytest.raises(AudioError, match="needs ffmpeg") as caught:
        probe(path)
    assert all(word in caught.value.remedy for word in ("apt", "brew", "winget", "WAV"))


@NEEDS_FFMPEG
def test_a_play_list_in_disguise_opens_nothing(tmp_path: Path) -> None:
    secret = write(tmp_path / "secret.wav", phrase())
    for text in (f"#EXTM3U\n#EXTINF:1,\n{secret}\n", f"ffconcat version 1.0\nfile '{secret}'\n"):
        with pytest.raises(AudioError):
            probe(saved(tmp_path, text.encode(), "list.m4a"))


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0:00.0"), (5.24, "0:05.2"), (59.96, "1:00.0"), (36_000, "10:00:00.0")]
)
def test_clock(seconds: float, words: str) -> None:
    assert audio_sources.clock(seconds) == words
