"""What `requests` is needed for: sessions, and the one place where its faults become a BridgeError.

Imported with the first request: most musicians have no key, and `requests` takes memory and time.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from bridge import __version__
from bridge.converters.musicgpt.verdicts import CHECK_NETWORK, LOG_INTO_NETWORK, RESOLVE, VERDICTS, Answer
from bridge.errors import BridgeError, NotSent, OutcomeUnknown
from bridge.keys import hidden

BLOCK_BYTES = 1 << 18
MAX_ANSWER_BYTES = 16 << 20
USER_AGENT = f"DAW-Bridge/{__version__}"

FOREIGN = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,
)
"""Everything that requests and what lies below it raise."""

NEVER_LEFT = (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError)
"""What says for sure that there was no connection (a name that cannot be found is one of these)."""


class _BareKey(AuthBase):
    """The header as the API wants it. Having any `auth` also keeps requests from sending what .netrc says."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.pop("Authorization", None)
        if self._key is not None:
            request.headers["Authorization"] = self._key
        return request


class _Adapter(HTTPAdapter):
    """Sends in larger blocks than the default, and never twice."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, blocksize=BLOCK_BYTES)


def new_session(key: str | None = None) -> requests.Session:
    """Without cookies, without .netrc, without repetitions; `key` goes with every request."""
    session = requests.Session()
    session.auth = _BareKey(key)
    session.headers["User-Agent"] = USER_AGENT
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Adapter(max_retries=0))
    return session


def read(response: requests.Response) -> Answer:
    """The answer; a key that it echoes, in whatever form, is masked before anybody sees it."""
    with response:
        return Answer(
            status=response.status_code,
            data=_json_object(hidden(_text(response))),
            kind=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
            retry_after=response.headers.get("Retry-After"),
            location=hidden(response.headers.get("Location", ""))[:200],
        )


@contextmanager
def explained(explain: Callable[[Exception], BridgeError]) -> Iterator[None]:
    """No foreign exception leaves: `explain` says what it means. Its text may hold the key: it stays."""
    try:
        yield
    except BridgeError:
        raise
    except FOREIGN as error:
        raise explain(error) from None


def _text(response: requests.Response) -> str:
    """What was said; of a refusal that breaks off, nothing: its status says enough."""
    try:
        return b"".join(_bounded(response)).decode("utf-8", "replace")
    except FOREIGN:
        if response.status_code in VERDICTS:
            return ""
        raise


def _bounded(response: requests.Response) -> Iterator[bytes]:
    size = 0
    for block in response.iter_content(1 << 16):
        size += len(block)
        if size > MAX_ANSWER_BYTES:
            raise ValueError("an answer without end")
        yield block


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def not_sent(error: Exception, host: str) -> NotSent:
    return NotSent(f"it could not be sent to {host}: {cause(error)}.", remedy=remedy(error))


def outcome_unknown(error: Exception, host: str) -> OutcomeUnknown:
    return OutcomeUnknown(
        f"everything was sent to {host}, but no answer came ({cause(error)}); it may have been accepted.",
        remedy=RESOLVE,
    )


def remedy(error: Exception) -> str:
    return f"Is this computer's clock right? {LOG_INTO_NETWORK}" if _find(error, _TLS) else CHECK_NETWORK


_TLS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError)

_CAUSES: tuple[tuple[tuple[type[Exception], ...], str], ...] = (
    ((urllib3.exceptions.NameResolutionError, socket.gaierror), "its name cannot be found"),
    ((ConnectionRefusedError,), "nobody answers there"),
    ((requests.exceptions.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError), "it cannot be reached"),
    (_TLS, "the connection is not safe: its certificate does not fit"),
    ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy does not let it through"),
    ((requests.exceptions.Timeout, urllib3.exceptions.TimeoutError, TimeoutError), "it took too long"),
    ((ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected), "the connection broke"),
    ((requests.exceptions.InvalidURL, urllib3.exceptions.LocationParseError), "its address cannot be read"),
)
"""What an exception means in plain words; the first row that fits anything in its chain."""


def cause(error: Exception) -> str:
    return next((words for kinds, words in _CAUSES if _find(error, kinds)), "the connection broke")


def never_left(error: Exception) -> bool:
    return _find(error, (*NEVER_LEFT, *_ADDRESS_FAULTS))


_ADDRESS_FAULTS = (
    urllib3.exceptions.LocationValueError,
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidHeader,
)


def _find(error: BaseException, kinds: tuple[type[Exception], ...]) -> bool:
    """Whether `error`, or what it was raised for, is one of `kinds`. requests hides causes in arguments."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        if isinstance(one, kinds):
            return True
        waiting += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return False
