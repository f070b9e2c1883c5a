"""What a preset would cost on a bounce, step by step, before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bridge.conversions import catalogue
from bridge.converters.base import Converter
from bridge.jobs.clearance import SendingRules, asks_for_consent
from bridge.jobs.conversion_steps import ConversionSteps
from bridge.jobs.model import JobRequest
from bridge.jobs.views import Views
from bridge.presets import Preset, fed_by, resolve_parameters


@dataclass(frozen=True)
class QuotedStep:
    """One step: who does it, how often, and the price of all of that (None: not known)."""

    step: str
    conversion: str
    converter: str
    times: int
    usd: float | None
    basis: str
    consent: bool
    """The musician will be asked first whether it may be sent."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def quotes(
    journal: Views,
    rules: SendingRules,
    steps: ConversionSteps,
    converters: Mapping[str, Converter],
    preset: Preset,
    request: JobRequest,
    duration_s: float,
) -> list[QuotedStep]:
    """The price of each step, also of those that are fed with what earlier ones return.

    Raises Rejected where the plan does not have it, PresetError for parameters that cannot be.
    """
    rows = []
    for step in preset.steps:
        name = steps.choose_converter(step, request.overrides, private=request.private, duration_s=duration_s)
        parameters = resolve_parameters(step, request.overrides, converter=name)
        times, converter = len(fed_by(preset, step)), converters[name]
        row = catalogue.conversion(step.conversion)
        one = converter.quote(step.conversion, parameters, duration_s)
        consent = converter.remote and asks_for_consent(journal, rules, request.source, row, parameters)
        usd = None if one.usd is None else one.usd * times
        basis = one.basis if times == 1 else f"{times} times {one.basis}"
        rows.append(QuotedStep(step.name, row.name, name, times, usd, basis, consent))
    return rows
