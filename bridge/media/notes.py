"""Notes in seconds, and the JSON and CSV that they are kept in. Pure, and quick to import."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

NOTES_MEDIA_TYPE = "application/vnd.daw-bridge.notes+json"
NOTES_VERSION = 1
CSV_HEADER = "start_s,end_s,pitch,velocity,confidence"


@dataclass(frozen=True, slots=True)
class Note:
    """One note: times in seconds, pitch 0..127, velocity 1..127, confidence 0..1."""

    start_s: float
    end_s: float
    pitch: int
    velocity: int
    confidence: float = 1.0


def check_note(note: Note) -> None:
    """Raises ValueError, with the range, for a note that cannot be."""
    if not (math.isfinite(note.start_s) and note.start_s >= 0):
        raise ValueError(f"start_s must be in range 0..., not {note.start_s}")
    if not (math.isfinite(note.end_s) and note.end_s >= note.start_s):
        raise ValueError(f"end_s must be in range start_s..., not {note.end_s} with start_s {note.start_s}")
    check_range("pitch", note.pitch, 0, 127)
    check_range("velocity", note.velocity, 1, 127)
    check_range("confidence", note.confidence, 0, 1)


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be in range {lowest}..{highest}, not {value}")


def notes_to_json(notes: Iterable[Note], *, duration_s: float, about: Mapping[str, Any]) -> dict[str, Any]:
    """The raw artifact: notes in seconds, in order of time, with what is known of them in `about`.

    Raises ValueError for notes or a duration that cannot be.
    """
    check_duration(duration_s)
    rows = []
    for note in sorted(notes, key=in_time):
        check_note(note)
        times = [float(note.start_s), float(note.end_s)]
        rows.append([*times, int(note.pitch), int(note.velocity), float(note.confidence)])
    return {"version": NOTES_VERSION, "duration_s": float(duration_s), "about": dict(about), "notes": rows}


def notes_from_json(data: Mapping[str, Any]) -> tuple[list[Note], float, dict[str, Any]]:
    """(notes, duration_s, about) of a raw artifact. Raises ValueError for anything else."""
    try:
        if data["version"] != NOTES_VERSION:
            raise ValueError(f"notes of version {data['version']} cannot be read, only {NOTES_VERSION}")
        notes = [Note(float(a), float(b), int(p), int(v), float(c)) for a, b, p, v, c in data["notes"]]
        duration_s, about = float(data["duration_s"]), dict(data["about"])
    except (KeyError, TypeError) as fault:
        raise ValueError(f"this is no list of notes: {fault!r}") from fault
    check_duration(duration_s)
    for note in notes:
        check_note(note)
    return notes, duration_s, about


def check_duration(duration_s: float) -> None:
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"duration_s must be in range 0..., not {duration_s}")


def in_time(note: Note) -> tuple[float, int, float, int]:
    return (note.start_s, note.pitch, note.end_s, note.velocity)


def notes_to_csv(notes: Iterable[Note]) -> str:
    """One line a note in order of time, microseconds kept, with a header line."""
    lines = [
        f"{note.start_s:.6f},{note.end_s:.6f},{note.pitch},{note.velocity},{note.confidence:.4f}"
        for note in sorted(notes, key=in_time)
    ]
    return "\n".join([CSV_HEADER, *lines, ""])
