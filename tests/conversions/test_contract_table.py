"""The table says what the contract says, field by field; where it does not, `EXCEPTIONS` says why."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from bridge.conversions.catalogue import CATALOGUE, Conversion, Parameter, Price
from bridge.conversions.endpoints import CONVERSION_TYPES, ENDPOINTS, UPLOAD_TYPES, Endpoint
from bridge.conversions.model import LOCAL, MUSICGPT
from bridge.conversions.results import PLACES

CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "musicgpt_contract.json").read_text(encoding="utf-8")
)

# How the source and the answers travel is the converter's business, not a parameter of the conversion.
TRANSPORT = {"audio_file", "image_file", "webhook_url"}
SOURCES = {"audio_url", "image_url"}
KINDS = {"boolean": "bool", "integer": "int", "number": "float", "string": "text"}
UNSAID = (None, "", "[]")
"""Defaults that mean that nothing is given."""

Key = tuple[str, ...]
Facts = dict[Key, Any]

_OURS_IN_TIME = "a time in a file is never negative, and would be paid for"
_SENT = "always sent: the page calls it required, the schema does not"
_EXPLICIT = "no default is documented; said explicitly, since what returns follows it"
_CLEANING = "no price is documented for cleaning beforehand: that of the tool by itself is the dearer reading"

EXCEPTIONS: Mapping[Key, tuple[Any, str]] = {
    ("Extraction", "stems", "default"): (
        ["vocals", "instrumental"],
        "what musicians ask for most; the documented default is another, dearer set",
    ),
    ("Extraction", "stems", "required"): (True, "an empty list returns stems that nobody has named"),
    ("Extraction", "price", "Denoise"): (CATALOGUE["denoise"].tiers[""], _CLEANING),
    ("Extraction", "price", "Deecho"): (CATALOGUE["deecho"].tiers[""], _CLEANING),
    ("Extraction", "price", "Dereverb"): (CATALOGUE["dereverb"].tiers[""], _CLEANING),
    ("audio_mastering", "output_extension", "default"): ("wav", _SENT),
    ("audio_cutter", "output_extension", "default"): ("wav", _SENT),
    ("audio_speed_changer", "output_extension", "default"): ("wav", _SENT),
    ("audio_transcribe", "translate", "default"): (False, _EXPLICIT),
    ("audio_transcribe", "word_timestamps", "default"): (False, _EXPLICIT),
    ("audio_transcribe", "transcription_format", "default"): ("plain_text", _EXPLICIT),
    ("audio_cutter", "end_time", "low"): (0, _OURS_IN_TIME),
    ("extend", "extend_after", "low"): (0, _OURS_IN_TIME),
    ("inpaint", "replace_start_at", "low"): (0, _OURS_IN_TIME),
    ("inpaint", "replace_end_at", "low"): (0, _OURS_IN_TIME),
    ("MusicAI", "one_of"): (
        [{"prompt", "lyrics", "music_style"}],
        "the schema requires nothing, but its words say to give a prompt or lyrics",
    ),
    ("image_generator", "prompt", "required"): (True, "the schema requires nothing: a picture of nothing"),
    ("TextToSpeech", "gender", "choices"): (["male", "female"], "the page names these two"),
    ("sing_over_vocal", "max_input_s"): (480, "the limits page says so of everything it does not name"),
}


def _operation(row: Conversion | Endpoint) -> dict[str, Any]:
    operation: dict[str, Any] = CONTRACT["paths"][row.path][row.method.lower()]
    return operation


def _told_parameters(operation: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    body = operation.get("body", {"properties": {}})
    for name, facts in body["properties"].items():
        if name not in TRANSPORT and not facts.get("deprecated"):
            yield name, {**facts, "required": name in body.get("required", ())}
    for name, facts in operation.get("parameters", {}).items():
        yield name, CONTRACT["schemas"][facts["$ref"]] | facts if "$ref" in facts else facts


def _facts_of_contract(operation: Mapping[str, Any], name: str) -> Iterator[tuple[Key, Any]]:
    for parameter, told in _told_parameters(operation):
        choices = told.get("x-allowed-items", told.get("enum", []))
        default = told.get("default")
        is_list = "x-allowed-items" in told
        unsaid: Any = [] if is_list else None
        yield (name, parameter, "kind"), "list" if is_list else KINDS[told["type"]]
        yield (name, parameter, "default"), unsaid if default in UNSAID else default
        yield (name, parameter, "choices"), choices
        yield (name, parameter, "required"), told["required"]
        yield (name, parameter, "low"), told.get("minimum")
        yield (name, parameter, "high"), told.get("maximum")
        yield (name, parameter, "max_chars"), told.get("maxLength")
        yield (name, parameter, "multiple_of"), told.get("multipleOf", 1)
        yield (name, parameter, "evidence"), told["x-evidence"]
    body = operation.get("body", {})
    groups = [set(one["required"]) - TRANSPORT - SOURCES for one in body.get("anyOf", body.get("oneOf", ()))]
    yield (name, "one_of"), [set().union(*groups)] if any(groups) else []


def _facts_of_table(row: Conversion | Endpoint) -> Iterator[tuple[Key, Any]]:
    for one in _sent(row):
        yield (row.name, one.name, "kind"), one.kind
        yield (row.name, one.name, "default"), list(one.default) if one.kind == "list" else one.default
        yield (row.name, one.name, "choices"), list(one.choices)
        yield (row.name, one.name, "required"), one.required
        yield (row.name, one.name, "low"), one.low
        yield (row.name, one.name, "high"), one.high
        yield (row.name, one.name, "max_chars"), one.max_chars
        yield (row.name, one.name, "multiple_of"), one.multiple_of
        yield (row.name, one.name, "evidence"), one.evidence
    yield (row.name, "one_of"), [set(group) for group in row.one_of]


def _sent(row: Conversion | Endpoint) -> list[Parameter]:
    """What travels, and travels to MusicGPT."""
    return [one for one in row.parameters if one.sent and one.only != {LOCAL}]


def _input_of(operation: Mapping[str, Any]) -> str:
    files = [name for name in operation.get("body", {"properties": {}})["properties"] if name in TRANSPORT]
    return next((name.removesuffix("_file") for name in files if name.endswith("_file")), "text")


def _label_of(operation: Mapping[str, Any]) -> str | None:
    callbacks = operation.get("x-webhooks", ["no"])
    schema = CONTRACT["schemas"].get(f"Webhook_{callbacks[0].split()[0]}", {"properties": {}})
    label: str | None = schema["properties"].get("conversion_type", {}).get("const")
    return label


def _prices_of(operation: Mapping[str, Any]) -> dict[str, dict[str, Price]]:
    told = operation.get("x-price", {})
    unit = told.get("unit", "")
    by_plan = {plan: told[plan] for plan in ("pro", "plus", "payg") if plan in told}
    tiers = told.get("tiers") or {name: facts for name, facts in told.items() if _is_by_plan(facts)}
    tiers = {"": by_plan} if by_plan else tiers
    return {
        tier: {plan: _price(value, unit) for plan, value in plans.items()} for tier, plans in tiers.items()
    }


def _is_by_plan(facts: object) -> bool:
    return isinstance(facts, dict) and set(facts) <= {"pro", "plus", "payg"}


def _price(value: Any, unit: str) -> Price:
    if isinstance(value, list):
        assert unit == "USD: [fixed part, per started 60 s of input]"
        return Price(fixed=value[0], per_minute=value[1])
    if unit.startswith("USD per song"):
        return Price(per_song=value)
    return {"USD each": Price(fixed=value), "USD per 100 words": Price(per_100_words=value)}[unit]


def _row_of_contract(row: Conversion) -> Facts:
    operation = _operation(row)
    facts: Facts = {
        (row.name, "encoding"): operation.get("encoding", "query"),
        (row.name, "conversion_type"): operation["x-conversion-type"],
        (row.name, "category"): operation.get("x-parallel-category", ""),
        (row.name, "max_input_s"): operation.get("x-max-input-seconds"),
        (row.name, "webhook_label"): _label_of(operation),
        (row.name, "input"): _input_of(operation),
        (row.name, "synchronous"): "(synchronous)" in operation["x-returns"],
        (row.name, "evidence"): operation["x-evidence"],
    }
    facts |= {(row.name, "price", tier): prices for tier, prices in _prices_of(operation).items()}
    return facts | dict(_facts_of_contract(operation, row.name))


def _row_of_table(row: Conversion) -> Facts:
    facts: Facts = {
        (row.name, "encoding"): row.encoding,
        (row.name, "conversion_type"): row.conversion_type,
        (row.name, "category"): row.category,
        (row.name, "max_input_s"): row.max_input_s.get(MUSICGPT),
        (row.name, "webhook_label"): row.webhook_label,
        (row.name, "input"): row.input,
        (row.name, "synchronous"): row.synchronous,
        (row.name, "evidence"): row.evidence,
    }
    facts |= {(row.name, "price", tier): prices for tier, prices in row.tiers.items()}
    return facts | dict(_facts_of_table(row))


def _differences(ours: Facts, theirs: Facts) -> Facts:
    return {key: ours.get(key) for key in {*ours, *theirs} if ours.get(key) != theirs.get(key)}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_a_row_is_what_the_contract_says_field_by_field(row: Conversion) -> None:
    excepted = {key: ours for key, (ours, _) in EXCEPTIONS.items() if key[0] == row.name}
    assert _differences(_row_of_table(row), _row_of_contract(row)) == excepted


def test_every_exception_has_a_reason_and_a_row() -> None:
    assert all(reason for _, reason in EXCEPTIONS.values())
    assert {key[0] for key in EXCEPTIONS} <= set(CATALOGUE)


def test_nothing_that_the_contract_converts_is_left_out() -> None:
    told = {path for path, methods in CONTRACT["paths"].items() for one in methods.values() if _converts(one)}
    # Remix has a second version, of which no schema is documented.
    assert told - {row.path for row in CATALOGUE.values()} == {"/v2/Remix"}
    assert CONTRACT["paths"]["/v2/Remix"]["post"]["x-evidence"] == "inferred"


def _converts(operation: Mapping[str, Any]) -> bool:
    return "x-conversion-type" in operation


def test_types_and_labels_are_those_that_by_id_and_callbacks_use() -> None:
    told = {path: one for one in CONTRACT["x-conversion-types"] for path in one["paths"]}
    for row in CATALOGUE.values():
        if row.conversion_type:
            assert told[row.path]["type"] == row.conversion_type
            assert told[row.path]["webhook_label"] == row.webhook_label
    assert set(CONVERSION_TYPES) == {one["type"] for one in CONTRACT["x-conversion-types"]}


def test_categories_and_lengths_are_those_of_the_limits_page() -> None:
    limits = CONTRACT["x-limits"]
    ours: dict[str, set[str]] = {}
    for row in CATALOGUE.values():
        ours.setdefault(row.category, set()).add(row.name)
    assert ours.pop("") == {"image_to_song", "image_generator", "sing_over_vocal"}
    assert ours == {name: set(members) for name, members in limits["categories"].items()}
    short = {"Remix", "extend", "inpaint", "sing_over_instrumental"}
    for row in CATALOGUE.values():
        if row.input == "audio":
            seconds = limits["input_seconds"][
                f"v1 {', '.join(sorted(short))}" if row.name in short else "others"
            ]
            assert row.max_input_s[MUSICGPT] == seconds


def test_two_takes_where_the_contract_returns_two() -> None:
    for row in CATALOGUE.values():
        told = _operation(row)["x-returns"]
        two, one_or_two = told.startswith("2 x mp3"), told.startswith("1-2 x mp3")
        assert ("take_2" in row.roles()) == (two or one_or_two), row.name
        assert any(one.name == "num_outputs" for one in row.parameters) == one_or_two, row.name


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_each_result_has_a_place_in_the_answer(row: Conversion) -> None:
    places = {place.role for place in PLACES[row.name]}
    told_together = {
        "extract_key_bpm": {"key_bpm"},
        "audio_transcribe": {"transcript", "translation", "words"},
    }
    if places == {"*"}:
        assert all(result.item == result.role for result in row.results)
    elif row.name in told_together:
        assert row.roles() == told_together[row.name]
    else:
        assert row.roles() == places


@pytest.mark.parametrize("row", ENDPOINTS.values(), ids=lambda row: row.name)
def test_a_helper_is_what_the_contract_says_field_by_field(row: Endpoint) -> None:
    operation = _operation(row)
    ours, theirs = dict(_facts_of_table(row)), dict(_facts_of_contract(operation, row.name))
    ours.pop((row.name, "one_of"))
    theirs.pop((row.name, "one_of"))
    types = (
        ours.pop((row.name, "conversionType", "choices"), []),
        theirs.pop((row.name, "conversionType", "choices"), []),
    )
    assert set(types[0]) == set(types[1])
    assert ours == theirs
    assert row.encoding == operation.get("encoding", "query")
    assert row.evidence == operation["x-evidence"]


def test_uploads_may_be_of_every_media_type_that_the_contract_takes() -> None:
    told = CONTRACT["paths"]["/v2/upload_audio"]["post"]["body"]["properties"]["content_type"]["enum"]
    assert list(UPLOAD_TYPES.values()) == told
