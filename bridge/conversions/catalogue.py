"""The one table of all conversions. Adding a conversion is one row here and one function in the engine.

The converters, preset validation, the CLI's help and the docs read this table. Paths, types, limits and
prices are those of the MusicGPT API's documentation.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, get_args

from bridge.errors import PresetError
from bridge.media.notes import Material, PitchBends

Kind = Literal["bool", "int", "float", "text"]
Quality = Literal["studio", "good", "draft"]


@dataclass(frozen=True)
class Parameter:
    """One parameter of a conversion. `only` names the converters that know it (empty: all of them)."""

    name: str
    kind: Kind
    default: Any
    """None: what suits the input best."""
    about: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    only: frozenset[str] = frozenset()
    not_above: str = ""
    """The parameter whose value this one must not exceed."""
    choices: tuple[str, ...] = ()
    """Of a text: the values it may have; empty: any."""

    def parse(self, value: Any) -> Any:
        """`value` (also as text, as a command line gives it) in this parameter's kind.

        Raises ValueError that names the range.
        """
        parsed = _PARSERS[self.kind](value)
        if self.choices and parsed not in self.choices:
            raise ValueError(self._not_a_choice(parsed))
        below = self.low is not None and parsed < self.low
        above = self.high is not None and parsed > self.high
        if below or above:
            unit = f" {self.unit}" if self.unit else ""
            raise ValueError(f"must be {self._range()}{unit}, not {value!r}")
        return parsed

    def _not_a_choice(self, value: str) -> str:
        near = difflib.get_close_matches(value, self.choices, n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        return f"must be one of {', '.join(self.choices)}, not '{value}'{hint}"

    def _range(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"in range {self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Result:
    """One thing that a conversion returns: `role` names it in presets and file names."""

    role: str
    suffix: str
    about: str
    when: str = ""
    """The boolean parameter that asks for it; empty: always there."""


@dataclass(frozen=True)
class Price:
    """US dollars: `fixed` plus `per_minute` for each started 60 s of input."""

    fixed: float
    per_minute: float


@dataclass(frozen=True)
class Conversion:
    name: str
    title: str
    about: str
    path: str
    conversion_type: str
    category: str
    max_input_s: Mapping[str, float]
    """For each converter: the longest input in seconds."""
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    price: Mapping[str, Price]
    quality: Mapping[str, Quality]
    """For each converter that can do it: how well."""
    deterministic: bool = True
    method: str = "POST"
    encoding: str = "multipart/form-data"
    """How the request's body is written."""

    def roles(self) -> frozenset[str]:
        return frozenset(result.role for result in self.results)

    def resolve(self, given: Mapping[str, Any], *, converter: str) -> dict[str, Any]:
        """All parameters that `converter` knows, with `given` over the defaults.

        Raises PresetError listing every unknown name and every value out of range.
        """
        known = {row.name: row for row in self.parameters if not row.only or converter in row.only}
        values = {name: row.default for name, row in known.items()}
        faults = []
        for name, value in given.items():
            if name not in known:
                faults.append(_unknown_parameter(self, name, converter, sorted(known)))
                continue
            try:
                values[name] = known[name].parse(value)
            except ValueError as error:
                faults.append(f"{name}: {error}")
        faults += [
            f"{row.name}: must not be above {row.not_above} ({values[row.name]} > {values[row.not_above]})"
            for row in known.values()
            if None not in (values[row.name], values.get(row.not_above))
            and values[row.name] > values[row.not_above]
        ]
        if faults:
            raise PresetError(f"{self.name}: " + "; ".join(faults) + ".")
        return values


def _unknown_parameter(conversion: Conversion, name: str, converter: str, known: list[str]) -> str:
    if any(row.name == name for row in conversion.parameters):
        return f"{name}: the converter '{converter}' does not know it"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"{name}: no such parameter; {hint}"


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {
        "true": True,
        "yes": True,
        "on": True,
        "1": True,
        "false": False,
        "no": False,
        "off": False,
        "0": False,
    }
    if str(value).lower() in words:
        return words[str(value).lower()]
    raise ValueError(f"must be true or false, not {value!r}")


def _parse_float(value: Any) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"must be a number, not {value!r}")
    return number


def _parse_int(value: Any) -> int:
    number = _parse_float(value)
    if not number.is_integer():
        raise ValueError(f"must be a whole number, not {value!r}")
    return int(number)


_PARSERS: Mapping[Kind, Callable[[Any], Any]] = {
    "bool": _parse_bool,
    "int": _parse_int,
    "float": _parse_float,
    "text": str,
}

_LOCAL = frozenset({"local"})

_AUDIO_TO_MIDI = Conversion(
    name="audio_to_midi",
    title="Audio to MIDI",
    about="Writes down the notes that are played, as a MIDI file.",
    path="/v1/audio_to_midi",
    conversion_type="AUDIO_TO_MIDI",
    category="audio_utilities",
    max_input_s=MappingProxyType({"musicgpt": 480.0, "local": 4 * 3600.0}),
    parameters=(
        Parameter("sonify_midi", "bool", True, "Also render the notes to a WAV."),  # noqa: FBT003  data, not a call
        Parameter("save_note_events", "bool", True, "Also write the notes as a CSV."),  # noqa: FBT003  the same
        Parameter(
            "material",
            "text",
            "auto",
            "What plays; auto hears it by itself, and says so.",
            only=_LOCAL,
            choices=("auto", *get_args(Material)),
        ),
        Parameter(
            "quality",
            "text",
            "good",
            "best takes longer (piano: another network, fetched when first used).",
            only=_LOCAL,
            choices=("good", "best"),
        ),
        Parameter(
            "pitch_bends",
            "text",
            "off",
            "Bends and vibrato in the MIDI: none, a channel for each bent note, or MPE.",
            only=_LOCAL,
            choices=get_args(PitchBends),
        ),
        Parameter(
            "onset_threshold",
            "float",
            None,
            "How sure a note's beginning must be; lower finds more. By itself: what suits the material.",
            low=0.05,
            high=0.95,
            only=_LOCAL,
        ),
        Parameter(
            "frame_threshold",
            "float",
            None,
            "How sure a sounding note must be to go on; lower makes longer notes.",
            low=0.05,
            high=0.95,
            only=_LOCAL,
        ),
        Parameter(
            "minimum_note_ms",
            "float",
            None,
            "Shorter notes are left out.",
            unit="ms",
            low=0.0,
            high=2000.0,
            only=_LOCAL,
        ),
        Parameter(
            "lowest_note",
            "int",
            None,
            "Lower notes are left out.",
            unit="MIDI note",
            low=21,
            high=108,
            only=_LOCAL,
            not_above="highest_note",
        ),
        Parameter(
            "highest_note",
            "int",
            None,
            "Higher notes are left out.",
            unit="MIDI note",
            low=21,
            high=108,
            only=_LOCAL,
        ),
        Parameter(
            "remove_ghosts",
            "bool",
            None,
            "Leave out weak notes that are the overtones of a strong one.",
            only=_LOCAL,
        ),
    ),
    results=(
        Result("midi", "mid", "The notes."),
        Result("sonified", "wav", "The notes, rendered to audio.", when="sonify_midi"),
        Result("note_events", "csv", "The notes, one a line.", when="save_note_events"),
    ),
    price=MappingProxyType(
        {"pro": Price(0.005, 0.0037), "plus": Price(0.007, 0.005), "payg": Price(0.014, 0.01)}
    ),
    quality=MappingProxyType({"local": "good", "musicgpt": "good"}),
)

CATALOGUE: Mapping[str, Conversion] = MappingProxyType({row.name: row for row in (_AUDIO_TO_MIDI,)})


def conversion(name: str) -> Conversion:
    """The row of `name`. Raises PresetError with the nearest name."""
    row = CATALOGUE.get(name)
    if row is None:
        near = difflib.get_close_matches(name, CATALOGUE, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(sorted(CATALOGUE))}."
        raise PresetError(f"there is no conversion '{name}'.", remedy=hint)
    return row
