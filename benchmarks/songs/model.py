"""What a test song is: its clock, its harmony, its parts. Pure.

Positions in a bar are counted in sixteenths from its beginning; times are seconds from the audio's start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from bridge.media.notes import Note

Rng = np.random.Generator
Spans = tuple[tuple[float, float], ...]

SAME_PITCH_GAP_S = 0.008  # a key or string has to come back before it can be struck again
SHORTEST_AGAIN_S = 0.045  # nobody strikes the same pitch again sooner
DRIFT_S, DRIFT_PERIOD_S = 0.04, 17.0  # a player without a click wanders slowly

# Meter: sixteenths in each group of beats.
METERS: dict[str, tuple[int, ...]] = {
    "4/4": (4, 4, 4, 4),
    "3/4": (4, 4, 4),
    "6/8": (6, 6),
    "7/8": (4, 4, 6),
    "5/4": (6, 6, 4, 4),
}
MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
}


@dataclass(frozen=True)
class Chord:
    """From `start` to `end` (sixteenths of its bar); `classes` are pitch classes, the root first."""

    start: int
    end: int
    classes: tuple[int, ...]

    @property
    def root(self) -> int:
        return self.classes[0]


@dataclass(frozen=True)
class Sheet:
    """What all players of a song read. `swing` is how late off-beat eighths come, as a share of an eighth."""

    bpm: float
    meter: str
    tonic: int
    mode: str
    begins_s: float
    sway_s: float  # standard deviation of a player's timing
    swing: float
    loudness: float  # middle velocity
    bars: tuple[tuple[Chord, ...], ...]

    @property
    def groups(self) -> tuple[int, ...]:
        return METERS[self.meter]

    @property
    def bar_length(self) -> int:
        return sum(self.groups)

    @property
    def beats(self) -> tuple[int, ...]:
        """Where in the bar its groups begin."""
        return tuple(int(at) for at in np.cumsum((0, *self.groups[:-1])))

    @property
    def sixteenth_s(self) -> float:
        return 15 / self.bpm

    @property
    def scale(self) -> tuple[int, ...]:
        return tuple(sorted((self.tonic + step) % 12 for step in MODES[self.mode]))

    def time_s(self, bar: int, at: float) -> float:
        late = 2 * self.swing if at % 4 == 2 else self.swing if at % 4 in (1, 3) else 0.0
        plain_s = (bar * self.bar_length + at + late) * self.sixteenth_s
        return self.begins_s + plain_s + DRIFT_S * math.sin(2 * math.pi * plain_s / DRIFT_PERIOD_S)

    def played_s(self, bar: int, at: float, rng: Rng) -> float:
        """The same with a player's unsteadiness, never before the audio."""
        sway = float(np.clip(rng.normal(0, 1), -2.5, 2.5))
        return max(0.0, self.time_s(bar, at) + self.sway_s * sway)

    def velocity(self, bar: int, at: float, rng: Rng, *, add: float = 0.0) -> int:
        """Phrases swell over four bars; the first of a bar and of a group is stressed."""
        swell = 9 * math.sin(math.pi * ((bar + at / self.bar_length) % 4) / 4)
        stress = 7 if at == 0 else 3 if at in self.beats else -3
        return int(np.clip(round(self.loudness + swell + stress + add + rng.normal(0, 5)), 18, 126))

    def chord_at(self, bar: int, at: float) -> Chord:
        return next(chord for chord in reversed(self.bars[bar]) if chord.start <= at)


@dataclass(frozen=True)
class Part:
    """One instrument. `program` is General MIDI, from 0; for drums it is the kit.

    `sustain`: the spans in which the pedal is down. `gain` 0..1 and `pan` -1..1 are those of its channel.
    """

    name: str
    program: int
    notes: tuple[Note, ...]
    drums: bool = False
    sustain: Spans = ()
    gain: float = 0.8
    pan: float = 0.0


@dataclass(frozen=True)
class Song:
    material: str
    seed: int
    sheet: Sheet
    parts: tuple[Part, ...]
    duration_s: float
    name: str = field(default="")

    @property
    def pitched(self) -> list[Note]:
        """All notes but the drums', as they sound: to the end of the pedal where it is down."""
        notes = [note for part in self.parts if not part.drums for note in sounding(part)]
        return sorted(notes, key=lambda note: (note.start_s, note.pitch))

    @property
    def drums(self) -> list[Note]:
        notes = [note for part in self.parts if part.drums for note in part.notes]
        return sorted(notes, key=lambda note: (note.start_s, note.pitch))


def one_voice_a_pitch(notes: Iterable[Note]) -> list[Note]:
    """Cuts each note off where the next one on its pitch begins, as an instrument does."""
    result: list[Note] = []
    for note in sorted(notes, key=lambda note: (note.pitch, note.start_s)):
        last = result[-1] if result else None
        if last and last.pitch == note.pitch and last.end_s > note.start_s - SAME_PITCH_GAP_S:
            if note.start_s - last.start_s < SHORTEST_AGAIN_S:
                continue
            result[-1] = replace(last, end_s=note.start_s - SAME_PITCH_GAP_S)
        result.append(note)
    return sorted(result, key=lambda note: (note.start_s, note.pitch))


def sounding(part: Part) -> list[Note]:
    """The part's notes held on by its pedal, each at the most until its pitch is struck again."""
    held = []
    for note in part.notes:
        up_s = next((up for down, up in part.sustain if down <= note.end_s < up), note.end_s)
        held.append(replace(note, end_s=max(note.end_s, up_s)))
    return one_voice_a_pitch(held) if part.sustain else held
