"""Keys, meters, progressions and voicings of the test songs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from benchmarks.songs.model import METERS, MODES, Chord, Rng, Sheet

# Scale degrees from 0; a bar each, sometimes half a bar.
PROGRESSIONS: tuple[tuple[int, ...], ...] = (
    (0, 4, 5, 3),
    (0, 5, 3, 4),
    (1, 4, 0, 0),
    (0, 3, 0, 4),
    (0, 6, 5, 4),
    (5, 3, 0, 4),
    (0, 2, 3, 1, 4, 0),
    (3, 6, 2, 5, 1, 4, 0),
    (0, 0, 3, 3, 4, 3, 0, 4),
    (0, 1, 2, 3),
)
# Steps of the scale above a chord's root, and how often.
QUALITIES: tuple[tuple[tuple[int, ...], float], ...] = (
    ((0, 2, 4), 0.45),
    ((0, 2, 4, 6), 0.27),
    ((0, 2, 4, 6, 8), 0.1),
    ((0, 3, 4), 0.06),
    ((0, 1, 4), 0.06),
    ((0, 2, 4, 5), 0.06),
)
METER_SHARES = {"4/4": 0.5, "3/4": 0.15, "6/8": 0.15, "7/8": 0.1, "5/4": 0.1}


def write_sheet(rng: Rng) -> Sheet:
    """A song's frame, 25 to 40 s long."""
    meter = str(rng.choice(list(METER_SHARES), p=list(METER_SHARES.values())))
    bpm = float(np.round(rng.uniform(60, 180), 2))
    mode = str(rng.choice(list(MODES)))
    tonic = int(rng.integers(12))
    bar_s = sum(METERS[meter]) * 15 / bpm
    count = max(4, int(rng.uniform(22, 36) / bar_s))
    swing = float(rng.choice([0.0, 0.0, 0.0, 0.16, 0.3])) if meter == "4/4" else 0.0
    return Sheet(
        bpm=bpm,
        meter=meter,
        tonic=tonic,
        mode=mode,
        begins_s=float(rng.choice([0.02, 0.1, 0.3, 0.7])),
        sway_s=float(rng.uniform(0.008, 0.015)),
        swing=swing,
        loudness=float(rng.uniform(55, 95)),
        bars=tuple(_bars(meter, tonic, mode, count, rng)),
    )


def _bars(meter: str, tonic: int, mode: str, count: int, rng: Rng) -> list[tuple[Chord, ...]]:
    verse, chorus = (PROGRESSIONS[int(k)] for k in rng.choice(len(PROGRESSIONS), 2, replace=False))
    degrees: list[int] = []
    while len(degrees) < 2 * count:
        degrees += [*verse, *verse, *chorus]
    groups, waiting, bars = METERS[meter], iter(degrees), []
    colour = float(rng.uniform(0, 1))
    for _ in range(count):
        split = sum(groups[: len(groups) // 2]) if rng.random() < 0.2 else 0
        edges = (0, split, sum(groups)) if split else (0, sum(groups))
        bars.append(
            tuple(
                Chord(start, end, _classes(tonic, mode, next(waiting), colour, rng))
                for start, end in pairwise(edges)
            )
        )
    return bars


def _classes(tonic: int, mode: str, degree: int, colour: float, rng: Rng) -> tuple[int, ...]:
    shares = np.array([share for _, share in QUALITIES])
    shares[0] *= 2 * (1 - colour) + 0.3
    steps = QUALITIES[int(rng.choice(len(QUALITIES), p=shares / shares.sum()))][0]
    scale = MODES[mode]
    return tuple((tonic + scale[(degree + step) % 7] + 12 * ((degree + step) // 7)) % 12 for step in steps)


def at_or_above(pitch_class: int, lowest: int) -> int:
    """The lowest pitch of that class from `lowest` up."""
    return lowest + (pitch_class - lowest) % 12


def close_voicing(classes: Sequence[int], *, near: int, count: int) -> list[int]:
    """`count` pitches of the chord round `near`, neighbours in the chord."""
    pool = [pitch for pitch in range(near - 18, near + 19) if pitch % 12 in classes]
    middle = int(np.argmin([abs(pitch - near) for pitch in pool]))
    first = int(np.clip(middle - count // 2, 0, max(0, len(pool) - count)))
    return pool[first : first + count]


def open_voicing(classes: Sequence[int], *, bass: int, count: int) -> list[int]:
    """Root below, then the chord spread out over two to three octaves above."""
    low = at_or_above(classes[0], bass)
    pool = [pitch for pitch in range(low + 7, low + 36) if pitch % 12 in classes]
    step = max(1, len(pool) // max(1, count - 1))
    return [low, *pool[::step][: count - 1]]


def scale_steps(scale: Sequence[int], low: int, high: int) -> list[int]:
    """All pitches of the scale in that range."""
    return [pitch for pitch in range(low, high + 1) if pitch % 12 in scale]


def nearest(pool: Sequence[int], pitch: float) -> int:
    return min(pool, key=lambda member: abs(member - pitch))
