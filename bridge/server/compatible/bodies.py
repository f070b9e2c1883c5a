"""What a request brings, however it is encoded: fields, and files that are written to disk as they come."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from bridge.server.compatible.aliases import own_fields
from bridge.server.compatible.answering import Upload
from bridge.server.compatible.checking import FILES, INVALID
from bridge.server.compatible.refusals import Refusal
from bridge.server.gate import Message

MOST_UPLOADED_BYTES = 1 << 30
MOST_TEXT_BYTES = 1 << 20
MOST_FIELDS = 100
PIECE_BYTES = 1 << 20

MULTIPART = "multipart/form-data"
URLENCODED = "application/x-www-form-urlencoded"
JSON = "application/json"
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,5}")


@dataclass(frozen=True)
class Body:
    """`fields` have the documentation's names; `files` are those that were not empty."""

    encoding: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Upload] = field(default_factory=dict)


async def read(request: Request, folder: Path) -> Body:
    """The whole request. Files go to `folder`, each named by the hash of its bytes.

    Raises Refusal for a body that cannot be read or is too large.
    """
    if request.method == "GET":
        return Body("query", own_fields({name: clean(value) for name, value in request.query_params.items()}))
    encoding = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if encoding == MULTIPART:
        return await _multipart(request, folder)
    text = await _text(request)
    if encoding == JSON and text.strip():
        return Body(JSON, own_fields(_json(text)))
    if encoding == URLENCODED:
        return Body(URLENCODED, own_fields(_urlencoded(text)))
    if text.strip():
        raise Refusal(400, INVALID)
    return Body(encoding or "none")


async def _multipart(request: Request, folder: Path) -> Body:
    limited = Request(request.scope, _limited(request, MOST_UPLOADED_BYTES))
    try:
        async with limited.form(max_files=len(FILES), max_fields=MOST_FIELDS) as form:
            return await _form(form, folder)
    except ClientDisconnect:
        raise
    except (HTTPException, ValueError, LookupError) as fault:
        raise Refusal(400, INVALID) from fault


async def _form(form: FormData, folder: Path) -> Body:
    fields: dict[str, Any] = {}
    files: dict[str, Upload] = {}
    for name, value in own_fields(dict(form.multi_items())).items():
        if not isinstance(value, UploadFile):
            fields[name] = clean(value)
        elif value.size:
            files[name] = await run_in_threadpool(keep, value.file, value.filename or "", folder)
    return Body(MULTIPART, fields, files)


def keep(source: BinaryIO, name: str, folder: Path, *, most_bytes: int = MOST_UPLOADED_BYTES) -> Upload:
    """Writes `source` to `folder`, named by its hash, with the suffix of `name`.

    Raises Refusal for one that is too long.
    """
    digest, size = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=folder, suffix=".part", delete=False) as file:
        part = Path(file.name)
        try:
            for piece in _pieces(source, most_bytes):
                size += len(piece)
                digest.update(piece)
                file.write(piece)
        except BaseException:
            file.close()
            part.unlink()
            raise
    path = folder / (digest.hexdigest() + suffix_of(name))
    part.replace(path)
    return Upload(path, digest.hexdigest(), size)


def _pieces(source: BinaryIO, most_bytes: int) -> Iterator[bytes]:
    left = most_bytes
    while piece := source.read(PIECE_BYTES):
        left -= len(piece)
        if left < 0:
            raise too_large(most_bytes)
        yield piece


def suffix_of(name: str) -> str:
    """`.wav` of `Bass 1.WAV`; empty for anything that no audio file is called."""
    suffix = Path(name.replace("\\", "/")).suffix
    return suffix.lower() if _SUFFIX.fullmatch(suffix) else ""


def too_large(most_bytes: int) -> Refusal:
    return Refusal(400, f"The file is larger than {most_bytes >> 20} MB.")


def _limited(request: Request, most_bytes: int) -> Any:
    """The request's own `receive`, that ends a body which is too long."""
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most_bytes:
            raise too_large(most_bytes)
        return message

    return receive


async def _text(request: Request) -> bytes:
    body = bytearray()
    async for piece in Request(request.scope, _limited(request, MOST_TEXT_BYTES)).stream():
        body += piece
    return bytes(body)


def _json(text: bytes) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Refusal(400, INVALID)
    return {clean(name): clean(value) for name, value in data.items()}


def _urlencoded(text: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(text.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise Refusal(400, INVALID) from None
    return {clean(name): clean(value) for name, value in pairs}


def clean(value: Any) -> Any:
    """A text that can be written down anywhere: half signs of UTF-16, which JSON can hold, are replaced."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
