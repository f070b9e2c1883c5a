"""What every converter can be asked: the local engine, the MusicGPT API, and those that come.

The contract suite in `tests/converters/test_contract.py` is the exact meaning of these calls; every converter
passes it, the fake in `bridge.testing` too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NewType, Protocol

from bridge.conversions.pricing import Quote as Quote  # noqa: PLC0414  told on: a converter gives quotes
from bridge.errors import BridgeError
from bridge.jobs.model import Fingerprint


def _no_progress(_fraction: float, _doing: str) -> None:
    """Nobody wants to know."""


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
    duration_s: float = 0.0
    """Of the source; 0 where it is no audio, or not known."""
    nonce: str = ""
    """Of this one attempt: what comes back with it belongs to it."""
    on_progress: Callable[[float, str], None] = field(default=_no_progress, compare=False)
    """Told while a request is on its way (fraction 0..1 of the upload); raises Cancelled to break it off."""


@dataclass(frozen=True)
class Progress:
    """How far a ticket is. `fraction` in 0..1, `doing` in plain words, `poll_after_s` when to ask again."""

    state: Literal["running", "done", "failed"]
    fraction: float = 0.0
    doing: str = ""
    error: BridgeError | None = None
    poll_after_s: float = 5.0
    cost_usd: float | None = None
    """What it costs as far as the converter has said: an estimate while it runs, then the charge."""


@dataclass(frozen=True)
class Artifact:
    """A file that a conversion returned, with its role. `path` lies in the folder given to `fetch`."""

    role: str
    path: Path
    media_type: str
    about: Mapping[str, Any] = field(default_factory=dict)
    """What the musician and the provenance file should know: `note` (words for the result's line), `lossy`,
    `came_as`, and whatever else the converter knows of it; plain data."""


@dataclass(frozen=True)
class Capability:
    """Whether a converter can do a conversion now; if not, `why_not` says it and what to do."""

    available: bool
    why_not: str = ""


@dataclass(frozen=True)
class Lane:
    """Conversions that share places: the converter takes `places` of them at once."""

    places: int
    conversions: frozenset[str] | None = None
    """None: all of them."""


class Converter(Protocol):
    """Who performs conversions. All calls may come from any thread."""

    name: str
    repeatable: bool
    """True where doing it twice costs nothing, so a request whose fate is unknown may just be made again."""

    remote: bool
    """True where the audio leaves this machine."""

    def lanes(self) -> tuple[Lane, ...]:
        """How many conversions it takes at once, of which."""
        ...

    def quote(self, conversion: str, parameters: Mapping[str, Any], duration_s: float) -> Quote:
        """The price of a conversion of `duration_s` seconds of input.

        Raises Rejected where the plan does not have it.
        """
        ...

    def adopt(self, conversion: str, task: str) -> Ticket:
        """The ticket of something that was begun elsewhere, or of which only this name is known.

        Raises WrongUse for a name that cannot be one.
        """
        ...

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

    def fetch(self, ticket: Ticket, folder: Path, request: ConversionRequest) -> list[Artifact]:
        """Puts the results of a done ticket into `folder`, which exists. May be repeated.

        `request` is what was asked for: results are laid onto its source.
        """
        ...

    def cancel(self, ticket: Ticket) -> None:
        """Gives the ticket up. Nothing happens for one that is over or unknown."""
        ...

    def wake(self, ticket: Ticket) -> None:
        """Somebody says that this ticket has changed: the next `poll` asks anew."""
        ...

    def watch(self, on_change: Callable[[Ticket], None]) -> None:
        """`on_change` is called, from any thread, when a ticket's progress changed. It may never come."""
        ...
