"""Notes as a table: the CSV that transcription services give beside their MIDI file. Pure.

Known best is that of Basic Pitch: `start_time_s,end_time_s,pitch_midi,velocity,pitch_bend`, and as many bends
as the note has frames, each in thirds of a semitone. Others are read by the names of their columns.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final

from bridge.media.notes import MOST_BEND, Note, in_time

MOST_CHARS: Final = 32 << 20
MOST_NOTES: Final = 100_000
BENDS_A_SEMITONE: Final = 3
LOUDEST: Final = 127
UNTOLD_VELOCITY: Final = 100.0
HIGHEST_PITCH: Final = 127
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "start": ("start_time_s", "start_s", "start_time", "start", "onset_s", "onset_time", "onset", "time"),
    "end": ("end_time_s", "end_s", "end_time", "end", "offset_s", "offset_time", "offset"),
    "pitch": ("pitch_midi", "midi_pitch", "pitch", "midi_note", "midi", "note"),
    "velocity": ("velocity", "midi_velocity", "amplitude", "loudness"),
    "bends": ("pitch_bend", "pitch_bends", "bends"),
}
IN_ORDER: Final = {"start": 0, "end": 1, "pitch": 2, "velocity": 3, "bends": 4}


def notes_of_csv(text: str) -> list[Note]:
    """The notes of such a table in order of time; rows that are none are passed over.

    Raises ValueError where no columns can be made out, and for more than `MOST_NOTES` notes.
    """
    rows = _rows(text[:MOST_CHARS])
    first = next(rows, None)
    if first is None:
        raise ValueError("this is no table of notes: it is empty")
    columns = _columns(first)
    found: list[_Row] = []
    for row in rows if columns else chain((first,), rows):
        read = _read(row, columns or IN_ORDER)
        if read is not None:
            found.append(read)
        if len(found) > MOST_NOTES:
            raise ValueError(f"tables of more than {MOST_NOTES} notes are not read")
    if not columns and not found:
        raise ValueError("this is no table of notes: its columns have no known names")
    # Some write velocities, some amplitudes from 0 to 1.
    are_shares = all(loud <= 1 for *_, loud, _ in found) and any(loud % 1 for *_, loud, _ in found)
    scale = LOUDEST if are_shares else 1
    return sorted((_note(row, scale) for row in found), key=in_time)


_Row = tuple[float, float, int, float, tuple[tuple[float, float], ...]]
"""Start and end in seconds, pitch, velocity or amplitude, bends."""


def _note(row: _Row, scale: int) -> Note:
    start_s, end_s, pitch, loud, bends = row
    return Note(start_s, end_s, pitch, max(1, min(LOUDEST, round(loud * scale))), bends=bends)


def _rows(text: str) -> Iterator[list[str]]:
    head = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=head.count)
    try:
        yield from (row for row in csv.reader(text.splitlines(), delimiter=delimiter) if any(row))
    except csv.Error as fault:
        raise ValueError(f"this is no table of notes: {fault}") from fault


def _columns(head: Sequence[str]) -> dict[str, int] | None:
    """Where each value stands; None where this is no row of names."""
    names = [name.strip().lstrip("\ufeff").casefold().replace(" ", "_") for name in head]
    found = {
        value: next((names.index(one) for one in known if one in names), -1)
        for value, known in COLUMNS.items()
    }
    has_needed = all(found[value] >= 0 for value in ("start", "end", "pitch"))
    return {value: at for value, at in found.items() if at >= 0} if has_needed else None


def _read(row: Sequence[str], columns: Mapping[str, int]) -> _Row | None:
    """None for a row that is no note."""
    start, end, pitch, loud = (
        _number(row, columns.get(name, -1)) for name in ("start", "end", "pitch", "velocity")
    )
    if math.isnan(start) or math.isnan(end) or end <= 0 or end < start:
        return None
    if math.isnan(pitch) or not 0 <= round(pitch) <= HIGHEST_PITCH:
        return None
    bends = _bends(row[columns["bends"] :], end - start) if "bends" in columns else ()
    return max(0.0, start), end, round(pitch), UNTOLD_VELOCITY if math.isnan(loud) else loud, bends


def _number(row: Sequence[str], at: int) -> float:
    """The number in a cell; NaN where there is none, or no such cell (`at` below 0)."""
    try:
        number = float(row[at]) if at >= 0 else math.nan
    except (ValueError, IndexError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def _bends(cells: Sequence[str], duration_s: float) -> tuple[tuple[float, float], ...]:
    values = [_number(cells, at) for at in range(len(cells)) if cells[at].strip()]
    if not values or any(math.isnan(value) for value in values) or not any(values):
        return ()
    step_s = duration_s / len(values)
    semitones = [max(-MOST_BEND, min(MOST_BEND, value / BENDS_A_SEMITONE)) for value in values]
    changes = [at for at in range(len(values)) if at == 0 or semitones[at] != semitones[at - 1]]
    return tuple((at * step_s, semitones[at]) for at in changes)
