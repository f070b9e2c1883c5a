"""Quotes, reckoned by hand from the price list."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.conversions.catalogue import CATALOGUE, Conversion
from bridge.conversions.enhancement import EXTRACTION, STEMS
from bridge.conversions.model import MUSICGPT, Plan, Price
from bridge.conversions.pricing import Quote, amount, prices_on, quote, terms
from bridge.converters import base
from bridge.errors import Rejected


def _quote(name: str, plan: Plan = "payg", seconds: float = 0.0, **given: Any) -> Quote:
    row = CATALOGUE[name]
    return quote(row, row.resolve(given, converter=MUSICGPT), plan, seconds)


@pytest.mark.parametrize(
    ("plan", "seconds", "usd"),
    [
        ("payg", 72.0, 0.034),  # 0.014 + 2 × 0.010
        ("plus", 72.0, 0.017),  # 0.007 + 2 × 0.005
        ("pro", 72.0, 0.0124),  # 0.005 + 2 × 0.0037
        ("pro", 0.5, 0.0087),  # the first minute is begun at once
        ("payg", 60.0, 0.024),
        ("payg", 60.0002, 0.024),  # ten frames more at 48 kHz begin no minute
        ("payg", 60.1, 0.034),
        ("payg", 480.0, 0.094),
    ],
)
def test_each_started_minute_costs(plan: Plan, seconds: float, usd: float) -> None:
    assert _quote("audio_to_midi", plan, seconds).usd == pytest.approx(usd)


def test_the_sum_is_told_in_plain_words() -> None:
    assert _quote("audio_to_midi", "payg", 72.4).basis == "0.014 + 2 × 0.010 for 1:12 on pay-as-you-go"
    assert _quote("extract_key_bpm", "pro", 30.0).basis == "0.00186 + 1 × 0.0002 for 0:30 on Pro"
    assert _quote("prompt_to_lyrics", "plus").basis == "0.005 on Plus"


def test_what_lies_at_an_address_is_taken_for_the_longest_that_may_be() -> None:
    for told in (
        _quote("denoise", "plus", audio_url="https://example.com/a.wav", seconds=9.0),
        _quote("denoise", "plus"),
    ):
        assert told.usd == pytest.approx(0.0298 + 8 * 0.0045)
        assert told.basis == "0.0298 + 8 × 0.0045 for at most 8:00 (its length is not known) on Plus"


def test_each_song_costs_and_two_are_usual() -> None:
    assert _quote("MusicAI", "plus", prompt="x") == Quote(0.1, "2 × 0.050 for 2 songs on Plus")
    assert _quote("Remix", "pro", 200.0, prompt="x").usd == pytest.approx(0.1)
    assert _quote("extend", "payg", 20.0, extend_after=3).usd == pytest.approx(0.4)
    one = _quote("extend", "payg", 20.0, extend_after=3, num_outputs=1)
    assert one == Quote(0.2, "1 × 0.200 for 1 song on pay-as-you-go")


@pytest.mark.parametrize(
    ("given", "usd"),
    [
        ({}, 0.07),
        ({"model": "v6-pro"}, 0.09),
        ({"model": "v7"}, 0.1),
        ({"model": "v7-pro"}, 0.12),
        ({"voice_id": "v"}, 0.104),
        ({"voice_id": "v", "model": "v7-pro"}, 0.104),  # a voice of one's own is always sung by v6
    ],
)
def test_the_model_decides(given: dict[str, Any], usd: float) -> None:
    assert _quote("MusicAI", "pro", prompt="x", **given).usd == pytest.approx(usd)


@pytest.mark.parametrize(
    ("plan", "model", "able"),
    [("payg", "v7-pro", "Pro"), ("plus", "v7", "Pro"), ("free", "v6-pro", "Plus or Pro")],
)
def test_what_the_plan_does_not_have_is_refused_by_name(plan: Plan, model: str, able: str) -> None:
    with pytest.raises(Rejected, match=f"MusicAI with {model} is not to be had on") as caught:
        _quote("MusicAI", plan, prompt="x", model=model)
    assert caught.value.remedy.startswith(f"{able} has it.")


@pytest.mark.parametrize(("words", "usd"), [(0, 0.07), (1, 0.07), (100, 0.07), (101, 0.14), (250, 0.21)])
def test_speech_costs_by_started_hundreds_of_words(words: int, usd: float) -> None:
    told = _quote("TextToSpeech", text="la " * words, voice_id="v")
    assert told.usd == pytest.approx(usd)
    assert f"for {words} word{'' if words == 1 else 's'} " in told.basis


def test_each_kind_of_stem_costs_once() -> None:
    one = _quote("Extraction", "pro", 170.0, stems="vocals")
    assert one == Quote(0.0181, "0.0115 + 3 × 0.0022 for 2:50 on Pro")
    many = _quote("Extraction", "payg", 61.0, stems="vocals,drums,bass,kick_drum")
    assert many.usd == pytest.approx(0.031 + 2 * 0.006 + 0.2876 + 2 * 0.0476)
    assert many.basis == (
        "0.031 + 2 × 0.006 + 0.2876 + 2 × 0.0476 for 1:01 on pay-as-you-go;"
        " a guess from above: the price of every kind that is asked for, added up"
    )
    cleaned = _quote("Extraction", "pro", 60.0, stems="vocals", preprocessing_options="Dereverb")
    assert cleaned.usd == pytest.approx(0.0115 + 0.0022 + 0.0145 + 0.0022)
    assert "a guess from above" in cleaned.basis


def test_without_named_stems_it_is_the_band() -> None:
    assert _quote("Extraction", "pro", 60.0, stems="").usd == pytest.approx(0.1078 + 0.0179)


def test_every_stem_has_a_price() -> None:
    assert {tier for tier, _ in STEMS.values()} < set(EXTRACTION.tiers)


def test_the_free_plan_pays_as_pay_as_you_go_and_says_so() -> None:
    told = _quote("sound_generator", "free", prompt="rain")
    assert told == Quote(0.028, "0.028 on the free plan, which pays as pay-as-you-go beyond its free songs")


@pytest.mark.parametrize("name", ["image_to_song", "image_generator", "sing_over_vocal"])
def test_a_price_that_nobody_has_told_is_none(name: str) -> None:
    assert _quote(name, "pro", 30.0) == Quote(None, f"MusicGPT names no price for {name}")


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
@pytest.mark.parametrize("plan", ["free", "payg", "plus", "pro"])
def test_everything_can_be_quoted_with_its_defaults(row: Conversion, plan: Plan) -> None:
    told = quote(row, row.resolve({}, converter=MUSICGPT), plan, 30.0)
    assert told.basis
    assert (told.usd is None) == (not row.tiers)
    assert told.usd is None or 0 < told.usd < 1


def test_terms_are_told_as_the_price_list_has_them() -> None:
    assert terms(Price(0.014, 0.01)) == "0.014 + 0.010 a started minute"
    assert terms(Price(per_song=0.1)) == "0.100 a song"
    assert terms(Price(per_100_words=0.07)) == "0.070 for each started 100 words"
    assert terms(Price()) == "free"
    assert [amount(usd) for usd in (0.00186, 0.05, 1, 12.5)] == ["0.00186", "0.050", "1.000", "12.500"]


def test_the_tiers_of_a_plan_are_those_that_it_has() -> None:
    assert [tier for tier, _ in prices_on(CATALOGUE["MusicAI"], "payg")] == ["v6", "custom voice"]
    assert list(prices_on(CATALOGUE["MusicAI"], "free")) == list(prices_on(CATALOGUE["MusicAI"], "payg"))
    assert len(list(prices_on(CATALOGUE["MusicAI"], "pro"))) == 5


def test_a_quote_is_the_one_that_converters_give() -> None:
    assert base.Quote is Quote
