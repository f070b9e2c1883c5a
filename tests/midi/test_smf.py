from __future__ import annotations

import io
import random
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise

import mido
import pytest

from bridge.media.midi_bytes import END, KEY, METER, NAME, TEMPO, meta, smf
from bridge.midi.smf import Note, Song, read_song
from support.midi_songs import PPQN, Row, bend, control, off, on, program, song_bytes

ENDED = b"\0" + meta(END, b"")
C4 = b"\0\x90\x3c\x50\x83\x60\x3c\0"
"""A beat of one note, by running status."""


def song_of(*tracks: bytes, kind: int = 1) -> Song:
    data = smf([track + ENDED for track in tracks], ppqn=PPQN)
    return read_song(data[:9] + bytes((kind,)) + data[10:])


def sysex_of(track: bytes) -> list[tuple[int, tuple[int, ...]]]:
    return song_of(track).tracks[0].rest


# What others read


def random_rows(dice: random.Random) -> list[Row]:
    rows: list[Row] = []
    for _ in range(dice.randrange(80)):
        beat, channel, key = dice.randrange(96) / 12, dice.randrange(2), dice.randrange(60, 64)
        value = dice.randrange(128)
        rows.append(
            (
                beat,
                dice.choice(
                    [
                        *(
                            on(key, value, channel),
                            on(key, 0, channel),
                            off(key, channel),
                            (0x80, key, value),
                        ),
                        *(control(value, value, channel), program(value, channel), bend(value * 99, channel)),
                        *((0xA0, key, value), (0xD1, value), (0xF0, *[value] * dice.randrange(200), 0xF7)),
                    ]
                ),
            )
        )
    return rows


def told_by_mido(track: mido.MidiTrack) -> tuple[list[tuple[int, ...]], list[tuple[int, tuple[int, ...]]]]:
    """Sorted notes (channel, key, start, end, velocity), and the rest in its order."""
    notes: list[tuple[int, ...]] = []
    begun: defaultdict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    rest, tick = [], 0
    for message in track:
        tick += message.time
        if message.type in ("note_on", "note_off"):
            key = (message.channel, message.note)
            if message.type == "note_on" and message.velocity:
                begun[key].append((tick, message.velocity))
            elif begun[key]:
                start, velocity = begun[key].pop(0)
                notes.append((*key, start, max(tick, start + 1), velocity))
        elif not message.is_meta:
            rest.append((tick, tuple(message.bytes())))
    for key, line in begun.items():
        notes.extend((*key, start, max(tick, start + 1), velocity) for start, velocity in line)
    return sorted(notes), rest


def row_of(note: Note) -> tuple[int, ...]:
    return (note.channel, note.key, note.start, note.end, note.velocity)


@pytest.mark.parametrize("seed", range(200))
def test_it_reads_what_mido_reads(seed: int) -> None:
    dice = random.Random(seed)
    rows = [random_rows(dice) for _ in range(dice.randrange(1, 4))]
    data = song_bytes(*rows, length=dice.choice((0, 8)), kind=0 if len(rows) == 1 else 1, names=["Bass"])
    told = [told_by_mido(track) for track in mido.MidiFile(file=io.BytesIO(data)).tracks]
    song = read_song(data)
    assert [(sorted(map(row_of, track.notes)), track.rest) for track in song.tracks] == [
        (notes, rest) for notes, rest in told if notes or rest
    ]
    assert all(a.start <= b.start for track in song.tracks for a, b in pairwise(track.notes))


def test_mido_stays_out_of_the_process() -> None:
    code = "import sys, bridge.midi.sequence; print('mido' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# What is odd


@pytest.mark.parametrize(
    "odd",
    [
        meta(KEY, b"\x0b\x00"), meta(KEY, b"\x00\x07"), meta(KEY, b""), meta(TEMPO, b"\x07"),
        meta(TEMPO, b""),
        meta(METER, b"\x04"), meta(METER, b"\x00\x02\x18\x08"), meta(METER, b"\x04\xff\x18\x08"),
        meta(0x54, b"\xff"), meta(0x00, b"\x01"), meta(0x7E, b"abc"), b"\xff\x90\x01\x05",
        meta(0x01, b"\xff\xfe\x00"), b"\xf7\x02\xfa\xf8", b"\xf7\x03\xf3\x05\xf7", b"\xf8", b"\xfa", b"\xfe",
    ],
)  # fmt: skip
def test_odd_metas_and_bare_bytes_are_passed_over(odd: bytes) -> None:
    song = song_of(b"\0" + odd + C4)
    assert [row_of(note) for note in song.tracks[0].notes] == [(0, 60, 0, 480, 80)]
    assert (song.tracks[0].rest, song.bpm, song.meter) == ([], None, None)


def test_running_status_goes_on_after_a_meta_and_sysex() -> None:
    begin, end = b"\0\x90\x3c\x50\0" + meta(0x01, b"la"), b"\x60\x3c\0\0\xf0\x02\x01\xf7\0\x3e\x50\x60\x3e\0"
    song = song_of(begin + end)
    assert [row_of(note)[1:4] for note in song.tracks[0].notes] == [(60, 0, 96), (62, 96, 192)]


def test_data_out_of_range_are_clipped() -> None:
    (track,) = song_of(b"\0\x90\x3c\xff\x60\x80\x3c\xff\0\xb0\x07\x90").tracks
    assert [(row_of(note), note.release) for note in track.notes] == [((0, 60, 0, 96, 127), 127)]
    assert track.rest == [(96, (0xB0, 7, 127))]


def test_a_song_select_is_kept() -> None:
    assert song_of(b"\0\xf3\x05\0\xf6" + C4).tracks[0].rest == [(0, (0xF3, 5)), (0, (0xF6,))]


def test_other_chunks_and_what_stands_behind_the_tracks_are_passed_over() -> None:
    data = smf([C4 + ENDED], ppqn=PPQN)
    chunk = b"XYZZ\0\0\0\3abc"
    assert read_song(data[:14] + chunk + data[14:] + b"more") == read_song(data)


# System exclusive


def test_packets_are_one_message_at_the_last_one_s_time() -> None:
    packets = b"\0\xf0\x03\x43\x12\x00\x60\xf7\x02\x43\x13\x60\xf7\x02\x00\xf7"
    assert sysex_of(packets) == [(192, (0xF0, 0x43, 0x12, 0, 0x43, 0x13, 0, 0xF7))]


def test_metas_do_not_part_packets() -> None:
    assert sysex_of(b"\0\xf0\x01\x43\0" + meta(0x01, b"la") + b"\0\xf7\x02\x01\xf7") == [
        (0, (0xF0, 0x43, 1, 0xF7))
    ]


@pytest.mark.parametrize("behind", [b"\0\xb0\x07\x05", b"\0\xf0\x02\x05\xf7", b""])
def test_one_without_an_end_ends_where_something_else_comes(behind: bytes) -> None:
    rest = sysex_of(b"\x10\xf0\x02\x43\x12" + behind)
    assert rest[0] == (16, (0xF0, 0x43, 0x12, 0xF7))
    assert len(rest) == (2 if behind else 1)


def test_a_whole_one_in_an_escape_is_kept() -> None:
    whole = (0, (0xF0, 0x43, 0x12, 0xF7))
    assert sysex_of(b"\0\xf7\x04\xf0\x43\x12\xf7\0\xf7\x02\x01\xf7\0\xf0\x04\xf0\x43\x12\xf7") == [
        whole,
        whole,
    ]


def test_only_what_passes_through_jack_is_kept_however_it_is_parted() -> None:
    def parted(size: int) -> bytes:
        half = (0x80 | 7999 >> 7, 7999 & 0x7F)
        rest = size - 2 - 7999 + 1
        return (
            b"\0\xf0" + bytes(half) + b"\1" * 7999 +
            b"\0\xf7" + bytes((0x80 | rest >> 7, rest & 0x7F)) + b"\1" * (rest - 1) + b"\xf7"
        )  # fmt: skip

    rest = sysex_of(parted(16_000) + parted(16_001) + b"\0\xf0\x02\x05\xf7")
    assert [len(data) for _, data in rest] == [16_000, 3]


# Tempo, meter, names


def test_the_first_tempo_and_meter_are_the_first_in_time_of_whatever_track() -> None:
    late = b"\x60" + meta(TEMPO, b"\x03\xd0\x90") + b"\0" + meta(METER, b"\x03\x02\x18\x08")
    early = (
        b"\0"
        + meta(TEMPO, b"\0\0\0")
        + b"\0"
        + meta(TEMPO, b"\x0f\x42\x40")
        + b"\0"
        + meta(METER, b"\x06\x03")
    )
    for tracks in ((late, early), (early, late), (early + late,)):
        song = song_of(*tracks)
        assert (song.bpm, song.meter) == (60, "6/8")
    assert (song_of(late).bpm, song_of(late).meter) == (240, "3/4")


def test_names_are_read_in_utf_8_or_latin_1_and_the_first_counts() -> None:
    song = song_of(
        *(b"\0" + meta(NAME, name) + b"\0" + meta(NAME, b"second") + C4
          for name in ("Bässe ".encode(), "Chöre".encode("latin-1"), b""))
    )  # fmt: skip
    assert [track.name for track in song.tracks] == ["Bässe", "Chöre", "second"]


# Ends


def test_a_note_without_an_end_ends_with_its_own_track() -> None:
    song = song_of(b"\0\x90\x3c\x50\x60" + meta(0x01, b""), b"\0\x91\x3c\x50\x83\x60\x81\x3c\x40")
    assert [note.end for track in song.tracks for note in track.notes] == [96, 480]
    assert song.end == 480


def test_one_that_begins_where_its_track_ends_has_a_length() -> None:
    song = song_of(b"\x60\x90\x3c\x50")
    assert (song.tracks[0].notes[0].end, song.end) == (97, 97)


# What is refused


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"RIFF" + bytes(40), r"no MIDI file, or a damaged one \(it does not begin with MThd\)"),
        (smf([C4], ppqn=480)[:-1], r"a damaged one \(a track is longer than the file\)"),
        (smf([C4[:-1]], ppqn=480), r"a damaged one \(a track breaks off\)"),
        (smf([b"\0\x3c\x50"], ppqn=480), r"a damaged one \(there is no event 0x00\)"),
        (smf([C4], ppqn=480)[:12] + b"\xe7\x28" + smf([C4], ppqn=480)[14:], "SMPTE"),
        (bytes((8 << 20) + 1), "more than 8 MB"),
    ],
)
def test_what_cannot_be_played_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_song(data)


@pytest.mark.parametrize("kind", [2, 5])
def test_tracks_that_are_songs_of_their_own_are_refused(kind: int) -> None:
    with pytest.raises(ValueError, match=f"songs of their own.*type {kind}"):
        song_of(C4, kind=kind)
