"""The wire to the MusicGPT API: the key's header, and the one place where every fault becomes a BridgeError.

A request that costs money goes over a connection of its own and is sent once: a connection that was kept
might be dead already, and then nobody could tell whether the request has arrived. The key goes to the API's
own address only: redirects are not followed, and files are fetched without it.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase

from bridge import __version__
from bridge.clock import Clock
from bridge.converters.musicgpt.body import Body
from bridge.converters.musicgpt.pace import backoff_s, retry_after_s
from bridge.converters.musicgpt.verdicts import LOG_IN, LOG_INTO_NETWORK, RESOLVE, VERDICTS, Answer
from bridge.errors import BridgeError, NoKey, NotSent, OutcomeUnknown, TryLater
from bridge.keys import hidden, hide

CONNECT_S, ANSWER_S = 15.0, 120.0
"""For the connection and each piece that is sent; for the answer, which may wait until the file is stored."""

ASK_AGAIN_S = 5.0
BLOCK_BYTES = 1 << 18
LONGEST_REFUSAL_S = 60.0
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

CHECK_NETWORK = "Is this machine online? It is tried again."


def host_of(address: str) -> str:
    """The host and port of an address, to be shown; also of one that cannot be read."""
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2]


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


class Wire:
    """Requests to the API. All calls may come from any thread."""

    def __init__(
        self,
        base_url: str,
        key: Callable[[], str | None],
        clock: Clock,
        chance: random.Random,
        timeouts: tuple[float, float] = (CONNECT_S, ANSWER_S),
    ) -> None:
        self.base = base_url.rstrip("/")
        self._key = key
        self._clock = clock
        self._chance = chance
        self._timeouts = timeouts
        self._lock = threading.Lock()
        self._idle: list[tuple[str, requests.Session]] = []
        self._refusals = 0

    def __repr__(self) -> str:
        return f"Wire({self.base})"

    @property
    def host(self) -> str:
        return host_of(self.base)

    def key(self) -> str:
        """The key as it is sent. Raises NoKey where there is none, or none that can be sent."""
        key = (self._key() or "").strip()
        if not key:
            raise NoKey("there is no MusicGPT key.", remedy="Run `bridge login`, or set MUSICGPT_API_KEY.")
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise NoKey("the MusicGPT key has signs in it that no key has.", remedy=LOG_IN)
        hide(key)
        return key

    def send(self, path: str, body: Body | None, *, charges: bool = True) -> Answer:
        """POSTs `body`, once. Raises NotSent, NoKey, OutcomeUnknown if it `charges`, what `body` raises."""
        key = self.key()
        headers = {"Content-Type": body.content_type} if body else {}

        def explain(error: Exception) -> BridgeError:
            arrived = charges and (body.whole if body else not _never_left(error))
            return _outcome_unknown(error, self.host) if arrived else _not_sent(error, self.host)

        with explained(explain), new_session(key) as session:
            response = session.post(
                f"{self.base}{path}",
                data=body,
                headers={**headers, "Connection": "close"},
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            )
            return _read(response)

    def store(self, address: str, body: Body) -> Answer:
        """POSTs `body` to a storage that is not the API: without the key. Raises NotSent."""

        def explain(error: Exception) -> BridgeError:
            return _not_sent(error, host_of(address))

        with explained(explain), new_session() as session:
            response = session.post(
                address,
                data=body,
                headers={"Content-Type": body.content_type, "Connection": "close"},
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            )
            with response:
                return Answer(response.status_code, None)

    def call(self, path: str, query: Mapping[str, str]) -> Answer:
        """A GET that costs money, over a connection of its own. Raises as `send` does."""
        key = self.key()

        def explain(error: Exception) -> BridgeError:
            unknown = not _never_left(error)
            return _outcome_unknown(error, self.host) if unknown else _not_sent(error, self.host)

        with explained(explain), new_session(key) as session:
            return self._get(session, path, query)

    def ask(self, path: str, query: Mapping[str, str]) -> Answer:
        """A GET that costs nothing. Raises TryLater where there is no answer, NoKey."""
        key = self.key()

        def explain(error: Exception) -> BridgeError:
            what = f"no answer from {self.host}: {cause(error)}."
            return TryLater(what, wait_s=ASK_AGAIN_S, remedy=remedy(error))

        session = self._take(key)
        with explained(explain):
            try:
                answer = self._get(session, path, query)
            except BaseException:
                session.close()
                raise
        with self._lock:
            self._idle.append((key, session))
        return answer

    def wait_s(self, answer: Answer) -> float:
        """How long to send nothing: as the answer says, else longer with each refusal in a row."""
        with self._lock:
            self._refusals = 0 if answer.good else self._refusals + 1
            refusals = max(self._refusals, 1)
        told = retry_after_s(answer.retry_after, self._clock.wall())
        return min(backoff_s(refusals, self._chance), LONGEST_REFUSAL_S) if told is None else told

    def close(self) -> None:
        """Lets go of kept connections; the next request makes a new one."""
        with self._lock:
            idle, self._idle = self._idle, []
        for _, session in idle:
            session.close()

    def _take(self, key: str) -> requests.Session:
        """A kept session with this key, or a new one."""
        with self._lock:
            same = next((one for one in self._idle if one[0] == key), None)
            if same:
                self._idle.remove(same)
        return same[1] if same else new_session(key)

    def _get(self, session: requests.Session, path: str, query: Mapping[str, str]) -> Answer:
        response = session.get(
            f"{self.base}{path}",
            params=dict(query),
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        )
        return _read(response)


def _read(response: requests.Response) -> Answer:
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


def _not_sent(error: Exception, host: str) -> NotSent:
    return NotSent(f"it could not be sent to {host}: {cause(error)}.", remedy=remedy(error))


def _outcome_unknown(error: Exception, host: str) -> OutcomeUnknown:
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


def _never_left(error: Exception) -> bool:
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
