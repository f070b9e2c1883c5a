"""What `bridge status` and `bridge show` tell of MIDI, keys, slots and what plays."""

from __future__ import annotations

from typing import Any

from bridge.cli.reading import _controls_lines, _show_lines

CONTROLS: dict[str, Any] = {
    "enabled": True,
    "api": "jack",
    "why": "",
    "remedy": "",
    "own_ports": ["DAW Bridge"],
    "playing_to": [],
    "listening": ["Pads"],
    "clock": {"source": "Live", "running": False, "bpm": 96.04},
    "hotkeys": None,
    "preset": "stems",
    "slots": {"10": 7, "2": 31},
    "playing": {"7/1": "playing", "7/2": "playing", "31/5": "armed"},
}


def shown(**changes: Any) -> list[str]:
    return list(_controls_lines({**CONTROLS, **changes}))


def test_ports_clock_slots_and_what_plays() -> None:
    assert shown() == [
        "MIDI (jack): own ports DAW Bridge; listens to Pads",
        "Clock: Live, 96.0 BPM, stopped",
        "Preset at hand: stems",
        "Slots: 2: job 31, 10: job 7",
        "  job 7 playing",
        "  job 31 armed",
    ]


def test_what_is_wrong_and_what_to_do_are_sentences() -> None:
    keys = {"ready": True, "why": "ctrl+alt+s is there twice", "remedy": "Choose another combination"}
    told = shown(why="There is no MIDI here.", remedy="Start JACK.", hotkeys=keys)
    assert told[0] == "MIDI: There is no MIDI here. Start JACK."
    assert "Hotkeys: ready, but ctrl+alt+s is there twice. Choose another combination." in told


def test_what_was_played_went_to_the_midi_port() -> None:
    delivery = {
        "kind": "stream",
        "state": "done",
        "final_path": None,
        "note": "plays at the next bar",
        "error": None,
        "retry_at": None,
    }
    job = {
        "id": 7,
        "state": "done",
        "trigger": "pad note 36",
        "preset": "play",
        "created_at": 0.0,
        "project_folder": "/out",
        "overrides": {},
        "parts": [],
        "conversions": [],
        "deliveries": [delivery],
    }
    assert "Delivery to the MIDI port: done, plays at the next bar" in list(_show_lines(job))
