"""What each pad shows."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.jobs.model import JobState
from bridge.midi.messages import LightState, PlayState
from bridge.surface.board import Facts, light_of

S = JobState


@pytest.mark.parametrize(
    ("state", "light"),
    [
        (S.QUEUED, "queued"),
        (S.RUNNING, "running"),
        (S.WAITING, "running"),
        (S.NEEDS_YOU, "needs_you"),
        (S.DONE, "done"),
        (S.FAILED, "failed"),
        (S.CANCELLED, "ready"),
    ],
)
def test_a_converting_pad_shows_the_latest_job_of_its_preset(state: JobState, light: LightState) -> None:
    facts = Facts("denoise", of_preset={"stems": state, "denoise": S.DONE})
    assert light_of("convert_latest", {"preset": "stems"}, facts) == light
    assert light_of("convert-latest", {}, facts) == "done"
    assert light_of("convert_latest", {"preset": "never-used"}, facts) == "ready"


@pytest.mark.parametrize(
    ("states", "light"),
    [
        ({}, "ready"),
        ({"7/1": "armed"}, "armed"),
        ({"7/1": "waiting"}, "armed"),
        ({"7/1": "paused"}, "armed"),
        ({"7/1": "armed", "7/2": "playing"}, "playing"),
        ({"7/1": "failed"}, "failed"),
        ({"70/1": "playing"}, "ready"),
    ],
)
def test_a_playing_pad_shows_what_plays_of_its_job(states: dict[str, PlayState], light: LightState) -> None:
    facts = Facts("stems", slots={2: 7}, playing=states)
    assert light_of("stream", {"job": 7}, facts) == light
    assert light_of("slot", {"slot": 2}, facts) == light
    assert light_of("stop", {"slot": 2}, facts) == light


def test_an_empty_slot_is_dark_and_a_pad_for_all_shows_any() -> None:
    facts = Facts("stems", slots={2: 7}, playing={"70/1": "playing"})
    assert light_of("slot", {"slot": 5}, facts) == "off"
    assert light_of("stop", {}, facts) == "playing"


@pytest.mark.parametrize(
    ("action", "arguments", "facts", "light"),
    [
        ("cancel", {}, Facts("x", latest=S.RUNNING), "running"),
        ("cancel", {}, Facts("x", latest=S.DONE), "ready"),
        ("retry", {}, Facts("x", latest=S.FAILED), "failed"),
        ("retry", {}, Facts("x"), "ready"),
        ("resolve", {}, Facts("x", waiting_for_you=True), "needs_you"),
        ("select_preset", {"preset": "x"}, Facts("x"), "done"),
        ("select_preset", {"preset": "y"}, Facts("x"), "ready"),
        ("panic", {}, Facts("x"), "ready"),
    ],
)
def test_other_pads(action: str, arguments: dict[str, Any], facts: Facts, light: LightState) -> None:
    assert light_of(action, arguments, facts) == light
