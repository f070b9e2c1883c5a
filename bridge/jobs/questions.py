"""How the journal is asked: one connection, one lock, and what its indexes want to hear."""

from __future__ import annotations

import sqlite3
import threading
from typing import Any

# SQLite uses a partial index only where the statement says its condition in these very words.
OPEN_CONVERSION = (
    "state IN ('queued', 'asking', 'submitting', 'running', 'fetching', 'waiting_retry', 'unknown')"
)
OPEN_DELIVERY = "state IN ('pending', 'writing', 'waiting_retry')"


class Questions:
    """A connection that is asked from any thread."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.RLock | None = None) -> None:
        self._db = connection
        self._lock = lock or threading.RLock()

    def _all(self, statement: str, *values: Any) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _one(self, statement: str, *values: Any) -> sqlite3.Row | None:
        with self._lock:
            row: sqlite3.Row | None = self._db.execute(statement, values).fetchone()
            return row
