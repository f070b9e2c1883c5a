"""The wire to the MusicGPT API: what is sent how, and what its faults mean; `line` has `requests`.

A request that costs money goes over a connection of its own and is sent once: a connection that was kept
might be dead already, and then nobody could tell whether the request has arrived. The key goes to the API's
own address only: redirects are not followed, and files are fetched without it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bridge.clock import Clock
from bridge.converters.musicgpt.body import Body
from bridge.converters.musicgpt.pace import backoff_s, retry_after_s
from bridge.converters.musicgpt.verdicts import LOG_IN, Answer
from bridge.errors import BridgeError, NoKey, TryLater
from bridge.keys import hide

if TYPE_CHECKING:
    import requests

CONNECT_S, ANSWER_S = 15.0, 120.0
"""For the connection and each piece that is sent; for the answer, which may wait until the file is stored."""

ASK_AGAIN_S = 5.0
LONGEST_REFUSAL_S = 60.0


def host_of(address: str) -> str:
    """The host and port of an address, to be shown; also of one that cannot be read."""
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2]


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
        from bridge.converters.musicgpt import line

        key = self.key()
        headers = {"Content-Type": body.content_type} if body else {}

        def explain(error: Exception) -> BridgeError:
            arrived = charges and (body.whole if body else not line.never_left(error))
            return line.outcome_unknown(error, self.host) if arrived else line.not_sent(error, self.host)

        with line.explained(explain), line.new_session(key) as session:
            response = session.post(
                f"{self.base}{path}",
                data=body,
                headers={**headers, "Connection": "close"},
                timeout=self._timeouts,
                allow_redirects=False,
                stream=True,
            )
            return line.read(response)

    def store(self, address: str, body: Body) -> Answer:
        """POSTs `body` to a storage that is not the API: without the key. Raises NotSent."""
        from bridge.converters.musicgpt import line

        def explain(error: Exception) -> BridgeError:
            return line.not_sent(error, host_of(address))

        with line.explained(explain), line.new_session() as session:
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
        from bridge.converters.musicgpt import line

        key = self.key()

        def explain(error: Exception) -> BridgeError:
            unknown = not line.never_left(error)
            return line.outcome_unknown(error, self.host) if unknown else line.not_sent(error, self.host)

        with line.explained(explain), line.new_session(key) as session:
            return self._get(session, path, query)

    def ask(self, path: str, query: Mapping[str, str]) -> Answer:
        """A GET that costs nothing. Raises TryLater where there is no answer, NoKey."""
        from bridge.converters.musicgpt import line

        key = self.key()

        def explain(error: Exception) -> BridgeError:
            what = f"no answer from {self.host}: {line.cause(error)}."
            return TryLater(what, wait_s=ASK_AGAIN_S, remedy=line.remedy(error))

        session = self._take(key)
        with line.explained(explain):
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
        from bridge.converters.musicgpt import line

        with self._lock:
            same = next((one for one in self._idle if one[0] == key), None)
            if same:
                self._idle.remove(same)
        return same[1] if same else line.new_session(key)

    def _get(self, session: requests.Session, path: str, query: Mapping[str, str]) -> Answer:
        from bridge.converters.musicgpt import line

        response = session.get(
            f"{self.base}{path}",
            params=dict(query),
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        )
        return line.read(response)
