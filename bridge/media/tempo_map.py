"""Beats and seconds through every change of tempo. Pure and rational.

Beats are quarter notes, seconds are the musical timeline's; beat 0 is second 0, and both may be negative.
Steps are exact. Ramps need a logarithm or a root: they are precise to 1e-12 of the time since the ramp began.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise

LOWEST_BPM, HIGHEST_BPM = 1, 60_000_000  # the upper one is a microsecond a quarter: a MIDI file holds no more
FARTHEST_BEAT = 10**9
# Sums of many steps have the product of their tempi below the line. Where that outgrows these bits, they are
# rounded to a grid far finer than anything that can be heard or stored.
_MOST_BITS = 8192
_GRID = 1 << 128
_FAR_FALL = -0.5


class Curve(StrEnum):
    """How a tempo goes on to the next point's."""

    STEP = "step"
    LINEAR_IN_BEATS = "linear_in_beats"  # Live, Ardour
    LINEAR_IN_TIME = "linear_in_time"  # Reaper


@dataclass(frozen=True, slots=True)
class TempoPoint:
    """`bpm` quarter notes a minute at `beat`, and how it goes on from there. Raises ValueError (range)."""

    beat: Fraction
    bpm: Fraction
    curve: Curve = Curve.STEP

    def __post_init__(self) -> None:
        object.__setattr__(self, "beat", exactly("beat", self.beat))
        object.__setattr__(self, "bpm", exactly("bpm", self.bpm))
        object.__setattr__(self, "curve", Curve(self.curve))
        check_between("beat", self.beat, -FARTHEST_BEAT, FARTHEST_BEAT)
        check_between("bpm", self.bpm, LOWEST_BPM, HIGHEST_BPM)


def exactly(name: str, value: Fraction | float) -> Fraction:
    """The number itself as a fraction. Raises ValueError for what is no finite number."""
    try:
        return Fraction(value)
    except (OverflowError, TypeError, ValueError, ZeroDivisionError) as fault:
        raise ValueError(f"{name} must be a number, not {value!r}") from fault


def check_between(name: str, value: Fraction, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise ValueError(f"{name} must be in range {lowest}..{highest}, not {value}")


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From one point to the next: where it begins in beats and seconds, and what its curve needs."""

    beat: Fraction
    seconds: Fraction
    from_bpm: Fraction
    to_bpm: Fraction
    length: Fraction  # in beats; 0 for the constant tempo before the first and after the last point
    curve: Curve

    steady: bool = field(init=False)
    beat_s: Fraction = field(init=False)  # how long a beat lasts at its beginning

    def __post_init__(self) -> None:
        steady = self.curve is Curve.STEP or not self.length or self.from_bpm == self.to_bpm
        object.__setattr__(self, "steady", steady)
        object.__setattr__(self, "beat_s", 60 / self.from_bpm)

    def seconds_at(self, beat: Fraction) -> Fraction:
        run = beat - self.beat
        if self.steady or not run:
            return self.seconds + run * self.beat_s
        lasted = _RAMP_SECONDS[self.curve](self, float(run), float(self.length - run))
        return _on_grid(self.seconds) + Fraction(lasted)

    def beat_at(self, seconds: Fraction) -> Fraction:
        lasted = seconds - self.seconds
        if self.steady or not lasted:
            return self.beat + lasted / self.beat_s
        return self.beat + Fraction(_RAMP_BEATS[self.curve](self, float(lasted)))

    def bpm_at(self, beat: Fraction) -> Fraction:
        if self.steady:
            return self.from_bpm
        part = (beat - self.beat) / self.length
        if self.curve is Curve.LINEAR_IN_BEATS:
            return self.from_bpm + (self.to_bpm - self.from_bpm) * part
        square = self.from_bpm**2 + (self.to_bpm**2 - self.from_bpm**2) * part
        return Fraction(math.sqrt(square))

    def duration(self) -> Fraction:
        """All of it in seconds."""
        if self.steady:
            return self.length * self.beat_s
        if self.curve is Curve.LINEAR_IN_TIME:
            return 120 * self.length / (self.from_bpm + self.to_bpm)
        return Fraction(_seconds_linear_in_beats(self, float(self.length), 0.0))


def _seconds_linear_in_beats(stretch: _Stretch, run: float, left: float) -> float:
    """bpm = a + (b - a) x / L, so that the time to x is 60 L / (b - a) ln(bpm / a)."""
    low, high, length = float(stretch.from_bpm), float(stretch.to_bpm), float(stretch.length)
    rise = (high - low) * run / (length * low)
    # Where it has fallen far, 1 + rise would lose its digits: then the tempo is reckoned from the ramp's end.
    grown = math.log1p(rise) if rise > _FAR_FALL else math.log((high + (low - high) * left / length) / low)
    return 60 * run / low * (grown / rise if rise else 1.0)


def _seconds_linear_in_time(stretch: _Stretch, run: float, left: float) -> float:
    """The beats are quadratic in time; the bpm at x is the root of what is linear between the squares."""
    low, high, length = float(stretch.from_bpm), float(stretch.to_bpm), float(stretch.length)
    squares = (low * low, high * high)
    if high >= low:
        now = squares[0] + (squares[1] - squares[0]) * run / length
    else:
        now = squares[1] + (squares[0] - squares[1]) * left / length
    return 120 * run / (low + math.sqrt(now))


def _beats_linear_in_beats(stretch: _Stretch, lasted: float) -> float:
    low, length = float(stretch.from_bpm), float(stretch.length)
    growth = float(stretch.to_bpm - stretch.from_bpm) * lasted / (60 * length)
    return low * lasted / 60 * (math.expm1(growth) / growth if growth else 1.0)


def _beats_linear_in_time(stretch: _Stretch, lasted: float) -> float:
    low, high = float(stretch.from_bpm), float(stretch.to_bpm)
    whole = 120 * float(stretch.length) / (low + high)
    return lasted / 60 * (low + (high - low) * lasted / (2 * whole))


_RAMP_SECONDS = {
    Curve.LINEAR_IN_BEATS: _seconds_linear_in_beats,
    Curve.LINEAR_IN_TIME: _seconds_linear_in_time,
}
_RAMP_BEATS = {
    Curve.LINEAR_IN_BEATS: _beats_linear_in_beats,
    Curve.LINEAR_IN_TIME: _beats_linear_in_time,
}


def _on_grid(value: Fraction) -> Fraction:
    return value if value.denominator <= _GRID else Fraction(round(value * _GRID), _GRID)


def _bounded(value: Fraction) -> Fraction:
    return value if value.denominator.bit_length() <= _MOST_BITS else _on_grid(value)


@dataclass(frozen=True)
class TempoMap:
    """The tempo of a whole timeline, constant before its first and after its last point.

    Points are in order of beats; two on one beat are a jump: the first ends the ramp before it, the last
    goes on. Raises ValueError for no points, points out of order, or more than two on one beat.
    """

    points: tuple[TempoPoint, ...]
    _stretches: tuple[_Stretch, ...] = field(init=False, repr=False, compare=False)
    _beats: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _seconds: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        points = tuple(self.points)
        _check_order(points)
        stretches = _stretches(points)
        object.__setattr__(self, "points", points)
        object.__setattr__(self, "_stretches", stretches)
        object.__setattr__(self, "_beats", tuple(float(part.beat) for part in stretches))
        object.__setattr__(self, "_seconds", tuple(float(part.seconds) for part in stretches))

    @classmethod
    def constant(cls, bpm: Fraction | float) -> TempoMap:
        return cls((TempoPoint(Fraction(0), exactly("bpm", bpm)),))

    def seconds_at(self, beat: Fraction) -> Fraction:
        """The time of a beat, exact where no ramp comes between it and beat 0."""
        return self._at_beat(beat).seconds_at(beat)

    def beat_at(self, seconds: Fraction) -> Fraction:
        """The beat at a time: `seconds_at` turned round."""
        index = bisect_right(self._seconds, float(seconds)) - 1
        while index > 0 and self._stretches[index].seconds > seconds:
            index -= 1
        return self._stretches[max(index, 0)].beat_at(seconds)

    def bpm_at(self, beat: Fraction) -> Fraction:
        """Quarter notes a minute; at a jump those that go on."""
        return self._at_beat(beat).bpm_at(beat)

    def rebased(self, beat: Fraction) -> TempoMap:
        """The same tempo with its beat 0 (and second 0) at what is `beat` here."""
        return TempoMap(tuple(replace(point, beat=point.beat - beat) for point in self.points))

    def _at_beat(self, beat: Fraction) -> _Stretch:
        # Floats find the place. Only where two of them are equal can it be one too far.
        index = bisect_right(self._beats, float(beat)) - 1
        while index > 0 and self._stretches[index].beat > beat:
            index -= 1
        return self._stretches[max(index, 0)]


def _check_order(points: Sequence[TempoPoint]) -> None:
    if not points:
        raise ValueError("a tempo map needs at least one point")
    for index in range(1, len(points)):
        if points[index].beat < points[index - 1].beat:
            raise ValueError(f"tempo points must be in order of beats, not {float(points[index].beat):g} "
                             f"after {float(points[index - 1].beat):g}")  # fmt: skip
        if index > 1 and points[index].beat == points[index - 2].beat:
            raise ValueError(f"more than two tempo points stand on beat {float(points[index].beat):g}")


def _stretches(points: Sequence[TempoPoint]) -> tuple[_Stretch, ...]:
    """What comes before the first point, then one from each point on, with second 0 at beat 0."""
    first, last = points[0], points[-1]
    found = [_steady(first.beat, Fraction(0), first.bpm)]
    for here, following in pairwise(points):
        length = following.beat - here.beat
        seconds = _bounded(found[-1].seconds + found[-1].duration())
        found.append(_Stretch(here.beat, seconds, here.bpm, following.bpm, length, here.curve))
    found.append(_steady(last.beat, _bounded(found[-1].seconds + found[-1].duration()), last.bpm))
    zero = _second_of_zero(found)
    return tuple(replace(part, seconds=part.seconds - zero) for part in found)


def _steady(beat: Fraction, seconds: Fraction, bpm: Fraction) -> _Stretch:
    return _Stretch(beat, seconds, bpm, bpm, Fraction(0), Curve.STEP)


def _second_of_zero(stretches: Iterable[_Stretch]) -> Fraction:
    """Where beat 0 lies, counted from the first point."""
    found = None
    for part in stretches:
        if found is None or part.beat <= 0:
            found = part
    assert found is not None
    return found.seconds_at(Fraction(0))
