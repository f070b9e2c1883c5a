"""What leaves the machine: asked for first, never paid twice, whatever breaks. On a fake that costs money."""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.cli import describe
from bridge.config import Answer
from bridge.converters.base import ConversionRequest, Ticket
from bridge.errors import (
    ChargedFailure,
    NotSent,
    OutcomeUnknown,
    PaidAgain,
    Rejected,
    StaleJobError,
    TicketLost,
    TryLater,
    WrongUse,
)
from bridge.jobs.budget import Caps
from bridge.jobs.clearance import SendingRules
from bridge.jobs.model import ConversionState, JobState
from bridge.jobs.records import JobDetail
from bridge.testing import FakeConverter
from support.journals import ANYTHING_GOES, MakeWorks, Works, add_job, job_in, planned, row_in
from support.polling import eventually

C, J = ConversionState, JobState
PAID = (planned("musicgpt"),)


def _bills(works: Works) -> list[tuple[str, float]]:
    return [(one.state, one.usd) for one in works.journal.spend()]


# Asked first


def test_the_first_upload_of_a_folder_asks_once(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(SendingRules())
    folder = tmp_path / "Bounces"
    job = add_job(works.journal, folder / "a.wav", conversions=PAID)
    other = add_job(works.journal, tmp_path / "elsewhere" / "b.wav", samples="other", conversions=PAID)
    error = job_in(works, job, J.NEEDS_YOU).conversions[0].error
    job_in(works, other, J.NEEDS_YOU)
    assert error is not None
    assert error["code"] == "needs-consent"
    assert "$0.01" in error["message"]
    assert f'bridge allow "{folder}"' in error["remedy"]
    assert (paid.submitted, _bills(works)) == ([], [])
    assert works.journal.allow_upload(folder) == 1
    job_in(works, job, J.RUNNING) if works.delivered == [] else None
    row_in(works, job, C.DONE)
    later = add_job(works.journal, folder / "below" / "c.wav", samples="third", conversions=PAID)
    row_in(works, later, C.DONE)
    assert row_in(works, other, C.ASKING).state is C.ASKING, "another folder was not asked for"


def test_a_yes_to_a_folder_in_a_watched_one_is_enough_for_it(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(SendingRules(folder_of=lambda _source: tmp_path))
    works.journal.allow_upload(tmp_path / "songs")
    inside = add_job(works.journal, tmp_path / "songs" / "a.wav", conversions=PAID)
    row_in(works, inside, C.DONE)
    beside = add_job(works.journal, tmp_path / "b.wav", samples="other", conversions=PAID)
    row_in(works, beside, C.ASKING)


@pytest.mark.parametrize("private_by", ["job", "settings"])
def test_private_audio_never_leaves_whatever_the_preset_says(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, private_by: str
) -> None:
    rules = replace(ANYTHING_GOES, is_private=lambda _source: private_by == "settings")
    works = make_works(rules)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID, private=private_by == "job")
    error = job_in(works, job, J.FAILED).conversions[0].error
    assert error is not None
    assert (error["code"], paid.submitted) == ("not-allowed", [])
    assert "does not leave this machine" in error["message"]


def test_a_private_file_does_not_leave_as_a_reference_either(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(replace(ANYTHING_GOES, is_private=lambda file: file.parent.name == "private"))
    reference = tmp_path / "private" / "loud.wav"
    master = replace(planned("musicgpt", reference_audio_file=str(reference)), conversion="audio_mastering")
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(master,))
    error = job_in(works, job, J.FAILED).conversions[0].error
    assert error is not None
    assert (error["code"], error["file"], paid.submitted) == ("not-allowed", str(reference), [])


def test_a_reference_is_asked_for_like_the_bounce(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(SendingRules(may_upload=lambda file: "never" if file.parent.name == "no" else "ask"))
    works.journal.allow_upload(tmp_path / "songs")
    rows = []
    for folder in ("no", "other"):
        reference = str(tmp_path / folder / "loud.wav")
        master = replace(planned("musicgpt", reference_audio_file=reference), conversion="audio_mastering")
        song = tmp_path / "songs" / f"{folder}.wav"
        rows.append(add_job(works.journal, song, samples=folder, conversions=(master,)))
    assert row_in(works, rows[0], C.FAILED).error["code"] == "not-allowed"  # type: ignore[index]  # it has one
    assert row_in(works, rows[1], C.ASKING).error["code"] == "needs-consent"  # type: ignore[index]  # it has one
    assert paid.submitted == []
    assert works.journal.allow_upload(tmp_path / "other") == 1
    row_in(works, rows[1], C.DONE)


def test_a_ticket_that_cannot_be_written_down_is_at_least_in_the_log(
    make_works: MakeWorks,
    paid: FakeConverter,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    works = make_works(start=False)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    move = works.journal.move_conversion

    def full_disk(row_id: int, before: ConversionState, after: ConversionState, **fields: Any) -> None:
        if after is C.RUNNING:
            raise sqlite3.OperationalError("database or disk is full")
        move(row_id, before, after, **fields)

    monkeypatch.setattr(works.journal, "move_conversion", full_disk)
    monkeypatch.setattr(logging.getLogger("bridge"), "propagate", True)
    with pytest.raises(sqlite3.OperationalError):
        works.steps.advance(works.journal.queued_conversions(1e12, "musicgpt", 1)[0])
    assert "musicgpt-1" in caplog.text
    assert row_in(works, job, C.UNKNOWN)


def test_a_folder_that_is_never_sent_is_not_asked_for(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(SendingRules(may_upload=lambda _source: "never"))
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    assert job_in(works, job, J.FAILED).conversions[0].error["code"] == "not-allowed"  # type: ignore[index]  # it has one
    assert paid.submitted == []


def test_a_cap_is_never_passed_also_by_many_at_once(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.price_usd = 0.3
    works = make_works(replace(ANYTHING_GOES, caps=Caps(day_usd=1.0)))
    jobs = [add_job(works.journal, tmp_path / f"{n}.wav", samples=str(n), conversions=PAID) for n in range(8)]
    eventually(
        lambda: all(works.journal.detail(job).conversions[0].state in (C.DONE, C.FAILED) for job in jobs),  # type: ignore[union-attr]  # it is there
        what="all to be over",
    )
    assert len(paid.submitted) == 3
    assert works.journal.spent_usd() == pytest.approx(0.9)
    works.clock.advance(24 * 3600)
    failed = next(job for job in jobs if works.journal.detail(job).conversions[0].state is C.FAILED)  # type: ignore[union-attr]  # it is there
    works.steps.sending.retry(failed, pay=False)
    row_in(works, failed, C.DONE)


def test_what_is_missing_is_told_before_anything_is_sent(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works()
    changer = replace(planned("musicgpt", voice_id=None), conversion="VoiceChanger")
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(changer,))
    error = job_in(works, job, J.FAILED).conversions[0].error
    assert error is not None
    assert "voice_id must be given" in error["message"]
    assert paid.submitted == []


# What it costs


def test_a_bill_is_written_with_the_intent_and_settled_by_what_the_converter_says(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.cost_usd = 0.02
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row = row_in(works, job, C.DONE)
    assert (row.quote_usd, row.cost_usd) == (0.01, 0.02)
    [bill] = works.journal.spend()
    assert (bill.state, bill.basis, bill.usd, bill.ticket) == ("charged", "charged", 0.02, row.ticket)
    again = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    assert row_in(works, again, C.DONE).cached
    assert len(works.journal.spend()) == 1, "what comes from the cache is free"


@pytest.mark.parametrize(
    "error", [NotSent("refused."), TryLater("busy.", wait_s=9.0)], ids=lambda one: one.code
)
def test_what_never_got_there_is_free(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, error: NotSent
) -> None:
    paid.failures.append(error)
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.WAITING_RETRY)
    assert _bills(works) == [("free", 0.01)]
    works.clock.advance(60)
    works.runner.wake()
    row_in(works, job, C.DONE)
    assert _bills(works) == [("free", 0.01), ("charged", 0.01)]
    assert len({one.nonce for one in paid.submitted}) == 2, "each attempt has a nonce of its own"


def test_a_line_that_is_down_is_waited_for_without_end(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.failures += [NotSent("its name cannot be found.")] * 8
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    for attempt in range(1, 9):
        eventually(
            lambda attempt=attempt: row_in(works, job, C.WAITING_RETRY).attempt == attempt,  # type: ignore[misc]  # mypy and defaults of lambdas
            what=f"attempt {attempt}",
        )
        works.clock.advance(600)
        works.runner.wake()
    row_in(works, job, C.DONE)
    assert works.journal.spent_usd() == pytest.approx(0.01)


def test_a_refusal_is_free_and_final(make_works: MakeWorks, paid: FakeConverter, tmp_path: Path) -> None:
    paid.failures.append(Rejected("no."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    job_in(works, job, J.FAILED)
    assert (_bills(works), len(paid.submitted)) == ([("free", 0.01)], 1)


# Paid in vain


def test_a_charged_failure_is_only_tried_again_after_a_yes_to_the_price(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    job_in(works, job, J.FAILED)
    assert _bills(works) == [("unknown", 0.01)]
    with pytest.raises(PaidAgain, match=r"\$0\.01 once more"):
        works.steps.sending.retry(job, pay=False)
    assert len(paid.submitted) == 1
    works.steps.sending.retry(job, pay=True)
    row_in(works, job, C.DONE)
    assert _bills(works) == [("unknown", 0.01), ("charged", 0.01)]


def test_the_same_bounce_again_after_a_charged_failure_asks_too(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    first = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    job_in(works, first, J.FAILED)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    error = job_in(works, second, J.NEEDS_YOU).conversions[0].error
    assert error is not None
    assert error["code"] == "paid-again"
    assert f"job {first}" in error["message"]
    with pytest.raises(PaidAgain):
        works.steps.sending.retry(second, pay=False)
    assert len(paid.submitted) == 1
    works.steps.sending.retry(second, pay=True)
    row_in(works, second, C.DONE)
    assert len(paid.submitted) == 2


def test_an_accepted_ticket_that_nobody_knows_any_more_is_not_sent_again(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lost(_ticket: Ticket) -> None:
        raise TicketLost("there is no such task.")

    monkeypatch.setattr(paid, "poll", lost)
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    assert job_in(works, job, J.FAILED).conversions[0].error["code"] == "ticket-lost"  # type: ignore[index]  # it has one
    assert len(paid.submitted) == 1
    with pytest.raises(PaidAgain):
        works.steps.sending.retry(job, pay=False)


# What nobody knows


@pytest.fixture
def unknown(make_works: MakeWorks, paid: FakeConverter, tmp_path: Path) -> tuple[Works, int]:
    paid.failures.append(OutcomeUnknown("the line broke."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    error = job_in(works, job, J.NEEDS_YOU).conversions[0].error
    assert error is not None
    for way in ("--ticket", "--resubmit", "--forget"):
        assert f"bridge resolve {job} {way}" in error["remedy"]
    assert _bills(works) == [("unknown", 0.01)]
    return works, job


def test_an_unknown_fate_is_resolved_by_its_ticket(
    unknown: tuple[Works, int], paid: FakeConverter, tmp_path: Path
) -> None:
    works, job = unknown
    ticket = paid.submit(replace(paid.submitted[0], nonce=""))  # as if the request had arrived after all
    works.steps.sending.resolve(job, "ticket", task=ticket)
    assert row_in(works, job, C.DONE).ticket == ticket
    assert len(paid.submitted) == 2, "the test's own and the lost one: none more"
    assert _bills(works) == [("charged", 0.01)]


def test_a_wrong_ticket_can_be_answered_again(unknown: tuple[Works, int], paid: FakeConverter) -> None:
    works, job = unknown
    right = paid.submit(replace(paid.submitted[0], nonce=""))
    works.steps.sending.resolve(job, "ticket", task="a slip of the pen")
    assert row_in(works, job, C.FAILED).error["code"] == "ticket-lost"  # type: ignore[index]  # it has one
    works.steps.sending.resolve(job, "ticket", task=right)
    assert row_in(works, job, C.DONE).ticket == right
    assert len(paid.submitted) == 2, "the test's own and the lost one: none more"


def test_a_twin_of_what_nobody_knows_says_so_and_goes_on_after_the_answer(
    unknown: tuple[Works, int], paid: FakeConverter, tmp_path: Path
) -> None:
    works, job = unknown
    twin = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)

    def told() -> JobDetail | None:
        found = works.journal.detail(twin)
        return found if found and found.conversions[0].error else None

    detail = eventually(told, what="the twin to say why it waits")
    assert f"job {job}" in detail.conversions[0].error["message"]  # type: ignore[index]  # it has one
    assert describe.is_stuck(detail.to_json()), "nobody sits and waits for it"
    works.steps.sending.resolve(job, "resubmit")
    assert row_in(works, job, C.DONE)
    assert row_in(works, twin, C.DONE).cached


def test_an_unknown_fate_is_sent_again_when_the_musician_says_so(
    unknown: tuple[Works, int], paid: FakeConverter
) -> None:
    works, job = unknown
    works.steps.sending.resolve(job, "resubmit")
    row_in(works, job, C.DONE)
    assert len(paid.submitted) == 2
    assert _bills(works) == [("unknown", 0.01), ("charged", 0.01)], "both count"


def test_an_unknown_fate_that_is_forgotten_still_counts(
    unknown: tuple[Works, int], paid: FakeConverter
) -> None:
    works, job = unknown
    works.steps.sending.resolve(job, "forget")
    job_in(works, job, J.FAILED)
    assert (len(paid.submitted), works.journal.spent_usd()) == (1, 0.01)
    with pytest.raises(WrongUse, match="nothing that nobody knows"):
        works.steps.sending.resolve(job, "forget")
    with pytest.raises(PaidAgain):
        works.steps.sending.retry(job, pay=False)


def test_a_callback_with_our_nonce_settles_what_nobody_knew(
    unknown: tuple[Works, int], paid: FakeConverter
) -> None:
    works, job = unknown
    nonce = paid.submitted[0].nonce
    ticket = paid.submit(paid.submitted[0])
    works.steps.sending.called_back("somebody's own", ticket)
    works.steps.sending.called_back(nonce, "no task of theirs")
    works.steps.sending.called_back(nonce, None)
    assert row_in(works, job, C.UNKNOWN).ticket is None
    works.steps.sending.called_back(nonce, ticket)
    assert row_in(works, job, C.DONE).ticket == ticket
    works.steps.sending.called_back(nonce, ticket)  # once more: nothing happens


@pytest.mark.parametrize(
    ("resubmit", "state", "sent"), [("always", C.DONE, 2), ("never", C.FAILED, 1), ("ask", C.UNKNOWN, 1)]
)
def test_the_settings_may_answer_for_the_musician(
    make_works: MakeWorks,
    paid: FakeConverter,
    tmp_path: Path,
    resubmit: Answer,
    state: ConversionState,
    sent: int,
) -> None:
    paid.failures.append(OutcomeUnknown("the line broke."))
    works = make_works(replace(ANYTHING_GOES, resubmit=resubmit))
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, state)
    assert len(paid.submitted) == sent
    assert works.journal.spend()[0].state == "unknown"


# Cancelled


def test_a_cancelled_conversion_keeps_its_ticket_and_is_taken_up_again_for_nothing(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid._hold = True
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    ticket = row_in(works, job, C.RUNNING).ticket
    [given_up] = works.journal.cancel_job(job)
    assert (given_up.ticket, given_up.quote_usd) == (ticket, 0.01)
    assert works.journal.spent_usd() == 0.01, "it goes on there, so it counts"
    paid.release()
    works.steps.sending.retry(job, pay=False)
    assert row_in(works, job, C.DONE).ticket == ticket
    assert len(paid.submitted) == 1


def test_the_same_again_after_a_cancel_points_to_the_ticket_and_is_not_paid_twice(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid._hold = True
    works = make_works()
    first = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, first, C.RUNNING)
    works.journal.cancel_job(first)
    second = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    error = job_in(works, second, J.NEEDS_YOU).conversions[0].error
    assert error is not None
    assert f"bridge retry {first}`" in error["remedy"]
    assert len(paid.submitted) == 1
    paid.release()
    works.steps.sending.retry(first, pay=False)
    row_in(works, first, C.DONE)
    assert len(paid.submitted) == 1


def test_a_job_that_is_cancelled_while_it_is_sent_keeps_the_ticket_that_comes(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = make_works(start=False)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    submit = paid.submit

    def cancelled_meanwhile(request: ConversionRequest) -> Ticket:
        ticket = submit(request)
        works.journal.cancel_job(job)
        assert _bills(works) == [("unknown", 0.01)]
        return ticket

    monkeypatch.setattr(paid, "submit", cancelled_meanwhile)
    with pytest.raises(StaleJobError):
        works.steps.advance(works.journal.queued_conversions(1e12, "musicgpt", 1)[0])
    row = row_in(works, job, C.CANCELLED)
    assert row.ticket == "musicgpt-1"
    assert _bills(works) == [("open", 0.01)]


def test_an_upload_is_broken_off_when_its_job_is_cancelled_and_costs_nothing(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = make_works(start=False)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)

    def upload(request: ConversionRequest) -> Ticket:
        request.on_progress(0.1, "sending")
        works.journal.cancel_job(job)
        works.clock.advance(1)
        request.on_progress(0.2, "sending")
        raise AssertionError("it goes on sending")

    monkeypatch.setattr(paid, "submit", upload)
    with pytest.raises(StaleJobError):
        works.steps.advance(works.journal.queued_conversions(1e12, "musicgpt", 1)[0])
    assert _bills(works) == [("free", 0.01)]


def test_an_upload_is_broken_off_when_the_bridge_stops_and_goes_on_at_the_next_start(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = make_works(start=False)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)

    def upload(request: ConversionRequest) -> Ticket:
        works.steps.sending.stop()
        works.clock.advance(1)
        request.on_progress(0.2, "sending")
        raise AssertionError("it goes on sending")

    with monkeypatch.context() as patch:
        patch.setattr(paid, "submit", upload)
        works.steps.advance(works.journal.queued_conversions(1e12, "musicgpt", 1)[0])
    assert row_in(works, job, C.WAITING_RETRY)
    works.journal.close()
    again = make_works()
    again.clock.advance(60)
    again.runner.wake()
    row_in(again, job, C.DONE)


# Places


def test_each_lane_has_places_of_its_own(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridge.converters.base import Lane

    lanes = (Lane(1, frozenset({"audio_to_midi"})), Lane(2, frozenset({"denoise"})))
    monkeypatch.setattr(paid, "lanes", lambda: lanes)
    paid._hold = True
    works = make_works()
    denoise = (replace(planned("musicgpt"), conversion="denoise"),)
    for number in range(4):
        add_job(works.journal, tmp_path / f"m{number}.wav", samples=f"m{number}", conversions=PAID)
        add_job(works.journal, tmp_path / f"d{number}.wav", samples=f"d{number}", conversions=denoise)
    eventually(lambda: len(works.journal.in_flight()) == 3, what="all places to be taken")
    works.runner._tick()
    assert sorted(one.conversion for one in paid.submitted) == ["audio_to_midi", "denoise", "denoise"]
