"""What a row of the table of conversions is made of. Pure: no I/O."""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal

from bridge.errors import PresetError

Kind = Literal["bool", "int", "float", "text", "list"]
Quality = Literal["studio", "good", "draft"]
Evidence = Literal["docs", "code", "inferred"]
"""Who says so: the vendor's documentation, clients' code, or nobody (our deduction)."""

Input = Literal["audio", "image", "text"]
"""What a conversion begins with: an audio file, a picture, or nothing but its parameters."""

Encoding = Literal["multipart/form-data", "application/json", "application/x-www-form-urlencoded", "query"]
"""How the request's values travel."""

Category = Literal["audio_generations", "audio_utilities", "audio_enhancements", ""]
"""Conversions of one category share the plan's places; empty: none is documented."""

Plan = Literal["free", "payg", "plus", "pro"]

Fit = Literal["source", "own", "as_is"]
"""How audio that comes back is laid into the project: on the source's first sample with its rate and length;
from its own first sound on, without the encoder's delay; or the file as it is."""

MUSICGPT, LOCAL = "musicgpt", "local"


@dataclass(frozen=True)
class Parameter:
    """One parameter of a conversion. `only` names the converters that know it (empty: all of them)."""

    name: str
    kind: Kind
    default: Any
    """None: not given; what suits the input best."""
    about: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    only: frozenset[str] = frozenset()
    not_above: str = ""
    """The parameter whose value this one must not exceed."""
    choices: tuple[Any, ...] = ()
    """The values it may have, of a list each item; empty: any."""
    also: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """For a converter: what it may also have there."""
    required: bool = False
    max_chars: int | None = None
    evidence: Evidence = "docs"
    sent: bool = True
    """False: it tells the bridge what to do, and never travels."""
    multiple_of: int = 1
    """Of a whole number: what it must be a multiple of."""

    def of(self, converter: str) -> Parameter:
        """As this converter knows it."""
        more = self.also.get(converter)
        return replace(self, choices=(*self.choices, *more), also={}) if more else self

    def parse(self, value: Any) -> Any:
        """`value` (also as text, as a command line gives it) in this parameter's kind.

        Raises ValueError that names the range.
        """
        parsed = _PARSERS[self.kind](value)
        for one in parsed if self.kind == "list" else (parsed,):
            if self.choices and one not in self.choices:
                raise ValueError(self._not_a_choice(one))
        if self.max_chars is not None and len(parsed) > self.max_chars:
            raise ValueError(f"must have at most {self.max_chars} characters, not {len(parsed)}")
        self._check_range(parsed, value)
        return parsed

    def _check_range(self, parsed: Any, value: Any) -> None:
        below = self.low is not None and parsed < self.low
        above = self.high is not None and parsed > self.high
        if below or above:
            unit = f" {self.unit}" if self.unit else ""
            raise ValueError(f"must be {self._range()}{unit}, not {value!r}")
        if self.multiple_of > 1 and parsed % self.multiple_of:
            raise ValueError(f"must be a multiple of {self.multiple_of}, not {value!r}")

    def _not_a_choice(self, value: Any) -> str:
        near = difflib.get_close_matches(str(value), list(map(str, self.choices)), n=1)
        hint = f" (did you mean '{near[0]}'?)" if near else ""
        return f"must be one of {', '.join(map(str, self.choices))}, not '{value}'{hint}"

    def _range(self) -> str:
        if self.low is None:
            return f"at most {self.high:g}"
        return f"at least {self.low:g}" if self.high is None else f"in range {self.low:g}..{self.high:g}"


@dataclass(frozen=True)
class Result:
    """One thing that a conversion returns: `role` names it in presets and file names."""

    role: str
    suffix: str
    """Of the file as the project gets it; empty: as the parameters or the converter decide."""
    about: str
    when: str = ""
    """The parameter that asks for it; empty: always there."""
    item: str = ""
    """The value that asks for it, where `when` is a choice; an item of it, where `when` is a list."""
    fit: Fit = "as_is"
    drafts: Mapping[str, str] = field(default_factory=dict)
    """For each converter that makes only a draft of it: in one sentence, what it is not."""


@dataclass(frozen=True)
class Price:
    """US dollars: a fixed part, and more for each started 60 s of input, each song, each begun 100 words."""

    fixed: float = 0.0
    per_minute: float = 0.0
    per_song: float = 0.0
    per_100_words: float = 0.0


Prices = Mapping[str, Price]
"""For each plan that can have it: its price."""


@dataclass(frozen=True)
class Conversion:
    """One row. `name` is the last part of the API's path, and what presets and the command line say."""

    name: str
    title: str
    about: str
    version: Literal["v1", "v2"]
    conversion_type: str | None
    """What `byId` calls it; None: the API documents no such name."""
    category: Category
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    quality: Mapping[str, Quality]
    """For each converter that can do it: how well; `quality_of` what is asked for may be less."""
    max_input_s: Mapping[str, float] = field(default_factory=dict)
    """For each converter: the longest input in seconds."""
    tiers: Mapping[str, Prices] = field(default_factory=dict)
    """The price by what is asked for, a model or a kind of stem; one alone is under "". Empty: unknown."""
    input: Input = "audio"
    deterministic: bool = True
    method: Literal["GET", "POST"] = "POST"
    encoding: Encoding = "multipart/form-data"
    one_of: tuple[tuple[str, ...], ...] = ()
    """Of each group, one parameter must be given to a converter that knows them all."""
    of_samples: bool = False
    """True where results depend on the samples alone, and not on what else the source's file holds: its
    container, its depth, its chunks."""
    own_networks: frozenset[str] = frozenset()
    """Values of its parameter `model` that mean networks of ours: only with them is a draft a draft."""
    webhook_label: str | None = None
    """What the API's callbacks call it."""
    synchronous: bool = False
    """True where the answer to the request is the result."""
    evidence: Evidence = "docs"

    @property
    def path(self) -> str:
        return f"/{self.version}/{self.name}"

    def roles(self) -> frozenset[str]:
        return frozenset(result.role for result in self.results)

    def returns(self, parameters: Mapping[str, Any]) -> tuple[Result, ...]:
        """The results that these parameters ask for."""
        return tuple(one for one in self.results if _is_asked_for(one, parameters))

    def quality_of(self, converter: str, parameters: Mapping[str, Any]) -> Quality:
        """How well `converter` does what these parameters ask for: as well as the worst of it."""
        return "draft" if self.drafts(converter, parameters) else self.quality[converter]

    def drafts(self, converter: str, parameters: Mapping[str, Any]) -> dict[str, str]:
        """The results of these parameters that would be drafts there, each with what it is not."""
        if self.own_networks and parameters.get("model", "auto") not in self.own_networks:
            return {}  # a network of the user's own
        asked = {one.role: one.drafts.get(converter, "") for one in self.returns(parameters)}
        return {role: words for role, words in asked.items() if words}

    def resolve(self, given: Mapping[str, Any], *, converter: str) -> dict[str, Any]:
        """All parameters that `converter` knows, with `given` over the defaults.

        Raises PresetError listing every unknown name and every value out of range.
        """
        known = {
            row.name: row.of(converter) for row in self.parameters if not row.only or converter in row.only
        }
        values: dict[str, Any] = {
            name: None if row.default is None else row.parse(row.default) for name, row in known.items()
        }
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

    def missing(self, values: Mapping[str, Any]) -> list[str]:
        """What must still be given, each in words; empty where nothing is missing."""
        lacking = [
            f"{row.name} must be given: {row.about.partition('. ')[0].removesuffix('.')}"
            for row in self.parameters
            if row.required and row.name in values and _is_empty(values[row.name])
        ]
        lacking += [
            f"one of {', '.join(group)} must be given"
            for group in self.one_of
            if set(group) <= set(values) and all(_is_empty(values[name]) for name in group)
        ]
        return lacking


def _is_empty(value: Any) -> bool:
    return value is None or value in ("", [])


def _is_asked_for(result: Result, parameters: Mapping[str, Any]) -> bool:
    if not result.when or result.when not in parameters:
        return True
    value = parameters[result.when]
    if not result.item:
        return bool(value)
    return result.item in value if isinstance(value, (list, tuple)) else str(value) == result.item


def frozen(**columns: Any) -> Mapping[str, Any]:
    """A mapping that nobody changes, for the table."""
    return MappingProxyType(columns)


def _unknown_parameter(conversion: Conversion, name: str, converter: str, known: list[str]) -> str:
    if any(row.name == name for row in conversion.parameters):
        return f"{name}: the converter '{converter}' does not know it"
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
    return f"{name}: no such parameter; {hint}"


_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def _parse_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in _WORDS:
        return _WORDS[str(value).lower()]
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


def _parse_list(value: Any) -> list[str]:
    """From a list, from JSON text, or from words with commas between them."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"must be a list, not {value!r}") from None
    if isinstance(value, str):
        value = [one.strip() for one in value.split(",") if one.strip()]
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"must be a list of words, not {value!r}")
    return list(dict.fromkeys(value))


_PARSERS: Mapping[Kind, Callable[[Any], Any]] = {
    "bool": _parse_bool,
    "int": _parse_int,
    "float": _parse_float,
    "text": str,
    "list": _parse_list,
}
