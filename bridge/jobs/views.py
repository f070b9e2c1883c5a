"""Reading the journal: the daemon through its own connection, the command line through a read-only one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from bridge.conversions.model import LOCAL
from bridge.jobs.model import LISTENING, TOGETHER, Fingerprint, Source
from bridge.jobs.money_views import MoneyViews
from bridge.jobs.questions import OPEN_CONVERSION, OPEN_DELIVERY
from bridge.jobs.records import (
    ArtifactRecord,
    ConversionRecord,
    DeliveryRecord,
    Event,
    JobDetail,
    JobRecord,
    PartRecord,
)
from bridge.media.notes import NOTES_MEDIA_TYPE


class Views(MoneyViews):
    """All questions to the journal. Safe to ask from any thread."""

    # One thing

    def job(self, job_id: int) -> JobRecord | None:
        row = self._one("SELECT * FROM jobs WHERE id = ?", job_id)
        return JobRecord.from_row(row) if row else None

    def part(self, part_id: int) -> PartRecord:
        row = self._one("SELECT * FROM parts WHERE id = ?", part_id)
        assert row is not None, f"part {part_id} is named by another row"
        return PartRecord.from_row(row)

    def conversion(self, conversion_id: int) -> ConversionRecord:
        row = self._one("SELECT * FROM conversions WHERE id = ?", conversion_id)
        assert row is not None, f"conversion {conversion_id} is named by another row"
        return ConversionRecord.from_row(row)

    def artifact(self, artifact_id: int) -> ArtifactRecord:
        row = self._one("SELECT * FROM artifacts WHERE id = ?", artifact_id)
        assert row is not None, f"artifact {artifact_id} is named by another row"
        return ArtifactRecord.from_row(row)

    def listened(self, part_id: int) -> ArtifactRecord | None:
        """What the newest listening for tempo and key has found in the bounce itself."""
        row = self._one(
            "SELECT a.* FROM artifacts a JOIN conversions c ON c.id = a.conversion_id WHERE c.part_id = ?"
            " AND c.conversion = ? AND c.artifact_id IS NULL ORDER BY a.id DESC LIMIT 1",
            part_id,
            LISTENING,
        )
        return ArtifactRecord.from_row(row) if row else None

    def delivery(self, delivery_id: int) -> DeliveryRecord:
        row = self._one("SELECT * FROM deliveries WHERE id = ?", delivery_id)
        assert row is not None, f"delivery {delivery_id} is named by another row"
        return DeliveryRecord.from_row(row)

    def detail(self, job_id: int) -> JobDetail | None:
        """The job with its parts, conversions, artifacts and deliveries; None where there is no such job."""
        job = self.job(job_id)
        if job is None:
            return None
        rows = {
            table: self._all(f"SELECT * FROM {table} WHERE job_id = ? ORDER BY id", job_id)
            for table in ("parts", "conversions", "deliveries")
        }
        artifacts = self._all(
            "SELECT a.* FROM artifacts a JOIN conversions c ON c.id = a.conversion_id"
            " WHERE c.job_id = ? ORDER BY a.id",
            job_id,
        )
        return JobDetail(
            job=job,
            parts=tuple(map(PartRecord.from_row, rows["parts"])),
            conversions=tuple(map(ConversionRecord.from_row, rows["conversions"])),
            artifacts=tuple(map(ArtifactRecord.from_row, artifacts)),
            deliveries=tuple(map(DeliveryRecord.from_row, rows["deliveries"])),
        )

    # What is to be done

    def due_conversions(self, now: float, limit: int, *, states: Iterable[str]) -> list[ConversionRecord]:
        """Open conversions in `states` whose time has come, first those of the highest rank."""
        wanted = tuple(map(str, states))
        marks = ", ".join("?" for _ in wanted)
        rows = self._all(
            f"SELECT * FROM conversions WHERE {OPEN_CONVERSION} AND state IN ({marks})"
            " AND (retry_at IS NULL OR retry_at <= ?) ORDER BY rank DESC, id LIMIT ?",
            *wanted,
            now,
            limit,
        )
        return list(map(ConversionRecord.from_row, rows))

    def queued_conversions(
        self, now: float, converter: str, limit: int, *, only: Iterable[str] | None = None
    ) -> list[ConversionRecord]:
        """Queued conversions for `converter` whose time has come, first those of the highest rank.

        `only` names the conversions that are meant; None: all.
        """
        names = () if only is None else tuple(only)
        those = "" if only is None else f" AND conversion IN ({', '.join('?' for _ in names)})"
        rows = self._all(
            f"SELECT * FROM conversions WHERE {OPEN_CONVERSION} AND state = 'queued' AND converter = ?"
            f"{those} AND (retry_at IS NULL OR retry_at <= ?) ORDER BY rank DESC, id LIMIT ?",
            converter,
            *names,
            now,
            limit,
        )
        return list(map(ConversionRecord.from_row, rows))

    def queued_without_converter(
        self, now: float, converters: Iterable[str], limit: int
    ) -> list[ConversionRecord]:
        """Queued conversions for a converter that is none of `converters`."""
        known = tuple(converters)
        rows = self._all(
            f"SELECT * FROM conversions WHERE {OPEN_CONVERSION} AND state = 'queued'"
            f" AND converter NOT IN ({', '.join('?' for _ in known)})"
            " AND (retry_at IS NULL OR retry_at <= ?) LIMIT ?",
            *known,
            now,
            limit,
        )
        return list(map(ConversionRecord.from_row, rows))

    def conversions_of_tickets(self, tickets: Iterable[str]) -> list[ConversionRecord]:
        """The running conversions that hold one of these tickets."""
        wanted = tuple(tickets)
        if not wanted:
            return []
        marks = ", ".join("?" for _ in wanted)
        rows = self._all(
            f"SELECT * FROM conversions WHERE {OPEN_CONVERSION} AND state = 'running'"
            f" AND ticket IN ({marks})",
            *wanted,
        )
        return list(map(ConversionRecord.from_row, rows))

    def due_deliveries(self, now: float, limit: int) -> list[DeliveryRecord]:
        """Open deliveries whose time has come, first those of the highest rank.

        What is written at a tempo waits until it has been listened for, and what goes into one file until
        nothing of the job is under way.
        """
        rows = self._all(
            f"SELECT * FROM deliveries WHERE {OPEN_DELIVERY}"
            " AND (retry_at IS NULL OR retry_at <= ?)"
            f" AND NOT (kind = ? AND job_id IN (SELECT job_id FROM conversions WHERE {OPEN_CONVERSION}))"
            f" AND NOT (part_id IN (SELECT part_id FROM conversions WHERE {OPEN_CONVERSION}"
            " AND conversion = ? AND artifact_id IS NULL AND converter = ?)"
            " AND artifact_id IN (SELECT id FROM artifacts WHERE media_type = ?))"
            " ORDER BY rank DESC, id LIMIT ?",
            now,
            TOGETHER,
            LISTENING,
            LOCAL,
            NOTES_MEDIA_TYPE,
            limit,
        )
        return list(map(DeliveryRecord.from_row, rows))

    def next_retry_at(self, after: float) -> float | None:
        """When (wall clock) the next row is due that is not due at `after`; None where there is none."""
        row = self._one(
            "SELECT min(at) AS at FROM ("
            f" SELECT min(retry_at) AS at FROM conversions WHERE {OPEN_CONVERSION} AND retry_at > ?1"
            f" UNION ALL SELECT min(retry_at) FROM deliveries WHERE {OPEN_DELIVERY} AND retry_at > ?1)",
            after,
        )
        return row["at"] if row else None

    def in_flight(self) -> dict[int, tuple[str, str]]:
        """The conversions that their converters have, or are being given: (converter, conversion) of each."""
        rows = self._all(
            f"SELECT id, converter, conversion FROM conversions WHERE {OPEN_CONVERSION}"
            " AND state IN ('submitting', 'running', 'fetching')"
        )
        return {row["id"]: (row["converter"], row["conversion"]) for row in rows}

    def part_is_settled(self, part_id: int) -> bool:
        """True when no conversion and no delivery of this part is open."""
        return (
            self._one(
                f"SELECT 1 FROM conversions WHERE part_id = ?1 AND {OPEN_CONVERSION}"
                f" UNION ALL SELECT 1 FROM deliveries WHERE part_id = ?1 AND {OPEN_DELIVERY}",
                part_id,
            )
            is None
        )

    def part_has_written(self, part_id: int) -> bool:
        """True when a delivery of this part wrote a file, rather than finding it there."""
        return (
            self._one("SELECT 1 FROM deliveries WHERE part_id = ? AND temp_path IS NOT NULL", part_id)
            is not None
        )

    # What the folder trigger asks

    def knows(self, path: Path, fingerprint: Fingerprint) -> bool:
        """True when this file in this state is known, or is an output of ours, finished or being written."""
        row = self._one("SELECT size, mtime_ns FROM files WHERE path = ?", str(path))
        if row and (row["size"], row["mtime_ns"]) == (fingerprint.size, fingerprint.mtime_ns):
            return True
        own = self._all("SELECT state, size, mtime_ns FROM deliveries WHERE final_path = ?", str(path))
        return any(
            row["state"] == "writing"
            or (row["size"], row["mtime_ns"]) == (fingerprint.size, fingerprint.mtime_ns)
            for row in own
        )

    def looked_at(self, path: Path, fingerprint: Fingerprint) -> Source | None:
        """What the latest look at the file in this very state found; None where there was none."""
        row = self._one(
            "SELECT * FROM parts WHERE path = ? AND size = ? AND mtime_ns = ? AND error_json IS NULL"
            " ORDER BY id DESC LIMIT 1",
            str(path),
            fingerprint.size,
            fingerprint.mtime_ns,
        )
        return PartRecord.from_row(row).source if row else None

    def is_first_visit(self, folder: Path) -> bool:
        return self._one("SELECT 1 FROM folders WHERE path = ?", str(folder)) is None

    def earlier_job_of(self, path: Path, samples_sha256: str, preset: str) -> int | None:
        """The newest job that has this very audio at this path through this preset."""
        row = self._one(
            "SELECT p.job_id FROM parts p JOIN jobs j ON j.id = p.job_id"
            " WHERE p.path = ? AND p.samples_sha256 = ? AND j.preset = ? ORDER BY p.id DESC LIMIT 1",
            str(path),
            samples_sha256,
            preset,
        )
        return row["job_id"] if row else None

    def recent_parts(
        self, watched_folder: Path, preset: str, closed_between: tuple[float, float]
    ) -> list[PartRecord]:
        """Parts of late jobs of this folder and preset that were closed then (wall clock), newest first."""
        rows = self._all(
            "SELECT p.* FROM (SELECT * FROM jobs ORDER BY id DESC LIMIT 64) j JOIN parts p ON p.job_id = j.id"
            " WHERE j.watched_folder = ? AND j.preset = ? AND p.closed_at BETWEEN ? AND ? ORDER BY p.id DESC",
            str(watched_folder),
            preset,
            *closed_between,
        )
        return list(map(PartRecord.from_row, rows))

    def has_part(self, job_id: int, path: Path) -> bool:
        """True when the job has a part with this file, in whatever version."""
        return self._one("SELECT 1 FROM parts WHERE path = ? AND job_id = ?", str(path), job_id) is not None

    def latest_source(self) -> Path | None:
        """The file of the newest part that a watched folder brought; else of the newest part at all."""
        for which in ("WHERE j.watched_folder IS NOT NULL", ""):
            newest = f"{which} ORDER BY p.id DESC LIMIT 1"
            row = self._one(f"SELECT p.path FROM parts p JOIN jobs j ON j.id = p.job_id {newest}")
            if row is not None:
                return Path(row["path"])
        return None

    # What people ask

    def counts(self) -> dict[str, int]:
        """How many jobs are in each state."""
        return {
            row["state"]: row["n"] for row in self._all("SELECT state, count(*) n FROM jobs GROUP BY state")
        }

    def jobs(
        self, *, limit: int = 20, states: Iterable[str] | None = None, before: int | None = None
    ) -> list[JobRecord]:
        """The newest jobs first; `before` is the id to go on below."""
        wanted = None if states is None else tuple(map(str, states))
        where, values = "id < ?", [before if before is not None else 2**62]
        if wanted is not None:
            where += f" AND state IN ({', '.join('?' for _ in wanted)})"
            values += wanted  # type: ignore[arg-type]  # values for the statement, of any kind
        rows = self._all(
            f"SELECT * FROM jobs WHERE {where} ORDER BY id DESC LIMIT ?",
            *values,
            limit,
        )
        return list(map(JobRecord.from_row, rows))

    def events_since(self, event_id: int, limit: int = 1000) -> list[Event]:
        """Events with a greater id, oldest first."""
        rows = self._all("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT ?", event_id, limit)
        return [
            Event(row["id"], row["at"], row["job_id"], row["kind"], json.loads(row["data_json"]))
            for row in rows
        ]

    def last_event_id(self) -> int:
        row = self._one("SELECT max(id) AS id FROM events")
        return row["id"] or 0 if row else 0
