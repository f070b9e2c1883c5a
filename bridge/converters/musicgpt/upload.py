"""A file handed over beforehand, where a conversion takes the handle of an upload instead of the file itself.

Three steps: a place is reserved, the file goes there by a form of the storage's own (the key does not), and
the API is told that it is whole. None of them costs anything, so whatever fails here was not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from bridge.converters.musicgpt.body import FilePart, OnSent, as_text, ascii_name, json_body, multipart_body
from bridge.converters.musicgpt.verdicts import Answer, refusal
from bridge.converters.musicgpt.wire import Wire
from bridge.errors import AudioError, NotSent, Rejected

UPLOAD_BYTES = (1024, 80_000_000)
"""The smallest and the largest audio file; documented for this way only, not for files within a form."""

HANDLE = "upload_id"
"""The parameter that takes a handle. A path of this machine in it means: upload this."""


def is_path(value: object) -> bool:
    """Whether the value of a handle is a file of this machine."""
    return isinstance(value, str) and Path(value).expanduser().is_absolute()


def upload(wire: Wire, path: Path, on_sent: OnSent) -> str:
    """Uploads the file; gives its handle. Raises AudioError, NotSent, Rejected and what `on_sent` raises."""
    part = FilePart("file", path.expanduser())
    place = _reserve(wire, part)
    handle, address, fields = place.get("upload_id"), place.get("upload_url"), place.get("fields")
    if not (isinstance(handle, str) and handle and isinstance(address, str) and isinstance(fields, Mapping)):
        raise NotSent("MusicGPT gave no place to upload to.", remedy="It is tried again.")
    _store(wire, address, fields, part, on_sent)
    _good(wire, wire.send(f"/v2/upload_audio/{quote(handle, safe='')}/complete", None, charges=False))
    return handle


def _reserve(wire: Wire, part: FilePart) -> Mapping[str, Any]:
    try:
        size = part.path.stat().st_size
    except OSError as error:
        raise AudioError(f"it cannot be read: {error.strerror or error}.", file=part.path) from error
    smallest, largest = UPLOAD_BYTES
    if not smallest <= size <= largest:
        raise Rejected(
            f"it has {size / 1e6:.1f} MB; an upload has 1 KB to {largest // 1_000_000} MB.",
            remedy="Bounce a shorter part, or as FLAC or MP3.",
            file=part.path,
        )
    values = {"filename": ascii_name(part.path), "content_type": part.media_type, "size_bytes": size}
    return _good(wire, wire.send("/v2/upload_audio", json_body(values, _untold), charges=False))


def _store(wire: Wire, address: str, fields: Mapping[str, Any], part: FilePart, on_sent: OnSent) -> None:
    if urlsplit(address).scheme not in ("https", "http"):
        raise NotSent("the place to upload to is no web address.", remedy="It is tried again.")
    texts = [(str(name), as_text(value)) for name, value in fields.items()]
    with multipart_body(texts, [part], on_sent) as body:
        answer = wire.store(address, body)
    if not _STORED[0] <= answer.status < _STORED[1]:
        raise NotSent(f"the upload was not taken ({answer.status}).", remedy="It is tried again.")


_STORED = (200, 300)


def _good(wire: Wire, answer: Answer) -> Mapping[str, Any]:
    if answer.good and answer.data is not None:
        return answer.data
    error = refusal(answer, charges=False, whole=True, wait_s=wire.wait_s(answer))
    raise error


def _untold(_fraction: float) -> None:
    """A few bytes: nobody waits for them."""
