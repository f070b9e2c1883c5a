"""Whether pads and keys are mapped to something that exists. Told before anything is started."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bridge.actions import ACTIONS
from bridge.config import CONFIG_NAME, Settings
from bridge.errors import ConfigError
from bridge.toml_faults import listed

TAKEN_CARE_OF = frozenset({"at_s"})
"""Arguments that the press itself gives."""


def check_controls(settings: Settings, home: Path) -> None:
    """Raises ConfigError that lists every action or argument that does not exist."""
    if faults := list(control_faults(settings)):
        raise ConfigError(listed(faults), file=home / CONFIG_NAME)


def control_faults(settings: Settings) -> Iterator[str]:
    for number, pad in enumerate(settings.pads, start=1):
        where = f"pads[{number}]"
        yield from _faults(where, pad.action, [pad.with_, *(one.with_ for one in pad.variants)])
    for number, key in enumerate(settings.hotkeys, start=1):
        yield from _faults(f"hotkeys[{number}]", key.action, [key.with_])


def _faults(where: str, action: str, argument_sets: list[Mapping[str, Any]]) -> Iterator[str]:
    row = ACTIONS.get(action.replace("-", "_"))
    if row is None:
        near = difflib.get_close_matches(action, ACTIONS, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(ACTIONS)}."
        yield f"{where}.action: there is no action '{action}'. {hint}"
        return
    known = ", ".join(row.parameters) or "none"
    for given in argument_sets:
        for name in sorted(set(given) - set(row.parameters)):
            yield f"{where}.with: the action '{action}' does not know '{name}'. Its arguments: {known}."
    base = argument_sets[0]
    for name in sorted(row.required - set(base) - TAKEN_CARE_OF):
        if any(name not in given for given in argument_sets[1:]) or len(argument_sets) == 1:
            yield f"{where}.with: the action '{action}' needs '{name}'. Its arguments: {known}."
