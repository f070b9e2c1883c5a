"""Audio that is written keeps what it came with: rate, depth, container, channels, length and chunks."""

from __future__ import annotations

import shutil
import struct
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from bridge.errors import AudioError
from bridge.media import whole_files
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_writing import write_set
from bridge.media.sample_depth import Floats
from bridge.media.wav_chunks import read_chunks
from support.audio_samples import phrase, write
from support.wav_files import chunk, rf64, saved, wav
from support.written_sets import blocks_of, one, read

KEPT = [
    ("WAV", "PCM_U8", ".wav"),
    ("WAV", "PCM_16", ".WAV"),
    ("WAV", "PCM_24", ".wav"),
    ("WAV", "PCM_32", ".wav"),
    ("WAV", "FLOAT", ".wav"),
    ("WAV", "DOUBLE", ".wav"),
    ("WAVEX", "PCM_24", ".wav"),
    ("RF64", "PCM_24", ".wav"),
    ("AIFF", "PCM_S8", ".aif"),
    ("AIFF", "PCM_16", ".aiff"),
    ("AIFF", "PCM_24", ".aiff"),
    ("AIFF", "PCM_32", ".aiff"),
    ("AIFF", "FLOAT", ".aifc"),
    ("AIFF", "DOUBLE", ".aifc"),
    ("FLAC", "PCM_S8", ".flac"),
    ("FLAC", "PCM_16", ".flac"),
    ("FLAC", "PCM_24", ".flac"),
    ("CAF", "PCM_24", ".caf"),
    ("CAF", "FLOAT", ".caf"),
    ("W64", "PCM_16", ".w64"),
]


# --- what stays ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "subtype", "suffix"), KEPT, ids=[f"{kind}-{depth}" for kind, depth, _ in KEPT]
)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_unchanged_samples_come_out_as_the_same_file(
    tmp_path: Path, kind: str, subtype: str, suffix: str, channels: int
) -> None:
    # libsndfile counts the padding of an odd AIFF as sound.
    frames = 2000 if kind == "AIFF" else 2001
    sound = phrase(frames=frames, channels=channels)
    source = write(tmp_path / f"source{suffix}", sound, kind=kind, subtype=subtype, rate_hz=44_100)
    path, written = one(tmp_path, read(source), AudioFormat.of(source), is_changed=False)
    assert path.read_bytes() == source.read_bytes()
    assert path.name == f"out{suffix}"
    assert written.warnings == ()
    assert written.frames == frames
    assert sorted(each.name for each in tmp_path.iterdir()) == sorted([path.name, source.name])


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_float32_blocks_hold_up_to_24_bits_exactly(tmp_path: Path, subtype: str) -> None:
    rng = np.random.default_rng(5)
    source = write(tmp_path / "source.wav", rng.uniform(-1, 0.99, (5000, 2)), subtype=subtype)
    sound = sf.read(source, dtype="float32")[0]
    path, _ = one(tmp_path, sound, AudioFormat.of(source), is_changed=False)
    assert path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_full_scale_itself_is_whole_numbers(tmp_path: Path, subtype: str) -> None:
    bits = {"PCM_U8": 8}.get(subtype, int(subtype[-2:]) if subtype != "PCM_U8" else 8)
    edges = np.array([-1.0, 1 - 2.0 ** (1 - bits), 0.0])
    source = write(tmp_path / "source.wav", edges[:, np.newaxis], subtype=subtype)
    path, written = one(tmp_path, edges, AudioFormat.of(source))
    assert written.subtype == subtype
    np.testing.assert_array_equal(read(path)[:, 0], edges)


def test_24_bits_in_32(tmp_path: Path) -> None:
    fmt = struct.pack("<HHIIHH", 0xFFFE, 1, 48_000, 192_000, 4, 32) + struct.pack("<HHI", 22, 24, 4)
    fmt += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    numbers = np.array([0x7FFFFF00, -0x80000000, 0x100, -0x100, 0], "<i4")
    source = saved(tmp_path, wav(fmt=fmt, samples=numbers.tobytes()))
    like = AudioFormat.of(source)
    path, written = one(tmp_path, numbers / 2**31, like)
    assert path.read_bytes() == source.read_bytes()
    assert written.subtype == "PCM_32"
    between, _ = one(tmp_path, numbers / 2**31 + 0.3 * 2.0**-23, replace(like))
    assert between.read_bytes() == source.read_bytes()  # only the upper 24 bits are used


def test_little_endian_aiff_and_big_endian_wav(tmp_path: Path) -> None:
    numbers = np.array([1, -2, 300], ">i2")
    comm = struct.pack(">hIh", 1, 3, 16) + struct.pack(">HQ", 16383 + 15, 48_000 << 48) + b"sowt\0\0"
    parts = chunk(b"COMM", comm, order=">") + chunk(
        b"SSND", bytes(8) + numbers.astype("<i2").tobytes(), order=">"
    )
    body = b"AIFC" + chunk(b"FVER", bytes.fromhex("a2805140"), order=">") + parts
    aiff = saved(tmp_path, b"FORM" + struct.pack(">I", len(body)) + body, "a.aifc")
    fmt = struct.pack(">HHIIHH", 1, 1, 48_000, 96_000, 2, 16)
    body = b"WAVE" + chunk(b"fmt ", fmt, order=">") + chunk(b"data", numbers.tobytes(), order=">")
    rifx = saved(tmp_path, b"RIFX" + struct.pack(">I", len(body)) + body, "a.wav")
    for source in (aiff, rifx):
        path, _ = one(tmp_path, numbers / 2**15, AudioFormat.of(source))
        assert path.read_bytes() == source.read_bytes()


def test_bw64_stays_bw64(tmp_path: Path) -> None:
    samples = np.array([1, -2, 300], "<i2")
    source = saved(tmp_path, rf64([(b"axml", b"<x/>")], samples=samples.tobytes(), magic=b"BW64"))
    path, _ = one(tmp_path, samples / 2**15, AudioFormat.of(source))
    assert path.read_bytes() == source.read_bytes()


@pytest.mark.parametrize(
    ("kind", "subtype", "name"),
    [("OGG", "VORBIS", "a.ogg"), ("MP3", "MPEG_LAYER_III", "a.mp3"), ("WAV", "IMA_ADPCM", "a.wav")],
)
def test_lossy_sources_become_wav_of_24_bits(tmp_path: Path, kind: str, subtype: str, name: str) -> None:
    source = write(tmp_path / name, phrase(frames=9000), kind=kind, subtype=subtype)
    path, _ = one(tmp_path, phrase(), AudioFormat.of(source))
    found = sf.info(path)
    assert (found.format, found.subtype, found.samplerate, path.suffix) == ("WAV", "PCM_24", 48_000, ".wav")
    np.testing.assert_array_equal(read(path), phrase())
    assert b"fact" not in path.read_bytes()[:200]


# --- loudness, depth, dither --------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".flac", ".caf"])
def test_one_loud_sample_makes_the_whole_set_float(tmp_path: Path, suffix: str) -> None:
    kind = {".wav": "WAV", ".aiff": "AIFF", ".flac": "FLAC", ".caf": "CAF"}[suffix]
    source = write(tmp_path / f"source{suffix}", phrase(), kind=kind, subtype="PCM_24")
    soft, loud = phrase().astype(np.float32), phrase(seed=8).astype(np.float32)
    loud[4000, 1] = 1.5
    members = {"soft": blocks_of(soft), "loud": blocks_of(loud)}
    written = write_set(members, AudioFormat.of(source), tmp_path)
    assert written.subtype == "FLOAT"
    assert written.container == ("WAV" if kind == "FLAC" else kind)
    assert any("full scale" in words for words in written.warnings)
    for name, sound in (("soft", soft), ("loud", loud)):
        found = sf.info(written.paths[name])
        assert (found.subtype, found.format) == ("FLOAT", written.container)
        np.testing.assert_array_equal(read(written.paths[name]), sound)


@pytest.mark.parametrize(
    ("sample", "subtype"), [(1.0, "FLOAT"), (1 - 2.0**-16, "FLOAT"), (1 - 2.0**-15.9, "PCM_16")]
)
def test_where_full_scale_ends(tmp_path: Path, sample: float, subtype: str) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    _, written = one(tmp_path, np.full((3, 2), sample), like)
    assert written.subtype == subtype
    _, low = one(tmp_path, np.full((3, 2), -1 - 2.0**-17), like)
    assert low.subtype == "PCM_16"
    _, lower = one(tmp_path, np.full((3, 2), -1 - 2.0**-15), like)
    assert lower.subtype == "FLOAT"


def test_float_sources_stay_float_however_loud(tmp_path: Path) -> None:
    source = write(tmp_path / "source.wav", phrase(), subtype="FLOAT")
    path, written = one(tmp_path, phrase() * 9, AudioFormat.of(source))
    assert written.subtype == "FLOAT"
    assert written.warnings == (), "nobody misses a measurement of the old samples"
    np.testing.assert_array_equal(read(path), (phrase() * 9).astype(np.float32))


def test_dither_only_where_asked_for_and_needed(tmp_path: Path) -> None:
    source = write(tmp_path / "source.wav", phrase(), subtype="PCM_24")
    like = AudioFormat.of(source)
    quiet = np.full((40_000, 2), 0.3 / 2**15)
    plain = read(one(tmp_path, quiet, like, subtype="PCM_16")[0])
    assert not plain.any()
    path, written = one(tmp_path, quiet, like, subtype="PCM_16", dither=True)
    assert written.subtype == "PCM_16"
    content = path.read_bytes()
    steps = read(path) * 2**15
    assert set(np.unique(steps)) == {-1, 0, 1}
    assert steps.mean() == pytest.approx(0.3, abs=0.01)
    assert one(tmp_path, quiet, like, subtype="PCM_16", dither=True)[0].read_bytes() == content
    assert one(tmp_path, quiet, like, subtype="PCM_16", dither=True, seed=1)[0].read_bytes() != content
    same = one(tmp_path, phrase(), like, dither=True)[0]
    np.testing.assert_array_equal(read(same), phrase())


def test_dither_at_full_scale_does_not_wrap(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase(), subtype="PCM_24"))
    top = np.full((5000, 2), 1 - 2.0**-15)
    written = read(one(tmp_path, top, like, subtype="PCM_16", dither=True)[0])
    assert written.min() > 0.999


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    sound = phrase(frames=10)
    sound[3, 0], sound[4, 1] = np.nan, np.inf
    path, written = one(tmp_path, sound, AudioFormat.of(write(tmp_path / "source.wav", phrase())))
    assert "2 samples" in written.warnings[0]
    assert written.subtype == "PCM_16"
    assert read(path)[3, 0] == read(path)[4, 1] == 0


# --- length, channels, shapes -------------------------------------------------------------------------------


@pytest.mark.parametrize("frames", [0, 1, 999, 4800, 9000])
@pytest.mark.parametrize("kind", ["WAV", "AIFF", "FLAC"])
def test_exactly_so_many_frames(tmp_path: Path, frames: int, kind: str) -> None:
    source = write(tmp_path / f"source.{kind.lower()}", phrase(), kind=kind)
    path, written = one(tmp_path, phrase(), AudioFormat.of(source), frames=frames)
    assert written.frames == frames
    assert path.suffix == (".wav" if frames == 0 and kind == "FLAC" else source.suffix)
    sound = read(path)
    assert len(sound) == frames
    kept = min(frames, 4800)
    np.testing.assert_array_equal(sound[:kept], phrase()[:kept])
    assert not sound[kept:].any()


def test_what_is_left_out_does_not_count_as_loud(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    sound = phrase()
    sound[1000:] = 5
    path, written = one(tmp_path, sound, like, frames=1000)
    assert written.subtype == "PCM_16"
    np.testing.assert_array_equal(read(path), phrase()[:1000])


def test_mono_becomes_stereo(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase(channels=1), subtype="PCM_24"))
    path, _ = one(tmp_path, phrase(), like, channels=2)
    np.testing.assert_array_equal(read(path), phrase())
    twice, _ = one(tmp_path, phrase(channels=1)[:, 0], like, channels=2)
    np.testing.assert_array_equal(read(twice), np.repeat(phrase(channels=1), 2, axis=1))


@pytest.mark.parametrize("bad", [np.zeros((5, 3)), np.zeros((5, 2), np.int16), np.zeros((5, 2, 2))])
def test_blocks_of_another_kind_are_refused_and_leave_nothing(tmp_path: Path, bad: Floats) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    with pytest.raises(ValueError, match="blocks are"):
        write_set({"a": [bad]}, like, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_odd_names_and_empty_sets_are_refused(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    for members in ({}, {"../a": [phrase()]}, {"a/b": [phrase()]}):
        with pytest.raises(ValueError, match=r"set|name"):
            write_set(members, like, tmp_path)


def test_flac_that_cannot_hold_it_becomes_wav(tmp_path: Path) -> None:
    source = tmp_path / "source.flac"
    with sf.SoundFile(source, "w", 48_000, 2, "PCM_16") as file:
        file.title, file.artist = "Title", "Artist"
        file.write(phrase())
    path, written = one(tmp_path, phrase(channels=9), AudioFormat.of(source), channels=9)
    assert (written.container, path.name) == ("WAV", "out.wav")
    assert len(written.warnings) == 2
    assert read_chunks(path).info == {"INAM": "Title", "IART": "Artist"}
    np.testing.assert_array_equal(read(path), phrase(channels=9))


# --- files and memory ---------------------------------------------------------------------------------------


def test_an_older_file_is_replaced_and_a_failed_one_leaves_it(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    path, _ = one(tmp_path, phrase(seed=1), like)
    before = path.read_bytes()

    def broken() -> Iterator[Floats]:
        yield phrase()
        raise AudioError("it broke")

    with pytest.raises(AudioError, match="it broke"):
        write_set({"out": broken(), "more": [phrase()]}, like, tmp_path)
    assert path.read_bytes() == before
    one(tmp_path, phrase(seed=2), like)
    assert path.read_bytes() != before
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.wav", "source.wav"]


def test_a_folder_that_is_gone_is_told(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    with pytest.raises(AudioError) as caught:
        one(tmp_path / "gone", phrase(), like)
    assert caught.value.remedy


def test_a_name_that_is_taken_by_a_folder_is_told(tmp_path: Path) -> None:
    for kind in ("WAV", "FLAC"):
        like = AudioFormat.of(write(tmp_path / "source", phrase(), kind=kind))
        (tmp_path / f"out{like.suffix}").mkdir()
        with pytest.raises(AudioError, match="written") as caught:
            one(tmp_path, phrase(), like)
        assert caught.value.remedy
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.flac", "out.wav", "source"]


def test_cancelling_in_the_second_pass_leaves_nothing(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    calls = iter(range(100))

    def cancel() -> None:
        if next(calls) == 8:  # seven blocks, the end, then the first block of the second pass
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(tmp_path, phrase(), like, check=cancel)
    assert [path.name for path in tmp_path.iterdir()] == ["source.wav"]


def test_members_of_one_process_are_asked_in_turn(tmp_path: Path) -> None:
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase()))
    asked: list[str] = []

    def member(name: str) -> Iterator[Floats]:
        for _ in range(3):
            asked.append(name)
            yield phrase(frames=100)

    write_set({"a": member("a"), "b": member("b")}, like, tmp_path)
    assert "".join(asked) == "ababab"


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_files, "MOST_IN_MEMORY", 1 << 20)
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase(), subtype="PCM_24"))
    block = phrase(frames=65_536).astype(np.float32)
    tracemalloc.start()
    try:
        write_set({name: (block for _ in range(60)) for name in "ab"}, like, tmp_path)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 12_000_000


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_more_than_4_gib_becomes_rf64(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 16 << 30:
        pytest.skip("the disk has no room for it")
    like = AudioFormat.of(write(tmp_path / "source.wav", phrase(), subtype="PCM_32"))
    block = phrase(frames=1 << 20)
    path, _ = one(tmp_path, block[:10], like, frames=(1 << 29) + 5)
    found = sf.info(path)
    assert (found.format, found.subtype, found.frames) == ("RF64", "PCM_32", (1 << 29) + 5)
    assert read_chunks(path).frames == (1 << 29) + 5
