"""The journal: the only SQL that writes. Each change of state is one guarded UPDATE with its event beside it.

One connection, one lock: writes are short. WAL lets the command line read from another process meanwhile.
`synchronous=FULL`: what is committed survives a power cut, so an intent is on disk before anything is sent.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from bridge.clock import Clock, SystemClock
from bridge.errors import BridgeError, JournalError, StaleJobError
from bridge.jobs import schema
from bridge.jobs.budget import Bill
from bridge.jobs.ledger import Ledger
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
)
from bridge.jobs.records import ConversionRecord, Event
from bridge.jobs.rows import NewArtifact, error_json

JOURNAL_NAME = "journal.sqlite3"


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection to the journal file. Raises JournalError where it cannot be opened."""
    try:
        if read_only:
            connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)
        else:
            connection = sqlite3.connect(path, timeout=30, check_same_thread=False, isolation_level=None)
        try:
            _prepare(connection, read_only=read_only)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as error:
        raise JournalError(
            f"the journal cannot be opened: {error}.",
            file=path,
            remedy="Is the disk full or read-only? If neither, move the file away: a new one is begun.",
        ) from error
    return connection


def _prepare(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.row_factory = sqlite3.Row
    if read_only:
        connection.execute("PRAGMA schema_version")  # opening alone does not look into the file
        return
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    schema.migrate(connection)


class Journal(Ledger):
    """Everything that the bridge remembers. Reads are in `Views`. Safe to call from any thread."""

    def __init__(self, path: Path, *, clock: Clock | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        super().__init__(connect(path), clock or SystemClock())

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def listen(self, listener: Callable[[list[Event]], None]) -> None:
        """`listener` gets the events of each transaction right after its commit. It must be quick."""
        self._listeners.append(listener)

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
                " rate_hz = ?, duration_s = ?, warnings_json = ?, told_json = ?, error_json = NULL"
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
                    json.dumps(source.told),
                    part_id,
                ),
            ).fetchone()
            if changed is None:
                raise StaleJobError(f"part {part_id} is not waiting to be read again.")
            job_id = changed["job_id"]
            db.execute("UPDATE jobs SET preset_json = ? WHERE id = ?", (json.dumps(preset_data), job_id))
            self._insert_conversions(db, job_id, part_id, planned)
            self._refresh_job(db, job_id)

    def fail_part(self, part_id: int, error: BridgeError) -> None:
        """A part that could not be read still cannot be, for this reason."""
        with self._transaction() as db:
            row = db.execute(
                "UPDATE parts SET error_json = ? WHERE id = ? AND error_json IS NOT NULL RETURNING job_id",
                (error_json(error), part_id),
            ).fetchone()
            if row is None:
                raise StaleJobError(f"part {part_id} is not waiting to be read again.")
            self._event("part.failed", row["job_id"], error=error.to_json())
            self._refresh_job(db, row["job_id"], error=error)

    # Conversions

    def move_conversion(
        self,
        conversion_id: int,
        before: ConversionState,
        after: ConversionState,
        *,
        error: BridgeError | None = None,
        bill: Bill | None = None,
        **fields: Any,
    ) -> None:
        """The one guarded change of a conversion's state; `bill` is written down with it.

        Raises StaleJobError when it is no longer in `before`, SameUnderWayError when another row does it,
        NotAllowed when the bill would pass a cap.
        """
        if after not in CONVERSION_TRANSITIONS[before]:
            raise JournalError(f"a conversion does not go from {before} to {after}.")
        fields["ended_at"] = None if after in CONVERSION_OPEN else self._clock.wall()
        fields.setdefault("retry_at", None)
        with self._transaction() as db:
            if bill is not None:
                fields |= {"quote_usd": bill.usd, "nonce": bill.nonce, "pay_again": 0, "ticket": None}
                self._write_bill(db, conversion_id, str(fields["cache_key"]), bill)
            row = self._update_guarded(db, "conversions", conversion_id, before, after, error, fields)
            self._settle_bill(db, row, before, after, error)
            data = {"conversion": row["conversion"], "step": row["step"], "state": after}
            self._event("conversion.state", row["job_id"], **data, error=error.to_json() if error else None)
            if after not in CONVERSION_OPEN and row["cache_key"]:
                self._wake_same(db, row["cache_key"])
            self._refresh_job(db, row["job_id"], error=error)

    def ask_all_tickets_now(self) -> None:
        """No running conversion waits for its next poll any longer."""
        with self._transaction() as db:
            db.execute("UPDATE conversions SET retry_at = NULL WHERE state = 'running'")

    def ask_now(self, conversion_id: int) -> None:
        """A running conversion is asked for at once: somebody says that it has changed."""
        with self._transaction() as db:
            db.execute(
                "UPDATE conversions SET retry_at = NULL WHERE id = ? AND state = 'running'", (conversion_id,)
            )

    def postpone_conversion(
        self,
        conversion_id: int,
        cache_key: str | None,
        retry_at: float,
        *,
        error: BridgeError | None = None,
    ) -> None:
        """A queued or running conversion is looked at again at `retry_at` (wall clock); `error`: why."""
        with self._transaction() as db:
            db.execute(
                "UPDATE conversions SET retry_at = ?, cache_key = coalesce(?, cache_key), error_json = ?"
                " WHERE id = ? AND state IN ('queued', 'running')",
                (retry_at, cache_key, error_json(error), conversion_id),
            )

    def set_aside(self, kind: Literal["conversion", "delivery"], row_id: int, retry_at: float) -> None:
        """An open row lets others go first until `retry_at` (wall clock), whatever state it is in."""
        table = {"conversion": "conversions", "delivery": "deliveries"}[kind]
        with self._transaction() as db:
            db.execute(
                f"UPDATE {table} SET retry_at = ? WHERE id = ? AND ended_at IS NULL AND state != 'unknown'",
                (retry_at, row_id),
            )

    def finish_conversion(
        self,
        conversion_id: int,
        before: ConversionState,
        artifacts: Iterable[NewArtifact],
        plan_next: Callable[[list[tuple[int, str]]], tuple[list[PlannedConversion], list[PlannedDelivery]]],
        **fields: Any,
    ) -> None:
        """Done: its artifacts, and what follows from them, at one stroke.

        `plan_next` gets `(artifact id, role)` of each and says which conversions and deliveries come next.
        """
        if ConversionState.DONE not in CONVERSION_TRANSITIONS[before]:
            raise JournalError(f"a conversion does not go from {before} to done.")
        fields = {"ended_at": self._clock.wall(), "retry_at": None, **fields}
        with self._transaction() as db:
            row = self._update_guarded(
                db, "conversions", conversion_id, before, ConversionState.DONE, None, fields
            )
            self._settle_bill(db, row, before, ConversionState.DONE, None)
            placed = [(self._insert_artifact(db, conversion_id, one), one.role) for one in artifacts]
            conversions, deliveries = plan_next(placed)
            self._insert_conversions(db, row["job_id"], row["part_id"], conversions)
            self._insert_deliveries(db, row["job_id"], row["part_id"], deliveries)
            if row["cache_key"]:
                self._wake_same(db, row["cache_key"])
            data = {"conversion": row["conversion"], "step": row["step"], "state": "done"}
            self._event("conversion.state", row["job_id"], **data, cached=bool(row["cached"]))
            self._refresh_job(db, row["job_id"])

    # Deliveries

    def move_delivery(
        self,
        delivery_id: int,
        before: DeliveryState,
        after: DeliveryState,
        *,
        error: BridgeError | None = None,
        then: Callable[[], Iterable[PlannedDelivery]] = tuple,
        **fields: Any,
    ) -> None:
        """The one guarded change of a delivery's state; `then` says which deliveries follow.

        Raises StaleJobError when it is no longer in `before`.
        """
        if after not in DELIVERY_TRANSITIONS[before]:
            raise JournalError(f"a delivery does not go from {before} to {after}.")
        if after not in DELIVERY_OPEN:
            fields["ended_at"] = self._clock.wall()
        fields.setdefault("retry_at", None)
        with self._transaction() as db:
            row = self._update_guarded(db, "deliveries", delivery_id, before, after, error, fields)
            self._insert_deliveries(db, row["job_id"], row["part_id"], then())
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

    def cancel_job(self, job_id: int) -> list[ConversionRecord]:
        """Gives up all that is still open; gives the conversions whose converters must be told."""
        with self._transaction() as db:
            given_up = db.execute(
                f"SELECT * FROM conversions WHERE job_id = ? AND state IN ({_marks(CONVERSION_OPEN)})",
                (job_id, *CONVERSION_OPEN),
            ).fetchall()
            # What is being sent right now may arrive all the same.
            db.execute(
                "UPDATE spend SET state = 'unknown' WHERE state = 'open' AND conversion_id IN"
                " (SELECT id FROM conversions WHERE job_id = ? AND state = 'submitting')",
                (job_id,),
            )
            for table, states in (("conversions", CONVERSION_OPEN), ("deliveries", DELIVERY_OPEN)):
                db.execute(
                    f"UPDATE {table} SET state = 'cancelled', retry_at = NULL, ended_at = ?"
                    f" WHERE job_id = ? AND state IN ({_marks(states)})",
                    (self._clock.wall(), job_id, *states),
                )
            for row in given_up:
                if row["cache_key"]:
                    self._wake_same(db, row["cache_key"])
            self._event("job.cancel", job_id)
            self._refresh_job(db, job_id)
        return [ConversionRecord.from_row(row) for row in given_up if row["ticket"]]

    def retry_job(self, job_id: int, *, keeping: Iterable[str] = (), pay: bool = False) -> list[int]:
        """What failed or was cancelled is queued again; gives the parts that must be read again first.

        A ticket of a converter in `keeping` is still good unless its work failed: it is asked for again, or
        waits until the same, that is under way elsewhere, is there.
        `pay`: what may have been charged already is sent again all the same.
        """
        keepers = tuple(keeping)
        with self._transaction() as db:
            db.execute(
                "UPDATE OR IGNORE conversions SET state = 'running', retry_at = NULL, attempt = 0,"
                " error_json = NULL, ended_at = NULL WHERE job_id = ? AND state IN ('failed', 'cancelled')"
                f" AND ticket IS NOT NULL AND converter IN ({_marks(keepers)}) AND {_TICKET_IS_GOOD}",
                (job_id, *keepers),
            )
            db.execute(
                f"UPDATE conversions SET pay_again = ?, ticket = CASE WHEN {_TICKET_IS_GOOD} THEN ticket END"
                " WHERE job_id = ? AND state IN ('failed', 'cancelled')",
                (int(pay), job_id),
            )
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


_TICKET_IS_GOOD = "coalesce(json_extract(error_json, '$.code'), '') NOT IN ('charged-failure', 'ticket-lost')"


def _marks(values: Iterable[Any]) -> str:
    return ", ".join("?" for _ in values)
