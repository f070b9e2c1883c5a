"""Keys, and what a key's plan allows: calls a minute, and conversions at a time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from bridge.clock import Clock
from bridge.conversions.model import Plan
from bridge.conversions.plans import ALLOWANCES, Allowance
from bridge.server.compatible.aliases import bare_key
from bridge.server.compatible.refusals import Refusal

MINUTE_S = 60.0


@dataclass(frozen=True)
class Account:
    key: str
    plan: Plan

    @property
    def allowance(self) -> Allowance:
        return ALLOWANCES[self.plan]


class Accounts:
    """`keys` and their plans; with none of them any key is accepted, on `plan`."""

    def __init__(self, keys: Mapping[str, Plan], clock: Clock, *, plan: Plan = "pro") -> None:
        self._keys = dict(keys)
        self._plan = plan
        self._clock = clock
        self._lock = threading.Lock()
        self._polls: dict[str, deque[float]] = {}

    def of(self, header: str | None) -> Account:
        """Whose request it is, by its `Authorization`. Raises Refusal 401."""
        key = bare_key(header or "")
        if not key or (self._keys and key not in self._keys):
            raise Refusal(401)
        return Account(key, self._keys.get(key, self._plan))

    def count_poll(self, account: Account) -> None:
        """One call of byId. Raises Refusal 429 where the minute has no more of them."""
        now = self._clock.monotonic()
        with self._lock:
            polls = self._polls.setdefault(account.key, deque())
            while polls and polls[0] <= now - MINUTE_S:
                polls.popleft()
            if len(polls) >= account.allowance.polls:
                raise Refusal(429)
            polls.append(now)

    def forget_polls(self) -> None:
        with self._lock:
            self._polls.clear()
