"""The MIDI process at a real JACK server, heard by a program that is not ours."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.midi import messages
from bridge.midi.messages import Configure, Halt, PadSpec, Play, PlayTold, Ports, Transport
from support.jack import JackServer, Listener, listening, needs_jack, sounding_at_the_end, until_quiet
from support.midi_parents import Ear, is_running, midi_child
from support.polling import eventually
from support.songs import write_song

pytestmark = [needs_jack, pytest.mark.slow]

OWN, HEARD = "DAW Bridge:DAW Bridge", "listener:in"
TRACKS, LONG_NOTES = 4, [(0.0, 32.0, key) for key in (48, 55, 64)]


@pytest.fixture
def server() -> Iterator[JackServer]:
    with JackServer() as started:
        yield started


def _dense() -> list[tuple[float, float, int]]:
    """Four lines of sixteenths, two bars: all of one sixteenth at once."""
    return [
        (step / 4 + voice * 0.001, 0.2, 36 + 12 * voice + step % 12)
        for step in range(32)
        for voice in range(TRACKS)
    ]


def _joined(server: JackServer, ear: Ear) -> None:
    server.connect(OWN, HEARD)
    ear.answers()


def _quiet(listener: Listener) -> None:
    """Past what is sent to a port that has just been connected."""
    until_quiet(listener, 0.15)
    listener.forget()


def test_every_note_arrives_in_order(server: JackServer, tmp_path: Path) -> None:
    heard = _heard_of_the_dense_song(server, Configure(tempo_bpm=240), tmp_path)
    assert _keys_of(heard) == [key for _, _, key in sorted(_dense())]
    assert len([data for data in heard if data[0] == 0x80]) == len(_dense())
    assert sounding_at_the_end(heard) == set()


def test_frame_exact_notes_arrive_in_order(server: JackServer, tmp_path: Path) -> None:
    """A server whose clients are late, as on a busy test machine, may lose a period of a Python client."""
    heard = _heard_of_the_dense_song(server, Configure(tempo_bpm=240, frame_exact=True), tmp_path)
    wanted = iter([key for _, _, key in sorted(_dense())])
    assert all(key in wanted for key in _keys_of(heard)), "out of order"
    assert len(_keys_of(heard)) > 0.9 * len(_dense())
    assert sounding_at_the_end(heard) == set()


def _heard_of_the_dense_song(server: JackServer, settings: Configure, folder: Path) -> list[tuple[int, ...]]:
    path = write_song(folder / "dense.mid", _dense(), bpm=240)
    with midi_child(settings) as ear, listening(server) as listener:
        _joined(server, ear)
        _quiet(listener)
        ear.child.tell(Play("dense", str(path), when="now"))
        ear.waits_for(PlayTold, lambda told: told.state == "ended")
        return until_quiet(listener)


def _keys_of(heard: list[tuple[int, ...]]) -> list[int]:
    return [data[1] for data in heard if data[0] == 0x90]


def test_the_end_of_the_daemon_silences_everything(server: JackServer, tmp_path: Path) -> None:
    """Killed, so it can say nothing: the MIDI process sees the end of its input."""
    path = write_song(tmp_path / "long.mid", LONG_NOTES)
    code = (
        "import sys, time; from bridge.clock import SystemClock; from bridge.midi import messages;"
        "from bridge.midi.child import MidiChild;"
        "child = MidiChild(messages.Configure, lambda told: None, None, SystemClock()); child.start();"
        f"child.tell(messages.Play('a', {str(path)!r}, when='now'));"
        "print(child.pid(), flush=True); time.sleep(60)"
    )
    with listening(server) as listener:
        daemon = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert daemon.stdout is not None
        pid = int(daemon.stdout.readline())
        server.connect(OWN, HEARD)
        eventually(lambda: OWN in server.ports(), what="our port")
        time.sleep(0.3)
        held = sounding_at_the_end(listener.messages())
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()
        eventually(lambda: not is_running(pid), what="the end of the MIDI process", deadline_s=5)
        heard = until_quiet(listener)
    assert sounding_at_the_end(heard) == set()
    assert (0xBF, 123, 0) in heard
    assert held == {(0, 48), (0, 55), (0, 64)} or not held  # connected after the notes had begun


def test_a_process_that_was_killed_comes_back_silences_and_is_connected_as_before(
    server: JackServer, tmp_path: Path
) -> None:
    path = write_song(tmp_path / "long.mid", LONG_NOTES)
    with midi_child() as ear, listening(server) as listener:
        _joined(server, ear)
        server.connect("listener:out", "DAW Bridge in:DAW Bridge in")
        way_in = ["DAW Bridge in:DAW Bridge in"]
        eventually(lambda: server.connections("listener:out") == way_in, what="the way in to be noticed")
        assert ear.answers()
        ear.child.tell(Play("a", str(path), when="now", loop=True))
        eventually(lambda: len(sounding_at_the_end(listener.messages())) == 3, what="the notes")
        pid = ear.child.pid()
        assert pid is not None
        ear.forget()
        os.kill(pid, signal.SIGKILL)
        ear.restart_after(pid)
        eventually(lambda: HEARD in server.connections(OWN), what="our connection again")
        eventually(lambda: server.connections("listener:out") == way_in, what="the way in again")
        eventually(lambda: not sounding_at_the_end(listener.messages()), what="silence")
        assert ear.waits_for(PlayTold).state == "armed"
        ear.child.tell(messages.Begin("a", when="now"))
        eventually(lambda: len(sounding_at_the_end(listener.messages())) == 3, what="the notes again")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_when_the_server_ends_nothing_freezes_and_it_is_taken_up_when_it_is_back(
    server: JackServer, tmp_path: Path, how: signal.Signals
) -> None:
    path = write_song(tmp_path / "notes.mid", _dense())
    with midi_child() as ear:
        with listening(server) as listener:
            _joined(server, ear)
            ear.child.tell(Play("a", str(path), when="now", loop=True))
            eventually(lambda: len(listener.messages()) > 50, what="notes")
            ear.forget()
            server.kill(how)
        gone = ear.waits_for(Ports)
        assert (gone.api, bool(gone.remedy)) == ("", True)
        assert ear.answers()
        server.start()
        back = time.monotonic()
        with listening(server) as listener:
            eventually(lambda: HEARD in server.connections(OWN), what="our connection", deadline_s=10)
            assert time.monotonic() - back < 8
            ear.child.tell(messages.Begin("a", when="now"))
            eventually(lambda: any(one[0] == 0x90 for one in listener.messages()), what="notes again")


def test_without_jack_client_the_end_of_the_server_is_noticed_as_well(
    server: JackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "jack.py").write_text("raise ImportError('not installed')\n", encoding="utf-8")
    path = write_song(tmp_path / "notes.mid", _dense())
    with listening(server) as listener:
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with midi_child() as ear:
            server.connect(OWN, HEARD)
            ear.child.tell(Play("a", str(path), when="now", loop=True))
            eventually(lambda: len(listener.messages()) > 50, what="notes")
            ear.forget()
            server.kill()
            assert ear.waits_for(Ports).api == ""
            server.start()
            eventually(lambda: OWN in server.ports(), what="our port", deadline_s=10)
            assert ear.answers()


def test_a_controller_works_whenever_it_is_plugged_in(server: JackServer) -> None:
    with midi_child(Configure(pads=(PadSpec("note 36"),))) as ear:
        ear.waits_for(Ports)
        for _ in range(3):
            ear.forget()
            with listening(server, "pads") as pads:
                ear.waits_for(Ports, lambda told: "pads:out" in told.listening)
                pads.send((0x99, 36, 100), (0x89, 36, 0))
                assert ear.waits_for(messages.Pressed).value == 100
            ear.waits_for(Ports, lambda told: not told.listening)


def test_what_is_routed_to_our_input_is_not_heard_twice(server: JackServer) -> None:
    with midi_child(Configure(pads=(PadSpec("note 36"),))) as ear, listening(server, "pads") as pads:
        ear.waits_for(Ports, lambda told: "pads:out" in told.listening)
        server.connect("pads:out", "DAW Bridge in:DAW Bridge in")
        eventually(lambda: len(server.connections("pads:out")) == 1, what="one connection")
        for number in range(1, 21):
            pads.send((0x99, 36, number), (0x89, 36, 0))
        eventually(lambda: len(ear.all(messages.Pressed)) >= 20, what="twenty presses")
        assert ear.answers()
        assert [one.value for one in ear.all(messages.Pressed)] == list(range(1, 21))


def test_a_daws_clock_starts_what_waits_and_its_stop_silences(server: JackServer, tmp_path: Path) -> None:
    path = write_song(tmp_path / "quarters.mid", [(beat, 0.9, 60 + beat) for beat in range(4)])
    with midi_child() as ear, listening(server) as daw:
        server.connect(OWN, HEARD)
        server.connect("listener:out", "DAW Bridge in:DAW Bridge in")
        ear.waits_for(Ports, lambda told: bool(told.virtual) and not told.listening)
        eventually(lambda: len(server.connections("listener:out")) == 1, what="one connection")
        eventually(lambda: _is_followed(ear, daw), what="the clock to be followed", every_s=0.15)
        ear.child.tell(Play("a", str(path), loop=True))
        ear.waits_for(PlayTold, lambda told: told.state == "waiting")
        _quiet(daw)  # and the last ticks are out
        start = time.perf_counter() + 0.1
        daw.send_at(start, (0xFA,))
        for number in range(24 * 5):
            daw.send_at(start + 0.01 + number * 0.02, (0xF8,))
        eventually(lambda: len(_ons(daw)) >= 4, what="four notes")
        daw.send((0xFC,))  # behind the last tick
        heard = until_quiet(daw, 0.6, deadline_s=30)
    assert [data[1] for data in heard if data[0] == 0x90][:4] == [60, 61, 62, 63]
    assert sounding_at_the_end(heard) == set()


def _is_followed(ear: Ear, daw: Listener) -> bool:
    """Sends a little more of a clock, which does not run yet."""
    first = time.perf_counter() + 0.02
    for number in range(6):
        daw.send_at(first + number * 0.02, (0xF8,))
    return any(told.source == "DAW Bridge in" for told in ear.all(messages.ClockTold))


def test_our_clock_drives_others(server: JackServer) -> None:
    with listening(server) as drums, midi_child(Configure(clock_to=("listener",), clock="internal")) as ear:
        ear.waits_for(Ports, lambda told: HEARD in told.playing_to)
        ear.child.tell(Transport("start"))
        eventually(lambda: drums.messages().count((0xF8,)) >= 48, what="two beats of clock")
        ear.child.tell(Transport("stop"))
        eventually(lambda: drums.messages()[-1] == (0xFC,), what="stop")
        got = drums.messages()
        assert got.index((0xFA,)) < got.index((0xF8,))


def test_a_loop_is_measured(server: JackServer) -> None:
    with listening(server) as wire, midi_child(Configure(inputs=())) as ear:
        wire.echo()
        ear.waits_for(Ports, lambda told: "listener:out" in told.inputs)
        ear.child.tell(messages.Measure("listener", "listener", 20))
        result = ear.waits_for(messages.Measured)
    assert (len(result.times_ms), result.lost, result.why) == (20, 0, "")
    assert all(0 < one < 100 for one in result.times_ms)


def test_two_bridges_at_one_server_leave_each_other_alone(server: JackServer, tmp_path: Path) -> None:
    path = write_song(tmp_path / "a.mid", [(0, 1, 60)])
    with midi_child() as one, midi_child(Configure(port="Second")) as other, listening(server):
        one.waits_for(Ports, lambda told: "listener:out" in told.listening)
        other.waits_for(Ports, lambda told: "listener:out" in told.listening)
        one.child.tell(Play("a", str(path), when="now"))
        one.child.tell(Halt())
        assert one.answers()
        assert other.answers()


def _ons(listener: Listener) -> list[tuple[int, ...]]:
    return [data for data in listener.messages() if data[0] == 0x90]
