"""Reaper projects (`.RPP`): text in nested blocks. Tempo ramps are linear in time.

A line is a word and its values; `<NAME` opens a block and `>` closes it. A tempo point is
`PT seconds bpm shape [numerator + 65536 x denominator]`, shape 0 being a ramp to the next point and 1 a step;
bpm are quarter notes a minute in every meter. A region is two `MARKER` lines of one number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path, PureWindowsPath
from typing import IO

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
    patiently,
    tempo_map,
    unreadable,
    whole,
)
from bridge.media.tempo_map import HIGHEST_BPM, LOWEST_BPM, Curve, TempoMap

LONGEST_LINE = 1 << 20
MAGIC = b"<REAPER_PROJECT"
DENOMINATOR_STEP = 65536
SHAPE_RAMP, SHAPE_STEP = 0, 1
IS_REGION = 1
# Reaper writes seconds; beats that come out within this of a 3,840th are meant to lie on it.
GRID, NEARLY_BEATS = 3840, Fraction(1, 1_000_000)
FARTHEST_S = 10**7

# RENDER_RANGE's first number, as the render window lists them.
CUSTOM, ENTIRE, SELECTION, ALL_REGIONS, SELECTED_REGIONS = 0, 1, 2, 3, 5

_TOKEN = re.compile(r'"([^"]*)"|\'([^\']*)\'|`([^`]*)`|(\S+)')
# Which lines are read, by the blocks that they stand in.
_WANTED: dict[tuple[str, ...], frozenset[str]] = {
    ("REAPER_PROJECT",): frozenset(
        ("TEMPO", "PROJOFFS", "MARKER", "SELECTION", "SAMPLERATE", "RENDER_FILE", "RENDER_PATTERN",
         "RENDER_RANGE")
    ),
    ("REAPER_PROJECT", "TEMPOENVEX"): frozenset(("PT",)),
    ("REAPER_PROJECT", "TRACK", "ITEM"): frozenset(("POSITION", "LENGTH")),
}  # fmt: skip
_DEEPEST = 3
MOST_BLOCKS = 400


@dataclass(slots=True)
class _Song:
    """What was seen on the way through one project."""

    path: Path
    header: Sequence[str] = ()
    lines: dict[str, list[str]] = field(default_factory=dict)  # the last of each kind
    tempi: list[list[str]] = field(default_factory=list)
    markers: list[list[str]] = field(default_factory=list)
    item_start_s: Fraction = Fraction(0)
    end_s: Fraction = Fraction(0)

    def see(self, values: list[str]) -> None:
        match values[0]:
            case "PT":
                self._keep(self.tempi, values)
            case "MARKER":
                self._keep(self.markers, values)
            case "POSITION":
                self.item_start_s = _seconds(values, 1) or Fraction(0)
            case "LENGTH":
                self.end_s = max(self.end_s, self.item_start_s + (_seconds(values, 1) or 0))
            case name:
                self.lines[name] = values

    def _keep(self, kept: list[list[str]], values: list[str]) -> None:
        kept.append(values)
        if len(kept) > MOST_POINTS:
            raise unreadable(self.path, f"it has more than {MOST_POINTS:,} tempo points or markers")

    def value(self, name: str, index: int) -> str:
        values = self.lines.get(name, [])
        return values[index] if index < len(values) else ""


def read_rpp(path: Path) -> Project:
    """The time of a Reaper project. Raises BridgeError (no project, cut short), OSError (unreadable)."""
    warnings = Warnings()
    with path.open("rb") as file:
        song = _song(file, path)
    raw, meters = _tempi(song, warnings)
    tempo = tempo_map(raw, warnings=warnings)
    places = [place for place in _places(song.markers) if abs(place.start_s) <= FARTHEST_S]
    version = song.header[2] if len(song.header) > 2 else ""  # noqa: PLR2004 - `<REAPER_PROJECT 0.1 "6.80/x64" …`
    first_bar = whole(song.value("PROJOFFS", 2)) or 0
    return Project(
        path=path,
        daw="Reaper",
        version=clean_name(version.partition("/")[0]),
        tempo=tempo,
        meters=meters,
        markers=in_order(_marker(place, tempo) for place in places),
        rate_hz=_rate_hz(song),
        start_offset_s=_seconds(song.lines.get("PROJOFFS", []), 1) or Fraction(0),
        first_bar=1 + (first_bar if abs(first_bar) <= MOST_POINTS else 0),
        render=tuple(_bounds(song, places)),
        warnings=warnings.all(),
    )


def _song(file: IO[bytes], path: Path) -> _Song:
    song = _Song(path)
    blocks: list[str] = []
    for line in patiently(_lines(file), path):
        text = line.strip()
        if not blocks and text and not text.startswith(MAGIC):
            break
        if text.startswith(b"<"):
            values = _values(text[1:]) if len(blocks) < _DEEPEST else [""]
            song.header = song.header or values
            blocks.append(values[0] if values else "")
        elif text == b">" and blocks:
            blocks.pop()
            if not blocks:
                return song
        elif len(blocks) <= _DEEPEST and _is_wanted(text, blocks):
            song.see(_values(text))
        if len(blocks) > MOST_BLOCKS:
            raise unreadable(path, "its blocks are nested beyond reason")
    if not song.header:
        raise unreadable(path, "it is no Reaper project", remedy="Take it away, or give it its own name.")
    raise unreadable(path, "it is damaged or cut short")


def _is_wanted(text: bytes, blocks: Sequence[str]) -> bool:
    words = _WANTED.get(tuple(blocks))
    return words is not None and text.partition(b" ")[0].decode("ascii", "replace") in words


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """Lines; one that is longer than any that is read comes without its rest."""
    first = True
    while line := file.readline(LONGEST_LINE):
        yield line.removeprefix(b"\xef\xbb\xbf") if first else line
        first = False
        while len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            line = file.readline(LONGEST_LINE)


def _values(line: bytes) -> list[str]:
    """A line's word and values, without their quotes. Older projects are not UTF-8."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        text = line.decode("cp1252", "replace")
    return [next((group for group in found.groups() if group is not None), "")
            for found in _TOKEN.finditer(text)]  # fmt: skip


def _seconds(values: Sequence[str], index: int) -> Fraction | None:
    value = number(values[index]) if index < len(values) else None
    return value if value is not None and abs(value) <= FARTHEST_S else None


def _rate_hz(song: _Song) -> int | None:
    """`SAMPLERATE rate used …`: unused, the sound card's own rate counts."""
    rate_hz = whole(song.value("SAMPLERATE", 1))
    return rate_hz if rate_hz and rate_hz > 0 and song.value("SAMPLERATE", 2) not in ("", "0") else None


def _tempi(song: _Song, warnings: Warnings) -> tuple[list[RawTempo], MeterMap]:
    """The tempo points, from seconds to beats, and the meters that stand on them."""
    usual = number(song.value("TEMPO", 1))
    if usual is None or not LOWEST_BPM <= usual <= HIGHEST_BPM:
        warnings.add(f"The project names no tempo: {float(USUAL_BPM):g} BPM is assumed.")
        usual = USUAL_BPM
    meters = [(Fraction(0), whole(song.value("TEMPO", 2)) or 4, whole(song.value("TEMPO", 3)) or 4)]
    points = sorted(_tempo_points(song.tempi, warnings), key=lambda point: point.at_s)
    if not points or points[0].at_s > 0:
        points.insert(0, _Point(Fraction(0), usual, Curve.STEP, None))
    raw, beat = [], points[0].at_s * points[0].bpm / 60
    for here, following in pairwise([*points, points[-1]]):
        raw.append(RawTempo(_on_grid(beat), here.bpm, here.curve, at_s=here.at_s))
        if here.meter is not None:
            meters.append((_on_grid(beat), *here.meter))
        mean = here.bpm if here.curve is Curve.STEP else (here.bpm + following.bpm) / 2
        beat += (following.at_s - here.at_s) * mean / 60
    return raw, meter_map(meters, warnings=warnings)


@dataclass(frozen=True, slots=True)
class _Point:
    at_s: Fraction
    bpm: Fraction
    curve: Curve
    meter: tuple[int, int] | None


def _tempo_points(lines: Iterable[Sequence[str]], warnings: Warnings) -> Iterator[_Point]:
    for values in lines:
        at_s, bpm = _seconds(values, 1), number(values[2]) if len(values) > 2 else None  # noqa: PLR2004 - PT s bpm
        if at_s is None or at_s < 0 or bpm is None or not LOWEST_BPM <= bpm <= HIGHEST_BPM:
            warnings.add("A tempo point that makes no sense is left out.")
            continue
        shape = whole(values[3]) if len(values) > 3 else SHAPE_STEP  # noqa: PLR2004 - PT s bpm shape
        if shape not in (SHAPE_RAMP, SHAPE_STEP):
            warnings.add("A curved tempo ramp is read as a straight one.")
        packed = whole(values[4]) if len(values) > 4 else None  # noqa: PLR2004 - PT s bpm shape meter
        meter = (packed % DENOMINATOR_STEP, packed // DENOMINATOR_STEP) if packed and packed > 0 else None
        yield _Point(at_s, bpm, Curve.STEP if shape == SHAPE_STEP else Curve.LINEAR_IN_TIME, meter)


def _on_grid(beat: Fraction) -> Fraction:
    near = Fraction(round(beat * GRID), GRID)
    return near if abs(near - beat) <= NEARLY_BEATS else beat


@dataclass(frozen=True, slots=True)
class _Place:
    """A marker, or a region where it has an end."""

    name: str
    start_s: Fraction
    end_s: Fraction | None


def _places(lines: Iterable[Sequence[str]]) -> list[_Place]:
    """`MARKER number seconds name flags …`; a region's second line has its number again, and no name."""
    found: list[_Place] = []
    open_regions: dict[str, tuple[str, Fraction]] = {}
    for values in lines:
        at_s = _seconds(values, 2)
        if at_s is None:
            continue
        name = values[3] if len(values) > 3 else ""  # noqa: PLR2004 - MARKER number seconds name
        flags = (whole(values[4]) or 0) if len(values) > 4 else 0  # noqa: PLR2004 - … flags
        if not flags & IS_REGION:
            found.append(_Place(name, at_s, None))
        elif values[1] in open_regions:
            name, start_s = open_regions.pop(values[1])
            found.append(_Place(name, min(start_s, at_s), max(start_s, at_s)))
        else:
            open_regions[values[1]] = (name, at_s)
    return found


def _marker(place: _Place, tempo: TempoMap) -> Marker | None:
    end_beat = None if place.end_s is None else tempo.beat_at(place.end_s)
    return marker(tempo.beat_at(place.start_s), place.name, end_beat)


def _bounds(song: _Song, places: Sequence[_Place]) -> Iterator[RenderBounds]:
    """What the render window would export: first what it is set to, then the other choices."""
    chosen = whole(song.value("RENDER_RANGE", 1))
    pattern = _pattern(song)
    whole_song = max([song.end_s, *(place.end_s or place.start_s for place in places)])
    custom = song.lines.get("RENDER_RANGE", [])
    selected = song.lines.get("SELECTION", [])
    found = [
        (CUSTOM, "custom", None, _seconds(custom, 2), _seconds(custom, 3)),
        (ENTIRE, "project", None, Fraction(0), whole_song),
        (SELECTION, "selection", None, _seconds(selected, 1), _seconds(selected, 2)),
        *((ALL_REGIONS, "region", clean_name(place.name), place.start_s, place.end_s) for place in places),
    ]
    found.sort(key=lambda one: not _is_chosen(one[0], chosen))
    for flag, kind, name, start_s, end_s in found:
        if start_s is not None and end_s is not None and end_s > start_s:
            is_set = _is_chosen(flag, chosen)
            yield RenderBounds(name, pattern, start_s, end_s, kind, set_for_export=is_set)


def _is_chosen(flag: int, chosen: int | None) -> bool:
    return flag == chosen or (flag == ALL_REGIONS and chosen == SELECTED_REGIONS)


def _pattern(song: _Song) -> str | None:
    """The exported file's name without its folder and ending. It may stand on any system's path."""
    pattern, file = song.value("RENDER_PATTERN", 1), song.value("RENDER_FILE", 1)
    if pattern:
        return clean_name(PureWindowsPath(pattern).name) or None
    return clean_name(PureWindowsPath(file).stem) or None
