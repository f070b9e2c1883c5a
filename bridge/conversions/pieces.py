"""Audio that is longer than a converter takes: sent in pieces that overlap, and put together again. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from bridge.conversions.model import LOCAL, Conversion, frozen

SPLIT = "split"
"""The parameter with which a preset allows it: each piece is paid for."""

PIECE = "piece"
"""What tells a conversion of a piece from one of the whole: where it begins and ends, in seconds."""

OVERLAP_S = 2.0
"""So much two neighbours share, so that one can fade into the other."""

MARGIN_S = 1.0
"""A piece stays so far below what the converter takes: it measures in its own way."""

JOIN = Conversion(
    name="join",
    title="Put together",
    about="Puts the results of pieces together to one.",
    version="v1",
    conversion_type=None,
    category="",
    parameters=(),
    results=(),
    quality=frozen(**{LOCAL: "good"}),
)
"""The bridge's own last step of a conversion in pieces; no preset can name it."""


def pieces(duration_s: float, longest_s: float) -> list[tuple[float, float]]:
    """Begin and end of each piece, in seconds: equally long, in order; one alone where all of it fits.

    Raises ValueError for pieces too short to overlap.
    """
    if duration_s <= longest_s:
        return [(0.0, duration_s)]
    room_s = longest_s - MARGIN_S - OVERLAP_S
    if room_s <= OVERLAP_S:
        raise ValueError(f"pieces must be longer than {2 * OVERLAP_S + MARGIN_S} s, not {longest_s}")
    count = math.ceil((duration_s - OVERLAP_S) / room_s)
    step_s = (duration_s - OVERLAP_S) / count
    starts = [round(number * step_s, 3) for number in range(count)]
    ends = [round(start + step_s + OVERLAP_S, 3) for start in starts]
    return list(zip(starts, [*ends[:-1], duration_s], strict=True))


def of_pieces(parameters: Mapping[str, Any], duration_s: float, longest_s: float) -> list[dict[str, Any]]:
    """The parameters of each conversion that is needed: one, or one a piece where `split` allows that."""
    if not parameters.get(SPLIT) or duration_s <= longest_s:
        return [dict(parameters)]
    return [{**parameters, PIECE: list(span)} for span in pieces(duration_s, longest_s)]


def length_of(parameters: Mapping[str, Any], duration_s: float) -> float:
    """How long the input of a conversion with these parameters is, in seconds: the piece's, or all of it."""
    begin_s, end_s = parameters.get(PIECE) or (0.0, duration_s)
    return float(end_s - begin_s)
