"""Bars and beats through every change of meter. Pure and rational; beats are quarter notes."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

from bridge.media.notes import check_range
from bridge.media.tempo_map import FARTHEST_BEAT, check_between, exactly

MOST_NUMERATOR = 255  # a byte of a MIDI file
DENOMINATORS = (1, 2, 4, 8, 16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class MeterPoint:
    """From `beat` on a bar has `numerator` notes of 1/`denominator`. Raises ValueError (range)."""

    beat: Fraction
    numerator: int
    denominator: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "beat", exactly("beat", self.beat))
        check_between("beat", self.beat, -FARTHEST_BEAT, FARTHEST_BEAT)
        check_range("numerator", self.numerator, 1, MOST_NUMERATOR)
        if self.denominator not in DENOMINATORS:
            raise ValueError(f"denominator must be one of {DENOMINATORS}, not {self.denominator}")

    @property
    def bar_beats(self) -> Fraction:
        """The length of a bar in quarter notes."""
        return Fraction(4 * self.numerator, self.denominator)


@dataclass(frozen=True)
class MeterMap:
    """The meters of a whole timeline; beat 0 is where bar 1 begins. Bars before it are 0, -1 and so on.

    The first meter also holds before its point, the last one for ever. A change in mid-bar cuts that bar
    short and begins a new one. Raises ValueError for no points, or points that are not in order.
    """

    points: tuple[MeterPoint, ...]
    _anchors: tuple[MeterPoint, ...] = field(init=False, repr=False, compare=False)
    _bars: tuple[int, ...] = field(init=False, repr=False, compare=False)  # each anchor's bar
    _beats: tuple[Fraction, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points = tuple(self.points)
        if not points:
            raise ValueError("a meter map needs at least one point")
        for before, point in pairwise(points):
            if point.beat <= before.beat:
                raise ValueError(f"meters must be in order of beats, not {float(point.beat):g} "
                                 f"after {float(before.beat):g}")  # fmt: skip
        anchors = _with_bar_one(points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "_anchors", anchors)
        object.__setattr__(self, "_bars", _bars(anchors))
        object.__setattr__(self, "_beats", tuple(point.beat for point in anchors))

    @classmethod
    def constant(cls, numerator: int = 4, denominator: int = 4) -> MeterMap:
        return cls((MeterPoint(Fraction(0), numerator, denominator),))

    @property
    def anchors(self) -> tuple[MeterPoint, ...]:
        """The points, and one on beat 0 where none is: all places where bars are counted anew."""
        return self._anchors

    def meter_at(self, beat: Fraction) -> MeterPoint:
        """The meter in force, as the point that it began with."""
        index = bisect_right(self.points, beat, key=lambda point: point.beat) - 1
        return self.points[max(index, 0)]

    def bar_beat_at(self, beat: Fraction) -> tuple[int, Fraction]:
        """The bar (the first is 1) and the quarter notes since its bar line."""
        index = max(bisect_right(self._beats, beat) - 1, 0)
        anchor = self._anchors[index]
        whole = math.floor((beat - anchor.beat) / anchor.bar_beats)
        return self._bars[index] + whole, beat - anchor.beat - whole * anchor.bar_beats

    def beat_of_bar(self, bar: int) -> Fraction:
        """Where a bar begins."""
        index = max(bisect_right(self._bars, bar) - 1, 0)
        anchor = self._anchors[index]
        return anchor.beat + (bar - self._bars[index]) * anchor.bar_beats

    def bar_line_at(self, beat: Fraction) -> Fraction:
        """The bar line at a beat, else the one before it."""
        return beat - self.bar_beat_at(beat)[1]

    def next_bar_line(self, beat: Fraction) -> Fraction:
        """The first bar line after a beat."""
        return self.beat_of_bar(self.bar_beat_at(beat)[0] + 1)


def _with_bar_one(points: Sequence[MeterPoint]) -> tuple[MeterPoint, ...]:
    """The points, and one on beat 0 where none is: bar 1 begins there whatever came before it."""
    here = bisect_right(points, Fraction(0), key=lambda point: point.beat)
    if here and points[here - 1].beat == 0:
        return tuple(points)
    bar_one = replace(points[max(here - 1, 0)], beat=Fraction(0))
    return (*points[:here], bar_one, *points[here:])


def _bars(anchors: Sequence[MeterPoint]) -> tuple[int, ...]:
    bars = [0]
    for here, following in pairwise(anchors):
        bars.append(bars[-1] + math.ceil((following.beat - here.beat) / here.bar_beats))
    one = next(bar for bar, anchor in zip(bars, anchors, strict=True) if anchor.beat == 0)
    return tuple(bar - one + 1 for bar in bars)
