"""What the journal remembers, and which changes of state exist. Pure: no I/O, no clock.

A job is one preset applied to one bounce. A bounce has one part, or several when the DAW exported all tracks
at once. Each conversion of each part is a row of its own, and so is each delivery.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any


class ConversionState(StrEnum):
    QUEUED = "queued"
    ASKING = "asking"
    SUBMITTING = "submitting"
    RUNNING = "running"
    FETCHING = "fetching"
    WAITING_RETRY = "waiting_retry"
    UNKNOWN = "unknown"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class DeliveryState(StrEnum):
    PENDING = "pending"
    WRITING = "writing"
    WAITING_RETRY = "waiting_retry"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


class JobState(StrEnum):
    """Derived from the job's conversions and deliveries by `job_state`, never set by hand."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    NEEDS_YOU = "needs_you"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


C, D = ConversionState, DeliveryState

CONVERSION_TRANSITIONS: Mapping[ConversionState, frozenset[ConversionState]] = {
    # QUEUED → DONE is a hit in the cache.
    C.QUEUED: frozenset({C.SUBMITTING, C.ASKING, C.DONE, C.FAILED, C.CANCELLED}),
    # The musician is asked before it is sent: may this leave the machine, may it cost again?
    C.ASKING: frozenset({C.QUEUED, C.FAILED, C.CANCELLED}),
    C.SUBMITTING: frozenset({C.RUNNING, C.QUEUED, C.WAITING_RETRY, C.UNKNOWN, C.FAILED, C.CANCELLED}),
    C.RUNNING: frozenset({C.FETCHING, C.QUEUED, C.WAITING_RETRY, C.FAILED, C.CANCELLED}),
    C.FETCHING: frozenset({C.DONE, C.RUNNING, C.QUEUED, C.WAITING_RETRY, C.FAILED, C.CANCELLED}),
    C.WAITING_RETRY: frozenset({C.QUEUED, C.RUNNING, C.FETCHING, C.FAILED, C.CANCELLED}),
    C.UNKNOWN: frozenset({C.QUEUED, C.RUNNING, C.FAILED, C.CANCELLED}),
    C.DONE: frozenset(),
    # → RUNNING: its ticket is still good, so it is asked for and not paid for again.
    C.FAILED: frozenset({C.QUEUED, C.RUNNING}),
    C.CANCELLED: frozenset({C.QUEUED, C.RUNNING}),
}

DELIVERY_TRANSITIONS: Mapping[DeliveryState, frozenset[DeliveryState]] = {
    D.PENDING: frozenset({D.WRITING, D.DONE, D.WAITING_RETRY, D.FAILED, D.CANCELLED}),
    # WRITING → WRITING: the name was taken in the meantime, so a new intent is written.
    D.WRITING: frozenset({D.WRITING, D.DONE, D.WAITING_RETRY, D.FAILED, D.CANCELLED}),
    D.WAITING_RETRY: frozenset({D.PENDING, D.CANCELLED, D.FAILED}),
    D.DONE: frozenset(),
    D.FAILED: frozenset({D.PENDING}),
    D.CANCELLED: frozenset({D.PENDING}),
}

TOGETHER = "together"
"""The kind of a delivery that puts all of a job into one file."""

LISTENING, LISTENING_STEP = "extract_key_bpm", "~music"
"""The conversion that hears tempo and key, and the step that no preset names: its result goes into the
musical context, and nowhere else."""

CONVERSION_IN_FLIGHT = frozenset({C.SUBMITTING, C.RUNNING, C.FETCHING, C.WAITING_RETRY, C.UNKNOWN})
CONVERSION_OPEN = CONVERSION_IN_FLIGHT | {C.QUEUED, C.ASKING}
DELIVERY_OPEN = frozenset({D.PENDING, D.WRITING, D.WAITING_RETRY})
JOB_OPEN = frozenset({JobState.QUEUED, JobState.RUNNING, JobState.WAITING, JobState.NEEDS_YOU})


def job_state(
    conversions: Iterable[ConversionState],
    deliveries: Iterable[DeliveryState],
    *,
    unreadable_parts: bool = False,
) -> JobState:
    """The state of a job whose conversions and deliveries are in these states.

    A job that failed in one part and still works on another is running: it is judged when all is over.
    """
    of_conversions, of_deliveries = set(conversions), set(deliveries)
    waiting = C.WAITING_RETRY in of_conversions or D.WAITING_RETRY in of_deliveries
    active = of_conversions & {C.SUBMITTING, C.RUNNING, C.FETCHING} or of_deliveries & {D.PENDING, D.WRITING}
    rules = (
        (bool(of_conversions & {C.UNKNOWN, C.ASKING}), JobState.NEEDS_YOU),
        (bool(active), JobState.RUNNING),
        (C.QUEUED in of_conversions, JobState.RUNNING if C.DONE in of_conversions else JobState.QUEUED),
        (waiting, JobState.WAITING),
        (C.FAILED in of_conversions or D.FAILED in of_deliveries or unreadable_parts, JobState.FAILED),
        (C.CANCELLED in of_conversions or D.CANCELLED in of_deliveries, JobState.CANCELLED),
    )
    return next((state for holds, state in rules if holds), JobState.DONE)


class Priority(IntEnum):
    """Which job goes first; among equals the newest bounce does."""

    BATCH = 0
    FOLDER = 10
    BY_HAND = 20


@dataclass(frozen=True)
class Fingerprint:
    """The state of a file on disk without reading it: `size` in bytes, `mtime_ns` since 1970."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Fingerprint:
        """Of the file at `path`; raises OSError as `stat` does."""
        return cls.from_stat(path.stat())

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Fingerprint:
        return cls(size=stat.st_size, mtime_ns=stat.st_mtime_ns)


@dataclass(frozen=True)
class JobRequest:
    """What a trigger asks for: this file, as it is now, through this preset, into this folder."""

    source: Path
    fingerprint: Fingerprint
    preset: str
    project_folder: Path
    trigger: str
    priority: Priority = Priority.FOLDER
    private: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that replace those of the preset's steps which know them (`--set key=value`)."""
    warnings: tuple[str, ...] = ()
    watched_folder: Path | None = None
    """Set by the folder trigger: only its files can join as parts and count as bounced again."""
    closed_at: float = 0.0
    """Wall clock, seconds since 1970: when the file was last written to."""
    as_known: bool = False
    """What an earlier look at the file in this state found is enough: a pad shall not wait for another."""
    again_of: int | None = None
    """The job whose results shall be put back: nothing is sent for that."""
    joins: int | None = None
    """The job of which it is a further part."""


@dataclass(frozen=True)
class Source:
    """What one part begins with: where it lies, and what the probe found in it.

    Of a text or a picture the hash is that of its bytes, and everything that only audio has is 0.
    """

    path: Path
    fingerprint: Fingerprint
    samples_sha256: str
    frames: int
    channels: int
    rate_hz: int
    duration_s: float
    warnings: tuple[str, ...] = ()
    told: tuple[Mapping[str, Any], ...] = ()
    """What the file and its surroundings told about its music, as `media.musical_context.Told` writes it."""


@dataclass(frozen=True)
class PlannedConversion:
    """A conversion that shall happen: `step` of the preset, fed by the part's source or by an artifact."""

    step: str
    conversion: str
    converter: str
    parameters: Mapping[str, Any]
    artifact_id: int | None = None


@dataclass(frozen=True)
class PlannedDelivery:
    """Something that shall be put somewhere: `kind` names the delivery, `settings` come from the preset."""

    kind: str
    settings: Mapping[str, Any]
    artifact_id: int | None = None
