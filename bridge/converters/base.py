"""What every converter can be asked: the local engine, the MusicGPT API, and those that come.

The contract suite in `tests/converters/contract.py` is the exact meaning of these five calls; every converter
passes it, the fake in `bridge.testing` too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NewType, Protocol

from bridge.errors import BridgeError
from bridge.jobs.model import Fingerprint

Ticket = NewType("Ticket", str)
"""What a converter gives for a conversion that it has accepted. It survives a restart of the daemon."""


@dataclass(frozen=True)
class ConversionRequest:
    """One conversion of one audio file. `key` is the same for the same samples, parameters and engine."""

    conversion: str
    parameters: Mapping[str, Any]
    source: Path
    key: str
    fingerprint: Fingerprint | None = None
    """Of a bounce, which somebody may write to again; None for an artifact, which stays as it is."""
    audio: str = ""
    """A hash of what is heard: the same samples, the same hash."""


@dataclass(frozen=True)
class Progress:
    """How far a ticket is. `fraction` in 0..1, `doing` in plain words, `poll_after_s` when to ask again."""

    state: Literal["running", "done", "failed"]
    fraction: float = 0.0
    doing: str = ""
    error: BridgeError | None = None
    poll_after_s: float = 5.0


@dataclass(frozen=True)
class Artifact:
    """A file that a conversion returned, with its role. `path` lies in the folder given to `fetch`."""

    role: str
    path: Path
    media_type: str


@dataclass(frozen=True)
class Capability:
    """Whether a converter can do a conversion now; if not, `why_not` says it and what to do."""

    available: bool
    why_not: str = ""


class Converter(Protocol):
    """Who performs conversions. All calls may come from any thread."""

    name: str
    repeatable: bool
    """True where doing it twice costs nothing, so a request whose fate is unknown may just be made again."""

    parallel: int
    """How many conversions it takes at once."""

    def capabilities(self) -> Mapping[str, Capability]:
        """For each conversion that it knows: whether it can do it now."""
        ...

    def fingerprint(self, conversion: str) -> Mapping[str, str]:
        """What decides the result besides samples and parameters: engine version, model hashes.

        Raises ModelError where a model is missing.
        """
        ...

    def submit(self, request: ConversionRequest) -> Ticket:
        """Hands the request over. Raises a ConverterError that says whether it may have arrived."""
        ...

    def poll(self, ticket: Ticket) -> Progress:
        """How far it is. Raises TicketLost for a ticket that it does not know (any more)."""
        ...

    def fetch(self, ticket: Ticket, folder: Path) -> list[Artifact]:
        """Puts the results of a done ticket into `folder`, which exists. May be repeated."""
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Gives the ticket up. Nothing happens for one that is over or unknown."""
        ...

    def watch(self, on_change: Callable[[Ticket], None]) -> None:
        """`on_change` is called, from any thread, when a ticket's progress changed. It may never come."""
        ...
