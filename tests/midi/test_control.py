"""Pads, buttons and knobs: which mapping fires, when, and how often."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.midi.control import DOUBLE_S, LONG_S, Control
from bridge.midi.messages import PadSpec, Press, Pressed

ON, OFF = (0x90, 36, 100), (0x80, 36, 0)
PORT = "Pads"


class Hands:
    """Touches a control at given times and asks for what is due in between, as the heart does."""

    def __init__(self, *pads: PadSpec) -> None:
        self.control = Control(pads)
        self.pressed: list[Pressed] = []
        self.when: list[float] = []

    def touch(self, at_s: float, data: Sequence[int], port: str = PORT) -> bool:
        self.wait_until(at_s)
        verdict = self.control.heard(port, data, at_s)
        self._note(verdict.pressed, at_s)
        return verdict.swallowed

    def wait_until(self, at_s: float) -> None:
        while (next_at := self.control.next_at()) <= at_s:
            self._note(self.control.due(next_at), next_at)

    def _note(self, pressed: Sequence[Pressed], at_s: float) -> None:
        self.pressed += pressed
        self.when += [at_s] * len(pressed)

    @property
    def fired(self) -> list[tuple[int, float]]:
        return [(one.pad, when) for one, when in zip(self.pressed, self.when, strict=True)]


def note(press: Press = "press", **more: object) -> PadSpec:
    return PadSpec("note 36", press, **more)  # type: ignore[arg-type]


def test_a_pad_fires_the_moment_it_goes_down_and_once() -> None:
    hands = Hands(note())
    hands.touch(1.0, ON)
    assert hands.pressed == [Pressed(0, 100, 1.0)]
    assert hands.control.next_at() == math.inf
    hands.touch(3.0, OFF)
    assert len(hands.pressed) == 1


def test_velocity_zero_is_a_release() -> None:
    hands = Hands(note("long"), note())
    hands.touch(1.0, ON)
    hands.touch(1.1, (0x90, 36, 0))
    hands.wait_until(5.0)
    assert hands.fired == [(1, 1.1)]


def test_a_lost_release_does_not_block_the_next_press() -> None:
    hands = Hands(note())
    for at_s in (1.0, 2.0, 3.0):
        hands.touch(at_s, ON)
    assert [when for _, when in hands.fired] == [1.0, 2.0, 3.0]


def test_two_presses_with_a_lost_release_between_them_are_two() -> None:
    hands = Hands(note(), note("long"))
    hands.touch(1.0, ON)
    hands.touch(1.2, ON)
    hands.touch(1.3, OFF)
    assert hands.fired == [(0, 1.2), (0, 1.3)]


def test_beside_a_long_press_the_short_one_fires_when_it_is_let_go() -> None:
    hands = Hands(note(), note("long"))
    hands.touch(1.0, ON)
    assert hands.fired == []
    hands.touch(1.2, OFF)
    assert hands.fired == [(0, 1.2)]
    assert hands.pressed[0].at_s == 1.0  # when the pad went down


def test_a_long_press_fires_while_it_is_held_and_nothing_after_it() -> None:
    hands = Hands(note(), note("long"))
    hands.touch(1.0, ON)
    hands.wait_until(9.0)
    hands.touch(9.0, OFF)
    assert hands.fired == [(1, 1.0 + LONG_S)]


def test_a_press_that_is_let_go_just_in_time_is_short() -> None:
    hands = Hands(note("short"), note("long"))
    hands.touch(1.0, ON)
    hands.touch(1.0 + LONG_S - 0.001, OFF)
    assert [pad for pad, _ in hands.fired] == [0]


def test_beside_a_double_press_the_single_one_waits_for_the_second() -> None:
    hands = Hands(note(), note("double"))
    hands.touch(1.0, ON)
    hands.touch(1.05, OFF)
    assert hands.fired == []
    assert hands.control.next_at() == pytest.approx(1.0 + DOUBLE_S)
    hands.wait_until(2.0)
    assert hands.fired == [(0, 1.0 + DOUBLE_S)]


def test_a_double_press_fires_at_its_second_press_and_alone() -> None:
    hands = Hands(note(), note("double"))
    hands.touch(1.0, ON)
    hands.touch(1.05, OFF)
    hands.touch(1.2, (0x90, 36, 50))
    assert hands.pressed == [Pressed(1, 50, 1.2)]
    hands.touch(1.25, OFF)
    hands.wait_until(5.0)
    assert len(hands.pressed) == 1


def test_three_quick_presses_are_a_double_and_a_single() -> None:
    hands = Hands(note(), note("double"))
    for at_s in (1.0, 1.1, 1.2):
        hands.touch(at_s, ON)
        hands.touch(at_s + 0.05, OFF)
    hands.wait_until(5.0)
    assert [pad for pad, _ in hands.fired] == [1, 0]


def test_two_slow_presses_are_two_singles() -> None:
    hands = Hands(note(), note("double"))
    for at_s in (1.0, 1.0 + DOUBLE_S + 0.01):
        hands.touch(at_s, ON)
        hands.touch(at_s + 0.05, OFF)
    hands.wait_until(5.0)
    assert [pad for pad, _ in hands.fired] == [0, 0]


def test_held_beside_a_double_press_alone_it_is_single_as_soon_as_no_second_can_come() -> None:
    hands = Hands(note(), note("double"))
    hands.touch(1.0, ON)
    hands.wait_until(5.0)
    assert hands.fired == [(0, 1.0 + DOUBLE_S)]


@pytest.mark.parametrize(
    ("touches", "fired"),
    [
        ([(1.0, ON), (1.1, OFF)], [0]),
        ([(1.0, ON), (1.4, OFF)], [0]),
        ([(1.0, ON), (1.9, OFF)], [1]),
        ([(1.0, ON), (1.1, OFF), (1.2, ON), (1.3, OFF)], [2]),
        ([(1.0, ON), (1.1, OFF), (1.2, ON), (2.3, OFF)], [2]),
        ([(1.0, ON), (1.4, OFF), (1.5, ON), (2.3, OFF)], [0, 1]),
    ],
)
def test_all_three_on_one_pad(touches: list[tuple[float, tuple[int, ...]]], fired: list[int]) -> None:
    hands = Hands(note(), note("long"), note("double"))
    for at_s, data in touches:
        hands.touch(at_s, data)
    hands.wait_until(9.0)
    assert [pad for pad, _ in hands.fired] == fired


def test_let_go_after_the_time_for_a_second_press_it_fires_at_once() -> None:
    hands = Hands(note(), note("long"), note("double"))
    hands.touch(1.0, ON)
    hands.touch(1.4, OFF)
    assert hands.fired == [(0, 1.4)]


def test_a_late_look_at_the_time_changes_nothing() -> None:
    control = Control([note(), note("long"), note("double")])
    control.heard(PORT, ON, 1.0)
    pressed = control.heard(PORT, OFF, 4.0).pressed  # nobody asked for what was due
    assert [one.pad for one in pressed] == [1]
    control.heard(PORT, ON, 5.0)
    assert [one.pad for one in control.heard(PORT, ON, 9.0).pressed] == [1]


# Buttons and knobs


def cc(value: int) -> tuple[int, int, int]:
    return (0xB0, 20, value)


def test_a_knob_fires_when_it_passes_the_threshold_and_again_only_from_below() -> None:
    hands = Hands(PadSpec("cc 20"))
    for number, value in enumerate((10, 60, 64, 70, 127, 127, 127, 90, 64, 63, 20, 80, 81)):
        hands.touch(float(number), cc(value))
    assert [(one.at_s, one.value) for one in hands.pressed] == [(2.0, 64), (11.0, 80)]


def test_a_button_that_never_tells_its_release_fires_each_time() -> None:
    hands = Hands(PadSpec("cc 20"))
    for at_s in (1.0, 2.0, 3.0):
        hands.touch(at_s, cc(127))
    assert len(hands.pressed) == 3


def test_what_a_controller_did_before_its_press_does_not_matter() -> None:
    hands = Hands(PadSpec("cc 20"))
    for number, value in enumerate((70, 80, 10, 127, 127)):
        hands.touch(float(number), cc(value))
    assert [one.at_s for one in hands.pressed] == [0.0, 3.0, 4.0]


def test_a_pedal_can_be_held_and_pressed_twice() -> None:
    hands = Hands(PadSpec("cc 20"), PadSpec("cc 20", "long"), PadSpec("cc 20", "double"))
    hands.touch(1.0, cc(127))
    hands.touch(2.0, cc(0))
    hands.touch(3.0, cc(127))
    hands.touch(3.1, cc(0))
    hands.touch(3.2, cc(127))
    assert [pad for pad, _ in hands.fired] == [1, 2]


def test_an_endless_knob_fires_at_each_step() -> None:
    hands = Hands(PadSpec("cc 20 relative up"), PadSpec("cc 20 relative down"), PadSpec("cc 20 relative"))
    for number, value in enumerate((1, 3, 127)):
        hands.touch(float(number), cc(value))
    assert [(one.pad, one.value) for one in hands.pressed] == [
        (0, 1),
        (2, 1),
        (0, 3),
        (2, 3),
        (1, -1),
        (2, -1),
    ]


def test_messages_without_a_release_fire_each_time_also_twice() -> None:
    hands = Hands(PadSpec("program 5"), PadSpec("program 5", "double"), PadSpec("mmc play"))
    for at_s in (1.0, 1.1, 2.0):
        hands.touch(at_s, (0xC0, 5))
    hands.wait_until(3.0)
    hands.touch(3.0, (0xF0, 0x7F, 0x7F, 0x06, 0x02, 0xF7))
    hands.touch(3.0, (0xF0, 0x7F, 0x7F, 0x06, 0x02, 0xF7))
    assert [pad for pad, _ in hands.fired] == [1, 0, 2, 2]


# Which one is meant


def test_channel_and_port_choose() -> None:
    hands = Hands(note(channel=10), note(port="Other"), note(port="*ads", channel=1), note())
    hands.touch(1.0, ON)
    hands.touch(2.0, (0x99, 36, 100))
    hands.touch(3.0, (0x99, 36, 100), port="The Other One")
    assert [pad for pad, _ in hands.fired] == [2, 3, 0, 3, 0, 1, 3]


def test_a_long_press_mapped_elsewhere_delays_nothing_here() -> None:
    hands = Hands(note(port="Pads"), note("long", port="Other"))
    hands.touch(1.0, ON)
    assert hands.fired == [(0, 1.0)]


def test_a_long_press_on_any_channel_counts_for_each() -> None:
    hands = Hands(note(channel=1), note("long"))
    hands.touch(1.0, ON)
    hands.touch(1.1, OFF)
    assert hands.fired == [(0, 1.1)]


def test_two_ports_with_the_same_note_are_two_pads() -> None:
    hands = Hands(note(), note("double"))
    hands.touch(1.0, ON, port="One")
    hands.touch(1.1, ON, port="Two")
    hands.wait_until(3.0)
    assert [pad for pad, _ in hands.fired] == [0, 0]


def test_all_mappings_of_one_press_fire() -> None:
    hands = Hands(note(), note(), PadSpec("note 37"), note("short"))
    hands.touch(1.0, ON)
    assert [pad for pad, _ in hands.fired] == [0, 1, 3]


def test_what_was_held_when_its_port_went_fires_nothing() -> None:
    hands = Hands(note(), note("long"))
    hands.touch(1.0, ON)
    hands.control.gone(PORT)
    hands.wait_until(9.0)
    hands.touch(9.0, ON)
    hands.touch(9.1, OFF)
    assert hands.fired == [(0, 9.1)]


# What goes on


def test_mapped_messages_are_swallowed_with_their_releases_and_pressure() -> None:
    hands = Hands(note(channel=1))
    assert hands.touch(1.0, ON)
    assert hands.touch(1.1, (0xA0, 36, 20))
    assert hands.touch(1.2, OFF)
    assert not hands.touch(1.3, (0x91, 36, 100))
    assert not hands.touch(1.4, (0x90, 37, 100))
    assert not hands.touch(1.5, (0xB0, 36, 100))
    assert not hands.touch(1.6, (0xF8,))


def test_a_mapping_may_pass_its_message_on() -> None:
    hands = Hands(note(pass_on=True), note())
    assert not hands.touch(1.0, ON)
    assert len(hands.pressed) == 2


def test_one_of_several_mappings_is_enough_to_pass_a_message_on() -> None:
    hands = Hands(PadSpec("cc 20"), PadSpec("cc 20 >= 100", pass_on=True))
    assert not hands.touch(1.0, cc(127))


KINDS: tuple[Press, ...] = ("press", "long", "double")
MESSAGES = st.one_of(
    st.sampled_from([ON, OFF, (0x90, 36, 0), cc(127), cc(0), cc(70), (0xC0, 5), (0xA0, 36, 9)]),
    st.lists(st.integers(0, 255), max_size=8).map(tuple),
)


@given(st.lists(st.tuples(st.floats(0, 0.7), MESSAGES), max_size=40))
def test_whatever_comes_in_a_pad_fires_once_a_press_and_time_never_goes_back(
    touches: list[tuple[float, tuple[int, ...]]],
) -> None:
    hands = Hands(*(PadSpec(text, kind) for text in ("note 36", "cc 20") for kind in KINDS))
    at_s = presses = 0.0
    for wait_s, data in touches:
        at_s += wait_s
        hands.touch(at_s, data)
        presses += len(data) == 3 and (data[0] & 0xF0, data[1]) in ((0x90, 36), (0xB0, 20))
    hands.wait_until(at_s + 5)
    assert len(hands.pressed) <= presses
    assert hands.when == sorted(hands.when)
    assert hands.control.next_at() == math.inf
    assert all(one.at_s <= when for one, when in zip(hands.pressed, hands.when, strict=True))
