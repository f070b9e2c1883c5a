"""Where each result stands in the API's answers: the one place of guesses about their shapes. Pure.

The documentation gives the body of `byId` for MUSIC_AI alone; for every other type the names are those of its
callback, and where older pages or clients say another name, that follows after it. One recorded live answer
of a type can replace its row here; the client reads by this table, and the compatible server writes by it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urljoin, urlsplit

from bridge.conversions.model import Evidence

Form = Literal["link", "links", "text", "json"]
"""link: an address; links: a map of roles and addresses, or its JSON text; json: data, or its JSON text."""


@dataclass(frozen=True)
class Place:
    """Where one result stands: under the first of `keys` that holds something."""

    role: str
    """As in the catalogue; "*": each name of the map is a role."""
    keys: tuple[str, ...]
    form: Form = "link"
    evidence: Evidence = "inferred"


def _pair(evidence: Evidence = "inferred") -> tuple[Place, ...]:
    """Two variants: a WAV where there is one, else the MP3. Callbacks come for each, without the number."""
    places = []
    for number in (1, 2):
        places += [
            Place(
                f"take_{number}",
                (f"conversion_path_wav_{number}", f"conversion_path_{number}"),
                "link",
                evidence,
            ),
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
        "file_convert": (
            Place("converted", ("output_file_path", "output_file", "conversion_path", "audio_url")),
        ),
    }
)

ASSUMED_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "image_to_song": ("IMAGE_TO_SONG", "MUSIC_AI"),
        "image_generator": ("IMAGE_GENERATOR",),
        "sing_over_vocal": ("SING_OVER_VOCAL", "SING_OVER_INSTRUMENTAL"),
    }
)
"""What `byId` may call those whose type nobody has documented; tried one after the other (inferred)."""

COST_KEYS = ("conversion_cost", "credit_cost")
ESTIMATE_KEYS = ("credit_estimate",)
FAILURE_KEYS = ("reason", "status_msg", "error", "message")
DONE_WORDS = frozenset({"COMPLETED"})
FAILED_WORDS = frozenset({"ERROR", "FAILED"})
"""Every other word of a status means that it still runs."""

PLAUSIBLE_USD = 10.0
"""The dearest conversion stays far below: a larger number is in the other unit of older pages."""

Standing = Literal["running", "done", "failed"]


@dataclass(frozen=True)
class Found:
    """One result in an answer. `value` is a whole address, a text, or plain data, as `form` says."""

    role: str
    form: Literal["link", "text", "json"]
    value: Any
    others: tuple[str, ...] = ()
    """Further addresses of the same thing, the MP3 beside the WAV: for when the first has expired."""


def conversion_in(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What `byId` tells of the conversion, with or without the wrapping."""
    inner = body.get("conversion")
    if isinstance(inner, list) and inner:
        inner = inner[0]
    return inner if isinstance(inner, Mapping) else body


def standing(conversion: str, answer: Mapping[str, Any], base: str) -> Standing:
    """Whether it runs. A word that nobody has documented means that it does."""
    word = str(answer.get("status") or "").strip().upper()
    if word in FAILED_WORDS or (not word and answer.get("success") is False):
        return "failed"
    if word in DONE_WORDS or (not word and find(conversion, answer, base)):
        return "done"
    return "running"


def cost_usd(answer: Mapping[str, Any]) -> float | None:
    """The charge, else its estimate; numbers and numbers as text. None where there is no plausible one."""
    amounts = (_amount(answer.get(key)) for key in (*COST_KEYS, *ESTIMATE_KEYS))
    return next((amount for amount in amounts if amount is not None), None)


def _amount(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        amount = float(value)
    except (ValueError, OverflowError):
        return None
    return amount if math.isfinite(amount) and 0 <= amount < PLAUSIBLE_USD else None


def failure_words(answer: Mapping[str, Any]) -> str:
    """Why it failed, in the API's own words; empty where it says nothing."""
    words = (answer.get(key) for key in FAILURE_KEYS)
    return next((one.strip() for one in words if isinstance(one, str) and one.strip()), "")


def find(conversion: str, answer: Mapping[str, Any], base: str) -> tuple[Found, ...]:
    """The results in an answer about `conversion`. Relative links are of the host of `base`."""
    found: list[Found] = []
    for place in PLACES.get(conversion, ()):
        values = [answer[key] for key in _keys(place) if answer.get(key) not in (None, "")]
        found += _READERS[place.form](place.role, values, base)
    return tuple(found)


def _keys(place: Place) -> tuple[str, ...]:
    """The first of two variants may stand under plain names, as an older page has it."""
    flat = tuple(key.removesuffix("_1") for key in place.keys if key.endswith("_1"))
    return (*place.keys, *flat, *(("audio_url",) if flat and place.form == "link" else ()))


def _read_link(role: str, values: list[Any], base: str) -> Iterator[Found]:
    links = list(dict.fromkeys(link for value in values if (link := address(value, base))))
    if links:
        yield Found(role, "link", links[0], tuple(links[1:]))


def _read_links(_role: str, values: list[Any], base: str) -> Iterator[Found]:
    """A map of names and addresses; where several keys have one, each name's first address that is there."""
    by_role: dict[str, list[Any]] = {}
    for value in values:
        links = _unpacked(value)
        for name, link in links.items() if isinstance(links, Mapping) else ():
            if role := safe_role(str(name)):
                by_role.setdefault(role, []).append(link)
    for role, links in by_role.items():
        yield from _read_link(role, links, base)


def _read_text(role: str, values: list[Any], _base: str) -> Iterator[Found]:
    texts = (value for value in values if isinstance(value, str) and value.strip())
    if text := next(texts, None):
        yield Found(role, "text", text)


def _read_json(role: str, values: list[Any], _base: str) -> Iterator[Found]:
    for data in map(_unpacked, values):
        if data not in (None, "", [], {}):
            yield Found(role, "json", data)
            return


_READERS: Mapping[Form, Callable[[str, list[Any], str], Iterator[Found]]] = MappingProxyType(
    {"link": _read_link, "links": _read_links, "text": _read_text, "json": _read_json}
)


def _unpacked(value: Any) -> Any:
    """Data that came as JSON text; everything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "[", '"'):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


_LINK_KEYS = ("url", "href", "link", "path")


def address(value: Any, base: str) -> str | None:
    """The whole http(s) address that `value` means; None for an empty one and for the bare root of a host.

    Before a file is there, the API has been seen to give the address of its bucket alone.
    """
    value = _unpacked(value)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, Mapping):
        value = next((value[key] for key in _LINK_KEYS if value.get(key)), None)
    if not isinstance(value, str) or value.strip().lower() in _NO_LINK:
        return None
    try:
        parts = urlsplit(base)
        whole = urlsplit(urljoin(f"{parts.scheme}://{parts.netloc}/", value.strip()))
        _ = whole.port  # raises ValueError for one that is no number
    except ValueError:
        return None
    is_file = whole.scheme in ("http", "https") and whole.hostname and whole.path.strip("/")
    return whole.geturl() if is_file else None


_NO_LINK = frozenset({"", "null", "none", "undefined"})


def safe_role(name: str) -> str:
    """A name from outside, as a role: small letters, digits and underscores, and no device's name."""
    role = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")[:MAX_ROLE_CHARS]
    return f"{role}_" if role in _DEVICES else role


MAX_ROLE_CHARS = 40
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
)
"""What Windows takes for a device, whatever the suffix."""
