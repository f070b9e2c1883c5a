"""A request's fields against the table of conversions, with the API's own words for what is wrong. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any

from bridge.conversions.endpoints import Endpoint
from bridge.conversions.model import MUSICGPT, Conversion, Input, Parameter
from bridge.server.compatible.aliases import as_number
from bridge.server.compatible.refusals import Refusal

SOURCES: Mapping[Input, tuple[str, ...]] = MappingProxyType(
    {"audio": ("audio_file", "audio_url"), "image": ("image_file", "image_url"), "text": ()}
)
"""The fields that bring what a conversion begins with: the first that comes is taken."""

TRANSPORT = frozenset({name for names in SOURCES.values() for name in names} | {"upload_id", "webhook_url"})
"""Fields that say how things travel, and are no parameters of a conversion."""

FILES = ("audio_file", "image_file", "reference_audio_file")
HANDLE_TAKEN_BY = frozenset({"MusicAI", "Remix"})
"""Conversions that also begin with what was uploaded before."""

_FORMAT, _RANGE = "Invalid output format specified", "Invalid time range specified"
_INVALID: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "output_extension": (400, _FORMAT),
        "target_format": (400, _FORMAT),
        "start_time": (400, _RANGE),
        "end_time": (400, _RANGE),
        "speed_change_factor": (400, "Invalid speed_change_factor"),
        "prompt_to_lyrics.prompt": (400, "Prompt must be between 1 and 1000 characters."),
    }
)
"""By the field, or the conversion and the field: the answer to a value that cannot be."""

_MISSING: Mapping[str, str] = MappingProxyType(
    {
        "extend": "audio_file or audio_url and extend_after are required.",
        "inpaint": "audio_file or audio_url and valid replace range are required.",
        "sing_over_instrumental": (
            "Either audio_file or audio_url must be provided, along with prompt and lyrics."
        ),
        "image_to_song": "image_file or image_url is required.",
        "sound_generator": "Prompt is required for sound generation.",
    }
)
"""By the conversion: the answer where something is missing."""

_WEB_ADDRESS = re.compile(r"https?://[^\s/]+\S*", re.IGNORECASE)
NO_SOURCE = "Either audio_url or audio_file must be provided."
INVALID = "Invalid request parameters"


def takes_handle(row: Conversion) -> bool:
    return row.name in HANDLE_TAKEN_BY


def known(row: Conversion) -> tuple[Parameter, ...]:
    """The parameters that travel, without those that bring the source."""
    return tuple(
        one
        for one in row.parameters
        if one.sent and (not one.only or MUSICGPT in one.only) and one.name not in TRANSPORT
    )


def parameters(row: Conversion, fields: Mapping[str, Any], files: Collection[str]) -> dict[str, Any]:
    """Every parameter that travels, parsed, with defaults for what did not come.

    `files` are the names of the files that came. Raises Refusal for the first thing that is wrong.
    """
    _check_source(row, fields, files)
    values = {one.name: _value(row, one, fields) for one in known(row)}
    for one in known(row):
        if one.required and _is_empty(values[one.name]) and one.name not in files:
            raise _missing(row, one.name)
    for group in row.one_of:
        if set(group) <= TRANSPORT:
            continue
        if all(_is_empty(values.get(name)) and name not in files for name in group):
            raise Refusal(422, _MISSING.get(row.name, f"One of {', '.join(group)} must be provided."))
    for one in known(row):
        low, high = values[one.name], values.get(one.not_above)
        if None not in (low, high) and low > high:
            raise _invalid(row, one.name, f"must not be above {one.not_above}")
    return values


def _check_source(row: Conversion, fields: Mapping[str, Any], files: Collection[str]) -> None:
    if row.input == "text":
        return
    names = (*SOURCES[row.input], *(("upload_id",) if takes_handle(row) else ()))
    if not any(name in files or not _is_empty(fields.get(name)) for name in names):
        raise Refusal(422, _MISSING.get(row.name, NO_SOURCE))


def _value(row: Conversion, one: Parameter, fields: Mapping[str, Any]) -> Any:
    given = fields.get(one.name)
    if _is_empty(given):
        return None if one.default is None else one.parse(one.default)
    if one.kind == "int" and set(one.choices) == {0, 1}:
        given = as_number(given)
    if one.kind == "text" and not isinstance(given, (str, int, float)):
        raise _invalid(row, one.name, "must be a text")
    try:
        return one.parse(given)
    except ValueError as fault:
        raise _invalid(row, one.name, str(fault)) from None


def endpoint_values(endpoint: Endpoint, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of an endpoint that does no conversion. Raises Refusal."""
    values: dict[str, Any] = {}
    for one in endpoint.parameters:
        given = fields.get(one.name)
        if _is_empty(given) and one.required:
            raise Refusal(422, f"Missing required field: {one.name}")
        try:
            values[one.name] = one.default if _is_empty(given) else one.parse(given)
        except ValueError as fault:
            raise Refusal(422, f"Validation failed. {one.name}: {fault}") from None
    for group in endpoint.one_of:
        if sum(not _is_empty(values[name]) for name in group) != 1:
            raise Refusal(422, f"Give one of {', '.join(group)}.")
    return values


def check_webhook(address: str) -> None:
    """Raises Refusal for what is no address of a web server."""
    if address and not _WEB_ADDRESS.fullmatch(address):
        raise Refusal(422, "Validation failed. webhook_url: must be a valid URL")


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


def _missing(row: Conversion, name: str) -> Refusal:
    status, words = _INVALID.get(f"{row.name}.{name}", (422, f"Missing required field: {name}"))
    return Refusal(status, _MISSING.get(row.name, words))


def _invalid(row: Conversion, name: str, fault: str) -> Refusal:
    usual = (422, f"Validation failed. {name}: {fault}")
    return Refusal(*_INVALID.get(f"{row.name}.{name}", _INVALID.get(name, usual)))


def check_length(row: Conversion, seconds: float) -> None:
    """Raises Refusal for a source that is longer than the API takes."""
    longest = row.max_input_s.get(MUSICGPT)
    if longest is not None and seconds > longest:
        raise Refusal(422, f"Validation failed. The audio is longer than {longest / 60:g} minutes.")
