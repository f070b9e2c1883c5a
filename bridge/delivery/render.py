"""What an artifact looks like in the project: notes in seconds become MIDI at its tempo, files stay."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from bridge.delivery.placing import Content
from bridge.jobs.records import ArtifactRecord
from bridge.media.midi_files import MidiFileResult, MidiStart, Track, tracks_to_smf
from bridge.media.musical_context import ASSUMED_TEMPO_BPM, MusicalContext
from bridge.media.musical_time import Timeline
from bridge.media.notes import NOTES_MEDIA_TYPE, Transcription, transcription_from_json
from bridge.media.quantise import Quantise

WORTH_A_WORD_MS = 0.01
"""A difference to the project's tempo that is told, however small its effect."""


TOO_FAR = "begins with the bounce, as bar 1 is too far away for a MIDI file"
TOO_LONG = f"written at {ASSUMED_TEMPO_BPM} BPM, as the tempo map has more beats than a MIDI file"


@dataclass(frozen=True)
class Rendered:
    content: Content
    extension: str
    note: str
    """What the musician should know about it, in plain words; may be empty."""


def render(
    artifact: ArtifactRecord, context: MusicalContext, settings: Mapping[str, Any], *, track_name: str
) -> Rendered:
    """The artifact as it will lie in the project folder; `settings` are the delivery's.

    Raises OSError where the cache has lost it, ValueError for notes of another version of the bridge.
    """
    if artifact.media_type == NOTES_MEDIA_TYPE:
        return _midi(artifact, context, settings, track_name)
    content = Content.of_file(artifact.path, artifact.sha256)
    return Rendered(content, _extension(artifact), str(artifact.about.get("note", "")))


def _midi(
    artifact: ArtifactRecord, context: MusicalContext, settings: Mapping[str, Any], track_name: str
) -> Rendered:
    heard = transcription_from_json(json.loads(artifact.path.read_text(encoding="utf-8")))
    made, word = smf_of([Track(heard, track_name)], context.timeline, settings)
    about = str(artifact.about.get("note", ""))
    words = [_notes_words(heard), context.note(), *_about_words(heard), *made_words(made), word, about]
    return Rendered(Content.of_bytes(made.data), "mid", ", ".join(filter(None, words)))


def smf_of(
    tracks: Sequence[Track], timeline: Timeline, settings: Mapping[str, Any], *, title: str = ""
) -> tuple[MidiFileResult, str]:
    """The MIDI file as the delivery wants it, else as near to that as a file can be, and a word on it."""
    ways: tuple[tuple[Timeline, MidiStart, str], ...] = (
        (timeline, settings.get("midi_start", "bounce"), ""),
        (timeline, "bounce", TOO_FAR),
        (Timeline.constant(ASSUMED_TEMPO_BPM), "bounce", TOO_LONG),
    )
    how = _quantise(settings.get("quantise"))
    for one, start, word in ways:
        with suppress(ValueError):
            return tracks_to_smf(tracks, one, title=title, start=start, quantise=how), word
    raise ValueError("these notes fit into no MIDI file")


def _notes_words(heard: Transcription) -> str:
    what = "hit" if heard.drums else "note"
    return f"1 {what}" if len(heard.notes) == 1 else f"{len(heard.notes)} {what}s"


def _about_words(heard: Transcription) -> list[str]:
    material = heard.about.get("material")
    best = ", best quality" if heard.about.get("quality") == "best" else ""
    return [f"heard as {material}{best}"] if material else []


def made_words(made: MidiFileResult) -> Iterator[str]:
    if made.drift_s * 1000 >= WORTH_A_WORD_MS:
        yield f"within {made.drift_s * 1000:.2f} ms of the project's tempo map"
    if not made.bars_kept:
        yield "bar lines begin with the first whole bar"
    if made.left_out:
        yield f"{made.left_out} left out, as they end before bar 1"
    if made.unbent:
        yield f"{made.unbent} without their bends, as all MIDI channels sounded"


def _quantise(settings: Mapping[str, Any] | None) -> Quantise | None:
    if not settings:
        return None
    return Quantise(
        grid_beats=4 * Fraction(settings["grid"]), strength=settings["strength"], swing=settings["swing"]
    )


def _extension(artifact: ArtifactRecord) -> str:
    return artifact.path.suffix.lstrip(".") or (mimetypes.guess_extension(artifact.media_type) or ".bin")[1:]


def file_name(pattern: str, fields: Mapping[str, str]) -> Path:
    """The name that a preset's pattern gives, relative to the project folder."""
    return Path(pattern.format_map(fields))
