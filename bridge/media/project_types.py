"""What a DAW's project file tells about time, and the small tools that its readers share.

The readers (`project_als`, `project_rpp`, `project_ardour`) give numbers as they stand in the file; what is
no number, or out of every musical range, is left out with a sentence in `Project.warnings`.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from bridge.errors import ProjectFileError
from bridge.media.meter_map import DENOMINATORS, MOST_NUMERATOR, MeterMap, MeterPoint
from bridge.media.musical_time import Key, Marker
from bridge.media.tempo_map import FARTHEST_BEAT, HIGHEST_BPM, LOWEST_BPM, Curve, TempoMap, TempoPoint

USUAL_BPM = Fraction(120)
MOST_POINTS = 50_000  # tempo points, meters or markers of one project: more is no music
LONGEST_NAME = 500
MOST_WORK_S = 10.0  # of one core; a set of 100 MB takes a second or two
_LOOK_EVERY = 16
# A tempo map that is rebuilt from beats and tempi must pass its file's own times this closely.
CLOSE_S = 50e-6
TELLING_SHIFT = 0.02

_DECIMAL = re.compile(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,60})?|\.[0-9]{1,60})(?:[eE][+-]?[0-9]{1,2})?")


class Warnings:
    """Plain sentences, each once, in order."""

    def __init__(self) -> None:
        self._sentences: dict[str, None] = {}

    def add(self, sentence: str) -> None:
        self._sentences[sentence] = None

    def all(self) -> tuple[str, ...]:
        return tuple(self._sentences)


@dataclass(frozen=True, slots=True)
class RenderBounds:
    """A part of the song that the DAW can export, in seconds from the project's bar 1.

    `kind` is where it comes from: "custom", "project", "selection", "loop", "region", "range", "session".
    `name` is the region's or range's own name, `pattern` the file name (with the DAW's wildcards, no folder)
    that the project exports it under. `end_s` is None where the file does not say it. `set_for_export` is
    true for what the project's render settings choose.
    """

    name: str | None
    pattern: str | None
    start_s: Fraction
    end_s: Fraction | None
    kind: str = "range"
    set_for_export: bool = False


@dataclass(frozen=True)
class Project:
    """A project file's time. Beats are quarter notes, seconds count from the beginning of its timeline.

    `start_offset_s` is the time that the DAW shows there (Reaper's project start time), `first_bar` the bar's
    number. `scale` is the scale's name ("D Dorian"), `key` is set where that is a major or minor key.
    `rate_hz` is None where the sound card decides.
    """

    path: Path
    daw: str
    version: str
    tempo: TempoMap
    meters: MeterMap
    markers: tuple[Marker, ...] = ()
    key: Key | None = None
    scale: str | None = None
    rate_hz: int | None = None
    start_offset_s: Fraction = Fraction(0)
    first_bar: int = 1
    render: tuple[RenderBounds, ...] = ()
    warnings: tuple[str, ...] = field(default=(), compare=False)


def unreadable(path: Path, message: str, *, remedy: str = "") -> ProjectFileError:
    """The error for a project file that cannot be read, with what to do about it."""
    return ProjectFileError(
        message, remedy=remedy or "Save the project once more in the DAW, or take it away.", file=path
    )


def patiently(pieces: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """The pieces of a file, while reading them takes no more than `MOST_WORK_S`: a bounce waits for it.

    Raises BridgeError where it does.
    """
    ends = time.thread_time() + MOST_WORK_S
    for index, piece in enumerate(pieces):
        if index % _LOOK_EVERY == 0 and time.thread_time() > ends:
            raise unreadable(path, f"reading it takes longer than {MOST_WORK_S:g} s")
        yield piece


def number(text: str | None) -> Fraction | None:
    """The exact value of a decimal number; None for everything else, also for nan, inf and huge exponents."""
    if text is None or not _DECIMAL.fullmatch(text):
        return None
    return Fraction(text)


def plain(text: str | None) -> float | None:
    """The same as a float, for where there are many of them."""
    if text is None or not _DECIMAL.fullmatch(text):
        return None
    return float(text)


def whole(text: str | None) -> int | None:
    value = number(text)
    return int(value) if value is not None and value.denominator == 1 else None


def clean_name(text: str | None) -> str:
    """A name for one line: no control characters, no more than `LONGEST_NAME` letters."""
    letters = "".join(letter if letter.isprintable() else " " for letter in (text or "")[: 2 * LONGEST_NAME])
    return letters.strip()[:LONGEST_NAME]


@dataclass(frozen=True, slots=True)
class RawTempo:
    """A tempo as a file has it: `end_bpm` is what it becomes until the next, `at_s` the file's own time."""

    beat: Fraction
    bpm: Fraction
    curve: Curve = Curve.STEP
    end_bpm: Fraction | None = None
    at_s: Fraction | None = None


def tempo_map(raw: Iterable[RawTempo], *, warnings: Warnings, usual: Fraction = USUAL_BPM) -> TempoMap:
    """The map through these tempi, in any order; `usual` where none of them can be used."""
    good = sorted(_playable(raw, warnings), key=lambda tempo: tempo.beat)
    if not good:
        return TempoMap.constant(usual if LOWEST_BPM <= usual <= HIGHEST_BPM else USUAL_BPM)
    return TempoMap(tuple(_points(_anchored(good, warnings))))


def _playable(raw: Iterable[RawTempo], warnings: Warnings) -> Iterable[RawTempo]:
    for tempo in raw:
        ends = (tempo.bpm, tempo.bpm if tempo.end_bpm is None else tempo.end_bpm)
        if all(LOWEST_BPM <= bpm <= HIGHEST_BPM for bpm in ends) and abs(tempo.beat) <= FARTHEST_BEAT:
            yield tempo
        else:
            warnings.add(f"A tempo of {float(tempo.bpm):g} at beat {float(tempo.beat):g} is left out.")


def _anchored(tempi: list[RawTempo], warnings: Warnings) -> list[RawTempo]:
    """The tempi changed by parts in a million, so that each begins at its `at_s` where it has one.

    Files round beats to ticks, or tempi to digits: over hundreds of changes that would add up.
    """
    kept: list[RawTempo] = []
    run_s = None if tempi[0].at_s is None else float(tempi[0].at_s)
    for here, following in pairwise(tempi):
        if run_s is None or following.at_s is None:
            run_s = None
            kept.append(here)
            continue
        nominal_s, wanted_s = _lasts_s(here, following), float(following.at_s) - run_s
        if abs(wanted_s - nominal_s) <= CLOSE_S or wanted_s <= 0 or not nominal_s:
            run_s += nominal_s
            kept.append(here)
            continue
        if abs(nominal_s / wanted_s - 1) > TELLING_SHIFT:
            warnings.add(f"The project's times and tempi do not agree at beat {float(here.beat):g}; "
                         "its times are followed.")  # fmt: skip
        kept.append(_times(here, following, Fraction(nominal_s / wanted_s)))
        run_s += _lasts_s(kept[-1], following)
    return [*kept, tempi[-1]]


def _times(here: RawTempo, following: RawTempo, factor: Fraction) -> RawTempo:
    low, high = here.bpm * factor, _end_bpm(here, following) * factor
    if not all(LOWEST_BPM <= bpm <= HIGHEST_BPM for bpm in (low, high)):
        return here
    return replace(here, bpm=low, end_bpm=None if here.curve is Curve.STEP else high)


def _end_bpm(here: RawTempo, following: RawTempo) -> Fraction:
    if here.curve is Curve.STEP:
        return here.bpm
    return following.bpm if here.end_bpm is None else here.end_bpm


def _lasts_s(here: RawTempo, following: RawTempo) -> float:
    """From one to the next, as a plain number: it is only compared."""
    length, low, high = float(following.beat - here.beat), float(here.bpm), float(_end_bpm(here, following))
    if here.curve is Curve.LINEAR_IN_BEATS and low != high:
        return 60 * length / (high - low) * math.log(high / low)
    return 120 * length / (low + high)


def _points(tempi: Sequence[RawTempo]) -> Iterable[TempoPoint]:
    """A ramp that ends on another tempo than the next one's gets a point of its own at its end.

    Of several tempi on one beat the first ends what came before, and the last goes on.
    """
    last_beat: Fraction | None = None
    for index, tempo in enumerate(tempi):
        following = tempi[index + 1] if index + 1 < len(tempi) else None
        if following is not None and following.beat == tempo.beat == last_beat:
            continue
        yield TempoPoint(tempo.beat, tempo.bpm, tempo.curve)
        last_beat = tempo.beat
        if following is None or tempo.curve is Curve.STEP or tempo.end_bpm in (None, following.bpm):
            continue
        assert tempo.end_bpm is not None
        if following.beat > tempo.beat:
            yield TempoPoint(following.beat, tempo.end_bpm)
            last_beat = following.beat


def meter_map(raw: Iterable[tuple[Fraction, int, int]], *, warnings: Warnings) -> MeterMap:
    """The map through (beat, numerator, denominator); the last on one beat counts. 4/4 for none."""
    found: dict[Fraction, MeterPoint] = {}
    for beat, numerator, denominator in raw:
        playable = 1 <= numerator <= MOST_NUMERATOR and denominator in DENOMINATORS
        if playable and abs(beat) <= FARTHEST_BEAT:
            found[beat] = MeterPoint(beat, numerator, denominator)
        else:
            warnings.add(f"A meter of {numerator}/{denominator} at beat {float(beat):g} is left out.")
    return MeterMap(tuple(found[beat] for beat in sorted(found))) if found else MeterMap.constant()


def marker(beat: Fraction, name: str, end_beat: Fraction | None = None) -> Marker | None:
    """The marker, or None for one that lies nowhere or ends before it begins."""
    if abs(beat) > FARTHEST_BEAT or (end_beat is not None and not beat <= end_beat <= FARTHEST_BEAT):
        return None
    return Marker(beat, clean_name(name), end_beat)


def in_order(markers: Iterable[Marker | None]) -> tuple[Marker, ...]:
    return tuple(sorted((one for one in markers if one is not None), key=lambda one: one.beat))
