"""Files of the MusicGPT API, fetched from where its answers point: streamed, gone on with, checked.

The key never goes there. A file gets its name when it is whole and is what it should be; the name is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urljoin, urlsplit

from bridge.converters.musicgpt.verdicts import CHECK_NETWORK
from bridge.converters.musicgpt.wire import CONNECT_S, host_of
from bridge.errors import BridgeError, ConverterError, TryLater

if TYPE_CHECKING:
    import requests

READ_S = 60.0
BLOCK_BYTES = 1 << 14
"""A block that does not come whole is lost when the connection breaks, so it is a small one."""
MAX_FILE_BYTES = 4 << 30
MAX_REDIRECTS = 5
FRUITLESS, MOST_TRIES = 2, 200
"""So many tries in a row that bring nothing new, or so many in all, and it is left for later."""

LATER_S = 10.0
ODD_LATER_S = 60.0

Family = str
"""What may stand for what: any audio for audio, any picture for a picture."""


@dataclass(frozen=True)
class FileKind:
    """What a file is, by its first bytes."""

    suffix: str
    media_type: str
    family: Family


@dataclass(frozen=True)
class Downloaded:
    path: Path
    kind: FileKind


class LinkExpired(ConverterError):
    """The address does not work any more; `byId` gives a fresh one."""

    code = "link-expired"


_SIGNS: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"RIFF", FileKind("wav", "audio/wav", "audio")),
    (0, b"RF64", FileKind("wav", "audio/wav", "audio")),
    (0, b"fLaC", FileKind("flac", "audio/flac", "audio")),
    (0, b"OggS", FileKind("ogg", "audio/ogg", "audio")),
    (0, b"ID3", FileKind("mp3", "audio/mpeg", "audio")),
    (0, b"FORM", FileKind("aiff", "audio/aiff", "audio")),
    (4, b"ftyp", FileKind("m4a", "audio/mp4", "audio")),
    (0, b"\x1aE\xdf\xa3", FileKind("webm", "audio/webm", "audio")),
    (0, b"MThd", FileKind("mid", "audio/midi", "midi")),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("png", "image/png", "picture")),
    (0, b"\xff\xd8\xff", FileKind("jpg", "image/jpeg", "picture")),
    (8, b"WEBP", FileKind("webp", "image/webp", "picture")),
)
_MP3 = FileKind("mp3", "audio/mpeg", "audio")
_AAC = FileKind("aac", "audio/aac", "audio")
_CSV = FileKind("csv", "text/csv", "text")
_SYNC, _LAYER = 0xFFE0, 0x06
"""A frame of MPEG begins with eleven ones; of layer 0 it is AAC."""

_HEAD_BYTES = 512
_WEB_PAGES = (b"<!doctype", b"<html", b"<?xml", b"<error")

FAMILY_OF_SUFFIX: Mapping[str, Family] = MappingProxyType(
    {"mid": "midi", "csv": "text", "png": "picture", "jpg": "picture", "wav": "audio", "mp3": "audio"}
)
"""What a result of the catalogue must be; others may be whatever they are."""


def kind_of(head: bytes) -> FileKind | None:
    """What begins like this; None for a web page, and for what nobody knows."""
    if head[8:12] == b"WEBP":
        return FileKind("webp", "image/webp", "picture")
    for at, sign, kind in _SIGNS:
        if head[at : at + len(sign)] == sign:
            return kind
    if int.from_bytes(head[:2]) & _SYNC == _SYNC:
        return _MP3 if head[1] & _LAYER else _AAC
    plain = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return _CSV if plain and not plain.startswith(_WEB_PAGES) and _is_text(head) else None


def _is_text(head: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        # The last sign may have been cut in two.
        text = head.decode("utf-8", "ignore" if len(head) == _HEAD_BYTES else "strict")
        return all(sign.isprintable() or sign in "\t\r\n\ufeff" for sign in text)
    return False


def download(
    link: str, stem: Path, family: Family | None, timeouts: tuple[float, float] = (CONNECT_S, READ_S)
) -> Downloaded:
    """Fetches `link` to `stem` with the suffix of what it is.

    Raises LinkExpired, and TryLater for everything else that is not a whole file of `family` (None: any).
    """
    from bridge.converters.musicgpt.line import new_session

    partial = stem.with_name(f".{stem.name}.part")
    try:
        with new_session() as session, partial.open("w+b") as file:
            _Transfer(session, link, file, timeouts).run()
            file.seek(0)
            kind = kind_of(file.read(_HEAD_BYTES))
        if kind is None or (family is not None and kind.family != family):
            is_now = kind.media_type if kind else "a web page, or unknown"
            raise _odd(f"the file for '{stem.name}' is not what it should be ({is_now})")
        path = stem.with_name(f"{stem.name}.{kind.suffix}")
        partial.replace(path)
    except OSError as error:
        raise _no_room(error) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return Downloaded(path, kind)


def _no_room(error: OSError) -> TryLater:
    why = error.strerror or error
    return TryLater(f"the result cannot be written: {why}.", wait_s=LATER_S, remedy="Is the disk full?")


def _odd(what: str) -> TryLater:
    return TryLater(
        f"{what}.", wait_s=ODD_LATER_S, remedy="It is fetched again; what was paid for is not lost."
    )


class _Transfer:
    """One file on its way; each try goes on where the last one ended, if it is still the same file."""

    def __init__(
        self, session: requests.Session, link: str, file: BinaryIO, timeouts: tuple[float, float]
    ) -> None:
        self._session = session
        self._link = link
        self._file = file
        self._timeouts = timeouts
        self._have = 0
        self._whole: int | None = None
        self._validator = ""

    def run(self) -> None:
        """Returns when all is there. Raises LinkExpired, TryLater."""
        from bridge.converters.musicgpt.line import explained

        fruitless = furthest = 0
        why = ""
        for _ in range(MOST_TRIES):
            try:
                with explained(self._broken):
                    return self._go_on()
            except _Broken as broken:
                why = broken.message
                fruitless = 0 if self._have > furthest else fruitless + 1
                furthest = max(furthest, self._have)
            if fruitless >= FRUITLESS:
                break
        raise TryLater(why, wait_s=LATER_S, remedy=CHECK_NETWORK)

    def _broken(self, error: Exception) -> BridgeError:
        from bridge.converters.musicgpt.line import cause

        return _Broken(f"fetching a result from {host_of(self._link)} broke off: {cause(error)}.")

    def _go_on(self) -> None:
        with self._answer() as response:
            self._check(response)
            for block in response.iter_content(BLOCK_BYTES):
                self._keep(block)
        if self._whole is not None and self._have != self._whole:
            self._begin_anew_if(self._have > self._whole)
            raise _Broken(f"{host_of(self._link)} sent {self._have} of {self._whole} bytes.")
        if not self._have:
            raise _odd("a result is an empty file")

    def _keep(self, block: bytes) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            raise _no_room(error) from error
        self._have += len(block)
        if self._have > MAX_FILE_BYTES:
            raise _odd("a result is larger than any result can be")

    def _answer(self) -> requests.Response:
        """Asks for what is missing, through redirects: no key goes along that could get astray."""
        headers = {"Accept-Encoding": "identity"}
        if self._have:
            headers["Range"] = f"bytes={self._have}-"
            if self._validator:
                headers["If-Range"] = self._validator
        link = self._link
        for _ in range(MAX_REDIRECTS):
            response = self._session.get(
                link, headers=headers, timeout=self._timeouts, allow_redirects=False, stream=True
            )
            if not response.is_redirect:
                return response
            link = _next_hop(link, response.headers["Location"])
            response.close()
        raise _odd("the link to a result leads in circles")

    def _check(self, response: requests.Response) -> None:
        status = response.status_code
        if status in _EXPIRED:
            raise LinkExpired(f"the link to a result does not work any more ({status}).")
        if status == _PARTIAL and self._continues(response):
            return
        self._begin_anew_if(self._have > 0)
        if status in (_PARTIAL, _UNSATISFIABLE):
            raise _Broken("the file changed while it was being fetched.")
        if status != _OK:
            raise _Broken(f"{host_of(self._link)} answered {status}.")
        length = response.headers.get("Content-Length", "")
        encoded = response.headers.get("Content-Encoding", "identity") != "identity"
        self._whole = int(length) if length.isdigit() and not encoded else None
        self._validator = _validator(response)

    def _continues(self, response: requests.Response) -> bool:
        """Whether a partial answer begins where we ended, and is of a file as long as ours."""
        told = response.headers.get("Content-Range", "").removeprefix("bytes ")
        begins, _, whole = told.partition("/")
        same_length = self._whole is None or whole in ("*", str(self._whole))
        return self._have > 0 and begins.partition("-")[0] == str(self._have) and same_length

    def _begin_anew_if(self, wanted: bool) -> None:  # noqa: FBT001  a condition, not a switch
        if wanted:
            self._file.seek(0)
            self._file.truncate()
            self._have = 0


class _Broken(ConverterError):
    """This try has ended too early; the next one goes on."""

    code = "download-broken"


_OK, _PARTIAL, _UNSATISFIABLE = 200, 206, 416
_EXPIRED = (403, 404, 410)


def _validator(response: requests.Response) -> str:
    """What tells later whether it is still the same file; a weak tag does not count for ranges."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _next_hop(link: str, location: str) -> str:
    there = urljoin(link, location)
    scheme = urlsplit(there).scheme
    if scheme not in ("http", "https") or (scheme == "http" and urlsplit(link).scheme == "https"):
        raise _odd("the link to a result leads to something that is no safe web address")
    return there
