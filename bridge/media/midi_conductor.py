"""Track 0 of a MIDI file: tempo, meters, keys and markers of a timeline, from a beat on. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from bridge.media import midi_bytes as midi
from bridge.media.meter_map import MOST_NUMERATOR
from bridge.media.midi_bytes import Event
from bridge.media.musical_time import PPQN, MeterMap, MeterPoint, Timeline, ticks_at
from bridge.media.tempo_events import tempo_events

# Many programs know no shorter note in a meter.
SHORTEST_MEMBER = 64
_WHOLE_NOTE = 4 * PPQN
_HALF_TICK = Fraction(1, 2 * PPQN)
_METER_RANK, _KEY_RANK, _TEMPO_RANK, _MARKER_RANK = range(4)

Meter = tuple[int, int]
_Tick = Callable[[Fraction], int]


@dataclass(frozen=True)
class Conductor:
    """Track 0's events, how far its tempi drift from the map, and whether bar lines are the project's."""

    events: tuple[Event, ...]
    drift_s: float
    bars_kept: bool


def conductor(timeline: Timeline, origin: Fraction, end_tick: int) -> Conductor:
    """The events of a file whose tick 0 is the project's beat `origin`."""
    tempi = tempo_events(timeline.tempo, origin, end_tick)
    meters, bars_kept = meter_events(timeline.meters, origin, end_tick)
    events = [
        *((tick, _METER_RANK, midi.meter(*meter)) for tick, meter in meters),
        *_keys(timeline, origin, end_tick),
        *((tick, _TEMPO_RANK, midi.tempo(micros)) for tick, micros in tempi.events),
        *_markers(timeline, origin, end_tick),
    ]
    return Conductor(tuple(events), tempi.drift_s, bars_kept)


def on_bar_line(meters: MeterMap, beat: Fraction) -> Fraction:
    """The bar line at or before a beat. Half a tick before one counts as on it: audio starts on a sample."""
    return meters.bar_line_at(beat + _HALF_TICK)


def meter_events(meters: MeterMap, origin: Fraction, end_tick: int) -> tuple[list[tuple[int, Meter]], bool]:
    """(tick, meter) so that the file's bar lines are the project's, and whether that could be done.

    A bar that is cut short, by the file's beginning or by a change of meter, gets a meter of its own. Where
    none fits, the next meter is written again where its bar begins.
    """

    def tick_of(beat: Fraction) -> int:
        return ticks_at(beat - origin)

    begin = origin + _HALF_TICK
    here = meters.meter_at(begin)
    line = meters.bar_line_at(begin)
    found: dict[int, Meter] = {0: _meter(here)}
    kept = True
    if tick_of(line) < 0:
        line = meters.next_bar_line(begin)
        kept = _cut_bar(found, 0, tick_of(line), here)
        here = meters.meter_at(line)
        found[tick_of(line)] = _meter(here)
    for change in meters.anchors:
        if change.beat > line and tick_of(change.beat) <= end_tick:
            last_line = line + (change.beat - line) // here.bar_beats * here.bar_beats
            kept = _cut_bar(found, tick_of(last_line), tick_of(change.beat), here) and kept
            found[tick_of(change.beat)] = _meter(change)
            line, here = change.beat, change
    return _without_repeats(found, end_tick), kept


def _cut_bar(found: dict[int, Meter], start: int, end: int, meter: MeterPoint) -> bool:
    """Notes the meter of a bar that is cut short; False where none fits."""
    if start >= end:
        return True
    short = short_meter(end - start, meter)
    found[start] = short or _meter(meter)
    return short is not None


def short_meter(ticks: int, meter: MeterPoint) -> Meter | None:
    """A meter whose bar lasts `ticks`, in the meter's own members or shorter ones; None if there is none."""
    member = meter.denominator
    while member <= SHORTEST_MEMBER:
        count, rest = divmod(ticks * member, _WHOLE_NOTE)
        if not rest and count <= MOST_NUMERATOR:
            return count, member
        member *= 2
    return None


def _meter(point: MeterPoint) -> Meter:
    return point.numerator, point.denominator


def _without_repeats(found: dict[int, Meter], end_tick: int) -> list[tuple[int, Meter]]:
    """Drops what says no more than what came before it: the same meter after whole bars of it."""
    kept: list[tuple[int, Meter]] = []
    for tick, meter in sorted(found.items()):
        if kept and kept[-1][1] == meter:
            bar = Fraction(meter[0] * _WHOLE_NOTE, meter[1])
            if not (tick - kept[-1][0]) % bar:
                continue
        if tick <= end_tick:
            kept.append((tick, meter))
    return kept


def _keys(timeline: Timeline, origin: Fraction, end_tick: int) -> list[Event]:
    """The key in force at the beginning, and all changes after it."""
    found = {}
    for point in timeline.keys:
        tick = max(0, ticks_at(point.beat - origin))
        if tick <= end_tick:
            found[tick] = point.key
    return [(tick, _KEY_RANK, midi.key(key)) for tick, key in found.items()]


def _markers(timeline: Timeline, origin: Fraction, end_tick: int) -> list[Event]:
    """Markers within the file; a part of the song that has begun before it stands at its beginning."""
    found = []
    for marker in timeline.markers:
        tick = ticks_at(marker.beat - origin)
        if tick < 0 and marker.end_beat is not None and marker.end_beat > origin + _HALF_TICK:
            tick = 0
        if 0 <= tick <= end_tick:
            text = midi.plain(marker.name).encode()
            found.append((tick, _MARKER_RANK, midi.meta(midi.MARKER, text)))
    return found
