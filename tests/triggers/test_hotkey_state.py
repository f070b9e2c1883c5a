from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.key_names import KEYS, MODIFIERS, Combination
from bridge.triggers import hotkey_tables as tables
from bridge.triggers.hotkey_session import DESKTOPS, obstacle
from bridge.triggers.hotkey_state import REPEAT_GAP_S, KeyEvent, Matcher

CTRL_ALT = frozenset({"ctrl", "alt"})
H, J = 43, 44


def matcher() -> Matcher[str]:
    return Matcher({Combination.parse("ctrl+alt+h"): "convert", Combination.parse("ctrl+alt+j"): "stop"})


def down(
    at_s: float, code: int = H, names: tuple[str, ...] = ("h",), held: frozenset[str] = CTRL_ALT
) -> KeyEvent:
    return KeyEvent(down=True, code=code, names=names, modifiers=held, at_s=at_s)


def up(at_s: float, code: int = H) -> KeyEvent:
    return KeyEvent(down=False, code=code, names=("h",), modifiers=frozenset(), at_s=at_s)


@pytest.mark.parametrize(
    "held", [set(held) for size in range(6) for held in combinations((*MODIFIERS, "altgr"), size)]
)
def test_only_exactly_its_modifiers_fire_a_combination(held: set[str]) -> None:
    fired = matcher().heard(down(0, held=frozenset(held)))
    assert fired == ("convert" if held == CTRL_ALT else None)


def test_a_key_that_is_kept_down_fires_once() -> None:
    keys = matcher()
    repeats = [0.0, 0.66, *(0.7 + 0.04 * number for number in range(500))]
    assert [keys.heard(down(at_s)) for at_s in repeats] == ["convert", *[None] * 501]
    assert keys.heard(up(21)) is None
    assert keys.heard(down(21.01)) == "convert"


def test_each_of_two_quick_presses_fires() -> None:
    keys = matcher()
    assert [keys.heard(one) for one in (down(0), up(0.01), down(0.02), up(0.03))] == [
        "convert",
        None,
        "convert",
        None,
    ]


def test_a_second_key_fires_while_the_first_is_still_down() -> None:
    keys = matcher()
    assert keys.heard(down(0)) == "convert"
    assert keys.heard(down(0.1, J, ("j",))) == "stop"
    assert keys.heard(down(0.2)) is None


def test_pressing_the_modifiers_after_the_key_fires_nothing() -> None:
    keys = matcher()
    assert keys.heard(down(0, held=frozenset())) is None
    assert keys.heard(down(0.5)) is None


def test_a_release_that_nobody_saw_leaves_no_key_stuck() -> None:
    keys = matcher()
    assert keys.heard(down(0)) == "convert"
    assert keys.heard(down(REPEAT_GAP_S + 0.1)) == "convert"


def test_a_system_clock_that_begins_again_loses_no_press() -> None:
    keys = matcher()
    keys.heard(down(4_294_967.0))
    assert keys.heard(down(0.1)) == "convert"


def test_the_likeliest_name_of_a_key_counts_first() -> None:
    keys = Matcher({Combination.parse("ctrl+6"): "six", Combination.parse("ctrl+minus"): "minus"})
    ctrl = frozenset({"ctrl"})
    assert keys.heard(down(0, names=("minus", "6"), held=ctrl)) == "minus"
    assert keys.heard(down(0, code=11, names=("parenleft", "6"), held=ctrl)) == "six"


def test_a_binding_that_is_number_zero_fires() -> None:
    assert Matcher({Combination.parse("ctrl+alt+h"): 0}).heard(down(0)) == 0


@given(
    st.lists(
        st.tuples(
            st.booleans(),
            st.sampled_from((H, J)),
            st.frozensets(st.sampled_from((*MODIFIERS, "altgr"))),
            st.floats(0.001, 2 * REPEAT_GAP_S),
        ),
        max_size=60,
    )
)
def test_fires_exactly_at_fresh_presses_with_exactly_its_modifiers(
    story: list[tuple[bool, int, frozenset[str], float]],
) -> None:
    keys, now_s, touched_s = matcher(), 0.0, dict[int, float]()
    for is_down, code, held, gap_s in story:
        now_s += gap_s
        names = ("h",) if code == H else ("j",)
        fired = keys.heard(KeyEvent(is_down, code, names, held, now_s))
        fresh = is_down and now_s - touched_s.get(code, -10 * REPEAT_GAP_S) >= REPEAT_GAP_S
        expected = {H: "convert", J: "stop"}[code] if fresh and held == CTRL_ALT else None
        assert fired == expected
        if is_down:
            touched_s[code] = now_s
        else:
            touched_s.pop(code, None)


# What the systems call keys and modifiers


@pytest.mark.parametrize(
    ("keysyms", "group", "names"),
    [
        ((0x68, 0x48), 0, ("h",)),
        ((0x31, 0x21), 0, ("1",)),  # "1", and "!" with shift
        ((0x26, 0x31, 0x26, 0x31), 0, ("1",)),  # a French keyboard writes digits with shift
        ((0x2D, 0x36), 0, ("minus", "6")),
        ((0x79, 0x59, 0x7A, 0x5A), 0, ("y",)),  # English first, German second …
        ((0x79, 0x59, 0x7A, 0x5A), 1, ("z",)),  # … and chosen
        ((0x7A, 0x5A, 0x6D1, 0x6F1), 1, ("z",)),  # Russian chosen: the key is found by the other layout
        ((0x6D1, 0x6F1), 0, ()),
        ((0xFFC2,), 0, ("f5",)),
        ((0x1008FF14,), 0, ("media_play_pause",)),
        ((), 0, ()),
    ],
)
def test_names_of_a_key_on_x11(keysyms: tuple[int, ...], group: int, names: tuple[str, ...]) -> None:
    assert tables.x11_names(keysyms, group) == names


def test_modifiers_on_x11_stand_where_the_server_says() -> None:
    # Debian's table; num lock (77) and caps lock (66) are no modifiers of a combination.
    rows = [(50, 62), (66, 0), (37, 105), (64, 108, 205), (77, 0), (), (133, 134), (92, 0)]
    keysyms = {64: 0xFFE9, 108: 0xFFEA, 133: 0xFFEB, 134: 0xFFEC, 92: 0xFE03, 77: 0xFF7F, 66: 0xFFE5}
    masks = tables.x11_masks(rows, lambda code: keysyms.get(code, 0))
    assert masks == {"shift": 1, "ctrl": 4, "alt": 8, "cmd": 64, "altgr": 128}
    assert tables.held(4 | 8 | 2 | 16, masks) == CTRL_ALT
    assert tables.held(4 | 8 | 1, masks) == CTRL_ALT | {"shift"}


def test_names_of_a_key_on_macos_follow_the_layout() -> None:
    german = {0x06: "y", 0x10: "z", 0x2C: "-"}
    assert tables.macos_names(0x10, german) == ("z",)
    assert tables.macos_names(0x2C, german) == ("minus",)
    assert tables.macos_names(0x31, german) == ("space",)
    assert tables.macos_names(0x7F, german) == ()
    assert tables.held(1 << 18 | 1 << 19 | 1 << 16 | 1 << 8, tables.MACOS_FLAGS) == CTRL_ALT


def test_names_of_a_key_on_windows_follow_the_layout() -> None:
    signs = {0xBD: "-", 0xBA: "Ü"}
    assert tables.windows_names(0x48, lambda _: "") == ("h",)
    assert tables.windows_names(0xBD, lambda code: signs.get(code, "")) == ("minus",)
    assert tables.windows_names(0xBA, lambda code: signs.get(code, "")) == ()


@pytest.mark.parametrize(
    ("pressed", "modifiers"),
    [
        ({0x11, 0xA3, 0x12, 0xA4}, CTRL_ALT),
        ({0x11, 0xA2, 0x12, 0xA4, 0x10}, CTRL_ALT | {"shift"}),
        ({0x11, 0xA2, 0x12, 0xA5}, {"altgr"}),  # what Windows makes of AltGr
        ({0x12, 0xA5}, {"alt"}),
        ({0x5C}, {"cmd"}),
        (set(), frozenset()),
    ],
)
def test_modifiers_on_windows(pressed: set[int], modifiers: frozenset[str]) -> None:
    assert tables.windows_modifiers(pressed.__contains__) == modifiers


def test_every_table_names_only_keys_that_a_musician_can_write() -> None:
    for table in (tables.KEYSYMS, tables.MACOS_KEYS, tables.WINDOWS_KEYS, tables.NAME_OF_SIGN):
        assert set(table.values()) <= KEYS
    assert set(tables.KEYSYMS.values()) == KEYS


# Whether a session lets anybody listen


@pytest.mark.parametrize(
    ("environment", "platform", "says"),
    [
        ({"DISPLAY": ":0"}, "linux", ""),
        ({}, "linux", "no display"),
        ({"DISPLAY": ":0", "WAYLAND_DISPLAY": "wayland-0"}, "linux", "Wayland"),
        ({"DISPLAY": ":0", "XDG_SESSION_TYPE": "wayland"}, "linux", "Wayland"),
        ({"DISPLAY": ":0", "XDG_SESSION_TYPE": "x11"}, "linux", ""),
        ({}, "darwin", ""),
        ({}, "win32", ""),
    ],
)
def test_what_stands_in_the_way(environment: dict[str, str], platform: str, says: str) -> None:
    state = obstacle(environment, platform)
    assert (state is None) == (says == "")
    if state is not None:
        assert says in state.why
        assert state.remedy


@pytest.mark.parametrize(
    ("desktop", "how"),
    [("ubuntu:GNOME", "gnome"), ("KDE", "kde"), ("sway", "sway"), ("Hyprland", "hyprland")],
)
def test_on_wayland_the_desktops_own_shortcuts_are_the_way(desktop: str, how: str) -> None:
    state = obstacle({"WAYLAND_DISPLAY": "wayland-0", "XDG_CURRENT_DESKTOP": desktop}, "linux")
    assert state is not None
    assert DESKTOPS[how] in state.remedy
    assert "bridge trigger" in state.remedy


def test_on_a_desktop_that_nobody_knows_the_command_is_told() -> None:
    state = obstacle({"XDG_SESSION_TYPE": "wayland", "XDG_CURRENT_DESKTOP": "niri"}, "linux")
    assert state is not None
    assert "bridge trigger" in state.remedy
