"""What follows from what: which conversions a source starts, and what an artifact leads to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.jobs.model import PlannedConversion, PlannedDelivery
from bridge.presets import SOURCE, Deliver, Preset, Step, resolve_parameters

ChooseConverter = Callable[[Step], str]

ARTIFACT = "artifact"
SIDECAR = "sidecar"
STREAM = "stream"
KIND_OF = {"project_folder": ARTIFACT, "stream": STREAM}


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
    placed = list(artifacts)
    conversions = [
        _planned(later, overrides, choose, artifact_id)
        for later in preset.steps
        for artifact_id, role in placed
        if _means(later.from_, step, role)
    ]
    deliveries = [
        PlannedDelivery(kind=KIND_OF[deliver.to], settings=_settings(deliver), artifact_id=artifact_id)
        for deliver in preset.deliver
        for artifact_id, role in placed
        if deliver.from_ == "*" or _means(deliver.from_, step, role)
    ]
    return conversions, deliveries


def sidecar(preset: Preset) -> PlannedDelivery | None:
    """The delivery of the provenance file that ends a part; None where every delivery has it turned off."""
    files = (deliver for deliver in preset.deliver if KIND_OF[deliver.to] == ARTIFACT)
    wanted = next((deliver for deliver in files if deliver.sidecar), None)
    return PlannedDelivery(kind=SIDECAR, settings=_settings(wanted)) if wanted else None


def _planned(
    step: Step, overrides: Mapping[str, Any], choose: ChooseConverter, artifact_id: int | None = None
) -> PlannedConversion:
    converter = choose(step)
    return PlannedConversion(
        step=step.name,
        conversion=step.conversion,
        converter=converter,
        parameters=resolve_parameters(step, overrides, converter=converter),
        artifact_id=artifact_id,
    )


def _means(reference: str, step: str, role: str) -> bool:
    return reference in (step, f"{step}.{role}")


def _settings(deliver: Deliver) -> dict[str, Any]:
    return deliver.model_dump(
        include={"to", "pattern", "midi_start", "quantise", "stream"}, exclude_none=True
    )
