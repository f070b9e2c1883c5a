"""Damaged audio files and pure garbage: an answer or a clear error, quickly and in little memory."""

from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
from pathlib import Path

import pytest

from bridge.errors import AudioError
from bridge.media.audio_files import AudioInfo, probe, read_mono
from bridge.media.audio_header import examine
from support.audio_samples import phrase, write

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("BRIDGE_FUZZ_ROUNDS", "60"))
HEADER_BYTES = 120
LONGEST_S = 5.0
MOST_BYTES = 80_000_000
SEEDS = [
    ("WAV", "PCM_16", ".wav"),
    ("WAV", "PCM_24", ".wav"),
    ("WAV", "IMA_ADPCM", ".wav"),
    ("WAVEX", "FLOAT", ".wav"),
    ("RF64", "PCM_16", ".wav"),
    ("W64", "PCM_16", ".w64"),
    ("AIFF", "PCM_24", ".aiff"),
    ("AIFF", "FLOAT", ".aifc"),
    ("CAF", "PCM_16", ".caf"),
    ("FLAC", "PCM_16", ".flac"),
    ("MP3", "MPEG_LAYER_III", ".mp3"),
    ("OGG", "VORBIS", ".ogg"),
    ("OGG", "OPUS", ".opus"),
]
NUMBERS = [0, 1, 2, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]


def flip_bits(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 20)):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def flip_header_bits(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 6)):
        content[dice.randrange(min(HEADER_BYTES, len(content)))] ^= 1 << dice.randrange(8)


def put_number(content: bytearray, dice: random.Random) -> None:
    order, size = dice.choice("<>"), dice.choice(((2, "H"), (4, "I")))
    at = dice.randrange(4, min(HEADER_BYTES, len(content) - 4))
    content[at : at + size[0]] = struct.pack(order + size[1], dice.choice(NUMBERS) & (256 ** size[0] - 1))


def cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(1, len(content)) :]


def take_out(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    del content[at : at + dice.randint(1, 200)]


def put_in(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at:at] = dice.randbytes(dice.randint(1, 3000))


def zero(content: bytearray, dice: random.Random) -> None:
    at, length = dice.randrange(len(content)), dice.randint(1, 500)
    content[at : at + length] = bytes(len(content[at : at + length]))


MUTATIONS = [flip_bits, flip_header_bits, put_number, cut, take_out, put_in, zero]
MAGICS = [
    b"", b"RIFF\xff\xff\xff\xffWAVE", b"RF64\xff\xff\xff\xffWAVEds64", b"FORM\0\0\1\0AIFF", b"fLaC", b"OggS",
    b"ID3\4\0\0", b"\xff\xfb\x90", b"caff\0\1\0\0", b"riff", b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0",
]  # fmt: skip


def probe_or_fault(path: Path) -> AudioInfo | AudioError:
    try:
        return probe(path)
    except AudioError as fault:
        return fault


def survive(path: Path, label: object) -> None:
    """Neither hangs, nor takes much memory, nor raises anything but what is promised."""
    begun = time.perf_counter()
    report = examine(path)
    assert report.reason
    info = probe_or_fault(path)
    if isinstance(info, AudioError):
        assert info.file == str(path), label
        assert info.remedy, label
    else:
        assert info.frames > 0, label
        assert 1 <= info.channels <= 1024, label
        try:
            frames = sum(len(block) for block in read_mono(path, rate_hz=22_050))
        except AudioError as fault:  # pragma: no cover - what probe takes, read_mono must take
            pytest.fail(f"{label}: read_mono refused what probe took: {fault}")
        assert abs(frames - info.frames * 22_050 / info.rate_hz) <= 1.5, label
    assert time.perf_counter() - begun < LONGEST_S, label


@pytest.mark.parametrize(("kind", "subtype", "suffix"), SEEDS, ids=[f"{a}-{b}" for a, b, _ in SEEDS])
def test_damaged_files(tmp_path: Path, kind: str, subtype: str, suffix: str) -> None:
    whole = write(tmp_path / "whole", phrase(frames=6000), kind=kind, subtype=subtype).read_bytes()
    dice = random.Random(f"{kind}-{subtype}")
    path = tmp_path / f"take{suffix}"
    tracemalloc.start()
    try:
        for round_number in range(ROUNDS):
            content = bytearray(whole)
            for mutation in dice.sample(MUTATIONS, dice.randint(1, 2)):
                if len(content) > 8:
                    mutation(content, dice)
            path.write_bytes(content)
            survive(path, (kind, subtype, round_number))
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()


def test_garbage(tmp_path: Path) -> None:
    dice = random.Random(2)
    path = tmp_path / "take.wav"
    for round_number in range(ROUNDS * 2):
        content = dice.choice(MAGICS) + dice.randbytes(dice.randint(0, 4000))
        path.write_bytes(content)
        survive(path, round_number)
