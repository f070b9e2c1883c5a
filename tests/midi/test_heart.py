"""The MIDI process's loop, with ports in memory and time by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar

import pytest

from bridge.errors import BridgeError
from bridge.midi import messages
from bridge.midi.board import SystemEnded
from bridge.midi.clock_sending import BEFORE_THE_TICK_S
from bridge.midi.heart import Heart
from bridge.midi.messages import Begin, Configure, Halt, PadSpec, Panic, Play, Tempo, Told, Transport
from bridge.midi.sequence import Sequence
from bridge.testing import FakePorts
from support.jack import sounding_at_the_end
from support.songs import song

OWN = "DAW Bridge"
T = TypeVar("T")


@dataclass
class Rig:
    """Steps the heart whenever it wants to be, and at each millisecond at which something comes in."""

    ports: FakePorts = field(default_factory=FakePorts)
    told: list[Told] = field(default_factory=list)
    now: float = 100.0

    def __post_init__(self) -> None:
        self.heart = Heart(self.ports, self.told.append, lambda: 1_800_000_000 + self.now, _no_link)
        self._wake = self.now

    def take(self, *commands: messages.Command) -> None:
        for command in commands:
            self.heart.take(command, self.now)
        self._step()

    def play(self, order: Play, notes: Sequence) -> None:
        self.heart.play(order, notes, self.now)
        self._step()

    def run(self, seconds: float) -> None:
        until = self.now + seconds
        while self._wake <= until:
            self.now = max(self.now, self._wake)
            self._step()
        self.now = until
        self._step()

    def hears(self, port: str, *data: tuple[int, ...]) -> None:
        self.ports.receive(port, *data, at_s=self.now)
        self._step()

    def clock(self, port: str, beats: float, bpm: float = 120.0, first: tuple[int, ...] = (0xFA,)) -> None:
        """A clock comes in for so many beats."""
        if first:
            self.hears(port, first)
        for _ in range(round(beats * 24)):
            self.hears(port, (0xF8,))
            self.run(60 / bpm / 24)

    def all(self, kind: type[T]) -> list[T]:
        return [one for one in self.told if isinstance(one, kind)]

    def notes(self, port: str = OWN) -> list[tuple[float, tuple[int, ...]]]:
        return [
            (at_s - 100.0, data)
            for at_s, name, data in self.ports.sent
            if name == port and data[0] & 0xF0 in (0x80, 0x90)
        ]

    def ons(self, port: str = OWN) -> list[float]:
        return [round(at_s, 4) for at_s, data in self.notes(port) if data[0] & 0xF0 == 0x90]

    def held(self, port: str = OWN) -> set[tuple[int, int]]:
        return sounding_at_the_end(self.ports.got(port))

    def _step(self) -> None:
        self._wake = self.heart.step(self.now)
        assert self._wake > self.now or self.heart.step(self.now) > self.now, "it would not sleep"


def _no_link(bpm: float, quantum: float) -> Any:
    raise BridgeError("Ableton Link is not installed here", remedy="Install it.")


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.take(Configure())
    made.run(0.2)
    made.ports.sent.clear()
    return made


def _quarters(count: int = 4) -> Sequence:
    return song([(beat, 0.5, 60 + beat) for beat in range(count)])


# Playing


def test_notes_leave_exactly_when_they_are_due(rig: Rig) -> None:
    rig.play(Play("a", "", when="now"), _quarters())
    rig.run(3)
    assert rig.ons() == [0.2, 0.7, 1.2, 1.7]
    assert [data for _, data in rig.notes()][:2] == [(0x90, 60, 100), (0x80, 60, 64)]
    assert [one.state for one in rig.all(messages.PlayTold)] == ["waiting", "playing", "ended"]


def test_our_own_clock_starts_with_the_first_playing_at_the_tempo_of_its_file(rig: Rig) -> None:
    rig.play(Play("a", ""), song([(0, 0.5, 60), (1, 0.5, 61)], bpm=60))
    rig.run(2)
    assert rig.ons() == [0.2, 1.2]
    told = rig.all(messages.ClockTold)
    assert (told[-1].running, told[-1].bpm, told[-1].source) == (True, 60.0, "internal")


def test_a_tempo_that_was_set_beats_the_files(rig: Rig) -> None:
    rig.take(Tempo(240))
    rig.play(Play("a", ""), song([(0, 0.5, 60), (1, 0.5, 61)], bpm=60))
    rig.run(2)
    assert rig.ons() == [0.2, 0.45]


def test_taps_set_the_tempo(rig: Rig) -> None:
    for number in range(6):
        rig.take(messages.Tap(rig.now + number * 0.4))
    rig.run(0.3)
    assert rig.all(messages.ClockTold)[-1].bpm == pytest.approx(150, rel=0.01)


def test_an_armed_one_waits_for_its_begin_and_begins_on_the_bar(rig: Rig) -> None:
    rig.take(Transport("start"))
    rig.play(Play("a", "", armed=True), _quarters())
    rig.run(0.9)
    assert rig.ons() == []
    rig.take(Begin("a"))
    rig.run(3)
    assert rig.ons()[0] == pytest.approx(2.2)


def test_a_halt_drops_what_is_to_come_and_silences_what_sounds(rig: Rig) -> None:
    rig.play(Play("a", "", when="now"), song([(0, 4, 60), (1, 1, 61)]))
    rig.run(0.1)
    rig.take(Halt("a"))
    rig.run(3)
    assert rig.ons() == [0.2]
    assert rig.held() == set()


def test_latency_is_made_up_for_by_each_port(rig: Rig) -> None:
    rig.ports.plug("Synth")
    rig.take(Configure(outputs=("Synth",), latency_ms={"syn*": 20.0, OWN: -5.0}))
    rig.run(0.1)
    rig.play(Play("a", "", when="beat"), _quarters())
    rig.run(3)
    assert [b - a for a, b in zip(rig.ons("Synth"), rig.ons(), strict=True)] == pytest.approx([0.025] * 4)
    assert rig.ons()[1] - rig.ons()[0] == pytest.approx(0.5)


def test_one_pattern_means_several_ports_and_none_is_a_trouble(rig: Rig) -> None:
    rig.ports.plug("Synth 1")
    rig.ports.plug("Synth 2")
    rig.run(1.1)
    rig.play(Play("a", "", when="now", port="Synth*"), _quarters(1))
    rig.play(Play("b", "", when="now", port="Organ"), _quarters(1))
    rig.run(2)
    assert len(rig.notes("Synth 1")) == len(rig.notes("Synth 2")) == 2
    assert rig.notes() == []
    assert "Organ" in rig.all(messages.Trouble)[0].words


def test_panic_ends_everything_on_every_channel_of_every_port(rig: Rig) -> None:
    rig.ports.plug("Synth")
    rig.take(Configure(outputs=("Synth",)))
    rig.play(Play("a", "", when="now", loop=True), song([(0, 8, 60), (0, 8, 64)]))
    rig.run(0.5)
    rig.ports.sent.clear()
    rig.take(Panic())
    rig.run(5)
    for port in (OWN, "Synth"):
        got = rig.ports.got(port)
        assert {data[0] & 0x0F for data in got if data[:2] == (data[0], 123)} == set(range(16))
        assert {data[0] & 0x0F for data in got if data[0] & 0xF0 == 0xE0} == set(range(16))
        assert {data[0] & 0x0F for data in got if data[0] & 0xF0 == 0xB0 and data[1] == 64} == set(range(16))
        assert [data for data in got if data[0] & 0xF0 == 0x90] == []
    assert rig.all(messages.PlayTold)[-1].state == "stopped"


def test_the_end_silences_everything(rig: Rig) -> None:
    rig.play(Play("a", "", when="now"), song([(0, 8, 60)], bends=[(0, 100)], pedals=[(0, 127)]))
    rig.run(0.5)
    rig.heart.close(rig.now)
    got = rig.ports.got(OWN)
    assert rig.held() == set()
    assert [data for data in got if data[0] == 0xE0][-1] == (0xE0, 0, 64)
    assert [data for data in got if data[:2] == (0xB0, 64)][-1] == (0xB0, 64, 0)


def test_the_end_of_the_server_comes_through(rig: Rig) -> None:
    rig.ports.ended = True
    with pytest.raises(SystemEnded):
        rig.heart.step(rig.now)


# Clocks


def test_a_clock_that_comes_in_holds_and_starts_what_waits(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.run(1.1)
    rig.clock("DAW", 1, first=())
    rig.play(Play("a", ""), _quarters())
    rig.run(0.2)
    assert rig.ons() == []
    begin = rig.now - 100
    rig.clock("DAW", 4, bpm=100)
    assert rig.ons() == pytest.approx([begin + beat * 0.6 for beat in range(4)], abs=0.002)
    told = rig.all(messages.ClockTold)
    assert {one.source for one in told if one.running} == {"DAW"}


def test_the_clocks_stop_silences_and_continue_goes_on(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.run(1.1)
    rig.clock("DAW", 1, first=())
    rig.play(Play("a", ""), song([(0, 4, 60)]))
    rig.clock("DAW", 1)
    assert rig.held() == {(0, 60)}
    rig.hears("DAW", (0xFC,))
    rig.run(0.1)
    assert rig.held() == set()
    rig.clock("DAW", 1, first=(0xFB,))
    assert rig.held() == {(0, 60)}


def test_a_clock_that_vanished_leaves_the_next_playing_to_our_own(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.run(1.1)
    rig.clock("DAW", 2)
    rig.run(3)
    rig.play(Play("a", ""), _quarters(1))
    rig.run(1)
    assert len(rig.ons()) == 1
    assert rig.all(messages.ClockTold)[-1].source == "internal"


def test_when_the_port_of_a_clock_is_unplugged_the_next_one_leads_at_once(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.ports.plug("Drums")
    rig.run(1.1)
    rig.clock("DAW", 2)
    rig.ports.unplug("DAW")
    rig.run(1.0)
    rig.clock("Drums", 0.5)
    assert rig.all(messages.ClockTold)[-1].source == "Drums"


def test_only_the_clock_that_was_named_holds(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.ports.plug("Drums")
    rig.take(Configure(clock="DAW"))
    rig.run(1.1)
    rig.clock("Drums", 1)
    rig.play(Play("a", ""), _quarters(1))
    rig.run(1)
    assert rig.ons() == []
    rig.clock("DAW", 1)
    assert len(rig.ons()) == 1


def test_with_our_own_clock_chosen_others_are_not_followed(rig: Rig) -> None:
    rig.ports.plug("DAW")
    rig.take(Configure(clock="internal"))
    rig.run(1.1)
    rig.clock("DAW", 1)
    assert {one.source for one in rig.all(messages.ClockTold)} == {"internal"}


def test_where_link_is_missing_it_is_said_and_our_own_clock_is_used(rig: Rig) -> None:
    rig.take(Configure(clock="link"))
    rig.play(Play("a", ""), _quarters(1))
    rig.run(0.1)
    (trouble,) = rig.all(messages.Trouble)
    assert (trouble.remedy, len(rig.ons())) == ("Install it.", 1)


def test_the_clock_is_told_once_a_bar_and_with_each_new_tempo(rig: Rig) -> None:
    rig.take(Transport("start"))
    rig.run(8.3)
    bars = [round(one.beat) for one in rig.all(messages.ClockTold) if one.running]
    assert bars == [0, 4, 8, 12, 16]
    rig.take(Tempo(121))
    rig.run(0.3)
    assert rig.all(messages.ClockTold)[-1].bpm == 121


def test_our_clock_is_sent_to_those_who_shall_follow_it(rig: Rig) -> None:
    rig.ports.plug("Drums")
    rig.take(Configure(clock_to=("Drums",)))
    rig.run(1.1)
    rig.ports.sent.clear()
    rig.take(Transport("start"))
    rig.run(1.0)
    got = rig.ports.got("Drums")
    assert got[0] == (0xFA,)
    assert 48 <= got.count((0xF8,)) <= 49
    times = [at_s for at_s, port, data in rig.ports.sent if data == (0xF8,)]
    gaps = [after - before for before, after in pairwise(times)]
    assert gaps == pytest.approx([0.5 / 24] * len(gaps), abs=1e-9)
    rig.take(Transport("stop"))
    rig.run(0.5)
    assert rig.ports.got("Drums")[-1] == (0xFC,)
    rig.ports.sent.clear()
    rig.take(Transport("continue", beat=8.1))
    rig.run(0.2)
    got = rig.ports.got("Drums")
    assert got[:2] == [(0xF2, 33, 0), (0xFB,)]
    first = next(at_s for at_s, _, data in rig.ports.sent if data == (0xF8,))
    started = rig.now - 0.2 + BEFORE_THE_TICK_S
    assert first - started == pytest.approx(0.15 * 0.5, abs=1e-6)


# What hands do


def test_a_pad_fires_with_its_value_and_time(rig: Rig) -> None:
    rig.ports.plug("Pads")
    rig.take(Configure(pads=(PadSpec("note 36"), PadSpec("note 37", press="long"))))
    rig.run(1.1)
    rig.hears("Pads", (0x99, 36, 101))
    assert rig.all(messages.Pressed) == [messages.Pressed(0, 101, rig.now)]
    rig.hears("Pads", (0x99, 37, 50))
    rig.run(1)
    assert [one.pad for one in rig.all(messages.Pressed)] == [0, 1]


def test_what_is_not_mapped_goes_on_to_the_through_port(rig: Rig) -> None:
    rig.ports.plug("Pads")
    pads = (PadSpec("note 36"), PadSpec("note 37", pass_on=True))
    rig.take(Configure(through=True, pads=pads))
    rig.run(1.1)
    rig.ports.sent.clear()
    rig.hears("Pads", (0x90, 36, 1), (0x90, 37, 2), (0x90, 38, 3), (0xF8,), (0xFA,))
    rig.hears("DAW Bridge in", (0x90, 39, 4))
    rig.run(0.1)
    assert rig.ports.got("DAW Bridge Thru") == [(0x90, 37, 2), (0x90, 38, 3)]


def test_a_note_that_is_held_on_a_controller_that_is_unplugged_ends(rig: Rig) -> None:
    rig.ports.plug("Keys")
    rig.take(Configure(through=True))
    rig.run(1.1)
    rig.hears("Keys", (0x90, 38, 3))
    rig.run(0.1)
    assert rig.held("DAW Bridge Thru") == {(0, 38)}
    rig.ports.unplug("Keys")
    rig.run(1.1)
    assert rig.held("DAW Bridge Thru") == set()


def test_a_daw_that_gives_everything_back_makes_no_circle(rig: Rig) -> None:
    rig.ports.plug("Keys")
    rig.ports.plug("DAW out")
    rig.take(Configure(through=True))
    rig.run(1.1)
    rig.ports.sent.clear()
    rig.hears("Keys", (0x90, 38, 3))
    rig.run(0.005)
    rig.hears("DAW out", (0x90, 38, 3))
    rig.run(0.1)
    assert rig.ports.got("DAW Bridge Thru") == [(0x90, 38, 3)]


def test_everything_that_comes_in_is_told_while_somebody_watches(rig: Rig) -> None:
    rig.ports.plug("Keys")
    rig.run(1.1)
    rig.hears("Keys", (0x90, 38, 3))
    rig.take(messages.Watch(on=True))
    rig.hears("Keys", (0x90, 39, 3), (0xF8,), (0xFA,))
    rig.take(messages.Watch(on=False))
    rig.hears("Keys", (0x90, 40, 3))
    assert [one.data for one in rig.all(messages.Heard)] == [(0x90, 39, 3), (0xFA,)]


def test_lights_go_to_the_controller_that_is_plugged_in_and_again_when_it_comes_back(rig: Rig) -> None:
    rig.take(Configure(pads=(PadSpec("note 36"),)))
    rig.ports.plug("Launchpad Mini")
    rig.run(1.2)
    (port,) = rig.ports.state().playing_to
    assert rig.ports.got(port)
    rig.ports.sent.clear()
    rig.take(messages.Light(0, "done"))
    rig.run(0.1)
    lit = rig.ports.got(port)
    assert lit
    rig.ports.unplug(port)
    rig.run(1.2)
    rig.ports.sent.clear()
    rig.ports.plug(port)
    rig.run(1.2)
    assert lit[-1] in rig.ports.got(port)


def test_a_light_is_no_note(rig: Rig) -> None:
    rig.take(Configure(pads=(PadSpec("note 36"),)))
    rig.ports.plug("Launchpad Mini")
    rig.run(1.2)
    (port,) = rig.ports.state().playing_to
    rig.take(messages.Light(0, "done"))
    rig.run(0.1)
    rig.ports.sent.clear()
    rig.take(messages.Light(0, "failed"))
    rig.run(0.02)
    changed = rig.ports.got(port)
    assert len(changed) == 1  # and no note-off before it
    rig.ports.sent.clear()
    rig.take(Panic())
    rig.run(0.02)
    assert rig.ports.got(port) == []
    assert rig.ports.got(OWN)
    assert rig.all(messages.Ports)[-1].playing_to == ()


# Ports


def test_a_synth_that_is_unplugged_and_back_holds_nothing_and_plays_on(rig: Rig) -> None:
    rig.ports.plug("Synth")
    rig.take(Configure(outputs=("Synth",)))
    rig.run(1.1)
    rig.play(Play("a", "", when="now", loop=True), song([(beat, 0.9, 60 + beat) for beat in range(4)]))
    rig.run(0.7)
    rig.ports.unplug("Synth")
    rig.run(1.3)
    before = len(rig.ports.got("Synth"))
    rig.ports.plug("Synth")
    rig.run(2.1)
    after = rig.ports.got("Synth")[before:]
    assert (0xB0, 123, 0) in after
    assert any(data[0] == 0x90 for data in after)
    rig.take(Halt())
    rig.run(0.1)
    assert rig.held("Synth") == rig.held() == set()


def test_connections_that_are_made_again_are_silenced_first(rig: Rig) -> None:
    wanted = messages.Joined((f"{OWN}:{OWN}",), ("DAW:in",))
    rig.take(wanted)
    rig.run(1.2)
    assert (0xBF, 123, 0) in rig.ports.got(OWN)
    assert rig.all(messages.Joined)[-1] == wanted


def test_what_there_is_is_told_when_it_changes(rig: Rig) -> None:
    count = len(rig.all(messages.Ports))
    rig.run(5)
    assert len(rig.all(messages.Ports)) == count
    rig.ports.plug("Keys")
    rig.run(1.1)
    assert rig.all(messages.Ports)[-1].inputs == ("Keys",)


def test_a_loop_is_measured(rig: Rig) -> None:
    rig.ports.plug("Interface")
    rig.take(Configure(inputs=()))
    rig.run(1.1)
    sent = len(rig.ports.sent)
    rig.take(messages.Measure("Interface", "Interface", 10))
    for _ in range(400):
        for at_s, _, data in rig.ports.sent[sent:]:
            rig.ports.receive("Interface", data, at_s=at_s + 0.0035)
        sent = len(rig.ports.sent)
        rig.run(0.001)
    (result,) = rig.all(messages.Measured)
    assert result.times_ms == pytest.approx([3.5] * 10)
    assert rig.ports.state().listening == ()
    rig.take(messages.Measure("Nothing", "Interface"))
    assert "Nothing" in rig.all(messages.Measured)[-1].why


def test_with_nothing_to_do_it_sleeps_till_the_next_look(rig: Rig) -> None:
    rig.run(2)
    assert rig.heart.step(rig.now) - rig.now > 0.5
    assert not math.isinf(rig.heart.step(rig.now))
