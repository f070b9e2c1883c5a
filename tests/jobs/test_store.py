from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.errors import AudioError, JournalError, SameUnderWayError, StaleJobError
from bridge.jobs import schema
from bridge.jobs.model import ConversionState, DeliveryState, Fingerprint, JobState, PlannedDelivery
from bridge.jobs.records import Event
from bridge.jobs.store import Journal, connect
from bridge.jobs.views import Views
from bridge.testing import ManualClock
from support.journals import add_job, planned, request_of, source_of

C, D = ConversionState, DeliveryState


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    yield made
    made.close()


def _shape(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_migrated_step_by_step_equals_fresh() -> None:
    fresh, stepwise = sqlite3.connect(":memory:"), sqlite3.connect(":memory:")
    for connection in (fresh, stepwise):
        connection.isolation_level = None
    schema.migrate(fresh)
    for number, step in enumerate(schema.MIGRATIONS, start=1):
        stepwise.executescript(step)
        stepwise.execute(f"PRAGMA user_version = {number}")
    schema.migrate(stepwise)
    assert _shape(fresh) == _shape(stepwise)
    assert fresh.execute("PRAGMA user_version").fetchone()[0] == len(schema.MIGRATIONS)
    fresh.close()
    stepwise.close()


def test_a_journal_of_the_first_version_is_read_and_migrated(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    journal = Journal(path, clock=ManualClock())
    job_id = add_job(journal, tmp_path / "a.wav")
    # As it was before `told_json` came, and before anything was paid for.
    journal._db.execute("ALTER TABLE parts DROP COLUMN told_json")
    for name in ("spend", "consents"):
        journal._db.execute(f"DROP TABLE {name}")
    journal._db.execute("DROP INDEX conversions_by_nonce")
    for name in ("nonce", "quote_usd", "cost_usd", "pay_again"):
        journal._db.execute(f"ALTER TABLE conversions DROP COLUMN {name}")
    journal._db.execute("ALTER TABLE artifacts DROP COLUMN about_json")
    journal._db.execute("ALTER TABLE jobs DROP COLUMN again_of")
    journal._db.execute("PRAGMA user_version = 1")
    journal.close()
    reading = connect(path, read_only=True)  # the command line, before the new bridge has run
    detail = Views(reading).detail(job_id)
    reading.close()
    assert detail is not None
    assert detail.parts[0].source is not None
    assert detail.parts[0].source.told == ()
    journal = Journal(path, clock=ManualClock())
    assert journal.detail(job_id) == detail
    journal.close()


def test_a_journal_of_a_newer_bridge_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    with pytest.raises(JournalError, match="newer bridge"):
        Journal(path)


def test_a_file_that_is_no_journal_is_an_error_with_its_name(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite3"
    path.write_text("this is not a database, and it is long enough to look at " * 20)
    with pytest.raises(JournalError, match=r"journal\.sqlite3"):
        Journal(path)


def test_intents_are_on_disk_before_anything_else_happens(journal: Journal) -> None:
    assert journal._one("PRAGMA synchronous")[0] == 2  # type: ignore[index]  # FULL
    assert journal._one("PRAGMA journal_mode")[0] == "wal"  # type: ignore[index]


def test_a_job_is_there_with_its_parts_and_conversions(journal: Journal, tmp_path: Path) -> None:
    job_id = add_job(
        journal, tmp_path / "Lead – Ä.wav", warnings=("odd",), overrides={"onset_threshold": 0.4}
    )
    detail = journal.detail(job_id)
    assert detail is not None
    assert detail.job.bounce == "Lead – Ä"
    assert detail.job.state is JobState.QUEUED
    assert detail.job.overrides == {"onset_threshold": 0.4}
    assert detail.parts[0].warnings == ("odd",)
    assert detail.parts[0].source == source_of(tmp_path / "Lead – Ä.wav").__class__(
        **{**vars(source_of(tmp_path / "Lead – Ä.wav")), "warnings": ("odd",)}
    )
    assert [row.state for row in detail.conversions] == [C.QUEUED]


def test_a_file_that_cannot_be_read_is_a_failed_job_that_says_why(journal: Journal, tmp_path: Path) -> None:
    error = AudioError("this is no audio.", file=tmp_path / "a.wav", remedy="Bounce it again.")
    job_id = journal.create_job(request_of(tmp_path / "a.wav"), {}, None, (), error=error)
    detail = journal.detail(job_id)
    assert detail is not None
    assert detail.job.state is JobState.FAILED
    assert detail.parts[0].error == error.to_json()
    [told] = [event for event in journal.events_since(0) if event.kind == "job.state"]
    assert told.data["error"]["remedy"] == "Bounce it again."


def test_a_part_joins_a_job_that_was_done(journal: Journal, tmp_path: Path) -> None:
    job_id = add_job(journal, tmp_path / "Song Drums.wav")
    row = journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    journal.finish_conversion(row.id, C.QUEUED, [], lambda _: ([], []))
    assert journal.job(job_id).state is JobState.DONE  # type: ignore[union-attr]
    source = source_of(tmp_path / "Song Bass.wav", "other")
    joined = journal.create_job(request_of(tmp_path / "Song Bass.wav"), {}, source, (planned(),), join=job_id)
    assert joined == job_id
    assert journal.job(job_id).state is JobState.RUNNING  # type: ignore[union-attr]


def test_a_move_is_refused_unless_the_row_is_where_it_was_thought_to_be(
    journal: Journal, tmp_path: Path
) -> None:
    add_job(journal, tmp_path / "a.wav")
    row = journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING)
    with pytest.raises(StaleJobError):
        journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING)
    with pytest.raises(JournalError, match="does not go from submitting to done"):
        journal.move_conversion(row.id, C.SUBMITTING, C.DONE)
    with pytest.raises(JournalError, match="does not go from submitting to done"):
        journal.finish_conversion(row.id, C.SUBMITTING, [], lambda _: ([], []))


def test_a_refused_change_leaves_no_event(journal: Journal, tmp_path: Path) -> None:
    heard: list[Event] = []
    add_job(journal, tmp_path / "a.wav")
    row = journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    journal.listen(heard.extend)
    before = journal.last_event_id()

    def stumble(_placed: object) -> tuple[list[object], list[PlannedDelivery]]:
        raise RuntimeError("in mid-transaction")

    with pytest.raises(RuntimeError):
        journal.finish_conversion(row.id, C.QUEUED, [], stumble)  # type: ignore[arg-type]  # it raises
    assert journal.last_event_id() == before
    assert journal.conversion(row.id).state is C.QUEUED
    journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING)
    assert [event.kind for event in heard] == ["conversion.state", "job.state"]


def test_the_same_conversion_is_in_flight_once_and_the_twin_is_woken(
    journal: Journal, tmp_path: Path
) -> None:
    add_job(journal, tmp_path / "a.wav")
    add_job(journal, tmp_path / "b.wav")
    newer, older = journal.due_conversions(1e12, 9, states=[C.QUEUED])
    journal.move_conversion(older.id, C.QUEUED, C.SUBMITTING, cache_key="same")
    with pytest.raises(SameUnderWayError):
        journal.move_conversion(newer.id, C.QUEUED, C.SUBMITTING, cache_key="same")
    journal.postpone_conversion(newer.id, "same", 9e11)
    assert journal.due_conversions(1e10, 9, states=[C.QUEUED]) == []
    journal.move_conversion(older.id, C.SUBMITTING, C.UNKNOWN)
    with pytest.raises(SameUnderWayError):
        journal.move_conversion(newer.id, C.QUEUED, C.SUBMITTING, cache_key="same")
    journal.move_conversion(older.id, C.UNKNOWN, C.FAILED)
    assert [row.id for row in journal.due_conversions(1e10, 9, states=[C.QUEUED])] == [newer.id]
    journal.move_conversion(newer.id, C.QUEUED, C.SUBMITTING, cache_key="same")


def test_what_should_differ_next_time_may_be_in_flight_twice(journal: Journal, tmp_path: Path) -> None:
    add_job(journal, tmp_path / "a.wav")
    add_job(journal, tmp_path / "b.wav")
    for row in journal.due_conversions(1e12, 9, states=[C.QUEUED]):
        journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING, cache_key="same", deterministic=0)
    assert list(journal.in_flight().values()) == [("local", "audio_to_midi")] * 2


def test_the_newest_goes_first_and_by_hand_before_a_batch(tmp_path: Path) -> None:
    clock = ManualClock()
    journal = Journal(tmp_path / "journal.sqlite3", clock=clock)
    for name, priority in (("batch", 0), ("old", 10), ("hand", 20), ("new", 10)):
        add_job(journal, tmp_path / f"{name}.wav", priority=priority)
        clock.advance(1)
    order = [
        journal.part(row.part_id).path.stem for row in journal.due_conversions(1e12, 9, states=["queued"])
    ]
    assert order == ["hand", "new", "old", "batch"]
    journal.close()


def test_cancel_takes_all_that_is_open_and_names_the_tickets(journal: Journal, tmp_path: Path) -> None:
    job_id = add_job(journal, tmp_path / "a.wav", conversions=(planned(), planned(step="more")))
    row = journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING)
    journal.move_conversion(row.id, C.SUBMITTING, C.RUNNING, ticket="t-1")
    assert [(one.converter, one.ticket) for one in journal.cancel_job(job_id)] == [("local", "t-1")]
    assert journal.job(job_id).state is JobState.CANCELLED  # type: ignore[union-attr]
    with pytest.raises(StaleJobError):
        journal.move_conversion(row.id, C.RUNNING, C.FETCHING)


def test_known_files_and_own_outputs_are_known_in_their_very_state(journal: Journal, tmp_path: Path) -> None:
    path, now = tmp_path / "a.wav", Fingerprint(10, 20)
    assert not journal.knows(path, now)
    assert journal.is_first_visit(tmp_path)
    journal.remember(tmp_path, {path: now})
    assert journal.knows(path, now)
    assert not journal.knows(path, Fingerprint(10, 21))
    assert not journal.is_first_visit(tmp_path)


def test_an_output_is_known_while_it_is_written_and_after_it_is_done(
    journal: Journal, tmp_path: Path
) -> None:
    job_id = add_job(journal, tmp_path / "a.wav")
    row = journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    journal.finish_conversion(row.id, C.QUEUED, [], lambda _: ([], [PlannedDelivery("artifact", {})]))
    delivery = journal.due_deliveries(1e12, 1)[0]
    assert delivery.job_id == job_id
    output = tmp_path / "a_sonified.wav"
    journal.move_delivery(delivery.id, D.PENDING, D.WRITING, final_path=str(output))
    assert journal.knows(output, Fingerprint(1, 1))
    journal.move_delivery(delivery.id, D.WRITING, D.DONE, size=7, mtime_ns=8)
    assert journal.knows(output, Fingerprint(7, 8))
    assert not journal.knows(output, Fingerprint(7, 9)), "somebody bounced over it: that is a new bounce"


def test_the_command_line_reads_while_the_daemon_writes(journal: Journal, tmp_path: Path) -> None:
    reader = Views(connect(tmp_path / "journal.sqlite3", read_only=True))
    job_id = add_job(journal, tmp_path / "a.wav")
    assert reader.job(job_id) is not None
    assert reader.counts() == {"queued": 1}
    with pytest.raises(sqlite3.OperationalError):
        reader._db.execute("DELETE FROM jobs")
    reader._db.close()


def test_many_threads_write_at_once_and_nothing_is_lost(journal: Journal, tmp_path: Path) -> None:
    def add(worker: int) -> None:
        for number in range(25):
            add_job(journal, tmp_path / f"{worker}-{number}.wav", samples=f"{worker}-{number}")

    threads = [threading.Thread(target=add, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.counts() == {"queued": 100}
    assert len({part.path for job in journal.jobs(limit=200) for part in journal.detail(job.id).parts}) == 100  # type: ignore[union-attr]
    created = [event for event in journal.events_since(0) if event.kind == "job.created"]
    assert len(created) == 100


def test_a_full_disk_leaves_no_event_of_what_was_not_written(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    told: list[Event] = []
    journal.listen(told.extend)
    pages = journal._one("PRAGMA page_count")
    assert pages is not None
    journal._one(f"PRAGMA max_page_count = {pages[0]}")
    failed = 0
    for number in range(50):
        try:
            add_job(journal, tmp_path / f"{number} {'x' * 500}.wav", samples=str(number))
        except sqlite3.OperationalError:
            failed += 1
    assert failed
    journal._one("PRAGMA max_page_count = 1000000")
    add_job(journal, tmp_path / "a.wav")
    assert [event.id for event in told] == [event.id for event in journal.events_since(0, 10_000)]
    journal.close()


def test_cancelling_a_job_wakes_who_waited_for_the_same_conversion(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    first = add_job(journal, tmp_path / "a.wav")
    add_job(journal, tmp_path / "copy of a.wav")
    row, twin = journal.queued_conversions(1e12, "local", 2)
    if row.job_id != first:
        row, twin = twin, row
    journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING, cache_key="k")
    journal.postpone_conversion(twin.id, "k", 1e12)
    journal.cancel_job(first)
    assert journal.conversion(twin.id).retry_at is None
    journal.close()
