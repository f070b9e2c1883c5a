"""The inbox between watchdog's threads and the trigger's own."""

from __future__ import annotations

import time

import pytest

from bridge.triggers.watch import Hint, Inbox

TOUCHED, CLOSED = {"touched": True}, {"closed": True}


@pytest.mark.parametrize(
    ("events", "hint"),
    [
        ([TOUCHED], Hint(touched=True)),
        ([CLOSED], Hint(closed=True)),
        ([TOUCHED, TOUCHED, CLOSED], Hint(touched=True, closed=True)),
        ([TOUCHED, CLOSED, CLOSED], Hint(touched=True, closed=True)),
        # Closed, then written to again: it is open now.
        ([TOUCHED, CLOSED, TOUCHED], Hint(touched=True)),
        ([CLOSED, {}], Hint(closed=True)),
    ],
)
def test_events_of_one_file_become_one_hint(events: list[dict[str, bool]], hint: Hint) -> None:
    inbox = Inbox()
    for event in events:
        inbox.file("take.wav", **event)
    assert inbox.take().files == {"take.wav": hint}
    assert inbox.take().files == {}


def test_what_can_wait_does_not_wake() -> None:
    inbox = Inbox()
    inbox.file("take.wav", touched=True, wake=False)
    began_s = time.monotonic()
    inbox.wait(0.05)
    assert time.monotonic() - began_s >= 0.04
    inbox.file("take.wav", closed=True)
    inbox.wait(60.0)
    assert time.monotonic() - began_s < 30.0
    assert inbox.take().files == {"take.wav": Hint(touched=True, closed=True)}
