"""Presets: a small graph of conversions plus deliveries, one TOML file each.

The shipped ones lie in `presets/`, the musician's own in `BRIDGE_HOME/presets`; one of the same name wins
over the shipped one. A preset is checked whole when it is loaded, and all its faults are told at once.
"""

from __future__ import annotations

import difflib
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.conversions import catalogue
from bridge.errors import PresetError
from bridge.toml_faults import faults_of

SOURCE = "source"
SHIPPED = next(
    (
        folder
        for folder in (
            Path(__file__).parents[1] / "presets",  # a checkout
            Path(sys.prefix) / "share" / "daw-bridge" / "presets",  # an installed wheel
        )
        if folder.is_dir()
    ),
    Path(__file__).parents[1] / "presets",
)


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Step(_Table):
    """One conversion: `from` is "source", "step.role", or "step" for every artifact of that step."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    conversion: str
    from_: str = Field(default=SOURCE, alias="from")
    converter: Literal["auto", "local", "musicgpt"] = "auto"
    parameters: dict[str, bool | int | float | str] = {}


class Deliver(_Table):
    """One delivery: which results (`step.role`, `step`, or everything) go where, under which name."""

    to: Literal["project_folder"] = "project_folder"
    from_: str = Field(default="*", alias="from")
    pattern: str = "{bounce}_{role}.{ext}"
    sidecar: bool = True


class Preset(_Table):
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")
    title: str
    about: str = ""
    tempo_bpm: float | None = Field(default=None, ge=20, le=400)
    steps: tuple[Step, ...] = Field(min_length=1)
    deliver: tuple[Deliver, ...] = (Deliver(),)


PATTERN_FIELDS = ("bounce", "role", "step", "preset", "ext")


@dataclass(frozen=True)
class LoadedPreset:
    """What a preset file turned out to be: a preset, or the error that says why it is none."""

    name: str
    path: Path
    preset: Preset | None = None
    error: PresetError | None = None


class PresetShelf:
    """All presets by name. Reads the files anew on each call: an edited preset holds for the next bounce."""

    def __init__(self, own_folder: Path, shipped_folder: Path = SHIPPED) -> None:
        self._folders = (own_folder, shipped_folder)

    def all(self) -> list[LoadedPreset]:
        """Every preset, sorted by name; broken ones with their error."""
        return sorted((_loaded(path) for path in self._files().values()), key=lambda loaded: loaded.name)

    def get(self, name: str) -> Preset:
        """Raises PresetError with all the preset's faults, or with the nearest name."""
        files = self._files()
        if name not in files:
            near = difflib.get_close_matches(name, files, n=1)
            hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(files))}."
            raise PresetError(f"there is no preset '{name}'.", remedy=hint)
        return load(files[name])

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.toml")):
                found.setdefault(path.stem, path)
        return found


def _loaded(path: Path) -> LoadedPreset:
    try:
        return LoadedPreset(path.stem, path, preset=load(path))
    except PresetError as error:
        return LoadedPreset(path.stem, path, error=error)


def load(path: Path) -> Preset:
    """The preset in the file `path`. Raises PresetError listing all its faults."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        preset = Preset.model_validate(tomllib.loads(text))
    except (OSError, UnicodeDecodeError) as error:
        raise PresetError(f"it cannot be read: {error}.", file=path) from error
    except tomllib.TOMLDecodeError as error:
        raise PresetError(f"this is not valid TOML: {error}.", file=path, remedy="Mend that line.") from error
    except ValidationError as error:
        raise PresetError(faults_of(error, Preset, text), file=path) from error
    faults = list(_faults(preset, path.stem))
    if faults:
        raise PresetError(
            f"{len(faults)} fault(s):\n" + "\n".join(f"  {fault}" for fault in faults), file=path
        )
    return preset


def _faults(preset: Preset, stem: str) -> Iterator[str]:
    if preset.name != stem:
        yield f"name: it is '{preset.name}' but the file is called '{stem}.toml'; make them the same"
    roles: dict[str, frozenset[str]] = {}
    for step in preset.steps:
        if step.name in roles:
            yield f"steps: two are called '{step.name}'"
        yield from _reference_faults(f"step '{step.name}'", step.from_, roles, allow_source=True)
        try:
            row = catalogue.conversion(step.conversion)
        except PresetError as error:
            yield f"step '{step.name}': {error}"
            continue
        roles[step.name] = row.roles()
        yield from _parameter_faults(step, row)
    for deliver in preset.deliver:
        if deliver.from_ != "*":
            yield from _reference_faults("deliver", deliver.from_, roles, allow_source=False)
        yield from _pattern_faults(deliver.pattern)


def _reference_faults(
    where: str, reference: str, roles: Mapping[str, frozenset[str]], *, allow_source: bool
) -> Iterator[str]:
    if allow_source and reference == SOURCE:
        return
    step, _, role = reference.partition(".")
    if step not in roles:
        known = ", ".join([SOURCE] * allow_source + list(roles)) or "none"
        yield f"{where}: from = '{reference}' names no earlier step (known: {known})"
    elif role and role not in roles[step]:
        has = ", ".join(sorted(roles[step]))
        yield f"{where}: from = '{reference}': '{step}' has no '{role}' (it has {has})"


def _parameter_faults(step: Step, row: catalogue.Conversion) -> Iterator[str]:
    converters = row.quality if step.converter == "auto" else [step.converter]
    errors = []
    for converter in converters:
        try:
            row.resolve(step.parameters, converter=converter)
        except PresetError as error:
            errors.append(f"step '{step.name}': {error}")
    # With "auto" it is enough that one of them can do it: the others are then not chosen.
    if len(errors) == len(list(converters)):
        yield from errors[:1]


def _pattern_faults(pattern: str) -> Iterator[str]:
    try:
        name = pattern.format_map(dict.fromkeys(PATTERN_FIELDS, "x"))
    except (KeyError, ValueError, IndexError, AttributeError) as error:
        yield f"deliver: pattern = '{pattern}' is not usable ({error!r}); fields: {', '.join(PATTERN_FIELDS)}"
        return
    parts = Path(name).parts
    if Path(name).is_absolute() or ".." in parts or not parts:
        yield f"deliver: pattern = '{pattern}' must stay inside the project folder"


def resolve_parameters(step: Step, overrides: Mapping[str, Any], *, converter: str) -> dict[str, Any]:
    """The parameters of `step` for `converter`, with those `overrides` that its conversion knows on top."""
    row = catalogue.conversion(step.conversion)
    names = {parameter.name for parameter in row.parameters}
    known = {name: value for name, value in overrides.items() if name in names}
    return row.resolve({**step.parameters, **known}, converter=converter)


def check_overrides(preset: Preset, overrides: Mapping[str, Any]) -> None:
    """Raises PresetError when `overrides` has a name that no step of `preset` knows, or a bad value."""
    rows = [catalogue.conversion(step.conversion) for step in preset.steps]
    known = sorted({parameter.name for row in rows for parameter in row.parameters})
    unknown = [name for name in overrides if name not in known]
    if unknown:
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}."
        raise PresetError(f"no step of '{preset.name}' has a parameter '{unknown[0]}'.", remedy=hint)
    for row in rows:
        for parameter in row.parameters:
            if parameter.name in overrides:
                try:
                    parameter.parse(overrides[parameter.name])
                except ValueError as error:
                    raise PresetError(f"{parameter.name}: {error}.") from None
