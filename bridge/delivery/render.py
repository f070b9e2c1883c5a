"""What an artifact looks like in the project: notes in seconds become MIDI at its tempo, files stay."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bridge.delivery.placing import Content
from bridge.jobs.records import ArtifactRecord
from bridge.media.midi_files import notes_to_smf
from bridge.media.musical_context import MusicalContext
from bridge.media.notes import NOTES_MEDIA_TYPE, notes_from_json


@dataclass(frozen=True)
class Rendered:
    content: Content
    extension: str
    note: str
    """What the musician should know about it, in plain words; may be empty."""


def render(artifact: ArtifactRecord, context: MusicalContext, *, track_name: str) -> Rendered:
    """The artifact as it will lie in the project folder. Raises OSError where the cache has lost it."""
    if artifact.media_type == NOTES_MEDIA_TYPE:
        return _midi(artifact, context, track_name)
    content = Content.of_file(artifact.path, artifact.sha256)
    return Rendered(content, _extension(artifact), "")


def _midi(artifact: ArtifactRecord, context: MusicalContext, track_name: str) -> Rendered:
    notes, duration_s, _ = notes_from_json(json.loads(artifact.path.read_text(encoding="utf-8")))
    smf = notes_to_smf(notes, tempo_bpm=context.tempo_bpm, track_name=track_name, duration_s=duration_s)
    count = "1 note" if len(notes) == 1 else f"{len(notes)} notes"
    return Rendered(Content.of_bytes(smf), "mid", f"{count}, {context.note()}")


def _extension(artifact: ArtifactRecord) -> str:
    return artifact.path.suffix.lstrip(".") or (mimetypes.guess_extension(artifact.media_type) or ".bin")[1:]


def file_name(pattern: str, fields: Mapping[str, str]) -> Path:
    """The name that a preset's pattern gives, relative to the project folder."""
    return Path(pattern.format_map(fields))
