"""What every board of ports does: the real one at a JACK server, and the fake that ships."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from bridge.midi.board import OWN, Board, Incoming
from bridge.midi.messages import Configure, Joined
from bridge.midi.port_board import SystemBoard
from bridge.midi.ports import System, open_system
from bridge.testing import FakePorts
from support.jack import JackServer, Listener, listening, needs_jack
from support.polling import eventually

NOTE_ON, NOTE_OFF = (0x90, 60, 100), (0x80, 60, 64)


class Rig(Protocol):
    board: Board

    def plug(self, name: str) -> None: ...
    def unplug(self, name: str) -> None: ...
    def sends(self, name: str, *messages: tuple[int, ...]) -> None:
        """A device sends."""
        ...

    def got(self, name: str) -> list[tuple[int, ...]]:
        """What a device got."""
        ...

    def after_a_look(self) -> None:
        """The board has looked at what there is now."""
        ...


class FakeRig:
    def __init__(self) -> None:
        self.ports = FakePorts()
        self.board: Board = self.ports

    def plug(self, name: str) -> None:
        self.ports.plug(name)

    def unplug(self, name: str) -> None:
        self.ports.unplug(name)

    def sends(self, name: str, *messages: tuple[int, ...]) -> None:
        self.ports.receive(name, *messages)

    def got(self, name: str) -> list[tuple[int, ...]]:
        return self.ports.got(name)

    def after_a_look(self) -> None:
        self.board.look(0.0)


class JackRig:
    def __init__(self, server: JackServer, stack: ExitStack) -> None:
        self._server = server
        self._stack = stack
        self._devices: dict[str, Listener] = {}
        self.board: Board = SystemBoard(_open, lambda: None, sys.platform)

    def plug(self, name: str) -> None:
        self._devices[name] = self._stack.enter_context(listening(self._server, name))

    def unplug(self, name: str) -> None:
        self._devices.pop(name).close()
        eventually(lambda: f"{name}:in" not in self._server.ports(), what="the device is gone")

    def sends(self, name: str, *messages: tuple[int, ...]) -> None:
        self._devices[name].send(*messages)

    def got(self, name: str) -> list[tuple[int, ...]]:
        time.sleep(0.03)
        return self._devices[name].messages()

    def after_a_look(self) -> None:
        self.board.look(time.perf_counter())
        time.sleep(0.03)


def _open(wanted: Configure, wake: Callable[[], None]) -> tuple[System | None, str]:
    return open_system(wanted.backend, wanted.port, wake, frame_exact=wanted.frame_exact)


@pytest.fixture(scope="module")
def server() -> Iterator[JackServer]:
    with JackServer() as started:
        yield started


@pytest.fixture(params=["fake", pytest.param("jack", marks=needs_jack)])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    if request.param == "fake":
        yield FakeRig()
        return
    with ExitStack() as stack:
        made = JackRig(request.getfixturevalue("server"), stack)
        yield made
        made.board.close()


def _heard(rig: Rig, count: int = 1) -> list[Incoming]:
    found: list[Incoming] = []

    def enough() -> bool:
        found.extend(rig.board.heard(time.perf_counter()))
        return len(found) >= count

    eventually(enough, what=f"{count} messages", deadline_s=5)
    return found


def test_our_own_ports_are_there_and_not_listed_among_others(rig: Rig) -> None:
    rig.board.configure(Configure(through=True))
    rig.after_a_look()
    state = rig.board.state()
    assert set(state.virtual) == {"DAW Bridge", "DAW Bridge in", "DAW Bridge Thru"}
    assert (rig.board.virtual_input(), rig.board.through()) == ("DAW Bridge in", "DAW Bridge Thru")
    assert (state.inputs, state.outputs, state.listening, state.playing_to) == ((), (), (), ())
    assert rig.board.targets(OWN) == ["DAW Bridge"]
    assert state.why == ""


def test_controllers_are_heard_by_pattern_in_order_with_their_names(rig: Rig) -> None:
    rig.plug("pads")
    rig.plug("keys")
    rig.board.configure(Configure(inputs=("PAD*",)))
    rig.after_a_look()
    (name,) = rig.board.state().listening
    assert name.startswith("pads")
    rig.sends("keys", NOTE_ON)
    rig.sends("pads", NOTE_ON, NOTE_OFF, (0xF8,), (0xF0, 0x7D, 1, 0xF7))
    heard = _heard(rig, 4)
    assert [one.data for one in heard] == [NOTE_ON, NOTE_OFF, (0xF8,), (0xF0, 0x7D, 1, 0xF7)]
    assert {one.port for one in heard} == {name}


def test_a_controller_that_was_unplugged_works_again(rig: Rig) -> None:
    rig.board.configure(Configure())
    rig.plug("pads")
    rig.after_a_look()
    rig.unplug("pads")
    rig.after_a_look()
    assert rig.board.state().listening == ()
    rig.plug("pads")
    rig.after_a_look()
    rig.sends("pads", NOTE_ON)
    assert [one.data for one in _heard(rig)] == [NOTE_ON]


def test_an_output_that_is_wanted_is_played_to_and_told_once_when_it_is_new(rig: Rig) -> None:
    rig.plug("synth")
    rig.board.configure(Configure(outputs=("synth*",)))
    rig.after_a_look()
    (name,) = rig.board.state().playing_to
    assert set(rig.board.renewed()) == {"DAW Bridge", name}
    assert rig.board.renewed() == []
    assert rig.board.targets(OWN) == ["DAW Bridge", name]
    rig.after_a_look()
    rig.board.send(name, NOTE_ON, 0.0)
    assert rig.got("synth") == [NOTE_ON]


def test_an_output_is_opened_when_somebody_plays_to_it(rig: Rig) -> None:
    rig.plug("synth")
    rig.board.configure(Configure())
    rig.after_a_look()
    assert rig.board.state().playing_to == ()
    (name,) = rig.board.targets("synth*")
    rig.after_a_look()
    assert rig.board.state().playing_to == (name,)
    assert rig.board.targets("nobody") == []


def test_what_goes_to_a_port_that_is_gone_is_dropped(rig: Rig) -> None:
    rig.plug("synth")
    rig.board.configure(Configure(outputs=("*",)))
    rig.after_a_look()
    (name,) = rig.board.state().playing_to
    rig.unplug("synth")
    rig.board.send(name, NOTE_ON, 0.0)
    rig.after_a_look()
    rig.board.send(name, NOTE_ON, 0.0)
    rig.board.send("never there", NOTE_ON, 0.0)
    assert rig.board.state().playing_to == ()
    assert rig.board.targets(OWN) == ["DAW Bridge"]


def test_ports_wanted_for_another_reason_are_opened_and_closed_again(rig: Rig) -> None:
    rig.plug("pads")
    rig.board.configure(Configure(inputs=()))
    rig.after_a_look()
    (source,), (sink,) = rig.board.state().inputs, rig.board.state().outputs
    assert rig.board.also(inputs=[source], outputs=[sink])
    assert not rig.board.also(inputs=[source], outputs=[sink])
    rig.after_a_look()
    assert (rig.board.state().listening, rig.board.state().playing_to) == ((source,), (sink,))
    rig.board.also()
    rig.after_a_look()
    assert (rig.board.state().listening, rig.board.state().playing_to) == ((), ())


def test_connections_of_our_ports_are_told_and_made_again(rig: Rig) -> None:
    rig.board.configure(Configure(inputs=()))
    rig.plug("daw")
    rig.after_a_look()
    rig.board.joined()
    rig.board.renewed()
    wanted = Joined(("DAW Bridge:DAW Bridge",), ("daw:in",))
    rig.board.join(wanted, time.perf_counter())
    assert rig.board.renewed() == ["DAW Bridge"]
    assert rig.board.joined() == wanted
    assert rig.board.joined() is None


def test_other_settings_open_other_ports(rig: Rig) -> None:
    rig.board.configure(Configure())
    rig.after_a_look()
    rig.board.configure(Configure(port="Stage"))
    rig.after_a_look()
    assert set(rig.board.state().virtual) == {"Stage", "Stage in"}
    assert rig.board.targets(OWN) == ["Stage"]


def test_who_only_looks_makes_no_port(rig: Rig) -> None:
    rig.plug("pads")
    rig.board.configure(Configure(port=""))
    rig.after_a_look()
    state = rig.board.state()
    assert (state.virtual, len(state.listening), state.why) == ((), 1, "")
    assert rig.board.targets(OWN) == []
