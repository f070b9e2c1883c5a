from __future__ import annotations

import logging
import threading

import pytest

from bridge import supervisor
from bridge.supervisor import BACKOFF_S, GOOD_AFTER_S, Supervisor
from bridge.testing import ManualClock
from support.polling import eventually


class Child:
    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.down = False
        self.broken = False
        self.restarts_at: list[float] = []

    def crashed(self) -> bool:
        return self.down

    def restart(self) -> None:
        self.restarts_at.append(self.clock.monotonic())
        if self.broken:
            raise OSError("no such program")
        self.down = False


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(monotonic=5000.0)


@pytest.fixture
def child(clock: ManualClock) -> Child:
    return Child(clock)


@pytest.fixture
def watcher(clock: ManualClock, child: Child) -> Supervisor:
    return Supervisor({"engine": child}, clock)


def _look_for(watcher: Supervisor, clock: ManualClock, seconds: float, step_s: float = 0.5) -> None:
    for _ in range(round(seconds / step_s)):
        watcher.look()
        clock.advance(step_s)


def test_a_child_that_lives_is_left_alone(watcher: Supervisor, clock: ManualClock, child: Child) -> None:
    _look_for(watcher, clock, 500, step_s=10)
    assert child.restarts_at == []
    assert watcher.restarts() == {"engine": 0}


def test_the_first_crash_is_mended_at_once(watcher: Supervisor, child: Child) -> None:
    child.down = True
    watcher.look()
    assert child.restarts_at == [5000.0]
    assert watcher.restarts() == {"engine": 1}


def test_one_that_falls_again_and_again_waits_longer_each_time(
    watcher: Supervisor, clock: ManualClock, child: Child
) -> None:
    waits = []
    for _ in range(7):
        child.down = True
        fell = clock.monotonic()
        while child.down:
            watcher.look()
            clock.advance(0.5)
        waits.append(child.restarts_at[-1] - fell)
        watcher.look()
    assert waits == [*BACKOFF_S, BACKOFF_S[-1], BACKOFF_S[-1]]
    assert watcher.restarts() == {"engine": 7}


def test_one_that_cannot_be_started_is_tried_again_at_the_same_pace(
    watcher: Supervisor, clock: ManualClock, child: Child, caplog: pytest.LogCaptureFixture
) -> None:
    child.down = child.broken = True
    with caplog.at_level(logging.WARNING, "bridge"):
        _look_for(watcher, clock, 30)
    assert len(child.restarts_at) == 3
    first, second, third = child.restarts_at
    assert 1.0 <= second - first <= 2.0
    assert 5.0 <= third - second <= 6.0
    assert "engine cannot be started" in caplog.text
    child.broken = False
    _look_for(watcher, clock, 40)
    assert not child.down


def test_a_good_while_gives_a_clean_slate(watcher: Supervisor, clock: ManualClock, child: Child) -> None:
    for _ in range(3):
        child.down = True
        _look_for(watcher, clock, 10)
    assert watcher.restarts() == {"engine": 3}
    _look_for(watcher, clock, GOOD_AFTER_S + 1)
    child.down = True
    watcher.look()
    assert not child.down
    assert watcher.restarts() == {"engine": 1}


def test_a_wait_is_no_good_while(watcher: Supervisor, clock: ManualClock, child: Child) -> None:
    """Waiting out a long back-off must not look like having lived for long."""
    for _ in range(6):
        child.down = True
        _look_for(watcher, clock, 61)
    assert watcher.restarts() == {"engine": 6}


def test_one_that_came_back_by_itself_in_the_wait_is_not_started(
    watcher: Supervisor, clock: ManualClock, child: Child
) -> None:
    child.down = True
    watcher.look()
    child.down = True
    watcher.look()
    child.down = False
    _look_for(watcher, clock, 10)
    assert len(child.restarts_at) == 1
    child.down = True  # the third time: it waits as such
    watcher.look()
    assert child.down
    _look_for(watcher, clock, BACKOFF_S[2] + 1)
    assert not child.down


def test_children_do_not_wait_for_one_another(clock: ManualClock) -> None:
    bad, good = Child(clock), Child(clock)
    watcher = Supervisor({"bad": bad, "good": good}, clock)
    bad.down = bad.broken = good.down = True
    watcher.look()
    assert not good.down
    assert watcher.restarts() == {"bad": 1, "good": 1}


class Moody:
    """Cannot even be asked, at first."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.times = 0

    def crashed(self) -> bool:
        self.times += 1
        if self.times == 1:
            raise OSError("who knows")
        self.asked.set()
        return False

    def restart(self) -> None:
        raise AssertionError("it lives")


def test_the_thread_goes_on_after_a_look_that_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "LOOK_EVERY_S", 0.005)
    moody = Moody()
    watcher = Supervisor({"moody": moody}, ManualClock())
    watcher.start()
    eventually(moody.asked.is_set, what="a second look", deadline_s=5)
    watcher.stop()
