from __future__ import annotations

import io

import mido
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.midi.sequence import Sequence
from support.far_end import Synth
from support.midi_songs import PPQN, Row, bend, control, off, on, program, scale, song_bytes


def read(*tracks: list[Row], **options: object) -> Sequence:
    return Sequence.read(song_bytes(*tracks, **options), "song.mid")  # type: ignore[arg-type]


def data_at(sequence: Sequence, beat: float) -> list[tuple[int, ...]]:
    return [data for at, data in sequence.events if at == pytest.approx(beat)]


# Reading


def test_a_song_is_read_in_beats() -> None:
    sequence = read(scale(2), length=8)
    assert sequence.length == 8
    assert list(sequence.events) == [(0.0, on(60)), (0.9, off(60)), (1.0, on(61)), (1.9, off(61))]


def test_tempo_and_meter_are_kept_but_not_played_by() -> None:
    file = mido.MidiFile(ticks_per_beat=PPQN)
    file.tracks.append(
        mido.MidiTrack(
            [
                mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(93)),
                mido.MetaMessage("time_signature", numerator=6, denominator=8),
                mido.Message("note_on", note=60, time=PPQN),
                mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(180)),
                mido.Message("note_off", note=60, time=PPQN),
            ]
        )
    )
    out = io.BytesIO()
    file.save(file=out)
    sequence = Sequence.read(out.getvalue())
    assert (round(sequence.bpm or 0, 3), sequence.meter) == (93, "6/8")
    assert [beat for beat, _ in sequence.events] == [1, 2]


def test_what_ends_comes_before_what_sets_and_that_before_what_sounds() -> None:
    sequence = read(
        [(1, on(62)), (1, control(7, 90)), (1, program(5)), (0, on(60)), (1, off(60)), (2, off(62))]
    )
    assert data_at(sequence, 1) == [off(60), control(7, 90), program(5), on(62)]


def test_a_note_that_is_never_ended_ends_with_its_track() -> None:
    sequence = read([(0, on(60))], [(0, on(40, channel=1)), (6, off(40, channel=1))], length=4)
    assert (4.0, off(60)) in sequence.events


def test_a_note_that_is_struck_again_ends_first() -> None:
    sequence = read([(0, on(60, 50)), (1, on(60, 60)), (2, off(60)), (3, off(60))])
    assert list(sequence.events) == [(0, on(60, 50)), (1, off(60)), (1, on(60, 60)), (3, off(60))]


def test_a_note_of_no_length_ends_after_it_began() -> None:
    sequence = read([(1, on(60)), (1, off(60))])
    assert list(sequence.events) == [(1.0, on(60)), (1 + 1 / PPQN, off(60))]
    assert sequence.length == 1 + 1 / PPQN


def test_tracks_that_are_put_on_one_channel_do_not_end_each_others_notes() -> None:
    sequence = read([(0, on(60)), (4, off(60))], [(1, on(60, channel=1)), (2, off(60, channel=1))])
    moved = sequence.arranged(channels={"*": 3})
    assert list(moved.events) == [
        (0, on(60, channel=2)), (1, off(60, channel=2)), (1, on(60, channel=2)), (2, off(60, channel=2)),
    ]  # fmt: skip


def test_of_two_that_begin_one_note_together_the_louder_counts_and_the_longer() -> None:
    sequence = read([(0, on(60, 50)), (3, off(60))], [(0, on(60, 90)), (1, off(60))])
    assert list(sequence.events) == [(0, on(60, 90)), (3, off(60))]


def test_sysex_is_kept_up_to_what_passes_through_jack() -> None:
    short, long = [0xF0, *[1] * 15_998, 0xF7], [0xF0, *[1] * 15_999, 0xF7]
    sequence = read([(0, short), (1, long)])
    assert [len(data) for _, data in sequence.events] == [16_000]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no MIDI file"),
        (b"RIFF" + b"\0" * 40, "no MIDI file"),
        (song_bytes(scale())[:-9], "no MIDI file"),
        (song_bytes(scale(), kind=2), "songs of their own"),
        (b"MThd\0\0\0\6\0\1\0\0\xe2\x50", "SMPTE"),
        (b"MThd\0\0\0\6\0\1\0\0\0\0", "SMPTE"),
        (b"\0" * ((8 << 20) + 1), "more than 8 MB"),
    ],
)
def test_what_cannot_be_played_is_said_in_plain_words(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"song.mid cannot be played.*{why}"):
        Sequence.read(data, "song.mid")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 2), st.integers(1, 960))
def test_any_bytes_are_a_song_or_refused(content: bytes, kind: int, ppqn: int) -> None:
    chunk = b"MTrk" + len(content).to_bytes(4, "big") + content
    data = b"MThd\0\0\0\6" + kind.to_bytes(2, "big") + b"\0\1" + ppqn.to_bytes(2, "big") + chunk
    try:
        sequence = Sequence.read(data)
    except ValueError:
        return
    sequence.state_at(sequence.length)


def test_a_song_without_notes_can_be_played_too() -> None:
    sequence = read([], length=3)
    assert (sequence.length, sequence.events) == (3, ())
    assert sequence.state_at(2).notes == ()


# Arranging


def test_it_is_transposed_but_for_drums_and_what_would_be_out_of_range() -> None:
    sequence = read([(0, on(60)), (0, on(125)), (0, on(36, channel=9)), (0, (0xA0, 60, 5)), (1, off(60))])
    moved = sequence.arranged(transpose=12)
    assert {data[:2] for _, data in moved.events} == {
        (0x90, 72), (0x80, 72), (0x99, 36), (0x89, 36), (0xA0, 72),
    }  # fmt: skip


def test_tracks_go_to_channels_by_name_number_or_all() -> None:
    sequence = read([], scale(1), scale(1), scale(1), names=["conductor", "Bass", "Lead", "Pad"])
    assert sequence.tracks == ("Bass", "Lead", "Pad")
    moved = sequence.arranged(channels={"bass": 5, "2": 6, "*": 7})
    assert {data[0] & 0x0F for _, data in moved.events} == {4, 5, 6}
    unmoved = sequence.arranged(channels={"Lead": 2})
    assert {data[0] & 0x0F for _, data in unmoved.events} == {0, 1}


def test_arranging_starts_from_the_song_as_it_is() -> None:
    sequence = read(scale(2)).arranged(transpose=5)
    assert sequence.arranged(transpose=5).events == sequence.events
    assert sequence.arranged().events == read(scale(2)).events


@pytest.mark.parametrize(
    ("options", "why"), [({"transpose": 121}, "range -120"), ({"channels": {"1": 17}}, "1 to 16")]
)
def test_an_arrangement_that_cannot_be_is_said(options: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(scale(1)).arranged(**options)  # type: ignore[arg-type]


# Chasing


def test_programs_controllers_bends_and_notes_are_found_at_a_place() -> None:
    sequence = read(
        [
            *((0, program(1)), (0, control(7, 80)), (1, control(7, 90)), (1, bend(9000)), (1.5, (0xD0, 44))),
            *((0, on(60, 70)), (1, on(64, 75)), (2.5, off(60)), (4, off(64)), (5, control(7, 20))),
        ]
    )
    state = sequence.state_at(2)
    assert set(state.settings) == {program(1), control(7, 90), bend(9000), (0xD0, 44)}
    assert state.notes == (on(60, 70), on(64, 75))


def test_what_is_set_at_the_very_place_is_left_to_its_event() -> None:
    sequence = read([(0, program(1)), (0, on(60)), (2, control(7, 90)), (4, off(60))])
    assert sequence.state_at(0).settings == (control(7, 100),)
    assert sequence.state_at(2).settings == (program(1),)


def test_before_the_song_sets_something_it_has_its_default_or_what_is_said_first() -> None:
    sequence = read(
        [(4, control(1, 99)), (4, bend(0)), (4, control(64, 127)), (4, control(74, 33)), (8, program(6))]
    )
    assert set(sequence.state_at(1).settings) == {
        control(1, 0), bend(8192), control(64, 0), control(74, 33), program(6),
    }  # fmt: skip


def test_a_bank_comes_before_its_program_and_one_that_waits_for_the_next_comes_after() -> None:
    sequence = read([(0, control(0, 3)), (0, control(32, 4)), (0, program(7)), (1, control(0, 5))])
    assert sequence.state_at(2).settings == (control(0, 3), control(32, 4), program(7), control(0, 5))


def test_a_parameter_is_chased_with_its_number() -> None:
    rpn = [control(101, 0), control(100, 0), control(6, 12), control(38, 50)]
    null = [control(101, 127), control(100, 127)]
    fine = [control(101, 0), control(100, 1), control(6, 70)]
    sequence = read([*((0, data) for data in (*rpn, *fine)), *((1, data) for data in null)])
    settings_ = sequence.state_at(2).settings
    assert settings_ == (*rpn, *fine, *null)


def test_a_data_entry_without_a_parameter_is_none() -> None:
    sequence = read([(0, control(6, 12)), (0, control(101, 127)), (0, control(100, 127)), (1, control(6, 9))])
    assert not [data for data in sequence.state_at(2).settings if data[1] == 6]


def test_reset_all_controllers_resets_what_it_does_and_no_more() -> None:
    sequence = read(
        [
            *((0, control(1, 99)), (0, control(7, 33)), (0, control(64, 127)), (0, bend(0)), (0, program(9))),
            (1, control(121, 0)),
        ]
    )
    assert set(sequence.state_at(2).settings) == {
        control(1, 0), control(7, 33), control(64, 0), bend(8192), program(9),
    }  # fmt: skip


def test_all_notes_off_in_the_song_ends_notes_of_its_channel() -> None:
    sequence = read(
        [(0, on(60)), (0, on(60, channel=1)), (1, control(123, 0)), (9, off(60)), (9, off(60, channel=1))]
    )
    assert sequence.state_at(2).notes == (on(60, channel=1),)


def test_going_back_to_the_beginning_sets_only_what_has_changed() -> None:
    sequence = read(
        [
            (0, program(1)),
            (0, control(7, 80)),
            (2, control(1, 99)),
            (2, control(64, 127)),
            (2, control(10, 64)),
        ]
    )
    assert sequence.rewound == (control(1, 0),)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_is_chased_is_what_playing_through_comes_to(data: st.DataObject) -> None:
    rows = data.draw(songs())
    sequence = Sequence.read(song_bytes(rows, length=8))
    beat = data.draw(st.one_of(st.integers(0, 64).map(lambda n: n / 8), st.floats(0, 8)))
    through, chased = Synth(), Synth()
    for message in sequence.state_at(0).settings:
        through.hear(0, message)
    for at, message in sequence.events:
        if at < beat:
            through.hear(at, message)
    state = sequence.state_at(beat)
    for message in (*state.settings, *state.notes):
        chased.hear(beat, message)
    for at, message in sequence.events:
        if at == beat:
            through.hear(at, message)
            chased.hear(at, message)
    assert chased.sounding == through.sounding
    plain = {key: value for key, value in through.set.items() if key[0] != 0xB0 or key[2] < 96}
    assert {key: value for key, value in chased.set.items() if key[0] != 0xB0 or key[2] < 96} == plain


@st.composite
def songs(draw: st.DrawFn, most: int = 40) -> list[Row]:
    beats = st.integers(0, 63).map(lambda n: n / 8)
    channels = st.integers(0, 1)
    messages = st.one_of(
        st.builds(on, st.integers(60, 64), st.integers(0, 127), channels),
        st.builds(off, st.integers(60, 64), channels),
        st.builds(control, st.sampled_from([0, 1, 7, 11, 32, 64, 74]), st.integers(0, 127), channels),
        st.builds(program, st.integers(0, 127), channels),
        st.builds(bend, st.integers(0, 16383), channels),
    )
    return draw(st.lists(st.tuples(beats, messages), max_size=most))


def test_many_thousand_notes_are_chased_by_the_nearest_checkpoint() -> None:
    sequence = read(long_song())
    assert len(sequence.events) == 8000
    for beat in (0.0, 1.0, 511.25, 512.0, 777.7, 999.9):
        sounding: dict[int, tuple[int, ...]] = {}
        for at, data in sequence.events:
            if at < beat:
                sounding = {key: held for key, held in sounding.items() if key != data[1]}
                if data[0] == 0x90:
                    sounding[data[1]] = data
        assert sorted(sequence.state_at(beat).notes) == sorted(sounding.values())


def long_song() -> list[Row]:
    return [
        row
        for number in range(4000)
        for row in ((number / 4, on(number % 100)), (number / 4 + 2, off(number % 100)))
    ]
