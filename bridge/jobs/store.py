"""The journal: the only SQL that writes. Each change of state is one guarded UPDATE with its event beside it.

One connection, one lock: writes are short. WAL lets the command line read from another process meanwhile.
`synchronous=FULL`: what is committed survives a power cut, so an intent is on disk before anything is sent.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.clock import Clock, SystemClock
from bridge.errors import BridgeError, JournalError, StaleJobError
from bridge.jobs import schema
from bridge.jobs.model import (
    CONVERSION_OPEN,
    CONVERSION_TRANSITIONS,
    DELIVERY_OPEN,
    DELIVERY_TRANSITIONS,
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

JOURNAL_NAME = "journal.sqlite3"


class SameUnderWayError(JournalError):
    """The same conversion of the same samples is under way in another row; it is not begun twice."""

    code = "same-under-way"


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the journal file. Raises JournalError where it cannot be opened."""
    try:
        if read_only:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        else:
            connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            schema.migrate(connection)
    except sqlite3.Error as error:
        raise JournalError(
            f"the journal cannot be opened: {error}.",
            file=path,
            remedy="Is the disk full or read-only? If neither, move the file away: a new one is begun.",
        ) from error
    connection.row_factory = sqlite3.Row
    return connection


class Journal(Views):
    """Everything that the bridge remembers. Reads are in `Views`. Safe to call from any thread."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(connect(path), threading.RLock())
        self._clock = clock or SystemClock()
        self._listeners: list[Callable[[list[Event]], None]] = []
        self._fresh: list[Event] = []

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def listen(self, listener: Callable[[list[Event]], None]) -> None:
        """`listener` gets the events of each transaction right after its commit. It must be quick."""
        self._listeners.append(listener)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                self._fresh.clear()
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

    # Jobs and parts

    def create_job(
        self,
        request: JobRequest,
        preset_data: Mapping[str, Any],
        source: Source | None,
        planned: Iterable[PlannedConversion],
        *,
        error: BridgeError | None = None,
        join: int | None = None,
    ) -> int:
        """A new job for `request`, or a further part of the job `join`; gives the job's id.

        Without a `source` there must be an `error`: what made the file unusable.
        """
        now = self._clock.wall()
        with self._transaction() as db:
            job_id = join if join is not None else self._insert_job(db, request, preset_data, now)
            part_id = self._insert_part(db, job_id, request, source, error)
            self._insert_conversions(db, job_id, part_id, planned)
            self._note_file(db, request.source, request.fingerprint, job_id)
            self._event("job.part" if join is not None else "job.created", job_id, path=str(request.source))
            self._refresh_job(db, job_id, error=error)
        return job_id

    def _insert_job(
        self, db: sqlite3.Connection, request: JobRequest, preset_data: Mapping[str, Any], now: float
    ) -> int:
        cursor = db.execute(
            "INSERT INTO jobs (created_at, updated_at, state, priority, bounce, preset, preset_json,"
            " overrides_json, project_folder, trigger, private, watched_folder)"
            " VALUES (?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            " rate_hz, duration_s, warnings_json, error_json) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
                _error_json(error),
            ),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def revive_part(
        self,
        part_id: int,
        source: Source,
        preset_data: Mapping[str, Any],
        planned: Iterable[PlannedConversion],
    ) -> None:
        """A part that could not be read before can be read now."""
        with self._transaction() as db:
            changed = db.execute(
                "UPDATE parts SET size = ?, mtime_ns = ?, samples_sha256 = ?, frames = ?, channels = ?,"
                " rate_hz = ?, duration_s = ?, warnings_json = ?, error_json = NULL"
                " WHERE id = ? AND error_json IS NOT NULL RETURNING job_id",
                (
                    source.fingerprint.size,
                    source.fingerprint.mtime_ns,
                    source.samples_sha256,
                    source.frames,
                    source.channels,
                    source.rate_hz,
                    source.duration_s,
                    json.dumps(source.warnings),
                    part_id,
                ),
            ).fetchone()
            if changed is None:
                raise StaleJobError(f"part {part_id} is not waiting to be read again.")
            job_id = changed["job_id"]
            db.execute("UPDATE jobs SET preset_json = ? WHERE id = ?", (json.dumps(preset_data), job_id))
            self._insert_conversions(db, job_id, part_id, planned)
            self._refresh_job(db, job_id)

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
                    plan.step,
                    plan.conversion,
                    plan.converter,
                    json.dumps(dict(plan.parameters)),
                    plan.artifact_id,
                )
                for plan in planned
            ],
        )

    def _insert_deliveries(
        self, db: sqlite3.Connection, job_id: int, part_id: int, planned: Iterable[PlannedDelivery]
    ) -> None:
        rank = self._rank(db, job_id)
        db.executemany(
            "INSERT INTO deliveries (job_id, part_id, rank, kind, settings_json, artifact_id, state)"
            " VALUES (?, ?, ?, ?, ?, ?, 'pending')",
            [
                (job_id, part_id, rank, plan.kind, json.dumps(dict(plan.settings)), plan.artifact_id)
                for plan in planned
            ],
        )

    def _refresh_job(
        self, db: sqlite3.Connection, job_id: int, *, error: BridgeError | Mapping[str, Any] | None = None
    ) -> None:
        before = db.execute("SELECT state FROM jobs WHERE id = ?", (job_id,)).fetchone()["state"]
        conversions = db.execute("SELECT state FROM conversions WHERE job_id = ?", (job_id,)).fetchall()
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

    # Conversions

    def move_conversion(
        self,
        conversion_id: int,
        before: ConversionState,
        after: ConversionState,
        *,
        error: BridgeError | None = None,
        **fields: Any,
    ) -> None:
        """The one guarded change of a conversion's state.

        Raises StaleJobError when it is no longer in `before`, SameUnderWayError when another row does it.
        """
        if after not in CONVERSION_TRANSITIONS[before]:
            raise JournalError(f"a conversion does not go from {before} to {after}.")
        if after not in CONVERSION_OPEN:
            fields["ended_at"] = self._clock.wall()
        fields.setdefault("retry_at", None)
        with self._transaction() as db:
            row = self._update_guarded(db, "conversions", conversion_id, before, after, error, fields)
            data = {"conversion": row["conversion"], "step": row["step"], "state": after}
            self._event("conversion.state", row["job_id"], **data, error=error.to_json() if error else None)
            if after not in CONVERSION_OPEN and row["cache_key"]:
                self._wake_same(db, row["cache_key"])
            self._refresh_job(db, row["job_id"], error=error)

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
        columns = {"state": str(after), "error_json": _error_json(error), **fields}
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

    def _wake_same(self, db: sqlite3.Connection, cache_key: str) -> None:
        db.execute(
            "UPDATE conversions SET retry_at = NULL WHERE state = 'queued' AND cache_key = ?", (cache_key,)
        )

    def postpone_conversion(self, conversion_id: int, cache_key: str | None, retry_at: float) -> None:
        """A queued or running conversion is looked at again at `retry_at` (wall clock)."""
        with self._transaction() as db:
            db.execute(
                "UPDATE conversions SET retry_at = ?, cache_key = coalesce(?, cache_key)"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (retry_at, cache_key, conversion_id),
            )

    def finish_conversion(
        self,
        conversion_id: int,
        before: ConversionState,
        artifacts: Iterable[tuple[str, Path, str, str]],
        plan_next: Callable[[list[tuple[int, str]]], tuple[list[PlannedConversion], list[PlannedDelivery]]],
        **fields: Any,
    ) -> None:
        """Done: its artifacts `(role, path, media_type, sha256)`, and what follows from them, at one stroke.

        `plan_next` gets `(artifact id, role)` of each and says which conversions and deliveries come next.
        """
        if ConversionState.DONE not in CONVERSION_TRANSITIONS[before]:
            raise JournalError(f"a conversion does not go from {before} to done.")
        fields = {"ended_at": self._clock.wall(), "retry_at": None, **fields}
        with self._transaction() as db:
            row = self._update_guarded(
                db, "conversions", conversion_id, before, ConversionState.DONE, None, fields
            )
            placed = [(self._insert_artifact(db, conversion_id, one), one[0]) for one in artifacts]
            conversions, deliveries = plan_next(placed)
            self._insert_conversions(db, row["job_id"], row["part_id"], conversions)
            self._insert_deliveries(db, row["job_id"], row["part_id"], deliveries)
            if row["cache_key"]:
                self._wake_same(db, row["cache_key"])
            data = {"conversion": row["conversion"], "step": row["step"], "state": "done"}
            self._event("conversion.state", row["job_id"], **data, cached=bool(row["cached"]))
            self._refresh_job(db, row["job_id"])

    def _insert_artifact(
        self, db: sqlite3.Connection, conversion_id: int, artifact: tuple[str, Path, str, str]
    ) -> int:
        role, path, media_type, sha256 = artifact
        cursor = db.execute(
            "INSERT INTO artifacts (conversion_id, role, path, media_type, sha256) VALUES (?, ?, ?, ?, ?)",
            (conversion_id, role, str(path), media_type, sha256),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    # Deliveries

    def move_delivery(
        self,
        delivery_id: int,
        before: DeliveryState,
        after: DeliveryState,
        *,
        error: BridgeError | None = None,
        then: Iterable[PlannedDelivery] = (),
        **fields: Any,
    ) -> None:
        """The one guarded change of a delivery's state; `then` are deliveries that follow from it.

        Raises StaleJobError when it is no longer in `before`.
        """
        if after not in DELIVERY_TRANSITIONS[before]:
            raise JournalError(f"a delivery does not go from {before} to {after}.")
        if after not in DELIVERY_OPEN:
            fields["ended_at"] = self._clock.wall()
        fields.setdefault("retry_at", None)
        with self._transaction() as db:
            row = self._update_guarded(db, "deliveries", delivery_id, before, after, error, fields)
            self._insert_deliveries(db, row["job_id"], row["part_id"], then)
            self._event(
                "delivery.state",
                row["job_id"],
                delivery=row["kind"],
                state=after,
                path=row["final_path"],
                error=error.to_json() if error else None,
            )
            self._refresh_job(db, row["job_id"], error=error)

    # Whole jobs

    def cancel_job(self, job_id: int) -> list[tuple[str, str]]:
        """Gives up all that is still open; the `(converter, ticket)` pairs to be told so."""
        with self._transaction() as db:
            tickets = db.execute(
                "SELECT converter, ticket FROM conversions WHERE job_id = ? AND ticket IS NOT NULL"
                f" AND state IN ({_marks(CONVERSION_OPEN)})",
                (job_id, *CONVERSION_OPEN),
            ).fetchall()
            for table, states in (("conversions", CONVERSION_OPEN), ("deliveries", DELIVERY_OPEN)):
                db.execute(
                    f"UPDATE {table} SET state = 'cancelled', retry_at = NULL, ended_at = ?"
                    f" WHERE job_id = ? AND state IN ({_marks(states)})",
                    (self._clock.wall(), job_id, *states),
                )
            self._event("job.cancel", job_id)
            self._refresh_job(db, job_id)
        return [(row["converter"], row["ticket"]) for row in tickets]

    def retry_job(self, job_id: int) -> list[int]:
        """What failed or was cancelled is queued again; gives the parts that must be read again first."""
        with self._transaction() as db:
            for table, state in (("conversions", "queued"), ("deliveries", "pending")):
                db.execute(
                    f"UPDATE {table} SET state = ?, retry_at = NULL, attempt = 0, error_json = NULL,"
                    " ended_at = NULL WHERE job_id = ? AND state IN ('failed', 'cancelled')",
                    (state, job_id),
                )
            # Waiting for a disk or a service: the musician says that it is back.
            for table in ("conversions", "deliveries"):
                db.execute(
                    f"UPDATE {table} SET retry_at = NULL WHERE job_id = ? AND state = 'waiting_retry'",
                    (job_id,),
                )
            unreadable = db.execute(
                "SELECT id FROM parts WHERE job_id = ? AND error_json IS NOT NULL", (job_id,)
            ).fetchall()
            self._event("job.retry", job_id)
            self._refresh_job(db, job_id)
        return [row["id"] for row in unreadable]

    # Files and folders that the folder trigger has seen

    def remember(self, folder: Path, files: Mapping[Path, Fingerprint]) -> None:
        """Marks `folder` as visited, and `files` as seen without converting them."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO folders VALUES (?, ?)", (str(folder), self._clock.wall()))
            for path, fingerprint in files.items():
                self._note_file(db, path, fingerprint, None)

    def note_file(self, path: Path, fingerprint: Fingerprint) -> None:
        """The file in this state needs no job (any more)."""
        with self._transaction() as db:
            self._note_file(db, path, fingerprint, None)

    def _note_file(
        self, db: sqlite3.Connection, path: Path, fingerprint: Fingerprint, job_id: int | None
    ) -> None:
        db.execute(
            "INSERT INTO files VALUES (?, ?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
            " size = excluded.size, mtime_ns = excluded.mtime_ns,"
            " job_id = coalesce(excluded.job_id, files.job_id)",
            (str(path), fingerprint.size, fingerprint.mtime_ns, job_id),
        )


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)


def _error_json(error: BridgeError | None) -> str | None:
    return json.dumps(error.to_json()) if error else None
