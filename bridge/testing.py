"""Fakes that ship: they pass the same contract suites as the real things."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.converters.base import Artifact, Capability, ConversionRequest, Lane, Progress, Quote, Ticket
from bridge.errors import AudioError, BridgeError, Cancelled, TicketLost
from bridge.jobs.model import Fingerprint, Source


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, *, monotonic: float = 1000.0, wall: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._wall = wall

    def monotonic(self) -> float:
        return self._monotonic

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"a clock does not go back (asked for {seconds} s)")
        self._monotonic += seconds
        self._wall += seconds


class FakeConverter:
    """A converter in memory. Its results are text that names the request; tests decide when and how it ends.

    With `hold` a ticket runs until `release`; `failures` are raised by the next submits, in order;
    `outcomes` are the errors that the next tickets end with (None: well).
    """

    def __init__(
        self, name: str = "fake", *, repeatable: bool = True, remote: bool = False, hold: bool = False
    ) -> None:
        self.name = name
        self.repeatable = repeatable
        self.remote = remote
        self.parallel = 4
        self.price_usd: float | None = 0.01 if remote else 0.0
        self.cost_usd: float | None = None
        """What `poll` says that it costs."""
        self.submitted: list[ConversionRequest] = []
        self.failures: list[BridgeError] = []
        self.outcomes: list[BridgeError | None] = []
        self._hold = hold
        self._lock = threading.Lock()
        self._tickets: dict[Ticket, tuple[ConversionRequest, Progress]] = {}
        self._on_change: list[Callable[[Ticket], None]] = []

    def lanes(self) -> tuple[Lane, ...]:
        return (Lane(self.parallel),)

    def quote(self, conversion: str, parameters: Mapping[str, Any], duration_s: float) -> Quote:  # noqa: ARG002  one price for everything
        return Quote(self.price_usd, "a fake's price")

    def adopt(self, conversion: str, task: str) -> Ticket:  # noqa: ARG002  tickets name their own work
        return Ticket(task)

    def wake(self, ticket: Ticket) -> None:
        """Nothing to do: `poll` looks anew each time."""

    def capabilities(self) -> Mapping[str, Capability]:
        return {"audio_to_midi": Capability(available=True)}

    def fingerprint(self, conversion: str) -> Mapping[str, str]:
        return {"fake": conversion}

    def submit(self, request: ConversionRequest) -> Ticket:
        with self._lock:
            self.submitted.append(request)
            if self.failures:
                raise self.failures.pop(0)
            ticket = Ticket(f"{self.name}-{len(self.submitted)}")
            error = self.outcomes.pop(0) if self.outcomes else None
            state = Progress("running") if self._hold else _ended(error)
            self._tickets[ticket] = (request, state)
        self._tell(ticket)
        return ticket

    def poll(self, ticket: Ticket) -> Progress:
        return replace(self._known(ticket)[1], cost_usd=self.cost_usd)

    def fetch(self, ticket: Ticket, folder: Path, request: ConversionRequest) -> list[Artifact]:
        kept, progress = self._known(ticket)
        if progress.state != "done":
            raise TicketLost("this ticket has no result.")
        path = folder / "result.txt"
        path.write_text(f"{kept.conversion} of {request.source.name} {kept.key}", encoding="utf-8")
        return [Artifact("midi", path, "text/plain")]

    def cancel(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket in self._tickets and self._tickets[ticket][1].state == "running":
                self._tickets[ticket] = (self._tickets[ticket][0], _ended(Cancelled("cancelled.")))

    def watch(self, on_change: Callable[[Ticket], None]) -> None:
        self._on_change.append(on_change)

    # What tests do with it

    def release(self) -> None:
        """Everything that runs ends well, and nothing is held from now on."""
        with self._lock:
            self._hold = False
            running = [
                ticket for ticket, (_, progress) in self._tickets.items() if progress.state == "running"
            ]
            for ticket in running:
                self._tickets[ticket] = (self._tickets[ticket][0], _ended(None))
        for ticket in running:
            self._tell(ticket)

    def forget(self) -> None:
        """As after a restart: no ticket is known any more."""
        with self._lock:
            self._tickets.clear()

    def _known(self, ticket: Ticket) -> tuple[ConversionRequest, Progress]:
        with self._lock:
            if ticket not in self._tickets:
                raise TicketLost("this ticket is not known here.")
            return self._tickets[ticket]

    def _tell(self, ticket: Ticket) -> None:
        for on_change in self._on_change:
            on_change(ticket)


def _ended(error: BridgeError | None) -> Progress:
    return Progress("failed", error=error) if error else Progress("done", fraction=1.0)


class FakeEngine:
    """What the intake needs of the local converter, without a process: a look reads the file's bytes.

    A file that begins with "bad" is no audio; one that begins with "hold" is looked at only at `release`.
    """

    def __init__(self) -> None:
        self.warmed = 0
        self.speculated: list[ConversionRequest] = []
        self.withdrawn: list[Ticket] = []
        self.failures: list[BridgeError] = []
        self._held: list[tuple[Future[Source], Path, Fingerprint]] = []

    def probe(self, path: Path, fingerprint: Fingerprint, project_folder: Path) -> Future[Source]:  # noqa: ARG002  the engine's shape
        found: Future[Source] = Future()
        if self.failures:
            found.set_exception(self.failures.pop(0))
        elif path.read_bytes().startswith(b"hold"):
            self._held.append((found, path, fingerprint))
        else:
            _look(found, path, fingerprint)
        return found

    def release(self) -> None:
        """Looks at everything that was held."""
        while self._held:
            _look(*self._held.pop(0))

    def warm(self) -> None:
        self.warmed += 1

    def speculate(self, request: ConversionRequest) -> Ticket:
        self.speculated.append(request)
        return Ticket(request.key)

    def withdraw(self, ticket: Ticket) -> None:
        self.withdrawn.append(ticket)


def _look(found: Future[Source], path: Path, fingerprint: Fingerprint) -> None:
    data = path.read_bytes()
    if data.startswith(b"bad"):
        found.set_exception(AudioError("this is no audio.", file=path, remedy="Bounce it again."))
        return
    found.set_result(
        Source(
            path=path,
            fingerprint=fingerprint,
            samples_sha256=hashlib.sha256(data).hexdigest(),
            frames=len(data),
            channels=1,
            rate_hz=48_000,
            duration_s=len(data) / 48_000,
        )
    )
