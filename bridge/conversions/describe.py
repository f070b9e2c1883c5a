"""The table in a musician's words: for the command line and the reference page. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from bridge.conversions.model import (
    LOCAL,
    MUSICGPT,
    Conversion,
    Evidence,
    Input,
    Parameter,
    Plan,
    Price,
    Prices,
    Result,
)
from bridge.conversions.pricing import PLAN_NAMES, prices_on, terms

CONVERTERS: Mapping[str, str] = MappingProxyType({LOCAL: "this machine", MUSICGPT: "MusicGPT"})
INPUTS: Mapping[Input, str] = MappingProxyType(
    {"audio": "an audio file", "image": "a picture", "text": "nothing but its parameters"}
)
EVIDENCE: Mapping[Evidence, str] = MappingProxyType(
    {
        "docs": "documented",
        "code": "seen only in other clients",
        "inferred": "deduced, not documented",
    }
)
PAID_PLANS: tuple[Plan, ...] = ("payg", "plus", "pro")
UNKNOWN_PRICE = "not known"
ONE_PRICE = "everything"
NOTHING = "–"
HOUR_S = 3600.0


def who(row: Conversion) -> str:
    """Who can do it, and how well: `this machine (good), MusicGPT (good)`."""
    return ", ".join(f"{CONVERTERS.get(name, name)} ({quality})" for name, quality in row.quality.items())


def longest(row: Conversion) -> str:
    """`at most 4 h on this machine, 8 min at MusicGPT`; empty where nothing is too long."""
    place = {LOCAL: "on", MUSICGPT: "at"}
    told = [
        f"{_clock(seconds)} {place.get(name, 'at')} {CONVERTERS.get(name, name)}"
        for name, seconds in row.max_input_s.items()
    ]
    return f"at most {', '.join(told)}" if told else ""


def _clock(seconds: float) -> str:
    return f"{seconds / HOUR_S:g} h" if seconds >= HOUR_S else f"{seconds / 60:g} min"


def default(parameter: Parameter) -> str:
    value = parameter.default
    if value is None or value == ():
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if parameter.kind == "list" else str(value)


def limits(parameter: Parameter) -> str:
    """What may be given: a range with its unit, choices, a length."""
    return "; ".join(_limits(parameter)) or parameter.unit


def _limits(parameter: Parameter) -> Iterator[str]:
    unit = f" {parameter.unit}" if parameter.unit else ""
    low, high = parameter.low, parameter.high
    if low is not None and high is not None:
        yield f"{low:g} to {high:g}{unit}"
    elif low is not None:
        yield f"at least {low:g}{unit}"
    elif high is not None:
        yield f"at most {high:g}{unit}"
    if parameter.choices:
        yield f"{', '.join(map(str, parameter.choices))}{unit}"
    for name, choices in parameter.also.items():
        yield f"on {CONVERTERS.get(name, name)} also {', '.join(map(str, choices))}"
    if parameter.multiple_of > 1:
        yield f"a multiple of {parameter.multiple_of}{unit}"
    if parameter.not_above:
        yield f"not above {parameter.not_above}"
    if parameter.max_chars is not None:
        yield f"at most {parameter.max_chars} characters"


def known_to(row: Conversion, parameter: Parameter) -> str:
    """Who knows the parameter."""
    names = [name for name in row.quality if not parameter.only or name in parameter.only]
    return ", ".join(CONVERTERS.get(name, name) for name in names)


def remarks(row: Conversion, parameter: Parameter) -> str:
    """What it is about, whether it must be given, and who says so."""
    words = [parameter.about]
    if parameter.required:
        words.append("Must be given.")
    elif any(parameter.name in group for group in row.one_of):
        group = next(group for group in row.one_of if parameter.name in group)
        words.append(f"One of {', '.join(group)} must be given{_to(row, group)}.")
    if parameter.evidence != "docs":
        words.append(f"({EVIDENCE[parameter.evidence].capitalize()}.)")
    return " ".join(words)


def _to(row: Conversion, group: tuple[str, ...]) -> str:
    """To whom, where not all converters know the whole group."""
    rows = [one for one in row.parameters if one.name in group and one.only]
    names = [name for name in row.quality if all(name in one.only for one in rows)]
    return "" if len(names) == len(row.quality) else f" to {', '.join(CONVERTERS[name] for name in names)}"


def holds(result: Result) -> str:
    """What it is, and where a draft of it is made, what it is not."""
    drafts = (f"On {CONVERTERS.get(name, name)} a draft: {words}" for name, words in result.drafts.items())
    return " ".join((result.about, *drafts))


def suffix(result: Result) -> str:
    """Of the file as the project gets it."""
    return result.suffix or "as it comes"


def asked_by(result: Result) -> str:
    """What asks for it; empty: it is always there."""
    if not result.when:
        return ""
    return f"{result.when}: {result.item}" if result.item else result.when


def price(row: Conversion, plan: Plan) -> str:
    """What it costs on `plan`, in short."""
    prices = [one for _, one in prices_on(row, plan)]
    if not prices:
        return UNKNOWN_PRICE
    least = terms(min(prices, key=_first_unit))
    return least if len(prices) == 1 else f"from {least}"


def _first_unit(one: Price) -> float:
    return one.fixed + one.per_minute + one.per_song + one.per_100_words


def price_rows(row: Conversion) -> Iterator[tuple[str, ...]]:
    """For each tier: its name, and its price on each plan that is paid for."""
    for tier, prices in row.tiers.items():
        yield (tier or ONE_PRICE, *(_on(prices, plan) for plan in PAID_PLANS))


def _on(prices: Prices, plan: Plan) -> str:
    return terms(prices[plan]) if plan in prices else NOTHING


def plan_names() -> tuple[str, ...]:
    return tuple(PLAN_NAMES[plan] for plan in PAID_PLANS)


def as_data(row: Conversion) -> dict[str, Any]:
    """A row as plain data, for programs."""
    return {
        "name": row.name,
        "title": row.title,
        "about": row.about,
        "input": row.input,
        "quality": dict(row.quality),
        "max_input_s": dict(row.max_input_s),
        "deterministic": row.deterministic,
        "parameters": [_parameter_data(row, one) for one in row.parameters],
        "one_of": [list(group) for group in row.one_of],
        "results": [
            {
                "role": one.role,
                "suffix": one.suffix,
                "about": one.about,
                "when": one.when,
                "item": one.item,
                "drafts": dict(one.drafts),
            }
            for one in row.results
        ],
        "prices_usd": {
            tier: {plan: _price_data(prices, plan) for plan in PAID_PLANS if plan in prices}
            for tier, prices in row.tiers.items()
        },
        "api": {
            "method": row.method,
            "path": row.path,
            "encoding": row.encoding,
            "conversion_type": row.conversion_type,
            "category": row.category,
            "webhook_label": row.webhook_label,
            "synchronous": row.synchronous,
        },
        "evidence": row.evidence,
    }


def _price_data(prices: Prices, plan: Plan) -> dict[str, float]:
    one = prices[plan]
    return {
        "fixed": one.fixed,
        "per_minute": one.per_minute,
        "per_song": one.per_song,
        "per_100_words": one.per_100_words,
    }


def _parameter_data(row: Conversion, one: Parameter) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "default": list(one.default) if one.kind == "list" else one.default,
        "about": one.about,
        "unit": one.unit,
        "low": one.low,
        "high": one.high,
        "choices": list(one.choices),
        "also": {name: list(choices) for name, choices in one.also.items()},
        "required": one.required,
        "max_chars": one.max_chars,
        "multiple_of": one.multiple_of,
        "not_above": one.not_above,
        "converters": [name for name in row.quality if not one.only or name in one.only],
        "sent": one.sent,
        "evidence": one.evidence,
    }
