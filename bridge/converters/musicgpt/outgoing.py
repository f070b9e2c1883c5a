"""From a row of the table and the musician's parameters to what is sent to the MusicGPT API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bridge.conversions.model import MUSICGPT, Conversion, Input
from bridge.converters.base import ConversionRequest
from bridge.converters.musicgpt.body import Body, FilePart, as_text, form_body, json_body, multipart_body
from bridge.errors import Rejected

SOURCE_FIELDS: Mapping[Input, tuple[str, str]] = MappingProxyType(
    {"audio": ("audio_file", "audio_url"), "image": ("image_file", "image_url")}
)
"""How the source is sent, by what it is: the field of the file, and the address that may stand for it."""

FILE_ENDING = "_file"
"""A parameter whose name ends like this is the path of a further file."""

ALWAYS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"audio_to_midi": MappingProxyType({"save_note_events": True})}
)
"""What is asked for whatever the musician wants: notes in seconds make better MIDI than the API does."""


@dataclass(frozen=True)
class Outgoing:
    """One request, ready to be sent: the values of its fields, and its files by the names of their fields."""

    row: Conversion
    values: Mapping[str, Any]
    files: tuple[FilePart, ...] = ()

    def query(self) -> dict[str, str]:
        return {name: as_text(value) for name, value in self.values.items()}


def sends_source(row: Conversion, parameters: Mapping[str, Any]) -> bool:
    """Whether the source itself travels: not where there is none, or where its address is given."""
    return row.input in SOURCE_FIELDS and not parameters.get(SOURCE_FIELDS[row.input][1])


def outgoing(row: Conversion, request: ConversionRequest, *, webhook_url: str = "") -> Outgoing:
    """What is sent for `request`. Values that were not given are left out."""
    asked = {**request.parameters, **ALWAYS.get(row.name, {})}
    values: dict[str, Any] = {}
    files: list[FilePart] = []
    for parameter in row.parameters:
        value = asked.get(parameter.name)
        known = not parameter.only or MUSICGPT in parameter.only
        if not (parameter.sent and known) or value in (None, "", [], ()):
            continue
        if parameter.name.endswith(FILE_ENDING):
            files.append(FilePart(parameter.name, Path(value).expanduser()))
        else:
            values[parameter.name] = list(value) if isinstance(value, tuple) else value
    if webhook_url:
        values["webhook_url"] = webhook_url
    if sends_source(row, request.parameters):
        field = SOURCE_FIELDS[row.input][0]
        files.insert(0, FilePart(field, request.source, request.fingerprint))
    return Outgoing(row, values, tuple(files))


@contextmanager
def body_of(sent: Outgoing, on_progress: Any) -> Iterator[Body]:
    """The body in the encoding of the row. Raises AudioError for a file that cannot be read."""
    if sent.row.encoding == "application/json":
        yield json_body(sent.values, on_progress)
    elif sent.row.encoding == "application/x-www-form-urlencoded":
        yield form_body(list(sent.query().items()), on_progress)
    else:
        with multipart_body(list(sent.query().items()), sent.files, on_progress) as body:
            yield body


def check_length(row: Conversion, request: ConversionRequest) -> None:
    """Raises Rejected for a source that is longer than the API takes: before anything is paid."""
    limit_s = row.max_input_s.get(MUSICGPT)
    if limit_s is None or request.duration_s <= limit_s or not sends_source(row, request.parameters):
        return
    raise Rejected(
        f"it lasts {clock(request.duration_s)}, and MusicGPT takes at most {clock(limit_s)} for {row.name}.",
        remedy="Bounce it in shorter parts.",
        file=request.source,
    )


def clock(seconds: float) -> str:
    """`8:05`: minutes and seconds, begun ones counted."""
    whole = -int(-seconds // 1)
    return f"{whole // 60}:{whole % 60:02d}"
