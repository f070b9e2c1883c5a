"""Notes moved on to the grid of bars and beats. Pure, in beats (quarter notes); nothing does it unasked."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from bridge.media.meter_map import MeterMap
from bridge.media.notes import check_range
from bridge.media.tempo_map import exactly

FINEST_GRID, COARSEST_GRID = Fraction(1, 960), 64

Span = tuple[Fraction, Fraction]
"""A note's beginning and end in beats."""


@dataclass(frozen=True, slots=True)
class Quantise:
    """How notes are moved: `grid_beats` between two lines, counted from each bar line.

    `strength` 0 leaves a note where it is, 1 puts it on the line. `swing` delays every second line: 0 not at
    all, 2/3 to the triplet, 1 by half a grid. Ends keep the note's length, or go to the grid too with `ends`.
    Raises ValueError (range).
    """

    grid_beats: Fraction
    strength: Fraction | float = 1
    swing: Fraction | float = 0
    ends: bool = False

    def __post_init__(self) -> None:
        for name in ("grid_beats", "strength", "swing"):
            object.__setattr__(self, name, exactly(name, getattr(self, name)))
        check_range("strength", float(self.strength), 0, 1)
        check_range("swing", float(self.swing), 0, 1)
        if not FINEST_GRID <= self.grid_beats <= COARSEST_GRID:
            raise ValueError(
                f"grid_beats must be in range {FINEST_GRID}..{COARSEST_GRID}, not {self.grid_beats}"
            )

    def line_near(self, beat: Fraction, meters: MeterMap) -> Fraction:
        """The line of the grid nearest to a beat. The next bar line always is one."""
        bar_line = beat - meters.bar_beat_at(beat)[1]
        next_line = meters.next_bar_line(beat)
        index = math.floor((beat - bar_line) / self.grid_beats)
        lines = [bar_line + self._line(number) for number in range(max(0, index - 1), index + 3)]
        return min((min(line, next_line) for line in lines), key=lambda line: abs(line - beat))

    def moved(self, beat: Fraction, meters: MeterMap) -> Fraction:
        """Where a note that begins at `beat` goes."""
        return beat + (self.line_near(beat, meters) - beat) * Fraction(self.strength)

    def _line(self, number: int) -> Fraction:
        delay = self.grid_beats * Fraction(self.swing) / 2 if number % 2 else Fraction(0)
        return number * self.grid_beats + delay


def quantised(spans: Sequence[Span], pitches: Sequence[int], how: Quantise, meters: MeterMap) -> list[Span]:
    """The notes' spans after quantising, in the same order.

    No note vanishes: of several of one pitch that would begin together the nearest to the line goes there,
    the others stay where they are.
    """
    starts = [how.moved(start, meters) for start, _ in spans]
    together: defaultdict[tuple[int, Fraction], list[int]] = defaultdict(list)
    for index, start in enumerate(starts):
        together[pitches[index], start].append(index)
    for (_, line), indices in together.items():
        nearest = min(indices, key=lambda index: abs(spans[index][0] - line))
        for index in indices:
            # Two that began together already are one note.
            if spans[index][0] != spans[nearest][0]:
                starts[index] = spans[index][0]
    return [(start, _end(start, span, how, meters)) for start, span in zip(starts, spans, strict=True)]


def _end(start: Fraction, span: Span, how: Quantise, meters: MeterMap) -> Fraction:
    end = start + span[1] - span[0]
    if how.ends:
        on_grid = how.moved(end, meters)
        return on_grid if on_grid > start else end
    return end
