"""Who listens to what: each listener hears an audio file, or takes what it heard before, and decodes it.

`LISTENERS` is the table. What was heard is kept (`engine.hearing`): decoding it otherwise costs milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from bridge.engine import basic_pitch, drums, note_bends, note_segments, piano, pitch_track
from bridge.engine.hearing import Hearings
from bridge.engine.note_decoding import DecodingOptions, decode
from bridge.engine.posteriors import MODEL_RATE_HZ, Posteriors
from bridge.engine.version import ENGINE_VERSION
from bridge.media.audio_files import expected_samples, read_mono
from bridge.media.notes import Material, Note, PitchBends, Transcription

Quality = Literal["good", "best"]
Check = Callable[[], None]
Progress = Callable[[float, str], None]
Heard = TypeVar("Heard")


@dataclass(frozen=True)
class Wanted:
    """What is asked of a transcription. `material` None: hear it."""

    material: Material | None = None
    quality: Quality = "good"
    pitch_bends: PitchBends = "off"
    options: DecodingOptions = field(default_factory=DecodingOptions)


@dataclass(frozen=True)
class Ear:
    """What hearing one file takes: the file, the models, what was heard before, and who is told.

    `models` are files by name; `model` may also fetch one that comes on first use. `made_of` is each model's
    fingerprint. `check` may raise to cancel.
    """

    source: Path
    models: Mapping[str, Path]
    made_of: Mapping[str, str]
    hearings: Hearings
    threads: int
    progress: Progress
    check: Check
    fetch_model: Callable[[str], Path] | None = None

    def model(self, name: str) -> Path:
        """The model's file. Raises ModelError if it has to be fetched and cannot be."""
        if name not in self.models and self.fetch_model is not None:
            return self.fetch_model(name)
        return self.models[name]

    def tell(self, rate_hz: int, doing: str, *, up_to: float = 0.9) -> Callable[[int], None]:
        """Turns samples done into progress. With no length in the header: half-way at one minute."""
        expected = expected_samples(self.source, rate_hz)

        def tell(samples: int) -> None:
            share = samples / expected if expected else samples / (samples + 60 * rate_hz)
            self.progress(up_to * min(share, 1.0), doing)

        return tell


# Listeners: each hears the file, or takes what is kept, and decodes.

Listener = Callable[[Ear, Wanted, Material, Posteriors | None], Transcription]


def _by_network(ear: Ear, asked: Wanted, material: Material, heard: Posteriors | None) -> Transcription:
    heard = heard or network(ear)
    notes = decode(heard, asked.options, material)
    if asked.pitch_bends != "off":
        notes = note_bends.bends_from_contour(notes, heard)
    return Transcription(tuple(notes), heard.duration_s)


def _by_pitch(ear: Ear, asked: Wanted, material: Material, heard: Posteriors | None) -> Transcription:
    heard = heard or network(ear)
    track = _kept(ear, "swift-f0", pitch_track.PitchTrack, lambda: _listen_for_pitch(ear))
    notes = note_segments.notes_of(track, asked.options, material, heard)
    if asked.pitch_bends != "off":
        notes = note_bends.bends_from_track(notes, track)
    return Transcription(tuple(notes), heard.duration_s)


def _by_piano(ear: Ear, _asked: Wanted, _material: Material, _heard: Posteriors | None) -> Transcription:
    kept = _kept(ear, "transkun", _Played, lambda: _Played.of(_listen_to_piano(ear)))
    return kept.transcription()


def _by_hits(ear: Ear, asked: Wanted, _material: Material, _heard: Posteriors | None) -> Transcription:
    activity = _kept(ear, "drums", drums.DrumActivity, lambda: _listen_for_hits(ear))
    hits = drums.hits_of(activity, drums.HitOptions(onset_threshold=asked.options.onset_threshold))
    return Transcription(tuple(hits), activity.duration_s, drums=True)


def network(ear: Ear) -> Posteriors:
    return _kept(ear, "basic-pitch", Posteriors, lambda: _listen(ear))


def _kept(ear: Ear, listener: str, kind: type[Heard], hear: Callable[[], Heard]) -> Heard:
    made_of = f"{listener} {ear.made_of.get(listener, '')} {ENGINE_VERSION}"
    return ear.hearings.of(listener, made_of, kind, hear)


def _listen(ear: Ear) -> Posteriors:
    blocks = read_mono(ear.source, rate_hz=MODEL_RATE_HZ, check=ear.check)
    tell = ear.tell(MODEL_RATE_HZ, "listening for notes")
    model = ear.model("basic-pitch")
    return basic_pitch.posteriors(blocks, model=model, threads=ear.threads, check=ear.check, tell=tell)


def _listen_for_pitch(ear: Ear) -> pitch_track.PitchTrack:
    blocks = read_mono(ear.source, rate_hz=pitch_track.RATE_HZ, check=ear.check)
    tell = ear.tell(pitch_track.RATE_HZ, "listening for the melody")
    return pitch_track.listen(blocks, model=ear.model("swift-f0"), check=ear.check, tell=tell)


def _listen_to_piano(ear: Ear) -> Transcription:
    return piano.transcribe(
        ear.source, model=ear.model("transkun"), threads=ear.threads, progress=ear.progress, check=ear.check
    )


@dataclass(frozen=True)
class _Played:
    """A piano's notes and pedal as arrays, to be kept: (notes, 5) and (pedals, 2)."""

    notes: NDArray[np.float64]
    sustain: NDArray[np.float64]
    duration_s: float

    @classmethod
    def of(cls, found: Transcription) -> _Played:
        rows = [(one.start_s, one.end_s, one.pitch, one.velocity, one.confidence) for one in found.notes]
        return cls(np.array(rows).reshape(-1, 5), np.array(found.sustain).reshape(-1, 2), found.duration_s)

    def transcription(self) -> Transcription:
        rows = self.notes.tolist()
        notes = tuple(Note(start, end, int(pitch), int(loud), sure) for start, end, pitch, loud, sure in rows)
        sustain = tuple((down_s, up_s) for down_s, up_s in self.sustain.tolist())
        return Transcription(notes, self.duration_s, sustain=sustain)


def _listen_for_hits(ear: Ear) -> drums.DrumActivity:
    blocks = read_mono(ear.source, rate_hz=drums.RATE_HZ, check=ear.check)
    return drums.listen(blocks, check=ear.check, tell=ear.tell(drums.RATE_HZ, "listening for drums"))


LISTENERS: Mapping[tuple[Material, Quality], Listener] = {
    ("piano", "good"): _by_network,
    ("piano", "best"): _by_piano,
    ("chords", "good"): _by_network,
    ("guitar", "good"): _by_network,
    ("bass", "good"): _by_pitch,
    ("solo", "good"): _by_pitch,
    ("voice", "good"): _by_pitch,
    ("drums", "good"): _by_hits,
    ("mix", "good"): _by_network,
}
MODELS_OF: Mapping[Listener, tuple[str, ...]] = {
    _by_network: ("basic-pitch",),
    _by_pitch: ("basic-pitch", "swift-f0"),
    _by_piano: ("transkun",),
    _by_hits: (),
}
