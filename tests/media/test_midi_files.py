from __future__ import annotations

import contextlib
import io
import json
import math
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.midi_files import PPQN, notes_to_smf, smf_to_notes
from bridge.media.notes import CSV_HEADER, Note, notes_from_json, notes_to_csv, notes_to_json

TEMPI = st.floats(20, 400, allow_nan=False)


def half_tick_s(tempo_bpm: float) -> float:
    return round(60_000_000 / tempo_bpm) / 1e6 / PPQN / 2 + 1e-9


@st.composite
def any_notes(draw: st.DrawFn) -> list[Note]:
    """Notes as an engine may give them: overlapping, of no length, at the same place."""
    starts = st.floats(0, 700, allow_nan=False, allow_subnormal=False)
    lengths = st.one_of(st.just(0.0), st.floats(0, 20, allow_nan=False, allow_subnormal=False))
    rows = draw(st.lists(st.tuples(starts, lengths, st.integers(0, 127), st.integers(1, 127)), max_size=30))
    return [Note(start, start + length, pitch, velocity) for start, length, pitch, velocity in rows]


@st.composite
def apart_notes(draw: st.DrawFn) -> list[Note]:
    """Notes that do not overlap on one pitch, each far longer than a tick."""
    notes = []
    for pitch in draw(st.lists(st.integers(0, 127), unique=True, max_size=6)):
        now = 0.0
        for gap, length in draw(st.lists(st.tuples(st.floats(0.01, 9), st.floats(0.01, 9)), max_size=6)):
            notes.append(Note(now + gap, now + gap + length, pitch, draw(st.integers(1, 127))))
            now += gap + length
    return sorted(notes, key=lambda note: (note.start_s, note.pitch))


def smf(notes: list[Note], *, tempo_bpm: float = 120.0, **options: Any) -> bytes:
    return notes_to_smf(notes, tempo_bpm=tempo_bpm, track_name="Bass", **options)


def events(data: bytes) -> list[tuple[int, Any]]:
    """(tick, message) of the note track."""
    tick, found = 0, []
    for message in mido.MidiFile(file=io.BytesIO(data), charset="utf-8").tracks[1]:
        tick += message.time
        found.append((tick, message))
    return found


@given(apart_notes(), TEMPI)
def test_seconds_survive_any_tempo_to_half_a_tick(notes: list[Note], tempo_bpm: float) -> None:
    back = smf_to_notes(smf(notes, tempo_bpm=tempo_bpm))
    near = half_tick_s(tempo_bpm)
    by_note = sorted(back, key=lambda note: (note.pitch, note.start_s))
    assert len(back) == len(notes)
    for was, now in zip(sorted(notes, key=lambda n: (n.pitch, n.start_s)), by_note, strict=True):
        assert (now.pitch, now.velocity) == (was.pitch, was.velocity)
        assert abs(now.start_s - was.start_s) <= near
        assert abs(now.end_s - was.end_s) <= near


@given(any_notes(), TEMPI, st.one_of(st.none(), st.floats(0, 900)))
def test_any_notes_make_a_sound_file(notes: list[Note], tempo_bpm: float, duration_s: float | None) -> None:
    data = smf(notes, tempo_bpm=tempo_bpm, duration_s=duration_s)
    sounding: set[int] = set()
    offs_done = -1
    for tick, message in events(data):
        if message.type == "note_on":
            assert message.note not in sounding
            sounding.add(message.note)
            offs_done = tick
        elif message.type == "note_off":
            assert message.note in sounding
            sounding.remove(message.note)
            assert tick > offs_done, "a note-off came after a note-on of its tick"
    assert not sounding
    near = half_tick_s(tempo_bpm)
    end_s = events(data)[-1][0] * 2 * (near - 1e-9)
    assert end_s >= max([duration_s or 0.0, *(note.end_s for note in notes)]) - near
    starts = {(round(note.start_s * 960e6 / round(60e6 / tempo_bpm)), note.pitch) for note in notes}
    assert len(smf_to_notes(data)) == len(starts)


@given(any_notes())
def test_json_round_trip(notes: list[Note]) -> None:
    data = json.loads(json.dumps(notes_to_json(notes, duration_s=720.5, about={"engine": "x"})))
    back, duration_s, about = notes_from_json(data)
    assert sorted(back, key=repr) == sorted(notes, key=repr)
    assert (duration_s, about) == (720.5, {"engine": "x"})
    assert [note.start_s for note in back] == sorted(note.start_s for note in notes)


@given(st.binary(max_size=300))
def test_garbage_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError, match="MIDI"):
        smf_to_notes(data)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_damaged_file_gives_notes_or_a_value_error(at: int, value: int) -> None:
    data = bytearray(smf([Note(0, 1, 60, 100), Note(1, 2, 64, 90)], program=3))
    data[at % len(data)] = value
    with contextlib.suppress(ValueError):
        smf_to_notes(bytes(data))


def test_the_file_is_type_1_with_tempo_meter_and_names() -> None:
    data = smf([Note(0.5, 1.0, 60, 100)], tempo_bpm=128.0, duration_s=4.0, program=33, channel=2)
    file = mido.MidiFile(file=io.BytesIO(data))
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (1, 960, 2)
    head = {message.type: message for message in file.tracks[0]}
    assert head["set_tempo"].tempo == 468_750
    assert (head["time_signature"].numerator, head["time_signature"].denominator) == (4, 4)
    assert head["track_name"].name == file.tracks[1][0].name == "Bass"
    assert [message.type for message in file.tracks[1]] == [
        "track_name", "program_change", "note_on", "note_off", "end_of_track",
    ]  # fmt: skip
    assert {message.channel for message in file.tracks[1] if not message.is_meta} == {2}
    assert [sum(message.time for message in track) for track in file.tracks] == [8192, 8192]


def test_names_in_any_script_are_utf8_without_control_characters() -> None:
    data = notes_to_smf([], tempo_bpm=120, track_name="Bässe\n低音\0 🎹")
    assert "Bässe 低音 🎹".encode() in data


def test_the_file_never_ends_before_its_last_note() -> None:
    assert events(smf([Note(0, 3, 60, 100)], duration_s=1.0))[-1][0] == 3 * 2 * PPQN
    assert events(smf([Note(0, 3, 60, 100)], duration_s=5.0))[-1][0] == 5 * 2 * PPQN
    assert events(smf([]))[-1][0] == 0


def test_a_repeated_note_ends_the_one_before_it() -> None:
    back = smf_to_notes(smf([Note(0, 2, 60, 100), Note(1, 1.5, 60, 90), Note(1, 3, 61, 80)]))
    assert [(note.start_s, note.end_s, note.pitch) for note in back] == [(0, 1, 60), (1, 1.5, 60), (1, 3, 61)]


def test_two_notes_at_one_place_are_one() -> None:
    back = smf_to_notes(smf([Note(0, 2, 60, 50), Note(0.0001, 1, 60, 90)]))
    assert back == [Note(0, 2, 60, 90)]


def test_a_note_of_no_length_is_one_tick_long() -> None:
    (note,) = smf_to_notes(smf([Note(1, 1, 60, 100)]))
    assert note.end_s - note.start_s == pytest.approx(0.5 / PPQN)


def test_the_tempo_map_is_honoured() -> None:
    file = mido.MidiFile(type=1, ticks_per_beat=480)
    tempo = [(0, 500_000), (960, 1_000_000), (480, 250_000)]
    file.tracks.append(
        mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=us, time=delta) for delta, us in tempo])
    )
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.Message("note_on", note=60, velocity=90, time=480),
                mido.Message("note_on", note=60, velocity=0, time=720),
                mido.Message("note_on", note=62, velocity=80, time=720),
                mido.MetaMessage("end_of_track", time=480),
            ]
        )
    )
    out = io.BytesIO()
    file.save(file=out)
    back = smf_to_notes(out.getvalue())
    assert back == [Note(0.5, 1.5, 60, 90), Note(2.25, 2.5, 62, 80)]


@pytest.mark.parametrize(
    ("note", "words"),
    [
        (Note(-0.1, 1, 60, 100), "start_s must be in range 0"),
        (Note(math.nan, 1, 60, 100), "start_s"),
        (Note(0, math.inf, 60, 100), "end_s"),
        (Note(1, 0.5, 60, 100), "end_s must be in range start_s"),
        (Note(0, 1, 128, 100), "pitch must be in range 0..127"),
        (Note(0, 1, -1, 100), "pitch"),
        (Note(0, 1, 60, 0), "velocity must be in range 1..127"),
        (Note(0, 1, 60, 128), "velocity"),
        (Note(0, 1, 60, 100, 1.5), "confidence must be in range 0..1"),
        (Note(0, 1, 60, 100, math.nan), "confidence"),
    ],
)
def test_notes_that_cannot_be(note: Note, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        smf([note])
    with pytest.raises(ValueError, match=words):
        notes_to_json([note], duration_s=1, about={})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tempo_bpm": 0}, "tempo_bpm must be in range 4"),
        ({"tempo_bpm": math.nan}, "tempo_bpm"),
        ({"tempo_bpm": 1001}, "tempo_bpm"),
        ({"channel": 16}, "channel must be in range 0..15"),
        ({"program": 128}, "program must be in range 0..127"),
        ({"duration_s": -1}, "duration_s"),
        ({"duration_s": math.inf}, "duration_s"),
        ({"duration_s": 1e9}, "time in ticks must be in range"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        smf([Note(0, 1, 60, 100)], **options)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 2, "duration_s": 1, "about": {}, "notes": []},
        {"version": 1, "duration_s": 1, "about": {}, "notes": [[0, 1, 60]]},
        {"version": 1, "duration_s": 1, "about": {}, "notes": [[0, 1, 60, 200, 1]]},
        {"version": 1, "duration_s": 1, "about": {}, "notes": 3},
        {"version": 1, "duration_s": -1, "about": {}, "notes": []},
        {"version": 1, "duration_s": 1, "about": 3, "notes": []},
    ],
)
def test_json_that_is_no_list_of_notes(data: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        notes_from_json(data)


def test_csv() -> None:
    text = notes_to_csv([Note(1, 1.5, 62, 90, 0.25), Note(0.1234567, 1, 60, 100)])
    assert text == f"{CSV_HEADER}\n0.123457,1.000000,60,100,1.0000\n1.000000,1.500000,62,90,0.2500\n"
    assert CSV_HEADER == "start_s,end_s,pitch,velocity,confidence"
