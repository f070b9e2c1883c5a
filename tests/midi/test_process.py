"""The MIDI process as such: it starts, obeys, ends, and is small. No MIDI system is needed."""

from __future__ import annotations

import ast
import math
import os
import queue
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.midi import child, messages, process
from bridge.midi.board import SystemEnded
from bridge.midi.heart import Heart
from bridge.midi.loading import Loader
from bridge.midi.messages import AGAIN_EXIT, Begin, Configure, Halt, Panic, Play, PlayTold
from bridge.midi.process import FAILED_EXIT, Loop, Speaker, _Quit
from bridge.midi.sequence import Sequence
from bridge.testing import FakePorts
from support.midi_parents import midi_child
from support.polling import eventually
from support.songs import write_song

BIG = ("numpy", "pydantic", "fastapi", "uvicorn", "onnxruntime", "sqlite3", "requests", "typer", "rich")


@pytest.fixture(autouse=True)
def _no_midi_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "no-such-server-of-tests")


def test_it_is_small() -> None:
    code = f"import sys, bridge.midi.process; print([one for one in {BIG!r} if one in sys.modules])"
    # Coverage, where it measures child processes, brings modules of its own.
    bare = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    command = [sys.executable, "-c", code]
    printed = subprocess.run(command, env=bare, capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(printed) == []


def test_without_midi_it_says_why_goes_on_answering_and_leaves_no_noise(tmp_path: Path) -> None:
    log = tmp_path / "midi.log"
    with midi_child(Configure(backend="jack"), log) as ear:
        told = ear.waits_for(messages.Ports)
        assert (told.api, bool(told.why), bool(told.remedy)) == ("", True, True)
        for _ in range(3):
            assert ear.answers()
        written = log.stat().st_size
        eventually(lambda: ear.answers() and ear.answers(), what="answers")
        assert log.stat().st_size - written < 500


def test_commands_that_make_no_sense_do_not_end_it(tmp_path: Path) -> None:
    with midi_child(log=tmp_path / "midi.log") as ear:
        pid = ear.child.pid()
        ear.child.tell(messages.Tempo(-3))
        ear.child.tell(messages.Begin("nothing"))
        ear.child.tell(messages.Transport("start", beat=-5))
        ear.child.tell(messages.Light(99, "done"))
        ear.child.tell(Play("a", str(tmp_path / "none.mid")))
        ear.child.tell(Configure(pads=(messages.PadSpec("nonsense"),), meter="x", controller="/no/such.toml"))
        assert ear.answers()
        assert ear.child.pid() == pid
        failed = ear.waits_for(PlayTold, lambda told: told.id == "a")
        assert (failed.state, "none.mid" in failed.why) == ("failed", True)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_order(how: signal.Signals, tmp_path: Path) -> None:
    with _process(tmp_path) as started:
        started.send_signal(how)
        assert started.wait(5) == 0


def test_the_end_of_its_input_ends_it(tmp_path: Path) -> None:
    with _process(tmp_path) as started:
        assert started.stdin is not None
        started.stdin.close()
        assert started.wait(5) == 0


def _process(tmp_path: Path) -> subprocess.Popen[bytes]:
    log = tmp_path / "midi.log"
    with log.open("wb") as errors:
        started = subprocess.Popen(
            [sys.executable, "-m", "bridge.midi.process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )
    eventually(lambda: b"priority" in log.read_bytes(), what="the loop to run")
    return started


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_one_that_stands_still_is_killed_and_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PING_EVERY_S", 0.1)
    with midi_child() as ear:
        assert ear.answers()
        pid = ear.child.pid()
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        ear.restart_after(pid)
        assert ear.answers()


# The loop


class _Heart(Heart):
    """Its steps do what a test says."""

    def __init__(self, step: Any) -> None:
        self.step = step  # type: ignore[method-assign]
        self.closed = False

    def close(self, now: float) -> None:
        self.closed = True


def _loop(heart: Heart, inbox: queue.SimpleQueue[Any] | None = None) -> int:
    return Loop(heart, FakePorts(), inbox or queue.SimpleQueue(), lambda _: None).run()


def _raising(error: Exception) -> Any:
    def step(now: float) -> float:
        raise error

    return step


def test_when_the_server_ends_nothing_is_touched_and_it_asks_to_be_started_again() -> None:
    heart = _Heart(_raising(SystemEnded()))
    assert _loop(heart) == AGAIN_EXIT
    assert not heart.closed


def test_a_fault_of_ours_silences_everything_before_it_ends() -> None:
    heart = _Heart(_raising(RuntimeError("broken")))
    assert _loop(heart) == FAILED_EXIT
    assert heart.closed


def test_it_ends_when_it_is_told_to() -> None:
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    inbox.put(_Quit())
    heart = _Heart(lambda now: now + 60)
    assert _loop(heart, inbox) == 0
    assert heart.closed


def test_with_nothing_due_it_waits_and_is_guarded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "GUARD_EVERY_S", 0.01)
    inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
    guards: list[None] = []

    def guard() -> None:
        guards.append(None)
        if len(guards) == 5:
            inbox.put(_Quit())

    heart = _Heart(lambda now: math.inf)
    assert Loop(heart, FakePorts(), inbox, lambda _: None, guard=guard).run() == 0


# Reading files


def test_a_begin_never_overtakes_its_play(tmp_path: Path) -> None:
    ready: list[Any] = []
    loader = Loader(ready.append, ready.append)
    path = write_song(tmp_path / "a.mid", [(0, 1, 60)])
    for command in (Play("a", str(path), armed=True), Begin("a"), Halt("a")):
        loader.take(command)
    loader.start()
    loader.stop()
    (order, notes), *others = ready
    assert (order.id, isinstance(notes, Sequence), others) == ("a", True, [Begin("a"), Halt("a")])


def test_what_cannot_be_read_is_told_in_plain_words(tmp_path: Path) -> None:
    failed: list[PlayTold] = []
    loader = Loader(lambda _: None, failed.append)
    damaged = tmp_path / "damaged.mid"
    damaged.write_bytes(b"MThd and no more")
    loader.take(Play("a", str(damaged)))
    loader.take(Play("b", str(tmp_path / "gone.mid")))
    loader.start()
    loader.stop()
    assert [(one.id, one.state) for one in failed] == [("a", "failed"), ("b", "failed")]
    assert "damaged.mid" in failed[0].why
    assert "gone.mid" in failed[1].why


def test_after_a_panic_nothing_begins_that_was_ordered_before(tmp_path: Path) -> None:
    ready: list[Any] = []
    failed: list[PlayTold] = []
    loader = Loader(ready.append, failed.append)
    path = write_song(tmp_path / "a.mid", [(0, 1, 60)])
    for command in (Play("a", str(path)), Begin("a"), Panic(), Begin("b")):
        loader.take(command)
    loader.start()
    loader.stop()
    assert ready == [Panic(), Begin("b")]
    assert failed == [PlayTold("a", "stopped")]


def test_a_speaker_that_nobody_hears_holds_nothing_up() -> None:
    class Full:
        def write(self, data: bytes) -> None:
            raise BrokenPipeError

        def flush(self) -> None:
            raise AssertionError

    speaker = Speaker(Full())  # type: ignore[arg-type]
    speaker.start()
    for number in range(1000):
        speaker.say(messages.Pong(number))
    speaker.finish(5)
