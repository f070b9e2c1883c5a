"""One MIDI file of all that was heard in a job: a track for each stem, or for each file of an export."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bridge.delivery.placing import Content
from bridge.delivery.render import Rendered, made_words, smf_of
from bridge.jobs.exports import common_words
from bridge.jobs.records import ArtifactRecord
from bridge.media.midi_bends import DRUM_CHANNEL
from bridge.media.midi_files import Track, smf_to_notes
from bridge.media.musical_context import ASSUMED, HEARD, UNKNOWN, MusicalContext
from bridge.media.notes import NOTES_MEDIA_TYPE, Transcription, transcription_from_json

CHANNELS = tuple(channel for channel in range(16) if channel != DRUM_CHANNEL)

PROGRAMS: Mapping[str, int] = {
    "vocals": 53,
    "lead_vocal": 53,
    "back_vocal": 52,
    "male_vocal": 53,
    "female_vocal": 53,
    "voice": 53,
    "bass": 33,
    "guitar": 27,
    "rhythm_guitar": 27,
    "electric_guitar": 27,
    "solo_guitar": 29,
    "acoustic_guitar": 25,
    "piano": 0,
    "keys": 4,
    "chords": 4,
    "strings": 48,
    "winds": 73,
    "solo": 80,
}
"""The sound of a stem, or of what was heard, as General MIDI counts from 0; what is not here is a piano."""

DRUM_STEMS = frozenset({"drums", "kick_drum", "snare_drum", "toms", "hi_hat", "ride", "crash"})
SEPARATORS = " -_.,()[]"


@dataclass(frozen=True)
class Voice:
    """What becomes a track: notes, what they were made from (a stem's role, or ""), and where they lie."""

    artifact: ArtifactRecord
    role: str
    bounce: str
    context: MusicalContext


def render_together(voices: Sequence[Voice], settings: Mapping[str, Any], *, title: str = "") -> Rendered:
    """All voices as one MIDI file `title`, at the tempo that is known best, from where the first one begins.

    Raises OSError where the cache has lost one, ValueError for notes of another version of the bridge.
    """
    context = min((one.context for one in voices), key=_how_well_known)
    start_s = min(one.context.timeline.start_s for one in voices)
    timeline = replace(context.timeline, start_s=start_s)
    channels = iter(CHANNELS * len(voices))
    names = track_names(voices)
    tracks = [_track(one, name, channels) for one, name in zip(voices, names, strict=True)]
    made, word = smf_of(tracks, timeline, settings, title=title)
    count = f"{len(tracks)} track{'s' * (len(tracks) > 1)}, {made.notes} note{'s' * (made.notes != 1)}"
    words = [count, context.note(), *made_words(made), word]
    return Rendered(Content.of_bytes(made.data), "mid", ", ".join(filter(None, words)))


def _how_well_known(context: MusicalContext) -> int:
    """0: told; 1: heard, each file for itself; 2: nobody knows."""
    return {ASSUMED: 2, HEARD: 1}.get(context.tempo_source, 0)


def track_names(voices: Sequence[Voice]) -> list[str]:
    """A stem's role; of several files of one export what tells them apart: "song-Bass" is "Bass"."""
    bounces = sorted({one.bounce for one in voices})
    at = len(common_words(bounces, separators=SEPARATORS)) if len(bounces) > 1 else 0
    own = {bounce: bounce[at:] or bounce for bounce in bounces}
    if len(bounces) == 1:
        return [one.role or one.bounce for one in voices]
    return [f"{own[one.bounce]} {one.role}".strip() for one in voices]


def common_name(bounces: Sequence[str]) -> str:
    """What the file of several bounces is called: what their names have in common, else the first one's."""
    common = common_words(bounces, separators=SEPARATORS).rstrip(SEPARATORS) if len(bounces) > 1 else ""
    return common or bounces[0]


def _track(voice: Voice, name: str, channels: Iterator[int]) -> Track:
    heard = _heard(voice.artifact, is_drums=voice.role in DRUM_STEMS or "drum" in name.lower())
    sound = voice.role or str(heard.about.get("material", ""))
    known = voice.context.position_source != UNKNOWN
    return Track(
        heard=heard,
        name=name,
        program=None if heard.drums else PROGRAMS.get(sound, 0),
        channel=DRUM_CHANNEL if heard.drums else next(channels),
        start_s=voice.context.timeline.start_s if known else None,
    )


def _heard(artifact: ArtifactRecord, *, is_drums: bool) -> Transcription:
    if artifact.media_type == NOTES_MEDIA_TYPE:
        return transcription_from_json(json.loads(artifact.path.read_text(encoding="utf-8")))
    notes = smf_to_notes(artifact.path.read_bytes())
    return Transcription(tuple(notes), max((one.end_s for one in notes), default=0.0), drums=is_drums)
