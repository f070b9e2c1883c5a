"""The journal's part on money: bills, what they come to, and whom the musician has allowed what."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

from bridge.errors import BridgeError
from bridge.jobs.budget import Bill, bill_state, check_caps, day_began
from bridge.jobs.model import ConversionState
from bridge.jobs.rows import Rows

_NEWEST = "id = (SELECT max(id) FROM spend WHERE conversion_id = ?)"


class Ledger(Rows):
    """Writes bills beside the changes of state that they belong to, in the same transaction."""

    def note_cost(self, conversion_id: int, usd: float, basis: str) -> None:
        """What the converter says that it costs, an estimate or the charge."""
        with self._transaction() as db:
            db.execute("UPDATE conversions SET cost_usd = ? WHERE id = ?", (usd, conversion_id))
            db.execute(f"UPDATE spend SET usd = ?, basis = ? WHERE {_NEWEST}", (usd, basis, conversion_id))

    def keep_ticket(self, conversion_id: int, ticket: str) -> bool:
        """The ticket of a conversion that was cancelled while it was being sent: it goes on elsewhere.

        True where the musician wants it again by now: then it runs, and is not sent once more.
        """
        with self._transaction() as db:
            row = db.execute(
                "UPDATE OR IGNORE conversions SET ticket = ?, pay_again = 0,"
                " state = CASE state WHEN 'queued' THEN 'running' ELSE state END"
                " WHERE id = ? AND state IN ('queued', 'cancelled') RETURNING job_id, state",
                (ticket, conversion_id),
            ).fetchone()
            db.execute(
                f"UPDATE spend SET ticket = ?, state = 'open' WHERE {_NEWEST}", (ticket, conversion_id)
            )
            if row is not None:
                self._refresh_job(db, row["job_id"])
        return row is not None and row["state"] == "running"

    def was_not_sent(self, conversion_id: int) -> None:
        """The newest attempt of a conversion that was cancelled meanwhile never got there."""
        with self._transaction() as db:
            db.execute(f"UPDATE spend SET state = 'free' WHERE {_NEWEST}", (conversion_id,))

    def allow_upload(self, folder: Path) -> int:
        """Audio of this folder and below may be sent from now on; gives how many waited for that."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO consents VALUES (?, ?)", (str(folder), self._clock.wall()))
            asking = db.execute(
                "SELECT c.id, c.job_id, coalesce(json_extract(c.error_json, '$.file'), p.path) AS path"
                " FROM conversions c JOIN parts p ON p.id = c.part_id"
                " WHERE c.state = 'asking' AND json_extract(c.error_json, '$.code') = 'needs-consent'"
            ).fetchall()
            released = [row for row in asking if Path(row["path"]).is_relative_to(folder)]
            self._release(db, released)
        return len(released)

    def pay_again(self, job_id: int) -> None:
        """What was asked of this job is answered with yes, also if it costs again."""
        with self._transaction() as db:
            asking = db.execute(
                "UPDATE conversions SET pay_again = 1 WHERE job_id = ? AND state = 'asking'"
                " AND json_extract(error_json, '$.code') = 'paid-again' RETURNING id, job_id",
                (job_id,),
            ).fetchall()
            self._release(db, asking)

    def ask_again(self) -> None:
        """Every question that is open is looked at anew: the settings may have answered it."""
        with self._transaction() as db:
            asking = db.execute("SELECT id, job_id FROM conversions WHERE state = 'asking'").fetchall()
            self._release(db, asking)

    def _wake_same(self, db: sqlite3.Connection, cache_key: str) -> None:
        """Whoever waits for the same looks again, also who was asked whether to pay for it once more."""
        db.execute(
            "UPDATE conversions SET retry_at = NULL WHERE state = 'queued' AND cache_key = ?", (cache_key,)
        )
        asking = db.execute(
            "SELECT id, job_id FROM conversions WHERE state = 'asking' AND cache_key = ?"
            " AND json_extract(error_json, '$.code') = 'paid-again'",
            (cache_key,),
        ).fetchall()
        self._release(db, asking)

    def _release(self, db: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> None:
        for row in rows:
            db.execute(
                "UPDATE conversions SET state = 'queued', error_json = NULL, retry_at = NULL"
                " WHERE id = ? AND state = 'asking'",
                (row["id"],),
            )
        for job_id in {row["job_id"] for row in rows}:
            self._event("job.allowed", job_id)
            self._refresh_job(db, job_id)

    # Within a transaction of the journal's

    def _write_bill(self, db: sqlite3.Connection, conversion_id: int, cache_key: str, bill: Bill) -> None:
        """Raises NotAllowed where a cap would be passed; the caller's transaction is then rolled back."""
        row = db.execute(
            "SELECT c.job_id, c.conversion, j.project_folder FROM conversions c"
            " JOIN jobs j ON j.id = c.job_id WHERE c.id = ?",
            (conversion_id,),
        ).fetchone()
        now = self._clock.wall()
        check_caps(
            bill,
            spent_today_usd=self.spent_usd(since=day_began(now)),
            spent_in_project_usd=self.spent_usd(project_folder=Path(row["project_folder"])),
        )
        db.execute(
            "INSERT INTO spend (at, job_id, conversion_id, conversion, cache_key, project_folder, usd, basis,"
            " state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')",
            (
                now,
                row["job_id"],
                conversion_id,
                row["conversion"],
                cache_key,
                row["project_folder"],
                bill.usd or 0.0,
                "not known" if bill.usd is None else "quoted",
            ),
        )

    def _settle_bill(
        self,
        db: sqlite3.Connection,
        row: sqlite3.Row,
        before: ConversionState,
        after: ConversionState,
        error: BridgeError | None,
    ) -> None:
        state = bill_state(before, after, error)
        if state is not None:
            db.execute(
                f"UPDATE spend SET state = ?, ticket = ? WHERE {_NEWEST}", (state, row["ticket"], row["id"])
            )
