"""No note hangs, whatever happens: seeded sequences of starts, stops, jumps, kills and plugs being pulled.

The judge is a program at the JACK server that is none of ours. BRIDGE_FAULT_ROUNDS says how many sequences
there are; scripts/prove.py does a thousand.
"""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridge.midi import messages
from bridge.midi.messages import Begin, Configure, Halt, Loop, Panic, Play, Ports, Tempo, Transport
from support.jack import JackServer, Listener, needs_jack, sounding_at_the_end, until_quiet
from support.midi_parents import midi_child
from support.polling import eventually
from support.songs import write_song

pytestmark = needs_jack

OWN, HEARD = "DAW Bridge:DAW Bridge", "listener:in"
ROUNDS = int(os.environ.get("BRIDGE_FAULT_ROUNDS", "50"))
LONG_ROUNDS = 1000
SONGS = 3


class Stage:
    """A JACK server, a listener, and a MIDI process that its supervisor looks after."""

    def __init__(self, stack: ExitStack, folder: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.server = stack.enter_context(JackServer())
        self._log = folder / "midi.log"
        self.ear = stack.enter_context(midi_child(Configure(clock="internal"), self._log))
        self.listener = Listener(self.server)
        stack.callback(self._close_listener)
        self.songs = [self._song(folder, number) for number in range(SONGS)]
        self._join()

    def _song(self, folder: Path, number: int) -> Path:
        beats = [self.chance.random() * 8 for _ in range(60)]
        notes = [(beat, self.chance.choice((0.1, 0.5, 3.0)), self.chance.randrange(40, 60)) for beat in beats]
        return write_song(folder / f"{number}.mid", notes, bpm=140)

    def _close_listener(self) -> None:
        self.listener.close()

    def _join(self) -> None:
        self.server.connect(OWN, HEARD)

    def acts(self) -> dict[Callable[[], None], int]:
        """What can happen, and how often it does."""
        return {
            self.start: 30,
            self.begin: 15,
            self.stop: 15,
            self.locate: 10,
            self.transport: 10,
            self.tempo: 6,
            self.loop: 5,
            self.panic: 3,
        }

    def start(self) -> None:
        number, loop = self.chance.randrange(SONGS), self.chance.random() < 0.5
        when: messages.Quantum = self.chance.choice(("now", "beat"))
        self.ear.child.tell(Play(f"play/{number}", str(self.songs[number]), when=when, loop=loop))

    def begin(self) -> None:
        self.ear.child.tell(Begin(f"play/{self.chance.randrange(SONGS)}", when="now"))

    def stop(self) -> None:
        self.ear.child.tell(Halt(f"play/{self.chance.randrange(SONGS)}"))

    def locate(self) -> None:
        self.ear.child.tell(Transport("continue", beat=self.chance.random() * 16))

    def transport(self) -> None:
        self.ear.child.tell(Transport(self.chance.choice(("start", "stop", "continue"))))

    def tempo(self) -> None:
        self.ear.child.tell(Tempo(self.chance.choice((60.0, 120.0, 240.0))))

    def loop(self) -> None:
        self.ear.child.tell(Loop(f"play/{self.chance.randrange(SONGS)}"))

    def panic(self) -> None:
        self.ear.child.tell(Panic())

    def quick_sequence(self) -> None:
        acts = self.acts()
        for _ in range(self.chance.randrange(4, 16)):
            self.chance.choices(list(acts), list(acts.values()))[0]()
            time.sleep(self.chance.choice((0, 0, 0.003, 0.02, 0.08)))

    # How a sequence ends

    def halt(self) -> None:
        self.ear.child.tell(Halt())

    def kill(self) -> None:
        """The MIDI process is killed, and comes back."""
        self.ear.answers()
        pid = self.ear.child.pid()
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        self.ear.restart_after(pid)
        eventually(lambda: HEARD in self.server.connections(OWN), what="the connection again", every_s=0.05)

    def pull(self) -> None:
        """What we play to is unplugged in mid-note, and plugged in again."""
        self.ear.forget()
        self.listener.close()
        self.listener = Listener(self.server)
        self._join()
        self.ear.child.tell(Halt())

    def reconfigure(self) -> None:
        """New settings while it plays: ports are closed and opened again."""
        self.ear.settings = Configure(clock="internal", through=not self.ear.settings.through)
        self.ear.child.reconfigure()
        self.ear.child.tell(Halt())
        self.ear.answers()
        self._join()

    def end_server(self) -> None:
        self.ear.answers()
        self.ear.forget()
        self.server.kill(self.chance.choice((signal.SIGKILL, signal.SIGTERM)))
        self.listener.close()
        self.ear.waits_for(Ports, lambda told: not told.api)
        self.server.start()
        self.listener = Listener(self.server)
        eventually(lambda: OWN in self.server.ports(), what="our port", every_s=0.05)
        self._join()
        self.ear.child.tell(Halt())


ENDS = {Stage.halt: 70, Stage.kill: 14, Stage.pull: 8, Stage.reconfigure: 4, Stage.end_server: 4}


@pytest.fixture
def stage(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(stack, tmp_path, seed=request.param)


def _rounds(stage: Stage, rounds: int) -> None:
    played = 0
    for number in range(rounds):
        stage.quick_sequence()
        end = stage.chance.choices(list(ENDS), list(ENDS.values()))[0]
        end(stage)
        assert stage.ear.answers()
        heard = until_quiet(stage.listener, 0.12)
        played += sum(data[0] & 0xF0 == 0x90 for data in heard)
        hanging = sounding_at_the_end(heard)
        assert not hanging, f"sequence {number}, ended by {end.__name__}: {hanging} hang"
        _pedals_are_up_and_bends_are_back(heard)
        stage.listener.forget()
        stage.ear.child.tell(messages.Transport("start"))
    assert played > rounds, "hardly anything was played"


def _pedals_are_up_and_bends_are_back(heard: list[tuple[int, ...]]) -> None:
    last: dict[tuple[int, int], tuple[int, ...]] = {}
    for data in heard:
        if data[0] & 0xF0 == 0xE0 or (data[0] & 0xF0 == 0xB0 and data[1] == 64):
            last[data[0], data[1] if data[0] & 0xF0 == 0xB0 else 0] = data
    for (status, _), data in last.items():
        assert data[2] == (64 if status & 0xF0 == 0xE0 else 0)


@pytest.mark.slow
@pytest.mark.parametrize("stage", [1], indirect=True)
@pytest.mark.timeout(600)
def test_no_note_hangs(stage: Stage) -> None:
    _rounds(stage, ROUNDS)


@pytest.mark.long
@pytest.mark.parametrize("stage", [2], indirect=True)
@pytest.mark.timeout(3600)
def test_no_note_hangs_in_a_thousand_sequences(stage: Stage) -> None:
    _rounds(stage, LONG_ROUNDS)
