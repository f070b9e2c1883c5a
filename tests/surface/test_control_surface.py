"""Presses become actions, events become lights: with a MIDI process and a keyboard in memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from bridge import config
from bridge.config import Settings
from bridge.errors import ConfigError, NoMidi
from bridge.jobs.events import EventFeed
from bridge.jobs.model import ConversionState, Fingerprint, JobRequest
from bridge.midi import messages
from bridge.midi.child import MidiChild
from bridge.midi.messages import Command, Configure, Halt, Light, Panic, Play, PlayTold, Ports, Pressed, Tap
from bridge.surface.control_surface import ControlSurface
from bridge.surface.memory import Memory
from bridge.testing import ManualClock
from bridge.triggers.hotkey import Hotkeys, HotkeyState
from support.desk import Desk
from support.polling import eventually

C = ConversionState
CONFIG = """
[[pads]]
message = "note 36"
action = "convert-latest"
with = { preset = "less-noise" }
variants = [{ up_to = 63, with = { preset = "dry" } }]

[[pads]]
message = "note 37"
action = "panic"

[[pads]]
message = "note 38"
action = "tap_tempo"

[[pads]]
message = "note 39"
action = "slot"
with = { slot = 1 }

[[pads]]
message = "note 40"
action = "next_preset"

[[hotkeys]]
keys = "ctrl+alt+h"
action = "convert-latest"
"""
OPEN = Ports("jack", listening=("Pads",), playing_to=("DAW Bridge",))


class ChildInMemory:
    """Notes what it is told; tests speak in its name."""

    def __init__(
        self, configure: Callable[[], Configure], say: Callable[[messages.Told], None], log: Path, clock: Any
    ) -> None:
        self.configure, self.say, self.log_file = configure, say, log
        self.told: list[Command] = []
        self.running = False

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def alive(self) -> bool:
        return self.running

    def tell(self, command: Command) -> None:
        self.told.append(command)

    def reconfigure(self) -> None:
        self.tell(self.configure())

    def lights(self) -> dict[int, str]:
        return {one.pad: one.state for one in self.told if isinstance(one, Light)}


class KeysInMemory:
    made: ClassVar[list[KeysInMemory]] = []

    def __init__(self, bindings: list[tuple[str, int]], on_press: Callable[[int], None]) -> None:
        self.bindings, self.press = bindings, on_press
        self.running = False
        self.made.append(self)

    def start(self) -> None:
        self.running = True

    def stop(self) -> None:
        self.running = False

    def state(self) -> HotkeyState:
        return HotkeyState(ready=self.running, why="", remedy="")


class Place:
    def __init__(self, folder: Path, text: str = CONFIG) -> None:
        self.desk = Desk(folder)
        self.home = self.desk.home
        self.home.mkdir()
        self.write(text)
        KeysInMemory.made = []
        self.feed = EventFeed(self.desk.journal, ManualClock())
        self.surface = ControlSurface(
            self.desk,
            self.settings(),
            Memory(self.home),
            self.feed,
            ManualClock(),
            make_child=cast("Callable[..., MidiChild]", ChildInMemory),
            make_hotkeys=cast("Callable[..., Hotkeys[int]]", KeysInMemory),
        )
        self.desk.surface = cast("Any", self.surface)
        self.child = cast("ChildInMemory", self.surface.midi)

    def write(self, text: str) -> None:
        (self.home / config.CONFIG_NAME).write_text(text, encoding="utf-8")

    def settings(self) -> Settings:
        return config.load(self.home, {})

    def bounce(self) -> int:
        path = self.desk.folder / "take.wav"
        path.write_bytes(b"RIFF")
        request = JobRequest(path, Fingerprint.of(path), "audio-to-midi", self.desk.folder, trigger="folder")
        return self.desk.submit(request)

    def done(self, job: int) -> None:
        detail = self.desk.journal.detail(job)
        assert detail is not None
        self.desk.journal.move_conversion(detail.conversions[0].id, C.QUEUED, C.DONE)

    def requests(self, count: int) -> list[JobRequest]:
        eventually(lambda: len(self.desk.requests) >= count, what=f"{count} requests")
        return self.desk.requests

    def close(self) -> None:
        self.surface.stop()
        self.desk.journal.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.surface.start()
    made.child.say(OPEN)
    yield made
    made.close()


def test_a_pad_converts_the_latest_bounce_with_its_preset(place: Place) -> None:
    place.bounce()
    place.child.say(Pressed(0, 100, 1.0))
    request = place.requests(2)[-1]
    assert (request.preset, request.trigger, request.as_known) == ("less-noise", "pad note 36", True)
    place.child.say(Pressed(0, 20, 2.0))
    assert place.requests(3)[-1].preset == "dry"


def test_a_key_takes_the_preset_at_hand(place: Place) -> None:
    place.bounce()
    place.surface.select("stems")
    (keys,) = KeysInMemory.made
    assert (keys.running, keys.bindings) == (True, [("ctrl+alt+h", 0)])
    keys.press(0)
    request = place.requests(2)[-1]
    assert (request.preset, request.trigger) == ("stems", "keys ctrl+alt+h")


def test_each_press_is_one_job(place: Place) -> None:
    place.bounce()
    for number in range(50):
        place.child.say(Pressed(0, 100, float(number)))
    assert len(place.requests(51)) == 51


def test_what_only_hands_on_a_command_is_done_where_the_press_arrives(place: Place) -> None:
    place.child.say(Pressed(1, 100, 1.0))
    place.child.say(Pressed(2, 100, 12.25))
    assert place.child.told[-2:] == [Panic(), Tap(12.25)]


def test_a_press_that_fails_says_why_and_its_pad_shows_it(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "bridge")
    logging.getLogger("bridge").propagate = True
    place.child.say(Pressed(0, 100, 1.0))
    eventually(lambda: Light(0, "failed") in place.child.told, what="the light")
    assert "there is no bounce yet" in caplog.text
    eventually(lambda: place.child.lights()[0] == "ready", what="the light to go back")


def test_a_press_of_a_mapping_that_is_gone_is_nothing(place: Place) -> None:
    place.child.say(Pressed(99, 100, 1.0))
    place.child.say(Pressed(1, 100, 1.0))
    assert place.child.told[-1] == Panic()


def test_lights_follow_the_jobs(place: Place) -> None:
    assert place.child.lights() == {0: "ready", 1: "ready", 2: "ready", 3: "off", 4: "ready"}
    place.bounce()
    place.child.say(Pressed(0, 100, 1.0))
    place.requests(2)
    eventually(lambda: place.desk.journal.job(2), what="the job")
    eventually(lambda: place.child.lights()[0] == "queued", what="the light to change")
    place.done(2)
    eventually(lambda: place.child.lights()[0] == "done", what="the light to change")


def test_all_lights_are_told_again_to_a_process_that_was_started_again(place: Place) -> None:
    place.child.told.clear()
    place.child.say(OPEN)
    assert set(place.child.lights()) == {0, 1, 2, 3, 4}


def test_a_slot_shows_what_plays_and_forgets_what_has_ended(place: Place) -> None:
    job = place.bounce()
    place.done(job)
    place.desk.notes[job] = {"midi": "armed"}
    place.child.say(Pressed(3, 100, 1.0))
    eventually(lambda: place.surface.slots == {1: job}, what="the slot")
    place.child.say(PlayTold(f"{job}/midi", "playing"))
    assert place.child.lights()[3] == "playing"
    place.child.say(Pressed(3, 100, 2.0))
    eventually(lambda: Halt(str(job)) in place.child.told, what="the stop")
    place.child.say(PlayTold(f"{job}/midi", "stopped"))
    assert place.child.lights()[3] == "ready"
    assert place.surface.playing() == {}


def test_an_order_to_play_needs_a_port(place: Place) -> None:
    order = Play("1/1", "x.mid", armed=True)
    assert place.surface.play(order) == ""
    assert place.surface.playing() == {"1/1": "armed"}
    place.child.say(Ports("", why="there is no JACK server.", remedy="Start one."))
    assert "no MIDI port" in place.surface.play(order)
    assert [one for one in place.child.told if isinstance(one, Play)] == [order]


def test_an_order_to_a_port_that_is_not_there_is_not_played(place: Place) -> None:
    place.child.say(Ports("jack", outputs=("Synth:in",), virtual=("DAW Bridge",)))
    assert place.surface.play(Play("1/1", "x.mid", port="synth")) == ""
    assert place.surface.play(Play("1/2", "x.mid", port="DAW*")) == ""
    assert "no port is like “Nope”" in place.surface.play(Play("1/3", "x.mid", port="Nope"))
    assert set(place.surface.playing()) == {"1/1", "1/2"}


def test_the_settings_are_taken_up_anew(place: Place) -> None:
    place.write('[[pads]]\nmessage = "note 1"\naction = "stop"\n')
    assert place.surface.reload() == 1
    assert [one for one in place.child.told if isinstance(one, Configure)][-1].pads[0].message == "note 1"
    assert [keys.running for keys in KeysInMemory.made] == [False]
    place.child.say(Pressed(0, 100, 1.0))
    eventually(lambda: place.child.told[-1] == Halt(""), what="the stop")


def test_faulty_settings_change_nothing(place: Place) -> None:
    place.write('[[pads]]\nmessage = "note 1"\naction = "stopp"\n')
    with pytest.raises(ConfigError, match="Did you mean 'stop'"):
        place.surface.reload()
    place.child.say(Pressed(1, 100, 1.0))
    assert place.child.told[-1] == Panic()
    assert KeysInMemory.made[-1].running


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[pads]]\nmessage = "note 1"\naction = "conwert"', "pads[1].action: there is no action 'conwert'"),
        (
            '[[pads]]\nmessage = "note 1"\naction = "panic"\nwith = { hard = true }',
            "pads[1].with: the action 'panic' does not know 'hard'",
        ),
        (
            '[[hotkeys]]\nkeys = "ctrl+alt+x"\naction = "slot"',
            "hotkeys[1].with: the action 'slot' needs 'slot'",
        ),
        (
            '[[pads]]\nmessage = "note 1"\naction = "stream"\nwith = { when = "soon" }',
            "pads[1].with: 'when' must be one of now, beat, bar, armed, not 'soon'",
        ),
        (
            '[[pads]]\nmessage = "note 1"\naction = "slot"\nvariants = [{ up_to = 9, with = { slot = 0 } }]',
            "pads[1].with: 'slot' must be a number from 1 to 128, not 0",
        ),
        ('[[hotkeys]]\nkeys = "f5"\naction = "tempo"\nwith = { bpm = "fast" }', "'bpm' must be a number"),
        ('[[hotkeys]]\nkeys = "f5"\naction = "transport"\nwith = { do = "go" }', "'do' must be one of start"),
        ('[[hotkeys]]\nkeys = "f5"\naction = "loop"\nwith = { on = "maybe" }', "'on' must be true or false"),
    ],
)
def test_pads_and_keys_that_lead_nowhere_are_told_at_the_start(tmp_path: Path, text: str, words: str) -> None:
    place = Place(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        place.surface.start()
    assert words in str(caught.value)
    assert not place.child.running
    place.close()


def test_presets_that_are_not_there_are_told_and_hinder_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("bridge").propagate = True
    place = Place(
        tmp_path,
        """
        midi.presets = ["stems", "nope"]
        [[pads]]
        message = "note 1"
        action = "convert_latest"
        variants = [{ up_to = 63, with = { preset = "stem" } }, { up_to = 127, with = { preset = "stems" } }]
        """,
    )
    place.surface.start()
    assert "midi.presets: there is no preset 'nope'" in caplog.text
    assert "pads[1]: there is no preset 'stem'. Did you mean 'stems'?" in caplog.text
    assert len(caplog.records) == 2
    place.close()


def test_midi_can_be_turned_off(tmp_path: Path) -> None:
    place = Place(tmp_path, "[midi]\nenabled = false\n")
    place.surface.start()
    assert not place.child.running
    assert "turned off" in place.surface.play(Play("1/1", "x.mid"))
    with pytest.raises(NoMidi, match="turned off"):
        place.surface.tell(Panic())
    place.close()


def test_what_a_clock_says_is_kept_and_shown(place: Place) -> None:
    place.child.say(messages.ClockTold("Live", True, 100.0, 0.0, "4/4", 1_800_000_000.0))
    heard = place.surface.overheard(1_800_000_001.0, 60.0)
    assert heard is not None
    assert heard.source == "clock of Live"
    status = place.surface.status()
    assert status["clock"] == {"source": "Live", "running": True, "bpm": 100.0}
    assert (status["api"], status["listening"], status["hotkeys"]["ready"]) == ("jack", ["Pads"], True)


def test_the_feed_tells_of_ports_presets_and_playings(place: Place) -> None:
    with place.feed.subscribe() as events:
        place.surface.select("stems")
        place.child.say(PlayTold("1/1", "playing"))
        place.child.say(Ports("jack", listening=("Keys",), playing_to=("DAW Bridge",)))
        kinds = [events.get(timeout=30).kind for _ in range(3)]
    assert kinds == ["preset.selected", "playing.state", "midi.ports"]


def test_ports_of_others_are_no_news(place: Place) -> None:
    with place.feed.subscribe() as events:
        place.child.say(Ports("jack", listening=("Keys",)))
        place.child.say(Ports("jack", listening=("Keys",), inputs=("Keys", "Mouse"), outputs=("Synth",)))
        place.child.say(Ports("jack", listening=()))
        told = [events.get(timeout=30).data["listening"] for _ in range(2)]
    assert told == [["Keys"], []]


def test_it_ends_while_an_action_is_under_way(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.bounce()
    held = threading.Event()
    place.desk.submit = lambda request: held.wait(30) or 0  # type: ignore[method-assign]
    place.surface.start()
    place.child.say(Pressed(0, 100, 1.0))
    place.close()
    held.set()
    assert not place.child.running
