"""From a pad to a job and back to the ear: a real bridge between a controller, a clock and a track."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.jobs.model import JobState
from support.bridge_process import BridgeProcess
from support.jack import JackServer, Listener, listening, needs_jack, sounding_at_the_end, until_quiet
from support.polling import eventually
from support.tones import write_tone

pytestmark = [needs_jack, pytest.mark.slow]

LAUNCHPAD, DAW, OWN = "Launchpad X LPX MIDI", "DAW", "DAW Bridge:DAW Bridge"
CONVERT, STOP, SLOT = 36, 37, 38
CONTROLS = f"""
[[pads]]
message = "note {CONVERT}"
action = "convert_latest"
with = {{ preset = "play" }}
[[pads]]
message = "note {STOP}"
action = "stop"
[[pads]]
message = "note {SLOT}"
action = "slot"
with = {{ slot = 1, when = "beat" }}
"""
READY, DONE, ARMED = 1, 21, 45
"""Colours of a Launchpad X."""
PROGRAMMER_MODE, LIVE_MODE = ((0xF0, 0x00, 0x20, 0x29, 0x02, 0x0C, 0x0E, mode, 0xF7) for mode in (0x01, 0x00))
TICK, START = (0xF8,), (0xFA,)
BEAT_S, BEATS_A_BAR, TICKS_A_BEAT = 0.5, 4, 24
ON_THE_BAR_S = 0.15
"""Far from the next beat, and more than a busy machine is late."""


@contextmanager
def clock_of(daw: Listener) -> Iterator[float]:
    """A DAW whose transport runs at 120 BPM since the time that is given, when bar 1 was."""
    begins = time.perf_counter() + 0.2
    over = threading.Event()

    def play() -> None:
        for number in range(1_000_000):
            at_s = begins + number * BEAT_S / TICKS_A_BEAT
            if over.wait(max(0.0, at_s - 0.1 - time.perf_counter())):
                return
            daw.send_at(at_s, *([START, TICK] if number == 0 else [TICK]))

    thread = threading.Thread(target=play)
    thread.start()
    eventually(lambda: time.perf_counter() > begins + 2 * BEAT_S, what="two beats")
    try:
        yield begins
    finally:
        over.set()
        thread.join()


def press(controller: Listener, pad: int) -> None:
    controller.send((0x90, pad, 100))
    controller.send((0x90, pad, 0))


def light(controller: Listener, pad: int) -> int:
    """The colour that a pad of the controller shows; 0: dark."""
    shown = [data for data in controller.messages() if data[:2] in ((0x90, pad), (0x80, pad))]
    return shown[-1][2] if shown and shown[-1][0] == 0x90 else 0


def notes(track: Listener) -> list[tuple[float, int]]:
    """When which keys went down."""
    return [(at_s, data[1]) for _, at_s, data in track.heard() if data[0] & 0xF0 == 0x90 and data[2]]


@pytest.fixture
def bridge(tmp_path: Path, models_folder: Path) -> Iterator[BridgeProcess]:
    made = BridgeProcess(tmp_path, models_folder, more=CONTROLS)
    yield made
    made.close()


def test_a_pad_converts_a_bounce_that_plays_on_the_next_bar(bridge: BridgeProcess) -> None:
    with (
        JackServer() as server,
        listening(server, LAUNCHPAD) as pads,
        listening(server, DAW) as daw,
        listening(server, "track") as track,
    ):
        bridge.start()
        server.connect(OWN, "track:in")
        eventually(lambda: light(pads, CONVERT) == READY, what="the pad to be ready")
        assert PROGRAMMER_MODE in pads.messages()
        write_tone(bridge.watched / "loop_120bpm.wav", seconds=4.0)
        bridge.settled(1)

        with clock_of(daw) as bar_one:
            press(pads, CONVERT)
            job = bridge.settled(2)[0].job
            assert (job.trigger, job.preset, job.state) == ("pad note 36", "play", JobState.DONE)
            eventually(lambda: light(pads, CONVERT) == DONE, what="the light of what is done")
            eventually(lambda: notes(track), what="the first note")
            bars = (notes(track)[0][0] - bar_one) / (BEAT_S * BEATS_A_BAR)
            assert abs(bars - round(bars)) * BEAT_S * BEATS_A_BAR < ON_THE_BAR_S
            press(pads, STOP)
            assert sounding_at_the_end(until_quiet(track, quiet_s=1.0)) == set()

            press(pads, SLOT)
            eventually(lambda: light(pads, SLOT) == ARMED, what="the light of a slot that is armed")
            track.forget()
            press(pads, SLOT)
            eventually(lambda: notes(track), what="the notes of the slot")
            press(pads, SLOT)
            assert sounding_at_the_end(until_quiet(track, quiet_s=1.0)) == set()

        bridge.stop()
        assert pads.messages().count(LIVE_MODE) == 1
        assert light(pads, CONVERT) == 0
