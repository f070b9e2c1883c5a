"""What the API has besides conversions: asking for states, finding voices, reserving an upload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from bridge.conversions.catalogue import CATALOGUE
from bridge.conversions.model import Encoding, Evidence, Parameter

NO_ROW = ("STEMS_SEPARATION", "VOCAL_EXTRACTION")
"""Types that `byId` still knows though nothing makes them any more."""

CONVERSION_TYPES: tuple[str, ...] = tuple(
    sorted({row.conversion_type for row in CATALOGUE.values() if row.conversion_type} | set(NO_ROW))
)


@dataclass(frozen=True)
class Endpoint:
    """One address that does no conversion. What stands in braces in `path` is filled in from `parameters`."""

    name: str
    about: str
    method: Literal["GET", "POST"]
    path: str
    encoding: Encoding
    parameters: tuple[Parameter, ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    """Of each group, exactly one parameter is given."""
    evidence: Evidence = "docs"


UPLOAD_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "mp3": "audio/mpeg",
        "wav": "audio/wav",
        "ogg": "audio/ogg",
        "flac": "audio/flac",
        "m4a": "audio/mp4",
        "aac": "audio/aac",
        "aiff": "audio/aiff",
        "wma": "audio/x-ms-wma",
        "webm": "audio/webm",
        "zip": "application/zip",
    }
)
"""What `upload_audio` takes, by the ending of a file."""

_PAGE = (
    Parameter("limit", "int", 20, "How many voices on a page."),
    Parameter("page", "int", 0, "Which page; the first is 0."),
)
_UPLOAD_ID = Parameter("upload_id", "text", None, "The handle of the upload.", required=True)

_ROWS = (
    Endpoint(
        name="byId",
        about="How far a conversion is, and its results.",
        method="GET",
        path="/v1/byId",
        encoding="query",
        parameters=(
            Parameter(
                "conversionType",
                "text",
                None,
                "The type of the conversion.",
                required=True,
                choices=CONVERSION_TYPES,
            ),
            Parameter("task_id", "text", None, "The task, as the answer to the request named it."),
            Parameter("conversion_id", "text", None, "Or one conversion of it."),
        ),
        one_of=(("task_id", "conversion_id"),),
    ),
    Endpoint(
        name="searchVoices",
        about="Voices by a part of their name.",
        method="GET",
        path="/v1/searchVoices",
        encoding="query",
        parameters=(Parameter("query", "text", None, "A part of the name.", required=True), *_PAGE),
    ),
    Endpoint(
        name="getAllVoices",
        about="All voices.",
        method="GET",
        path="/v1/getAllVoices",
        encoding="query",
        parameters=_PAGE,
    ),
    Endpoint(
        name="upload_audio",
        about="Reserves a place to upload audio to.",
        method="POST",
        path="/v2/upload_audio",
        encoding="application/json",
        parameters=(
            Parameter("filename", "text", None, "Its name; only the ending counts."),
            Parameter(
                "content_type",
                "text",
                None,
                "Its media type.",
                required=True,
                choices=tuple(UPLOAD_TYPES.values()),
            ),
            Parameter(
                "size_bytes",
                "int",
                None,
                "Its exact size; audio may have 80 MB, a zip 1 GB.",
                unit="bytes",
                low=1024,
                high=1024**3,
                required=True,
            ),
            Parameter("sha256", "text", None, "Its hash; what arrives must have it."),
            Parameter("conversion_type", "text", None, "What it is for.", choices=("REMIX",)),
        ),
    ),
    Endpoint(
        name="upload_audio_complete",
        about="Says that the upload is whole; the handle may then be used.",
        method="POST",
        path="/v2/upload_audio/{upload_id}/complete",
        encoding="query",
        parameters=(_UPLOAD_ID,),
    ),
)

ENDPOINTS: Mapping[str, Endpoint] = MappingProxyType({row.name: row for row in _ROWS})
