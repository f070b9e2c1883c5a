"""Lines of one voice: leads, singers, winds. Pure."""

from __future__ import annotations

import math

import numpy as np

from benchmarks.songs.harmony import nearest, scale_steps
from benchmarks.songs.model import Chord, Rng, Sheet
from bridge.media.notes import Note

# Rhythms in sixteenths: quiet to busy. Negative: a rest. 4/3: a triplet's eighth.
CELLS: tuple[tuple[float, ...], ...] = (
    (8,),
    (6, 2),
    (4, 4),
    (-2, 2, 4),
    (2, 2, 4),
    (3, 3, 2),
    (2, 2, 2, 2),
    (4 / 3, 4 / 3, 4 / 3, 4),
    (1, 1, 2, 2, 2),
    (2, 1, 1, 1, 1, 2),
    (1, 1, 1, 1, 1, 1, 1, 1),
)
MOVES = (-4, -3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3, 4)  # in steps of the scale
BEND_STEP_S = 0.01
MOST_BEND = 2.0  # semitones: General MIDI's bend range

Line = list[tuple[float, float, int]]  # at, length (sixteenths), pitch
Curve = tuple[tuple[float, float], ...]


def line_in_bar(sheet: Sheet, chord: Chord, rng: Rng, *, low: int, high: int, busy: float) -> Line:
    """A stretch of melody over one chord; chord tones fall on the beats."""
    scale = scale_steps(sheet.scale, low, high)
    tones = scale_steps(chord.classes, low, high)
    place = scale.index(nearest(scale, float(rng.uniform(low + 3, high - 3))))
    line: Line = []
    at = float(chord.start)
    while at < chord.end - 0.4:
        cell = CELLS[int(np.clip(rng.normal(busy, 0.22), 0, 0.999) * len(CELLS))]
        for length in cell:
            if at >= chord.end - 0.4:
                break
            lasts = min(abs(length), chord.end - at)
            if length > 0 and rng.random() > 0.06:
                place = int(np.clip(place + rng.choice(MOVES), 0, len(scale) - 1))
                pitch = scale[place]
                if at in sheet.beats and rng.random() < 0.6:
                    pitch = nearest(tones or scale, pitch)
                line.append((at, lasts, pitch))
            at += lasts
    return line


def sing(
    sheet: Sheet,
    rng: Rng,
    *,
    low: int,
    high: int,
    busy: float,
    expression: float,
    glide: float,
) -> list[Note]:
    """A whole melody in phrases with breaths: one note at a time.

    `expression` is how deep long notes are shaken (semitones), `glide` how often a note is slid or bent into.
    """
    written: list[tuple[float, float, int, int]] = []  # start, end, pitch, velocity
    rest, bars_left = False, 0
    for bar, chords in enumerate(sheet.bars):
        if bars_left == 0:
            rest = not rest and bar > 0 and rng.random() < 0.25
            bars_left = 1 if rest else int(rng.integers(2, 5))
        bars_left -= 1
        if rest:
            continue
        for chord in chords:
            for at, length, pitch in line_in_bar(sheet, chord, rng, low=low, high=high, busy=busy):
                start_s = sheet.played_s(bar, at, rng)
                end_s = start_s + length * sheet.sixteenth_s * float(rng.choice([0.6, 0.9, 1.0, 1.0]))
                written.append((start_s, end_s, pitch, sheet.velocity(bar, at, rng, add=6)))
    return _one_at_a_time(written, rng, expression=expression, glide=glide)


def _one_at_a_time(
    written: list[tuple[float, float, int, int]], rng: Rng, *, expression: float, glide: float
) -> list[Note]:
    written = sorted(written)
    notes: list[Note] = []
    for number, (start_s, end_s, pitch, velocity) in enumerate(written):
        ends_s = end_s
        if number + 1 < len(written):
            after = written[number + 1]
            gap_s = 0.012 if after[2] == pitch else 0.004
            ends_s = min(end_s, after[0] - gap_s)
        if ends_s - start_s < 0.05:
            continue
        before = notes[-1] if notes and start_s - notes[-1].end_s < 0.06 else None
        slid = _slide(before, pitch, rng) if rng.random() < glide else 0.0
        bends = shape(ends_s - start_s, rng, slid=slid, depth=expression) if slid or expression else ()
        notes.append(Note(start_s, ends_s, pitch, velocity, 1.0, bends))
    return notes


def _slide(before: Note | None, pitch: int, rng: Rng) -> float:
    """From where a note is slid into: from the note before if it is near, else from below."""
    if before is not None and 0 < abs(before.pitch - pitch) <= MOST_BEND:
        return float(before.pitch - pitch) * float(rng.uniform(0.7, 1.0))
    return -float(rng.choice([0.5, 1.0, 2.0])) if rng.random() < 0.5 else 0.0


def shape(length_s: float, rng: Rng, *, slid: float, depth: float) -> Curve:
    """A note's pitch over time: slid into within 50 to 120 ms, then shaken if it lasts."""
    slide_s, rate_hz = float(rng.uniform(0.05, 0.12)), float(rng.uniform(4.8, 6.6))
    waits_s, phase = float(rng.uniform(0.18, 0.35)), float(rng.uniform(0, 2 * math.pi))
    deep = depth * float(rng.uniform(0.5, 1.2)) if length_s > 0.35 else 0.0
    curve = []
    for step in range(int(length_s / BEND_STEP_S)):
        at_s = step * BEND_STEP_S
        bend = slid * 0.5 * (1 + math.cos(math.pi * at_s / slide_s)) if at_s < slide_s else 0.0
        if deep and at_s > waits_s:
            grown = min(1.0, (at_s - waits_s) / 0.25)
            bend += deep * grown * math.sin(2 * math.pi * rate_hz * (at_s - waits_s) + phase)
        curve.append((round(at_s, 4), float(np.clip(bend, -MOST_BEND, MOST_BEND))))
    return tuple(curve) if any(bend for _, bend in curve) else ()
