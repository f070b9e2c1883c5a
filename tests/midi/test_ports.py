"""Ports on systems that are not here: ALSA's and Windows' names, ports that others hold, no MIDI at all."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from bridge.midi import jack_watch
from bridge.midi.board import OWN
from bridge.midi.messages import Configure
from bridge.midi.port_board import LOOK_EVERY_S, SystemBoard
from bridge.midi.ports import RtMidiSystem, System, open_system
from support.rtmidi_double import RtMidiDouble

NOTE_ON = (0x90, 60, 100)


def _board(midi: RtMidiDouble, api: str, platform: str = "win32") -> SystemBoard:
    def opener(wanted: Configure, wake: Callable[[], None]) -> tuple[System | None, str]:
        try:
            return RtMidiSystem(midi, api, wanted.port, wake), ""
        except OSError as fault:
            return None, str(fault)

    return SystemBoard(opener, lambda: None, platform)


def _looked(board: SystemBoard, wanted: Configure | None = None) -> SystemBoard:
    board.configure(wanted or Configure())
    board.look(0.0)
    return board


def test_on_windows_a_loopback_port_is_our_own_and_is_not_listened_to() -> None:
    midi = RtMidiDouble(virtual=False)
    midi.sources = ["Pads 0", "loopMIDI Port 1"]
    midi.sinks = ["Synth 0", "loopMIDI Port 1"]
    board = _looked(_board(midi, "winmm"))
    state = board.state()
    assert (state.virtual, state.why) == ((), "")
    assert state.listening == ("Pads",)
    assert board.targets(OWN) == ["loopMIDI Port"]
    board.send("loopMIDI Port", NOTE_ON, 0.0)
    assert midi.port("loopMIDI Port 1").sent == [NOTE_ON]


def test_a_loopback_port_that_is_called_like_ours_is_listed_and_used() -> None:
    midi = RtMidiDouble(virtual=False)
    midi.sinks = ["loopMIDI Port 1", "DAW Bridge 2"]
    assert _looked(_board(midi, "winmm")).targets(OWN) == ["DAW Bridge"]


def test_without_a_loopback_port_it_is_said_how_to_get_one_and_taken_when_it_is_there() -> None:
    midi = RtMidiDouble(virtual=False)
    board = _looked(_board(midi, "winmm"))
    assert "DAW Bridge" in board.state().why
    assert "loopMIDI" in board.state().remedy
    assert board.targets(OWN) == []
    midi.sinks = ["loopMIDI Port"]
    assert board.look(LOOK_EVERY_S)
    assert board.state().why == ""
    assert board.targets(OWN) == ["loopMIDI Port"]


def test_with_alsa_a_controller_is_known_again_though_its_number_has_changed() -> None:
    midi = RtMidiDouble()
    midi.sources = ["Mini:Mini MIDI 1 24:0"]
    board = _looked(_board(midi, "alsa", "linux"))
    assert board.state().listening == ("Mini:Mini MIDI 1",)
    midi.sources = ["Mini:Mini MIDI 1 28:0"]
    board.look(1.0)
    assert board.state().listening == ("Mini:Mini MIDI 1",)
    midi.port("Mini:Mini MIDI 1 28:0").receive(*NOTE_ON)
    assert [(one.port, one.data) for one in board.heard(2.0)] == [("Mini:Mini MIDI 1", NOTE_ON)]
    assert len([one for one in midi.open if one.name.startswith("Mini")]) == 1


def test_what_comes_by_callback_wakes_the_loop_and_needs_no_polling() -> None:
    woken: list[None] = []
    midi = RtMidiDouble()
    midi.sources = ["Pads 20:0"]
    board = SystemBoard(
        lambda wanted, wake: (RtMidiSystem(midi, "alsa", wanted.port, wake), ""),
        lambda: woken.append(None),
        "linux",
    )
    _looked(board)
    assert not board.polled()
    midi.port("Pads 20:0").receive(0xF8)
    midi.port("DAW Bridge in").receive(*NOTE_ON)
    assert len(woken) == 2
    assert {one.port for one in board.heard(1.0)} == {"Pads", "DAW Bridge in"}


def test_a_port_that_another_program_holds_is_told_once_and_taken_as_soon_as_it_is_free() -> None:
    midi = RtMidiDouble()
    midi.sources, midi.held = ["Pads"], {"Pads"}
    board = _looked(_board(midi, "coremidi"))
    board.look(1.0)
    (trouble,) = board.troubles()
    assert "Pads" in trouble.words
    assert "another program" in trouble.remedy
    midi.held.clear()
    board.look(2.0)
    assert board.state().listening == ("Pads",)


def test_an_output_that_fails_is_a_trouble_and_not_a_crash() -> None:
    midi = RtMidiDouble()
    board = _looked(_board(midi, "coremidi"))
    midi.held.add("DAW Bridge")
    board.send("DAW Bridge", NOTE_ON, 0.0)
    board.send("DAW Bridge", NOTE_ON, 0.0)
    assert len(board.troubles()) == 1


@pytest.mark.parametrize(
    ("platform", "remedy"), [("linux", "snd-seq"), ("darwin", "Audio MIDI Setup"), ("win32", "loopMIDI")]
)
def test_where_there_is_no_midi_it_is_said_why_and_taken_up_when_it_is_there(
    platform: str, remedy: str
) -> None:
    midi = RtMidiDouble(works=False)
    board = _looked(_board(midi, "alsa", platform))
    state = board.state()
    assert (state.api, state.virtual) == ("", ())
    assert "no sequencer" in state.why
    assert remedy in state.remedy
    assert board.targets(OWN) == []
    board.send("DAW Bridge", NOTE_ON, 0.0)
    midi.works = True
    assert board.next_look_at() <= 2.0
    board.look(board.next_look_at())
    assert board.state().api == "alsa"


def test_what_works_is_used_not_what_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", RtMidiDouble(only=RtMidiDouble.API_LINUX_ALSA))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(jack_watch, "load", lambda: None)
    system, why = open_system("auto", "DAW Bridge", lambda: None)
    assert system is not None
    assert (system.api, why) == ("alsa", "")
    system, why = open_system("jack", "DAW Bridge", lambda: None)
    assert system is None
    assert why == "no JACK server answers"


def test_without_rtmidi_it_is_a_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rtmidi", None)
    system, why = open_system("auto", "DAW Bridge", lambda: None)
    assert system is None
    assert "python-rtmidi" in why
