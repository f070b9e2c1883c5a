"""Whether pads and keys are mapped to something that exists. Told before anything is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bridge import actions
from bridge.actions import ACTIONS, Action
from bridge.config import CONFIG_NAME, Settings
from bridge.errors import BridgeError, ConfigError, WrongUse
from bridge.toml_faults import listed


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
    try:
        row = actions.named(action)
    except WrongUse as error:
        yield f"{where}.action: {error}"
        return
    alone, *varied = ({**argument_sets[0], **one} for one in argument_sets)
    misnamed = [fault for given in varied or [alone] for fault in row.misnamed(given)]
    impossible = [fault for given in (alone, *varied) for fault in _impossible(row, given)]
    yield from dict.fromkeys(f"{where}.with: {fault}" for fault in (*misnamed, *impossible))


def _impossible(row: Action, arguments: Mapping[str, Any]) -> Iterator[WrongUse]:
    """Values that can never be."""
    if row.required <= set(arguments):
        try:
            row.check(arguments)
        except WrongUse as error:
            yield error
