"""Damaged and hostile WAV files: their chunks are read, moved and written, quickly and in little memory."""

from __future__ import annotations

import os
import random
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bridge.errors import AudioError
from bridge.media.wav_assembly import assemble, write_chunks
from bridge.media.wav_chunks import read_chunks
from bridge.media.wav_facts import musical_facts
from bridge.media.wav_shift import for_changed_audio, for_cut, for_rate
from support.wav_files import acid, adtl, bext, chunk, cue, info, ixml, rf64, smpl, wav

QUICK_ROUNDS = 60
LONG_ROUNDS = int(os.environ.get("BRIDGE_FUZZ_WAV_ROUNDS", "2000"))
LONGEST_S = 5.0
LONGEST_HOSTILE_S = 20.0  # tracing makes them ten times slower
OBJECTS_BYTES = 8_000_000
FLOOR_BYTES = 400_000  # what Python and expat take for the smallest file
BEFORE = [
    (b"bext", bext(time_reference=96_000, loudness=(1, 2, 3, 4, 5), history=b"A=PCM\r\n")),
    (b"iXML", ixml("<PROJECT>Song</PROJECT><SPEED><FILE_SAMPLE_RATE>48000</FILE_SAMPLE_RATE></SPEED>")),
    (b"acid", acid()),
    (b"LIST", info(INAM="Title", IBPM="120", IKEY="Dm")),
]
AFTER = [
    (b"cue ", cue((1, 0), (2, 900), (3, 1500))),
    (b"LIST", adtl((1, "Verse"), (2, "Chorus"), regions=[(3, 100)])),
    (b"smpl", smpl((10, 1000), (5, 20))),
    (b"what", b"ever"),
]


def aiff() -> bytes:
    comm = struct.pack(">hIh", 1, 500, 16) + struct.pack(">HQ", 16383 + 15, 48_000 << 48)
    mark = (
        struct.pack(">H", 2) + struct.pack(">hIB", 1, 50, 3) + b"abc" + struct.pack(">hIB", 2, 60, 3) + b"def"
    )
    parts = chunk(b"COMM", comm, order=">") + chunk(b"MARK", mark, order=">")
    body = b"AIFF" + parts + chunk(b"SSND", bytes(8 + 1000), order=">")
    return b"FORM" + struct.pack(">I", len(body)) + body


SEEDS: dict[str, Callable[[], bytes]] = {
    "before": lambda: wav(BEFORE, AFTER, samples=bytes(1000)),
    "after": lambda: wav(AFTER, BEFORE, samples=bytes(1000)),
    "RF64": lambda: rf64(BEFORE, AFTER, samples=bytes(1000)),
    "streamed": lambda: wav(BEFORE, samples=bytes(1000), data_size=0, riff_size=0xFFFFFFFF),
    "AIFF": aiff,
}
NUMBERS = (0, 1, 2, 7, 8, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFE, 0xFFFFFFFF)
NAMES = (
    b"bext",
    b"iXML",
    b"acid",
    b"cue ",
    b"LIST",
    b"smpl",
    b"data",
    b"fmt ",
    b"ds64",
    b"fact",
    b"MARK",
    b"COMM",
)


def flip(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 10)):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def number(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(4, max(5, len(content) - 4))
    content[at : at + 4] = struct.pack(dice.choice(("<I", ">I")), dice.choice(NUMBERS))


def size_of_a_chunk(content: bytearray, dice: random.Random) -> None:
    found = [content.find(name) for name in NAMES if name in content]
    if found:
        at = dice.choice(found) + 4
        content[at : at + 4] = struct.pack("<I", dice.choice((*NUMBERS, dice.randrange(3000))))


def rename(content: bytearray, dice: random.Random) -> None:
    found = [content.find(name) for name in NAMES if name in content]
    if found:
        at = dice.choice(found)
        content[at : at + 4] = dice.choice(NAMES)


def cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(1, len(content)) :]


def take_out(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    del content[at : at + dice.randint(1, 60)]


def put_in(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at:at] = dice.randbytes(dice.randint(1, 60))


def repeat(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at:at] = content[at : at + dice.randint(1, 600)] * dice.randint(1, 9)


MUTATIONS = (flip, number, size_of_a_chunk, rename, cut, take_out, put_in, repeat)


def use(path: Path, target: Path, dice: random.Random) -> None:
    """Everything that can be done with the chunks of a file."""
    chunks = read_chunks(path)
    start, frames = dice.randrange(2000), dice.randrange(2000)
    rate_hz = chunks.rate_hz or 48_000
    musical_facts(chunks, rate_hz)
    for changed in (
        for_cut(chunks, start, frames),
        for_rate(chunks, rate_hz, 44_100),
        for_changed_audio(chunks),
    ):
        musical_facts(changed, rate_hz)
    write_chunks(path, target, chunks)
    again = read_chunks(target)
    assert again.before == chunks.before or chunks.frames is not None  # `fact` and `COMM` are put right
    assert [one.name for one in again.all if one.name != b"ds64"][: len(chunks.before)] == [
        one.name for one in chunks.before
    ]
    assert again.data_bytes == chunks.data_bytes
    with suppress(ValueError):  # what an AIFF of 4 GiB and more gives
        assemble(for_cut(chunks, start, frames), data_bytes=2 * frames, frames=frames)


def survive(path: Path, target: Path, dice: random.Random, label: object) -> None:
    """Neither hangs, nor takes much memory, nor raises anything but what is promised."""
    tracemalloc.clear_traces()
    tracemalloc.reset_peak()
    begun = time.perf_counter()
    with suppress(AudioError):
        use(path, target, dice)
    assert time.perf_counter() - begun < LONGEST_S, label
    assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size + FLOOR_BYTES, label


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def fuzz(folder: Path, seed: str, rounds: int) -> None:
    whole = SEEDS[seed]()
    dice = random.Random(f"chunks-{seed}")
    path, target = folder / "take.wav", folder / "out.wav"
    for round_number in range(rounds):
        content = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            if content:
                dice.choice(MUTATIONS)(content, dice)
        path.write_bytes(content)
        survive(path, target, dice, (seed, round_number))


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_damaged_files(tmp_path: Path, traced: None, seed: str) -> None:
    fuzz(tmp_path, seed, QUICK_ROUNDS)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", SEEDS)
def test_very_many_damaged_files(tmp_path: Path, traced: None, seed: str) -> None:
    fuzz(tmp_path, seed, LONG_ROUNDS)


MANY = 10_000
HOSTILE: dict[str, Callable[[], bytes]] = {
    "as many cue points as are read": lambda: wav([(b"cue ", cue(*((n, n) for n in range(MANY))))]),
    "more cue points than are read": lambda: wav([(b"cue ", cue(*((n, n) for n in range(4 * MANY))))]),
    "as many labels as are read": lambda: wav([(b"LIST", adtl(*((n, "a") for n in range(MANY))))]),
    "empty labels": lambda: wav([(b"LIST", b"adtl" + chunk(b"labl", b"") * 100_000)]),
    "many loops": lambda: wav([(b"smpl", smpl(*((n, n) for n in range(MANY))))]),
    "many chunks": lambda: wav([(b"what", b"")] * 4500),
    "many lists": lambda: wav([(b"LIST", info(INAM="a"))] * 3000),
    "elements": lambda: wav([(b"iXML", ixml("<a/>" * 200_000))]),
    "new names": lambda: wav([(b"iXML", ixml("".join(f"<a{n}/>" for n in range(90_000))))]),
    "attributes": lambda: wav([(b"iXML", ixml("<a " + " ".join(f'a{n}=""' for n in range(90_000)) + "/>"))]),
    "lines": lambda: wav([(b"iXML", ixml("<a>" + "\n" * 900_000 + "</a>"))]),
    "depth": lambda: wav([(b"iXML", ixml("<a>" * 100_000))]),
    "a large iXML": lambda: wav([(b"iXML", ixml(" " * 3_000_000))]),
    "many iXML": lambda: wav([(b"iXML", ixml("<a>b</a>" * 1000))] * 40),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files(tmp_path: Path, traced: None, name: str) -> None:
    path = tmp_path / "take.wav"
    path.write_bytes(HOSTILE[name]())
    tracemalloc.clear_traces()
    tracemalloc.reset_peak()
    begun = time.perf_counter()
    use(path, tmp_path / "out.wav", random.Random(name))
    assert time.perf_counter() - begun < LONGEST_HOSTILE_S
    # What is held as objects is limited by number, not by the file: see MOST_ENTRIES, MOST_ELEMENTS.
    assert tracemalloc.get_traced_memory()[1] < 4 * path.stat().st_size + OBJECTS_BYTES
