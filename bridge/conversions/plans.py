"""What a plan of the MusicGPT API allows: conversions at a time, and how often it may be asked. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from bridge.conversions.model import Plan


@dataclass(frozen=True)
class Allowance:
    """`places`: conversions of one category at once; `polls`: calls of byId a minute, over everything."""

    places: int
    polls: int


_SMALLEST = Allowance(1, 20)

ALLOWANCES: Mapping[Plan, Allowance] = MappingProxyType(
    {
        "free": _SMALLEST,
        "payg": _SMALLEST,  # no page has a row for it, so it is taken as the smallest (inferred)
        "plus": Allowance(3, 200),
        "pro": Allowance(10, 500),
    }
)
