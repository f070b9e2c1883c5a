"""The tables [midi], [[pads]] and [[hotkeys]] of config.toml."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from bridge.config import Settings, load
from bridge.config_controls import MidiSettings, PadTable, Variant, arguments_for
from bridge.errors import ConfigError
from bridge.key_names import KEYS, MODIFIERS, Combination
from bridge.midi.controller_maps import STATES, parse, shipped
from bridge.midi.messages import Configure, PadSpec, packed, unpacked
from bridge.midi.patterns import MMC_COMMANDS


def read(folder: Path, text: str, **environment: str) -> Settings:
    (folder / "config.toml").write_text(text, encoding="utf-8")
    return load(folder, environment)


def faults(folder: Path, text: str, **environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, **environment)
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


EVERYTHING = """
[midi]
enabled = false
port = "Results"
backend = "jack"
inputs = ["Launchpad*", "nanoPAD"]
outputs = "Synth, Sampler"
through = true
clock = "link"
clock_to = ["Drums"]
meter = "6/8"
controller = "launchpad-x"
frame_exact = true
presets = ["stems", "bass"]
latency_ms = { Synth = 3, "My Sampler" = -1.5 }

[[pads]]
message = "Note 36"
port = "Launchpad"
channel = 10
press = "long"
action = "convert-latest"
with = { preset = "stems", set = { lowest_note = 40 } }
pass_on = true

[[pads.variants]]
up_to = 63
with = { preset = "bass" }

[[pads]]
message = "cc 20 >= 100"
action = "panic"

[[hotkeys]]
keys = "Alt + Control + H"
action = "stream"
with.job = 7
"""


def test_everything_can_be_set_and_reaches_the_midi_process(tmp_path: Path) -> None:
    settings = read(tmp_path, EVERYTHING)
    first = PadSpec("note 36", "long", "Launchpad", 10, True)
    told = settings.midi.configure(settings.pads, 98.5)
    assert told == Configure(
        port="Results",
        backend="jack",
        inputs=("Launchpad*", "nanoPAD"),
        outputs=("Synth", "Sampler"),
        through=True,
        clock="link",
        clock_to=("Drums",),
        meter="6/8",
        tempo_bpm=98.5,
        latency_ms={"Synth": 3.0, "My Sampler": -1.5},
        controller="launchpad-x",
        frame_exact=True,
        pads=(first, PadSpec("cc 20 >= 100")),
    )
    assert unpacked(packed(told)) == told
    assert settings.midi.presets == ("stems", "bass")
    assert [pad.action for pad in settings.pads] == ["convert_latest", "panic"]
    (key,) = settings.hotkeys
    assert (key.keys, key.action, key.with_) == ("ctrl+alt+h", "stream", {"job": 7})


def test_without_any_setting_it_is_what_the_process_begins_with() -> None:
    assert MidiSettings().configure((), None) == Configure()


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    midi = read(
        tmp_path,
        "[midi]\nport = 'Results'",
        BRIDGE_MIDI_INPUTS="Launchpad*, nano",
        BRIDGE_MIDI_ENABLED="false",
        BRIDGE_MIDI_LATENCY_MS="My Synth = 3.5, Other=2",
        BRIDGE_MIDI_OUTPUTS="",
    ).midi
    assert (midi.port, midi.inputs, midi.enabled, midi.outputs) == (
        "Results",
        ("Launchpad*", "nano"),
        False,
        (),
    )
    assert midi.latency_ms == {"My Synth": 3.5, "Other": 2.0}
    (fault,) = faults(tmp_path, "", BRIDGE_MIDI_METER="4/5")
    assert fault == "BRIDGE_MIDI_METER: midi.meter is no meter ('4/5'). Write it like '4/4' or '6/8'."
    (fault,) = faults(tmp_path, "", BRIDGE_MIDI_INPUT="x")
    assert "Did you mean 'BRIDGE_MIDI_INPUTS'?" in fault


NOTE_C3 = (
    "line 6: pads[1].message 'note C3' names a note by a letter, and makers count octaves differently"
    " (C3 is 48 or 60)"
)


def test_all_faults_are_told_at_once_each_with_its_line(tmp_path: Path) -> None:
    text = """[midi]
clok = "auto"
controller = "launchpad-y"
latency_ms = { Synth = 3000 }
[[pads]]
message = "note C3"
press = "long"
action = "panic"
[[pads]]
message = "program 5"
press = "long"
channel = 17
[[pads]]
message = "cc 20 relative"
press = "double"
action = "panic"
with = 3
variants = [
  { up_to = 63, with = { a = 1 } },
  { up_two = 127 },
]
[[hotkeys]]
keys = "ctrl+alt"
action = "panic"
[[hotkeys]]
keys = "h"
acton = "panic"
"""
    found = faults(tmp_path, text)
    assert [fault.split(". ")[0] for fault in found] == [
        "line 3: midi.controller names no controller that is known here ('launchpad-y')",
        "line 4: midi.latency_ms.Synth must be at most 1000 (found: 3000)",
        "line 2: midi.clok is not a setting here",
        NOTE_C3,
        "line 12: pads[2].channel must be at most 16 (found: 17)",
        "line 11: pads[2].press cannot be 'long': 'program 5' cannot be held",
        "line 9: pads[2].action is missing",
        "line 15: pads[3].press cannot be 'double': 'cc 20 relative' is turned",
        "line 17: pads[3].with must be a table (found: 3)",
        "line 20: pads[3].variants[2].up_to is missing",
        "line 20: pads[3].variants[2].up_two is not a setting here",
        "line 23: hotkeys[1].keys 'ctrl+alt' must have one key, and each modifier once, like 'ctrl+alt+h'.",
        "line 26: hotkeys[2].keys 'h' would fire whenever it is typed",
        "line 25: hotkeys[2].action is missing",
        "line 27: hotkeys[2].acton is not a setting here",
    ]


@pytest.mark.parametrize(
    ("value", "preset"), [(1, "soft"), (63, "soft"), (64, "middle"), (100, "middle"), (101, "any")]
)
def test_the_velocity_chooses_among_variants(value: int, preset: str) -> None:
    pad = PadTable(
        message="note 36",
        action="convert_latest",
        with_={"preset": "any", "private": True},
        variants=(
            Variant(up_to=100, with_={"preset": "middle"}),
            Variant(up_to=63, with_={"preset": "soft"}),
        ),
    )
    assert arguments_for(pad, value) == {"preset": preset, "private": True}


def test_the_way_an_endless_knob_is_turned_chooses_as_well() -> None:
    pad = PadTable(
        message="cc 20 relative",
        action="transport",
        variants=(Variant(up_to=-1, with_={"do": "stop"}), Variant(up_to=127, with_={"do": "start"})),
    )
    assert [arguments_for(pad, value)["do"] for value in (-3, -1, 1, 3)] == ["stop", "stop", "start", "start"]


# Keys


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ctrl+alt+h", "ctrl+alt+h"),
        ("H + Option + Control", "ctrl+alt+h"),
        ("shift+command+PageUp", "shift+cmd+page_up"),
        ("super+Return", "cmd+enter"),
        ("win+shift+f5", "shift+cmd+f5"),
        ("F13", "f13"),
        ("shift+f1", "shift+f1"),
        ("media_play_pause", "media_play_pause"),
        ("ctrl+,", "ctrl+comma"),
        ("ctrl+alt+media_next", "ctrl+alt+media_next"),
        ("alt+page up", "alt+page_up"),
    ],
)
def test_each_combination_has_one_spelling(text: str, plain: str) -> None:
    assert str(Combination.parse(text)) == plain
    assert Combination.parse(plain) == Combination.parse(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no combination"),
        ("ctrl+", "is no combination"),
        ("ctrl+alt", "must have one key"),
        ("ctrl+a+b", "must have one key"),
        ("ctrl+control+a", "each modifier once"),
        ("ctrl+mediaplay", "names no key with 'mediaplay'"),
        ("ctlr+a", "Did you mean 'ctrl'?"),
        ("a", "whenever it is typed"),
        ("shift+a", "whenever it is typed"),
        ("space", "whenever it is typed"),
    ],
)
def test_what_is_no_combination_is_refused_in_plain_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match="'") as caught:
        Combination.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_can_be_combined(key: str) -> None:
    full = Combination(frozenset(MODIFIERS), key)
    assert Combination.parse(str(full)) == full


# What the document shows


DOCUMENT = Path(__file__).parents[1] / "docs" / "midi-control.md"


def test_every_key_of_the_tables_is_described_with_its_default() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for table in (MidiSettings, PadTable):
        for name, info in table.model_fields.items():
            default = "" if info.is_required() else f" `{_as_toml(info.default)}`"
            assert f"| `{info.alias or name}` |{default} |" in text, name
    assert all(f"| `{name}` |" in text for name in STATES if name != "off")
    assert all(f"`{name}`" in text for name in (*shipped(), *MMC_COMMANDS))


def _as_toml(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def test_what_is_shown_is_right(tmp_path: Path) -> None:
    pads, own, midi = re.findall(
        r"^```toml\n(.*?)^```", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    settings = read(tmp_path, pads + midi)
    assert len(settings.pads) == 4
    assert settings.midi.meter == "6/8"
    controller = parse(tomllib.loads(own), "mine")
    (lamp,) = controller.lamps
    assert set(lamp.shades) == set(STATES)
    assert len(set(lamp.shades.values())) == len(STATES)


@pytest.mark.parametrize("name", ["clock", "port"])
def test_a_name_that_is_empty_is_told_in_plain_words(tmp_path: Path, name: str) -> None:
    assert faults(tmp_path, f'[midi]\n{name} = ""\n') == [
        f"line 2: midi.{name} is empty. Write a name, or take the line out."
    ]
