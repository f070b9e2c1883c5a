from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs.model import (
    CONVERSION_IN_FLIGHT,
    CONVERSION_OPEN,
    CONVERSION_TRANSITIONS,
    DELIVERY_OPEN,
    DELIVERY_TRANSITIONS,
    JOB_OPEN,
    ConversionState,
    DeliveryState,
    Fingerprint,
    JobState,
    job_state,
)

C, D, J = ConversionState, DeliveryState, JobState


@pytest.mark.parametrize(
    ("conversions", "deliveries", "expected"),
    [
        ([], [], J.DONE),
        ([C.QUEUED], [], J.QUEUED),
        ([C.QUEUED, C.DONE], [], J.RUNNING),
        ([C.SUBMITTING], [], J.RUNNING),
        ([C.RUNNING, C.FAILED], [], J.RUNNING),
        ([C.WAITING_RETRY], [], J.WAITING),
        ([C.DONE], [D.WAITING_RETRY], J.WAITING),
        ([C.DONE], [D.PENDING], J.RUNNING),
        ([C.DONE], [D.WRITING], J.RUNNING),
        ([C.UNKNOWN, C.RUNNING], [], J.NEEDS_YOU),
        ([C.DONE], [D.DONE], J.DONE),
        ([C.DONE, C.FAILED], [D.DONE], J.FAILED),
        ([C.DONE], [D.FAILED], J.FAILED),
        ([C.CANCELLED], [], J.CANCELLED),
        ([C.DONE], [D.CANCELLED], J.CANCELLED),
        ([C.FAILED, C.CANCELLED], [], J.FAILED),
    ],
)
def test_a_jobs_state_follows_from_its_rows(
    conversions: list[ConversionState], deliveries: list[DeliveryState], expected: JobState
) -> None:
    assert job_state(conversions, deliveries) is expected


def test_a_part_that_cannot_be_read_fails_the_job_once_the_others_are_over() -> None:
    assert job_state([C.DONE], [D.DONE], unreadable_parts=True) is J.FAILED
    assert job_state([C.RUNNING], [], unreadable_parts=True) is J.RUNNING


@given(st.lists(st.sampled_from(C)), st.lists(st.sampled_from(D)))
def test_a_job_is_open_exactly_while_something_of_it_is(
    conversions: list[ConversionState], deliveries: list[DeliveryState]
) -> None:
    something_open = bool(set(conversions) & CONVERSION_OPEN or set(deliveries) & DELIVERY_OPEN)
    assert (job_state(conversions, deliveries) in JOB_OPEN) is something_open


def test_every_state_has_its_row_of_transitions() -> None:
    assert set(CONVERSION_TRANSITIONS) == set(C)
    assert set(DELIVERY_TRANSITIONS) == set(D)


def test_nothing_in_flight_is_ever_sent_again_from_unknown_without_being_queued_first() -> None:
    assert C.SUBMITTING not in CONVERSION_TRANSITIONS[C.UNKNOWN]
    assert [state for state in C if C.SUBMITTING in CONVERSION_TRANSITIONS[state]] == [C.QUEUED]
    assert C.UNKNOWN in CONVERSION_IN_FLIGHT


def test_what_is_done_stays_done() -> None:
    assert not CONVERSION_TRANSITIONS[C.DONE]
    assert not DELIVERY_TRANSITIONS[D.DONE]


def test_a_fingerprint_changes_with_size_and_time(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(b"1234")
    before = Fingerprint.of(path)
    assert before == Fingerprint.of(path)
    os.utime(path, ns=(1, before.mtime_ns + 1))
    assert Fingerprint.of(path) != before
