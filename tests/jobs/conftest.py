"""What tests of jobs share: runners on fake converters, which end with their test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.jobs.clearance import SendingRules
from bridge.testing import FakeConverter, ManualClock
from support.journals import ANYTHING_GOES, MakeWorks, Works


@pytest.fixture
def works_with(tmp_path: Path) -> Iterator[MakeWorks]:
    """Makes a journal with a runner on the converters that are given."""
    made: list[Works] = []

    def make(*converters: FakeConverter, rules: SendingRules = ANYTHING_GOES, start: bool = True) -> Works:
        works = Works(tmp_path, ManualClock(), {one.name: one for one in converters}, rules=rules)
        made.append(works)
        if start:
            works.runner.start()
        return works

    yield make
    for works in made:
        if works.runner._thread.is_alive():
            works.stop()
        else:
            works.journal.close()


@pytest.fixture
def paid() -> FakeConverter:
    """A converter that costs money, and to which nothing may be sent twice."""
    return FakeConverter("musicgpt", repeatable=False, remote=True)


@pytest.fixture
def make_works(works_with: MakeWorks, paid: FakeConverter) -> MakeWorks:
    """Makes a journal with a runner on `paid` and a local converter, by the rules that are given."""

    def make(rules: SendingRules = ANYTHING_GOES, *, start: bool = True) -> Works:
        return works_with(paid, FakeConverter("local"), rules=rules, start=start)

    return make
