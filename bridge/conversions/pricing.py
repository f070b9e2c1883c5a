"""What a conversion will cost, before it is sent. Pure.

Prices are those of the documentation. Where it leaves something open, the quote takes the dearer reading and
says so in its `basis`: nobody shall pay more than they were told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from bridge.conversions.enhancement import STEMS
from bridge.conversions.model import MUSICGPT, Conversion, Plan, Price, Prices
from bridge.errors import Rejected

PLAN_NAMES: Mapping[Plan, str] = MappingProxyType(
    {"free": "the free plan", "payg": "pay-as-you-go", "plus": "Plus", "pro": "Pro"}
)
CUSTOM_VOICE = "custom voice"
USUAL_TAKES = 2
UNASKED_STEMS = ("drums", "bass", "piano", "guitar")
"""What the API returns where no stems are named."""


@dataclass(frozen=True)
class Quote:
    """What a conversion will cost before it is sent: US dollars, None where nobody has told a price."""

    usd: float | None
    basis: str = ""
    """How it comes about, in plain words; may be empty."""


def quote(conversion: Conversion, parameters: Mapping[str, Any], plan: Plan, duration_s: float) -> Quote:
    """What MusicGPT takes for it. `duration_s` is the length of the input; 0: not known.

    Raises Rejected where the plan cannot have it.
    """
    if not conversion.tiers:
        return Quote(None, f"MusicGPT names no price for {conversion.name}")
    tiers = _tiers(conversion, parameters)
    prices = [_price(conversion, tier, plan) for tier in tiers]
    how_many = _Counts.of(conversion, parameters, duration_s)
    sums = [_added_up(price, how_many) for price in prices]
    words = [" + ".join(told for _, told in sums), *how_many.words(prices), f"on {PLAN_NAMES[plan]}"]
    basis = " ".join(words)
    if plan == "free":
        basis += ", which pays as pay-as-you-go beyond its free songs"
    if len(tiers) > 1:
        basis += "; a guess from above: the price of every kind that is asked for, added up"
    return Quote(round(sum(usd for usd, _ in sums), 6), basis)


def prices_on(conversion: Conversion, plan: Plan) -> Iterator[tuple[str, Price]]:
    """For each tier that the plan has: its price."""
    for tier, prices in conversion.tiers.items():
        if price := prices.get(_paying_as(plan)):
            yield tier, price


def terms(price: Price) -> str:
    """A price in plain words: `0.014 + 0.010 a started minute`."""
    parts = [
        (price.fixed, ""),
        (price.per_minute, " a started minute"),
        (price.per_song, " a song"),
        (price.per_100_words, " for each started 100 words"),
    ]
    return " + ".join(f"{amount(usd)}{what}" for usd, what in parts if usd) or "free"


def amount(usd: float) -> str:
    """With as many decimals as it needs, and at least three: prices here are parts of a cent."""
    whole, _, decimals = f"{usd:.6f}".partition(".")
    return f"{whole}.{decimals.rstrip('0').ljust(3, '0')}"


def _paying_as(plan: Plan) -> Plan:
    return "payg" if plan == "free" else plan


def _tiers(conversion: Conversion, parameters: Mapping[str, Any]) -> Sequence[str]:
    """What is paid for: the one price, a model, or the kinds of the stems, each once."""
    if "" in conversion.tiers:
        return ("",)
    if CUSTOM_VOICE in conversion.tiers and parameters.get("voice_id"):
        return (CUSTOM_VOICE,)
    if "model" in parameters:
        return (parameters["model"],)
    stems = [STEMS[stem][0] for stem in parameters.get("stems") or UNASKED_STEMS]
    return tuple(dict.fromkeys([*stems, *(parameters.get("preprocessing_options") or ())]))


def _price(conversion: Conversion, tier: str, plan: Plan) -> Price:
    prices: Prices = conversion.tiers[tier]
    if price := prices.get(_paying_as(plan)):
        return price
    what = f"{conversion.name} with {tier}" if tier else conversion.name
    able = " or ".join(PLAN_NAMES[name] for name in PLAN_NAMES if name in prices)
    raise Rejected(
        f"{what} is not to be had on {PLAN_NAMES[plan]}.",
        remedy=f"{able} has it. Choose another, or tell your `plan` under [musicgpt] in config.toml.",
    )


@dataclass(frozen=True)
class _Counts:
    """How much is paid for."""

    seconds: float
    seconds_known: bool
    songs: int
    words_of_text: int

    @classmethod
    def of(cls, conversion: Conversion, parameters: Mapping[str, Any], duration_s: float) -> _Counts:
        """Of what lies at an address, only the longest length that is taken is known."""
        known = duration_s > 0 and not parameters.get("audio_url")
        return cls(
            duration_s if known else conversion.max_input_s.get(MUSICGPT, 0.0),
            known,
            parameters.get("num_outputs") or USUAL_TAKES,
            len(str(parameters.get("text") or "").split()),
        )

    def words(self, prices: Sequence[Price]) -> Iterator[str]:
        """What the price comes from, as far as it counts in one of `prices`."""
        if any(price.per_minute for price in prices):
            clock = f"{int(self.seconds) // 60}:{int(self.seconds) % 60:02d}"
            yield f"for {clock}" if self.seconds_known else f"for at most {clock} (its length is not known)"
        if any(price.per_song for price in prices):
            yield f"for {self.songs} songs" if self.songs > 1 else "for 1 song"
        if any(price.per_100_words for price in prices):
            yield "for 1 word" if self.words_of_text == 1 else f"for {self.words_of_text} words"


def _added_up(price: Price, how_many: _Counts) -> tuple[float, str]:
    """US dollars, and the words for the sum."""
    counted = (
        (_started(how_many.seconds, 60), price.per_minute),
        (how_many.songs, price.per_song),
        (_started(how_many.words_of_text, 100), price.per_100_words),
    )
    parts = [(count, each) for count, each in counted if each]
    told = [amount(price.fixed)] * bool(price.fixed) + [f"{count} × {amount(each)}" for count, each in parts]
    return price.fixed + sum(count * each for count, each in parts), " + ".join(told)


def _started(much: float, unit: int) -> int:
    """How many units are begun, one at least; what is a rounding's width over a unit begins no other."""
    return max(1, math.ceil(round(much, 3) / unit))
