"""The runner on fake converters that pass the same contract suite as the real ones."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from bridge.converters.base import ConversionRequest, Ticket
from bridge.errors import (
    Cancelled,
    NotSent,
    OutcomeUnknown,
    Rejected,
    StaleJobError,
    TryLater,
    WorkerDied,
    WorkerOutOfMemory,
)
from bridge.jobs.model import ConversionState, DeliveryState, JobState
from bridge.jobs.records import ConversionRecord
from bridge.jobs.runner import LONGEST_SLEEP_S
from bridge.testing import FakeConverter
from support.journals import MakeWorks, Works, add_job, job_in, planned, row_in
from support.polling import eventually

C, D, J = ConversionState, DeliveryState, JobState


def _waiting(works: Works, job_id: int, attempt: int) -> ConversionRecord:
    """The conversion, once it waits after its attempt number `attempt`."""

    def look() -> ConversionRecord | None:
        detail = works.journal.detail(job_id)
        rows = detail.conversions if detail else ()
        return next((row for row in rows if row.state is C.WAITING_RETRY and row.attempt == attempt), None)

    return eventually(look, what=f"job {job_id} to wait after attempt {attempt}")


def test_a_queued_conversion_ends_as_artifacts_and_deliveries(works_with: MakeWorks, tmp_path: Path) -> None:
    works = works_with(FakeConverter("local"))
    job = add_job(works.journal, tmp_path / "a.wav")
    eventually(lambda: works.delivered, what="the delivery to be handed over")
    detail = works.journal.detail(job)
    assert detail is not None
    assert [row.state for row in detail.conversions] == [C.DONE]
    [artifact] = detail.artifacts
    assert artifact.path.read_text(encoding="utf-8").startswith("audio_to_midi of a.wav")
    assert works.delivered[0] == detail.deliveries[0].id


def test_the_same_again_comes_from_the_cache(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local")
    works = works_with(local)
    first = add_job(works.journal, tmp_path / "a.wav")
    row_in(works, first, C.DONE)
    second = add_job(works.journal, tmp_path / "copy of a.wav")
    assert row_in(works, second, C.DONE).cached
    assert len(local.submitted) == 1


@pytest.mark.parametrize(
    "change",
    [{"samples": "other samples"}, {"conversions": (planned(onset_threshold=0.4),)}],
    ids=["samples", "parameters"],
)
def test_anything_else_is_converted_anew(
    works_with: MakeWorks, tmp_path: Path, change: dict[str, Any]
) -> None:
    local = FakeConverter("local")
    works = works_with(local)
    row_in(works, add_job(works.journal, tmp_path / "a.wav"), C.DONE)
    row_in(works, add_job(works.journal, tmp_path / "a.wav", **change), C.DONE)
    assert len(local.submitted) == 2


def test_the_same_while_under_way_waits_and_is_not_paid_twice(works_with: MakeWorks, tmp_path: Path) -> None:
    paid = FakeConverter("musicgpt", repeatable=False, hold=True)
    works = works_with(paid)
    first = add_job(works.journal, tmp_path / "a.wav", conversions=(planned("musicgpt"),))
    row_in(works, first, C.RUNNING)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=(planned("musicgpt"),))
    eventually(
        lambda: works.journal.detail(second).conversions[0].retry_at,  # type: ignore[union-attr]  # it is there
        what="the twin to wait",
    )
    paid.release()
    row_in(works, first, C.DONE)
    assert row_in(works, second, C.DONE).cached
    assert len(paid.submitted) == 1


def test_an_unknown_fate_is_never_sent_again_and_needs_you(works_with: MakeWorks, tmp_path: Path) -> None:
    paid = FakeConverter("musicgpt", repeatable=False)
    paid.failures.append(OutcomeUnknown("the line broke.", remedy="Decide."))
    works = works_with(paid)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(planned("musicgpt"),))
    job_in(works, job, J.NEEDS_YOU)
    twin = add_job(works.journal, tmp_path / "b.wav", conversions=(planned("musicgpt"),))
    eventually(
        lambda: works.journal.detail(twin).conversions[0].retry_at,  # type: ignore[union-attr]  # it is there
        what="the twin to wait for a decision",
    )
    assert len(paid.submitted) == 1


@pytest.mark.parametrize("error", [NotSent("refused."), WorkerDied("ended.")], ids=lambda e: e.code)
def test_what_is_safe_is_tried_again_a_few_times(
    works_with: MakeWorks, tmp_path: Path, error: NotSent | WorkerDied
) -> None:
    local = FakeConverter("local")
    local.failures += [error, error]
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    for attempt in (1, 2):
        _waiting(works, job, attempt)
        works.clock.advance(60)
        works.runner.wake()
    row_in(works, job, C.DONE)
    assert len(local.submitted) == 3


def test_after_three_attempts_it_fails_with_the_reason(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local")
    local.outcomes += [WorkerDied("ended.")] * 3
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    for attempt in (1, 2):
        _waiting(works, job, attempt)
        works.clock.advance(60)
        works.runner.wake()
    detail = job_in(works, job, J.FAILED)
    assert detail.conversions[0].error["message"] == "ended."  # type: ignore[index]  # it has one
    works.journal.retry_job(job)
    row_in(works, job, C.DONE)


def test_a_busy_service_is_waited_for_without_end(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local")
    local.failures += [TryLater("busy.", wait_s=30.0)] * 5
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    for attempt in range(1, 6):
        assert _waiting(works, job, attempt).retry_at == works.clock.wall() + 30.0
        works.clock.advance(31)
        works.runner.wake()
    row_in(works, job, C.DONE)


@pytest.mark.parametrize("error", [Rejected("no."), WorkerOutOfMemory("too large.")], ids=lambda e: e.code)
def test_what_would_be_refused_again_fails_at_once(
    works_with: MakeWorks, tmp_path: Path, error: Rejected | WorkerOutOfMemory
) -> None:
    local = FakeConverter("local")
    local.outcomes.append(error)
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    assert job_in(works, job, J.FAILED).conversions[0].error == error.to_json()
    assert len(local.submitted) == 1


def test_a_converter_that_is_not_there_is_an_error(works_with: MakeWorks, tmp_path: Path) -> None:
    works = works_with(FakeConverter("local"))
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(planned("musicgpt"),))
    error = job_in(works, job, J.FAILED).conversions[0].error
    assert error is not None
    assert "musicgpt" in error["message"]
    assert "bridge doctor" in error["remedy"]


@pytest.mark.parametrize("state", [C.QUEUED, C.RUNNING, C.WAITING_RETRY, C.UNKNOWN])
def test_cancel_works_in_every_state(works_with: MakeWorks, tmp_path: Path, state: ConversionState) -> None:
    local = FakeConverter("local", repeatable=False, hold=True)
    local.parallel = 0 if state is C.QUEUED else 4
    if state is C.WAITING_RETRY:
        local.failures.append(TryLater("busy.", wait_s=60))
    if state is C.UNKNOWN:
        local.failures.append(OutcomeUnknown("who knows."))
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    row_in(works, job, state)
    works.journal.cancel_job(job)
    local.parallel = 4
    local.release()
    after = add_job(works.journal, tmp_path / "b.wav", samples="other")
    row_in(works, after, C.DONE)
    assert job_in(works, job, J.CANCELLED).conversions[0].state is C.CANCELLED


def test_after_a_restart_tickets_go_on_being_asked(works_with: MakeWorks, tmp_path: Path) -> None:
    paid = FakeConverter("musicgpt", repeatable=False, hold=True)
    works = works_with(paid)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(planned("musicgpt"),))
    row_in(works, job, C.RUNNING)
    works.stop()
    paid.release()
    again = works_with(paid)
    row_in(again, job, C.DONE)
    assert len(paid.submitted) == 1


def test_a_local_ticket_that_is_lost_is_begun_again(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local", hold=True)
    works = works_with(local)
    job = add_job(works.journal, tmp_path / "a.wav")
    row_in(works, job, C.RUNNING)
    works.stop()
    local.forget()
    local.release()
    again = works_with(local)
    row_in(again, job, C.DONE)
    assert len(local.submitted) == 2


@pytest.mark.parametrize(("repeatable", "expected"), [(True, C.DONE), (False, C.UNKNOWN)])
def test_a_crash_between_intent_and_ticket(
    works_with: MakeWorks, tmp_path: Path, repeatable: bool, expected: ConversionState
) -> None:
    converter = FakeConverter("local", repeatable=repeatable)
    works = works_with(converter, start=False)
    job = add_job(works.journal, tmp_path / "a.wav")
    row = works.journal.due_conversions(1e12, 1, states=[C.QUEUED])[0]
    works.journal.move_conversion(row.id, C.QUEUED, C.SUBMITTING, cache_key="k")
    works.runner.start()
    row_in(works, job, expected)
    assert len(converter.submitted) == (1 if repeatable else 0)


def test_a_converter_gets_no_more_than_it_takes_at_once(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local", hold=True)
    local.parallel = 2
    works = works_with(local)
    jobs = [add_job(works.journal, tmp_path / f"{n}.wav", samples=str(n)) for n in range(8)]
    eventually(lambda: len(works.journal.in_flight()) == 2, what="two in flight")
    works.runner._tick()
    assert len(local.submitted) == 2
    local.release()
    for job in jobs:
        row_in(works, job, C.DONE)
    assert len(local.submitted) == 8


def test_a_converter_that_is_full_keeps_no_other_waiting(works_with: MakeWorks, tmp_path: Path) -> None:
    paid, local = FakeConverter("musicgpt", hold=True), FakeConverter("local")
    paid.parallel = 1
    works = works_with(paid, local)
    for number in range(20):
        add_job(
            works.journal, tmp_path / f"{number}.wav", samples=str(number), conversions=(planned("musicgpt"),)
        )
    mine = add_job(works.journal, tmp_path / "mine.wav", priority=0)
    row_in(works, mine, C.DONE)
    assert len(paid.submitted) == 1


def test_a_stumbling_delivery_is_tried_again_and_stops_nothing(works_with: MakeWorks, tmp_path: Path) -> None:
    works = works_with(FakeConverter("local"), start=False)
    attempts: list[int] = []

    def deliver(row: Any) -> None:
        attempts.append(row.id)
        if len(attempts) == 1:
            raise ZeroDivisionError("unforeseen")
        works.journal.move_delivery(row.id, D.PENDING, D.DONE, final_path="x", size=1, mtime_ns=1)

    works.runner._deliver = deliver
    works.runner.start()
    job = add_job(works.journal, tmp_path / "a.wav")
    eventually(lambda: works.journal.next_retry_at(0.0), what="the delivery to be set aside")
    works.clock.advance(60)
    works.runner.wake()
    job_in(works, job, J.DONE)
    assert len(attempts) == 2


def test_a_job_that_is_cancelled_while_it_is_handed_over_is_given_up_there_too(
    works_with: MakeWorks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = FakeConverter("local", hold=True)
    works = works_with(local, start=False)
    job = add_job(works.journal, tmp_path / "a.wav")
    submit = local.submit

    def cancelled_meanwhile(request: ConversionRequest) -> Ticket:
        ticket = submit(request)
        assert works.journal.cancel_job(job) == [], "nobody knows the ticket yet"
        return ticket

    monkeypatch.setattr(local, "submit", cancelled_meanwhile)
    with pytest.raises(StaleJobError):
        works.steps.advance(works.journal.queued_conversions(1e12, "local", 1)[0])
    assert isinstance(local.poll(Ticket("local-1")).error, Cancelled)


def test_conversions_that_stumble_keep_no_other_from_its_place(
    works_with: MakeWorks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = FakeConverter("local")
    local.parallel = 2
    works = works_with(local, start=False)
    submit = local.submit

    def stumble(request: ConversionRequest) -> Ticket:
        if request.source.stem == "bad":
            raise ZeroDivisionError("unforeseen")
        return submit(request)

    monkeypatch.setattr(local, "submit", stumble)
    for number in range(local.parallel):
        add_job(works.journal, tmp_path / "bad.wav", samples=str(number), priority=20)
    good = add_job(works.journal, tmp_path / "good.wav", samples="good")
    works.runner.start()
    row_in(works, good, C.DONE)
    [bad, _] = works.journal.due_conversions(1e12, 2, states=[C.QUEUED])
    assert bad.retry_at is not None


def test_a_cache_folder_that_is_cleared_meanwhile_is_made_again(
    works_with: MakeWorks, tmp_path: Path
) -> None:
    works = works_with(FakeConverter("local"), start=False)
    shutil.rmtree(tmp_path / "cache")
    works.runner.start()
    job = add_job(works.journal, tmp_path / "a.wav")
    row_in(works, job, C.DONE)


def test_who_waits_for_a_place_does_not_keep_the_runner_awake(works_with: MakeWorks, tmp_path: Path) -> None:
    local = FakeConverter("local")
    local.parallel = 0
    works = works_with(local, start=False)
    add_job(works.journal, tmp_path / "a.wav")
    [row] = works.journal.queued_conversions(1e12, "local", 1)
    works.journal.postpone_conversion(row.id, None, works.clock.wall() + 5.0)
    assert works.runner._until_next(after=works.runner._tick()) == pytest.approx(5.0)
    works.clock.advance(6.0)
    assert works.runner._until_next(after=works.runner._tick()) == LONGEST_SLEEP_S
