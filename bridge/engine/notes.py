"""Audio to notes: hear, find out what plays, and let the listener for it decode (`engine.listeners`)."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import soundfile

from bridge.engine import synth
from bridge.engine.listeners import LISTENERS, MODELS_OF, Ear, Wanted, network
from bridge.engine.materials import Recognised, recognise
from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.version import ENGINE_VERSION
from bridge.errors import WrongUse
from bridge.media.notes import (
    NOTES_MEDIA_TYPE,
    Note,
    Transcription,
    notes_to_csv,
    transcription_to_json,
)

__all__ = ["ENGINE_VERSION", "Ear", "Wanted", "audio_to_midi", "transcribe", "wanted"]

SONIFIED_RATE_HZ = 44_100


def transcribe(ear: Ear, asked: Wanted) -> Transcription:
    """The notes in an audio file, none longer than the audio.

    Raises AudioError for a file that cannot be read and ModelError for a model that cannot be had.
    """
    heard = None
    if asked.material is None:
        heard = network(ear)
        recognised = recognise(heard)
    else:
        recognised = Recognised(asked.material, "you named it", {})
    listener = LISTENERS.get((recognised.material, asked.quality), LISTENERS[recognised.material, "good"])
    ear.check()
    found = listener(ear, asked, recognised.material, heard)
    ear.check()
    # The range of notes is one of pitches: drums' keys are none.
    options = DecodingOptions() if found.drums else asked.options
    notes = (note for note in found.notes if _is_asked_for(note, options, found.duration_s))
    clipped = (replace(note, end_s=min(note.end_s, found.duration_s)) for note in notes)
    about = {
        "engine_version": ENGINE_VERSION,
        "material": recognised.material,
        "why": recognised.why,
        "quality": asked.quality if (recognised.material, asked.quality) in LISTENERS else "good",
        "models": {name: ear.made_of[name] for name in MODELS_OF[listener]},
        "parameters": asdict(asked.options),
    }
    return replace(found, notes=tuple(clipped), pitch_bends=asked.pitch_bends, about=about)


def _is_asked_for(note: Note, options: DecodingOptions, duration_s: float) -> bool:
    above = options.lowest_note is None or note.pitch >= options.lowest_note
    below = options.highest_note is None or note.pitch <= options.highest_note
    return above and below and note.start_s < duration_s


# The task


def audio_to_midi(ear: Ear, parameters: Mapping[str, Any], folder: Path) -> list[dict[str, str]]:
    """The task: the notes of `ear.source`, written into `folder`.

    Writes `notes.json` (role `midi`), with `save_note_events` `notes.csv`, with `sonify_midi` `sonified.wav`
    (44.1 kHz, 16 bit). Answers with `role`, `file`, `media_type` of each.
    Raises AudioError for a file that cannot be read and WrongUse for parameters out of range.
    """
    asked = wanted(parameters)
    try:
        found = transcribe(ear, asked)
        ear.progress(0.96, "writing notes")
        document = transcription_to_json(found)
        (folder / "notes.json").write_text(json.dumps(document), encoding="utf-8")
        made = [{"role": "midi", "file": "notes.json", "media_type": NOTES_MEDIA_TYPE}]
        if parameters.get("save_note_events", False):
            (folder / "notes.csv").write_text(notes_to_csv(found.notes), encoding="utf-8", newline="")
            made.append({"role": "note_events", "file": "notes.csv", "media_type": "text/csv"})
        if parameters.get("sonify_midi", False):
            ear.check()
            _sonify(found, folder / "sonified.wav")
            made.append({"role": "sonified", "file": "sonified.wav", "media_type": "audio/wav"})
    finally:
        _give_memory_back()
    ear.progress(1.0, "done")
    return made


def wanted(parameters: Mapping[str, Any]) -> Wanted:
    """A conversion's parameters as the engine takes them. Raises WrongUse for values that cannot be."""
    names = DecodingOptions.__dataclass_fields__
    options = DecodingOptions(**{name: parameters[name] for name in names if name in parameters})
    for name in ("onset_threshold", "frame_threshold"):
        value = getattr(options, name)
        if value is not None and not 0 < value < 1:
            raise WrongUse(f"{name} must be between 0 and 1", remedy="Leave it out: it then suits the music.")
    lowest, highest = options.lowest_note, options.highest_note
    if lowest is not None and highest is not None and lowest > highest:
        raise WrongUse("lowest_note is above highest_note", remedy="Swap them.")
    material = parameters.get("material", "auto")
    return Wanted(
        material=None if material == "auto" else material,
        quality=parameters.get("quality", "good"),
        pitch_bends=parameters.get("pitch_bends", "off"),
        options=options,
    )


def _sonify(found: Transcription, path: Path) -> None:
    render = synth.render_drums if found.drums else synth.render
    sound = render(found.notes, rate_hz=SONIFIED_RATE_HZ, duration_s=found.duration_s)
    soundfile.write(path, sound, SONIFIED_RATE_HZ, subtype="PCM_16")


def _give_memory_back() -> None:
    """Freed memory goes back to the system, as the worker idles on: glibc keeps it unless it is told to."""
    gc.collect()
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than glibc
            ctypes.CDLL(None).malloc_trim(0)
