"""A tempo map as the set_tempo events of a MIDI file. Pure.

A file's tempo is whole microseconds a quarter note and changes only at ticks. The events are chosen so that
the time of every tick, as the file's own events give it, stays within a millisecond of the map:

* ramps become steps, cut in halves until the middle of a step is within `_BOW_S` of the map (the time is
  convex between two points, so the worst is less than twice that);
* a big change between two ticks gets the tick around it for itself, with the mean tempo;
* where whole microseconds have added up to more than `_LATE_S`, the next events make good for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from bridge.media.midi_bytes import MOST_TEMPO_US
from bridge.media.musical_time import PPQN, TempoMap

_BOW_S = 0.0002
_LATE_S = 0.0004
_KINK_S = 0.00005
# Half a microsecond a quarter adds up to a quarter of a millisecond over these, which are whole bars of 4/4.
_LONGEST_TICKS = 512 * PPQN
# A correction nobody sees: 120 BPM stay within 119.94 and 120.06.
_MOST_CORRECTION = 5e-4

_Clock = Callable[[int], float]


@dataclass(frozen=True)
class TempoEvents:
    """`events`: (tick, microseconds a quarter); `drift_s`: the worst difference of the file from the map."""

    events: tuple[tuple[int, int], ...]
    drift_s: float


def tempo_events(tempo: TempoMap, origin: Fraction, end_tick: int) -> TempoEvents:
    """The events of a file whose tick 0 is the map's beat `origin` and that ends at `end_tick`."""
    clock = _clock(tempo, origin)
    ticks = _cuts(clock, _corners(tempo, origin, end_tick))
    if len(ticks) == 1:
        micros = min(MOST_TEMPO_US, max(1, round(60_000_000 / tempo.bpm_at(origin))))
        return TempoEvents(((0, micros),), 0.0)

    def nominal(start: int, end: int) -> float:
        return float(60_000_000 / tempo.bpm_at(origin + Fraction(start + end, 2 * PPQN)))

    return _chosen(clock, ticks, nominal)


def _clock(tempo: TempoMap, origin: Fraction) -> _Clock:
    """The map's time of a tick in seconds since tick 0."""
    zero = tempo.seconds_at(origin)
    known: dict[int, float] = {}

    def time_s(tick: int) -> float:
        if tick not in known:
            known[tick] = float(tempo.seconds_at(origin + Fraction(tick, PPQN)) - zero)
        return known[tick]

    return time_s


def _corners(tempo: TempoMap, origin: Fraction, end_tick: int) -> list[int]:
    """The ticks between which the map runs without a bend, its ends included, none too far apart."""
    corners = {0, end_tick}
    for point in tempo.points:
        place = (point.beat - origin) * PPQN
        if not 0 < place < end_tick:
            continue
        before, after = math.floor(place), math.ceil(place)
        if before == after or _kink_s(tempo, origin, before) > _KINK_S:
            corners |= {before, after}
        else:
            corners.add(round(place))
    found = [0]
    for corner in sorted(corners):
        found.extend(range(found[-1] + _LONGEST_TICKS, corner, _LONGEST_TICKS))
        if corner:
            found.append(corner)
    return found


def _kink_s(tempo: TempoMap, origin: Fraction, tick: int) -> float:
    """How far the time may be off, if the changes after `tick` are put on it or on the next."""
    here, following = (tempo.bpm_at(origin + Fraction(number, PPQN)) for number in (tick, tick + 1))
    return abs(float(60 / here - 60 / following)) / PPQN / 2


def _cuts(clock: _Clock, corners: list[int]) -> list[int]:
    """The corners, and between them as many more as the ramps need."""
    found = corners[:1]
    for corner in corners[1:]:
        waiting = [corner]
        while waiting:
            start, end = found[-1], waiting[-1]
            middle = (start + end) // 2
            if middle > start and abs(clock(middle) - _between(clock, start, end, middle)) > _BOW_S:
                waiting.append(middle)
            else:
                found.append(waiting.pop())
    return found


def _between(clock: _Clock, start: int, end: int, tick: int) -> float:
    return clock(start) + (clock(end) - clock(start)) * (tick - start) / (end - start)


def _chosen(clock: _Clock, ticks: list[int], nominal: Callable[[int, int], float]) -> TempoEvents:
    """The events' values, each with regard to how late the file is by the ones before it.

    `nominal` gives the microseconds a quarter that the map itself has in the middle between two ticks.
    """
    events: list[tuple[int, int]] = []
    sums = 0  # microseconds times PPQN: whole numbers, so nothing is lost
    excused_s, worst_s = 0.0, 0.0
    for start, end in pairwise(ticks):
        late_s = _seconds(sums) - clock(start)
        length = end - start
        ideal = (clock(end) - clock(start)) * PPQN * 1e6 / length
        near = _whole(nominal(start, end))
        micros = _micros(ideal, late_s - excused_s, length, before=events[-1][1] if events else 0, near=near)
        if not events or events[-1][1] != micros:
            events.append((start, micros))
        middle = start + length // 2
        half_s = _seconds(sums + micros * (middle - start)) - clock(middle)
        sums += micros * length
        end_late_s = _seconds(sums) - clock(end)
        if ideal > MOST_TEMPO_US:
            excused_s = end_late_s  # slower than a file can be: what is lost here stays lost
        worst_s = max(worst_s, abs(half_s), abs(end_late_s))
    return TempoEvents(tuple(events), worst_s)


def _seconds(sums: int) -> float:
    return sums / (PPQN * 1_000_000)


def _micros(ideal: float, late_s: float, length: int, *, before: int, near: int) -> int:
    """A whole number near the ideal one; a little off if the file would be too late or early otherwise.

    Better than the nearest are the one `before`, which needs no event, and the map's own, which people read.
    """
    plain = _whole(ideal)
    candidates = (
        (before, abs(before - ideal) < 1),
        (near, abs(near - ideal) * length < _KINK_S * PPQN * 1e6),
        (plain, True),
    )
    for micros, will_do in candidates:
        if will_do and _late_after(micros, ideal, late_s, length) <= _LATE_S:
            return micros
    needed = -late_s * PPQN * 1e6 / length
    most = max(1.0, ideal * _MOST_CORRECTION)
    gentle = _whole(ideal + min(most, max(-most, needed)))
    if _late_after(gentle, ideal, late_s, length) <= _LATE_S:
        return gentle
    return _whole(ideal + needed)


def _late_after(micros: int, ideal: float, late_s: float, length: int) -> float:
    return abs(late_s + (micros - ideal) * length / PPQN / 1e6)


def _whole(micros: float) -> int:
    return min(MOST_TEMPO_US, max(1, round(micros)))
