"""Files of 4 GiB and more: RF64 and BW64, read and put together."""

from __future__ import annotations

import struct
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.media import wav_assembly
from bridge.media.wav_assembly import assemble, write_chunks
from bridge.media.wav_chunks import RawChunk, WavChunks, read_chunks
from bridge.media.wav_tags import Ds64
from support.wav_files import SAMPLES, adtl, bext, chunk, cue, rf64, saved, wav

BEFORE = [(b"bext", bext(time_reference=96_000, history=b"A=PCM\r\n"))]
AFTER = [(b"cue ", cue((1, 100))), (b"LIST", adtl((1, "Verse"))), (b"what", b"\1\2\3")]
FIVE_GIB = 5 << 30
NEEDS_SPARSE_FILES = pytest.mark.skipif(sys.platform == "win32", reason="NTFS would write 5 GiB of zeros")


def sparse(path: Path, chunks: WavChunks, data_bytes: int) -> Path:
    """The file that `assemble` describes, with silence that takes no room on the disk."""
    around = assemble(chunks, data_bytes=data_bytes, frames=data_bytes // 2)
    with path.open("wb") as file:
        wav_assembly.put(file, around.head)
        file.truncate(file.tell() + data_bytes)
        file.seek(0, 2)
        wav_assembly.put(file, around.tail)
    return path


@NEEDS_SPARSE_FILES
@pytest.mark.parametrize("magic", [b"RIFF", b"RF64", b"BW64"])
def test_more_than_4_gib(tmp_path: Path, magic: bytes) -> None:
    small = read_chunks(saved(tmp_path, wav(BEFORE, AFTER)))
    path = sparse(tmp_path / "large.wav", replace(small, magic=magic), FIVE_GIB)
    large = read_chunks(path)
    assert large.magic == (b"BW64" if magic == b"BW64" else b"RF64")
    assert large.frames == FIVE_GIB // 2
    assert large.ds64 == Ds64(path.stat().st_size - 8, FIVE_GIB, FIVE_GIB // 2)
    assert large.after == small.after
    assert large.bext == small.bext
    assert large.warnings == ()


@NEEDS_SPARSE_FILES
def test_the_room_that_was_reserved_for_ds64_is_used(tmp_path: Path) -> None:
    junk = RawChunk(b"JUNK", bytes(92))
    small = read_chunks(saved(tmp_path, wav()))
    reserved = replace(small, before=(junk, *small.before))
    large = read_chunks(sparse(tmp_path / "large.wav", reserved, FIVE_GIB))
    assert [one.name for one in large.all] == [b"fmt "]
    assert large.ds64 is not None
    assert large.ds64.tail == bytes(64)
    around = assemble(reserved, data_bytes=100, frames=50)
    assert b"JUNK" in b"".join(piece for piece in around.head if isinstance(piece, bytes))


def test_the_border_to_rf64(tmp_path: Path) -> None:
    plain = replace(read_chunks(saved(tmp_path, wav())), after=())
    around = [assemble(plain, data_bytes=0xFFFFFFFF - 36 - more, frames=0).head[0] for more in (2, 0)]
    assert [head[:4] for head in around if isinstance(head, bytes)] == [b"RIFF", b"RF64"]
    with pytest.raises(ValueError, match="4 GiB"):
        assemble(replace(plain, magic=b"FORM", form=b"AIFF"), data_bytes=FIVE_GIB, frames=0)


def test_bw64_keeps_its_kind(tmp_path: Path) -> None:
    content = rf64(BEFORE, [(b"axml", b"<x/>")], magic=b"BW64")
    source = saved(tmp_path, content)
    write_chunks(source, tmp_path / "out.wav", read_chunks(source))
    assert (tmp_path / "out.wav").read_bytes() == content


def test_a_large_chunk_counted_in_the_table_of_ds64(tmp_path: Path) -> None:
    body = b"z" * 1001
    head = struct.pack("<QQQI", 0, len(SAMPLES), 2000, 1) + struct.pack("<4sQ", b"axml", len(body))
    fmt = wav()[12:36]
    inside = b"WAVE" + chunk(b"ds64", head) + fmt + chunk(b"axml", body, size=0xFFFFFFFF)
    inside += chunk(b"data", SAMPLES, size=0xFFFFFFFF)
    content = b"RF64" + struct.pack("<I", 0xFFFFFFFF) + inside
    chunks = read_chunks(saved(tmp_path, content))
    assert chunks.before[-1] == RawChunk(b"axml", body)
    assert chunks.frames == 2000
