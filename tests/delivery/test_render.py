from __future__ import annotations

import hashlib
import io
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.delivery.render import file_name, render
from bridge.jobs.records import ArtifactRecord
from bridge.media.musical_context import MusicalContext, Told, context_of, exact_bpm
from bridge.media.musical_time import MeterMap, MeterPoint, TempoMap, TempoPoint
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, Transcription, transcription_to_json

NOTES = [Note(0.5, 1.0, 60, 100, 0.9), Note(1.0, 1.5, 64, 90, 0.8)]


def _artifact(path: Path, media_type: str, role: str = "midi") -> ArtifactRecord:
    return ArtifactRecord(1, 1, role, path, media_type, hashlib.sha256(path.read_bytes()).hexdigest())


def _notes(folder: Path, notes: list[Note], **fields: Any) -> ArtifactRecord:
    path = folder / "notes.json"
    heard = Transcription(tuple(notes), 4.0, **fields)
    path.write_text(json.dumps(transcription_to_json(heard)), encoding="utf-8")
    return _artifact(path, NOTES_MEDIA_TYPE)


def _context(bpm: float | None, source: str = "preset") -> MusicalContext:
    return context_of([Told(source, tempo=None if bpm is None else TempoMap.constant(exact_bpm(bpm)))])


def _starts(data: bytes) -> list[tuple[int, int]]:
    """Tick and key of each note."""
    found, tick = [], 0
    for message in mido.MidiFile(file=io.BytesIO(data)).tracks[1]:
        tick += message.time
        if message.type == "note_on" and message.velocity:
            found.append((tick, message.note))
    return found


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.5])
def test_notes_become_midi_at_the_tempo_with_their_times_unchanged(tmp_path: Path, bpm: float) -> None:
    rendered = render(_notes(tmp_path, NOTES), _context(bpm), {}, track_name="Übung")
    assert rendered.extension == "mid"
    assert rendered.note.startswith(f"2 notes, {bpm:g} BPM from the preset")
    assert rendered.content.data is not None
    midi = mido.MidiFile(file=io.BytesIO(rendered.content.data))
    at_s, begins = 0.0, []
    for message in midi:
        at_s += message.time
        if message.type == "note_on" and message.velocity:
            begins.append((round(at_s, 3), message.note))
    assert begins == [(0.5, 60), (1.0, 64)]
    assert round(60e6 / next(m.tempo for m in midi.tracks[0] if m.type == "set_tempo"), 1) == bpm


def test_an_assumed_tempo_is_said_and_one_note_is_one_note(tmp_path: Path) -> None:
    rendered = render(_notes(tmp_path, NOTES[:1]), _context(None), {}, track_name="x")
    assert rendered.note.startswith("1 note, tempo unknown, written at 120 BPM")
    silent = render(_notes(tmp_path, []), _context(120), {}, track_name="x")
    assert silent.note.startswith("0 notes, ")


@pytest.mark.parametrize(
    ("name", "media_type", "extension"),
    [("a.wav", "audio/wav", "wav"), ("events", "text/csv", "csv"), ("thing", "x/unheard-of", "bin")],
)
def test_files_stay_as_they_are(tmp_path: Path, name: str, media_type: str, extension: str) -> None:
    (tmp_path / name).write_bytes(b"data")
    rendered = render(_artifact(tmp_path / name, media_type), _context(120), {}, track_name="x")
    assert (rendered.content.copy_of, rendered.content.size) == (tmp_path / name, 4)
    assert (rendered.extension, rendered.note) == (extension, "")


def test_the_file_begins_where_the_delivery_says(tmp_path: Path) -> None:
    tempo = TempoMap((TempoPoint(Fraction(0), Fraction(120)), TempoPoint(Fraction(16), Fraction(60))))
    meters = MeterMap((MeterPoint(Fraction(0), 3, 4),))
    # The bounce begins at beat 17: one second after the tempo change, two beats into bar 6.
    context = context_of([Told("project file S.RPP", tempo=tempo, meters=meters, start_s=Fraction(9))])
    artifact = _notes(tmp_path, NOTES)
    beats = {"bounce": 0, "bar": 2, "project": 17}
    for start, beat in beats.items():
        rendered = render(artifact, context, {"midi_start": start}, track_name="x")
        assert rendered.content.data is not None
        assert _starts(rendered.content.data) == [(960 * beat + 480, 60), (960 * beat + 960, 64)]
        assert rendered.note.startswith("2 notes, tempo map (60 BPM from the project file S.RPP)")


def test_a_place_too_far_for_a_midi_file_is_said_and_the_file_begins_with_the_bounce(tmp_path: Path) -> None:
    context = context_of([Told("WAV chunks", tempo=TempoMap.constant(400), start_s=Fraction(10**6))])
    artifact = _notes(tmp_path, NOTES)
    far, plain = (render(artifact, context, {"midi_start": start}, track_name="x")
                  for start in ("project", "bounce"))  # fmt: skip
    assert far.content == plain.content
    assert far.note == f"{plain.note}, begins with the bounce, as bar 1 is too far away for a MIDI file"


def test_a_map_that_no_midi_file_holds_is_left_out_and_it_is_said(tmp_path: Path) -> None:
    context = context_of([Told("project file S.RPP", tempo=TempoMap.constant(60_000_000))])
    path = tmp_path / "notes.json"
    long = Transcription(tuple(NOTES), 4000.0)
    path.write_text(json.dumps(transcription_to_json(long)), encoding="utf-8")
    rendered = render(_artifact(path, NOTES_MEDIA_TYPE), context, {}, track_name="x")
    assert rendered.content.data is not None
    assert _starts(rendered.content.data) == [(960, 60), (1920, 64)]
    assert "written at 120 BPM" in rendered.note


def test_notes_are_drawn_to_the_grid_only_where_the_delivery_says(tmp_path: Path) -> None:
    artifact = _notes(tmp_path, [Note(0.52, 0.9, 60, 100)])
    quantise = {"grid": "1/8", "strength": 1.0, "swing": 0.0}
    plain, drawn = (
        render(artifact, _context(120), settings, track_name="x") for settings in ({}, {"quantise": quantise})
    )
    assert plain.content.data is not None
    assert drawn.content.data is not None
    assert _starts(plain.content.data) == [(998, 60)]
    assert _starts(drawn.content.data) == [(960, 60)]


def test_drums_are_hits_on_channel_10_and_what_was_heard_is_said(tmp_path: Path) -> None:
    artifact = _notes(tmp_path, NOTES, drums=True, about={"material": "drums"})
    rendered = render(artifact, _context(120), {}, track_name="x")
    assert rendered.note == "2 hits, 120 BPM from the preset, heard as drums"
    assert rendered.content.data is not None
    midi = mido.MidiFile(file=io.BytesIO(rendered.content.data))
    assert {message.channel for message in midi if message.type == "note_on"} == {9}


def test_the_pattern_makes_the_name() -> None:
    fields = {"bounce": "Loop {1}", "role": "midi", "ext": "mid", "step": "notes", "preset": "p"}
    assert file_name("MIDI/{bounce}_{role}.{ext}", fields) == Path("MIDI/Loop {1}_midi.mid")
