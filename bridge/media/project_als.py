"""Ableton Live sets (`.als`, Live 8 to 12): gzipped XML. Tempo ramps are linear in beats.

In sets of these versions the tempo's automation stands in the master track: since Live 10 in an envelope that
names the tempo's target, before that in the tempo itself. Times are quarter notes from bar 1. The first event
lies far before the song and repeats the first one's value.
"""

from __future__ import annotations

import gzip
import math
import re
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import IO

from bridge.media.meter_map import MeterMap
from bridge.media.musical_time import Key, Marker, Mode
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
    plain,
    tempo_map,
    unreadable,
    whole,
)
from bridge.media.project_xml import Branch, walk
from bridge.media.tempo_map import Curve, TempoMap

BLOCK = 1 << 18
# Live's sets inflate 10 to 40 times. What inflates further has no music in it.
LEAST_INFLATED_LIMIT = 64 << 20
MOST_INFLATION = 100
MOST_INFLATED = 2 << 30

BEFORE_THE_SONG = -1_000_000  # beats; Live's first event lies at -63,072,000
METERS_A_DENOMINATOR = 99  # a meter is 99 x log2(denominator) + numerator - 1
SIXTEENTH = 0.25  # beats
PIECES_OF_A_CURVE = 32
TELLING_STEPS_S = 0.001

_EVENTS: Branch = {"Events": {"FloatEvent": {}, "EnumEvent": {}}}
_PARAMETER: Branch = {"Manual": {}, "AutomationTarget": {}, "ArrangerAutomation": _EVENTS}
_MASTER: Branch = {
    "AutomationEnvelopes": {
        "Envelopes": {
            "AutomationEnvelope": {"EnvelopeTarget": {"PointeeId": {}}, "Automation": _EVENTS},
        }
    },
    "DeviceChain": {"Mixer": {"Tempo": _PARAMETER, "TimeSignature": _PARAMETER}},
    "MasterChain": {"Mixer": {"Tempo": _PARAMETER, "TimeSignature": _PARAMETER}},  # Live 8
}
_WANTED: Branch = {
    "Ableton": {
        "LiveSet": {
            "MasterTrack": _MASTER,
            "MainTrack": _MASTER,  # Live 12
            "Transport": {"LoopOn": {}, "LoopStart": {}, "LoopLength": {}},
            "TimeSelection": {"AnchorTime": {}, "OtherTime": {}},
            "ScaleInformation": {"RootNote": {}, "Root": {}, "Name": {}},
            "InKey": {},
            "Locators": {"Locators": {"Locator": {"Time": {}, "Name": {}}}},
        }
    }
}
_TRACKS = re.compile(rb"<(/?)Tracks>")
_LONGEST_TRACKS_TAG = len("</Tracks>")
_CURVE_NAMES = ("CurveControl1X", "CurveControl1Y", "CurveControl2X", "CurveControl2Y")
_NUMBERS_OF_AN_EVENT = 6

# Live 12 may write the scale's place in its list; the first three are enough to tell a key.
_SCALES_BY_NUMBER = {"0": "Major", "1": "Minor"}
_MODES: dict[str, Mode] = {"Major": "major", "Minor": "minor"}
_TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")


@dataclass(slots=True)
class _Parameter:
    manual: Fraction | None = None
    target: str | None = None
    events: array[float] = field(default_factory=lambda: array("d"))


@dataclass(slots=True)
class _Set:
    """What was seen on the way through one set."""

    path: Path
    creator: str = ""
    parameters: dict[str, _Parameter] = field(
        default_factory=lambda: {"Tempo": _Parameter(), "TimeSignature": _Parameter()}
    )
    envelopes: dict[str, array[float]] = field(default_factory=dict)
    envelope: str = ""
    singles: dict[tuple[str, str], str] = field(default_factory=dict)
    locators: list[dict[str, str]] = field(default_factory=list)
    has_master: bool = False

    def see(self, path: tuple[str, ...], attributes: Mapping[str, str]) -> None:
        match path:
            case ("Ableton",):
                self.creator = attributes.get("Creator", "")
            case ("Ableton", "LiveSet", "MasterTrack" | "MainTrack", *below):
                self.has_master = True
                self._see_master(below, attributes)
            case (_, _, "Locators", _, "Locator"):
                self.locators.append({})
                self._check_count(len(self.locators))
            case (_, _, "Locators", _, _, name):
                self.locators[-1][name] = attributes.get("Value", "")
            case (*_, parent, name):
                self.singles[(parent, name)] = attributes.get("Value", "")

    def _see_master(self, below: Sequence[str], attributes: Mapping[str, str]) -> None:
        match below:
            case ["AutomationEnvelopes", _, _, "EnvelopeTarget", "PointeeId"]:
                self.envelope = attributes.get("Value", "")
            case ["AutomationEnvelopes", _, _, "Automation", "Events", _]:
                self._add_event(self.envelopes.setdefault(self.envelope, array("d")), attributes)
            case [_, "Mixer", name, "Manual"]:
                self.parameters[name].manual = number(attributes.get("Value"))
            case [_, "Mixer", name, "AutomationTarget"]:
                self.parameters[name].target = attributes.get("Id")
            case [_, "Mixer", name, "ArrangerAutomation", "Events", _]:
                self._add_event(self.parameters[name].events, attributes)

    def _add_event(self, events: array[float], attributes: Mapping[str, str]) -> None:
        time, value = plain(attributes.get("Time")), plain(attributes.get("Value"))
        if time is None or value is None:
            return
        controls = [plain(attributes.get(name)) for name in _CURVE_NAMES]
        events.extend((time, value, *(math.nan if control is None else control for control in controls)))
        self._check_count(len(events) // _NUMBERS_OF_AN_EVENT)

    def _check_count(self, count: int) -> None:
        if count > MOST_POINTS:
            raise unreadable(self.path, f"it has more than {MOST_POINTS:,} points in one line of automation")

    def events(self, name: str) -> list[_Event]:
        """The automation of "Tempo" or "TimeSignature", without the event that only repeats the first."""
        parameter = self.parameters[name]
        flat = parameter.events or self.envelopes.get(parameter.target or "", array("d"))
        found = [_Event.of(flat[at : at + _NUMBERS_OF_AN_EVENT])
                 for at in range(0, len(flat), _NUMBERS_OF_AN_EVENT)]  # fmt: skip
        found.sort(key=lambda event: event.beat)
        return found

    def beats(self, parent: str, name: str) -> Fraction | None:
        return number(self.singles.get((parent, name)))


@dataclass(frozen=True, slots=True)
class _Event:
    beat: Fraction
    value: Fraction
    curve: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, numbers: Sequence[float]) -> _Event:
        time, value, *controls = numbers
        bent = all(0 <= control <= 1 for control in controls) and _is_bent(*controls)
        # The shortest decimal is the one that Live wrote.
        curve = (controls[0], controls[1], controls[2], controls[3]) if bent else None
        return cls(Fraction(repr(time)), Fraction(repr(value)), curve)


def _is_bent(x1: float, y1: float, x2: float, y2: float) -> bool:
    return x1 != y1 or x2 != y2


def read_als(path: Path) -> Project:
    """The time of a Live set. Raises BridgeError (no set, damaged, too large), OSError (unreadable)."""
    warnings = Warnings()
    found = _Set(path)
    with path.open("rb") as file:
        walk(_without_tracks(_inflated(file, path)), _WANTED, found.see, path=path)
    if not found.creator and not found.has_master:
        raise unreadable(path, "it is XML, but no Live set", remedy="Take it away, or give it its own name.")
    if not found.has_master:
        warnings.add("The set has no main track: its tempo is not known.")
    tempo = _tempo(found, warnings)
    scale, key = _scale(found)
    return Project(
        path=path,
        daw="Live",
        version=clean_name(found.creator.removeprefix("Ableton Live ")),
        tempo=tempo,
        meters=_meters(found, warnings),
        markers=in_order(_markers(found)),
        key=key,
        scale=scale,
        render=tuple(_bounds(found, tempo)),
        warnings=warnings.all(),
    )


def _inflated(file: IO[bytes], path: Path) -> Iterator[bytes]:
    """The set's XML in blocks; a set that was unpacked by hand is read as it is."""
    first = file.read(5)
    size = file.seek(0, 2)
    file.seek(0)
    packed = first.startswith(b"\x1f\x8b")
    if not packed and not first.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        raise unreadable(path, "it is no Live set", remedy="Take it away, or give it its own name.")
    limit = min(max(LEAST_INFLATED_LIMIT, MOST_INFLATION * size), MOST_INFLATED)
    count = 0
    try:
        source = gzip.GzipFile(fileobj=file) if packed else file
        while block := source.read(BLOCK):
            count += len(block)
            if count > limit:
                raise unreadable(path, f"it inflates to more than {limit >> 20} MB, which no Live set does")
            yield block
    except (gzip.BadGzipFile, EOFError, zlib.error) as fault:
        raise unreadable(path, f"it is damaged or cut short ({fault})") from None


def _without_tracks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """All but what stands within `<Tracks>`: nearly all of a set, and nothing that is asked for here."""
    depth, held = 0, b""
    for block in blocks:
        held += block
        start = 0
        for found in _TRACKS.finditer(held):
            before, depth = depth, max(depth + (-1 if found[1] else 1), 0)
            if not before:
                yield held[start : found.end()]
            elif not depth:
                yield found[0]
            start = found.end()
        # A tag may lie across two blocks.
        end = max(start, len(held) - _LONGEST_TRACKS_TAG + 1)
        if not depth:
            yield held[start:end]
        held = held[end:]
    yield held


def _tempo(found: _Set, warnings: Warnings) -> TempoMap:
    manual = found.parameters["Tempo"].manual
    events = found.events("Tempo")
    song = [event for event in events if event.beat > BEFORE_THE_SONG]
    if not events and manual is None:
        warnings.add(f"The set names no tempo: {float(USUAL_BPM):g} BPM is assumed.")
    if not song:
        lone = events[-1].value if events else USUAL_BPM
        return tempo_map([RawTempo(Fraction(0), manual or lone)], warnings=warnings)
    raw = list(_ramps(song))
    if len(raw) > len(song):
        warnings.add(f"A curved tempo ramp is followed in {PIECES_OF_A_CURVE} straight pieces.")
    _tell_of_steps(raw, warnings)
    return tempo_map(raw, warnings=warnings, usual=manual or USUAL_BPM)


def _ramps(events: Sequence[_Event]) -> Iterable[RawTempo]:
    for here, following in pairwise(events):
        yield RawTempo(here.beat, here.value, Curve.LINEAR_IN_BEATS)
        if here.curve is not None and following.beat > here.beat and following.value != here.value:
            yield from _pieces(here, following, here.curve)
    yield RawTempo(events[-1].beat, events[-1].value)


def _pieces(here: _Event, following: _Event, curve: tuple[float, float, float, float]) -> Iterable[RawTempo]:
    """Points on the cubic Bezier curve from (0, 0) to (1, 1) with these two controls."""
    x1, y1, x2, y2 = (Fraction(control) for control in curve)
    for step in range(1, PIECES_OF_A_CURVE):
        t = Fraction(step, PIECES_OF_A_CURVE)
        weights = (3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
        x = weights[0] * x1 + weights[1] * x2 + weights[2]
        y = weights[0] * y1 + weights[1] * y2 + weights[2]
        beat = here.beat + round(x * (following.beat - here.beat), 9)
        yield RawTempo(beat, here.value + y * (following.value - here.value), Curve.LINEAR_IN_BEATS)


def _tell_of_steps(raw: Sequence[RawTempo], warnings: Warnings) -> None:
    """Live plays a ramp in steps: each sixteenth lasts as its first moment's tempo says."""
    late_s = most_s = 0.0
    for here, following in pairwise(raw):
        if here.bpm > 0 and following.bpm > 0 and following.beat > here.beat:
            late_s += SIXTEENTH * 30 * (1 / float(here.bpm) - 1 / float(following.bpm))
            most_s = max(most_s, abs(late_s))
    if most_s > TELLING_STEPS_S:
        warnings.add("Live plays tempo ramps in steps of a sixteenth: its audio may lie up to "
                     f"{most_s * 1000:.0f} ms from the ramps that the set draws.")  # fmt: skip


def _meters(found: _Set, warnings: Warnings) -> MeterMap:
    manual = found.parameters["TimeSignature"].manual
    events = found.events("TimeSignature")
    if len(events) > 1 and events[0].beat <= BEFORE_THE_SONG:
        # Unlike a tempo's, a meter's first event holds until the second.
        first = _Event(Fraction(0), events[0].value, None)
        events = [first, *events[1:]] if events[1].beat > 0 else events[1:]
    elif events and events[0].beat <= BEFORE_THE_SONG:
        events = [_Event(Fraction(0), manual if manual is not None else events[0].value, None)]
    elif not events and manual is not None:
        events = [_Event(Fraction(0), manual, None)]
    return meter_map((_meter(event) for event in events), warnings=warnings)


def _meter(event: _Event) -> tuple[Fraction, int, int]:
    power, rest = divmod(int(event.value), METERS_A_DENOMINATOR)
    denominator = 1 << power if 0 <= power < 8 else 0  # noqa: PLR2004 - 1/128 is the shortest there is
    return event.beat, rest + 1, denominator


def _markers(found: _Set) -> Iterable[Marker | None]:
    for locator in found.locators:
        beat = number(locator.get("Time"))
        if beat is not None:
            yield marker(beat, locator.get("Name", ""))


def _scale(found: _Set) -> tuple[str | None, Key | None]:
    """The set's scale. C major is what every set has that nobody gave a scale, so it says nothing."""
    root = whole(found.singles.get(("ScaleInformation", "RootNote")))
    root = whole(found.singles.get(("ScaleInformation", "Root"))) if root is None else root
    name = clean_name(found.singles.get(("ScaleInformation", "Name")))
    name = _SCALES_BY_NUMBER.get(name, name)
    nobody_chose = (root, name) == (0, "Major") or found.singles.get(("LiveSet", "InKey")) == "false"
    if root is None or not 0 <= root < len(_TONICS) or not name or name.isdigit() or nobody_chose:
        return None, None
    key = Key(root, _MODES[name]) if name in _MODES else None
    return f"{key.spelling if key else _TONICS[root]} {name}", key


def _bounds(found: _Set, tempo: TempoMap) -> Iterable[RenderBounds]:
    """What the export dialog offers: the selected time, then the loop."""
    one, other = found.beats("TimeSelection", "AnchorTime"), found.beats("TimeSelection", "OtherTime")
    start, length = found.beats("Transport", "LoopStart"), found.beats("Transport", "LoopLength")
    loops = found.singles.get(("Transport", "LoopOn")) == "true"
    ranges = (
        ("selection", one, other),
        ("loop", start, None if start is None or length is None or not loops else start + length),
    )
    for kind, begin, end in ranges:
        if begin is not None and end is not None and begin != end and max(abs(begin), abs(end)) < 10**8:
            first_s, last_s = sorted((tempo.seconds_at(begin), tempo.seconds_at(end)))
            yield RenderBounds(None, None, first_s, last_s, kind)
