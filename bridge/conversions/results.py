"""Where each result stands in the API's answers: the one place of guesses about their shapes. Pure.

The documentation gives the body of `byId` for MUSIC_AI alone; for every other type the names are those of its
callback, and where older pages or clients say another name, that follows after it. One recorded live answer
of a type can replace its row here; the client reads by this table, and the compatible server writes by it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bridge.conversions.model import Evidence

Form = Literal["link", "links", "text", "json"]
"""link: an address; links: a role → address map, as an object or as JSON text; text; json: data or JSON text."""


@dataclass(frozen=True)
class Place:
    """Where one result stands: under the first of `keys` that holds something."""

    role: str
    """As in the catalogue; "*": each name of the map is a role."""
    keys: tuple[str, ...]
    form: Form = "link"
    evidence: Evidence = "inferred"


def _pair(evidence: Evidence = "inferred") -> tuple[Place, ...]:
    """Two variants: a WAV where there is one, else the MP3. Callbacks come one a variant, without the number."""
    places = []
    for number in (1, 2):
        places += [
            Place(f"take_{number}", (f"conversion_path_wav_{number}", f"conversion_path_{number}"), "link", evidence),
            Place(f"lyrics_{number}", (f"lyrics_{number}",), "text", evidence),
            Place(f"lyrics_times_{number}", (f"lyrics_timestamped_{number}",), "json", evidence),
        ]
    return (*places, Place("cover", ("album_cover_path", "image_path"), "link", evidence))


def _one(role: str) -> tuple[Place, ...]:
    return (Place(role, ("conversion_path_wav", "conversion_path", "audio_url")),)


def _cleaned(kept: str, removed: str) -> tuple[Place, ...]:
    return (Place("clean", (f"{kept}_wav", kept)), Place("removed", (f"{removed}_wav", removed)))


_STEMS = (Place("*", ("audio_url_wav", "audio_url", "conversion_path_wav", "conversion_path"), "links"),)

PLACES: Mapping[str, tuple[Place, ...]] = MappingProxyType(
    {
        "MusicAI": _pair("docs"),
        "Remix": _pair(),
        "extend": _pair(),
        "inpaint": _pair(),
        "sing_over_instrumental": _pair(),
        "sing_over_vocal": _pair(),
        "image_to_song": _pair(),
        "image_generator": (Place("image", ("image_path", "conversion_path", "audio_url")),),
        "prompt_to_lyrics": (Place("lyrics", ("lyrics",), "text", "docs"),),
        "Cover": _one("cover_version"),
        "VoiceChanger": _one("voice"),
        "TextToSpeech": _one("speech"),
        "sound_generator": (*_one("sound"), Place("cover", ("album_cover_path", "image_path"))),
        "Extraction": _STEMS,
        "denoise": _cleaned("no_noise", "noise"),
        "deecho": _cleaned("no_echo", "echo"),
        "dereverb": _cleaned("noreverb", "reverb"),
        "extract_key_bpm": (
            Place("bpm", ("bpm",), "json"),
            Place("key", ("dominant_key",), "text"),
            Place("key_changes", ("key_changes",), "json"),
        ),
        "audio_transcribe": (
            Place("transcript", ("transcription",), "text"),
            Place("translation", ("translation",), "text"),
            Place("language", ("detected_language",), "text"),
            Place("words", ("word_timestamps",), "json"),
        ),
        "audio_to_midi": (
            Place("midi", ("midi_file_path", "conversion_path", "audio_url")),
            Place("sonified", ("sonify_file_path",)),
            Place("note_events", ("notes_file_path",)),
        ),
        "audio_cutter": (Place("cut", ("output_file", "conversion_path", "audio_url")),),
        "audio_speed_changer": (Place("speed", ("output_file", "conversion_path", "audio_url")),),
        "audio_mastering": (Place("master", ("output_file", "conversion_path", "audio_url")),),
        "file_convert": (Place("converted", ("output_file_path", "output_file", "conversion_path", "audio_url")),),
    }
)

COST_KEYS = ("conversion_cost", "credit_cost")
ESTIMATE_KEYS = ("credit_estimate",)
FAILURE_KEYS = ("reason", "status_msg", "error", "message")
DONE_WORDS = frozenset({"COMPLETED"})
FAILED_WORDS = frozenset({"ERROR", "FAILED"})
"""Every other word of a status means that it still runs."""
