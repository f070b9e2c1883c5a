"""Damaged project files and pure garbage: a project or a clear error, quickly and in little memory."""

from __future__ import annotations

import gzip
import os
import random
import time
import tracemalloc
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.errors import BridgeError
from bridge.media.project_files import Project, place_of, read_project
from support.projects import ardour_session, live_meter, live_scale, live_set, reaper_meter, reaper_project

pytestmark = pytest.mark.slow

ROUNDS = max(int(os.environ.get("BRIDGE_FUZZ_ROUNDS", "60")) // 15, 20)  # of each of nine kinds
LONGEST_S = 2.0
MOST_BYTES = 40_000_000  # and four times the file
DURATION_S = Fraction(8)

NUMBERS = [
    b"0", b"-1", b"1e99", b"1e-99", b"-63072000", b"nan", b"inf", b"1e999999999", b"9" * 400, b"0x10", b"",
    b"1/0", b"99999999999", b"0.0000000001", "\u0663".encode(), b"1_000", b"4294967295", b"2147483648",
]  # fmt: skip
BITS = [
    b"<",
    b">",
    b'"',
    b"'",
    b"`",
    b"\0",
    b"\n",
    b"<!DOCTYPE a>",
    b"&a;",
    b"<Tracks>",
    b"</Tracks>",
    b"b",
    b"a",
    b"|",
]


def live(path: Path) -> Path:
    bent = 'CurveControl1X="0.5" CurveControl1Y="0" CurveControl2X="1" CurveControl2Y="0.5"'
    more = '<Transport><LoopOn Value="true"/><LoopStart Value="16"/><LoopLength Value="8"/></Transport>'
    return live_set(
        path,
        tempi=[(0, 100), (4.5, 120, bent), (8, 150), (8, 90)],
        meters=[(0, live_meter(4, 4)), (8, live_meter(7, 8))],
        locators=[(0, "A"), (12.25, "B & C")],
        scale=live_scale(9, "Minor"),
        more=more,
    )


def reaper(path: Path) -> Path:
    return reaper_project(
        path,
        "SAMPLERATE 48000 1 0", "PROJOFFS 10.5 -2 0", "RENDER_PATTERN $project-$region",
        "RENDER_RANGE 2 0 8 18 1000", "SELECTION 4 12", "MARKER 1 4 Verse 1 0",
        "MARKER 1 12 Verse 1 0", 'MARKER 2 3.5 "a b" 0',
        points=[f"PT 0 120 1 {reaper_meter(4, 4)} 0 1", "PT 4 100 0", f"PT 7.5 140 1 {reaper_meter(6, 8)}"],
    )  # fmt: skip


def ardour(path: Path) -> Path:
    return ardour_session(
        path,
        tempi=[(0, 120, 120), (8, 100, 150), (14, 90, 90)],
        meters=[(0, 4, 4), (8, 7, 8)],
        locations=[("Verse", "a564480000", "b23040", "IsRangeMarker"), ("m", "96000", "96000", "IsMark")],
    )


MAKERS: dict[str, Callable[[Path], Path]] = {".als": live, ".rpp": reaper, ".ardour": ardour}


def flip_bits(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 12)):
        content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)


def cut(content: bytearray, dice: random.Random) -> None:
    del content[dice.randrange(len(content)) :]


def take_out(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    del content[at : at + dice.randint(1, 300)]


def repeat(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at:at] = content[at : at + dice.randint(1, 300)] * dice.randint(1, 30)


def put_in(content: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(content))
    content[at:at] = dice.choice(BITS) * dice.choice((1, 1, 3, 500))


def put_number(content: bytearray, dice: random.Random) -> None:
    """Another number in the place of one."""
    places = [at for at in range(len(content)) if chr(content[at]).isdigit()]
    at = dice.choice(places or [0])
    end = at
    while end < len(content) and chr(content[end]) in "0123456789.":
        end += 1
    content[at:end] = dice.choice(NUMBERS)


MUTATIONS = [flip_bits, cut, take_out, repeat, put_in, put_number, put_number]


def examined(path: Path) -> Project | BridgeError:
    try:
        return read_project(path)
    except BridgeError as fault:
        return fault


def survive(path: Path, label: object) -> None:
    """Neither hangs, nor takes much memory, nor raises what is not promised; what it gives can be used."""
    begun = time.perf_counter()
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    project = examined(path)
    assert tracemalloc.get_traced_memory()[1] - before < MOST_BYTES + 4 * path.stat().st_size, label
    if isinstance(project, BridgeError):
        assert project.file == str(path), label
        assert project.remedy, label
    else:
        place_of(project, Path("Verse.wav"), duration_s=DURATION_S)
        for beat in (Fraction(-4), Fraction(0), Fraction(100)):
            assert abs(project.tempo.beat_at(project.tempo.seconds_at(beat)) - beat) < 1, label
            project.meters.bar_beat_at(beat)
    assert time.perf_counter() - begun < LONGEST_S, label


@pytest.mark.parametrize("suffix", MAKERS)
@pytest.mark.parametrize("packed", [False, True], ids=["text", "packed"])
def test_damaged_files(tmp_path: Path, suffix: str, packed: bool) -> None:
    """`packed`: the damage is done to the file as it lies on the disk, else to what is packed in it."""
    path = MAKERS[suffix](tmp_path / f"song{suffix}")
    whole = path.read_bytes()
    whole = gzip.decompress(whole) if suffix == ".als" and not packed else whole
    dice = random.Random(f"{suffix}-{packed}")
    tracemalloc.start()
    try:
        for round_number in range(ROUNDS):
            content = bytearray(whole)
            for mutation in dice.choices(MUTATIONS, k=dice.randint(1, 4)):
                if content:
                    mutation(content, dice)
            is_set = suffix == ".als" and not packed
            path.write_bytes(gzip.compress(content, 1) if is_set else content)
            survive(path, (suffix, packed, round_number))
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("suffix", MAKERS)
def test_garbage(tmp_path: Path, suffix: str) -> None:
    dice = random.Random(suffix)
    path = tmp_path / f"song{suffix}"
    heads = [
        b"",
        b"\x1f\x8b\x08",
        b"<?xml",
        b"<Ableton><LiveSet>",
        b"<REAPER_PROJECT\n",
        b"<Session><TempoMap>",
    ]
    tracemalloc.start()
    try:
        for round_number in range(ROUNDS):
            path.write_bytes(dice.choice(heads) + dice.randbytes(dice.randint(0, 4000)))
            survive(path, (suffix, round_number))
    finally:
        tracemalloc.stop()


HEAD = b'<?xml version="1.0"?><Ableton Creator="Ableton Live 12.0"><LiveSet>'


@pytest.mark.parametrize(
    ("head", "filling", "megabytes"),
    [
        (HEAD, b" ", 300),
        (HEAD, b"<a>", 40),
        (HEAD + b"<Tracks>", b"<a>", 40),
        (HEAD + b'<a b="', b"x", 40),
        (HEAD + b"<MainTrack><AutomationEnvelopes><Envelopes><AutomationEnvelope><Automation><Events>",
         b'<FloatEvent Time="1" Value="2"/>', 40),
    ],
    ids=["blanks", "deep", "deep tracks", "long", "events"],
)  # fmt: skip
def test_bombs(tmp_path: Path, head: bytes, filling: bytes, megabytes: int) -> None:
    """Small files that grow while they are read."""
    path = tmp_path / "bomb.als"
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with path.open("wb") as file:
        file.write(packer.compress(head))
        for _ in range(megabytes):
            file.write(packer.compress(filling * ((1 << 20) // len(filling))))
        file.write(packer.flush())
    tracemalloc.start()
    begun = time.perf_counter()
    try:
        fault = examined(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES + 4 * path.stat().st_size
    finally:
        tracemalloc.stop()
    assert isinstance(fault, BridgeError)
    assert time.perf_counter() - begun < 10 * LONGEST_S
