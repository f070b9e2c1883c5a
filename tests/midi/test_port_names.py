from __future__ import annotations

import pytest

from bridge.midi.port_names import (
    ALSA,
    JACK,
    WIN_MM,
    is_ours,
    loopback,
    matches,
    matching,
    partner,
    plain_names,
)


@pytest.mark.parametrize(
    ("name", "pattern", "meant"),
    [
        ("Launchpad Mini", "launchpad*", True),
        ("Launchpad Mini", "launchpad", True),
        ("Launchpad Mini", "mini*", False),
        ("a2j:nanoKEY [20] (capture)", "nanokey [20]", True),
        ("a2j:nanoKEY [20] (capture)", "*[20]*", True),
        ("Port 12", "port 1?", True),
        ("Port 2", "port 1?", False),
        ("anything", "*", True),
    ],
)
def test_a_pattern_means_ports_as_a_musician_would_say(name: str, pattern: str, meant: bool) -> None:
    assert matches(name, pattern) is meant


def test_several_patterns_name_each_port_once_in_the_order_of_the_ports() -> None:
    assert matching(["b1", "a", "b2"], ["b*", "b1", "a"]) == ["b1", "a", "b2"]


def test_what_changes_from_plug_to_plug_is_taken_off() -> None:
    assert plain_names(["Mini:Mini MIDI 1 24:0", "Mini:Mini MIDI 2 24:1"], ALSA) == [
        "Mini:Mini MIDI 1",
        "Mini:Mini MIDI 2",
    ]
    assert plain_names(["Launchpad 3"], WIN_MM) == ["Launchpad"]
    assert plain_names(["system:midi_capture_1"], JACK) == ["system:midi_capture_1"]


def test_two_of_the_same_device_stay_apart() -> None:
    assert plain_names(["Pad 0", "Pad 1", "Keys 2"], WIN_MM) == ["Pad", "Pad (2)", "Keys"]


def test_ports_of_a_bridge_are_known() -> None:
    ports = ["DAW Bridge:DAW Bridge", "DAW Bridge-01:DAW Bridge", "DAW Bridge in:DAW Bridge in", "Bridge:DAW"]
    assert [is_ours(port, "DAW Bridge") for port in ports] == [True, True, True, False]
    assert [is_ours(port, "") for port in ports] == [False] * 4
    assert is_ours("DAW Bridge look listens:in", "Stage")


@pytest.mark.parametrize(
    ("ports", "chosen"),
    [
        (["Keys", "loopMIDI Port"], "loopMIDI Port"),
        (["loopMIDI Port", "DAW Bridge"], "DAW Bridge"),
        (["Default App Loopback (A)"], "Default App Loopback (A)"),
        (["Microsoft GS Wavetable Synth"], ""),
    ],
)
def test_where_no_port_can_be_made_a_loopback_port_is_chosen(ports: list[str], chosen: str) -> None:
    assert loopback(ports, "DAW Bridge") == chosen


@pytest.mark.parametrize(
    ("source", "sinks", "found"),
    [
        ("Launchpad Mini", ["Keys", "Launchpad Mini"], "Launchpad Mini"),
        ("LPX MIDI Out", ["LPX DAW In", "LPX MIDI In"], "LPX MIDI In"),
        ("MIDIIN2 (APC)", ["APC", "MIDIOUT2 (APC)"], "MIDIOUT2 (APC)"),
        (
            "system:midi_capture_2",
            ["system:midi_playback_1", "system:midi_playback_2"],
            "system:midi_playback_2",
        ),
        ("a2j:Pad [24] (capture): x", ["a2j:Pad [24] (playback): x"], "a2j:Pad [24] (playback): x"),
        ("Keys", ["Pads"], ""),
    ],
)
def test_the_two_sides_of_a_device_find_each_other(source: str, sinks: list[str], found: str) -> None:
    assert partner(source, sinks) == found
