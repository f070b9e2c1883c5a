"""What the rehearsal was sent, for whoever wants to count: the facts that an invoice would be made of."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from bridge.clock import Clock


@dataclass
class Submission:
    """One request for a conversion that arrived whole. `task_id` is None where it was refused."""

    at: float
    conversion: str
    path: str
    encoding: str
    key: str
    parameters: dict[str, Any]
    ignored: list[str]
    """Fields that the documentation does not list."""
    webhook_url: str
    audio_sha256: str | None = None
    audio_bytes: int | None = None
    task_id: str | None = None
    conversion_ids: list[str] = field(default_factory=list)
    credit_estimate: float | None = None
    status: int = 0


@dataclass(frozen=True)
class Poll:
    at: float
    task_id: str
    status: str
    """What it was told; empty where it was refused."""
    http_status: int = 200


@dataclass(frozen=True)
class Callback:
    at: float
    task_id: str
    address: str
    outcome: str


class Ledger:
    """All methods may be called from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._submissions: list[Submission] = []
            self._polls: list[Poll] = []
            self._callbacks: list[Callback] = []
            self._requests: Counter[str] = Counter()
            self._faults: Counter[str] = Counter()

    def submitted(self, entry: Submission) -> None:
        with self._lock:
            self._submissions.append(entry)

    def polled(self, task_id: str, status: str, *, http_status: int = 200) -> None:
        with self._lock:
            self._polls.append(Poll(self._clock.wall(), task_id, status, http_status))

    def called_back(self, task_id: str, address: str, outcome: str) -> None:
        with self._lock:
            self._callbacks.append(Callback(self._clock.wall(), task_id, address, outcome))

    def requested(self, method: str, path: str) -> None:
        """Any request at all; links are counted together."""
        with self._lock:
            self._requests[f"{method} {'/cdn' if path.startswith('/cdn/') else path}"] += 1

    def struck(self, kind: str) -> None:
        """A fault that was asked for has happened."""
        with self._lock:
            self._faults[kind] += 1

    def to_json(self) -> dict[str, Any]:
        with self._lock:
            accepted = [one for one in self._submissions if one.task_id is not None]
            usd = sum(one.credit_estimate or 0.0 for one in accepted)
            return {
                "submissions": [asdict(one) for one in self._submissions],
                "polls": [asdict(one) for one in self._polls],
                "callbacks": [asdict(one) for one in self._callbacks],
                "requests": dict(self._requests),
                "faults": dict(self._faults),
                "counts": {
                    "accepted": len(accepted),
                    "refused": len(self._submissions) - len(accepted),
                    "polls": len(self._polls),
                    "callbacks": len(self._callbacks),
                    "by_conversion": dict(Counter(one.conversion for one in accepted)),
                    "usd": round(usd, 6),
                },
            }
