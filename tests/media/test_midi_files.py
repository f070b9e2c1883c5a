from __future__ import annotations

import io
import math
import random
from fractions import Fraction
from typing import Any

import mido
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.media.midi_files import PPQN, MidiFileResult, notes_to_smf, smf_timeline, smf_to_notes
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
from bridge.media.quantise import Quantise
from support.midi_tracks import FileClock, of_type, sounding_notes, tracks
from support.tempo_reference import Reference, meter_maps, tempo_maps

F = Fraction
TEMPI = st.floats(20, 400, allow_nan=False)


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


def heard(notes: list[Note], *, duration_s: float = 0.0, **options: Any) -> Transcription:
    return Transcription(tuple(notes), duration_s, **options)


def at(bpm: float, *, start_s: float = 0.0) -> Timeline:
    return Timeline.constant(F(bpm), start_s=F(start_s))


def write(notes: list[Note], timeline: Timeline | None = None, **options: Any) -> MidiFileResult:
    about = {name: options.pop(name) for name in ("duration_s", "sustain", "drums") if name in options}
    return notes_to_smf(heard(notes, **about), timeline or at(120), track_name="Bass", **options)


def smf(notes: list[Note], timeline: Timeline | None = None, **options: Any) -> bytes:
    return write(notes, timeline, **options).data


@given(apart_notes(), TEMPI)
def test_seconds_survive_any_tempo_to_half_a_tick(notes: list[Note], bpm: float) -> None:
    result = write(notes, at(bpm))
    back = smf_to_notes(result.data)
    near = 60 / bpm / PPQN / 2 + result.drift_s + 1e-9
    by_note = sorted(back, key=lambda note: (note.pitch, note.start_s))
    assert len(back) == len(notes) == result.notes
    for was, now in zip(sorted(notes, key=lambda n: (n.pitch, n.start_s)), by_note, strict=True):
        assert (now.pitch, now.velocity) == (was.pitch, was.velocity)
        assert abs(now.start_s - was.start_s) <= near
        assert abs(now.end_s - was.end_s) <= near


@pytest.mark.slow
@given(
    any_notes(),
    tempo_maps(),
    meter_maps(),
    st.fractions(-50, 100, max_denominator=48_000),
    st.sampled_from(["bounce", "bar", "project"]),
    st.one_of(st.none(), st.just(Quantise(F(1, 4), F(9, 10), F(1, 2), ends=True))),
)
def test_any_notes_on_any_map_make_a_sound_file(
    notes: list[Note], tempo: TempoMap, meters: MeterMap, start_s: Fraction, start: Any, how: Quantise | None
) -> None:
    timeline = Timeline(tempo, meters, start_s=start_s)
    result = write(notes, timeline, duration_s=3.0, start=start, quantise=how)
    head, line = tracks(result.data)
    placed = sounding_notes(line)
    assert len(placed) == result.notes == len(notes) - result.left_out
    assert len({(start, pitch) for start, _, pitch, _ in placed}) == len(placed)
    assert head[-1][0] == line[-1][0] == result.end_tick
    assert result.end_tick >= max([0, *(end for _, end, _, _ in placed)])
    assert of_type(head, "set_tempo")[0][0] == 0
    assert of_type(head, "time_signature")[0][0] == 0
    ends = timeline.beat_of_audio(3) - result.start_beat
    assert F(result.end_tick, PPQN) >= ends - F(1, 10**9)
    if start != "project":
        beats = {
            (round((timeline.beat_of_audio(n.start_s) - result.start_beat) * PPQN), n.pitch) for n in notes
        }
        assert how or {(start, pitch) for start, _, pitch, _ in placed} == beats


def long_map(rng: random.Random, curves: list[Curve], *, changes: int = 500) -> TempoMap:
    """Five hundred changes in about an hour, on no grid at all."""
    beat, points = F(0), []
    for _ in range(changes):
        bpm = F(rng.randint(4000, 24_000), 100)
        points.append(TempoPoint(beat, bpm, rng.choice(curves)))
        beat += F(rng.randint(int(bpm * 40_000), int(bpm * 75_000)), 1000 * changes)
    return TempoMap(tuple(points))


RAMPS = pytest.param(list(Curve), id="ramps", marks=pytest.mark.slow)


@pytest.mark.slow
@pytest.mark.parametrize("curves", [pytest.param([Curve.STEP], id="steps"), RAMPS])
@pytest.mark.parametrize("start", ["bounce", "project"])
def test_an_hour_of_500_changes_stays_on_the_map(curves: list[Curve], start: Any) -> None:
    rng = random.Random(len(curves))
    tempo = long_map(rng, curves)
    reference = Reference(tempo.points)
    start_s = F(rng.randint(0, 48_000 * 60), 48_000)
    times = sorted(rng.uniform(0, 3600) for _ in range(1500))
    notes = [Note(time_s, time_s + 0.1, index % 128, 90) for index, time_s in enumerate(times)]
    result = write(
        notes, Timeline(tempo, MeterMap.constant(), start_s=start_s), start=start, duration_s=3600.0
    )
    clock = FileClock(result.data)
    zero = reference.seconds(result.start_beat)

    def time_s(tick: Fraction) -> float:
        return float(reference.seconds(result.start_beat + tick / PPQN) - zero)

    assert len(tempo.points) == 500
    assert 0.7 < tempo.points[-1].beat * PPQN / result.end_tick < 1
    worst = 0.0
    placed = [(tick, message.note) for tick, message in of_type(tracks(result.data)[1], "note_on")]
    lead_s = float(start_s) if start == "project" else 0.0
    for (tick, pitch), note in zip(placed, notes, strict=True):
        assert pitch == note.pitch
        before, after = (
            float(reference.seconds(result.start_beat + F(2 * tick + side, 2 * PPQN)) - zero)
            for side in (-1, 1)
        )
        # half a tick to both sides of the note's place
        assert before - 1e-9 <= note.start_s + lead_s <= after + 1e-9
        worst = max(worst, abs(clock.seconds(tick) - time_s(F(tick))))
    for tick in (*(tick for tick, _ in clock.tempi[::7]), result.end_tick):
        worst = max(worst, abs(clock.seconds(tick) - time_s(F(tick))))
    assert worst < 0.001
    assert worst <= result.drift_s + 0.0002


def test_the_file_is_type_1_with_tempo_meter_and_names() -> None:
    data = smf([Note(0.5, 1.0, 60, 100)], at(128), duration_s=4.0, program=33)
    file = mido.MidiFile(file=io.BytesIO(data))
    assert (file.type, file.ticks_per_beat, len(file.tracks)) == (1, 960, 2)
    head = {message.type: message for message in file.tracks[0]}
    assert head["set_tempo"].tempo == 468_750
    assert (head["time_signature"].numerator, head["time_signature"].denominator) == (4, 4)
    assert head["track_name"].name == file.tracks[1][0].name == "Bass"
    assert [message.type for message in file.tracks[0]] == [
        "track_name", "time_signature", "set_tempo", "end_of_track",
    ]  # fmt: skip
    assert [message.type for message in file.tracks[1]] == [
        "track_name", "program_change", "note_on", "note_off", "end_of_track",
    ]  # fmt: skip
    assert {message.channel for message in file.tracks[1] if not message.is_meta} == {0}
    assert [sum(message.time for message in track) for track in file.tracks] == [8192, 8192]


def test_names_in_any_script_are_utf8_without_control_characters() -> None:
    data = notes_to_smf(heard([]), at(120), track_name="Bässe\n低音\0 🎹").data
    assert "Bässe 低音 🎹".encode() in data


def test_the_file_never_ends_before_its_last_note() -> None:
    assert write([Note(0, 3, 60, 100)], duration_s=1.0).end_tick == 3 * 2 * PPQN
    assert write([Note(0, 3, 60, 100)], duration_s=5.0).end_tick == 5 * 2 * PPQN
    assert write([], duration_s=2.1).end_tick == 4032
    assert write([]).end_tick == 0
    assert tracks(smf([]))[1][-1][0] == 0


def test_a_repeated_note_ends_the_one_before_it() -> None:
    back = smf_to_notes(smf([Note(0, 2, 60, 100), Note(1, 1.5, 60, 90), Note(1, 3, 61, 80)]))
    assert [(note.start_s, note.end_s, note.pitch) for note in back] == [(0, 1, 60), (1, 1.5, 60), (1, 3, 61)]


def test_a_note_ends_before_the_next_one_begins_at_its_tick() -> None:
    line = tracks(smf([Note(0, 1, 60, 100), Note(1, 2, 60, 90), Note(1, 2, 64, 80)]))[1]
    assert [message.type for tick, message in line if tick == 1920] == ["note_off", "note_on", "note_on"]


def test_two_notes_at_one_place_are_one() -> None:
    back = smf_to_notes(smf([Note(0, 2, 60, 50), Note(0.0001, 1, 60, 90)]))
    assert back == [Note(0, 2, 60, 90)]


def test_a_note_of_no_length_is_one_tick_long() -> None:
    (note,) = smf_to_notes(smf([Note(1, 1, 60, 100)]))
    assert note.end_s - note.start_s == pytest.approx(0.5 / PPQN)


PROJECT = Timeline(
    TempoMap((TempoPoint(F(0), F(120)), TempoPoint(F(16), F(90)))),
    MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(16), 3, 4))),
    (KeyPoint(F(0), Key.named("F#m")), KeyPoint(F(12), Key.named("Bb"))),
    (
        Marker(F(0), "Intro", F(8)),
        Marker(F(0), "Long before"),
        Marker(F(12), "Büne\n2"),
        Marker(F(16), "End"),
        Marker(F(900), "Never"),
    ),
    start_s=F(7, 2),  # beat 7: the last one of bar 2
)


def meters(data: bytes) -> list[tuple[int, int, int]]:
    return [
        (tick, message.numerator, message.denominator)
        for tick, message in of_type(tracks(data)[0], "time_signature")
    ]


def described(data: bytes) -> tuple[list[Any], ...]:
    head = tracks(data)[0]
    keys = [(tick, message.key) for tick, message in of_type(head, "key_signature")]
    markers = [(tick, message.text) for tick, message in of_type(head, "marker")]
    return keys, markers


def test_a_file_from_the_bounce_leads_to_the_next_bar_line() -> None:
    result = write([Note(0.5, 1, 60, 100), Note(4.5, 5, 62, 90)], PROJECT, duration_s=8.0)
    assert (int(result.start_beat), result.bars_kept) == (7, True)
    assert meters(result.data) == [(0, 1, 4), (960, 4, 4), (9 * 960, 3, 4)]
    assert described(result.data) == (
        [(0, "F#m"), (5 * 960, "Bb")],
        [(0, "Intro"), (5 * 960, "Büne 2"), (9 * 960, "End")],
    )
    assert of_type(tracks(result.data)[0], "set_tempo")[1][0] == 9 * 960
    # the first note stands on the bar line of bar 3
    assert [note[0] for note in sounding_notes(tracks(result.data)[1])] == [960, 9 * 960]
    assert smf_to_notes(result.data)[1].start_s == pytest.approx(4.5, abs=1e-6)


def test_a_file_from_the_bar_line_keeps_the_part_in_its_place() -> None:
    result = write([Note(0.5, 1, 60, 100)], PROJECT, start="bar", duration_s=8.0)
    assert result.start_beat == 4
    assert meters(result.data) == [(0, 4, 4), (12 * 960, 3, 4)]
    assert sounding_notes(tracks(result.data)[1])[0][0] == 4 * 960
    assert described(result.data)[1] == [(0, "Intro"), (8 * 960, "Büne 2"), (12 * 960, "End")]


def test_a_file_from_bar_1_has_the_whole_project_before_the_part() -> None:
    result = write([Note(0.5, 1, 60, 100)], PROJECT, start="project", duration_s=8.0)
    assert result.start_beat == 0
    assert meters(result.data) == [(0, 4, 4), (16 * 960, 3, 4)]
    assert sounding_notes(tracks(result.data)[1])[0][0] == 8 * 960
    assert described(result.data)[1][:2] == [(0, "Intro"), (0, "Long before")]
    assert smf_to_notes(result.data)[0].start_s == 4.0


def test_audio_from_before_bar_1() -> None:
    notes = [Note(0, 1, 60, 100), Note(1.5, 2.5, 62, 100), Note(3, 4, 64, 100)]
    result = write(notes, at(120, start_s=-2), start="project", duration_s=5.0)
    assert result.left_out == 1
    assert smf_to_notes(result.data) == [Note(0, 0.5, 62, 100), Note(1, 2, 64, 100)]
    assert result.end_tick == 3 * 2 * PPQN
    bounce = write(notes, at(120, start_s=-2))
    assert (int(bounce.start_beat), bounce.left_out) == (-4, 0)
    assert meters(bounce.data) == [(0, 4, 4)]


def test_a_sample_before_the_bar_line_is_on_it() -> None:
    # 100 BPM at 44.1 kHz: bar 3 begins between two samples
    almost = F(math.floor(F(24, 5) * 44_100), 44_100) - F(1, 44_100)
    for start in ("bounce", "bar"):
        result = write([Note(0, 1, 60, 100)], Timeline.constant(100, start_s=almost), start=start)
        assert meters(result.data) == [(0, 4, 4)]
        assert result.bars_kept
        assert abs(result.start_beat - 8) < F(1, 1000)


@pytest.mark.slow
@given(
    tempo_maps(most=3), meter_maps(), st.integers(-200, 400), st.sampled_from(["bounce", "bar", "project"])
)
def test_the_file_s_bar_lines_are_the_project_s(
    tempo: TempoMap, meters: MeterMap, sixteenths: int, start: Any
) -> None:
    timeline = Timeline(tempo, meters, start_s=tempo.seconds_at(F(sixteenths, 4)))
    result = write([], timeline, duration_s=60.0, start=start)
    back = smf_timeline(result.data).meters
    beat = result.start_beat
    end = min(beat + F(result.end_tick, PPQN), beat + 150)
    while (beat := meters.next_bar_line(beat)) < end:
        near = beat - result.start_beat
        line = back.bar_line_at(near + F(1, 1000))
        assert abs(line - near) <= F(1, PPQN)
        if back.meter_at(near + F(1, 1000)).beat != 0 and result.bars_kept:
            meter = meters.meter_at(beat)
            short = meters.next_bar_line(beat) - beat != meter.bar_beats
            found = back.meter_at(near + F(1, 1000))
            assert short or (found.numerator, found.denominator) == (meter.numerator, meter.denominator)


def test_a_bar_that_no_meter_can_shorten() -> None:
    result = write([], at(120, start_s=0.123456), duration_s=8.0)
    assert not result.bars_kept
    next_line = round((2 - F("0.123456")) * 2 * PPQN)
    assert meters(result.data) == [(0, 4, 4), (next_line, 4, 4)]


def test_a_change_of_meter_in_mid_bar() -> None:
    cut = MeterMap((MeterPoint(F(0), 4, 4), MeterPoint(F(10), 6, 8), MeterPoint(F(23, 2), 4, 4)))
    timeline = Timeline(TempoMap.constant(120), cut)
    assert meters(smf([], timeline, duration_s=9.0)) == [
        (0, 4, 4), (8 * 960, 2, 4), (10 * 960, 3, 8), (11 * 960 + 480, 4, 4),
    ]  # fmt: skip


def test_drums_are_on_channel_10() -> None:
    line = tracks(smf([Note(0, 0.1, 36, 100, 1.0, ((0.0, 1.0),))], drums=True, program=3))[1]
    assert {message.channel for _, message in line if not message.is_meta} == {9}


def test_the_pedal_goes_up_again() -> None:
    sustain = ((0.0, 0.5), (0.5, 0.9), (1.0, 1.00001), (1.5, 99.0))
    line = tracks(smf([Note(0, 2, 60, 100)], sustain=sustain, duration_s=2.0))[1]
    found = [(tick, message.control, message.value) for tick, message in of_type(line, "control_change")]
    assert found == [
        (0, 64, 127), (960, 64, 0), (960, 64, 127), (1728, 64, 0), (2880, 64, 127), (3840, 64, 0),
    ]  # fmt: skip
    assert line[-1][0] == 3840


def test_quantise_moves_notes_and_keeps_their_length() -> None:
    notes = [Note(0.26, 0.5, 60, 100), Note(0.98, 1.3, 64, 90)]
    quarter = write(notes, quantise=Quantise(F(1, 2)))
    assert [(start, end) for start, end, _, _ in sounding_notes(tracks(quarter.data)[1])] == [
        (480, 480 + round(0.24 * 1920)), (1920, 1920 + round(0.32 * 1920)),
    ]  # fmt: skip
    assert smf(notes, quantise=Quantise(F(1, 2), 0)) == smf(notes)


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
        (Note(0, 1e9, 60, 100), r"time in ticks must be in range 0..268435455"),
    ],
)
def test_notes_that_cannot_be(note: Note, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        smf([note])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"program": 128}, "program must be in range 0..127"),
        ({"duration_s": -1}, "duration_s"),
        ({"duration_s": math.inf}, "duration_s"),
        ({"duration_s": 1e9}, "time in ticks must be in range"),
        ({"start": "song"}, "start must be one of bounce, bar, project"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        smf([Note(0, 1, 60, 100)], **options)
    with pytest.raises(ValueError, match="time in ticks must be in range"):
        smf([], at(120, start_s=1e9), start="project")
