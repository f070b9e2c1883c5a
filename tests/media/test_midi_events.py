from __future__ import annotations

import io
import pickle
import random

import mido
import pytest

from bridge.media.midi_bytes import END, MARKER, TEMPO, meta, smf, varlen
from bridge.media.midi_events import DATA_BYTES, NoMidi, events, meter_of, opened, tempo_of, text_of
from support.midi_songs import Row, song_bytes

ENDED = b"\0" + meta(END, b"")


def walked(track: bytes, *, clip: bool = False) -> list[tuple[int, ...]]:
    """A track's messages with their ticks, and metas and sysex as kind and content."""
    data = smf([track], ppqn=480)
    file = opened(data, clip=clip)
    rows: list[tuple[int, ...]] = []
    for tick, status, first, second in events(file, next(file.tracks())):
        known = status in DATA_BYTES
        rows.append((tick, status, *((first, second) if known else data[first:second])))
    return rows


def random_rows(dice: random.Random) -> list[Row]:
    rows: list[Row] = []
    for _ in range(dice.randrange(60)):
        kind = dice.choice((0x80, 0x90, 0x90, 0xA0, 0xB0, 0xC0, 0xD0, 0xE0, 0xF0))
        beat = dice.randrange(64) / 8 if dice.random() < 0.9 else dice.random() * 3000
        if kind == 0xF0:
            content = [dice.randrange(128) for _ in range(dice.randrange(300))]
            rows.append((beat, (0xF0, *content, 0xF7)))
        else:
            count = DATA_BYTES[kind]
            channel = dice.choice((0, 0, 1, 9, 15))
            rows.append((beat, (kind | channel, *(dice.randrange(128) for _ in range(count)))))
    return rows


@pytest.mark.parametrize("seed", range(200))
def test_it_reads_what_mido_reads(seed: int) -> None:
    dice = random.Random(seed)
    data = song_bytes(*(random_rows(dice) for _ in range(dice.randrange(1, 5))), length=8)
    file, theirs = opened(data), mido.MidiFile(file=io.BytesIO(data))
    assert (file.kind, file.ppqn) == (theirs.type, theirs.ticks_per_beat)
    for span, track in zip(file.tracks(), theirs.tracks, strict=True):
        wanted, tick = [], 0
        for message in track:
            tick += message.time
            wanted.append((tick, bytes(message.bytes()) if not message.is_meta else b""))
        assert [(tick, content_of(data, *event)) for tick, *event in events(file, span)] == wanted


def content_of(data: bytes, status: int, first: int, second: int) -> bytes:
    if status in DATA_BYTES:
        return bytes((status, first, second)[: 1 + DATA_BYTES[status]])
    return bytes((status,)) + data[first:second] if status == 0xF0 else b""


def test_running_status_goes_on_after_meta_and_sysex_and_the_system_s_own() -> None:
    track = (
        b"\0\x90\x3c\x50\x05\x3e\x50" + b"\0" + meta(MARKER, b"A") + b"\x05\x3c\0"
        b"\0\xf0\x02\x01\xf7\0\x3e\0" + b"\0\xf8\0\xf2\x01\x02\0\xf6\0\x40\x01" + ENDED
    )  # fmt: skip
    assert walked(track) == [
        (0, 0x90, 0x3C, 0x50), (5, 0x90, 0x3E, 0x50), (5, MARKER, ord("A")), (10, 0x90, 0x3C, 0),
        (10, 0xF0, 1, 0xF7), (10, 0x90, 0x3E, 0), (10, 0xF8, 0, 0), (10, 0xF2, 1, 2), (10, 0xF6, 0, 0),
        (10, 0x90, 0x40, 1), (10, END),
    ]  # fmt: skip


def test_a_meta_of_no_type_is_not_taken_for_a_message() -> None:
    assert [row[1] for row in walked(b"\0\xff\x90\x02\x3c\x50\0\xff\xf0\0" + ENDED)] == [-1, -1, END]


@pytest.mark.parametrize("status", [0xF4, 0xF5, 0xF9, 0xFD])
def test_what_midi_does_not_define_is_refused(status: int) -> None:
    with pytest.raises(NoMidi, match=f"there is no event 0x{status:x}"):
        walked(b"\0" + bytes((status,)) + ENDED)


def test_data_out_of_range_are_refused_or_clipped() -> None:
    track = b"\0\x90\x3c\xff\0\xc1\x90" + ENDED
    with pytest.raises(NoMidi, match="out of range"):
        walked(track)
    assert walked(track, clip=True) == [(0, 0x90, 60, 127), (0, 0xC1, 127, 127), (0, END)]


def test_times_of_all_lengths() -> None:
    times = (0, 1, 127, 128, 16_383, 16_384, 0x0FFFFFFF)
    track = b"".join(varlen(time) + meta(TEMPO, b"abc") for time in times) + ENDED
    assert [row[0] for row in walked(track)][:-1] == [sum(times[: n + 1]) for n in range(len(times))]


def test_a_time_may_be_written_longer_than_it_is() -> None:
    assert walked(b"\x80\x05\xc0\x01\x80\x80\x80\x05\x02" + ENDED) == [
        (5, 0xC0, 1, 1),
        (10, 0xC0, 2, 2),
        (10, END),
    ]


def test_what_is_wrong_with_a_file_outlives_its_way_between_processes() -> None:
    fault = pickle.loads(pickle.dumps(NoMidi("a track breaks off")))
    assert (str(fault), fault.why) == ("this is no MIDI file: a track breaks off", "a track breaks off")


@pytest.mark.parametrize(
    ("content", "meter"),
    [
        (b"\x06\x03\x24\x08", (6, 8)), (b"\x07\x07", (7, 128)), (b"\xff\x00", (255, 1)),
        (b"\0\x02", None), (b"\x04\x08", None), (b"\x04", None), (b"", None),
    ],
)  # fmt: skip
def test_meters(content: bytes, meter: tuple[int, int] | None) -> None:
    assert meter_of(content) == meter


def test_tempi_have_three_bytes() -> None:
    assert tempo_of(b"\x07\xa1\x20") == 500_000
    assert tempo_of(b"\x07\xa1") is None
    assert tempo_of(b"\x00\x07\xa1\x20") is None


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Bässe 低音".encode(), "Bässe 低音"), ("Bässe".encode("latin-1"), "Bässe"),
        (b"x" + "ü".encode() * 3000, "x" + "ü" * 499), (b"a" * 5000, "a" * 1000),
    ],
)  # fmt: skip
def test_texts(content: bytes, text: str) -> None:
    assert text_of(content) == text
