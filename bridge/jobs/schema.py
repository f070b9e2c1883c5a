"""The journal's tables. Migrations are numbered and only appended; `user_version` says how far a file is."""

from __future__ import annotations

import sqlite3

from bridge.errors import JournalError

_V1 = """
CREATE TABLE jobs (
    id INTEGER PRIMARY KEY,
    created_at REAL NOT NULL,
    updated_at REAL NOT NULL,
    state TEXT NOT NULL,
    priority INTEGER NOT NULL,
    bounce TEXT NOT NULL,
    preset TEXT NOT NULL,
    preset_json TEXT NOT NULL,
    overrides_json TEXT NOT NULL,
    project_folder TEXT NOT NULL,
    trigger TEXT NOT NULL,
    private INTEGER NOT NULL,
    watched_folder TEXT
);
CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_time ON jobs (updated_at);

CREATE TABLE parts (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    path TEXT NOT NULL,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    closed_at REAL NOT NULL,
    samples_sha256 TEXT,
    frames INTEGER,
    channels INTEGER,
    rate_hz INTEGER,
    duration_s REAL,
    warnings_json TEXT NOT NULL,
    error_json TEXT
);
CREATE INDEX parts_by_job ON parts (job_id);
CREATE INDEX parts_by_path ON parts (path, samples_sha256);

CREATE TABLE conversions (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    part_id INTEGER NOT NULL REFERENCES parts (id),
    rank REAL NOT NULL,
    step TEXT NOT NULL,
    conversion TEXT NOT NULL,
    converter TEXT NOT NULL,
    parameters_json TEXT NOT NULL,
    artifact_id INTEGER REFERENCES artifacts (id),
    state TEXT NOT NULL,
    resume TEXT,
    cache_key TEXT,
    deterministic INTEGER NOT NULL DEFAULT 1,
    cached INTEGER NOT NULL DEFAULT 0,
    ticket TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    retry_at REAL,
    started_at REAL,
    ended_at REAL,
    error_json TEXT
);
CREATE INDEX conversions_by_job ON conversions (job_id);
CREATE INDEX conversions_open ON conversions (state, rank)
    WHERE state IN ('queued', 'submitting', 'running', 'fetching', 'waiting_retry', 'unknown');
CREATE UNIQUE INDEX conversions_one_in_flight ON conversions (cache_key)
    WHERE deterministic AND state IN ('submitting', 'running', 'fetching', 'waiting_retry', 'unknown');

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    conversion_id INTEGER NOT NULL REFERENCES conversions (id),
    role TEXT NOT NULL,
    path TEXT NOT NULL,
    media_type TEXT NOT NULL,
    sha256 TEXT NOT NULL
);
CREATE INDEX artifacts_by_conversion ON artifacts (conversion_id);

CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    part_id INTEGER NOT NULL REFERENCES parts (id),
    rank REAL NOT NULL,
    kind TEXT NOT NULL,
    settings_json TEXT NOT NULL,
    artifact_id INTEGER REFERENCES artifacts (id),
    state TEXT NOT NULL,
    final_path TEXT,
    temp_path TEXT,
    sha256 TEXT,
    size INTEGER,
    mtime_ns INTEGER,
    note TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    retry_at REAL,
    ended_at REAL,
    error_json TEXT
);
CREATE INDEX deliveries_by_job ON deliveries (job_id);
CREATE INDEX deliveries_by_path ON deliveries (final_path);
CREATE INDEX deliveries_open ON deliveries (state, rank)
    WHERE state IN ('pending', 'writing', 'waiting_retry');

CREATE TABLE events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at REAL NOT NULL,
    job_id INTEGER,
    kind TEXT NOT NULL,
    data_json TEXT NOT NULL
);
CREATE INDEX events_by_job ON events (job_id);

CREATE TABLE files (
    path TEXT PRIMARY KEY,
    size INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    job_id INTEGER
) WITHOUT ROWID;

CREATE TABLE folders (
    path TEXT PRIMARY KEY,
    visited_at REAL NOT NULL
) WITHOUT ROWID;
"""

_V2 = """
ALTER TABLE parts ADD COLUMN told_json TEXT NOT NULL DEFAULT '[]';
"""

# Conversions that are paid for: who is asked, what it costs, what belongs to which attempt.
_V3 = """
ALTER TABLE conversions ADD COLUMN nonce TEXT;
ALTER TABLE conversions ADD COLUMN quote_usd REAL;
ALTER TABLE conversions ADD COLUMN cost_usd REAL;
ALTER TABLE conversions ADD COLUMN pay_again INTEGER NOT NULL DEFAULT 0;
ALTER TABLE artifacts ADD COLUMN about_json TEXT NOT NULL DEFAULT '{}';
CREATE INDEX conversions_by_nonce ON conversions (nonce) WHERE nonce IS NOT NULL;

DROP INDEX conversions_open;
CREATE INDEX conversions_open ON conversions (state, rank)
    WHERE state IN ('queued', 'asking', 'submitting', 'running', 'fetching', 'waiting_retry', 'unknown');

CREATE TABLE spend (
    id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    job_id INTEGER NOT NULL REFERENCES jobs (id),
    conversion_id INTEGER NOT NULL REFERENCES conversions (id),
    conversion TEXT NOT NULL,
    cache_key TEXT NOT NULL,
    project_folder TEXT NOT NULL,
    ticket TEXT,
    usd REAL NOT NULL,
    basis TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX spend_by_time ON spend (at);
CREATE INDEX spend_by_project ON spend (project_folder);
CREATE INDEX spend_by_conversion ON spend (conversion_id);
CREATE INDEX spend_by_key ON spend (cache_key);

CREATE TABLE consents (
    folder TEXT PRIMARY KEY,
    at REAL NOT NULL
) WITHOUT ROWID;
"""

# Whose results a job puts back: what it needs is there, or it is not made.
_V4 = """
ALTER TABLE jobs ADD COLUMN again_of INTEGER;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4)


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the journal to the newest version, each step in a transaction of its own.

    Raises JournalError for a journal that a newer bridge has written.
    """
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise JournalError(
            f"a newer bridge wrote the journal (its version {version}; this one knows {len(MIGRATIONS)}).",
            remedy="Update DAW Bridge, or use another BRIDGE_HOME.",
        )
    for number in range(version, len(MIGRATIONS)):
        connection.executescript(
            f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
        )
