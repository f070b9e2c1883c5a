"""From a touch to a mapping: pads, buttons, knobs and endless knobs are told apart."""

from __future__ import annotations

import pytest

from bridge.midi.learning import LONG_PAUSE_S, PAUSE_S, Learned, Learner

PORT = "Pads"


def cc(*values: int, number: int = 20, every_s: float = 0.05) -> str | None:
    """The message that a controller's values are taken for, after the pause that follows."""
    learner = Learner()
    learned: Learned | None = None
    for place, value in enumerate(values):
        learned = learned or learner.heard(PORT, (0xB2, number, value), place * every_s)
    end = (len(values) - 1) * every_s
    learned = learned or learner.waited(end + PAUSE_S + 0.01)
    return learned.message if learned else None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((127,), "cc 20"),
        ((127, 0), "cc 20"),
        ((127, 0, 127, 0, 127, 0), "cc 20"),
        ((100, 0), "cc 20"),
        ((1, 0), "cc 20 >= 1"),
        ((40, 41, 43, 46, 50), "cc 20"),
        ((64, 65, 66, 67, 68), "cc 20"),
        ((1, 2, 3, 4, 5), "cc 20"),
        ((1, 1, 1), "cc 20 relative up"),
        ((1, 1, 2, 3, 3, 1), "cc 20 relative up"),
        ((127, 127, 127, 126, 126), "cc 20 relative down"),
        ((1, 1, 127, 127, 1), "cc 20 relative"),
        ((65, 65, 66, 65, 65), "cc 20 relative offset up"),
        ((63, 63, 65, 65, 63), "cc 20 relative offset"),
        ((1, 1, 65, 65, 1), "cc 20 relative sign"),
    ],
)
def test_buttons_knobs_and_endless_knobs_are_told_apart(values: tuple[int, ...], message: str) -> None:
    assert cc(*values) == message


def test_one_value_that_may_be_anything_is_waited_for_longer() -> None:
    learner = Learner()
    assert learner.heard(PORT, (0xB0, 20, 65), 1.0) is None
    assert learner.wants_more
    assert learner.waited(1.0 + PAUSE_S + 0.1) is None
    learned = learner.waited(1.0 + LONG_PAUSE_S + 0.1)
    assert learned is not None
    assert learned.message == "cc 20"


def test_a_bank_select_belongs_to_the_program_change_behind_it() -> None:
    learner = Learner()
    for data in ((0xB0, 0, 127), (0xB0, 32, 127)):
        assert learner.heard(PORT, data, 1.0) is None
    assert learner.waited(1.0 + PAUSE_S + 0.1) is None
    learned = learner.heard(PORT, (0xC4, 7), 1.6)
    assert learned is not None
    assert (learned.message, learned.channel) == ("program 7", 5)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((0xF0, 0x7F, 0x7F, 0x06, 0x06, 0xF7), "mmc record_strobe"),
        ((0xF0, 0x7D, 0x01, 0x0A, 0xF7), "sysex F0 7D 01 0A F7"),
        ((0xF0, 0x7E, 0x00, 0x06, 0x02, 0x47, 0xF7), None),  # an answer: who are you?
        ((0xF0, 0x7F, 0x7F, 0x01, 0x01, 0x20, 0, 0, 0, 0xF7), None),  # time code
        ((0xF0, *([1] * 200), 0xF7), None),  # a dump
        ((0xF0,), None),
        ((0xF8,), None),
        ((0xFE,), None),
        ((0x80, 36, 0), None),
        ((0x90, 36, 0), None),
        ((0xE0, 0, 64), None),
        ((0xD0, 5), None),
        ((0xB0, 123, 0), None),
        ((), None),
    ],
)
def test_what_is_no_touch_is_passed_over(data: tuple[int, ...], message: str | None) -> None:
    learned = Learner().heard(PORT, data, 0.0)
    assert (learned.message if learned else None) == message
