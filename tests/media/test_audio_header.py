from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from bridge.media import audio_header
from bridge.media.audio_header import AUDIO_SUFFIXES, examine, kind_of
from support.audio_samples import phrase, plain_wav, write

CONTAINERS = [
    ("WAV", "PCM_16"),
    ("WAV", "PCM_24"),
    ("WAV", "FLOAT"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_24"),
    ("W64", "PCM_24"),
    ("AIFF", "PCM_16"),
    ("AIFF", "FLOAT"),
    ("CAF", "PCM_24"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
]
SAMPLES = np.arange(2000, dtype="<i2").tobytes()
LIST_CHUNK = b"LIST" + struct.pack("<I", 4) + b"INFO"


def saved(folder: Path, content: bytes, name: str = "take.wav") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
@pytest.mark.parametrize("frames", [1, 4801, 20_000])
def test_whole_files_are_complete(tmp_path: Path, kind: str, subtype: str, frames: int) -> None:
    path = write(tmp_path / "take", phrase(frames=frames), kind=kind, subtype=subtype)
    assert examine(path).verdict == "complete"


@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
def test_a_file_cut_anywhere_is_never_complete(tmp_path: Path, kind: str, subtype: str) -> None:
    whole = write(tmp_path / "whole", phrase(frames=9000), kind=kind, subtype=subtype).read_bytes()
    for length in [*range(0, 120, 3), *range(120, len(whole) - 20, 1777), len(whole) - 20]:
        report = examine(saved(tmp_path, whole[:length]))
        assert report.verdict != "complete", (length, report)
        assert report.reason


@pytest.mark.parametrize(("kind", "subtype"), CONTAINERS)
def test_a_file_that_outgrows_its_header_is_unfinished(tmp_path: Path, kind: str, subtype: str) -> None:
    whole = write(tmp_path / "whole", phrase(frames=9000), kind=kind, subtype=subtype).read_bytes()
    more = np.random.default_rng(3).bytes(5000)
    assert examine(saved(tmp_path, whole + more)).verdict == "unfinished"


@pytest.mark.parametrize(
    ("riff_size", "data_size"),
    [
        (0, 0),
        (36, 0),
        (0xFFFFFFFF, 0xFFFFFFFF),
        (36 + len(SAMPLES), 0),
        (0, len(SAMPLES)),
        (0xFFFFFFFF, len(SAMPLES)),
        (36 + len(SAMPLES), len(SAMPLES) + 2),
        (36 + 1000, 1000),
        (2_000_000_000, 1_999_999_964),
    ],
)
def test_placeholders_and_sizes_that_cannot_be_are_unfinished(
    tmp_path: Path, riff_size: int, data_size: int
) -> None:
    wav = plain_wav(SAMPLES, riff_size=riff_size, data_size=data_size)
    assert examine(saved(tmp_path, wav)).verdict == "unfinished"


@pytest.mark.parametrize(
    "tail",
    [b"\0", b"\r\n", b"TAG" + bytes(125), b"ID3\3" + bytes(300), LIST_CHUNK, LIST_CHUNK * 3, bytes(468)],
    ids=["pad", "newline", "id3v1", "id3v2", "chunk", "chunks", "sector"],
)
def test_padding_tags_and_chunks_behind_the_end_do_no_harm(tmp_path: Path, tail: bytes) -> None:
    body = SAMPLES if len(tail) != 468 else bytes(512 * 4)
    assert examine(saved(tmp_path, plain_wav(body) + tail)).verdict == "complete"


def test_chunks_around_the_samples_do_no_harm(tmp_path: Path) -> None:
    wav = plain_wav(SAMPLES)
    inside = wav[:36] + b"bext" + struct.pack("<I", 603) + bytes(604) + wav[36:] + LIST_CHUNK
    whole = inside[:4] + struct.pack("<I", len(inside) - 8) + inside[8:]
    assert examine(saved(tmp_path, whole)).verdict == "complete"


def test_bw64_reads_its_ds64_sizes(tmp_path: Path) -> None:
    rf64 = write(tmp_path / "whole", phrase(), kind="RF64").read_bytes()
    assert examine(saved(tmp_path, b"BW64" + rf64[4:])).verdict == "complete"
    at = rf64.index(b"ds64")
    assert examine(saved(tmp_path, rf64[: at + 8] + bytes(28) + rf64[at + 36 :])).verdict == "unfinished"


@pytest.mark.parametrize(
    "content", [b"hello, this is no sound\n" * 50, b"RIFF\x10\0\0\0AVI LIST", b"\xff", b"M"]
)
def test_what_is_no_audio_is_unknown(tmp_path: Path, content: bytes) -> None:
    report = examine(saved(tmp_path, content))
    assert report.verdict == "unknown"


@pytest.mark.parametrize(("kind", "subtype"), [("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_formats_whose_header_does_not_tell_are_unknown(tmp_path: Path, kind: str, subtype: str) -> None:
    assert examine(write(tmp_path / "take", phrase(), kind=kind, subtype=subtype)).verdict == "unknown"


def test_flac_without_a_length_is_unknown(tmp_path: Path) -> None:
    flac = bytearray(write(tmp_path / "whole", phrase(), kind="FLAC").read_bytes())
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    assert examine(saved(tmp_path, bytes(flac))).verdict == "unknown"


@pytest.mark.parametrize("number", [0, 127, 128, 2047, 2048, 65_535, 65_536, 0x10FFFF])
def test_flac_writes_numbers_as_utf8_does(number: int) -> None:
    assert audio_header._flac_coded_number(number) == chr(number).encode()


def atom(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I4s", len(body) + 8, name) + body


FTYP = atom(b"ftyp", b"M4A \0\0\0\0")


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        (FTYP + atom(b"mdat", bytes(50)) + atom(b"moov", bytes(20)), "complete"),
        (FTYP + atom(b"moov", bytes(20)) + struct.pack(">I4s", 0, b"mdat") + bytes(50), "complete"),
        (FTYP + atom(b"moov") + struct.pack(">I4sQ", 1, b"mdat", 66) + bytes(50), "complete"),
        (FTYP + atom(b"mdat", bytes(50)), "unfinished"),
        (FTYP + atom(b"moov", bytes(20))[:-4], "unfinished"),
        (FTYP + atom(b"moov") + b"\0\0\0", "unfinished"),
        (FTYP + struct.pack(">I4s", 3, b"mdat") + bytes(50), "unfinished"),
    ],
)
def test_mp4_needs_whole_atoms_and_an_index(tmp_path: Path, content: bytes, verdict: str) -> None:
    assert examine(saved(tmp_path, content, "take.m4a")).verdict == verdict


def test_zero_bytes_are_unfinished(tmp_path: Path) -> None:
    assert examine(saved(tmp_path, b"")).verdict == "unfinished"


def test_a_missing_file_raises_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        examine(tmp_path / "gone.wav")


def test_a_folder_is_unknown(tmp_path: Path) -> None:
    assert examine(tmp_path).verdict == "unknown"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "take.wav")
    assert examine(tmp_path / "take.wav").verdict == "unknown"


def test_endless_chunks_end_quickly(tmp_path: Path) -> None:
    path = saved(tmp_path, b"RIFF" + struct.pack("<I", 0xFFFFFFF0) + b"WAVE" + bytes(4_000_000))
    begun = time.perf_counter()
    assert examine(path).verdict == "unfinished"
    assert time.perf_counter() - begun < 10.0  # a million chunks of no length: the bound is against hanging


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\xff\xfb\x90\x44", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"\xff\xe1\x00\x00", None),
        (b"ID3\x04", "mp3"),
        (b"\0\0\0\x20ftypM4A ", "mp4"),
        (b"", None),
    ],
)
def test_kinds_by_first_bytes(head: bytes, kind: str | None) -> None:
    assert kind_of(head) == kind


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert {".wav", ".aif", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".rf64"} <= AUDIO_SUFFIXES
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in AUDIO_SUFFIXES)


def test_the_daemon_gets_no_numpy_from_it() -> None:
    code = "import bridge.media.audio_header, bridge.media.midi_files, bridge.media.file_names, sys; "
    code += "sys.exit(int('numpy' in sys.modules or 'soundfile' in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_m4a_is_complete(tmp_path: Path) -> None:
    if shutil.which("ffmpeg") is None:
        pytest.skip("ffmpeg is not on this machine")
    source, made = write(tmp_path / "a.wav", phrase()), tmp_path / "a.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", source, "-c:a", "aac", made], check=True)
    assert examine(made).verdict == "complete"
    assert examine(saved(tmp_path, made.read_bytes()[:-300], "b.m4a")).verdict == "unfinished"
