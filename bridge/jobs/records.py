"""Rows of the journal as frozen records, and how a record is read from a row."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bridge.jobs.model import (
    CONVERSION_OPEN,
    DELIVERY_OPEN,
    ConversionState,
    DeliveryState,
    Fingerprint,
    JobState,
    Source,
)


@dataclass(frozen=True)
class PartRecord:
    id: int
    job_id: int
    path: Path
    fingerprint: Fingerprint
    closed_at: float
    source: Source | None
    warnings: tuple[str, ...]
    error: Mapping[str, Any] | None

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> PartRecord:
        path, fingerprint = Path(row["path"]), Fingerprint(row["size"], row["mtime_ns"])
        warnings = tuple(json.loads(row["warnings_json"]))
        source = None
        if row["samples_sha256"] is not None:
            source = Source(
                path=path,
                fingerprint=fingerprint,
                samples_sha256=row["samples_sha256"],
                frames=row["frames"],
                channels=row["channels"],
                rate_hz=row["rate_hz"],
                duration_s=row["duration_s"],
                warnings=warnings,
                # The command line reads, but never migrates, what an earlier bridge wrote.
                told=tuple(json.loads(row["told_json"])) if "told_json" in row.keys() else (),  # noqa: SIM118
            )
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            path=path,
            fingerprint=fingerprint,
            closed_at=row["closed_at"],
            source=source,
            warnings=warnings,
            error=_json(row["error_json"]),
        )


@dataclass(frozen=True)
class ConversionRecord:
    id: int
    job_id: int
    part_id: int
    step: str
    conversion: str
    converter: str
    parameters: Mapping[str, Any]
    artifact_id: int | None
    state: ConversionState
    resume: ConversionState | None
    cache_key: str | None
    cached: bool
    ticket: str | None
    attempt: int
    retry_at: float | None
    error: Mapping[str, Any] | None
    quote_usd: float | None = None
    cost_usd: float | None = None
    """What the converter says it costs: an estimate while it runs, the charge when it is over."""
    pay_again: bool = False
    """The musician has said that it may cost again."""

    @property
    def is_open(self) -> bool:
        return self.state in CONVERSION_OPEN

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> ConversionRecord:
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            part_id=row["part_id"],
            step=row["step"],
            conversion=row["conversion"],
            converter=row["converter"],
            parameters=json.loads(row["parameters_json"]),
            artifact_id=row["artifact_id"],
            state=ConversionState(row["state"]),
            resume=ConversionState(row["resume"]) if row["resume"] else None,
            cache_key=row["cache_key"],
            cached=bool(row["cached"]),
            ticket=row["ticket"],
            attempt=row["attempt"],
            retry_at=row["retry_at"],
            error=_json(row["error_json"]),
            quote_usd=_added_later(row, "quote_usd"),
            cost_usd=_added_later(row, "cost_usd"),
            pay_again=bool(_added_later(row, "pay_again")),
        )


@dataclass(frozen=True)
class ArtifactRecord:
    id: int
    conversion_id: int
    role: str
    path: Path
    media_type: str
    sha256: str
    about: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> ArtifactRecord:
        return cls(
            id=row["id"],
            conversion_id=row["conversion_id"],
            role=row["role"],
            path=Path(row["path"]),
            media_type=row["media_type"],
            sha256=row["sha256"],
            about=_json(_added_later(row, "about_json")) or {},
        )


@dataclass(frozen=True)
class DeliveryRecord:
    id: int
    job_id: int
    part_id: int
    kind: str
    settings: Mapping[str, Any]
    artifact_id: int | None
    state: DeliveryState
    final_path: Path | None
    temp_path: Path | None
    sha256: str | None
    size: int | None
    mtime_ns: int | None
    note: str | None
    attempt: int
    retry_at: float | None
    ended_at: float | None
    error: Mapping[str, Any] | None

    @property
    def is_open(self) -> bool:
        return self.state in DELIVERY_OPEN

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> DeliveryRecord:
        return cls(
            id=row["id"],
            job_id=row["job_id"],
            part_id=row["part_id"],
            kind=row["kind"],
            settings=json.loads(row["settings_json"]),
            artifact_id=row["artifact_id"],
            state=DeliveryState(row["state"]),
            final_path=Path(row["final_path"]) if row["final_path"] else None,
            temp_path=Path(row["temp_path"]) if row["temp_path"] else None,
            sha256=row["sha256"],
            size=row["size"],
            mtime_ns=row["mtime_ns"],
            note=row["note"],
            attempt=row["attempt"],
            retry_at=row["retry_at"],
            ended_at=row["ended_at"],
            error=_json(row["error_json"]),
        )


@dataclass(frozen=True)
class JobRecord:
    id: int
    created_at: float
    updated_at: float
    state: JobState
    priority: int
    bounce: str
    preset: str
    preset_data: Mapping[str, Any]
    overrides: Mapping[str, Any]
    project_folder: Path
    trigger: str
    private: bool
    watched_folder: Path | None
    again_of: int | None = None
    """The job whose results this one puts back."""

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> JobRecord:
        return cls(
            id=row["id"],
            created_at=row["created_at"],
            updated_at=row["updated_at"],
            state=JobState(row["state"]),
            priority=row["priority"],
            bounce=row["bounce"],
            preset=row["preset"],
            preset_data=json.loads(row["preset_json"]),
            overrides=json.loads(row["overrides_json"]),
            project_folder=Path(row["project_folder"]),
            trigger=row["trigger"],
            private=bool(row["private"]),
            watched_folder=Path(row["watched_folder"]) if row["watched_folder"] else None,
            again_of=_added_later(row, "again_of"),
        )


@dataclass(frozen=True)
class SpendRecord:
    """One attempt that may cost money: `usd` is what counts for the caps unless its state is "free".

    `state`: "open" while it runs, "charged", "free" (it never got there), "unknown" (nobody can tell).
    `basis`: "quoted" by the price list, "estimated" or "charged" by the converter, "not known".
    """

    id: int
    at: float
    job_id: int
    conversion_id: int
    conversion: str
    project_folder: Path
    ticket: str | None
    usd: float
    basis: str
    state: str

    @classmethod
    def from_row(cls, row: sqlite3.Row) -> SpendRecord:
        return cls(
            id=row["id"],
            at=row["at"],
            job_id=row["job_id"],
            conversion_id=row["conversion_id"],
            conversion=row["conversion"],
            project_folder=Path(row["project_folder"]),
            ticket=row["ticket"],
            usd=row["usd"],
            basis=row["basis"],
            state=row["state"],
        )


@dataclass(frozen=True)
class JobDetail:
    """A job with everything that belongs to it."""

    job: JobRecord
    parts: tuple[PartRecord, ...]
    conversions: tuple[ConversionRecord, ...]
    artifacts: tuple[ArtifactRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data for `--json` and the control API."""
        whole = _plain(asdict(self))
        job: dict[str, Any] = whole.pop("job")
        return {**job, **whole}


@dataclass(frozen=True)
class Event:
    """One row of the feed. `id` is None for progress, which is told but not kept."""

    id: int | None
    at: float
    job_id: int | None
    kind: str
    data: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"id": self.id, "at": self.at, "job": self.job_id, "kind": self.kind, **self.data}


def _added_later(row: sqlite3.Row, column: str) -> Any:
    """A column that an earlier bridge's journal may lack: the command line reads, but never migrates."""
    return row[column] if column in row.keys() else None  # noqa: SIM118  a row is no mapping


def _json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return str(value) if isinstance(value, Path) else value


def plain(record: Any) -> dict[str, Any]:
    """A record as plain data: paths as text."""
    data: dict[str, Any] = _plain(asdict(record))
    return data
