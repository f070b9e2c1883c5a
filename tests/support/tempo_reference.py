"""A tempo map's time by another way: decimals of forty digits, and sums of the integrals of every piece."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from hypothesis import strategies as st

from bridge.media.musical_time import Curve, MeterMap, MeterPoint, TempoMap, TempoPoint

DIGITS = 40


def decimal(value: Fraction) -> Decimal:
    return Decimal(value.numerator) / Decimal(value.denominator)


class Reference:
    """Seconds since beat 0 by tempo points as a musician would reckon them."""

    def __init__(self, points: Sequence[TempoPoint]) -> None:
        self.points = points
        self.at_point = [Decimal(0)]
        with localcontext() as context:
            context.prec = DIGITS
            for here, following in pairwise(points):
                self.at_point.append(self.at_point[-1] + _lasts(here, following, following.beat))
            self.zero = self._since_first(Fraction(0))

    def seconds(self, beat: Fraction) -> Decimal:
        with localcontext() as context:
            context.prec = DIGITS
            return self._since_first(beat) - self.zero

    def _since_first(self, beat: Fraction) -> Decimal:
        index = bisect_right(self.points, beat, key=lambda point: point.beat) - 1
        if index < 0:
            return decimal((beat - self.points[0].beat) * 60 / self.points[0].bpm)
        here = self.points[index]
        following = self.points[index + 1] if index + 1 < len(self.points) else here
        return self.at_point[index] + _lasts(here, following, beat)


def _lasts(here: TempoPoint, following: TempoPoint, beat: Fraction) -> Decimal:
    """From a point to a beat before the following one."""
    run, length = decimal(beat - here.beat), decimal(following.beat - here.beat)
    low, high = decimal(here.bpm), decimal(following.bpm)
    if here.curve is Curve.STEP or not length or low == high:
        return 60 * run / low
    if here.curve is Curve.LINEAR_IN_BEATS:
        slope = (high - low) / length
        return 60 / slope * ((low + slope * run) / low).ln()
    # A t²/2 + low t = 60 run, A being the rise of the tempo a second
    whole_s = 120 * length / (low + high)
    rise = (high - low) / whole_s
    return ((low * low + 120 * rise * run).sqrt() - low) / rise


BPM = st.one_of(
    st.integers(2000, 40_000).map(lambda hundredths: Fraction(hundredths, 100)),
    st.sampled_from([Fraction(1), Fraction(10_000), Fraction(120), Fraction(1000, 3)]),
)


@st.composite
def tempo_maps(draw: st.DrawFn, *, curves: Sequence[Curve] = tuple(Curve), most: int = 12) -> TempoMap:
    """Steps, ramps of both kinds, and jumps; the first point before, on or after beat 0."""
    beat = Fraction(draw(st.integers(-40, 40)), draw(st.sampled_from([1, 4, 7])))
    points: list[TempoPoint] = []
    for _ in range(draw(st.integers(1, most))):
        jump = draw(st.integers(1, 2))
        points += [TempoPoint(beat, draw(BPM), draw(st.sampled_from(curves))) for _ in range(jump)]
        beat += Fraction(draw(st.integers(1, 64)), draw(st.sampled_from([1, 4, 24, 960])))
    return TempoMap(tuple(points))


@st.composite
def meter_maps(draw: st.DrawFn, *, most: int = 6) -> MeterMap:
    """Changes on and off the bar lines; the first one before, on or after beat 0."""
    beat = Fraction(draw(st.integers(-40, 40)), draw(st.sampled_from([1, 2])))
    points = []
    for _ in range(draw(st.integers(1, most))):
        meter = (draw(st.integers(1, 13)), draw(st.sampled_from([1, 2, 4, 8, 16])))
        points.append(MeterPoint(beat, *meter))
        beat += Fraction(draw(st.integers(1, 60)), draw(st.sampled_from([1, 2, 4])))
    return MeterMap(tuple(points))


BEATS = st.fractions(-100, 300, max_denominator=960)
