"""Ways by which something might be paid twice, lost or sent unasked: each was open once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bridge.converters.base import Capability, ConversionRequest, Ticket
from bridge.errors import ChargedFailure, NotAllowed, NotSent, OutcomeUnknown, Rejected, TryLater
from bridge.jobs.budget import Bill, Caps, check_caps
from bridge.jobs.clearance import SendingRules
from bridge.jobs.model import ConversionState, JobState
from bridge.jobs.records import ConversionRecord
from bridge.jobs.store import Journal
from bridge.presets import Preset
from bridge.testing import FakeConverter, ManualClock
from support.journals import ANYTHING_GOES, MakeWorks, Works, add_job, job_in, planned, row_in
from support.polling import eventually

C, J = ConversionState, JobState
PAID = (planned("musicgpt"),)
SONG = (replace(planned("musicgpt", step="song", prompt="a song"), conversion="MusicAI"),)


def _bills(works: Works) -> list[str]:
    return [one.state for one in works.journal.spend()]


def _later(works: Works, seconds: float = 600.0) -> None:
    works.clock.advance(seconds)
    works.runner.wake()


# A yes to the price


def test_a_yes_holds_until_it_was_sent(make_works: MakeWorks, paid: FakeConverter, tmp_path: Path) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.FAILED)
    paid.failures.append(NotSent("the line is down."))
    works.steps.sending.retry(job, pay=True)
    row_in(works, job, C.WAITING_RETRY)
    _later(works)
    row_in(works, job, C.DONE)
    assert _bills(works) == ["unknown", "free", "charged"]


def test_a_question_that_comes_up_meanwhile_is_not_answered_by_a_retry(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    row_in(works, add_job(works.journal, tmp_path / "a.wav", conversions=PAID), C.FAILED)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    row_in(works, second, C.ASKING)
    # As if it had been asked right after the look.
    monkeypatch.setattr(works.journal, "risked_by_retry", lambda _job: None)
    works.steps.sending.retry(second, pay=False)
    assert row_in(works, second, C.ASKING)
    assert len(paid.submitted) == 1


def test_while_one_job_asks_another_with_the_same_asks_too(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    first = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, first, C.FAILED)
    paid.failures.append(Rejected("no."))
    works.steps.sending.retry(first, pay=True)
    eventually(lambda: len(_bills(works)) == 2, what="the second attempt")
    row_in(works, first, C.FAILED)
    works.steps.sending.retry(first, pay=False)  # the last attempt was free
    row_in(works, first, C.ASKING)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    row_in(works, second, C.ASKING)
    assert len(paid.submitted) == 2


def test_whoever_asks_about_the_price_goes_on_when_the_same_is_there(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    first = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, first, C.FAILED)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    row_in(works, second, C.ASKING)
    works.steps.sending.retry(first, pay=True)
    row_in(works, first, C.DONE)
    assert row_in(works, second, C.DONE).cached
    assert len(paid.submitted) == 2


def test_another_song_from_the_same_words_is_sent_without_a_question_once_one_came(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    row_in(works, add_job(works.journal, tmp_path / "a.txt", conversions=SONG), C.FAILED)
    second = add_job(works.journal, tmp_path / "a.txt", conversions=SONG)
    row_in(works, second, C.ASKING)
    works.steps.sending.retry(second, pay=True)
    row_in(works, second, C.DONE)
    row_in(works, add_job(works.journal, tmp_path / "a.txt", conversions=SONG), C.DONE)
    assert len(paid.submitted) == 3


def test_what_the_settings_send_again_by_themselves_has_an_end(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.failures += [OutcomeUnknown("the line broke.")] * 50
    works = make_works(replace(ANYTHING_GOES, resubmit="always"))
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    assert "bridge resolve" in row_in(works, job, C.UNKNOWN).error["remedy"]  # type: ignore[index]  # it has one
    assert len(paid.submitted) == 3


# Tickets


def test_a_retry_while_the_same_is_under_way_elsewhere_waits_for_that(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid._hold = True
    works = make_works()
    first = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, first, C.RUNNING)
    works.journal.cancel_job(first)
    second = add_job(works.journal, tmp_path / "b.wav", conversions=PAID)
    row_in(works, second, C.ASKING)
    works.steps.sending.retry(second, pay=True)
    row_in(works, second, C.RUNNING)
    works.steps.sending.retry(first, pay=False)
    detail = job_in(works, first, J.RUNNING, J.NEEDS_YOU)  # the second once the runner has looked at it
    assert detail.conversions[0].ticket == "musicgpt-1"
    paid.release()
    row_in(works, second, C.DONE)
    _later(works)
    assert row_in(works, first, C.DONE).cached
    assert len(paid.submitted) == 2


def test_a_ticket_whose_work_has_failed_is_not_taken_up_again(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.outcomes.append(ChargedFailure("it failed there."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.FAILED)
    works.runner.stop()
    works.steps.sending.retry(job, pay=True)
    assert works.journal.cancel_job(job) == [], "there is nothing that goes on elsewhere"
    works.steps.sending.retry(job, pay=True)
    assert row_in(works, job, C.QUEUED).ticket is None


def test_a_job_that_is_wanted_again_while_it_is_still_sent_is_not_sent_again(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = make_works()
    submit = paid.submit

    def changed_mind(request: ConversionRequest) -> Ticket:
        ticket = submit(request)
        works.journal.cancel_job(1)
        works.steps.sending.retry(1, pay=True)
        return ticket

    monkeypatch.setattr(paid, "submit", changed_mind)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    assert row_in(works, job, C.DONE).ticket == "musicgpt-1"
    assert (len(paid.submitted), _bills(works)) == (1, ["charged"])


def test_a_job_cancelled_in_mid_sending_whose_answer_was_lost_takes_a_ticket(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    works = make_works()
    submit = paid.submit

    def lost(request: ConversionRequest) -> Ticket:
        submit(request)
        works.journal.cancel_job(1)
        raise OutcomeUnknown("the line broke.")

    monkeypatch.setattr(paid, "submit", lost)
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.CANCELLED)
    eventually(lambda: not works.runner._busy, what="the sending to be over")
    works.steps.sending.resolve(job, "ticket", task="musicgpt-1")
    row_in(works, job, C.DONE)
    assert (len(paid.submitted), _bills(works)) == (1, ["charged"])


def test_of_several_unknown_ones_each_takes_its_own_ticket(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    paid.failures += [OutcomeUnknown("the line broke.")] * 2
    works = make_works()
    both = (planned("musicgpt", step="low"), planned("musicgpt", step="high", lowest_note=40))
    job = add_job(works.journal, tmp_path / "a.wav", conversions=both)
    eventually(lambda: len(paid.submitted) == 2, what="both to be sent")
    eventually(lambda: all(one.state is C.UNKNOWN for one in _all(works, job)), what="both to be unknown")
    with pytest.raises(Exception, match="2 are unknown here") as caught:
        works.steps.sending.resolve(job, "ticket", task="x")
    assert "--of" in str(caught.value)
    for step in ("low", "high"):
        row = next(one for one in _all(works, job) if one.step == step)
        sent = next(one for one in paid.submitted if one.parameters == row.parameters)
        ticket = paid.submit(sent)
        works.steps.sending.resolve(job, "ticket", task=ticket, of=step)
        eventually(
            lambda row=row: works.journal.conversion(row.id).state is C.DONE,  # type: ignore[misc]  # mypy and defaults of lambdas
            what=f"{step} to be done",
        )
        assert works.journal.conversion(row.id).ticket == ticket


def _all(works: Works, job: int) -> tuple[ConversionRecord, ...]:
    detail = works.journal.detail(job)
    assert detail is not None
    return detail.conversions


def test_a_callback_settles_it_also_while_the_line_is_bad(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paid.failures.append(OutcomeUnknown("the line broke."))
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.UNKNOWN)
    ticket = paid.submit(paid.submitted[0])

    def busy(_ticket: Ticket) -> None:
        raise TryLater("busy.", wait_s=9.0)

    with monkeypatch.context() as patch:
        patch.setattr(paid, "poll", busy)
        works.steps.sending.called_back(paid.submitted[0].nonce, ticket)
    _later(works)
    assert row_in(works, job, C.DONE).ticket == ticket


# Put back


def test_a_song_is_put_back_without_being_made_again(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works()
    jobs = [add_job(works.journal, tmp_path / "a.txt", conversions=SONG) for _ in range(2)]
    made = [row_in(works, job, C.DONE).ticket for job in jobs]
    assert len(set(made)) == 2
    for job in jobs:
        again = add_job(works.journal, tmp_path / "a.txt", conversions=SONG, again_of=job)
        assert row_in(works, again, C.DONE).cached
        [first], [second] = (works.journal.detail(one).artifacts for one in (job, again))  # type: ignore[union-attr]  # they are there
        assert first.path == second.path, "its own song, not that of the other job"
    assert len(paid.submitted) == 2


@pytest.mark.parametrize("conversions", [SONG, PAID], ids=["song", "notes"])
def test_what_is_not_kept_any_more_is_not_paid_for_to_put_it_back(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, conversions: tuple[object, ...]
) -> None:
    works = make_works()
    job = add_job(works.journal, tmp_path / "a.txt", conversions=conversions)  # type: ignore[arg-type]  # ids hide it
    row_in(works, job, C.DONE)
    for file in (tmp_path / "cache").rglob("result.txt"):
        file.unlink()
    again = add_job(works.journal, tmp_path / "a.txt", conversions=conversions, again_of=job)  # type: ignore[arg-type]  # as above
    error = row_in(works, again, C.FAILED).error
    assert error is not None
    assert (error["code"], len(paid.submitted)) == ("not-allowed", 1)
    assert "bridge convert" in error["remedy"]


# Settings, caps, locks, journals of before


def test_what_was_open_in_a_journal_of_before_goes_on(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    old = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    states = (C.QUEUED, C.SUBMITTING, C.RUNNING, C.WAITING_RETRY)
    jobs = [add_job(old, tmp_path / f"{state}.wav", samples=state) for state in states]
    for state, job in zip(states, jobs, strict=True):
        fields = "state = ?, cache_key = 'k' || id, resume = 'queued', ticket = 'of an earlier life'"
        old._db.execute(f"UPDATE conversions SET {fields} WHERE job_id = ?", (state, job))
    for statement in (
        *("DROP TABLE spend", "DROP TABLE consents", "DROP INDEX conversions_by_nonce"),
        "DROP INDEX conversions_open",
        *(f"ALTER TABLE conversions DROP COLUMN {one}" for one in ("nonce", "quote_usd", "cost_usd")),
        "ALTER TABLE conversions DROP COLUMN pay_again",
        "ALTER TABLE artifacts DROP COLUMN about_json",
        "ALTER TABLE jobs DROP COLUMN again_of",
        "CREATE INDEX conversions_open ON conversions (state, rank)",
        "PRAGMA user_version = 2",
    ):
        old._db.execute(statement)
    old.close()
    works = make_works()
    for job in jobs:
        row_in(works, job, C.DONE)
    assert (paid.submitted, works.journal.spend()) == ([], [])


def test_questions_that_the_settings_answer_by_now_are_over_at_the_next_start(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path
) -> None:
    works = make_works(SendingRules())
    job = add_job(works.journal, tmp_path / "a.wav", conversions=PAID)
    row_in(works, job, C.ASKING)
    works.stop()
    again = make_works(ANYTHING_GOES)
    row_in(again, job, C.DONE)
    assert len(paid.submitted) == 1


def test_what_has_no_price_is_not_sent_either_when_a_cap_is_used_up() -> None:
    caps = Caps(day_usd=1.0)
    check_caps(Bill(None, caps), spent_today_usd=0.99, spent_in_project_usd=0.0)
    with pytest.raises(NotAllowed, match="nobody knows what this would cost"):
        check_caps(Bill(None, caps), spent_today_usd=1.0, spent_in_project_usd=0.0)


def test_nobody_is_called_while_the_journal_is_held(
    make_works: MakeWorks, paid: FakeConverter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    preset = Preset.model_validate(
        {
            "name": "test",
            "title": "Test",
            "steps": [
                {"name": "notes", "conversion": "audio_to_midi", "converter": "musicgpt"},
                {"name": "more", "conversion": "file_convert", "from": "notes"},
            ],
        }
    )
    works = make_works()
    held: list[bool] = []

    def ask_the_keyring() -> dict[str, Capability]:
        held.append(works.journal._db.in_transaction)
        return {"file_convert": Capability(available=True)}

    monkeypatch.setattr(paid, "capabilities", ask_the_keyring)
    data = preset.model_dump(by_alias=True)
    add_job(works.journal, tmp_path / "a.wav", conversions=PAID, preset=data)
    eventually(lambda: held, what="a converter to be chosen")
    assert not any(held)
