"""Which messages a mapping means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.midi.patterns import MMC_COMMANDS, Pattern, keys_of, mmc_name

ALL = (
    "note 36",
    "cc 20",
    "cc 20 >= 100",
    "cc 20 relative",
    "cc 20 relative offset",
    "cc 20 relative sign",
    "cc 20 relative up",
    "cc 20 relative offset down",
    "program 5",
    "program",
    "mmc record_strobe",
    "sysex F0 7D ?? 01 F7",
)


@pytest.mark.parametrize("text", ALL)
def test_what_is_read_is_written_the_same(text: str) -> None:
    assert str(Pattern.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  NOTE   36 ", "note 36"),
        ("CC 20>=100", "cc 20 >= 100"),
        ("cc 20 >= 64", "cc 20"),
        ("MMC Record-Strobe", "mmc record_strobe"),
        ("mmc fast forward", "mmc fast_forward"),
        ("sysex f0 7d f7", "sysex F0 7D F7"),
    ],
)
def test_spaces_case_and_defaults_do_not_matter(text: str, plain: str) -> None:
    assert str(Pattern.parse(text)) == plain
    assert Pattern.parse(text) == Pattern.parse(plain)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("note 128", "MIDI has 0 to 127"),
        ("note C3", "C3 is 48 or 60"),
        ("note f#-1", "makers count octaves differently"),
        ("cc 20 >= 0", "never passed"),
        ("cc 20 >= 200", "threshold 200"),
        ("cc 20 relative sideways", "is no message"),
        ("mmc dance", "There are stop, play"),
        ("sysex 7D 01", "begins with F0"),
        ("sysex F0 7D", "ends with F7"),
        ("sysex F0 90 F7", "00 to 7F"),
        ("sysex F07DF7", "spaces between"),
        ("sysex F0 ? F7", "two digits"),
        ("pitchbend", "Write it like 'note 36'"),
        ("", "is no message"),
    ],
)
def test_what_cannot_be_is_refused_in_plain_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="'") as caught:
        Pattern.parse(text)
    assert words in str(caught.value)
    assert str(caught.value).startswith(repr(text))


@pytest.mark.parametrize(
    ("text", "data", "value"),
    [
        ("note 36", (0x99, 36, 101), 101),
        ("note 36", (0x90, 36, 0), None),
        ("note 36", (0x80, 36, 64), None),
        ("note 36", (0x90, 37, 101), None),
        ("note 36", (0xB0, 36, 101), None),
        ("note 36", (0xA0, 36, 101), None),
        ("cc 20", (0xB3, 20, 64), 64),
        ("cc 20", (0xB3, 20, 63), None),
        ("cc 20 >= 1", (0xB0, 20, 1), 1),
        ("cc 20 >= 100", (0xB0, 20, 99), None),
        ("program 5", (0xC2, 5), 5),
        ("program 5", (0xC2, 6), None),
        ("program", (0xC2, 6), 6),
        ("mmc play", (0xF0, 0x7F, 0x00, 0x06, 0x02, 0xF7), 127),
        ("mmc play", (0xF0, 0x7F, 0x7F, 0x06, 0x02, 0xF7), 127),
        ("mmc play", (0xF0, 0x7F, 0x7F, 0x06, 0x01, 0xF7), None),
        ("mmc play", (0xF0, 0x7E, 0x7F, 0x06, 0x02, 0xF7), None),
        ("mmc record_strobe", (0xF0, 0x7F, 0x10, 0x06, 0x03, 0x06, 0xF7), 127),
        ("mmc locate", (0xF0, 0x7F, 0x10, 0x06, 0x44, 0x06, 1, 0, 1, 2, 3, 4, 0xF7), 127),
        ("mmc stop", (0xF0, 0x7F, 0x10, 0x06, 0x44, 0x06, 1, 0, 1, 2, 3, 4, 0xF7), None),
        ("sysex F0 7D ?? F7", (0xF0, 0x7D, 9, 0xF7), 9),
        ("sysex F0 7D 01 F7", (0xF0, 0x7D, 1, 0xF7), 127),
        ("sysex F0 7D ?? F7", (0xF0, 0x7D, 9, 9, 0xF7), None),
        ("sysex F0 7D ?? F7", (0xF0, 0x7E, 9, 0xF7), None),
    ],
)
def test_what_presses_a_control_and_how_hard(text: str, data: tuple[int, ...], value: int | None) -> None:
    assert Pattern.parse(text).matches(data) == value


@pytest.mark.parametrize(
    ("encoding", "up", "down"),
    [("", (1, 2), (127, 126)), (" offset", (65, 66), (63, 62)), (" sign", (1, 2), (65, 66))],
)
def test_endless_knobs_tell_signed_steps(encoding: str, up: tuple[int, int], down: tuple[int, int]) -> None:
    both = Pattern.parse(f"cc 20 relative{encoding}")
    assert [both.matches((0xB0, 20, value)) for value in (*up, *down)] == [1, 2, -1, -2]
    only_up = Pattern.parse(f"cc 20 relative{encoding} up")
    only_down = Pattern.parse(f"cc 20 relative{encoding} down")
    assert [only_up.matches((0xB0, 20, value)) for value in (*up, *down)] == [1, 2, None, None]
    assert [only_down.matches((0xB0, 20, value)) for value in (*up, *down)] == [None, None, -1, -2]


def test_no_step_is_no_press() -> None:
    assert Pattern.parse("cc 20 relative").matches((0xB0, 20, 0)) is None
    assert Pattern.parse("cc 20 relative offset").matches((0xB0, 20, 64)) is None


@pytest.mark.parametrize("name", MMC_COMMANDS)
def test_every_machine_control_command_has_its_name(name: str) -> None:
    data = (0xF0, 0x7F, 0x7F, 0x06, MMC_COMMANDS[name], 0xF7)
    assert mmc_name(data) == name
    assert Pattern.parse(f"mmc {name}").matches(data) == 127


@given(st.lists(st.integers(0, 255), max_size=20), st.sampled_from(ALL))
def test_any_bytes_are_looked_at_without_a_crash(data: list[int], text: str) -> None:
    keys_of(data)
    mmc_name(data)
    Pattern.parse(text).matches(data)
