from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import mido
import pytest

from bridge.delivery.render import file_name, render
from bridge.jobs.records import ArtifactRecord
from bridge.media.musical_context import MusicalContext
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, notes_to_json

NOTES = [Note(0.5, 1.0, 60, 100, 0.9), Note(1.0, 1.5, 64, 90, 0.8)]


def _artifact(path: Path, media_type: str, role: str = "midi") -> ArtifactRecord:
    return ArtifactRecord(1, 1, role, path, media_type, hashlib.sha256(path.read_bytes()).hexdigest())


def _notes(folder: Path, notes: list[Note]) -> ArtifactRecord:
    path = folder / "notes.json"
    path.write_text(json.dumps(notes_to_json(notes, duration_s=4.0, about={})), encoding="utf-8")
    return _artifact(path, NOTES_MEDIA_TYPE)


@pytest.mark.parametrize("bpm", [60.0, 120.0, 174.5])
def test_notes_become_midi_at_the_tempo_with_their_times_unchanged(tmp_path: Path, bpm: float) -> None:
    rendered = render(_notes(tmp_path, NOTES), MusicalContext(bpm, "preset"), track_name="Übung")
    assert (rendered.extension, rendered.note) == ("mid", f"2 notes, {bpm:g} BPM from the preset")
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
    rendered = render(_notes(tmp_path, NOTES[:1]), MusicalContext(120.0, "assumed"), track_name="x")
    assert rendered.note.startswith("1 note, tempo unknown, written at 120 BPM")
    silent = render(_notes(tmp_path, []), MusicalContext(120.0, "preset"), track_name="x")
    assert silent.note.startswith("0 notes, ")


@pytest.mark.parametrize(
    ("name", "media_type", "extension"),
    [("a.wav", "audio/wav", "wav"), ("events", "text/csv", "csv"), ("thing", "x/unheard-of", "bin")],
)
def test_files_stay_as_they_are(tmp_path: Path, name: str, media_type: str, extension: str) -> None:
    (tmp_path / name).write_bytes(b"data")
    rendered = render(_artifact(tmp_path / name, media_type), MusicalContext(120.0, "preset"), track_name="x")
    assert (rendered.content.copy_of, rendered.content.size) == (tmp_path / name, 4)
    assert (rendered.extension, rendered.note) == (extension, "")


def test_the_pattern_makes_the_name() -> None:
    fields = {"bounce": "Loop {1}", "role": "midi", "ext": "mid", "step": "notes", "preset": "p"}
    assert file_name("MIDI/{bounce}_{role}.{ext}", fields) == Path("MIDI/Loop {1}_midi.mid")
