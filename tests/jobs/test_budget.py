from __future__ import annotations

from datetime import datetime

import pytest

from bridge.errors import ChargedFailure, NotAllowed, NotSent, OutcomeUnknown
from bridge.jobs.budget import Bill, Caps, bill_state, check_caps, day_began, usd_words
from bridge.jobs.model import CONVERSION_TRANSITIONS, ConversionState

C = ConversionState


@pytest.mark.parametrize(
    ("caps", "words"),
    [
        (Caps(conversion_usd=0.04), r"cap for one conversion is \$0\.04; this would cost \$0\.05"),
        (
            Caps(day_usd=1.0),
            r"cap for a day is \$1\.00; \$0\.96 of it are spent, and this would cost \$0\.05",
        ),
        (Caps(project_usd=2.0), r"cap for this project is \$2\.00; \$1\.97 of it are spent"),
    ],
)
def test_nothing_goes_beyond_a_cap(caps: Caps, words: str) -> None:
    with pytest.raises(NotAllowed, match=words) as caught:
        check_caps(Bill(0.05, caps), spent_today_usd=0.96, spent_in_project_usd=1.97)
    assert "config.toml" in caught.value.remedy


def test_what_just_fits_is_allowed() -> None:
    caps = Caps(day_usd=1.0, project_usd=2.0, conversion_usd=0.05)
    check_caps(Bill(0.05, caps), spent_today_usd=0.95, spent_in_project_usd=1.95)


def test_what_has_no_price_is_sent_only_where_that_is_allowed() -> None:
    check_caps(Bill(None, Caps()), spent_today_usd=9.0, spent_in_project_usd=9.0)
    with pytest.raises(NotAllowed, match="does not say what this costs"):
        check_caps(Bill(None, Caps(unpriced=False)), spent_today_usd=0.0, spent_in_project_usd=0.0)


@pytest.mark.parametrize(
    ("usd", "words"),
    [(0.0241, "$0.0241"), (0.5, "$0.50"), (12.0, "$12.00"), (0.0, "$0.00"), (0.00496, "$0.005")],
)
def test_a_price_has_as_many_digits_as_it_needs(usd: float, words: str) -> None:
    assert usd_words(usd) == words


def test_a_day_begins_at_midnight_where_the_musician_is() -> None:
    noon = datetime(2026, 11, 29, 12, 34, 56).astimezone()
    assert datetime.fromtimestamp(day_began(noon.timestamp())).astimezone() == noon.replace(
        hour=0, minute=0, second=0
    )


def test_only_what_never_got_there_is_free() -> None:
    free = {
        (before, after)
        for before, afters in CONVERSION_TRANSITIONS.items()
        for after in afters
        if bill_state(before, after, None) == "free"
    }
    assert free == {(C.SUBMITTING, C.WAITING_RETRY), (C.SUBMITTING, C.FAILED)}


@pytest.mark.parametrize(
    ("before", "after", "error", "state"),
    [
        (C.SUBMITTING, C.WAITING_RETRY, NotSent("refused."), "free"),
        (C.SUBMITTING, C.FAILED, OutcomeUnknown("the line broke."), "unknown"),
        (C.SUBMITTING, C.UNKNOWN, OutcomeUnknown("the line broke."), "unknown"),
        (C.SUBMITTING, C.QUEUED, None, "unknown"),
        (C.SUBMITTING, C.RUNNING, None, "open"),
        (C.UNKNOWN, C.RUNNING, None, "open"),
        (C.UNKNOWN, C.QUEUED, None, None),
        (C.RUNNING, C.FAILED, ChargedFailure("it failed."), "unknown"),
        (C.RUNNING, C.WAITING_RETRY, NotSent("no line."), None),
        (C.FETCHING, C.DONE, None, "charged"),
    ],
)
def test_what_becomes_of_a_bill(
    before: ConversionState, after: ConversionState, error: NotSent | None, state: str | None
) -> None:
    assert bill_state(before, after, error) == state
