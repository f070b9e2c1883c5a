"""What is known about the music of a bounce, and where each value comes from. Pure.

Each source tells what it knows (`Told`): the bounce's own file, its name, the project file near it, the
preset, the settings. `context_of` takes each value from the best source that has it. A file's own word goes
before the project file's where they contradict: the bounce may have been moved, the project not been saved.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from bridge.media.musical_time import (
    KeyPoint,
    Marker,
    MeterMap,
    MeterPoint,
    TempoMap,
    Timeline,
    beat_of_tick,
    ticks_at,
)

ASSUMED_TEMPO_BPM = 120
SAME_TEMPO = 0.005
"""Tempi that differ by less are one: names are rounded."""

ASSUMED = "assumed"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Told:
    """What one source tells; None where it tells nothing.

    `start_s` is where the bounce begins on the project's timeline, in seconds from bar 1; `start_bar` the
    same as a bar. `cues` are markers in the audio itself: seconds from its first sample, and a name.
    `remarks` are sentences for the musician.
    """

    source: str
    tempo: TempoMap | None = None
    meters: MeterMap | None = None
    keys: tuple[KeyPoint, ...] = ()
    markers: tuple[Marker, ...] = ()
    start_s: Fraction | None = None
    start_bar: int | None = None
    cues: tuple[tuple[Fraction, str], ...] = ()
    remarks: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data, exact: what is kept in the journal."""
        has = [name for name in ("tempo", "meters", "start_s") if getattr(self, name) is not None]
        timeline = Timeline(
            self.tempo or TempoMap.constant(ASSUMED_TEMPO_BPM),
            self.meters or MeterMap.constant(),
            self.keys,
            self.markers,
            self.start_s or Fraction(0),
        )
        return {
            "source": self.source,
            "has": has,
            "timeline": timeline.to_json(),
            "start_bar": self.start_bar,
            "cues": [[str(at_s), name] for at_s, name in self.cues],
            "remarks": list(self.remarks),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Told:
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            timeline, has = Timeline.from_json(data["timeline"]), data["has"]
            return cls(
                source=str(data["source"]),
                tempo=timeline.tempo if "tempo" in has else None,
                meters=timeline.meters if "meters" in has else None,
                keys=timeline.keys,
                markers=timeline.markers,
                start_s=timeline.start_s if "start_s" in has else None,
                start_bar=data["start_bar"],
                cues=tuple((Fraction(at_s), str(name)) for at_s, name in data["cues"]),
                remarks=tuple(data["remarks"]),
            )
        except (KeyError, TypeError) as fault:
            raise ValueError(f"this is nothing that a source told: {fault!r}") from fault


@dataclass(frozen=True)
class MusicalContext:
    """The timeline of the project and the bounce's place on it; for each field, whose word it is.

    `tempo_source`, `meter_source`, `key_source`, `position_source` and `markers_source` name the source;
    "assumed" and "unknown" mean that nobody knew.
    """

    timeline: Timeline
    tempo_source: str = ASSUMED
    meter_source: str = ASSUMED
    key_source: str = UNKNOWN
    position_source: str = UNKNOWN
    markers_source: str = UNKNOWN
    remarks: tuple[str, ...] = ()

    @property
    def tempo_bpm(self) -> Fraction:
        """The tempo where the bounce begins."""
        return _bpm_at(self.timeline.tempo, self.timeline.start_s)

    @property
    def tempo_changes(self) -> bool:
        return len(self.timeline.tempo.points) > 1

    def note(self) -> str:
        """In plain words, for the musician."""
        if self.tempo_source == ASSUMED:
            return f"tempo unknown, written at {float(self.tempo_bpm):g} BPM"
        tempo = f"{bpm_words(self.tempo_bpm)} from {_the(self.tempo_source)}"
        return tempo if not self.tempo_changes else f"tempo map ({tempo})"

    def to_json(self) -> dict[str, Any]:
        """For the sidecar and for `--json`: values as a musician reads them, and the exact timeline."""
        timeline = self.timeline
        # To the tick: whole samples and ramps leave it a little beside the bar line.
        beat = beat_of_tick(ticks_at(timeline.beat_of_audio(0)))
        bar, in_bar = timeline.meters.bar_beat_at(beat)
        meter = timeline.meters.meter_at(beat)
        known = self.position_source != UNKNOWN
        return {
            "tempo_bpm": round(float(self.tempo_bpm), 6),
            "tempo_changes": self.tempo_changes,
            "tempo_source": self.tempo_source,
            "meter": f"{meter.numerator}/{meter.denominator}",
            "meter_source": self.meter_source,
            "key": timeline.keys[0].key.name if timeline.keys else None,
            "key_source": self.key_source,
            "position_s": float(timeline.start_s) if known else None,
            "position_bar": bar if known else None,
            "position_beat_in_bar": float(in_bar) if known else None,
            "position_source": self.position_source,
            "markers": [marker.name for marker in timeline.markers],
            "markers_source": self.markers_source,
            "remarks": list(self.remarks),
            "timeline": timeline.to_json(),
        }


def bpm_words(bpm: Fraction) -> str:
    return f"{round(float(bpm), 3):g} BPM"


def _the(source: str) -> str:
    return source if source.startswith(("a ", "its ")) else f"the {source}"


def exact_bpm(bpm: float) -> Fraction:
    """A tempo that was written in decimals: 128.1 is 1281/10."""
    return Fraction(bpm).limit_denominator(100_000)


def meter_map(text: str) -> MeterMap:
    """One meter from the beginning on, as it is written ("6/8"). Raises ValueError."""
    upper, slash, lower = text.partition("/")
    if not (slash and upper.strip().isdigit() and lower.strip().isdigit()):
        raise ValueError(f"a meter is written like 6/8, not {text!r}")
    return MeterMap((MeterPoint(Fraction(0), int(upper), int(lower)),))


def context_of(told: Sequence[Told]) -> MusicalContext:
    """Each value from the first source that has it; sources are given best first."""
    meters = next((one for one in told if one.meters is not None), None)
    meter_map = meters.meters if meters and meters.meters else MeterMap.constant()
    tempo, tempo_source, remarks = _tempo(told, meter_map)
    start_s, position_source = _position(told, tempo, meter_map)
    keys = next((one for one in told if one.keys), None)
    markers = next((one for one in told if one.markers or one.cues), None)
    timeline = Timeline(tempo, meter_map, keys.keys if keys else (), start_s=start_s)
    if markers is not None:
        timeline = replace(timeline, markers=(*markers.markers, *_placed(markers.cues, timeline)))
    if position_source == UNKNOWN and len(tempo.points) > 1:
        remarks.append("its place in the song is unknown: taken as the beginning, where the tempo map begins")
    return MusicalContext(
        timeline,
        tempo_source=tempo_source,
        meter_source=meters.source if meters else ASSUMED,
        key_source=keys.source if keys else UNKNOWN,
        position_source=position_source,
        markers_source=markers.source if markers else UNKNOWN,
        remarks=(*(remark for one in told for remark in one.remarks), *remarks),
    )


def _placed(cues: Iterable[tuple[Fraction, str]], timeline: Timeline) -> Iterator[Marker]:
    return (Marker(timeline.beat_of_audio(at_s), name) for at_s, name in cues)


def _bpm_at(tempo: TempoMap, start_s: Fraction) -> Fraction:
    """The tempo at a time. To the tick: a bounce may begin a sample before the change that it begins with."""
    return tempo.bpm_at(beat_of_tick(ticks_at(tempo.beat_at(start_s))))


def _tempo(told: Sequence[Told], meters: MeterMap) -> tuple[TempoMap, str, list[str]]:
    """The tempo map, whose it is, and remarks.

    Where one source tells a single tempo and another a whole map that agrees with it, the map is it.
    """
    tellers = [(one.tempo, one.source) for one in told if one.tempo is not None]
    if not tellers:
        return TempoMap.constant(ASSUMED_TEMPO_BPM), ASSUMED, []
    (first, source), others = tellers[0], tellers[1:]
    remarks: list[str] = []
    bpm = _bpm_at(first, _position(told, first, meters)[0])
    for other, other_source in others:
        other_bpm = _bpm_at(other, _position(told, other, meters)[0])
        agrees = abs(other_bpm - bpm) <= Fraction(SAME_TEMPO) * bpm
        if agrees and len(other.points) > 1 and len(first.points) == 1:
            return other, other_source, remarks
        if not agrees and other_source not in QUIET_SOURCES:
            remarks.append(
                f"{_the(source)} says {bpm_words(bpm)}, {_the(other_source)} {bpm_words(other_bpm)}: "
                f"{_the(source)} is taken"
            )
    return first, source, remarks


HEARD = "sound"
"""The source of what was found by listening to the bounce."""

QUIET_SOURCES = ("preset", "settings", HEARD)
"""They say what holds where nothing else is known: no contradiction is worth a word."""


def _position(told: Iterable[Told], tempo: TempoMap, meters: MeterMap) -> tuple[Fraction, str]:
    for one in told:
        if one.start_s is not None:
            return one.start_s, one.source
        if one.start_bar is not None:
            return tempo.seconds_at(meters.beat_of_bar(one.start_bar)), one.source
    return Fraction(0), UNKNOWN
