"""What a clock said while a bounce was made: one more source of its musical context. Pure."""

from __future__ import annotations

import threading
from collections import deque
from fractions import Fraction
from statistics import median

from bridge.media.musical_context import Told, exact_bpm, meter_map
from bridge.media.musical_time import TempoMap
from bridge.midi.messages import INTERNAL, ClockTold

MOST_KEPT = 4096
ASSUMED_METER = "4/4"
"""What holds where nobody has set a meter: no clock knows one."""
SNAP_BPM = 0.1
"""A clock's pulses tell a tempo to about so much; what is nearer to a half is meant to be it."""
STEADY_BEATS, STEADY_PART = 0.05, 0.02
"""How far beats and tempo may stray from a tempo that holds."""
COUNTED_S = 8.0
"""A tempo that held for so long is what its beats took; each is milliseconds off, so few tell nothing."""
REAL_TIME_S = 1.0
"""A bounce that was begun within this of the clock's start, and lasted as long, was played in real time."""


class ClockLog:
    """May be used from any thread."""

    def __init__(self) -> None:
        self._told: deque[ClockTold] = deque(maxlen=MOST_KEPT)
        self._lock = threading.Lock()

    def add(self, told: ClockTold) -> None:
        """Our own clock says nothing about the DAW's project, so it is left out."""
        if told.source != INTERNAL:
            with self._lock:
                self._told.append(told)

    def told(self, closed_at: float, duration_s: float) -> Told | None:
        """What the clock tells about a bounce that was closed then (seconds since 1970).

        None where none ran at that time. The bar it begins at is only known where it was bounced in real
        time: the clock was started when the audio began, and ran until its end.
        """
        with self._lock:
            past = [one for one in self._told if one.wall <= closed_at]
        if not past:
            return None
        last = past[-1]
        running = last if last.running else _ran_until(past, closed_at)
        if running is None:
            return None
        start = _real_time_start(past, closed_at, duration_s)
        bpm = snapped(_steady_bpm(past[: past.index(running) + 1]))
        bar = None if start is None else _bar(start)
        return Told(
            f"clock of {running.source}",
            tempo=TempoMap.constant(bpm),
            meters=None if running.meter == ASSUMED_METER else meter_map(running.meter),
            start_bar=bar,
        )


def _steady_bpm(past: list[ClockTold]) -> float:
    """The tempo of the last one told, from all that was told since it has held."""
    held = [past[-1]]
    for one in reversed(past[:-1]):
        if not _goes_on(one, held[-1], past[-1].bpm):
            break
        held.append(one)
    last, first = held[0], held[-1]
    if last.wall - first.wall >= COUNTED_S:
        return 60 * (last.beat - first.beat) / (last.wall - first.wall)
    return median(one.bpm for one in held)


def _goes_on(one: ClockTold, later: ClockTold, bpm: float) -> bool:
    """Whether the same clock ran from one to the other at this tempo, without a jump."""
    strayed = abs(later.beat - one.beat - (later.wall - one.wall) * bpm / 60)
    same_tempo = abs(one.bpm - bpm) <= STEADY_PART * bpm
    return one.running and one.source == later.source and same_tempo and strayed <= STEADY_BEATS


def snapped(bpm: float) -> Fraction:
    half = round(bpm * 2) / 2
    return exact_bpm(half if abs(bpm - half) <= SNAP_BPM else round(bpm, 2))


def _ran_until(past: list[ClockTold], closed_at: float) -> ClockTold | None:
    """The clock as it ran when it was stopped a moment before: a DAW stops at the bounce's end."""
    stopped = past[-1]
    if closed_at - stopped.wall > REAL_TIME_S:
        return None
    return next((one for one in reversed(past) if one.running), None)


def _real_time_start(past: list[ClockTold], closed_at: float, duration_s: float) -> ClockTold | None:
    """The moment at which the clock was set running for this bounce."""
    runs = [now for before, now in zip([None, *past], past, strict=False) if _begins(before, now)]
    if not runs:
        return None
    start = runs[-1]
    ended = next((one.wall for one in past if one.wall > start.wall and not one.running), closed_at)
    as_long = abs((closed_at - start.wall) - duration_s) <= REAL_TIME_S
    return start if as_long and ended >= start.wall + duration_s - REAL_TIME_S else None


def _begins(before: ClockTold | None, now: ClockTold) -> bool:
    return now.running and (before is None or not before.running)


def _bar(told: ClockTold) -> int:
    """The bar (from 1) that the clock stood at, its nearest bar line."""
    bar_beats = meter_map(told.meter).points[0].bar_beats
    return round(told.beat / float(bar_beats)) + 1
