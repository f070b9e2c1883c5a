"""Tickets of the MusicGPT API, and what is known of each while it runs.

A ticket is `audio_to_midi/3f0c…`: the conversion and the API's task. It tells all that is needed to ask for
it, so it survives restarts, and a task that was begun elsewhere can be taken up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from bridge.conversions.catalogue import CATALOGUE, canonical
from bridge.conversions.model import MUSICGPT, Conversion
from bridge.conversions.results import ASSUMED_TYPES
from bridge.converters.base import Progress, Ticket
from bridge.errors import TicketLost, WrongUse

MAX_TASK_CHARS = 200
_TASK = re.compile(r"[^\s/\\?#&\"'<>]+")


@dataclass(frozen=True)
class Task:
    """What a ticket says."""

    row: Conversion
    id: str

    @property
    def ticket(self) -> Ticket:
        return Ticket(f"{self.row.name}/{quote(self.id, safe='')}")

    def types(self) -> tuple[str, ...]:
        """What `byId` may call it."""
        return (
            (self.row.conversion_type,) if self.row.conversion_type else ASSUMED_TYPES.get(self.row.name, ())
        )


def task_of(ticket: Ticket) -> Task:
    """Raises TicketLost for what is no ticket of this converter."""
    name, slash, task = str(ticket).partition("/")
    row = CATALOGUE.get(name)
    if not (slash and task and row and MUSICGPT in row.quality):
        raise TicketLost("this is no ticket of MusicGPT.")
    return Task(row, unquote(task))


def adopted(conversion: str, given: str) -> Ticket:
    """The ticket of a task that the musician names: by its bare id, or as a whole ticket.

    Raises WrongUse for what can be neither.
    """
    name, slash, task = given.strip().rpartition("/")
    row = CATALOGUE.get(canonical(conversion))
    if row is None or MUSICGPT not in row.quality:
        raise WrongUse(
            f"MusicGPT has no conversion '{conversion}'.", remedy="`bridge conversions` lists them."
        )
    if slash and canonical(name) != row.name:
        raise WrongUse(f"'{given}' is no ticket of {row.name}.", remedy="Give the task's id alone.")
    if not _TASK.fullmatch(task) or len(task) > MAX_TASK_CHARS:
        raise WrongUse(
            f"'{given[:40]}' is no id of a task.",
            remedy="It looks like 3f0c2a1e-…; the list of your conversions at MusicGPT shows it.",
        )
    return Task(row, unquote(task)).ticket


@dataclass
class Watched:
    """What is known of a ticket in this life of the daemon. Times are monotonic."""

    due: float
    """When it may be asked for again."""
    progress: Progress = field(default_factory=lambda: Progress("running", doing="asking MusicGPT"))
    accepted_at: float | None = None
    """When we submitted it; None: in an earlier life, or somebody else did."""
    eta_s: float | None = None
    reserved: float | None = None
    """Its turn under the plan's calls a minute."""
    asking: bool = False
    looks: int = 0
    troubles: int = 0
    """Questions in a row without an answer."""
    unknown: int = 0
    """Answers in a row that the task is not known."""
    empty: int = 0
    """Answers that call it done and name no file yet."""
    answer: Mapping[str, Any] | None = None
    answered_at: float = 0.0

    def elapsed_share(self, now: float) -> float:
        """How far it should be, by its eta; never quite the whole."""
        if self.accepted_at is None or not self.eta_s or self.eta_s <= 0:
            return 0.0
        return min((now - self.accepted_at) / self.eta_s, 0.95)
