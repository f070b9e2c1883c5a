"""What follows from what: which conversions a source starts, and what an artifact leads to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from bridge.jobs.model import LISTENING_STEP, TOGETHER, PlannedConversion, PlannedDelivery
from bridge.media.notes import Material
from bridge.presets import SOURCE, Deliver, Preset, Step, resolve_parameters

ChooseConverter = Callable[[Step], str]

ARTIFACT = "artifact"
SIDECAR = "sidecar"
STREAM = "stream"
KIND_OF = {"project_folder": ARTIFACT, "stream": STREAM}

MATERIAL_OF: Mapping[str, Material] = {
    "vocals": "voice",
    "lead_vocal": "voice",
    "back_vocal": "voice",
    "male_vocal": "voice",
    "female_vocal": "voice",
    "bass": "bass",
    **dict.fromkeys(
        ("guitar", "rhythm_guitar", "solo_guitar", "acoustic_guitar", "electric_guitar"), "guitar"
    ),
    "piano": "piano",
    **dict.fromkeys(("drums", "kick_drum", "snare_drum", "toms", "hi_hat", "ride", "crash"), "drums"),
}
"""What plays in a stem: nobody has to hear what is known."""


def from_source(
    preset: Preset, overrides: Mapping[str, Any], choose: ChooseConverter
) -> list[PlannedConversion]:
    """The conversions that begin with the bounce itself."""
    return [_planned(step, overrides, choose) for step in preset.steps if step.from_ == SOURCE]


def from_artifacts(
    preset: Preset,
    step: str,
    artifacts: Iterable[tuple[int, str]],
    overrides: Mapping[str, Any],
    choose: ChooseConverter,
) -> tuple[list[PlannedConversion], list[PlannedDelivery]]:
    """What the `(artifact id, role)` pairs that `step` returned lead to."""
    if step == LISTENING_STEP:
        return [], []
    placed = list(artifacts)
    conversions = [
        _planned(later, overrides, choose, artifact_id, role)
        for later in preset.steps
        for artifact_id, role in placed
        if _means(later.from_, step, role)
    ]
    deliveries = [
        PlannedDelivery(kind=KIND_OF[deliver.to], settings=_settings(deliver), artifact_id=artifact_id)
        for deliver in preset.deliver
        for artifact_id, role in placed
        if not deliver.together and _is_meant(deliver, step, role)
    ]
    return conversions, deliveries


def together(
    preset_data: Mapping[str, Any], results: Iterable[tuple[int, str, str]], made: Collection[list[int]]
) -> list[PlannedDelivery]:
    """What goes into one file once all of a job is there; `results` are its (artifact id, step, role).

    `made`: the artifacts of each such file that was planned before; the same is not planned twice.
    """
    placed = list(results)
    planned = []
    for deliver in Preset.model_validate(preset_data).deliver:
        found = [artifact for artifact, step, role in placed if _is_meant(deliver, step, role)]
        if deliver.together and found and found not in made:
            planned.append(
                PlannedDelivery(kind=TOGETHER, settings={**_settings(deliver), "artifacts": found})
            )
    return planned


def sidecar(preset: Preset) -> PlannedDelivery | None:
    """The delivery of the provenance file that ends a part; None where every delivery has it turned off."""
    files = (deliver for deliver in preset.deliver if KIND_OF[deliver.to] == ARTIFACT)
    wanted = next((deliver for deliver in files if deliver.sidecar), None)
    return PlannedDelivery(kind=SIDECAR, settings=_settings(wanted)) if wanted else None


def _planned(
    step: Step,
    overrides: Mapping[str, Any],
    choose: ChooseConverter,
    artifact_id: int | None = None,
    role: str = "",
) -> PlannedConversion:
    converter = choose(step)
    parameters = resolve_parameters(step, overrides, converter=converter)
    if parameters.get("material") == "auto" and step.conversion == "audio_to_midi":
        parameters["material"] = MATERIAL_OF.get(role, "auto")
    return PlannedConversion(
        step=step.name,
        conversion=step.conversion,
        converter=converter,
        parameters=parameters,
        artifact_id=artifact_id,
    )


def _is_meant(deliver: Deliver, step: str, role: str) -> bool:
    if deliver.from_ == "*":
        return step != LISTENING_STEP
    return _means(deliver.from_, step, role)


def _means(reference: str, step: str, role: str) -> bool:
    return reference in (step, f"{step}.{role}")


def _settings(deliver: Deliver) -> dict[str, Any]:
    return deliver.model_dump(
        include={"to", "pattern", "midi_start", "quantise", "stream"}, exclude_none=True
    )
