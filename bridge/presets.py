"""Presets: a small graph of conversions plus deliveries, one TOML file each.

The shipped ones lie in `presets/`, the musician's own in `BRIDGE_HOME/presets`; one of the same name wins
over the shipped one. A preset is checked whole when it is loaded, and all its faults are told at once.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath, PureWindowsPath
from string import Formatter
from typing import Any

from pydantic import ValidationError

from bridge.conversions import catalogue
from bridge.conversions.model import Input
from bridge.errors import PresetError
from bridge.preset_tables import SOURCE, Deliver, Preset, QuantiseTable, Step
from bridge.toml_faults import did_you_mean, faults_of, listed, syntax_fault

__all__ = [
    "BARE",
    "SOURCE",
    "Deliver",
    "LoadedPreset",
    "Preset",
    "PresetShelf",
    "QuantiseTable",
    "Step",
]

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


INPUT_OF: Mapping[str, Input] = {
    ".txt": "text",
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".webp"), "image"),
}
"""What a file is that is no audio, by its name."""
OTHER_SUFFIXES = frozenset(INPUT_OF)
MIDI_SUFFIX = "mid"
NO_AUDIO = frozenset({"mid", "csv", "json", "txt", "png"})
"""Suffixes of results that no conversion of audio can begin with."""

PATTERN_FIELDS = ("bounce", "role", "step", "from", "preset", "ext")
"""`from` is the role of the artifact that a step was fed with, or "source"."""

BARE = "@"
"""`@denoise` is the preset of one conversion and nothing else: for `--conversion`."""


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

    def names(self) -> list[str]:
        """The names of all, sorted, usable or not."""
        return sorted(self._files())

    def get(self, name: str) -> Preset:
        """Raises PresetError with all the preset's faults, or with the nearest name."""
        files = self._files()
        if name.startswith(BARE):
            return bare(name.removeprefix(BARE))
        if name not in files:
            raise PresetError(f"there is no preset '{name}'.", remedy=did_you_mean(name, sorted(files)))
        return load(files[name])

    def _files(self) -> dict[str, Path]:
        found: dict[str, Path] = {}
        for folder in self._folders:
            for path in sorted(folder.glob("*.toml")):
                if not path.name.startswith("."):  # macOS leaves "._name.toml" on foreign disks
                    found.setdefault(path.stem, path)
        return found


def bare(conversion: str) -> Preset:
    """One conversion and nothing else. Raises PresetError for one that does not exist."""
    row = catalogue.conversion(conversion)
    step = Step(name=row.name.casefold(), conversion=row.name)
    return Preset(name=step.name.replace("_", "-"), title=row.title, steps=(step,))


def _loaded(path: Path) -> LoadedPreset:
    try:
        return LoadedPreset(path.stem, path, preset=load(path))
    except PresetError as error:
        return LoadedPreset(path.stem, path, error=error)


def load(path: Path) -> Preset:
    """The preset in the file `path`. Raises PresetError listing all its faults."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        remedy = "It must be a UTF-8 text that you may read."
        raise PresetError(f"it cannot be read: {error}.", file=path, remedy=remedy) from error
    return _parsed(path, text)


@lru_cache(maxsize=128)
def _parsed(path: Path, text: str) -> Preset:
    """What the text says. Kept: a press of a pad asks for its preset twice, and milliseconds count."""
    try:
        preset = Preset.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        message, remedy = syntax_fault(error)
        raise PresetError(message, file=path, remedy=remedy) from error
    except ValidationError as error:
        raise PresetError(listed(faults_of(error, Preset, text)), file=path) from error
    faults = list(_faults(preset, path.stem))
    if faults:
        raise PresetError(listed(faults), file=path)
    return preset


Roles = dict[str, frozenset[str] | None]
"""For each step: what it returns; None where that cannot be known."""


def _faults(preset: Preset, stem: str) -> Iterator[str]:
    if preset.name != stem:
        yield f"name: it is '{preset.name}' but the file is called '{stem}.toml'. Make them the same."
    roles: Roles = {}
    for step in preset.steps:
        if step.name in roles:
            yield f"steps: two are called '{step.name}'. Give one of them another name."
        yield from _reference_faults(f"step '{step.name}'", step.from_, roles, allow_source=True)
        roles[step.name] = None
        try:
            row = catalogue.conversion(step.conversion)
        except PresetError as error:
            yield f"step '{step.name}': {error}"
            continue
        roles[step.name] = row.roles()
        yield from _parameter_faults(step, row)
        yield from _feeding_faults(preset, step, row)
    for deliver in preset.deliver:
        if deliver.from_ != "*":
            yield from _reference_faults("deliver", deliver.from_, roles, allow_source=False)
        yield from _notes_faults(preset, deliver)
        yield from _pattern_faults(deliver.pattern)
    yield from _name_clashes(preset)


def _reference_faults(where: str, reference: str, roles: Roles, *, allow_source: bool) -> Iterator[str]:
    if allow_source and reference == SOURCE:
        return
    step, _, role = reference.partition(".")
    if step not in roles:
        known = ", ".join([SOURCE] * allow_source + list(roles)) or "none"
        yield f"{where}: from = '{reference}' names no earlier step. Known: {known}."
    elif role and (returned := roles[step]) is not None and role not in returned:
        has = ", ".join(sorted(returned))
        yield f"{where}: from = '{reference}': '{step}' has no '{role}'. It has: {has}."


def _feeding_faults(preset: Preset, step: Step, row: catalogue.Conversion) -> Iterator[str]:
    """A step that would be fed with what it cannot read: notes or words where it takes audio."""
    if row.input != "audio" or step.from_ == SOURCE:
        return
    fed = [result for _, result, _ in _results(preset, step.from_)]
    wrong = [result.role for result in fed if result.suffix in NO_AUDIO]
    if wrong:
        fit = [f"'{step.from_}.{one.role}'" for one in fed if one.suffix not in NO_AUDIO]
        hint = f" Choose from {', '.join(fit)}." if fit else ""
        what = f"{row.name} takes audio, not {', '.join(wrong)}.{hint}"
        yield f"step '{step.name}': from = '{step.from_}': {what}"


def _parameter_faults(step: Step, row: catalogue.Conversion) -> Iterator[str]:
    converters = list(row.quality) if step.converter == "auto" else [step.converter]
    if not set(converters) <= set(row.quality):
        able = ", ".join(row.quality)
        yield f"step '{step.name}': '{step.converter}' cannot do {row.name}. These can: {able}."
        return
    errors = []
    for converter in converters:
        try:
            row.resolve(step.parameters, converter=converter)
        except PresetError as error:
            errors.append(f"step '{step.name}': {error}")
    # With "auto" it is enough that one of them can do it: the others are then not chosen.
    if len(errors) == len(converters):
        yield from errors[:1]


def _notes_faults(preset: Preset, deliver: Deliver) -> Iterator[str]:
    """Only notes can be played out of a MIDI port, and put into one file."""
    if deliver.to == "stream" and deliver.together:
        yield "deliver: together writes one file, so it goes with to = 'project_folder'."
    elif deliver.to == "stream" or deliver.together:
        found = {f"'{step.name}.{one.role}'": one.suffix for step, one, _ in _results(preset, deliver.from_)}
        wrong = [name for name, suffix in found.items() if suffix != MIDI_SUFFIX]
        fit = [name for name, suffix in found.items() if suffix == MIDI_SUFFIX]
        if wrong:
            hint = f" Write from = {' or '.join(fit)}." if fit else " Name a step that returns MIDI."
            what = "together = true takes" if deliver.together else "to = 'stream' plays"
            yield f"deliver: {what} notes, and {', '.join(wrong)} has none.{hint}"
    if deliver.to != "stream" and deliver.stream is not None:
        yield "deliver: stream says how notes are played, so it goes with to = 'stream'."


def _pattern_faults(pattern: str) -> Iterator[str]:
    what = f"deliver: pattern = '{pattern}'"
    try:
        used = [(field, spec, how) for _, field, spec, how in Formatter().parse(pattern) if field is not None]
    except ValueError as error:
        yield f"{what} cannot be read: {error}. Fields look like {{bounce}}."
        return
    for field, spec, how in used:
        if field not in PATTERN_FIELDS or spec or how:
            known = ", ".join(f"{{{one}}}" for one in PATTERN_FIELDS)
            yield f"{what} has a field that does not exist. Known: {known}."
            return
    if not pattern.endswith(".{ext}"):
        yield f"{what} must end in .{{ext}}, which tells programs what the file is. Add it."
    if _leads_outside(pattern.format_map(dict.fromkeys(PATTERN_FIELDS, "x"))):
        yield f"{what} must stay inside the project folder. Write only folders in it."


def _leads_outside(name: str) -> bool:
    """Judged by the rules of every system: presets are given to others."""
    ways = (PurePosixPath(name), PureWindowsPath(name))
    return any(way.anchor or ".." in way.parts for way in ways)


def _name_clashes(preset: Preset) -> Iterator[str]:
    """Two results of one bounce that would get the same name: the second would become "name (2)"."""
    taken: dict[str, str] = {}
    for deliver in preset.deliver:
        if deliver.to == "stream" or any(_pattern_faults(deliver.pattern)):
            continue
        found = list(_results(preset, deliver.from_))
        for step, result, fed_by in [(*one[:2], "all") for one in found[:1]] if deliver.together else found:
            what = f"{step.name}.{result.role}" + ("" if fed_by == SOURCE else f" of {fed_by}")
            fields = {"role": result.role, "step": step.name, "from": fed_by, "ext": result.suffix}
            name = deliver.pattern.format_map({**fields, "preset": preset.name, "bounce": "{bounce}"})
            if name.casefold() in taken:
                yield (
                    f"deliver: '{taken[name.casefold()]}' and '{what}' would both be called '{name}'."
                    " Use {step}, {role} and {from} in the pattern, or deliver it once."
                )
            taken.setdefault(name.casefold(), what)


def _results(preset: Preset, reference: str) -> Iterator[tuple[Step, catalogue.Result, str]]:
    """Each result that `reference` means, with its step and the role of what that step is fed with."""
    for step in preset.steps:
        for result in _returned(step):
            if reference in ("*", step.name, f"{step.name}.{result.role}"):
                yield from ((step, result, fed_by) for fed_by in fed_by(preset, step))


def _returned(step: Step) -> tuple[catalogue.Result, ...]:
    """What the step returns with its parameters, as far as they are known."""
    row = catalogue.CATALOGUE.get(step.conversion)
    if row is None:
        return ()
    defaults = {parameter.name: parameter.default for parameter in row.parameters}
    given = {}
    for parameter in (one.of(name) for name in row.quality for one in row.parameters):
        with suppress(ValueError):  # told already
            if parameter.name in step.parameters:
                given[parameter.name] = parameter.parse(step.parameters[parameter.name])
    return row.returns({**defaults, **given})


def fed_by(preset: Preset, step: Step) -> list[str]:
    """The roles of what a step is fed with, one after the other; "source" for the bounce itself."""
    source, _, role = step.from_.partition(".")
    if step.from_ == SOURCE or role:
        return [role or SOURCE]
    feeding = [one for one in preset.steps if one.name == source]
    return [result.role for one in feeding for result in _returned(one)]


def resolve_parameters(step: Step, overrides: Mapping[str, Any], *, converter: str) -> dict[str, Any]:
    """The parameters of `step` for `converter`, with those `overrides` that its conversion knows on top."""
    row = catalogue.conversion(step.conversion)
    names = {parameter.name for parameter in row.parameters}
    known = {name: value for name, value in overrides.items() if name in names}
    return row.resolve({**step.parameters, **known}, converter=converter)


def knows_parameters(step: Step, overrides: Mapping[str, Any], *, converter: str) -> bool:
    """Whether `converter` can be asked for `step` with these parameters."""
    try:
        resolve_parameters(step, overrides, converter=converter)
    except PresetError:
        return False
    return True


def lacks(step: Step, overrides: Mapping[str, Any], *, converter: str) -> list[str]:
    """What `converter` must still be told for this step, each in words."""
    return catalogue.conversion(step.conversion).missing(
        resolve_parameters(step, overrides, converter=converter)
    )


def drafts(step: Step, overrides: Mapping[str, Any], converter: str) -> dict[str, str]:
    """What `converter` would only make a draft of in this step, each with what it is not."""
    row = catalogue.conversion(step.conversion)
    if converter not in row.quality:
        return {}
    return row.drafts(converter, resolve_parameters(step, overrides, converter=converter))


def refuse_drafts(step: Step, overrides: Mapping[str, Any], converter: str) -> None:
    """Raises PresetError where an "auto" step is left with somebody who makes only drafts."""
    found = drafts(step, overrides, converter)
    if found:
        told = " ".join(f"{role}: {words}" for role, words in found.items())
        raise PresetError(
            f"{step.conversion}: on this machine only a draft can be made of {', '.join(found)}. {told}",
            remedy=f'To have it all the same, write converter = "{converter}" into the step of a preset '
            "(stems-here is one); or give the bridge a key: bridge login",
        )


def input_of(preset: Preset) -> Input:
    """What the preset begins with: the first of its steps says it."""
    return catalogue.conversion(preset.steps[0].conversion).input


def check_input(preset: Preset, source: Path) -> None:
    """Raises PresetError where the preset cannot begin with such a file."""
    wanted = input_of(preset)
    is_what = INPUT_OF.get(source.suffix.lower(), "audio")
    if wanted != is_what:
        words = {"audio": "an audio file", "image": "a picture", "text": "a text"}
        raise PresetError(
            f"'{preset.name}' begins with {words[wanted]}, and this is {words[is_what]}.",
            file=source,
            remedy=(
                f"It takes no file: bridge convert --preset {preset.name} --name NAME --set KEY=VALUE"
                if wanted == "text" and not preset.name.startswith(BARE)
                else "`bridge conversions` says what each begins with."
            ),
        )


def check_overrides(preset: Preset, overrides: Mapping[str, Any]) -> None:
    """Raises PresetError that lists what `preset` makes impossible: unknown names, bad values."""
    rows = [catalogue.conversion(step.conversion) for step in preset.steps]
    known = sorted({parameter.name for row in rows for parameter in row.parameters})
    faults = [
        f"no step of '{preset.name}' has a parameter '{name}'. {did_you_mean(name, known)}"
        for name in overrides
        if name not in known
    ]
    for step, row in zip(preset.steps, rows, strict=True):
        names = {parameter.name for parameter in row.parameters} & set(overrides)
        given = {**step.parameters, **{name: overrides[name] for name in names}}
        faults += _parameter_faults(step.model_copy(update={"parameters": given}), row)
    if faults:
        raise PresetError(faults[0] if len(faults) == 1 else listed(faults))
