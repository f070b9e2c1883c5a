"""What is sent to the MusicGPT API: a form with files, a plain form, or JSON; streamed and counted.

A body knows how much of it has been handed to the socket: as long as that is not all of it, nobody can have
accepted the request.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlencode

from bridge.crash_points import reach
from bridge.errors import AudioError
from bridge.jobs.model import Fingerprint

OnSent = Callable[[float], None]
"""Told the fraction that is on its way; may raise to break it off."""

MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".wav": "audio/wav",
        ".wave": "audio/wav",
        ".mp3": "audio/mpeg",
        ".flac": "audio/flac",
        ".ogg": "audio/ogg",
        ".opus": "audio/ogg",
        ".aif": "audio/aiff",
        ".aiff": "audio/aiff",
        ".m4a": "audio/mp4",
        ".aac": "audio/aac",
        ".webm": "audio/webm",
        ".wma": "audio/x-ms-wma",
        ".png": "image/png",
        ".jpg": "image/jpeg",
        ".jpeg": "image/jpeg",
        ".webp": "image/webp",
    }
)
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True)
class FilePart:
    """A file in a form. With a fingerprint it must still be in that state when its last byte leaves."""

    field: str
    path: Path
    fingerprint: Fingerprint | None = None

    @property
    def media_type(self) -> str:
        return MEDIA_TYPES.get(self.path.suffix.lower(), UNKNOWN_TYPE)


class _Reader(Protocol):
    def read(self, size: int = -1) -> bytes: ...


class Body:
    """A stream of `len` bytes for `requests`, which reads `len` and `read`."""

    def __init__(self, content_type: str, length: int, reader: _Reader, on_sent: OnSent) -> None:
        self.content_type = content_type
        self.len = length
        self.handed = 0
        self._reader = reader
        self._on_sent = on_sent

    @property
    def whole(self) -> bool:
        """Whether every byte has been handed to the socket: from then on it may have arrived."""
        return self.handed >= self.len

    def read(self, size: int = -1) -> bytes:
        if 0 < self.handed < self.len:  # once all is sent it may have arrived: too late to break it off
            reach("post-half-sent")
            self._on_sent(self.handed / self.len)
        elif self.handed:
            reach("post-sent")
        block = self._reader.read(size)
        self.handed += len(block)
        return block


def json_body(values: Mapping[str, Any], on_sent: OnSent) -> Body:
    return _in_memory("application/json", json.dumps(dict(values)).encode(), on_sent)


def form_body(fields: Sequence[tuple[str, str]], on_sent: OnSent) -> Body:
    return _in_memory("application/x-www-form-urlencoded", urlencode(fields).encode(), on_sent)


def _in_memory(content_type: str, data: bytes, on_sent: OnSent) -> Body:
    return Body(content_type, len(data), BytesIO(data), on_sent)


@contextmanager
def multipart_body(
    fields: Sequence[tuple[str, str]], files: Sequence[FilePart], on_sent: OnSent
) -> Iterator[Body]:
    """A form of texts and files, the files last. Raises AudioError for a file that cannot be read."""
    from requests_toolbelt import MultipartEncoder  # type: ignore[import-untyped]  # with the first request

    with ExitStack() as stack:
        parts: list[tuple[str, Any]] = list(fields)
        for part in files:
            file = stack.enter_context(_opened(part.path))
            parts.append((part.field, (ascii_name(part.path), _Streamed(part, file), part.media_type)))
        encoder = MultipartEncoder(parts)
        yield Body(encoder.content_type, encoder.len, encoder, on_sent)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise _unreadable(path, error) from error
    with file:
        yield file


class _Streamed:
    """An open file as the encoder takes it: `len` is what is left of the length that was announced."""

    def __init__(self, part: FilePart, file: BinaryIO) -> None:
        self._part = part
        self._file = file
        self.len = _state(part.path).size
        self._check()

    def read(self, size: int = -1) -> bytes:
        try:
            block = self._file.read(self.len if size < 0 else min(size, self.len))
        except OSError as error:
            raise _unreadable(self._part.path, error) from error
        if not block:
            raise _written_to(self._part.path)
        self.len -= len(block)
        if not self.len:
            self._check()
        return block

    def _check(self) -> None:
        path, fingerprint = self._part.path, self._part.fingerprint
        if fingerprint is not None and _state(path) != fingerprint:
            raise _written_to(path)


def _state(path: Path) -> Fingerprint:
    try:
        return Fingerprint.of(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> AudioError:
    why = error.strerror or error
    return AudioError(f"it cannot be read: {why}.", file=path, remedy="Is its disk or share still there?")


def _written_to(path: Path) -> AudioError:
    return AudioError(
        "it was written to again while it was being sent; nothing was converted.",
        file=path,
        remedy="The finished bounce is taken up by itself.",
    )


MAX_NAME_CHARS = 60


def ascii_name(path: Path) -> str:
    """The file's name for a form: plain ASCII without quotes, so that every server reads it alike."""
    plain = unicodedata.normalize("NFKD", path.name).encode("ascii", "ignore").decode()
    stem, dot, suffix = re.sub(r"[^A-Za-z0-9._ -]+", "_", plain).rpartition(".")
    if not dot:
        stem, suffix = suffix, ""
    stem = stem.strip("._ -")[:MAX_NAME_CHARS] or "audio"
    return f"{stem}.{suffix}" if suffix else stem


def as_text(value: Any) -> str:
    """A parameter's value in a form: `true`, `false`, lists as JSON, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
