"""What the journal stands on: transactions with their events, rows that are added, guarded updates."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from bridge.clock import Clock
from bridge.errors import BridgeError, SameUnderWayError, StaleJobError
from bridge.jobs.exports import EXPORT_ENDS_S
from bridge.jobs.model import (
    CONVERSION_OPEN,
    LISTENING_STEP,
    TOGETHER,
    ConversionState,
    DeliveryState,
    Fingerprint,
    JobRequest,
    PlannedConversion,
    PlannedDelivery,
    Source,
    job_state,
)
from bridge.jobs.records import Event
from bridge.jobs.views import Views


class NewArtifact(Protocol):
    """What a conversion returned, as the cache keeps it."""

    @property
    def role(self) -> str: ...
    @property
    def path(self) -> Path: ...
    @property
    def media_type(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def about(self) -> Mapping[str, Any]: ...


class Rows(Views):
    """What `Journal` writes with. Everything here happens inside one of its transactions."""

    def __init__(self, connection: sqlite3.Connection, clock: Clock) -> None:
        super().__init__(connection, threading.RLock())
        self._clock = clock
        self._listeners: list[Callable[[list[Event]], None]] = []
        self._fresh: list[Event] = []

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._fresh.clear()
                if self._db.in_transaction:  # a full disk has rolled it back already
                    self._db.execute("ROLLBACK")
                raise
            events, self._fresh = self._fresh, []
        for listener in self._listeners:
            listener(events)

    def _event(self, kind: str, job_id: int | None, **data: Any) -> None:
        at = self._clock.wall()
        cursor = self._db.execute(
            "INSERT INTO events (at, job_id, kind, data_json) VALUES (?, ?, ?, ?)",
            (at, job_id, kind, json.dumps(data)),
        )
        self._fresh.append(Event(cursor.lastrowid, at, job_id, kind, data))

    # Rows that are added

    def _insert_job(
        self, db: sqlite3.Connection, request: JobRequest, preset_data: Mapping[str, Any], now: float
    ) -> int:
        cursor = db.execute(
            "INSERT INTO jobs (created_at, updated_at, state, priority, bounce, preset, preset_json,"
            " overrides_json, project_folder, trigger, private, watched_folder, again_of)"
            " VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now,
                now,
                int(request.priority),
                request.source.stem,
                request.preset,
                json.dumps(preset_data),
                json.dumps(dict(request.overrides)),
                str(request.project_folder),
                request.trigger,
                request.private,
                str(request.watched_folder) if request.watched_folder else None,
                request.again_of,
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _insert_part(
        self,
        db: sqlite3.Connection,
        job_id: int,
        request: JobRequest,
        source: Source | None,
        error: BridgeError | None,
    ) -> int:
        warnings = [*request.warnings, *(source.warnings if source else ())]
        cursor = db.execute(
            "INSERT INTO parts (job_id, path, size, mtime_ns, closed_at, samples_sha256, frames, channels,"
            " rate_hz, duration_s, warnings_json, told_json, error_json)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                job_id,
                str(request.source),
                request.fingerprint.size,
                request.fingerprint.mtime_ns,
                request.closed_at,
                source.samples_sha256 if source else None,
                source.frames if source else None,
                source.channels if source else None,
                source.rate_hz if source else None,
                source.duration_s if source else None,
                json.dumps(warnings),
                json.dumps(source.told if source else ()),
                error_json(error),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _rank(self, db: sqlite3.Connection, job_id: int) -> float:
        row = db.execute("SELECT priority, created_at FROM jobs WHERE id = ?", (job_id,)).fetchone()
        return float(row["priority"] * 1e11 + row["created_at"])

    def _insert_conversions(
        self, db: sqlite3.Connection, job_id: int, part_id: int, planned: Iterable[PlannedConversion]
    ) -> None:
        rank = self._rank(db, job_id)
        db.executemany(
            "INSERT INTO conversions (job_id, part_id, rank, step, conversion, converter, parameters_json,"
            " artifact_id, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued')",
            [
                (
                    job_id,
                    part_id,
                    rank,
                    one.step,
                    one.conversion,
                    one.converter,
                    json.dumps(dict(one.parameters)),
                    one.artifact_id,
                )
                for one in planned
            ],
        )

    def _insert_deliveries(
        self,
        db: sqlite3.Connection,
        job_id: int,
        part_id: int,
        planned: Iterable[PlannedDelivery],
        *,
        not_before: float | None = None,
    ) -> None:
        rank = self._rank(db, job_id)
        db.executemany(
            "INSERT INTO deliveries"
            " (job_id, part_id, rank, kind, settings_json, artifact_id, state, retry_at)"
            " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)",
            [
                (job_id, part_id, rank, one.kind, json.dumps(dict(one.settings)), one.artifact_id, not_before)
                for one in planned
            ],
        )

    def _refresh_job(
        self, db: sqlite3.Connection, job_id: int, *, error: BridgeError | Mapping[str, Any] | None = None
    ) -> None:
        before = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()["state"]
        # A tempo that could not be heard costs the tempo, not the job.
        conversions = db.execute(
            "SELECT state FROM conversions WHERE job_id = ? AND NOT (step = ? AND state = 'failed')",
            (job_id, LISTENING_STEP),
        ).fetchall()
        self._plan_together(db, job_id, {ConversionState(row["state"]) for row in conversions})
        deliveries = db.execute("SELECT state FROM deliveries WHERE job_id = ?", (job_id,)).fetchall()
        unreadable = db.execute(
            "SELECT 1 FROM parts WHERE job_id = ? AND error_json IS NOT NULL", (job_id,)
        ).fetchone()
        state = job_state(
            (ConversionState(row["state"]) for row in conversions),
            (DeliveryState(row["state"]) for row in deliveries),
            unreadable_parts=unreadable is not None,
        )
        db.execute(
            "UPDATE jobs SET state = ?, updated_at = ? WHERE id = ?", (state, self._clock.wall(), job_id)
        )
        if state != before:
            plain_error = error.to_json() if isinstance(error, BridgeError) else error
            self._event("job.state", job_id, state=state, before=before, error=plain_error)

    def _plan_together(self, db: sqlite3.Connection, job_id: int, states: Set[ConversionState]) -> None:
        """Once no conversion is open: the deliveries of what goes into one file."""
        if ConversionState.DONE not in states or states & (CONVERSION_OPEN | {ConversionState.CANCELLED}):
            return
        job = db.execute("SELECT preset_json FROM jobs WHERE id = ?", (job_id,)).fetchone()
        if '"together": true' not in job["preset_json"]:
            return
        from bridge.jobs import plan  # presets are slow to load, and who only reads needs none

        results = db.execute(
            "SELECT a.id, c.step, a.role FROM artifacts a JOIN conversions c ON c.id = a.conversion_id"
            " WHERE c.job_id = ? ORDER BY c.part_id, c.artifact_id, a.id",
            (job_id,),
        ).fetchall()
        made = db.execute(
            "SELECT settings_json FROM deliveries WHERE job_id = ? AND kind = ?", (job_id, TOGETHER)
        ).fetchall()
        planned = plan.together(
            json.loads(job["preset_json"]),
            [tuple(row) for row in results],
            [json.loads(row["settings_json"])["artifacts"] for row in made],
        )
        if planned:
            part = db.execute("SELECT min(id) AS id FROM parts WHERE job_id = ?", (job_id,)).fetchone()
            self._insert_together(db, job_id, part["id"], planned)

    def _insert_together(
        self, db: sqlite3.Connection, job_id: int, part_id: int, planned: Sequence[PlannedDelivery]
    ) -> None:
        """What waits for the rest of an export takes up what has come since."""
        waiting = db.execute(
            "SELECT id, settings_json FROM deliveries WHERE job_id = ? AND kind = ? AND state = 'pending'"
            " AND final_path IS NULL",
            (job_id, TOGETHER),
        ).fetchall()
        settings = [_without_artifacts(one.settings) for one in planned]
        for row in waiting:
            if _without_artifacts(json.loads(row["settings_json"])) in settings:
                db.execute("DELETE FROM deliveries WHERE id = ?", (row["id"],))
        self._insert_deliveries(db, job_id, part_id, planned, not_before=self._export_ends_at(db, job_id))

    def _export_ends_at(self, db: sqlite3.Connection, job_id: int) -> float | None:
        """When nothing more comes of the job's export; None where it is none."""
        row = db.execute(
            "SELECT watched_folder, again_of,"
            " (SELECT max(closed_at) FROM parts WHERE job_id = jobs.id) AS closed FROM jobs WHERE id = ?",
            (job_id,),
        ).fetchone()
        if row["again_of"] is not None:
            return self._clock.wall() + EXPORT_ENDS_S
        return row["closed"] + EXPORT_ENDS_S if row["watched_folder"] is not None else None

    def _insert_artifact(self, db: sqlite3.Connection, conversion_id: int, artifact: NewArtifact) -> int:
        cursor = db.execute(
            "INSERT INTO artifacts (conversion_id, role, path, media_type, sha256, about_json)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (
                conversion_id,
                artifact.role,
                str(artifact.path),
                artifact.media_type,
                artifact.sha256,
                json.dumps(dict(artifact.about)),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _note_file(
        self, db: sqlite3.Connection, path: Path, fingerprint: Fingerprint, job_id: int | None
    ) -> None:
        db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " size = excluded.size, mtime_ns = excluded.mtime_ns,"
            " job_id = coalesce(excluded.job_id, files.job_id)",
            (str(path), fingerprint.size, fingerprint.mtime_ns, job_id),
        )

    # Guarded updates

    def _update_guarded(
        self,
        db: sqlite3.Connection,
        table: str,
        row_id: int,
        before: str,
        after: str,
        error: BridgeError | None,
        fields: Mapping[str, Any],
    ) -> sqlite3.Row:
        # Table and column names come from this module's callers in the package, never from outside.
        columns = {"state": str(after), "error_json": error_json(error), **fields}
        assignments = ", ".join(f"{name} = :{name}" for name in columns)
        statement = f"UPDATE {table} SET {assignments} WHERE id = :id AND state = :before RETURNING *"
        try:
            row = db.execute(statement, {**columns, "id": row_id, "before": str(before)}).fetchone()
        except sqlite3.IntegrityError as clash:
            raise SameUnderWayError("the same conversion of the same audio is already under way.") from clash
        if row is None:
            raise StaleJobError(f"row {row_id} of {table} is no longer {before}.")
        assert isinstance(row, sqlite3.Row)
        return row


def _without_artifacts(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "artifacts"}


def error_json(error: BridgeError | None) -> str | None:
    """A column's text for an error; NULL where there is none."""
    return json.dumps(error.to_json()) if error else None
