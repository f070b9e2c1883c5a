"""A Hypothesis state machine: whatever is asked of the journal, only the transitions of the table happen."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from bridge.errors import JournalError, SameUnderWayError, StaleJobError
from bridge.jobs.cache import Entry
from bridge.jobs.model import (
    CONVERSION_IN_FLIGHT,
    CONVERSION_TRANSITIONS,
    DELIVERY_TRANSITIONS,
    ConversionState,
    DeliveryState,
    PlannedDelivery,
    job_state,
)
from bridge.jobs.store import Journal
from bridge.testing import ManualClock
from support.journals import add_job

C, D = ConversionState, DeliveryState
KEYS = st.sampled_from(["key-1", "key-2"])


class JournalMachine(RuleBasedStateMachine):
    jobs = Bundle("jobs")

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.journal = Journal(self.folder / "journal.sqlite3", clock=ManualClock())
        self.conversions: dict[int, ConversionState] = {}
        self.deliveries: dict[int, DeliveryState] = {}
        self.keys: dict[int, str] = {}

    def teardown(self) -> None:
        self.journal.close()
        shutil.rmtree(self.folder)

    @rule(target=jobs, name=st.sampled_from(["a", "b"]))
    def new_job(self, name: str) -> int:
        job_id = add_job(self.journal, self.folder / f"{name}.wav")
        self._read(job_id)
        return job_id

    @rule(job=jobs, before=st.sampled_from(C), after=st.sampled_from(C), key=KEYS)
    def move_conversion(self, job: int, before: ConversionState, after: ConversionState, key: str) -> None:
        row = self._detail(job).conversions[0]
        try:
            self.journal.move_conversion(row.id, before, after, cache_key=key)
        except SameUnderWayError:
            assert after in CONVERSION_IN_FLIGHT
            twins = [i for i, k in self.keys.items() if k == key and i != row.id]
            assert any(self.conversions[i] in CONVERSION_IN_FLIGHT for i in twins)
            return
        except StaleJobError:
            assert self.conversions[row.id] is not before
            return
        except JournalError:
            assert after not in CONVERSION_TRANSITIONS[before]
            return
        assert self.conversions[row.id] is before
        assert after in CONVERSION_TRANSITIONS[before]
        self.conversions[row.id] = after
        self.keys[row.id] = key

    @rule(job=jobs)
    def finish(self, job: int) -> None:
        row = self._detail(job).conversions[0]
        may = C.DONE in CONVERSION_TRANSITIONS[row.state]
        try:
            self.journal.finish_conversion(
                row.id,
                row.state,
                [Entry("midi", self.folder / "x", "text/plain", "0")],
                lambda placed: ([], [PlannedDelivery("artifact", {}, artifact_id=placed[0][0])]),
            )
        except JournalError:
            assert not may
            return
        assert may
        self._read(job)
        assert self.conversions[row.id] is C.DONE

    @rule(job=jobs, before=st.sampled_from(D), after=st.sampled_from(D))
    def move_delivery(self, job: int, before: DeliveryState, after: DeliveryState) -> None:
        for row in self._detail(job).deliveries:
            try:
                self.journal.move_delivery(row.id, before, after)
            except StaleJobError:
                assert self.deliveries[row.id] is not before
            except JournalError:
                assert after not in DELIVERY_TRANSITIONS[before]
            else:
                assert self.deliveries[row.id] is before
                assert after in DELIVERY_TRANSITIONS[before]
                self.deliveries[row.id] = after

    @rule(job=jobs)
    def cancel(self, job: int) -> None:
        done = {row.id for row in self._detail(job).conversions if row.state in (C.DONE, C.FAILED)}
        self.journal.cancel_job(job)
        for row in self._detail(job).conversions:
            assert row.state in (C.DONE, C.FAILED) if row.id in done else row.state is C.CANCELLED
        self._read(job)

    @rule(job=jobs)
    def retry(self, job: int) -> None:
        kept = {
            row.id: row.state
            for row in self._detail(job).conversions
            if row.state not in (C.FAILED, C.CANCELLED)
        }
        self.journal.retry_job(job)
        for row in self._detail(job).conversions:
            assert row.state is kept.get(row.id, C.QUEUED)
        self._read(job)

    @invariant()
    def the_job_follows_from_its_rows(self) -> None:
        for job in self.journal.jobs(limit=1000):
            detail = self._detail(job.id)
            assert job.state is job_state(
                (row.state for row in detail.conversions), (row.state for row in detail.deliveries)
            )

    @invariant()
    def never_two_of_a_kind_in_flight(self) -> None:
        for key in ("key-1", "key-2"):
            flying = [
                i for i, k in self.keys.items() if k == key and self.conversions[i] in CONVERSION_IN_FLIGHT
            ]
            assert len(flying) <= 1

    @invariant()
    def the_last_event_tells_the_state(self) -> None:
        told: dict[int, str] = {}
        for event in self.journal.events_since(0, limit=100_000):
            if event.kind == "job.state" and event.job_id is not None:
                told[event.job_id] = event.data["state"]
        for job in self.journal.jobs(limit=1000):
            assert told.get(job.id, "queued") == job.state

    def _detail(self, job: int):  # type: ignore[no-untyped-def]  # the record, for a few lines
        detail = self.journal.detail(job)
        assert detail is not None
        return detail

    def _read(self, job: int) -> None:
        for row in self._detail(job).conversions:
            self.conversions[row.id] = row.state
        for row in self._detail(job).deliveries:
            self.deliveries[row.id] = row.state


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=40, stateful_step_count=40)
TestJournal = pytest.mark.slow(TestJournal)
