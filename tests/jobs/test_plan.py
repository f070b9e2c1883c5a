from __future__ import annotations

from typing import Any

import pytest

from bridge.jobs import plan
from bridge.jobs.model import PlannedConversion, PlannedDelivery
from bridge.presets import Preset, Step

CHAIN = Preset.model_validate(
    {
        "name": "chain",
        "title": "Chain",
        "steps": [
            {"name": "split", "conversion": "audio_to_midi"},
            {"name": "also", "conversion": "audio_to_midi", "parameters": {"lowest_note": 30}},
            {"name": "one", "conversion": "audio_to_midi", "from": "split.sonified"},
            {"name": "each", "conversion": "audio_to_midi", "from": "split", "converter": "musicgpt"},
            {"name": "last", "conversion": "audio_to_midi", "from": "one"},
        ],
        "deliver": [
            {"from": "split.midi", "pattern": "a.{ext}", "sidecar": False},
            {"from": "one", "pattern": "b_{role}.{ext}"},
            {"from": "*", "pattern": "c_{step}_{role}.{ext}"},
        ],
    }
)
PLACED = [(7, "midi"), (8, "sonified")]


def _choose(step: Step) -> str:
    return "local" if step.converter == "auto" else step.converter


def _after(
    step: str, artifacts: list[tuple[int, str]]
) -> tuple[list[PlannedConversion], list[PlannedDelivery]]:
    return plan.from_artifacts(CHAIN, step, artifacts, {}, _choose)


def test_the_source_starts_the_steps_that_name_it() -> None:
    first, second = plan.from_source(CHAIN, {}, _choose)
    assert (first.step, second.step) == ("split", "also")
    assert (first.artifact_id, first.converter, first.conversion) == (None, "local", "audio_to_midi")
    assert (first.parameters["lowest_note"], second.parameters["lowest_note"]) == (None, 30)


def test_overrides_reach_the_steps_that_know_them() -> None:
    first, second = plan.from_source(CHAIN, {"lowest_note": "40", "foreign": 1}, _choose)
    assert first.parameters["lowest_note"] == second.parameters["lowest_note"] == 40
    assert "foreign" not in first.parameters


def test_a_step_dot_role_follows_that_role_and_a_step_every_artifact() -> None:
    conversions, _ = _after("split", PLACED)
    assert [(one.step, one.artifact_id) for one in conversions] == [("one", 8), ("each", 7), ("each", 8)]
    assert [one.converter for one in conversions] == ["local", "musicgpt", "musicgpt"]
    assert "lowest_note" not in conversions[1].parameters


@pytest.mark.parametrize(
    ("step", "artifacts", "conversions", "deliveries"),
    [
        ("split", PLACED, 3, ["a.{ext}", "c_{step}_{role}.{ext}", "c_{step}_{role}.{ext}"]),
        ("split", [(7, "midi")], 1, ["a.{ext}", "c_{step}_{role}.{ext}"]),
        ("one", PLACED, 2, ["b_{role}.{ext}"] * 2 + ["c_{step}_{role}.{ext}"] * 2),
        ("last", [(9, "midi")], 0, ["c_{step}_{role}.{ext}"]),
        ("spli", PLACED, 0, ["c_{step}_{role}.{ext}"] * 2),
        ("split", [], 0, []),
    ],
)
def test_what_each_step_leads_to(
    step: str, artifacts: list[tuple[int, str]], conversions: int, deliveries: list[str]
) -> None:
    later, delivered = _after(step, artifacts)
    assert len(later) == conversions
    assert [one.settings["pattern"] for one in delivered] == deliveries
    assert all(one.kind == plan.ARTIFACT and one.settings["to"] == "project_folder" for one in delivered)
    assert {one.artifact_id for one in delivered} <= {number for number, _ in artifacts}


def _with_sidecars(*sidecars: bool) -> Preset:
    deliver: list[dict[str, Any]] = [
        {"from": "a", "pattern": f"{number}.{{ext}}", "sidecar": one} for number, one in enumerate(sidecars)
    ]
    steps = [{"name": "a", "conversion": "audio_to_midi"}]
    return Preset.model_validate({"name": "x", "title": "X", "steps": steps, "deliver": deliver})


def test_the_sidecar_is_there_unless_every_delivery_turns_it_off() -> None:
    assert plan.sidecar(_with_sidecars(False, False)) is None
    wanted = plan.sidecar(_with_sidecars(False, True))
    assert wanted is not None
    assert (wanted.kind, wanted.artifact_id) == (plan.SIDECAR, None)
