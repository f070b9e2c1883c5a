"""Notes from elsewhere, in seconds: an API's MIDI file is at 120 BPM whatever was played.

The table of notes that comes with it is the better source, as its times are not rounded to ticks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from bridge.media.midi_reading import MOST_BYTES, smf_to_notes
from bridge.media.note_events import notes_of_csv
from bridge.media.notes import Note, Transcription

LONGEST_TABLE_BYTES: Final = 32 << 20


def transcription_of(
    midi: Path, table: Path | None, *, shift_s: float, duration_s: float | None
) -> Transcription | None:
    """The notes of `table`, else of `midi`, `shift_s` later; None where neither can be read.

    `duration_s` is that of the bounce; None: until the last note's end. Raises OSError.
    """
    notes = _of_table(table) if table is not None else None
    notes = _of_midi(midi) if notes is None else notes
    if notes is None:
        return None
    moved = tuple(
        replace(note, start_s=note.start_s + shift_s, end_s=note.end_s + shift_s) if shift_s else note
        for note in notes
    )
    last_s = max((note.end_s for note in moved), default=0.0)
    return Transcription(moved, last_s if duration_s is None else duration_s)


def _of_table(path: Path) -> list[Note] | None:
    """None where there is nothing in it that could be read."""
    with path.open("rb") as file:
        text = file.read(LONGEST_TABLE_BYTES).decode("utf-8-sig", "replace")
    try:
        return notes_of_csv(text) or None
    except ValueError:
        return None


def _of_midi(path: Path) -> list[Note] | None:
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    try:
        return smf_to_notes(data)
    except ValueError:
        return None
