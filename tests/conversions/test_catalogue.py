from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from bridge.conversions.catalogue import CATALOGUE, Conversion, Parameter, conversion
from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.posteriors import LOWEST_PITCH, PITCHES
from bridge.errors import PresetError

ROW = CATALOGUE["audio_to_midi"]
CONTRACT: dict[str, Any] = json.loads(
    (Path(__file__).parents[1] / "data" / "musicgpt_audio_to_midi.json").read_text(encoding="utf-8")
)
# How audio and answers travel is the converter's business, not a parameter of the conversion.
TRANSPORT = {"audio_url", "audio_file", "webhook_url"}
KINDS = {"boolean": "bool", "integer": "int", "number": "float", "string": "text"}


def _as_contract(row: Conversion) -> dict[str, Any]:
    return {
        "path": row.path,
        "method": row.method.lower(),
        "encoding": row.encoding,
        "conversion_type": row.conversion_type,
        "parallel_category": row.category,
        "max_input_seconds": row.max_input_s["musicgpt"],
        "price": {name: [price.fixed, price.per_minute] for name, price in row.price.items()},
        "returns": [f".{result.suffix}" for result in row.results],
        "parameters": {
            one.name: {"type": one.kind, "default": one.default} for one in row.parameters if not one.only
        },
    }


def _from_contract() -> dict[str, Any]:
    told = {name: value for name, value in CONTRACT.items() if name != "source"}
    told["price"] = {name: value for name, value in CONTRACT["price"].items() if name != "unit"}
    told["parameters"] = {
        name: {"type": KINDS[facts["type"]], "default": facts["default"]}
        for name, facts in CONTRACT["parameters"].items()
        if name not in TRANSPORT
    }
    return told


def test_audio_to_midi_is_what_the_contract_says_field_by_field() -> None:
    assert _as_contract(ROW) == _from_contract()


def test_local_parameters_are_the_engines_with_its_defaults() -> None:
    local = {one.name: one.default for one in ROW.parameters if one.only == {"local"}}
    of_listening = {"material": "auto", "quality": "good", "pitch_bends": "off"}
    assert local == {**of_listening, **asdict(DecodingOptions())}
    assert set(ROW.resolve({}, converter="local")) == {*local, "sonify_midi", "save_note_events"}
    assert set(ROW.resolve({}, converter="musicgpt")) == {"sonify_midi", "save_note_events"}


def test_ranges_are_those_that_the_engine_takes() -> None:
    rows = {one.name: one for one in ROW.parameters}
    for name in ("lowest_note", "highest_note"):
        assert (rows[name].low, rows[name].high) == (LOWEST_PITCH, LOWEST_PITCH + PITCHES - 1)
    for name in ("onset_threshold", "frame_threshold"):
        low, high = rows[name].low, rows[name].high
        assert low is not None
        assert high is not None
        assert 0 < low < high < 1
    kinds = {name: str(field.type) for name, field in DecodingOptions.__dataclass_fields__.items()}
    assert kinds == {name: f"{rows[name].kind} | None" for name in kinds}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_a_row_agrees_with_itself(row: Conversion) -> None:
    for one in row.parameters:
        assert one.default is None or one.parse(one.default) == one.default
        assert one.about.endswith(".")
        assert one.not_above in {"", *(other.name for other in row.parameters)}
    names = {one.name for one in row.parameters}
    assert len(names) == len(row.parameters)
    assert all(result.when in {"", *names} for result in row.results)
    assert len({result.role for result in row.results}) == len(row.results)
    assert set(row.max_input_s) == set(row.quality)


def test_a_command_lines_texts_become_values() -> None:
    given = {"sonify_midi": "No", "onset_threshold": "0.5", "lowest_note": "36"}
    values = ROW.resolve(given, converter="local")
    assert (values["sonify_midi"], values["onset_threshold"], values["lowest_note"]) == (False, 0.5, 36)


def test_all_faults_of_the_parameters_are_told_at_once() -> None:
    with pytest.raises(PresetError) as caught:
        ROW.resolve(
            {"onset_treshold": 0.5, "frame_threshold": 2, "sonify_midi": "perhaps", "lowest_note": 40.5},
            converter="local",
        )
    words = str(caught.value)
    assert "did you mean 'onset_threshold'?" in words
    assert "frame_threshold: must be in range 0.05..0.95, not 2" in words
    assert "sonify_midi: must be true or false, not 'perhaps'" in words
    assert "lowest_note: must be a whole number" in words


@pytest.mark.parametrize("value", [True, "nan", "inf", None, [], "1e999", "60 ms"])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(PresetError, match="minimum_note_ms: must be a number"):
        ROW.resolve({"minimum_note_ms": value}, converter="local")


def test_a_text_is_one_of_its_choices() -> None:
    assert ROW.resolve({"material": "bass"}, converter="local")["material"] == "bass"
    with pytest.raises(PresetError, match=r"material: must be one of auto, .*did you mean 'guitar'\?"):
        ROW.resolve({"material": "guitars"}, converter="local")
    with pytest.raises(PresetError, match="pitch_bends: must be one of off, per_note, mpe, not 'on'"):
        ROW.resolve({"pitch_bends": "on"}, converter="local")


def test_a_range_of_notes_the_wrong_way_round_is_refused_here_and_not_in_the_engine() -> None:
    with pytest.raises(PresetError, match=r"lowest_note: must not be above highest_note \(90 > 40\)"):
        ROW.resolve({"lowest_note": 90, "highest_note": 40}, converter="local")
    assert ROW.resolve({"lowest_note": 60, "highest_note": 60}, converter="local")["lowest_note"] == 60


def test_a_parameter_of_another_converter_is_named_as_such() -> None:
    with pytest.raises(PresetError, match="the converter 'musicgpt' does not know it"):
        ROW.resolve({"onset_threshold": 0.5}, converter="musicgpt")


@pytest.mark.parametrize(
    ("low", "high", "value", "words"),
    [(1, None, 0, "at least 1"), (None, 5, 6, "at most 5"), (1, 5, 6, r"in range 1\.\.5")],
)
def test_a_range_may_be_open_at_one_end(
    low: float | None, high: float | None, value: int, words: str
) -> None:
    parameter = Parameter("gain", "float", 1.0, "Gain.", unit="dB", low=low, high=high)
    with pytest.raises(ValueError, match=f"must be {words} dB, not {value}"):
        parameter.parse(value)
    assert replace(parameter, low=None, high=None).parse(value) == value


def test_an_unknown_conversion_is_answered_with_the_nearest() -> None:
    assert conversion("audio_to_midi") is ROW
    with pytest.raises(PresetError, match="Did you mean 'audio_to_midi'"):
        conversion("audio-to-midi")
    with pytest.raises(PresetError, match="Known: audio_to_midi"):
        conversion("xyz")
