"""A master clock with its faults, and how far a follower is off. Simulated time only."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bridge.midi.clock import ClockFollower

TICKS = 24


@dataclass(frozen=True)
class Ramp:
    """A tempo that goes from one to another over so many beats, steadily in time, and then stays."""

    first_bpm: float
    last_bpm: float
    beats: float
    begins: float = 0.0

    def time_of(self, beat: float) -> float:
        first, last = self.first_bpm / 60, self.last_bpm / 60
        lasts_s = 2 * self.beats / (first + last)
        if beat <= self.begins:
            return beat / first
        beyond = beat - self.begins
        if beyond >= self.beats:
            return self.begins / first + lasts_s + (beyond - self.beats) / last
        growth = (last - first) / lasts_s
        spent_s = (
            (math.sqrt(first * first + 2 * growth * beyond) - first) / growth if growth else beyond / first
        )
        return self.begins / first + spent_s

    def beat_at(self, at_s: float) -> float:
        first, last = self.first_bpm / 60, self.last_bpm / 60
        lasts_s = 2 * self.beats / (first + last)
        spent_s = at_s - self.begins / first
        if spent_s <= 0:
            return at_s * first
        if spent_s >= lasts_s:
            return self.begins + self.beats + (spent_s - lasts_s) * last
        return self.begins + first * spent_s + (last - first) / lasts_s * spent_s * spent_s / 2


def steady(bpm: float) -> Ramp:
    return Ramp(bpm, bpm, 1.0)


def step(before_bpm: float, after_bpm: float, at_beat: float) -> Callable[[float], float]:
    """The time of each beat, where the tempo changes at once."""
    return lambda beat: min(beat, at_beat) * 60 / before_bpm + max(0.0, beat - at_beat) * 60 / after_bpm


def ticks(
    time_of: Callable[[float], float],
    beats: float,
    *,
    seed: int,
    jitter_s: float = 0.002,
    lost: float = 0.0,
    doubled: float = 0.0,
    grid_s: float = 0.0,
) -> Iterator[float]:
    """When the ticks come: off by the jitter, seen at the next point of a grid, some not at all or twice."""
    chance = random.Random(seed)
    last_s = -math.inf
    for number in range(round(beats * TICKS) + 1):
        at_s = time_of(number / TICKS) + chance.uniform(-jitter_s, jitter_s)
        at_s = math.ceil(at_s / grid_s) * grid_s if grid_s else at_s
        last_s = max(last_s, at_s)
        if number and chance.random() < lost:
            continue
        yield last_s
        if chance.random() < doubled:
            yield last_s + 0.0005


def followed(
    follower: ClockFollower,
    time_of: Callable[[float], float],
    arrivals: Sequence[float],
    *,
    every_beats: float = 1 / 16,
    from_beat: float = 4.0,
) -> list[float]:
    """By how many seconds notes come late: each is sent when the follower says so, beside its true time."""
    follower.start(arrivals[0] - 0.001)
    late: list[float] = []
    note = 0
    for at_s, following_s in zip(arrivals, [*arrivals[1:], arrivals[-1]], strict=True):
        follower.tick(at_s)
        while (due_s := follower.time_of(note * every_beats)) < following_s:
            late.append(max(due_s, at_s) - time_of(note * every_beats))
            note += 1
    return late[math.ceil(from_beat / every_beats) :]


def worst(errors: Sequence[float], share: float = 0.99) -> float:
    """The size that so many of the errors stay within, in milliseconds."""
    sizes = sorted(abs(error) for error in errors)
    return 1000 * sizes[min(len(sizes) - 1, int(share * len(sizes)))]
