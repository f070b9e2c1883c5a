"""What clients in the field send that the documentation does not list, and what it means. One table; pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

PREFIXES = ("", "/api/public")
"""Every route is served below each: clients' base addresses differ by it."""

OTHER_VERSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"MusicAI": ("v1", "v2"), "Extraction": ("v1", "v2"), "Remix": ("v1", "v2")}
)
"""Conversions that answer under another version of their path too."""

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "audio_path": "audio_url",
        "reference_audio_path": "reference_audio_url",
        "audio_extension": "output_extension",
        "file": "audio_file",
        "image_path": "image_url",
    }
)
"""Other names of fields. A field that comes under its own name too wins."""

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "FILE_CONVERSION": "FILE_CONVERT",
        "VOICE_CHANGER": "VOICE_CONVERSION",
        "DENOISE": "DENOISING",
        "DE_ECHO": "DEECHO",
        "DEVERB": "DEREVERB",
        "AUDIO_TRANSCRIBE": "AUDIO_TRANSCRIPTION",
        "TRANSCRIPTION": "AUDIO_TRANSCRIPTION",
        "EXTRACT_KEY_BPM": "KEY_BPM_EXTRACTION",
        "TTS": "TEXT_TO_SPEECH",
    }
)
"""Other names of the values of `conversionType`."""

_SWITCHES: Mapping[str, int] = MappingProxyType({"true": 1, "false": 0})


def own_path(path: str) -> str:
    """The path without the prefix that a client's base address brings."""
    for prefix in PREFIXES:
        if prefix and (path == prefix or path.startswith(f"{prefix}/")):
            return path.removeprefix(prefix) or "/"
    return path


def own_fields(sent: Mapping[str, Any]) -> dict[str, Any]:
    """The fields under the documentation's names."""
    renamed = {FIELDS[name]: value for name, value in sent.items() if name in FIELDS}
    return {**renamed, **{name: value for name, value in sent.items() if name not in FIELDS}}


def own_type(name: str) -> str:
    """A `conversionType` as the documentation spells it."""
    upper = name.upper()
    return TYPES.get(upper, upper)


def as_number(value: Any) -> Any:
    """A yes or no where the documentation wants 1 or 0; anything else as it is."""
    return _SWITCHES.get(str(value).lower(), value)


def bare_key(header: str) -> str:
    """The key in an `Authorization` header, which some clients put behind `Bearer`."""
    word, _, rest = header.strip().partition(" ")
    return rest.strip() if word.lower() == "bearer" else header.strip()
