"""An API's MIDI is at 120 BPM whatever was played: its notes come back into seconds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine import fitting
from bridge.media.midi_files import notes_to_smf
from bridge.media.musical_time import Timeline
from bridge.media.note_events import notes_of_csv
from bridge.media.notes import (
    NOTES_MEDIA_TYPE,
    Note,
    Transcription,
    check_transcription,
    notes_to_csv,
    transcription_from_json,
)
from support.returned_sets import BOUNCE_HZ, bounce

NOTES = (Note(0.251, 0.75, 60, 100), Note(1.0, 1.337, 64, 33), Note(1.0, 2.0, 127, 1))
TABLE = """start_time_s,end_time_s,pitch_midi,velocity,pitch_bend
1.0,2.0,127,1
1.0,1.337,64,33,0,0,0
0.251,0.75,60,100,0,0,1,2,-3
"""


def midi_file(folder: Path, notes: tuple[Note, ...] = NOTES, *, bpm: float = 120) -> Path:
    path = folder / "back.mid"
    path.write_bytes(notes_to_smf(Transcription(notes, 3.0), Timeline.constant(bpm), track_name="").data)
    return path


def fitted(folder: Path, files: dict[str, Path], source: Path | None, **options: Any) -> dict[str, Any]:
    types = {"midi": "audio/midi", "note_events": "text/csv"}
    raws = [
        {"role": role, "path": str(path), "media_type": types[role], "fit": "as_is"}
        for role, path in files.items()
    ]
    settings: dict[str, Any] = {
        "was_trimmed": False,
        "why": "",
        "check": lambda: None,
        "progress": lambda *_: None,
    } | options
    return {row["role"]: row for row in fitting.fit(raws, folder, source=source, **settings)}


def heard(folder: Path, row: dict[str, Any]) -> Transcription:
    assert row["media_type"] == NOTES_MEDIA_TYPE
    return transcription_from_json(json.loads((folder / row["file"]).read_text(encoding="utf-8")))


def test_the_table_gives_the_times_and_is_passed_on(tmp_path: Path) -> None:
    table = tmp_path / "back.csv"
    table.write_text(TABLE, encoding="utf-8")
    source = bounce(tmp_path, {"sound": np.zeros((3 * BOUNCE_HZ, 1))})
    rows = fitted(tmp_path, {"midi": midi_file(tmp_path), "note_events": table}, source)
    found = heard(tmp_path, rows["midi"])
    assert [(one.start_s, one.end_s, one.pitch, one.velocity) for one in found.notes] == [
        (one.start_s, one.end_s, one.pitch, one.velocity) for one in NOTES
    ]
    assert found.duration_s == 3.0
    assert found.about == {}
    assert (tmp_path / rows["note_events"]["file"]).read_text(encoding="utf-8") == TABLE
    assert rows["note_events"]["media_type"] == "text/csv"


@pytest.mark.parametrize("bpm", [120, 93.5])
def test_without_a_table_the_midi_files_own_tempo_counts(tmp_path: Path, bpm: float) -> None:
    rows = fitted(tmp_path, {"midi": midi_file(tmp_path, bpm=bpm)}, None)
    found = heard(tmp_path, rows["midi"])
    for one, expected in zip(found.notes, NOTES, strict=True):
        assert one.start_s == pytest.approx(expected.start_s, abs=1e-3)
        assert one.end_s == pytest.approx(expected.end_s, abs=1e-3)
        assert (one.pitch, one.velocity) == (expected.pitch, expected.velocity)
    assert found.duration_s == pytest.approx(2.0, abs=1e-3)


def test_notes_of_a_trimmed_bounce_move_back(tmp_path: Path) -> None:
    sound = np.zeros((4 * BOUNCE_HZ, 1))
    sound[2 * BOUNCE_HZ : 3 * BOUNCE_HZ] = 0.5
    source = bounce(tmp_path, {"sound": sound})
    rows = fitted(tmp_path, {"midi": midi_file(tmp_path, bpm=120)}, source, was_trimmed=True)
    found = heard(tmp_path, rows["midi"])
    assert found.notes[0].start_s == pytest.approx(0.251 + 2 - 0.05, abs=1e-3)
    assert found.duration_s == 4.0


@pytest.mark.parametrize("table", ["", "<html>", "a,b,c\n1,2,3\n", "start_s,end_s,pitch\n"])
def test_a_table_of_nothing_leaves_the_word_to_the_midi_file(tmp_path: Path, table: str) -> None:
    path = tmp_path / "back.csv"
    path.write_text(table, encoding="utf-8")
    rows = fitted(tmp_path, {"midi": midi_file(tmp_path), "note_events": path}, None)
    assert len(heard(tmp_path, rows["midi"]).notes) == (1 if table.startswith("a,b") else 3)


def test_midi_that_cannot_be_read_is_placed_as_it_came(tmp_path: Path) -> None:
    path = tmp_path / "back.mid"
    path.write_bytes(b"no MIDI at all")
    row = fitted(tmp_path, {"midi": path}, None)["midi"]
    assert (row["file"], row["media_type"]) == ("midi.mid", "audio/midi")
    assert row["about"]["note"] == "its notes could not be read, so it is as it came"


# --- the table ----------------------------------------------------------------------------------------------


def test_bends_are_thirds_of_a_semitone_over_the_note() -> None:
    bent = notes_of_csv(TABLE)[0]
    step_s = 0.499 / 5
    expected = [(0, 0), (2 * step_s, 1 / 3), (3 * step_s, 2 / 3), (4 * step_s, -1)]
    np.testing.assert_allclose(bent.bends, expected, atol=1e-9)
    assert [one.bends for one in notes_of_csv(TABLE)[1:]] == [(), ()]


@pytest.mark.parametrize(
    "table",
    [
        "Start;End;Pitch;Velocity\n0.5;1.5;60;100\n",
        "onset_s\toffset_s\tmidi_pitch\tvelocity\n0.5\t1.5\t60\t100\n",
        "\ufeffStart Time,End Time,MIDI Note,Velocity\r\n0.5,1.5,60,100\r\n\r\n",
        "pitch,velocity,start_s,end_s\n60.2,100,0.5,1.5\n,,,\nnan,1,2,3\n60,1,9,8\n300,1,2,3\n",
        "0.5,1.5,60,100\n",
        "start,end,pitch,amplitude\n0.5,1.5,60,0.7874\n",
        "start,end,pitch\n0.5,1.5,60\n",
    ],
)
def test_columns_go_by_many_names(table: str) -> None:
    assert notes_of_csv(table) == [Note(0.5, 1.5, 60, 100)]


def test_our_own_table_is_read_too() -> None:
    assert [one.start_s for one in notes_of_csv(notes_to_csv(NOTES))] == [one.start_s for one in NOTES]


@given(st.text(alphabet=st.sampled_from('0123456789.,;-\n"e nafstr_\tx'), max_size=200))
def test_any_text_gives_notes_that_can_be_or_a_value_error(text: str) -> None:
    for table in (text, f"start_s,end_s,pitch,velocity,pitch_bend\n{text}"):
        try:
            notes = notes_of_csv(table)
        except ValueError:
            continue
        last_s = max((note.end_s for note in notes), default=0.0)
        check_transcription(Transcription(tuple(notes), last_s))
