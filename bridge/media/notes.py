"""Notes in seconds, and the JSON and CSV that they are kept in. Pure, and quick to import."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

NOTES_MEDIA_TYPE = "application/vnd.daw-bridge.notes+json"
NOTES_VERSION = 2
READABLE_VERSIONS = (1, 2)
CSV_HEADER = "start_s,end_s,pitch,velocity,confidence"
MOST_BEND = 24.0  # semitones to each side

PitchBends = Literal["off", "per_note", "mpe"]
Material = Literal["piano", "chords", "guitar", "bass", "solo", "voice", "drums", "mix"]
"""What plays. "chords" are electric pianos, organs, pads; "solo" is one voice, "mix" several instruments."""


@dataclass(frozen=True, slots=True)
class Note:
    """One note: times in seconds, pitch 0..127, velocity 1..127, confidence 0..1.

    `bends` is its pitch over time: pairs of seconds after `start_s` and semitones from `pitch` (-24..24), in
    order of time; each holds until the next. Empty: the pitch as it is.
    """

    start_s: float
    end_s: float
    pitch: int
    velocity: int
    confidence: float = 1.0
    bends: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Transcription:
    """All that was heard in one piece of audio of `duration_s` seconds, its start being 0.

    `sustain` are the spans in seconds in which the pedal is down. Drums are General MIDI percussion keys.
    `pitch_bends` says how a MIDI file shall carry the notes' bends. `about` tells how it was made: it is kept
    with the notes and shown to the musician (material, why, models, parameters).
    """

    notes: tuple[Note, ...]
    duration_s: float
    sustain: tuple[tuple[float, float], ...] = ()
    drums: bool = False
    pitch_bends: PitchBends = "off"
    about: Mapping[str, Any] = field(default_factory=dict)


def check_note(note: Note) -> None:
    """Raises ValueError, with the range, for a note that cannot be."""
    if not (math.isfinite(note.start_s) and note.start_s >= 0):
        raise ValueError(f"start_s must be in range 0..., not {note.start_s}")
    if not (math.isfinite(note.end_s) and note.end_s >= note.start_s):
        raise ValueError(f"end_s must be in range start_s..., not {note.end_s} with start_s {note.start_s}")
    check_range("pitch", note.pitch, 0, 127)
    check_range("velocity", note.velocity, 1, 127)
    check_range("confidence", note.confidence, 0, 1)
    before_s = 0.0
    for after_s, semitones in note.bends:
        check_range("time of a bend", after_s, before_s, math.inf)
        check_range("bend", semitones, -MOST_BEND, MOST_BEND)
        before_s = after_s


def check_range(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be in range {lowest}..{highest}, not {value}")


def check_duration(duration_s: float) -> None:
    if not (math.isfinite(duration_s) and duration_s >= 0):
        raise ValueError(f"duration_s must be in range 0..., not {duration_s}")


def check_transcription(heard: Transcription) -> None:
    """Raises ValueError for a duration, notes or pedal that cannot be."""
    check_duration(heard.duration_s)
    check_bends_mode(heard.pitch_bends)
    for note in heard.notes:
        check_note(note)
    before_s = 0.0
    for down_s, up_s in heard.sustain:
        check_range("pedal down", down_s, before_s, math.inf)
        check_range("pedal up", up_s, down_s, math.inf)
        before_s = up_s


def check_bends_mode(mode: str) -> None:
    if mode not in get_args(PitchBends):
        raise ValueError(f"pitch_bends must be one of {', '.join(get_args(PitchBends))}, not {mode!r}")


def in_time(note: Note) -> tuple[float, int, float, int]:
    return (note.start_s, note.pitch, note.end_s, note.velocity)


def transcription_to_json(heard: Transcription) -> dict[str, Any]:
    """The raw artifact, notes in order of time. Raises ValueError for what cannot be."""
    check_transcription(heard)
    return {
        "version": NOTES_VERSION,
        "duration_s": float(heard.duration_s),
        "about": dict(heard.about),
        "drums": heard.drums,
        "pitch_bends": heard.pitch_bends,
        "sustain": [[float(down_s), float(up_s)] for down_s, up_s in heard.sustain],
        "notes": [_row(note) for note in sorted(heard.notes, key=in_time)],
    }


def _row(note: Note) -> list[Any]:
    row: list[Any] = [float(note.start_s), float(note.end_s), int(note.pitch), int(note.velocity)]
    row.append(float(note.confidence))
    if note.bends:
        row.append([[float(after_s), float(semitones)] for after_s, semitones in note.bends])
    return row


def transcription_from_json(data: Mapping[str, Any]) -> Transcription:
    """What `transcription_to_json` wrote, also an earlier version's. Raises ValueError for anything else."""
    try:
        if data["version"] not in READABLE_VERSIONS:
            raise ValueError(f"notes of version {data['version']} cannot be read, only {NOTES_VERSION}")
        heard = Transcription(
            notes=tuple(_note(*row) for row in data["notes"]),
            duration_s=float(data["duration_s"]),
            sustain=tuple((float(down_s), float(up_s)) for down_s, up_s in data.get("sustain", ())),
            drums=bool(data.get("drums", False)),
            pitch_bends=data.get("pitch_bends", "off"),
            about=dict(data["about"]),
        )
    except (KeyError, TypeError) as fault:
        raise ValueError(f"this is no list of notes: {fault!r}") from fault
    check_transcription(heard)
    return heard


def _note(
    start_s: Any, end_s: Any, pitch: Any, velocity: Any, confidence: Any, bends: Iterable[Any] = ()
) -> Note:
    curve = tuple((float(after_s), float(semitones)) for after_s, semitones in bends)
    return Note(float(start_s), float(end_s), int(pitch), int(velocity), float(confidence), curve)


def notes_to_csv(notes: Iterable[Note]) -> str:
    """One line a note in order of time, microseconds kept, with a header line."""
    lines = [
        f"{note.start_s:.6f},{note.end_s:.6f},{note.pitch},{note.velocity},{note.confidence:.4f}"
        for note in sorted(notes, key=in_time)
    ]
    return "\n".join([CSV_HEADER, *lines, ""])
