"""Questions to the journal about money and consent."""

from __future__ import annotations

from pathlib import Path

from bridge.jobs.questions import OPEN_CONVERSION, Questions
from bridge.jobs.records import ConversionRecord, SpendRecord


class MoneyViews(Questions):
    """What was paid, what may have been, and who has allowed it."""

    def spend(self, since: float | None = None) -> list[SpendRecord]:
        """What may cost money, oldest first; `since` is a wall clock time."""
        rows = self._all("SELECT * FROM spend WHERE at >= ? ORDER BY id", since or 0.0)
        return list(map(SpendRecord.from_row, rows))

    def spent_usd(self, *, since: float = 0.0, project_folder: Path | None = None) -> float:
        """The sum of what counts, also of what nobody can tell."""
        of_project = "" if project_folder is None else " AND project_folder = ?"
        values = () if project_folder is None else (str(project_folder),)
        row = self._one(
            f"SELECT sum(usd) AS usd FROM spend WHERE state != 'free' AND at >= ?{of_project}", since, *values
        )
        return float(row["usd"] or 0.0) if row else 0.0

    def paid_in_vain(self, cache_key: str) -> SpendRecord | None:
        """The newest attempt at the very same request that may have been charged and came to nothing.

        One whose state is "open" still has its ticket, so its result can be fetched for nothing. None where
        a later one came to something, or where the musician's yes to another is still to be used.
        """
        row = self._one(
            "SELECT s.* FROM spend s JOIN conversions c ON c.id = s.conversion_id"
            " WHERE s.cache_key = ?1 AND s.state IN ('unknown', 'open')"
            " AND (c.state IN ('failed', 'cancelled') OR c.state IN ('queued', 'asking') AND NOT c.pay_again)"
            " AND s.id > (SELECT coalesce(max(id), 0) FROM spend WHERE cache_key = ?1 AND state = 'charged')"
            " ORDER BY s.id DESC LIMIT 1",
            cache_key,
        )
        return SpendRecord.from_row(row) if row else None

    def sent_in_vain(self, conversion_id: int) -> int:
        """How often a conversion was sent without anybody knowing what became of that."""
        row = self._one(
            "SELECT count(*) AS n FROM spend WHERE conversion_id = ? AND state = 'unknown'", conversion_id
        )
        return row["n"] if row else 0

    def given_up_unknown(self, job_id: int) -> list[ConversionRecord]:
        """The job's conversions that are over, while nobody can tell what became of their last request."""
        rows = self._all(
            "SELECT c.* FROM conversions c JOIN spend s ON s.conversion_id = c.id WHERE c.job_id = ?"
            " AND c.state IN ('failed', 'cancelled') AND s.state = 'unknown'"
            " AND s.id = (SELECT max(id) FROM spend WHERE conversion_id = c.id) ORDER BY c.id",
            job_id,
        )
        return list(map(ConversionRecord.from_row, rows))

    def made_in(self, job_id: int, like: ConversionRecord, cache_key: str) -> ConversionRecord | None:
        """What that job has made of the same file in the same step by the same request."""
        row = self._one(
            "SELECT c.* FROM conversions c JOIN parts p ON p.id = c.part_id WHERE c.job_id = ? AND c.step = ?"
            " AND c.cache_key = ? AND c.state = 'done' AND p.path = (SELECT path FROM parts WHERE id = ?)"
            " ORDER BY c.id DESC LIMIT 1",
            job_id,
            like.step,
            cache_key,
            like.part_id,
        )
        return ConversionRecord.from_row(row) if row else None

    def risked_by_retry(self, job_id: int) -> float | None:
        """US dollars that a retry of the job may cost once more; None: nothing of it was paid for."""
        row = self._one(
            "SELECT sum(usd) AS usd FROM ("
            " SELECT s.usd FROM spend s JOIN conversions c ON c.id = s.conversion_id WHERE c.job_id = ?1"
            " AND s.id = (SELECT max(id) FROM spend WHERE conversion_id = c.id) AND s.state = 'unknown'"
            " AND c.state IN ('failed', 'cancelled')"
            " UNION ALL SELECT coalesce(c.quote_usd, 0.0) FROM conversions c WHERE c.job_id = ?1"
            " AND c.state = 'asking' AND json_extract(c.error_json, '$.code') = 'paid-again')",
            job_id,
        )
        return row["usd"] if row else None

    def twin_in_flight(self, cache_key: str) -> ConversionRecord | None:
        """The conversion that was handed over with this very request and is not over."""
        row = self._one(
            f"SELECT * FROM conversions WHERE {OPEN_CONVERSION} AND cache_key = ?"
            " AND state NOT IN ('queued', 'asking') ORDER BY id LIMIT 1",
            cache_key,
        )
        return ConversionRecord.from_row(row) if row else None

    def has_consent(self, folder: Path) -> bool:
        """True when the musician has said that audio of this folder, or of one above it, may be sent."""
        above = tuple(map(str, (folder, *folder.parents)))
        marks = ", ".join("?" for _ in above)
        return self._one(f"SELECT 1 FROM consents WHERE folder IN ({marks})", *above) is not None

    def conversion_of_nonce(self, nonce: str) -> ConversionRecord | None:
        row = self._one("SELECT * FROM conversions WHERE nonce = ?", nonce)
        return ConversionRecord.from_row(row) if row else None
