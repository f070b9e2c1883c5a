"""Whether pads and keys are mapped to something that exists. Told before anything is started."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bridge.actions import ACTIONS, Action
from bridge.config import CONFIG_NAME, Settings
from bridge.errors import BridgeError, ConfigError, WrongUse
from bridge.toml_faults import listed

TAKEN_CARE_OF = frozenset({"at_s"})
"""Arguments that the press itself gives."""


def check_controls(settings: Settings, home: Path) -> None:
    """Raises ConfigError that lists every action or argument that cannot be."""
    if faults := list(control_faults(settings)):
        raise ConfigError(listed(faults), file=home / CONFIG_NAME)


def control_faults(settings: Settings) -> Iterator[str]:
    for where, action, argument_sets in _mapped(settings):
        yield from _faults(where, action, argument_sets)


def control_doubts(settings: Settings, preset: Callable[[str], object]) -> Iterator[str]:
    """What will not work as it is now, but may later: presets that are not there, or have faults.

    `preset` raises a BridgeError for such a name.
    """
    named = [("midi.presets", name) for name in settings.midi.presets]
    for where, action, argument_sets in _mapped(settings):
        if "preset" in ACTIONS[action].parameters:
            named += [(where, str(one["preset"])) for one in argument_sets if one.get("preset")]
    for where, name in dict.fromkeys(named):
        try:
            preset(name)
        except BridgeError as error:
            yield f"{where}: {error}"


def _mapped(settings: Settings) -> Iterator[tuple[str, str, list[Mapping[str, Any]]]]:
    """Where each mapping stands, its action, and its own arguments before those of its variants."""
    for number, pad in enumerate(settings.pads, start=1):
        yield f"pads[{number}]", pad.action, [pad.with_, *(one.with_ for one in pad.variants)]
    for number, key in enumerate(settings.hotkeys, start=1):
        yield f"hotkeys[{number}]", key.action, [key.with_]


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
    yield from _impossible(where, row, argument_sets)


def _impossible(where: str, row: Action, argument_sets: list[Mapping[str, Any]]) -> Iterator[str]:
    """Values that can never be."""
    base = argument_sets[0]
    told = set()
    for given in argument_sets:
        arguments = {**base, **given}
        if row.required <= set(arguments):
            try:
                row.check(arguments)
            except WrongUse as error:
                told.add(f"{where}.with: {error}")
    yield from sorted(told)
