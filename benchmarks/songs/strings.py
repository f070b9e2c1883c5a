"""What a guitarist and a bass player would play. Pure.

A string sounds one note at a time: until it is played again, damped, or the hand moves on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.songs.harmony import at_or_above, nearest, scale_steps
from benchmarks.songs.melody import line_in_bar
from benchmarks.songs.model import Chord, Rng, Sheet, one_voice_a_pitch
from bridge.media.notes import Note

TUNING = (40, 45, 50, 55, 59, 64)
REACH = 4  # frets a hand covers

Plucked = tuple[float, float, int, int, int]  # start_s, rings until at most, string, pitch, velocity
Shape = list[tuple[int, int]]  # string, pitch
Texture = Callable[[Sheet, int, Chord, Rng], list[Plucked]]
Line = list[tuple[float, float, int, float]]  # at, length (sixteenths), pitch, louder by
BassTexture = Callable[[Sheet, Chord, Rng, int], Line]


def chord_shape(chord: Chord, rng: Rng) -> Shape:
    """The chord as a hand grips it, its root below."""
    position = int(rng.choice([0, 0, 0, 2, 3, 5, 7]))
    shape: Shape = []
    for string, open_pitch in enumerate(TUNING):
        frets = [*range(position, position + REACH + 1)] if position else [*range(REACH)]
        pitches = [open_pitch + fret for fret in frets if (open_pitch + fret) % 12 in chord.classes]
        if not shape:
            pitches = [pitch for pitch in pitches if pitch % 12 == chord.root]
        if pitches and (not shape or rng.random() < 0.95):
            shape.append((string, int(pitches[0] if rng.random() < 0.8 else rng.choice(pitches))))
    if len(shape) >= 3:
        return shape
    low = at_or_above(chord.root, 45)
    return [(1, low), (2, low + 7), (3, low + 12), (4, at_or_above(chord.classes[1], low + 13))]


def strum(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Plucked]:
    """Down and up strokes; up strokes reach the high strings only; some strokes are damped."""
    shape = chord_shape(chord, rng)
    over_s = sheet.time_s(bar, chord.end)
    plucked: list[Plucked] = []
    for at in range(chord.start, chord.end, 2):
        down = at % 4 == 0
        if rng.random() > (0.95 if at == chord.start else 0.75 if down else 0.5):
            continue
        strings = shape if down else shape[-int(rng.integers(2, 5)) :][::-1]
        per_string_s = float(rng.uniform(0.006, 0.022))
        begins_s = sheet.played_s(bar, at, rng)
        damped = rng.random() < 0.12
        for number, (string, pitch) in enumerate(strings):
            start_s = begins_s + number * per_string_s
            until_s = start_s + 0.09 if damped else over_s
            velocity = sheet.velocity(bar, at, rng, add=(2 if down else -6) - 1.5 * number)
            plucked.append((start_s, until_s, string, pitch, velocity))
    return plucked


def fingerpick(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Plucked]:
    """The thumb on the low strings on the beat, fingers between and with it."""
    shape = chord_shape(chord, rng)
    over_s = sheet.time_s(bar, chord.end)
    low, high = shape[: max(2, len(shape) // 2)], shape[max(2, len(shape) // 2) :] or shape[-1:]
    plucked: list[Plucked] = []
    for number, at in enumerate(range(chord.start, chord.end, 2)):
        picks = [low[(number // 2) % len(low)]] if number % 2 == 0 else []
        if number % 2 or rng.random() < 0.3:
            picks.append(high[int(rng.integers(len(high)))])
        for string, pitch in picks:
            start_s = sheet.played_s(bar, at, rng)
            add = 3 if string < 3 else 0
            plucked.append((start_s, over_s, string, pitch, sheet.velocity(bar, at, rng, add=add)))
    return plucked


def arpeggio(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Plucked]:
    """The grip up and down, string by string."""
    shape = chord_shape(chord, rng)
    order = [*shape, *shape[-2:0:-1]]
    step = 1 if sheet.bpm < 90 and rng.random() < 0.5 else 2
    over_s = sheet.time_s(bar, chord.end)
    plucked: list[Plucked] = []
    for number, at in enumerate(range(chord.start, chord.end, step)):
        string, pitch = order[number % len(order)]
        start_s = sheet.played_s(bar, at, rng)
        plucked.append((start_s, over_s, string, pitch, sheet.velocity(bar, at, rng, add=-2)))
    return plucked


def riff(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Plucked]:
    """One line, with pitches struck again and again and now and then a double stop."""
    plucked: list[Plucked] = []
    again = rng.random() < 0.35
    busy = float(rng.uniform(0.35, 0.85))
    for at, length, sung in line_in_bar(sheet, chord, rng, low=52, high=79, busy=busy):
        pitch = plucked[-1][3] if again and plucked and rng.random() < 0.6 else sung
        start_s = sheet.played_s(bar, at, rng)
        until_s = start_s + length * sheet.sixteenth_s * float(rng.uniform(0.7, 1.0))
        velocity = sheet.velocity(bar, at, rng, add=4)
        plucked.append((start_s, until_s, 4, pitch, velocity))
        if rng.random() < 0.15:
            below = nearest(scale_steps(sheet.scale, 45, 79), pitch - 4)
            plucked.append((start_s + 0.004, until_s, 3, below, velocity - 5))
    return plucked


def power(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Plucked]:
    """Root, fifth and octave in driven eighths, some damped by the palm."""
    low = at_or_above(chord.root, 40)
    plucked: list[Plucked] = []
    for at in range(chord.start, chord.end, 2):
        if rng.random() < 0.1:
            continue
        damped = at not in sheet.beats and rng.random() < 0.6
        begins_s = sheet.played_s(bar, at, rng)
        until_s = begins_s + (0.1 if damped else 2 * sheet.sixteenth_s)
        for string, pitch in ((0, low), (1, low + 7), (2, low + 12)):
            velocity = sheet.velocity(bar, at, rng, add=-8 if damped else 5)
            plucked.append((begins_s + 0.005 * string, until_s, string, pitch, velocity))
    return plucked


GUITAR: tuple[Texture, ...] = (strum, strum, fingerpick, arpeggio, riff, power)
BACKING: tuple[Texture, ...] = (strum, arpeggio, fingerpick, power)


def play_guitar(sheet: Sheet, rng: Rng, textures: Sequence[Texture]) -> list[Note]:
    plucked: list[Plucked] = []
    texture, left = textures[0], 0
    for bar, chords in enumerate(sheet.bars):
        if left == 0:
            texture, left = textures[int(rng.integers(len(textures)))], int(rng.integers(2, 5))
        left -= 1
        for chord in chords:
            plucked += texture(sheet, bar, chord, rng)
    return one_voice_a_pitch(_let_ring(plucked))


def _let_ring(plucked: list[Plucked]) -> list[Note]:
    """Each string sounds until it is played again, or as long as it may."""
    notes: list[Note] = []
    sounding: dict[int, int] = {}
    for start_s, until_s, string, pitch, velocity in sorted(plucked):
        if string in sounding:
            last = notes[sounding[string]]
            if last.end_s > start_s:
                cut = Note(last.start_s, max(start_s, last.start_s + 0.03), last.pitch, last.velocity)
                notes[sounding[string]] = cut
        sounding[string] = len(notes)
        notes.append(Note(start_s, max(until_s, start_s + 0.06), pitch, velocity))
    return notes


# Bass


def walking(sheet: Sheet, chord: Chord, rng: Rng, low: int) -> Line:
    """A note a beat: root, then scale and chord tones; a half step into what comes."""
    pool = scale_steps(sheet.scale, low, low + 24)
    pitch = at_or_above(chord.root, low)
    line: Line = []
    beats = range(chord.start, chord.end, 4 if sheet.bar_length % 4 == 0 else 2)
    for number, at in enumerate(beats):
        if number:
            pitch = nearest(pool, pitch + int(rng.choice([-5, -4, -2, 2, 3, 4, 5])))
        if at + 4 >= chord.end and number and rng.random() < 0.5:
            pitch += int(rng.choice([-1, 1]))
        line.append((at, (beats.step or 4) * 0.95, int(np.clip(pitch, 28, 58)), 0))
    return line


def syncopated(_: Sheet, chord: Chord, rng: Rng, low: int) -> Line:
    """Sixteenths off the beat, rests, and quiet dead notes."""
    pool = [pitch for pitch in range(low, low + 20) if pitch % 12 in chord.classes]
    line: Line = [(chord.start, 2.5, at_or_above(chord.root, low), 6)]
    at = chord.start + 3
    while at < chord.end:
        length = int(rng.choice([1, 1, 2, 3]))
        if rng.random() < 0.7:
            quiet = rng.random() < 0.2
            pitch = at_or_above(chord.root, low) if rng.random() < 0.5 else int(rng.choice(pool))
            line.append((at, length * float(rng.choice([0.5, 0.9])), pitch, -25 if quiet else 0))
        at += length
    return line


def octaves(_: Sheet, chord: Chord, rng: Rng, low: int) -> Line:
    """Thumb and pop: the root and its octave, short."""
    root = at_or_above(chord.root, low)
    line: Line = []
    for at in range(chord.start, chord.end, 2):
        up = at % 4 == 2
        if rng.random() < 0.85:
            line.append((at, float(rng.uniform(0.7, 1.4)), root + 12 if up else root, 8 if up else 4))
        if rng.random() < 0.15:
            line.append((at + 1, 0.6, root, -12))
    return line


def driving(_: Sheet, chord: Chord, rng: Rng, low: int) -> Line:
    """The root in eighths with a turn at the end."""
    root = at_or_above(chord.root, low)
    line: Line = []
    for at in range(chord.start, chord.end, 2):
        turn = at + 4 >= chord.end and rng.random() < 0.4
        pitch = root + int(rng.choice([-2, 2, 5, 7])) if turn else root
        line.append((at, 1.8, max(28, pitch), 0))
    return line


def sustained(_: Sheet, chord: Chord, rng: Rng, low: int) -> Line:
    root = at_or_above(chord.root, low)
    half = (chord.end - chord.start) // 2
    if rng.random() < 0.5:
        return [(chord.start, 2 * half * 0.97, root, 0)]
    return [(chord.start, half * 0.97, root, 0), (chord.start + half, half * 0.97, root + 7, 0)]


BASS: tuple[BassTexture, ...] = (walking, syncopated, octaves, driving, sustained)


def play_bass(sheet: Sheet, rng: Rng) -> list[Note]:
    """One note at a time, E1 to about A#3."""
    low = int(rng.choice([28, 28, 29, 31, 33]))
    rows: list[tuple[float, float, int, int]] = []
    texture, left = BASS[0], 0
    for bar, chords in enumerate(sheet.bars):
        if left == 0:
            texture, left = BASS[int(rng.integers(len(BASS)))], int(rng.integers(2, 6))
        left -= 1
        for chord in chords:
            for at, length, pitch, add in texture(sheet, chord, rng, low):
                start_s = sheet.played_s(bar, at, rng)
                end_s = start_s + max(0.06, length * sheet.sixteenth_s)
                rows.append((start_s, end_s, pitch, sheet.velocity(bar, at, rng, add=add + 8)))
    return _legato(rows)


def _legato(rows: list[tuple[float, float, int, int]]) -> list[Note]:
    notes: list[Note] = []
    rows = sorted(rows)
    for number, (start_s, end_s, pitch, velocity) in enumerate(rows):
        following_s = rows[number + 1][0] if number + 1 < len(rows) else float("inf")
        if following_s - start_s > 0.05:
            notes.append(Note(start_s, min(end_s, following_s - 0.006), pitch, velocity))
    return notes
