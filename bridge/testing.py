"""Fakes that ship: they pass the same contract suites as the real things."""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from bridge.conversions.catalogue import CATALOGUE
from bridge.converters.base import Artifact, Capability, ConversionRequest, Lane, Progress, Quote, Ticket
from bridge.errors import AudioError, BridgeError, Cancelled, TicketLost
from bridge.jobs.model import Fingerprint, Source
from bridge.midi import messages
from bridge.midi.board import OPENED_ANEW, OWN, Incoming, SystemEnded
from bridge.midi.port_names import loopback, matching


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
        return dict.fromkeys(CATALOGUE, Capability(available=True))

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


class FakePorts:
    """MIDI ports in memory: tests plug devices in and out, say what they send, and read what they got.

    Without `makes_ports` it is as on Windows, where our own port is a loopback port that is there.
    """

    def __init__(self, *, makes_ports: bool = True) -> None:
        self.sent: list[tuple[float, str, tuple[int, ...]]] = []
        """What got through: when it was asked for, the port, and the message."""
        self.ended = False
        self.connections = messages.Joined()
        self.now = 0.0
        self._makes_ports = makes_ports
        self._devices: dict[str, tuple[bool, bool]] = {}
        self._wanted = messages.Configure(port="")
        self._also: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self._demanded: set[str] = set()
        self._state = messages.Ports("")
        self._open: set[str] = set()
        self._arrived: list[Incoming] = []
        self._renewed: list[str] = []
        self._told = messages.Joined()
        self._look_at = math.inf

    # What tests do with it

    def plug(self, name: str, *, source: bool = True, sink: bool = True) -> None:
        self._devices[name] = (source, sink)

    def unplug(self, name: str) -> None:
        del self._devices[name]

    def receive(self, port: str, *data: Sequence[int], at_s: float | None = None) -> None:
        """A device sends; heard where its port is listened to, or at our own virtual input."""
        if port in (*self._state.listening, self.virtual_input()):
            at_s = self.now if at_s is None else at_s
            self._arrived += [Incoming(port, tuple(one), at_s) for one in data]

    def got(self, port: str) -> list[tuple[int, ...]]:
        return [data for _, name, data in self.sent if name == port]

    # The board

    def configure(self, wanted: messages.Configure) -> None:
        if any(getattr(self._wanted, name) != getattr(wanted, name) for name in OPENED_ANEW):
            self._open.clear()
        self._wanted = wanted
        self._demanded.clear()
        self._look_at = 0.0

    def also(self, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> bool:
        before, self._also = self._also, (frozenset(inputs), frozenset(outputs))
        return before != self._also

    def look(self, now: float) -> bool:
        self._mind_the_end()
        before, self._look_at = self._state, now + 1.0
        sources = tuple(name for name, (source, _) in self._devices.items() if source)
        sinks = tuple(name for name, (_, sink) in self._devices.items() if sink)
        own = self._wanted.port if self._makes_ports else loopback(sinks, self._wanted.port)
        echo = "" if self._makes_ports else own
        meant = matching(sources, self._wanted.inputs)
        outputs = matching(sinks, (*self._wanted.outputs, *self._wanted.clock_to))
        played = {*outputs, *self._also[1], *self._demanded, echo}
        self._state = messages.Ports(
            "fake",
            why="" if own or self._makes_ports else "There is no port to play out of.",
            inputs=sources,
            outputs=sinks,
            listening=tuple(
                name for name in sources if (name in meant and name != echo) or name in self._also[0]
            ),
            playing_to=tuple(name for name in sinks if name in played),
            virtual=self._virtual(own),
        )
        opened = {*self._state.playing_to, *self._state.virtual} - {self.virtual_input()}
        self._renewed += sorted(opened - self._open)
        self._open = opened
        return self._state != before

    def next_look_at(self) -> float:
        return self._look_at

    def state(self) -> messages.Ports:
        return self._state

    def heard(self, now: float) -> list[Incoming]:
        self._mind_the_end()
        self.now = now
        arrived, self._arrived = self._arrived, []
        return sorted(arrived, key=lambda one: one.at_s)

    def polled(self) -> bool:
        return False

    def targets(self, pattern: str) -> list[str]:
        own = self._wanted.port if self._makes_ports else loopback(self._state.outputs, self._wanted.port)
        if pattern == OWN:
            names = (own, *matching(self._state.outputs, self._wanted.outputs))
            return [name for name in dict.fromkeys(names) if name in self._open]
        meant = matching(self._state.outputs, [pattern])
        if not self._demanded.issuperset(meant):
            self._demanded.update(meant)
            self.look(self._look_at - 1.0)
        return [name for name in self._open if name in meant or matching([name], [pattern])]

    def renewed(self) -> list[str]:
        names, self._renewed = self._renewed, []
        return names

    def send(self, port: str, data: tuple[int, ...], at_s: float) -> None:
        self._mind_the_end()
        if port in self._open and (port in self._devices or port in self._state.virtual):
            self.sent.append((at_s, port, data))

    def lead_s(self, port: str) -> float:  # noqa: ARG002  no port of ours needs any
        return 0.0

    def grid_s(self) -> float:
        return 0.0

    def virtual_input(self) -> str:
        name = f"{self._wanted.port} in"
        return name if name in self._state.virtual else ""

    def through(self) -> str:
        name = f"{self._wanted.port} Thru"
        return name if name in self._state.virtual else ""

    def joined(self) -> messages.Joined | None:
        before, self._told = self._told, self.connections
        return self._told if before != self._told else None

    def join(self, wanted: messages.Joined, now: float) -> None:  # noqa: ARG002  at once
        self.connections = wanted
        self._renewed += [name for name in self._state.virtual if f"{name}:{name}" in wanted.sources]

    def troubles(self) -> list[messages.Trouble]:
        return []

    def close(self) -> None:
        self._open.clear()

    def _virtual(self, own: str) -> tuple[str, ...]:
        if not self._makes_ports or not own:
            return ()
        return (own, *([f"{own} Thru"] if self._wanted.through else []), f"{own} in")

    def _mind_the_end(self) -> None:
        if self.ended:
            raise SystemEnded
