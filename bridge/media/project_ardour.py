"""Ardour sessions (`.ardour`, Ardour 5 to 8; 2 to 4 as far as known): XML. Tempo ramps are linear in beats.

Seen in Ardour 7.3: a position is `a` and superclocks (282,240,000 a second, or what the tempo map says), `b`
and ticks (1,920 a quarter note), or plain samples in older sessions. A tempo is a ramp only where its `omega`
is not 0, whatever its type says: Ardour itself plays it so. Its own time counts; its beat is in whole ticks.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from bridge.media.meter_map import MeterMap
from bridge.media.musical_time import Marker
from bridge.media.project_types import (
    MOST_POINTS,
    USUAL_BPM,
    Project,
    RawTempo,
    RenderBounds,
    Warnings,
    clean_name,
    in_order,
    marker,
    meter_map,
    number,
    tempo_map,
    unreadable,
    whole,
)
from bridge.media.project_xml import Branch, walk
from bridge.media.tempo_map import HIGHEST_BPM, LOWEST_BPM, Curve, TempoMap

BLOCK = 1 << 18
TICKS_A_QUARTER = 1920
USUAL_SUPERCLOCK_HZ = 282_240_000
PULSE_QUARTERS = 4  # Ardour 5 and 6 count whole notes
HIGHEST_RATE_HZ = 1_000_000
FARTHEST_S = 10**7
ROUNDING = Fraction(1, 1_000_000)

_TEMPI: Branch = {"Tempo": {}, "Meter": {}}
_WANTED: Branch = {
    "Session": {
        "ProgramVersion": {},
        "Locations": {"Location": {}},
        "TempoMap": {**_TEMPI, "Tempos": _TEMPI, "Meters": _TEMPI},
    }
}
_VERSION = re.compile(r"\d+(?:\.\d+)*")
_KINDS = (
    ("IsSessionRange", "session"),
    ("IsAutoLoop", "loop"),
    ("IsRangeMarker", "range"),
    ("IsSection", "range"),
)
_UNHEARD = frozenset(("IsXrun", "IsAutoPunch", "IsSkip", "IsClockOrigin"))

Attributes = Mapping[str, str]


@dataclass(slots=True)
class _Session:
    """What was seen on the way through one session."""

    path: Path
    root: Attributes = field(default_factory=dict)
    program: Attributes = field(default_factory=dict)
    map: Attributes = field(default_factory=dict)
    tempi: list[Attributes] = field(default_factory=list)
    meters: list[Attributes] = field(default_factory=list)
    locations: list[Attributes] = field(default_factory=list)

    def see(self, path: tuple[str, ...], attributes: Attributes) -> None:
        match path[-1]:
            case "Session":
                self.root = attributes
            case "ProgramVersion":
                self.program = attributes
            case "TempoMap":
                self.map = attributes
            case "Tempo":
                self._keep(self.tempi, attributes)
            case "Meter":
                self._keep(self.meters, attributes)
            case "Location":
                self._keep(self.locations, attributes)

    def _keep(self, kept: list[Attributes], attributes: Attributes) -> None:
        kept.append(attributes)
        if len(kept) > MOST_POINTS:
            raise unreadable(self.path, f"it has more than {MOST_POINTS:,} tempi, meters or markers")

    @property
    def rate_hz(self) -> int | None:
        rate_hz = whole(self.root.get("sample-rate"))
        return rate_hz if rate_hz is not None and 0 < rate_hz <= HIGHEST_RATE_HZ else None

    @property
    def superclock_hz(self) -> Fraction:
        rate = number(self.map.get("superclocks-per-second"))
        return rate if rate is not None and rate > 0 else Fraction(USUAL_SUPERCLOCK_HZ)

    @property
    def version(self) -> str:
        """`modified-with="Ardour 7.3.0~ds0-1"`, or the session format's `7002`."""
        found = _VERSION.search(self.program.get("modified-with", ""))
        return found[0] if found else clean_name(self.root.get("version"))


def read_ardour(path: Path) -> Project:
    """The time of an Ardour session. Raises BridgeError (no session, damaged), OSError (unreadable)."""
    warnings = Warnings()
    session = _Session(path)
    with path.open("rb") as file:
        walk(iter(lambda: file.read(BLOCK), b""), _WANTED, session.see, path=path)
    if "sample-rate" not in session.root and not session.map and not session.tempi:
        raise unreadable(
            path, "it is XML, but no Ardour session", remedy="Take it away, or give it its own name."
        )
    meters, bars = _meters(session, warnings)
    if not session.tempi:
        warnings.add(f"The session names no tempo: {float(USUAL_BPM):g} BPM is assumed.")
    tempo = tempo_map(_tempi(session, bars, warnings), warnings=warnings)
    places = list(_places(session, tempo, warnings))
    return Project(
        path=path,
        daw="Ardour",
        version=session.version,
        tempo=tempo,
        meters=meters,
        markers=in_order(_marker(place, tempo) for place in places),
        rate_hz=session.rate_hz,
        render=tuple(_bounds(places)),
        warnings=warnings.all(),
    )


@dataclass(frozen=True, slots=True)
class _Bar:
    """A bar that a meter begins with: what Ardour 2 to 4 count `bar|beat|tick` from."""

    number: Fraction
    beat: Fraction
    meter: tuple[int, int]


def _meters(session: _Session, warnings: Warnings) -> tuple[MeterMap, list[_Bar]]:
    raw: list[tuple[Fraction, int, int]] = []
    bars = [_Bar(Fraction(1), Fraction(0), (4, 4))]
    for one in session.meters:
        upper = number(one.get("divisions-per-bar", one.get("beats-per-bar")))
        lower = number(one.get("note-value", one.get("note-type")))
        beat = _beat(one, bars)
        if beat is None or upper is None or lower is None or min(upper, lower) < 1:
            warnings.add("A meter that makes no sense is left out.")
            continue
        raw.append((beat, int(upper), int(lower)))
        if (bar := _bar_beat_tick(one)) is not None and bar[0] >= bars[-1].number:
            bars.append(_Bar(bar[0], beat, (int(upper), int(lower))))
    return meter_map(raw, warnings=warnings), bars


def _beat(one: Attributes, bars: Sequence[_Bar]) -> Fraction | None:
    """Where it stands in quarter notes: from beats:ticks (Ardour 7), pulses (5) or bar|beat|tick (2)."""
    if "quarters" in one:
        beats, _, ticks = one["quarters"].partition(":")
        parts = number(beats), number(ticks or "0")
        return None if parts[0] is None or parts[1] is None else parts[0] + parts[1] / TICKS_A_QUARTER
    if "pulse" in one:
        pulse = number(one["pulse"])
        return None if pulse is None else pulse * PULSE_QUARTERS
    place = _bar_beat_tick(one)
    if place is None:
        return None
    bar, beat, tick = place
    since = bars[max(bisect_right(bars, bar, key=lambda known: known.number) - 1, 0)]
    upper, lower = since.meter
    return since.beat + ((bar - since.number) * upper + beat - 1 + tick / TICKS_A_QUARTER) * Fraction(
        4, lower
    )


def _bar_beat_tick(one: Attributes) -> tuple[Fraction, Fraction, Fraction] | None:
    match [number(part) for part in one.get("start", "").split("|")]:
        case [Fraction() as bar, Fraction() as beat, Fraction() as tick]:
            return bar, beat, tick
    return None


def _tempi(session: _Session, bars: Sequence[_Bar], warnings: Warnings) -> Iterator[RawTempo]:
    found = [
        (one, _beat(one, bars), _bpm(one)) for one in session.tempi if one.get("active") not in ("0", "no")
    ]
    for index, (one, beat, bpm) in enumerate(found):
        if beat is None or bpm is None:
            warnings.add("A tempo that makes no sense is left out.")
            continue
        following = found[index + 1][1] if index + 1 < len(found) else None
        end = _end_bpm(one, bpm, None if following is None else following - beat, session)
        curve = Curve.STEP if end is None or end == bpm else Curve.LINEAR_IN_BEATS
        yield RawTempo(beat, bpm, curve, None if curve is Curve.STEP else end, _own_time_s(one, session))


def _bpm(one: Attributes, *names: str) -> Fraction | None:
    """Quarter notes a minute; Ardour counts notes of `note-type`."""
    value = next((one[name] for name in names or ("npm", "beats-per-minute") if name in one), None)
    note, bpm = number(one.get("note-type", "4")), number(value)
    return bpm * 4 / note if bpm is not None and note is not None and note > 0 else None


def _end_bpm(one: Attributes, bpm: Fraction, length: Fraction | None, session: _Session) -> Fraction | None:
    """What a ramp's tempo has become after `length` quarter notes; None for no ramp.

    Ardour 7: tempo(beat) = bpm x (1 + omega x superclocks a quarter x beat). Ardour 5 writes it down.
    """
    if length is None or length <= 0 or bpm <= 0:
        return None
    if "omega" not in one:
        return _bpm(one, "end-beats-per-minute")
    omega = number(one["omega"]) or Fraction(0)
    end = bpm + omega * session.superclock_hz * 60 * length
    written = _bpm(one, "enpm")
    if omega and written is not None and abs(end - written) <= written * ROUNDING:
        return written  # omega has the digits of a double only
    return end if LOWEST_BPM <= end <= HIGHEST_BPM else None


def _own_time_s(one: Attributes, session: _Session) -> Fraction | None:
    superclocks = number(one.get("sclock"))
    samples = number(one.get("frame", one.get("sample")))
    if superclocks is not None:
        return superclocks / session.superclock_hz
    return samples / session.rate_hz if samples is not None and session.rate_hz else None


@dataclass(frozen=True, slots=True)
class _Place:
    """A location: a marker, or a range where it has an end."""

    name: str
    flags: frozenset[str]
    start_s: Fraction
    end_s: Fraction


def _places(session: _Session, tempo: TempoMap, warnings: Warnings) -> Iterator[_Place]:
    for one in session.locations:
        flags = frozenset(one.get("flags", "").split(","))
        start_s = _time_s(one.get("start", ""), session, tempo)
        end_s = _time_s(one.get("end", ""), session, tempo)
        if start_s is None or not -FARTHEST_S <= start_s <= FARTHEST_S:
            warnings.add("A marker or range that lies nowhere is left out.")
        elif not flags & _UNHEARD:
            known = end_s is not None and start_s <= end_s <= FARTHEST_S
            yield _Place(clean_name(one.get("name")), flags, start_s, end_s if known and end_s else start_s)


def _time_s(text: str, session: _Session, tempo: TempoMap) -> Fraction | None:
    value = number(text.lstrip("ab"))
    if value is None:
        return None
    if text.startswith("a"):
        return value / session.superclock_hz
    if text.startswith("b"):
        beat = value / TICKS_A_QUARTER
        return tempo.seconds_at(beat) if abs(beat) <= FARTHEST_S else None
    return value / session.rate_hz if session.rate_hz else None


def _marker(place: _Place, tempo: TempoMap) -> Marker | None:
    """The session's range and the loop are no parts of the song."""
    if place.flags & {"IsSessionRange", "IsAutoLoop"}:
        return None
    end_beat = tempo.beat_at(place.end_s) if place.end_s > place.start_s else None
    return marker(tempo.beat_at(place.start_s), place.name, end_beat)


def _bounds(places: Iterable[_Place]) -> Iterator[RenderBounds]:
    """The ranges that Ardour offers for an export; a file has its range's name where several are exported."""
    for flag, kind in _KINDS:
        for place in places:
            if flag in place.flags and place.end_s > place.start_s:
                yield RenderBounds(
                    place.name, None, place.start_s, place.end_s, kind, flag == "IsSessionRange"
                )
