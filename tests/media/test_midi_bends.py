from __future__ import annotations

import random
from collections import defaultdict
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest

from bridge.media.midi_files import MidiFileResult, notes_to_smf
from bridge.media.musical_time import Timeline
from bridge.media.notes import Note, PitchBends, Transcription
from bridge.media.quantise import Quantise
from support.midi_tracks import of_type, sounding_notes, tracks

UP = ((0.0, 0.0), (0.1, 0.5), (0.2, 1.0))
TICKS_A_SECOND = 1920  # at 120 BPM


def write(notes: list[Note], mode: PitchBends, **options: Any) -> MidiFileResult:
    drums = options.pop("drums", False)
    sustain = options.pop("sustain", ())
    heard = Transcription(tuple(notes), options.pop("duration_s", 20.0), sustain, drums, mode)
    return notes_to_smf(heard, Timeline.constant(120), track_name="Voice", **options)


def bent(start_s: float, end_s: float, pitch: int, bends: Any = UP) -> Note:
    return Note(start_s, end_s, pitch, 90, 1.0, tuple(bends))


def line_of(result: MidiFileResult) -> list[tuple[int, Any]]:
    return tracks(result.data)[1]


def wheel(result: MidiFileResult) -> list[tuple[int, int, int]]:
    """(tick, channel, value) after the setup."""
    return [
        (tick, message.channel, message.pitch) for tick, message in of_type(line_of(result), "pitchwheel")
    ]


def parameters(result: MidiFileResult) -> dict[tuple[int, int], int]:
    """Of each channel and registered parameter its value."""
    found: dict[tuple[int, int], int] = {}
    number: defaultdict[int, list[int]] = defaultdict(lambda: [127, 127])
    for _, message in of_type(line_of(result), "control_change"):
        if message.control in (100, 101):
            number[message.channel][101 - message.control] = message.value
        elif message.control == 6:
            upper, lower = number[message.channel]
            found[message.channel, upper << 7 | lower] = message.value
    assert all(last == [127, 127] for last in number.values()), "a parameter was left open"
    return found


def bend_of(result: MidiFileResult, semitones: int) -> dict[tuple[int, int], list[tuple[float, float]]]:
    """What a synthesizer would play: of each note (start, pitch) its bends in seconds and semitones.

    Asserts that a channel bends one note only, and that no note begins on what another left behind.
    """
    found: dict[tuple[int, int], list[tuple[float, float]]] = {}
    now: defaultdict[int, int] = defaultdict(int)
    on: defaultdict[int, list[tuple[int, int]]] = defaultdict(list)
    for tick, message in line_of(result):
        if message.type == "pitchwheel":
            now[message.channel] = message.pitch
            assert not (message.pitch and len(on[message.channel]) > 1)
            for start, pitch in on[message.channel]:
                seconds = (tick - start) / TICKS_A_SECOND
                found[start, pitch].append((seconds, message.pitch / 8192 * semitones))
        elif message.type == "note_on":
            on[message.channel].append((tick, message.note))
            found[tick, message.note] = [(0.0, now[message.channel] / 8192 * semitones)]
        elif message.type == "note_off":
            on[message.channel] = [note for note in on[message.channel] if note[1] != message.note]
    assert not any(now.values()), "a channel was left bent"
    return found


def at_s(bends: Any, after_s: float) -> float:
    return next((semitones for when_s, semitones in reversed(bends) if when_s <= after_s), 0.0)


def test_off_writes_none() -> None:
    result = write([bent(0, 1, 60), bent(0.5, 1, 64)], "off")
    assert not of_type(line_of(result), "pitchwheel", "control_change")
    assert {channel for *_, channel in sounding_notes(line_of(result))} == {0}


def test_a_voice_alone_stays_on_channel_1() -> None:
    result = write([bent(0, 1, 60), bent(1, 2, 62, [(0.0, -1.0)]), bent(3, 4, 62)], "per_note")
    assert {channel for *_, channel in sounding_notes(line_of(result))} == {0}
    assert parameters(result) == {(0, 0): 2}
    assert wheel(result) == [
        (0, 0, 0), (192, 0, 2048), (384, 0, 4096), (1920, 0, 0), (1920, 0, -4096),
        (3840 + 480, 0, 0), (5760 + 192, 0, 2048), (5760 + 384, 0, 4096), (7680 + 480, 0, 0),
    ]  # fmt: skip
    # at the tick of the repeat: the end, the reset, the new bend, the new note
    assert [message.type for tick, message in line_of(result) if tick == 1920] == [
        "note_off", "pitchwheel", "pitchwheel", "note_on",
    ]  # fmt: skip


def test_notes_that_bend_together_have_channels_of_their_own() -> None:
    plain = [Note(0, 4, 40, 90), Note(0.1, 0.2, 41, 90)]
    result = write([*plain, bent(0, 1, 60), bent(0.5, 1.5, 64), bent(1.2, 2, 67), bent(5, 6, 60)], "per_note")
    assert [(pitch, channel) for _, _, pitch, channel in sounding_notes(line_of(result))] == [
        (60, 1), (40, 0), (41, 0), (64, 2), (67, 3), (60, 0),
    ]  # fmt: skip
    heard = bend_of(result, 2)
    assert heard[0, 40] == [(0.0, 0.0)]
    assert heard[0, 60][:3] == [(0.0, 0.0), (0.1, 0.5), (0.2, 1.0)]


def test_channels_go_round_without_the_drums() -> None:
    notes = [bent(0.5 * index, 0.5 * index + 0.6, 60 + index % 12) for index in range(30)]
    result = write(notes, "per_note")
    used = [channel for *_, channel in sounding_notes(line_of(result))]
    ring = [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15]
    assert used == [ring[index % 14] for index in range(30)]
    assert result.unbent == 0
    bend_of(result, 2)


def test_when_channels_run_out_the_shared_one_does_not_bend() -> None:
    notes = [bent(0.01 * index, 5, 40 + index) for index in range(20)]
    result = write(notes, "per_note")
    assert result.unbent == 6
    used = [channel for *_, channel in sounding_notes(line_of(result))]
    assert used == [1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, *[0] * 6]
    assert not [row for row in wheel(result) if row[1] == 0]
    bend_of(result, 2)


@pytest.mark.parametrize(("widest", "semitones"), [(0.5, 2), (2.0, 2), (2.01, 3), (-7.5, 8), (24.0, 24)])
def test_the_range_is_as_wide_as_the_bends(widest: float, semitones: int) -> None:
    result = write([bent(0, 1, 60, [(0.0, 0.0), (0.5, widest)])], "per_note")
    assert parameters(result) == {(0, 0): semitones}
    expected = min(8191, round(widest / semitones * 8192))
    assert wheel(result)[1] == (960, 0, expected)


def test_mpe_gives_every_note_a_channel() -> None:
    notes = [bent(0, 1, 60), Note(0, 1, 64, 90), bent(0.5, 2, 67), bent(1.5, 2, 72)]
    result = write(notes, "mpe", program=5, sustain=((0.5, 1.0),))
    assert [(pitch, channel) for _, _, pitch, channel in sounding_notes(line_of(result))] == [
        (60, 1), (64, 2), (67, 3), (72, 4),
    ]  # fmt: skip
    assert parameters(result) == {(0, 6): 15, (1, 0): 48, (2, 0): 48, (3, 0): 48, (4, 0): 48}
    setup = of_type(line_of(result), "control_change")
    assert [(message.channel, message.control, message.value) for _, message in setup[:3]] == [
        (0, 101, 0), (0, 100, 6), (0, 6, 15),
    ]  # fmt: skip
    # the zone's own messages go to the master channel
    assert [message.channel for _, message in of_type(line_of(result), "program_change")] == [0]
    assert {message.channel for _, message in setup if message.control == 64} == {0}
    heard = bend_of(result, 48)
    assert heard[0, 60][1][1] == pytest.approx(0.5, abs=48 / 8192)


def test_mpe_tells_the_bend_before_the_note() -> None:
    result = write([bent(0, 1, 60, [(0.0, 0.25)]), Note(2, 3, 60, 90), bent(4, 5, 62)], "mpe")
    line = [message for _, message in line_of(result)]
    for index, message in enumerate(line):
        if message.type == "note_on":
            assert line[index - 1].type == "pitchwheel"
            assert line[index - 1].channel == message.channel


def test_mpe_takes_the_channel_that_rested_longest() -> None:
    notes = [bent(0.2 * index, 0.2 * index + 0.1, 60) for index in range(40)]
    result = write(notes, "mpe")
    used = [channel for *_, channel in sounding_notes(line_of(result))]
    assert used == [1 + index % 15 for index in range(40)]
    # bends are undone before the channel is used again
    bend_of(result, 48)


def test_more_notes_than_mpe_has_channels() -> None:
    notes = [bent(0, 5 + index / 100, 40 + index) for index in range(14)]
    notes += [Note(0, 6, 70, 90), bent(1, 2, 80), bent(1, 3, 81), bent(7, 8, 82)]
    result = write(notes, "mpe")
    assert result.unbent == 2
    by_pitch = {pitch: channel for _, _, pitch, channel in sounding_notes(line_of(result))}
    # the others share the only channel that does not bend
    assert by_pitch[80] == by_pitch[81] == by_pitch[70]
    heard = bend_of(result, 48)
    assert heard[1920, 80] == [(0.0, 0.0)]
    assert heard[7 * 1920, 82][1][1] == pytest.approx(0.5, abs=0.01)


def test_a_note_that_shares_a_channel_leaves_its_bend_alone() -> None:
    notes = [bent(0, 5, 40 + index, [(0.0, 1.0)]) for index in range(15)]
    result = write([*notes, Note(1, 2, 80, 90)], "mpe")
    assert not [row for row in wheel(result) if 0 < row[0] < 5 * TICKS_A_SECOND]


def test_the_last_bend_is_undone_before_the_file_ends() -> None:
    result = write([bent(0, 1, 60)], "per_note", duration_s=1.05)
    assert wheel(result)[-1] == (2016, 0, 0)
    assert result.end_tick == 2016


def test_bends_are_thinned_but_end_where_they_should() -> None:
    dense = tuple((index / 1000, index / 100) for index in range(101))
    result = write([bent(0, 1, 60, dense)], "per_note")
    ticks = [tick for tick, _, value in wheel(result) if value]
    assert len(ticks) <= 21
    assert min(b - a for a, b in pairwise(ticks)) >= 9
    for after_s, semitones in dense:
        heard = at_s(bend_of(result, 2)[0, 60], after_s + 0.0005)
        assert abs(heard - semitones) <= 0.051
    assert wheel(result)[-2][2] == 4096


def test_repeats_are_not_written() -> None:
    same = tuple((index / 50, 0.5) for index in range(50))
    assert wheel(write([bent(0, 1, 60, same)], "per_note")) == [(0, 0, 0), (0, 0, 2048), (2400, 0, 0)]
    assert wheel(write([bent(0, 1, 60, [(0.2, 0.00001)])], "per_note")) == [(0, 0, 0)]


def test_bends_after_the_note_are_left_out() -> None:
    result = write([bent(0, 1, 60, [(0.0, 0.5), (1.0, 1.0), (1.5, 2.0)])], "per_note")
    assert [value for *_, value in wheel(result)] == [0, 2048, 0]


def test_bends_move_with_a_quantised_note() -> None:
    result = write([bent(0.05, 1, 60)], "per_note", quantise=Quantise(Fraction(1)))
    assert wheel(result)[1:3] == [(192, 0, 2048), (384, 0, 4096)]


def test_drums_do_not_bend() -> None:
    result = write([bent(0, 1, 36)], "mpe", drums=True)
    assert not of_type(line_of(result), "pitchwheel", "control_change")


@pytest.mark.parametrize(("mode", "semitones"), [("per_note", 24), ("mpe", 48)])
@pytest.mark.parametrize("seed", range(5))
def test_every_note_sounds_as_it_was_heard(mode: PitchBends, semitones: int, seed: int) -> None:
    rng = random.Random(seed)
    notes = []
    for index in range(100):
        start_s = rng.uniform(0, 18)
        curve = [(0.0, rng.uniform(-2, 2))]
        while rng.random() < 0.8:
            curve.append((curve[-1][0] + rng.uniform(0.006, 0.1), rng.uniform(-2, 2)))
        bends = curve if index % 3 else ()
        notes.append(bent(start_s, start_s + rng.uniform(0.05, 1), 20 + index, bends))
    notes[0] = bent(19, 19.5, 20, [(0.0, 23.5)])
    result = write(notes, mode)
    heard = bend_of(result, semitones)
    assert result.unbent == 0
    for note in notes:
        mine = heard[round(note.start_s * TICKS_A_SECOND), note.pitch]
        for after_s, wanted in note.bends:
            if after_s < note.end_s - note.start_s - 0.002:
                assert at_s(mine, after_s + 0.0006) == pytest.approx(wanted, abs=semitones / 8192)
