"""Where music stands in time: tempo, meters, keys, markers, and ticks and frames. Pure and rational.

Beats are quarter notes (Fraction) since the beginning of the project's bar 1; beat 0 is second 0 of the
project's musical timeline. Everything that other modules need is named here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, get_args

from bridge.media.meter_map import MeterMap, MeterPoint
from bridge.media.notes import check_range
from bridge.media.tempo_map import Curve, TempoMap, TempoPoint, exactly

__all__ = [
    "PPQN", "Curve", "Key", "KeyPoint", "Marker", "MeterMap", "MeterPoint", "Mode", "TempoMap", "TempoPoint",
    "Timeline", "beat_of_tick", "frames_at", "seconds_of_frames", "ticks_at",
]  # fmt: skip

PPQN = 960
TIMELINE_VERSION = 1

Mode = Literal["major", "minor"]


def ticks_at(beat: Fraction, ppqn: int = PPQN) -> int:
    """The nearest tick to a beat."""
    return round(beat * ppqn)


def beat_of_tick(tick: int, ppqn: int = PPQN) -> Fraction:
    return Fraction(tick, ppqn)


def frames_at(seconds: Fraction, rate_hz: int) -> int:
    """The nearest frame (sample of all channels) to a time."""
    return round(seconds * rate_hz)


def seconds_of_frames(frames: int, rate_hz: int) -> Fraction:
    return Fraction(frames, rate_hz)


_KEY = re.compile(
    r"([A-Ga-g])(#{1,2}|b{1,2}|♯|♭|[ -]?(?i:sharp|flat))?[ _-]?((?i:major|maj|dur|minor|min|moll)|m|M)?"
)
_MINOR = ("min", "minor", "moll")
_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_ACCIDENTALS = {"": 0, "#": 1, "##": 2, "b": -1, "bb": -2}
_OTHER_ACCIDENTALS = {"♯": "#", "♭": "b", "sharp": "#", "flat": "b"}
_USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "major": ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"),
    "minor": ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B"),
}


@dataclass(frozen=True, slots=True)
class Key:
    """A key: `tonic` 0 (C) to 11, major or minor, and how its tonic is spelled ("F#", "Gb").

    Without a spelling it gets the usual one. Raises ValueError for what is no key.
    """

    tonic: int
    mode: Mode
    spelling: str = ""

    def __post_init__(self) -> None:
        check_range("tonic", self.tonic, 0, 11)
        if self.mode not in get_args(Mode):
            raise ValueError(f"mode must be major or minor, not {self.mode!r}")
        if not self.spelling:
            object.__setattr__(self, "spelling", _USUAL_NAMES[self.mode][self.tonic])
        elif _pitch_class(self.spelling) != self.tonic:
            raise ValueError(f"{self.spelling!r} is not the name of pitch class {self.tonic}")

    @classmethod
    def named(cls, name: str) -> Key:
        """The key of a name as musicians write it: "F#m", "Bb", "C minor", "Amaj". Raises ValueError."""
        found = _KEY.fullmatch(name.strip())
        if found is None:
            raise ValueError(f"{name!r} is no key")
        letter, accidental, mode = found.groups(default="")
        plain = accidental.lstrip(" -").lower()
        spelling = letter.upper() + _OTHER_ACCIDENTALS.get(plain, plain)
        minor = mode == "m" or mode.lower() in _MINOR  # a lone M is major
        return cls(_pitch_class(spelling), "minor" if minor else "major", spelling)

    @property
    def name(self) -> str:
        """As it is read: "F# minor"."""
        return f"{self.spelling} {self.mode}"


def _pitch_class(spelling: str) -> int:
    try:
        return (_LETTERS[spelling[:1]] + _ACCIDENTALS[spelling[1:]]) % 12
    except KeyError:
        raise ValueError(f"{spelling!r} is no name of a note") from None


@dataclass(frozen=True, slots=True)
class KeyPoint:
    """The key from `beat` on."""

    beat: Fraction
    key: Key

    def __post_init__(self) -> None:
        object.__setattr__(self, "beat", exactly("beat", self.beat))


@dataclass(frozen=True, slots=True)
class Marker:
    """A named place, or a named part of the song where it has an end."""

    beat: Fraction
    name: str
    end_beat: Fraction | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "beat", exactly("beat", self.beat))
        if self.end_beat is not None:
            object.__setattr__(self, "end_beat", exactly("end_beat", self.end_beat))
            if self.end_beat < self.beat:
                raise ValueError(f"a marker must not end ({self.end_beat}) before it begins ({self.beat})")


@dataclass(frozen=True)
class Timeline:
    """A project's time, and `start_s`: where on it the audio's first sample lies, in seconds from bar 1.

    Keys and markers are kept in order of beats.
    """

    tempo: TempoMap
    meters: MeterMap
    keys: tuple[KeyPoint, ...] = ()
    markers: tuple[Marker, ...] = ()
    start_s: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "start_s", exactly("start_s", self.start_s))
        object.__setattr__(self, "keys", tuple(sorted(self.keys, key=lambda point: point.beat)))
        object.__setattr__(self, "markers", tuple(sorted(self.markers, key=lambda marker: marker.beat)))

    @classmethod
    def constant(cls, bpm: Fraction | float, *, start_s: Fraction = Fraction(0)) -> Timeline:
        """One tempo, 4/4, and nothing else."""
        return cls(TempoMap.constant(bpm), MeterMap.constant(), start_s=start_s)

    def beat_of_audio(self, time_s: Fraction | float) -> Fraction:
        """The project's beat at a time in the audio, in seconds from its first sample."""
        return self.tempo.beat_at(self.start_s + Fraction(time_s))

    def audio_s_of(self, beat: Fraction) -> Fraction:
        """The time in the audio, in seconds from its first sample, of a beat of the project."""
        return self.tempo.seconds_at(beat) - self.start_s

    def to_json(self) -> dict[str, Any]:
        """Plain data; every fraction is kept exactly, as "p/q"."""
        return {
            "version": TIMELINE_VERSION,
            "start_s": str(self.start_s),
            "tempo": [[str(point.beat), str(point.bpm), str(point.curve)] for point in self.tempo.points],
            "meters": [[str(point.beat), point.numerator, point.denominator] for point in self.meters.points],
            "keys": [
                [str(point.beat), point.key.tonic, point.key.mode, point.key.spelling] for point in self.keys
            ],
            "markers": [
                [str(marker.beat), marker.name, None if marker.end_beat is None else str(marker.end_beat)]
                for marker in self.markers
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Timeline:
        """What `to_json` wrote. Raises ValueError for anything else."""
        try:
            if data["version"] != TIMELINE_VERSION:
                raise ValueError(f"a timeline of version {data['version']} cannot be read")
            tempo = (
                TempoPoint(_ratio(beat), _ratio(bpm), Curve(curve)) for beat, bpm, curve in data["tempo"]
            )
            meters = (
                MeterPoint(_ratio(beat), int(upper), int(lower)) for beat, upper, lower in data["meters"]
            )
            keys = (KeyPoint(_ratio(beat), Key(int(tonic), mode, str(spelling)))
                    for beat, tonic, mode, spelling in data["keys"])  # fmt: skip
            markers = (Marker(_ratio(beat), str(name), None if end is None else _ratio(end))
                       for beat, name, end in data["markers"])  # fmt: skip
            return cls(
                TempoMap(tuple(tempo)),
                MeterMap(tuple(meters)),
                tuple(keys),
                tuple(markers),
                _ratio(data["start_s"]),
            )
        except (KeyError, TypeError) as fault:
            raise ValueError(f"this is no timeline: {fault!r}") from fault


_RATIO = re.compile(r"-?[0-9]+(/[0-9]*[1-9][0-9]*)?")


def _ratio(text: Any) -> Fraction:
    # Fraction itself would also read "1e999999999", and never come back.
    if not (isinstance(text, str) and _RATIO.fullmatch(text)):
        raise ValueError(f'a fraction must be written as "p/q", not {text!r}')
    return Fraction(text)
