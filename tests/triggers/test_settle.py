"""The contract of `Settler`, on a clock that moves only when told to."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.jobs.model import Fingerprint
from bridge.testing import ManualClock
from bridge.triggers.settle import NEVER_FINISHED, STILL_EMPTY, Action, Header, Patience, Settler, Step

SETTLE_S = 0.4
PATIENCE = Patience(settle_s=SETTLE_S, stable_s=2.0, unfinished_s=10.0, look_s=0.5)
PATH = "/in/take.wav"
READY, SPECULATE, WITHDRAW = Action.READY, Action.SPECULATE, Action.WITHDRAW


@dataclass
class Bench:
    """A settler, a clock and a disk with files on it; `after` plays the one who looks when told to."""

    clock: ManualClock = field(default_factory=ManualClock)
    settler: Settler = field(default_factory=lambda: Settler(PATIENCE))
    disk: dict[str, Fingerprint] = field(default_factory=dict)
    header: Header = "complete"
    headers_read: int = 0
    steps: list[tuple[float, Step]] = field(default_factory=list)

    def write(self, size: int, path: str = PATH, *, age_s: float = 0.0) -> None:
        self.disk[path] = Fingerprint(size=size, mtime_ns=int((self.clock.wall() - age_s) * 1e9))

    def see(self, path: str = PATH, *, touched: bool = False, closed: bool = False) -> list[Action]:
        steps = self._observe(path, touched=touched, closed=closed)
        self.steps += [(self.clock.monotonic(), step) for step in steps]
        return [step.action for step in steps]

    def _observe(self, path: str, *, touched: bool, closed: bool) -> list[Step]:
        if path not in self.disk:
            return self.settler.vanished(path)
        return self.settler.observe(
            path,
            self.disk[path],
            now_s=self.clock.monotonic(),
            wall_s=self.clock.wall(),
            header=self._read_header,
            touched=touched,
            closed=closed,
        )

    def _read_header(self) -> Header:
        self.headers_read += 1
        return self.header

    def after(self, seconds: float) -> list[Action]:
        """Lets the time pass, looking exactly when the settler asks for it, and gives what came of it."""
        before = len(self.steps)
        end_s = self.clock.monotonic() + seconds
        while self.settler.next_wake_s() <= end_s:
            self.clock.advance(max(0.0, self.settler.next_wake_s() - self.clock.monotonic()))
            for path in self.settler.due(self.clock.monotonic()):
                self.see(path)
        self.clock.advance(max(0.0, end_s - self.clock.monotonic()))
        return [step.action for _, step in self.steps[before:]]

    def last(self) -> Step:
        return self.steps[-1][1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_closed_file_is_speculated_on_at_once_and_ready_after_the_quiet_delay(bench: Bench) -> None:
    bench.write(100)
    assert bench.see(touched=True) == []
    assert bench.see(closed=True) == [SPECULATE]
    assert bench.after(SETTLE_S - 0.001) == []
    assert bench.after(0.002) == [READY]
    assert bench.last().fingerprint == bench.disk[PATH]
    assert bench.last().speculated
    assert bench.last().warnings == ()


def test_the_wall_clock_of_the_close_is_reported(bench: Bench) -> None:
    bench.write(100)
    bench.clock.advance(1.0)
    closed_at = bench.clock.wall()
    bench.see(closed=True)
    bench.after(1.0)
    assert bench.last().closed_at == closed_at


def test_without_a_close_the_file_must_stand_still(bench: Bench) -> None:
    bench.write(100)
    bench.see(touched=True)
    assert bench.after(1.99) == []
    assert bench.after(0.02) == [READY]
    assert bench.last().closed_at == pytest.approx(bench.clock.wall() - 2.01, abs=1e-3)


def test_an_old_file_that_appears_needs_only_the_quiet_delay(bench: Bench) -> None:
    bench.write(100, age_s=3600)
    bench.see(touched=True)
    assert bench.after(SETTLE_S - 0.001) == []
    assert bench.after(0.002) == [READY]


def test_a_file_from_the_future_is_not_old(bench: Bench) -> None:
    bench.write(100, age_s=-3600)
    bench.see()
    assert bench.after(1.99) == []
    assert bench.after(0.02) == [READY]
    assert bench.last().closed_at <= bench.clock.wall()


def test_a_change_that_no_event_told_of_withdraws(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    bench.clock.advance(0.2)
    bench.write(200)
    assert bench.after(0.3) == [WITHDRAW]
    assert bench.see(closed=True) == [SPECULATE]
    assert bench.after(SETTLE_S + 0.001) == [READY]
    assert bench.last().fingerprint.size == 200


def test_a_write_with_the_same_size_and_time_withdraws(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    assert bench.see(touched=True) == [WITHDRAW]
    assert bench.see(touched=True) == []
    assert bench.after(1.99) == []


def test_a_second_close_without_a_write_only_waits_longer(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    bench.clock.advance(0.3)
    assert bench.see(closed=True) == []
    assert bench.after(0.399) == []
    assert bench.after(0.002) == [READY]


def test_a_look_at_the_wrong_time_changes_nothing(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    for _ in range(3):
        bench.clock.advance(0.1)
        assert bench.see() == []
    assert bench.after(0.101) == [READY]


def test_a_vanished_file_is_withdrawn_and_forgotten(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    del bench.disk[PATH]
    assert bench.after(1.0) == [WITHDRAW]
    assert len(bench.settler) == 0
    assert bench.settler.next_wake_s() == float("inf")


def test_an_unfinished_header_is_waited_for_then_taken_with_a_warning(bench: Bench) -> None:
    bench.header = "unfinished"
    bench.write(100)
    bench.see(touched=True)
    assert bench.see(closed=True) == []
    assert bench.after(9.99) == []
    assert bench.after(0.02) == [READY]
    assert bench.last().warnings == (NEVER_FINISHED,)


def test_a_change_makes_the_header_be_read_anew(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    bench.header = "unfinished"
    bench.write(200)
    assert bench.see(touched=True, closed=True) == [WITHDRAW]
    assert bench.after(9.99) == []


def test_growth_begins_the_wait_for_the_header_anew(bench: Bench) -> None:
    bench.header = "unfinished"
    bench.write(100)
    bench.see(closed=True)
    bench.after(9.0)
    bench.write(200)
    bench.see(touched=True)
    assert bench.after(9.99) == []
    assert bench.after(0.02) == [READY]


def test_a_header_that_is_finished_later_needs_no_event(bench: Bench) -> None:
    bench.header = "unfinished"
    bench.write(100)
    bench.see(closed=True)
    bench.after(3.0)
    bench.header = "complete"
    assert bench.after(0.51) == [READY]
    assert bench.last().warnings == ()


def test_an_empty_file_is_waited_for_and_its_header_is_not_read(bench: Bench) -> None:
    bench.write(0)
    bench.see(closed=True)
    assert bench.after(9.99) == []
    assert bench.after(0.02) == [READY]
    assert bench.last().warnings == (STILL_EMPTY,)
    assert bench.headers_read == 0


def test_a_locked_file_is_waited_for_with_rarer_and_rarer_looks(bench: Bench) -> None:
    bench.header = "locked"
    bench.write(100, age_s=3600)
    bench.see(closed=True)
    assert bench.after(3600.0) == []
    assert 60 < bench.headers_read < 90
    bench.header = "complete"
    assert bench.after(60.1) == [READY]


def test_a_header_is_read_once_for_each_state(bench: Bench) -> None:
    bench.write(100)
    bench.see(touched=True)
    assert bench.headers_read == 0
    bench.see(closed=True)
    bench.after(1.0)
    assert bench.headers_read == 1


def test_one_state_is_ready_once(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    bench.after(1.0)
    assert bench.see(touched=True) == []
    assert bench.see(closed=True) == []
    assert bench.after(60.0) == []


def test_another_state_is_ready_again(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    bench.after(1.0)
    bench.write(100)
    bench.see(touched=True, closed=True)
    assert bench.after(1.0) == [READY]


def test_going_back_to_a_settled_state_withdraws(bench: Bench) -> None:
    bench.write(100)
    before = bench.disk[PATH]
    bench.see(closed=True)
    bench.after(1.0)
    bench.write(200)
    bench.see(closed=True)
    bench.disk[PATH] = before
    assert bench.see(closed=True) == [WITHDRAW]
    assert bench.after(60.0) == []


def test_what_is_settled_by_hand_gives_nothing(bench: Bench) -> None:
    bench.write(100)
    bench.see(closed=True)
    steps = bench.settler.settle(PATH, bench.disk[PATH])
    assert [step.action for step in steps] == [WITHDRAW]
    assert bench.see(closed=True) == []
    bench.settler.forget(PATH)
    assert bench.see(closed=True) == [SPECULATE]


def test_settled_states_of_other_files_can_be_forgotten(bench: Bench) -> None:
    for path in ("/in/a.wav", "/in/b.wav"):
        bench.write(100, path)
        bench.settler.settle(path, bench.disk[path])
    bench.settler.keep_only(["/in/b.wav", "/in/c.wav"])
    assert not bench.settler.is_settled("/in/a.wav", bench.disk["/in/a.wav"])
    assert bench.settler.is_settled("/in/b.wav", bench.disk["/in/b.wav"])


def test_growing_is_known_from_the_first_sight_until_the_close(bench: Bench) -> None:
    bench.write(100)
    assert not bench.settler.growing(PATH)
    bench.see(touched=True)
    assert bench.settler.growing(PATH)
    bench.see(closed=True)
    assert not bench.settler.growing(PATH)


def test_candidates_below_a_folder(bench: Bench) -> None:
    for path in ("/in/a/1.wav", "/in/ab/2.wav"):
        bench.write(100, path)
        bench.see(path)
    assert bench.settler.below("/in/a/") == ["/in/a/1.wav"]


@given(pauses_s=st.lists(st.floats(0.0, 1.99), min_size=1, max_size=40), closes=st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_growing_file_is_never_ready(pauses_s: list[float], closes: bool) -> None:
    bench = Bench()
    for count, pause_s in enumerate(pauses_s):
        bench.write(100 + count)
        bench.see(touched=True)
        assert READY not in bench.after(pause_s)
    if closes:
        bench.see(closed=True)
    assert bench.after(2.01).count(READY) == 1


@given(start_s=st.floats(0.0, 1e6), settle_s=st.floats(0.05, 60.0))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_a_quiet_closed_file_is_ready_exactly_after_the_delay(start_s: float, settle_s: float) -> None:
    bench = Bench(clock=ManualClock(monotonic=start_s), settler=Settler(Patience(settle_s=settle_s)))
    bench.write(100)
    bench.see(touched=True, closed=True)
    closed_s = bench.clock.monotonic()
    bench.after(100.0)
    (ready_s,) = (at_s for at_s, step in bench.steps if step.action == READY)
    assert ready_s == pytest.approx(closed_s + settle_s, abs=1e-6)


Deed = Callable[[Bench], object]

DEEDS: dict[str, Deed] = {
    "grow": lambda bench: bench.write(bench.disk[PATH].size + 1 if PATH in bench.disk else 0),
    "rewrite": lambda bench: bench.write(bench.disk[PATH].size if PATH in bench.disk else 7),
    "tell of a write": lambda bench: bench.see(touched=True),
    "tell of a close": lambda bench: bench.see(closed=True),
    "tell of both": lambda bench: bench.see(touched=True, closed=True),
    "look": lambda bench: bench.see(),
    "remove": lambda bench: bench.disk.pop(PATH, None),
    "finish": lambda bench: setattr(bench, "header", "complete"),
    "unfinish": lambda bench: setattr(bench, "header", "unfinished"),
    "lock": lambda bench: setattr(bench, "header", "locked"),
}


@given(
    story=st.lists(st.tuples(st.sampled_from(sorted(DEEDS)), st.floats(0.0, 3.0)), min_size=1, max_size=60)
)
@settings(max_examples=400, deadline=None, derandomize=True)
def test_whatever_happens_the_answers_fit_together(story: list[tuple[str, float]]) -> None:
    bench = Bench()
    for deed, pause_s in story:
        DEEDS[deed](bench)
        bench.after(pause_s)
    speculated = False
    ready: list[Fingerprint] = []
    for _, step in bench.steps:
        assert step.speculated == (speculated or step.action == SPECULATE)
        # A withdrawal is owed exactly where work was begun, and nothing is begun twice.
        assert (step.action == SPECULATE) <= (not speculated)
        assert (step.action == WITHDRAW) <= speculated
        speculated = step.action == SPECULATE
        if step.action == READY:
            ready.append(step.fingerprint)
    # Each state on this disk has a time of its own unless no time passed between two.
    assert all(one != other for one, other in itertools.pairwise(ready))


@given(
    story=st.lists(
        st.tuples(st.sampled_from(["grow", "tell of a write", "tell of a close"]), st.floats(0.0, 3.0)),
        max_size=30,
    )
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_nothing_is_lost(story: list[tuple[str, float]]) -> None:
    bench = Bench()
    for deed, pause_s in [*story, ("grow", 0.0), ("grow", 0.0), ("tell of a write", 0.0)]:
        DEEDS[deed](bench)
        bench.after(pause_s)
    bench.after(60.0)
    assert bench.steps, "at least one state must have become ready"
    assert bench.last().action == READY
    assert bench.last().fingerprint == bench.disk[PATH]
    assert len(bench.settler) == 0
