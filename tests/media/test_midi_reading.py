from __future__ import annotations

import contextlib
import io
import random
import struct
import time
import tracemalloc
from fractions import Fraction
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media import midi_reading
from bridge.media.midi_files import notes_to_smf, smf_timeline, smf_to_notes
from bridge.media.musical_time import (
    Curve,
    Key,
    KeyPoint,
    Marker,
    MeterMap,
    MeterPoint,
    TempoMap,
    TempoPoint,
    Timeline,
)
from bridge.media.notes import Note, Transcription
from support.tempo_reference import meter_maps

F = Fraction
HEADER = b"MThd" + struct.pack(">IHHH", 6, 1, 1, 960)
END = b"\0\xff\x2f\0"


def file_of(*tracks: bytes, ppqn: int = 960) -> bytes:
    head = b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), ppqn)
    return head + b"".join(b"MTrk" + struct.pack(">I", len(track)) + track for track in tracks)


def by_mido(*tracks: list[Any], ppqn: int = 480) -> bytes:
    file = mido.MidiFile(type=1, ticks_per_beat=ppqn)
    file.tracks.extend(mido.MidiTrack(track) for track in tracks)
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def sample() -> bytes:
    """A file with all that the project writes."""
    rng = random.Random(3)
    notes = []
    for index in range(60):
        start_s = rng.uniform(0, 20)
        notes.append(
            Note(start_s, start_s + rng.uniform(0, 2), 30 + index, 80, 1.0, ((0.0, 0.3), (0.1, 0.5)))
        )
    timeline = Timeline(
        TempoMap((TempoPoint(F(0), F(97), Curve.LINEAR_IN_BEATS), TempoPoint(F(20), F(141)))),
        MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(8), 7, 8))),
        (KeyPoint(F(0), Key.named("Ebm")),),
        (Marker(F(4), "Strophe Zwölf"),),
    )
    heard = Transcription(tuple(notes), 22.0, ((0.0, 1.0), (2.0, 3.0)), pitch_bends="per_note")
    return notes_to_smf(heard, timeline, track_name="Voix", program=3).data


SAMPLE = sample()


def test_the_tempo_map_is_honoured() -> None:
    tempo = [(0, 500_000), (960, 1_000_000), (480, 250_000)]
    data = by_mido(
        [mido.MetaMessage("set_tempo", tempo=micros, time=delta) for delta, micros in tempo],
        [
            mido.Message("note_on", note=60, velocity=90, time=480),
            mido.Message("note_on", note=60, velocity=0, time=720),
            mido.Message("note_on", note=62, velocity=80, time=720),
            mido.MetaMessage("end_of_track", time=480),
        ],
    )
    assert smf_to_notes(data) == [Note(0.5, 1.5, 60, 90), Note(2.25, 2.5, 62, 80)]


def test_tempi_count_in_whatever_track_they_are() -> None:
    slow, fast = b"\xff\x51\x03\x0f\x42\x40", b"\xff\x51\x03\x03\xd0\x90"  # a second, a quarter of one
    notes = b"\x00\x90\x3c\x50\x8f\x00\x3c\x00" + END  # 1920 ticks
    data = file_of(b"\x00" + slow + END, notes, b"\x87\x40" + fast + END)
    assert smf_to_notes(data) == [Note(0, 1.25, 60, 80)]
    tempo = smf_timeline(data).tempo
    assert [(int(point.beat), int(point.bpm)) for point in tempo.points] == [(0, 60), (1, 240)]


def test_of_two_tempi_on_one_tick_the_last_counts() -> None:
    second, half, quarter = (
        b"\xff\x51\x03" + micros.to_bytes(3, "big") for micros in (10**6, 500_000, 250_000)
    )
    late = b"\x87\x40" + second + END
    early = b"\x00" + second + b"\x00" + quarter + b"\x87\x40" + half + b"\x00" + quarter + END
    notes = b"\x00\x90\x3c\x50\x8f\x00\x3c\x00" + END  # 1920 ticks
    assert smf_to_notes(file_of(late, early, notes)) == [Note(0, 0.5, 60, 80)]
    assert smf_to_notes(file_of(early, late, notes)) == [Note(0, 1.25, 60, 80)]
    tempo = smf_timeline(file_of(early, late)).tempo
    assert [(int(point.beat), int(point.bpm)) for point in tempo.points] == [(0, 240), (1, 60)]


def test_nothing_counts_after_the_end_of_a_track() -> None:
    track = b"\x00\x90\x3c\x50\x87\x40\x3c\x00" + END + b"\x00\x90\x40\x50\x87\x40\x40\x00" + END
    assert smf_to_notes(file_of(track)) == [Note(0, 0.5, 60, 80)]


@given(meter_maps(), st.integers(0, 11), st.sampled_from(["major", "minor"]), st.text(max_size=20))
def test_a_timeline_comes_back(meters: MeterMap, tonic: int, mode: Any, name: str) -> None:
    plain = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    wanted = Timeline(
        TempoMap((TempoPoint(F(0), F(125)), TempoPoint(F(3, 2), F(96)), TempoPoint(F(8), F(60)))),
        MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(8), 7, 8))),
        (KeyPoint(F(0), Key(tonic, mode)), KeyPoint(F(4), Key.named("Cb"))),
        (Marker(F(0), "A"), Marker(F(7, 2), plain)),
    )  # fmt: skip
    data = notes_to_smf(Transcription((), 60.0), wanted, track_name="x", start="project").data
    assert smf_timeline(data) == wanted


def test_a_bare_file_has_the_standard_s_tempo_and_meter() -> None:
    assert smf_timeline(file_of(END)) == Timeline.constant(120)
    assert smf_to_notes(file_of(END)) == []
    assert smf_to_notes(file_of()) == []


def test_what_cannot_be_is_passed_over() -> None:
    odd = [
        b"\xff\x58\x04\x00\x02\x18\x08", b"\xff\x58\x04\x04\x40\x18\x08", b"\xff\x58\x01\x04",
        b"\xff\x59\x02\x08\x00", b"\xff\x59\x02\x00\x02", b"\xff\x59\x01\x00", b"\xff\x51\x02\x07\xa1",
        b"\xff\x90\x01\x05", b"\xf0\x03\x01\x02\xf7", b"\xf7\x01\xf8", b"\xff\x01\x02ab",
    ]  # fmt: skip
    data = file_of(b"".join(b"\x81\x00" + event for event in odd) + b"\x00\xff\x06\x04B\xfchn" + END)
    assert smf_timeline(data) == Timeline(
        TempoMap.constant(120), MeterMap.constant(), (), (Marker(F(128 * len(odd), 960), "Bühn"),)
    )
    still = file_of(b"\x00\xff\x51\x03\x00\x00\x00" + END)
    assert smf_timeline(still).tempo.bpm_at(F(0)) == 60_000_000


def test_long_names_are_cut_between_letters() -> None:
    name = "ü" * 3000
    data = notes_to_smf(
        Transcription((), 1.0),
        Timeline(TempoMap.constant(120), MeterMap.constant(), markers=(Marker(F(0), "x" + name),)),
        track_name=name,
    ).data
    assert smf_timeline(data).markers[0].name == "x" + "ü" * 499


def test_running_status_and_other_chunks() -> None:
    track = (
        b"\x00\x90\x3c\x50\x83\x60\x3e\x50\x00\xff\x01\x00\x83\x60\x3c\x00\x00\x80\x3e\x40\x00\xc0\x05" + END
    )
    chunk = b"XYZZ" + struct.pack(">I", 3) + b"abc"
    data = file_of(track)
    data = data[:14] + chunk + data[14:]
    assert smf_to_notes(data) == [Note(0, 0.5, 60, 80), Note(0.25, 0.5, 62, 80)]
    assert smf_to_notes(data[:14] + chunk + data[14 + len(chunk) :] + b"rubbish behind") == smf_to_notes(data)


def test_a_note_that_is_never_ended_lasts_until_its_track_does() -> None:
    assert smf_to_notes(file_of(b"\x00\x90\x3c\x50\x87\x40\xff\x2f\x00")) == [Note(0, 0.5, 60, 80)]
    assert smf_to_notes(file_of(b"\x00\x90\x3c\x50\x87\x40\x80\x40\x00")) == [Note(0, 0.5, 60, 80)]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "does not begin with MThd"),
        (b"RIFF" + bytes(40), "does not begin with MThd"),
        (HEADER[:12] + b"\xe7\x28", "SMPTE"),
        (HEADER[:12] + b"\0\0", "SMPTE"),
        (HEADER, "0 of 1 tracks"),
        (HEADER + b"MTrk\xff\xff\xff\xff" + END, "longer than the file"),
        (file_of(b"\x00\xff\x01\x8f\xff\xff\x7f" + END), "longer than its track"),
        (file_of(b"\x00\xf0\x8f\xff\xff\x7f" + END), "longer than its track"),
        (file_of(b"\x00\x3c\x50" + END), "there is no event 0x00"),
        (file_of(b"\x00\xf4" + END), "there is no event 0xf4"),
        (file_of(b"\x00\x90\x3c\x80" + END), "out of range"),
        (file_of(b"\x00\x90\x3c"), "breaks off"),
        (file_of(b"\x00"), "breaks off"),
        (file_of(b"\x00\xff"), "breaks off"),
        (file_of(b"\x80\x80\x80\x80\x00\x90\x3c\x50"), "a length or a time is broken"),
        (file_of((b"\xff\xff\xff\x7f\xff\x01\x00" * 5000) + END), "lasts for years"),
    ],
)
def test_bytes_that_are_no_midi_file(data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        smf_to_notes(data)
    with pytest.raises(ValueError, match="MIDI"):
        smf_timeline(data)


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error(data: bytes) -> None:
    for read in (smf_to_notes, smf_timeline):
        with pytest.raises(ValueError, match="MIDI"):
            read(data)


@given(st.binary(max_size=200))
def test_any_track_gives_notes_or_a_value_error(track: bytes) -> None:
    for read in (smf_to_notes, smf_timeline):
        with contextlib.suppress(ValueError):
            read(file_of(track))


def damage(content: bytearray, dice: random.Random) -> None:
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(content))
        match dice.randrange(5):
            case 0:
                content[at] ^= 1 << dice.randrange(8)
            case 1:
                content[at] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, 0x51, 0x90, 0xF0))
            case 2:
                content[at : at + 4] = struct.pack(">I", dice.choice((0, 1, 0x7FFFFFFF, 0xFFFFFFFF)))
            case 3:
                del content[at : at + dice.randint(1, 9)]
            case _:
                content[at:at] = dice.randbytes(dice.randint(1, 9))
        if len(content) < 20:
            return


def fuzz(rounds: int, seed: int) -> int:
    """How many files still could be read."""
    dice = random.Random(seed)
    read = 0
    for _ in range(rounds):
        content = bytearray(SAMPLE)
        damage(content, dice)
        began = time.process_time()
        with contextlib.suppress(ValueError):
            assert all(note.end_s >= note.start_s >= 0 for note in smf_to_notes(bytes(content)))
            read += 1
        with contextlib.suppress(ValueError):
            timeline = smf_timeline(bytes(content))
            timeline.tempo.beat_at(F(100))
            timeline.meters.bar_beat_at(F(100))
        assert time.process_time() - began < 2
    return read


def test_damaged_files_give_notes_or_a_value_error() -> None:
    assert 0 < fuzz(300, 1) < 300


@pytest.mark.long
def test_ten_thousand_damaged_files() -> None:
    assert 0 < fuzz(10_000, 2) < 10_000


BYTES = 1 << 16
BOMBS = {
    "notes that never end": b"\x00\x90" + b"\x3c\x50\x00" * (BYTES // 3) + b"\x3c\x50" + END,
    "notes of no length": b"\x00\x90" + b"\x3c\x50\x00\x3c\x00\x00" * (BYTES // 6) + b"\x3c\x50" + END,
    "program changes": b"\x00\xc0" + b"\x05\x00" * (BYTES // 2) + b"\x05" + END,
    "tempi": b"\x01\xff\x51\x03\x07\xa1\x20\x01\xff\x51\x03\x07\xa1\x21" * (BYTES // 14) + END,
    "a long name": b"\x00\xff\x06\x83\xff\x00" + "🎹".encode().ljust(0xFF80, b"a") + END,
    "a long text": b"\x00\xff\x01\x83\xff\x00" + bytes(0xFF80) + END,
    "years": b"\xff\xff\xff\x7f\xc0\x00" * (BYTES // 6) + END,
    "empty texts": b"\x00\xff\x01\x00" * (BYTES // 4) + END,
}
CHANGES = {
    "tempi": BOMBS["tempi"],
    "meters": b"\x01\xff\x58\x02\x04\x02\x01\xff\x58\x02\x03\x02" * (BYTES // 12) + END,
    "markers": b"\x01\xff\x06\x01A" * (BYTES // 5) + END,
}
NOTE_BYTES, CHANGE_BYTES = 250, 1500


def peak_bytes(read: Any, data: bytes) -> tuple[int, Any]:
    """The most memory that reading took, and what was read."""
    found: Any = ()
    tracemalloc.start()
    try:
        with contextlib.suppress(ValueError):
            found = read(data)
        return tracemalloc.get_traced_memory()[1], found
    finally:
        tracemalloc.stop()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS)
def test_reading_notes_takes_no_more_than_the_file_and_the_notes(name: str) -> None:
    data = file_of(BOMBS[name])
    peak, notes = peak_bytes(smf_to_notes, data)
    assert peak < 4 * len(data) + NOTE_BYTES * len(notes)
    assert (len(notes) > 0) == ("notes" in name)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOMBS | CHANGES)
def test_reading_a_timeline_takes_no_more_than_the_file_and_its_changes(name: str) -> None:
    data = file_of((BOMBS | CHANGES)[name])
    peak, timeline = peak_bytes(smf_timeline, data)
    changes = (
        len(timeline.tempo.points) + len(timeline.meters.points) + len(timeline.markers) if timeline else 0
    )
    assert peak < 4 * len(data) + CHANGE_BYTES * changes
    assert (changes > 3) == (name in CHANGES)


@pytest.mark.slow
def test_many_empty_tracks() -> None:
    data = file_of(*[b""] * 20_000)
    for read in (smf_to_notes, smf_timeline):
        assert peak_bytes(read, data)[0] < 4 * len(data)
    assert smf_timeline(data) == Timeline.constant(120)


def test_files_that_are_too_big_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="more than 8388608 bytes"):
        smf_to_notes(bytes(midi_reading.MOST_BYTES + 1))
    monkeypatch.setattr(midi_reading, "MOST_NOTES", 1000)
    monkeypatch.setattr(midi_reading, "MOST_CHANGES", 1000)
    with pytest.raises(ValueError, match="more than 1000 notes"):
        smf_to_notes(file_of(BOMBS["notes that never end"]))
    for track in CHANGES.values():
        with pytest.raises(ValueError, match="more than 1000 changes"):
            smf_timeline(file_of(track))
