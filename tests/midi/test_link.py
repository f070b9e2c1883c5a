"""Ableton Link with a second program that is not ours, on a network of the test's own."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bridge.errors import BridgeError
from bridge.midi import link
from support.link_peers import Network, Peer, why_not
from support.polling import eventually

NO_AALINK = "" if importlib.util.find_spec("aalink") else "not installed: aalink"
WHY_NOT = NO_AALINK or why_not()
TOLERANCE_S = 0.003

in_a_session = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)
alone = pytest.mark.skipif(bool(NO_AALINK), reason=NO_AALINK)


@pytest.fixture
def session() -> Iterator[tuple[Peer, Peer]]:
    """Ours and a bare one, who have found each other: first the bare one was there."""
    with Network() as network, network.peer("bare", 120) as bare:
        # Of two sessions that meet, the older one counts; below half a second they are the same age.
        until(bare, lambda told: told["beat"] > 2, "a second of its own")
        with network.peer("ours", 97) as ours:
            until(ours, lambda told: told["peers"] == 1, "the other one")
            until(bare, lambda told: told["peers"] == 1, "us")
            until(ours, lambda told: abs(told["bpm"] - 120) < 0.001, "its tempo")
            yield ours, bare


def until(peer: Peer, fits: Callable[[dict[str, Any]], bool], what: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        told = peer.ask("look")
        return told if fits(told) else None

    return eventually(look, what=what, every_s=0.02)


def together(ours: Peer, bare: Peer) -> None:
    eventually(lambda: apart_s(ours, bare) < TOLERANCE_S, what="the same place in the bar", deadline_s=10)


def apart_s(ours: Peer, bare: Peer) -> float:
    """How far apart the bars (4 beats) of the two are, at one moment."""
    one, other = ours.ask("look"), bare.ask("look")
    beat: float = other["beat"] + (one["at_s"] - other["at_s"]) * other["bpm"] / 60
    beats: float = abs((one["beat"] - beat + 2) % 4 - 2)
    return beats * 60 / float(one["bpm"])


@in_a_session
def test_two_share_tempo_and_bar(session: tuple[Peer, Peer]) -> None:
    ours, bare = session
    assert bare.ask("look")["bpm"] == 120, "who comes later takes over the tempo"
    together(ours, bare)


@in_a_session
def test_either_changes_the_tempo_of_both(session: tuple[Peer, Peer]) -> None:
    ours, bare = session
    jumps = ours.ask("look")["jumps"]
    bare.ask("tempo", 140)
    until(ours, lambda told: abs(told["bpm"] - 140) < 0.001, "the other one's tempo")
    together(ours, bare)
    ours.ask("tempo", 174)
    until(bare, lambda told: abs(told["bpm"] - 174) < 0.001, "our tempo")
    together(ours, bare)
    assert ours.ask("look")["jumps"] == jumps, "another tempo is no jump"


@in_a_session
def test_either_starts_and_stops_both(session: tuple[Peer, Peer]) -> None:
    ours, bare = session
    assert ours.ask("look")["running"], "nobody has said start or stop yet"
    jumps = ours.ask("look")["jumps"]
    bare.ask("start")
    begun = until(ours, lambda told: told["jumps"] > jumps, "the other one's start")
    assert begun["running"]
    assert -4 <= begun["beat"] < 1, "the song begins on the session's next bar line; it counts in"
    together(ours, bare)
    jumps = ours.ask("look")["jumps"]
    bare.ask("stop")
    stopped = until(ours, lambda told: not told["running"], "the other one's stop")
    assert stopped["jumps"] == jumps + 1
    assert ours.ask("look")["beat"] == stopped["beat"], "it stands"
    ours.ask("start")
    until(bare, lambda told: bool(told["running"]), "our start")
    together(ours, bare)
    ours.ask("stop")
    until(bare, lambda told: not told["running"], "our stop")


@in_a_session
def test_when_the_other_leaves_the_beat_goes_on(session: tuple[Peer, Peer]) -> None:
    ours, bare = session
    before = ours.ask("look")
    with bare:
        pass
    after = until(ours, lambda told: told["peers"] == 0, "its leaving")
    beat = before["beat"] + (after["at_s"] - before["at_s"]) * before["bpm"] / 60
    assert abs(after["beat"] - beat) * 60 / after["bpm"] < TOLERANCE_S
    assert after["jumps"] == before["jumps"]


class Session:
    """Link's own session with one beat a second of our clock, and its own ideas of time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slow = 0
        self.tempo, self.playing, self.num_peers, self.quantum = 60.0, False, 0, 4.0
        self.requested: list[float] = []
        monkeypatch.setattr(link, "_joined", lambda _bpm, _quantum: self)

    @property
    def beat(self) -> float:
        beat = time.perf_counter()
        if self.slow:
            self.slow -= 1
            time.sleep(0.02)
        return beat

    def request_beat_at_start_playing_time(self, beat: float) -> None:
        self.requested.append(beat)


def test_a_read_that_was_held_up_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    clock = link.LinkClock()
    session.slow = link.READ_TIMES - 1
    clock.poll()
    at_s = time.perf_counter()
    assert clock.beat_at(at_s) == pytest.approx(at_s, abs=0.001)


def test_beat_zero_is_asked_for_when_somebody_else_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(monkeypatch)
    clock = link.LinkClock()
    clock.poll()
    assert session.requested == []
    session.playing = True
    clock.poll()
    clock.poll()
    assert session.requested == [0.0], "once a start"


@alone
def test_alone_it_is_a_clock_that_starts_and_stops() -> None:
    clock = link.LinkClock(100, 3)
    try:
        assert (clock.source, clock.quantum, clock.running) == ("link", 3, True)
        at_s = time.perf_counter() + 0.1
        clock.start(at_s)
        assert clock.beat_at(at_s) == pytest.approx(0, abs=0.001)
        assert clock.time_of(10) == pytest.approx(at_s + 6, abs=0.001)
        clock.set_tempo(200, at_s)
        assert clock.bpm == pytest.approx(200, abs=0.001)
        clock.stop(time.perf_counter())
        assert not clock.running
        clock.go_on(time.perf_counter())
        assert clock.running
        with pytest.raises(ValueError, match="20 to 999"):
            clock.set_tempo(5, at_s)
    finally:
        clock.close()


def test_without_aalink_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aalink", None)
    missing = link.look()
    assert missing is not None
    with pytest.raises(BridgeError) as told:
        link.LinkClock()
    assert told.value.remedy == missing.remedy == 'Install it with: pip install "daw-bridge[link]"'
