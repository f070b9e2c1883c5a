"""What follows from what: which conversions a source starts, and what an artifact leads to. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from bridge.conversions import catalogue
from bridge.conversions.model import LOCAL
from bridge.conversions.pieces import JOIN, PIECE, of_pieces
from bridge.jobs.model import PlannedConversion, PlannedDelivery
from bridge.jobs.records import ArtifactRecord, ConversionRecord
from bridge.presets import SOURCE, Deliver, Preset, Step, resolve_parameters

ChooseConverter = Callable[[Step], str]

ARTIFACT = "artifact"
SIDECAR = "sidecar"


def from_source(
    preset: Preset, overrides: Mapping[str, Any], choose: ChooseConverter, duration_s: float = 0.0
) -> list[PlannedConversion]:
    """The conversions that begin with the bounce itself, which is `duration_s` seconds long."""
    return [
        one
        for step in preset.steps
        if step.from_ == SOURCE
        for one in _planned(step, overrides, choose, duration_s)
    ]


def from_artifacts(
    preset: Preset,
    step: str,
    artifacts: Iterable[tuple[int, str]],
    overrides: Mapping[str, Any],
    choose: ChooseConverter,
    duration_s: float = 0.0,
) -> tuple[list[PlannedConversion], list[PlannedDelivery]]:
    """What the `(artifact id, role)` pairs that `step` returned lead to."""
    placed = list(artifacts)
    conversions = [
        one
        for later in preset.steps
        for artifact_id, role in placed
        if _means(later.from_, step, role)
        for one in _planned(later, overrides, choose, duration_s, artifact_id)
    ]
    deliveries = [
        PlannedDelivery(kind=ARTIFACT, settings=_settings(deliver), artifact_id=artifact_id)
        for deliver in preset.deliver
        for artifact_id, role in placed
        if deliver.from_ == "*" or _means(deliver.from_, step, role)
    ]
    return conversions, deliveries


def sidecar(preset: Preset) -> PlannedDelivery | None:
    """The delivery of the provenance file that ends a part; None where every delivery has it turned off."""
    wanted = next((deliver for deliver in preset.deliver if deliver.sidecar), None)
    return PlannedDelivery(kind=SIDECAR, settings=_settings(wanted)) if wanted else None


def _planned(
    step: Step,
    overrides: Mapping[str, Any],
    choose: ChooseConverter,
    duration_s: float,
    artifact_id: int | None = None,
) -> list[PlannedConversion]:
    """One conversion; several where the audio is too long for who does it, and the preset allows that."""
    converter = choose(step)
    longest_s = catalogue.conversion(step.conversion).max_input_s.get(converter, math.inf)
    parameters = resolve_parameters(step, overrides, converter=converter)
    return [
        PlannedConversion(step.name, step.conversion, converter, one, artifact_id)
        for one in of_pieces(parameters, duration_s, longest_s)
    ]


def join(of_step: Iterable[ConversionRecord], artifacts: Iterable[ArtifactRecord]) -> PlannedConversion:
    """What puts the results of the pieces of one step together; all of them are done."""
    rows = sorted(of_step, key=lambda one: one.parameters[PIECE])
    made = list(artifacts)
    files = [
        {
            "role": artifact.role,
            "path": str(artifact.path),
            "media_type": artifact.media_type,
            PIECE: row.parameters[PIECE],
        }
        for row in rows
        for artifact in made
        if artifact.conversion_id == row.id
    ]
    return PlannedConversion(rows[0].step, JOIN.name, LOCAL, {"files": files}, rows[0].artifact_id)


def _means(reference: str, step: str, role: str) -> bool:
    return reference in (step, f"{step}.{role}")


def _settings(deliver: Deliver) -> dict[str, Any]:
    return deliver.model_dump(include={"to", "pattern", "midi_start", "quantise"}, exclude_none=True)
