"""Sends callbacks, each when its time has come, with a few more tries. To this machine only."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests

from bridge.clock import Clock
from bridge.server.gate import is_loopback

TIMEOUT_S = 5.0
AGAIN_AFTER_S = (0.2, 1.0, 3.0)
ELSEWHERE = "not sent: only addresses of this machine are called from here"

Report = Callable[[str, str, str], None]
"""Told the task, the address and how it went."""


def is_of_this_machine(address: str) -> bool:
    """Whether an http(s) address can only be a server on this machine."""
    try:
        parts = urlsplit(address)
        _ = parts.port  # raises ValueError for one that is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_loopback(parts.hostname or "")


@dataclass(order=True)
class _Letter:
    due: float
    number: int
    task_id: str = field(compare=False)
    address: str = field(compare=False)
    write: Callable[[], Mapping[str, Any]] = field(compare=False)
    tries: int = field(compare=False, default=0)


class Callbacks:
    """One thread that waits for the next letter. `send` may be called from any thread."""

    def __init__(self, clock: Clock, report: Report) -> None:
        self._clock = clock
        self._report = report
        self._changed = threading.Condition()
        self._letters: list[_Letter] = []
        self._numbers = itertools.count()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Letters that were not sent yet are not sent."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._thread.join(TIMEOUT_S + 1.0)

    def send(self, due: float, task_id: str, address: str, write: Callable[[], Mapping[str, Any]]) -> None:
        """At `due` on the monotonic clock `write` gives the body, and it goes to `address`."""
        if not is_of_this_machine(address):
            self._report(task_id, address, ELSEWHERE)
            return
        with self._changed:
            heapq.heappush(self._letters, _Letter(due, next(self._numbers), task_id, address, write))
            self._changed.notify_all()

    def _run(self) -> None:
        with requests.Session() as session:
            session.trust_env = False  # no proxy stands before this machine
            while (letter := self._next()) is not None:
                self._deliver(session, letter)

    def _next(self) -> _Letter | None:
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic()
                if self._letters and self._letters[0].due <= now:
                    return heapq.heappop(self._letters)
                self._changed.wait(self._letters[0].due - now if self._letters else None)
            return None

    def _deliver(self, session: requests.Session, letter: _Letter) -> None:
        try:
            answer = session.post(
                letter.address, json=dict(letter.write()), timeout=TIMEOUT_S, allow_redirects=False
            )
            outcome, taken = str(answer.status_code), answer.ok
        except (requests.RequestException, ValueError) as error:
            outcome, taken = type(error).__name__, False
        self._report(letter.task_id, letter.address, outcome)
        if not taken and letter.tries < len(AGAIN_AFTER_S):
            letter.due = self._clock.monotonic() + AGAIN_AFTER_S[letter.tries]
            letter.tries += 1
            with self._changed:
                heapq.heappush(self._letters, letter)
