"""Whether the engine listens for tempo, meter and key, because nobody tells them."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.conversions.model import LOCAL
from bridge.jobs.model import LISTENING, LISTENING_STEP, PlannedConversion, Source
from bridge.media import clues
from bridge.media.musical_context import ASSUMED
from bridge.presets import SOURCE, Preset, Step

LISTENED_FOR = frozenset({"audio_to_midi"})
"""Conversions whose results are written at the project's tempo."""


@dataclass(frozen=True)
class Listening:
    """The musician's settings on it; `settings_bpm` is a tempo that holds where nothing else is known."""

    on: bool = True
    settings_bpm: float | None = None

    def wanted(self, preset: Preset, source: Source) -> bool:
        """True where notes are written and nobody knows their tempo, and no step of it hears it here."""
        steps = {step.conversion for step in preset.steps}
        if not self.on or not source.frames or not steps & LISTENED_FOR or any(map(_hears, preset.steps)):
            return False
        context = clues.context_from(
            source.told, source.path, preset=preset.told(), settings_bpm=self.settings_bpm
        )
        return context.tempo_source == ASSUMED


def _hears(step: Step) -> bool:
    return step.conversion == LISTENING and step.from_ == SOURCE and step.converter == LOCAL


NOBODY_LISTENS = Listening(on=False)


def listening() -> PlannedConversion:
    return PlannedConversion(step=LISTENING_STEP, conversion=LISTENING, converter=LOCAL, parameters={})
