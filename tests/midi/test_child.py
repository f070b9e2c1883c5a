"""The daemon's end of the MIDI process, with a process that does as it is told."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bridge import child_process
from bridge.child_process import MAX_LOG_BYTES
from bridge.midi import child, messages
from bridge.midi.child import Knowledge, MidiChild
from bridge.midi.messages import (
    ClockTold,
    Configure,
    Joined,
    Light,
    Panic,
    Play,
    PlayTold,
    Ports,
    Tempo,
    Trouble,
    Watch,
)
from bridge.testing import ManualClock
from support.midi_parents import Ear, midi_child
from support.polling import eventually

DOUBLE = "support.midi_child_double"


@pytest.fixture(autouse=True)
def _support_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


def _started(manner: str = "") -> Configure:
    return Configure(controller=manner)


def _echoed(ear: Ear) -> list[str]:
    return [one.words for one in ear.all(Trouble)]


def test_settings_are_said_first_and_commands_after_them_in_order() -> None:
    with midi_child(_started("well"), module=DOUBLE) as ear:
        ear.child.tell(messages.Begin("a"))
        ear.child.tell(messages.Halt("a"))
        eventually(lambda: len(_echoed(ear)) == 2, what="both commands")
        assert ear.all(Ports)[0].why == "well"
        assert _echoed(ear) == ["Begin", "Halt"]


def test_new_settings_are_told() -> None:
    with midi_child(_started("one"), module=DOUBLE) as ear:
        ear.settings = _started("two")
        ear.child.reconfigure()
        ear.waits_for(Ports, lambda told: told.why == "two")


def test_telling_before_the_start_and_after_the_end_is_harmless() -> None:
    ear = Ear(Configure(), None, DOUBLE)
    ear.child.tell(Panic())
    ear.child.start()
    ear.waits_for(Ports)
    ear.child.stop()
    ear.child.tell(Panic())
    assert not ear.child.alive()
    assert not ear.child.crashed()
    ear.child.restart()
    assert not ear.child.alive()


def test_one_that_ended_by_accident_is_a_crash_and_the_next_one_knows_what_the_last_one_knew() -> None:
    with midi_child(module=DOUBLE) as ear:
        ear.child.tell(Play("a", "song.mid", loop=True))
        ear.child.tell(Watch(on=True))
        ear.child.tell(Light(3, "done"))
        eventually(lambda: len(_echoed(ear)) == 3, what="the commands")
        pid = ear.child.pid()
        ear.child.tell(Tempo(1))
        eventually(ear.child.crashed, what="the crash")
        ear.waits_for(Ports, lambda told: "by accident" in told.why)
        ear.forget()
        ear.restart_after(pid)
        eventually(lambda: len(_echoed(ear)) >= 1, what="something to be said again")
    assert _echoed(ear)[0] == "Panic"


def test_one_whose_server_has_ended_is_started_again_at_once_by_itself() -> None:
    with midi_child(module=DOUBLE) as ear:
        ear.waits_for(Ports)
        pid = ear.child.pid()
        ear.child.tell(Tempo(75))
        eventually(lambda: ear.child.alive() and ear.child.pid() != pid, what="another process")
        assert not ear.child.crashed()


def test_one_whose_server_ends_again_and_again_is_left_to_the_supervisor() -> None:
    with midi_child(module=DOUBLE) as ear:
        for _ in range(child.SHORT_LIVES + 1):
            pid = ear.child.pid()
            ear.child.tell(Tempo(75))
            eventually(lambda before=pid: ear.child.pid() != before, what="the end")  # type: ignore[misc]
        eventually(ear.child.crashed, what="a crash")


def test_one_that_does_not_answer_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PING_EVERY_S", 0.05)
    monkeypatch.setattr(child, "LONGEST_START_S", 0.5)
    with midi_child(_started("frozen"), module=DOUBLE) as ear:
        eventually(ear.child.crashed, what="the kill", deadline_s=10)


def test_one_that_answers_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "PING_EVERY_S", 0.02)
    monkeypatch.setattr(child, "MISSED_PINGS", 100)
    with midi_child(module=DOUBLE) as ear:
        ear.waits_for(Ports)
        pid = ear.child.pid()
        time.sleep(0.5)
        assert ear.child.pid() == pid


def test_one_that_will_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "STOP_WITHIN_S", 0.2)
    with midi_child(_started("stays"), module=DOUBLE) as ear:
        ear.waits_for(Ports)
    assert not ear.child.alive()
    assert not ear.child.crashed()


def test_what_cannot_be_read_is_skipped() -> None:
    with midi_child(module=DOUBLE) as ear:
        ear.child.tell(Tempo(2))
        ear.child.tell(Panic())
        eventually(lambda: _echoed(ear) == ["Panic"], what="the message behind it")


def test_the_daemons_secrets_stay_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSICGPT_API_KEY", "secret")
    environment = child_process.environment(child._NO_SERVER_OF_OURS)
    assert "MUSICGPT_API_KEY" not in environment
    assert environment["JACK_NO_START_SERVER"] == "1"


def test_a_log_that_has_grown_large_is_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "midi.log"
    log.parent.mkdir()
    log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    with midi_child(log=log, module=DOUBLE) as ear:
        ear.waits_for(Ports)
    assert log.stat().st_size < 100_000
    assert log.with_name("midi.log.1").exists()


def test_a_python_that_is_not_there_is_a_crash_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    one = MidiChild(Configure, lambda _: None, None, ManualClock())
    with pytest.raises(OSError, match="no/such"):
        one.start()
    assert one.crashed()


# What the next one is told


def _known(*events: messages.Message) -> list[messages.Command]:
    knowledge = Knowledge()
    for event in events:
        if isinstance(event, messages.Told):
            knowledge.heard(event)
        else:
            knowledge.said(event)
    return list(knowledge.again())


def test_connections_come_first_then_silence() -> None:
    joined = Joined(("a",), ("b",))
    assert _known(Joined(("old",), ("b",)), joined) == [joined, Panic()]


def test_what_played_is_armed_and_what_is_over_is_forgotten() -> None:
    plays = [Play(name, f"{name}.mid") for name in "abc"]
    known = _known(*plays, PlayTold("a", "playing"), PlayTold("b", "ended"), PlayTold("c", "armed"))
    assert known == [Panic(), Play("a", "a.mid", armed=True), Play("c", "c.mid", armed=True)]


def test_the_tempo_that_was_tapped_is_kept() -> None:
    tapped = ClockTold("internal", True, 131.5, 0.0, "4/4", 0.0)
    others = ClockTold("DAW", True, 90.0, 0.0, "4/4", 0.0)
    assert _known(Tempo(100.0), tapped, others) == [Panic(), Tempo(131.5)]


def test_lights_and_watching_are_kept_until_the_mappings_change() -> None:
    assert _known(Light(1, "done"), Light(1, "failed"), Watch(on=True)) == [
        Panic(),
        Watch(on=True),
        Light(1, "failed"),
    ]
    assert _known(Light(1, "done"), Configure()) == [Panic()]
