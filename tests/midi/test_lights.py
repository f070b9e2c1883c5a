"""Pad lights: what is sent to which controller, and when it blinks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.midi import controller_maps
from bridge.midi.controller_maps import STATES, check, chosen, recognised, shipped
from bridge.midi.lights import SHORTEST_S, Lights
from bridge.midi.messages import LightState, PadSpec
from bridge.midi.timing import BeatClock

LAUNCHPAD = "Launchpad X:Launchpad X LPX MIDI In"
PROGRAMMER = (0xF0, 0x00, 0x20, 0x29, 0x02, 0x0C, 0x0E, 0x01, 0xF7)
LIVE = (*PROGRAMMER[:7], 0x00, 0xF7)


@dataclass
class Clock:
    """A clock at `bpm` whose beat 0 was at second 0; `late_beats` is how far it jumps back."""

    bpm: float = 120.0
    running: bool = False
    source: str = "internal"
    jumps: int = 0
    late_beats: float = 0.0

    def beat_at(self, at_s: float) -> float:
        return at_s * self.bpm / 60 - self.late_beats

    def time_of(self, beat: float) -> float:
        return (beat + self.late_beats) * 60 / self.bpm if self.running else math.inf


STOPPED: BeatClock = Clock()


def lit(pads: Sequence[PadSpec], port: str = LAUNCHPAD, controller: str = "auto") -> Lights:
    """Lights on an open port, with what is sent first sent already."""
    lights = Lights(pads, controller)
    assert lights.pair([port], ["Other", port]) == (port,)
    lights.connected(port)
    lights.due(STOPPED, 0.0)
    return lights


def sent(lights: Lights, clock: BeatClock = STOPPED, now: float = 0.0) -> list[tuple[int, ...]]:
    return [data for _, data in lights.due(clock, now)]


def test_a_controller_is_prepared_first_and_then_shows_everything() -> None:
    lights = Lights([PadSpec("note 11"), PadSpec("cc 91"), PadSpec("mmc play")])
    lights.set(0, "done")
    assert lights.pair([LAUNCHPAD], [LAUNCHPAD]) == (LAUNCHPAD,)
    assert lights.due(STOPPED, 0.0) == []  # not open yet
    lights.connected(LAUNCHPAD)
    assert lights.next_at(STOPPED, 5.0) == 5.0
    assert sent(lights) == [PROGRAMMER, (0x90, 11, 21), (0xB0, 91, 0)]
    assert sent(lights) == []
    assert lights.next_at(STOPPED, 5.0) == math.inf


def test_only_changes_are_sent() -> None:
    lights = lit([PadSpec("note 11"), PadSpec("note 12")])
    lights.set(0, "done")
    lights.set(0, "failed")
    lights.set(0, "done")
    assert sent(lights) == [(0x90, 11, 21)]
    lights.set(0, "done")
    lights.set(1, "off")
    lights.set(7, "done")  # of no mapping
    assert lights.next_at(STOPPED, 5.0) == math.inf
    assert sent(lights) == []


def test_unplugged_and_plugged_in_again_it_shows_the_same_again() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "done")
    sent(lights)
    assert lights.pair(["Other"], ["Other"]) == ()
    lights.set(0, "failed")
    assert sent(lights) == []
    lights.set(0, "done")
    lights.pair([LAUNCHPAD], [LAUNCHPAD])
    assert sent(lights) == []
    lights.connected(LAUNCHPAD)
    assert sent(lights) == [PROGRAMMER, (0x90, 11, 21)]


def test_a_port_that_is_opened_again_is_told_everything_again() -> None:
    lights = lit([PadSpec("note 11"), PadSpec("note 12")])
    lights.set(0, "done")
    sent(lights)
    lights.connected(LAUNCHPAD)
    assert sent(lights) == [PROGRAMMER, (0x90, 11, 21), (0x90, 12, 0)]


def test_other_ports_that_come_and_go_change_nothing() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "done")
    sent(lights)
    assert lights.pair(["Keys", LAUNCHPAD], [LAUNCHPAD, "Keys"]) == (LAUNCHPAD,)
    assert sent(lights) == []
    lights.set(0, "off")
    assert sent(lights) == [(0x90, 11, 0)]


def test_at_the_end_every_light_goes_out_and_the_controller_is_given_back() -> None:
    lights = lit([PadSpec("note 11"), PadSpec("note 12")])
    lights.set(0, "running")
    sent(lights)
    assert lights.farewell() == [(LAUNCHPAD, (0x90, 11, 0)), (LAUNCHPAD, LIVE)]
    lights.set(0, "done")
    assert lights.farewell() == []
    assert sent(lights) == []


def test_a_light_with_several_mappings_shows_the_most_telling() -> None:
    lights = lit([PadSpec("note 11"), PadSpec("note 11", "long"), PadSpec("note 11", "double")])
    lights.set(0, "ready")
    lights.set(1, "failed")
    lights.set(2, "done")
    assert sent(lights) == [(0x90, 11, 5)]
    lights.set(1, "off")
    assert sent(lights) == [(0x90, 11, 21)]
    lights.set(2, "off")
    assert sent(lights) == [(0x90, 11, 1)]


def test_the_light_belongs_to_the_port_that_the_pad_is_on() -> None:
    other = "Launchpad MK2"
    lights = Lights([PadSpec("note 11", port="LPX"), PadSpec("note 11", port="MK2")])
    assert set(lights.pair([LAUNCHPAD, other], [LAUNCHPAD, other])) == {LAUNCHPAD, other}
    lights.connected(LAUNCHPAD)
    lights.connected(other)
    sent(lights)
    lights.set(1, "done")
    assert lights.due(STOPPED, 0.0) == [(other, (0x90, 11, 21))]


def test_nothing_is_sent_to_what_is_not_known_or_not_mapped() -> None:
    lights = Lights([PadSpec("note 60"), PadSpec("cc 20 relative"), PadSpec("note 11", port="Elsewhere")])
    assert lights.pair(["Grand Piano"], ["Grand Piano"]) == ()
    lights = Lights([PadSpec("note 11", port="Elsewhere")])
    assert lights.pair([LAUNCHPAD], [LAUNCHPAD]) == ()
    assert Lights([PadSpec("note 11")], "none").pair([LAUNCHPAD], [LAUNCHPAD]) == ()
    assert Lights([PadSpec("note 11")]).pair([LAUNCHPAD], ["Other"]) == ()


def test_a_generic_controller_gets_its_own_messages_back() -> None:
    lights = lit([PadSpec("note 60", channel=10), PadSpec("cc 20", channel=3)], "Beats", "generic")
    lights.set(0, "done")
    lights.set(1, "playing")
    assert sent(lights) == [(0x99, 60, 127), (0xB2, 20, 127)]
    assert [data for _, data in lights.farewell()] == [(0x99, 60, 0), (0xB2, 20, 0)]


@pytest.mark.parametrize(
    ("source", "destination"),
    [
        ("Launchpad X LPX MIDI Out", "Launchpad X LPX MIDI In"),
        ("MIDIIN2 (LPX MIDI)", "MIDIOUT2 (LPX MIDI)"),
        ("a2j:Launchpad Mini [20] (capture): Launchpad Mini MIDI 1", None),
        ("nanoKONTROL2 SLIDER/KNOB", "nanoKONTROL2 CTRL"),  # by what both are
    ],
)
def test_the_two_sides_of_a_device_are_found_by_their_names(source: str, destination: str | None) -> None:
    there = destination or source.replace("capture", "playback")
    lights = Lights([PadSpec("note 11"), PadSpec("cc 41")])
    assert lights.pair([source], ["Synth", there]) == (there,)


# Blinking


def changes(lights: Lights, clock: Clock, seconds: float, start: float = 0.0) -> list[tuple[float, int]]:
    """The colours that a single light is sent, with their times, as the heart would do it."""
    now, found = start, []
    looks = 0
    while now < start + seconds:
        found += [(now, data[2]) for data in sent(lights, clock, now)]
        now = max(lights.next_at(clock, now), now)
        looks += 1
        assert looks < 20 * (len(found) + 5), "it asks again and again for nothing"
    return found


def test_blinking_goes_with_the_clock() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "running")  # one beat: half of it yellow
    clock = Clock(bpm=100.0, running=True)
    found = changes(lights, clock, 3.0)
    assert [colour for _, colour in found] == [13, 0] * 5
    assert [at_s for at_s, _ in found] == pytest.approx([0.3 * number for number in range(10)])


def test_blinking_goes_on_without_a_clock() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "queued")
    found = changes(lights, Clock(), 4.0, start=1000.0)
    assert [at_s for at_s, _ in found] == pytest.approx([1000.0 + number / 2 for number in range(8)])


def test_two_lights_blink_together() -> None:
    lights = lit([PadSpec("note 11"), PadSpec("note 12")])
    clock = Clock(running=True)
    lights.set(0, "running")
    sent(lights, clock, 0.1)
    lights.set(1, "running")
    sent(lights, clock, 0.2)
    assert [data[2] for data in sent(lights, clock, 0.25)] == [0, 0]


def test_a_state_may_change_between_two_colours() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "needs_you")
    assert {colour for _, colour in changes(lights, Clock(), 2.0)} == {53, 5}


def test_a_clock_that_jumps_to_and_fro_makes_no_light_flicker() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "running")
    clock = Clock(bpm=120.0, running=True)
    times = []
    for step in range(4000):
        now = step * 0.001
        clock.late_beats = 0.004 if step % 2 else 0.0
        times += [now for _ in sent(lights, clock, now)]
    assert len(times) <= 17  # two a beat, eight beats
    assert min(later - sooner for sooner, later in pairwise(times)) >= SHORTEST_S


def test_however_fast_the_clock_is_lights_do_not_flood_the_port() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "failed")
    found = changes(lights, Clock(bpm=6000.0, running=True), 2.0)
    assert len(found) <= 2.0 / SHORTEST_S + 2


def test_blinking_ends_with_its_state() -> None:
    lights = lit([PadSpec("note 11")])
    lights.set(0, "running")
    changes(lights, Clock(), 1.2)
    lights.set(0, "done")
    assert changes(lights, Clock(), 3.0, start=2.0) == [(2.0, 21)]


# Controllers


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_controller_shows_each_state_that_matters(name: str) -> None:
    controller = shipped()[name]
    assert controller.title
    assert controller.lamps
    assert bool(controller.ports) == (name != "generic")
    for lamp in controller.lamps:
        assert set(lamp.shades) == set(STATES)
        telling: tuple[LightState, ...] = (
            "off",
            "queued",
            "running",
            "done",
            "failed",
            "needs_you",
            "playing",
        )
        looks = {(lamp.shades[state].colour, lamp.shades[state].blink) for state in telling}
        assert len(looks) >= 5, "too many states look the same"
        for number in (lamp.numbers[0], lamp.numbers[-1]):
            message = lamp.place(number, 1)
            assert message.count(None) == 1
            assert number in message


@pytest.mark.parametrize(
    ("port", "name"),
    [
        ("Launchpad Mini MK3:Launchpad Mini MK3 LPMiniMK3 MI", "launchpad-mini-mk3"),
        ("Launchpad Mini MK3:Launchpad Mini MK3 LPMiniMK3 DA", None),
        ("Launchpad Mini MK3 LPMiniMK3 MIDI Out", "launchpad-mini-mk3"),
        ("LPMiniMK3 MIDI", None),  # on Windows the first is the DAW's
        ("MIDIIN2 (LPMiniMK3 MIDI)", "launchpad-mini-mk3"),
        ("Launchpad X LPX MIDI Out", "launchpad-x"),
        ("Launchpad X LPX DAW Out", None),
        ("MIDIIN2 (LPX MIDI)", "launchpad-x"),
        ("Launchpad Pro MK3 LPProMK3 MIDI", "launchpad-pro-mk3"),
        ("LPProMK3 MIDI", "launchpad-pro-mk3"),
        ("MIDIIN2 (LPProMK3 MIDI)", None),
        ("Launchpad Pro Standalone Port", "launchpad-pro"),
        ("Launchpad Pro Live Port", None),
        ("MIDIIN2 (Launchpad Pro)", "launchpad-pro"),
        ("Launchpad MK2", "launchpad-mk2"),
        ("Launchpad Mini:Launchpad Mini MIDI 1", "launchpad"),
        ("Launchpad S", "launchpad"),
        ("Launchpad", "launchpad"),
        ("APC MINI:APC MINI MIDI 1", "apc-mini"),
        ("APC mini mk2:APC mini mk2 APC mini mk2 Contro", "apc-mini-mk2"),
        ("APC mini mk2 Notes", None),
        ("MIDIIN2 (APC mini mk2)", None),
        ("nanoKONTROL2:nanoKONTROL2 nanoKONTROL2 _ CTRL", "nanokontrol2"),
        ("Grand Piano", None),
    ],
)
def test_controllers_are_recognised_by_their_ports(port: str, name: str | None) -> None:
    found = recognised(port)
    assert (found.name if found else None) == name


OWN = """
ports = ["Homemade"]
[[lights]]
message = "note"
numbers = [1, 4]
send = "F0 7D nn vv F7"
colours = "mine"
[colours.mine]
off = 3
done = { colour = 9, blink = 1 }
"""


def test_a_file_of_one_s_own_holds_for_the_ports_that_it_names(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN, encoding="utf-8")
    check(str(path))
    lights = lit([PadSpec("note 2"), PadSpec("note 11")], "Homemade", str(path))
    lights.set(0, "done")
    assert {data for _, data in lights.due(STOPPED, 0.0)} == {(0xF0, 0x7D, 2, 9, 0xF7)}
    assert sent(lights, now=0.25) == [(0xF0, 0x7D, 2, 3, 0xF7)]  # dark is what "off" is
    found = chosen(str(path), LAUNCHPAD)
    assert found is not None
    assert found.name == "launchpad-x"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("done =", "dome =", "there is no state 'dome'"),
        ("colour = 9", "colour = 128", "128 is not within 0 and 127"),
        ("colour = 9, ", "", "'colour' is missing"),
        ("blink = 1", "blink = -1", "number of beats"),
        ('send = "F0 7D nn vv F7"', 'send = "7D nn"', "send is a message"),
        ('send = "F0 7D nn vv F7"', "", "'send' is missing"),
        ('"note"', '"bend"', "message is 'note' or 'cc'"),
        ('colours = "mine"', 'colours = "yours"', "'yours' is missing"),
        ("[1, 4]", "7", "not built like"),
        ('ports = ["Homemade"]', 'start = ["zz"]', "mine"),
        ('ports = ["Homemade"]', 'start = ["01 02"]', "no MIDI message"),
        ("[colours.mine]", "[colours.mine", "line 8"),
    ],
)
def test_a_file_with_a_fault_says_what_it_is(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(OWN.replace(before, after), encoding="utf-8")
    with pytest.raises(ValueError, match="cannot be read") as caught:
        check(str(path))
    assert words in str(caught.value)


def test_a_name_that_is_none_is_refused_with_a_hint(tmp_path: Path) -> None:
    for name in ("auto", "none", "generic", "apc-mini"):
        check(name)
    with pytest.raises(ValueError, match="Did you mean 'launchpad-x'"):
        check("launchpadx")
    with pytest.raises(ValueError, match="Known: auto, none"):
        check("zzz")
    with pytest.raises(ValueError, match="cannot be read"):
        check(str(tmp_path / "gone.toml"))
    assert controller_maps.FOLDER.is_dir()
