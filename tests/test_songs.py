"""The benchmark's songs: the same for the same seed, playable, and scored as counted by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import mido
import numpy as np
import pytest

from benchmarks.songs import MATERIALS, Part, Score, Song, render, score, score_drums, song
from benchmarks.songs import report as tables
from benchmarks.songs.kit import PIECES
from benchmarks.songs.model import one_voice_a_pitch, sounding
from benchmarks.songs.rendering import TICKS_PER_S, midi_of
from bridge.media.notes import Note, check_note

SEEDS = (0, 3, 7, 1000, 1001)


@pytest.fixture(scope="module")
def songs() -> list[Song]:
    return [song(material, seed) for material in MATERIALS for seed in SEEDS]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_song_and_another_seed_another() -> None:
    for material in MATERIALS:
        assert song(material, 5) == song(material, 5)
        assert song(material, 5).parts != song(material, 6).parts


@pytest.mark.slow
def test_every_note_can_be_played_within_the_audio(songs: list[Song]) -> None:
    for one in songs:
        notes = [note for part in one.parts for note in part.notes]
        assert len(notes) >= 15, one.name
        for note in [*notes, *one.pitched]:
            check_note(note)
            assert 0 <= note.start_s < note.end_s <= one.duration_s - 1, one.name


@pytest.mark.slow
def test_songs_last_half_a_minute(songs: list[Song]) -> None:
    assert all(20 <= one.duration_s <= 42 for one in songs)


def test_no_pitch_of_a_part_sounds_twice_at_once(songs: list[Song]) -> None:
    for one in songs:
        for part in one.parts:
            if part.drums:
                continue
            before: dict[int, float] = {}
            for note in sorted(sounding(part), key=lambda note: note.start_s):
                assert note.start_s >= before.get(note.pitch, 0.0), (one.name, part.name)
                before[note.pitch] = note.end_s


@pytest.mark.parametrize("material", ["bass", "lead", "voice"])
def test_one_voice_is_one_voice(material: str, songs: list[Song]) -> None:
    for one in songs:
        if one.material == material:
            for note, after in zip(one.pitched, one.pitched[1:], strict=False):
                assert note.end_s <= after.start_s


def test_drums_and_notes_are_told_apart(songs: list[Song]) -> None:
    known = frozenset().union(*PIECES.values())
    for one in songs:
        assert bool(one.drums) == (one.material in ("drums", "mix")), one.name
        assert bool(one.pitched) == (one.material != "drums"), one.name
        assert {note.pitch for note in one.drums} <= known


def test_songs_differ_in_meter_tempo_key_and_instrument() -> None:
    written = [song("guitar", seed) for seed in range(30)]
    assert len({one.sheet.meter for one in written}) == 5
    assert len({one.sheet.tonic for one in written}) >= 8
    assert len({one.parts[0].program for one in written}) == 5
    assert max(one.sheet.bpm for one in written) > 150
    assert min(one.sheet.bpm for one in written) < 80


def test_playing_is_not_on_the_grid() -> None:
    one = song("bass", 3)
    grid = [one.sheet.time_s(bar, at) for bar in range(len(one.sheet.bars)) for at in range(16)]
    away = [min(abs(note.start_s - line_s) for line_s in grid) for note in one.pitched]
    assert np.std(away) > 0.003
    assert np.mean(away) < 0.015


def test_the_pedal_holds_notes_on_until_it_is_lifted_or_the_key_struck_again() -> None:
    notes = (Note(0.0, 0.2, 60, 80), Note(0.0, 0.3, 64, 80), Note(1.0, 1.2, 60, 80), Note(2.5, 2.7, 64, 80))
    part = Part("piano", 0, notes, sustain=((0.1, 1.6), (2.6, 2.65)))
    assert [(note.start_s, note.end_s, note.pitch) for note in sounding(part)] == [
        (0.0, pytest.approx(0.992), 60),
        (0.0, 1.6, 64),
        (1.0, 1.6, 60),
        (2.5, 2.7, 64),
    ]


def test_a_pitch_that_is_struck_again_at_once_is_one_note() -> None:
    notes = [Note(0.0, 1.0, 60, 80), Note(0.02, 1.0, 60, 80), Note(0.5, 1.5, 60, 80)]
    assert [note.start_s for note in one_voice_a_pitch(notes)] == [0.0, 0.5]


@pytest.mark.parametrize("material", ["bass", "drums"])
def test_our_own_instruments_sound_where_the_notes_are(material: str, tmp_path: Path) -> None:
    one = _first_seconds(song(material, 2), 4.0)
    sound, rate_hz = render(one, "synth", cache=tmp_path)
    assert sound.shape == (round(one.duration_s * rate_hz), 2)
    assert 0.1 < float(np.abs(sound).max()) <= 1.0
    again, _ = render(one, "synth", cache=tmp_path / "afresh")
    assert np.array_equal(sound, again)
    for note in one.pitched or one.drums:
        start = round(note.start_s * rate_hz)
        assert float(np.abs(sound[start : start + 2000]).max()) > 0.01, note


def _first_seconds(one: Song, length_s: float) -> Song:
    parts = tuple(
        replace(
            part, notes=tuple(note for note in part.notes if note.end_s < length_s - 1), sustain=part.sustain
        )
        for part in one.parts
    )
    return replace(one, parts=parts, duration_s=length_s)


def test_the_midi_file_plays_in_the_songs_time() -> None:
    one = song("lead", 1)
    played, now_s = [], 0.0
    for message in midi_of(one):
        now_s += message.time
        if message.type == "note_on" and message.velocity:
            played.append((now_s, message.note))
    assert [pitch for _, pitch in played] == [note.pitch for note in one.parts[0].notes]
    for (at_s, _), note in zip(played, one.parts[0].notes, strict=True):
        assert at_s == pytest.approx(note.start_s, abs=1 / TICKS_PER_S)
    assert any(
        message.type == "pitchwheel" and message.pitch for message in mido.merge_tracks(midi_of(one).tracks)
    )


# Scores, counted by hand

TRUTH = [Note(1.0, 2.0, 60, 40), Note(2.0, 3.0, 62, 60), Note(3.0, 4.0, 64, 80), Note(4.0, 5.0, 65, 100)]


@pytest.mark.slow
def test_what_is_all_right_scores_one() -> None:
    found = score(TRUTH, TRUTH)
    assert (found.f1, found.precision, found.recall, found.f1_offsets) == (1, 1, 1, 1)
    assert found.onset_error_median_s == 0
    assert found.velocity_correlation == pytest.approx(1)


def test_a_miss_a_ghost_a_wrong_pitch_and_a_late_note_are_counted() -> None:
    found = [
        replace(TRUTH[0], start_s=1.03),  # late, still right
        replace(TRUTH[1], start_s=2.06),  # too late
        replace(TRUTH[2], pitch=76),  # an octave off
        Note(4.01, 4.5, 65, 100),  # right, but it ends too soon
        Note(9.0, 9.5, 60, 100),
    ]
    counted = score(found, TRUTH)
    assert counted.precision == pytest.approx(2 / 5)
    assert counted.recall == pytest.approx(2 / 4)
    assert counted.f1 == pytest.approx(2 * 2 / 9)
    assert counted.f1_offsets == pytest.approx(2 * 1 / 9)
    assert counted.onset_error_median_s == pytest.approx(0.02)
    assert counted.onset_bias_s == pytest.approx(0.02)
    assert (counted.found, counted.true) == (5, 4)


def test_nothing_found_is_nought_and_nothing_to_find_is_one() -> None:
    assert score([], TRUTH).f1 == 0
    assert score(TRUTH, []).f1 == 0
    assert score([], []).f1 == 1
    assert math.isnan(score([], TRUTH).onset_error_median_s)


def test_drums_are_scored_by_piece_whichever_key_is_written() -> None:
    truth = [Note(1.0, 1.1, 36, 90), Note(1.0, 1.1, 46, 80), Note(2.0, 2.1, 38, 90), Note(3.0, 3.1, 57, 90)]
    found = [Note(1.01, 1.1, 35, 90), Note(1.0, 1.1, 42, 80), Note(2.0, 2.1, 47, 90), Note(3.0, 3.1, 49, 90)]
    scores = score_drums(found, truth)
    assert {piece: scores[piece].f1 for piece in PIECES} == {
        "kick": 1,
        "snare": 0,
        "hat": 1,
        "tom": 0,
        "cymbal": 1,
    }
    assert scores["all"].f1 == pytest.approx(3 / 4)


# The report


def _row(material: str, ours: Score, peer: Score | None, taken_for: str) -> tables.Row:
    return tables.Row(
        material, "synth", 1000, 30.0, named=ours, wall_s=0.3, auto=ours, taken_for=taken_for, peer=peer
    )


EXPECTED = {
    "piano: onset F1": "reached",
    "bass: onset F1": "missed",
    "guitar: onset F1": "not measured",
    "piano: F1 with offsets less the peer's": "reached",
    "bass: F1 with offsets less the peer's": "missed",
    "mean onset F1 less the peer's": "missed",
    "decoding of ten minutes (s)": "missed",
    "whole conversion, RTF on one thread": "reached",
}


def test_targets_are_reached_missed_or_not_measured() -> None:
    rows = [_row("piano", score(TRUTH, TRUTH), score(TRUTH[:2], TRUTH), "piano")]
    rows += [_row("bass", score(TRUTH[:2], TRUTH), score(TRUTH, TRUTH), "solo")]
    found = {target.what: target for target in tables.targets(rows, decoding_s=0.6, rtf=0.01)}
    assert {what: found[what].verdict for what in EXPECTED} == EXPECTED
    assert found["bass: onset F1"].reached == pytest.approx(2 / 3)
    assert found["mean onset F1 less the peer's"].reached == pytest.approx(0.0)
    assert "solo" in tables.confusion_table(rows)
    assert "piano, synth" in tables.quality_table(rows)
