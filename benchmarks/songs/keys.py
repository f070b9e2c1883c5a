"""What a pianist and a player of an electric piano or organ would play. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.songs.harmony import at_or_above, close_voicing, open_voicing, scale_steps
from benchmarks.songs.melody import line_in_bar
from benchmarks.songs.model import Chord, Rng, Sheet, Spans, one_voice_a_pitch
from bridge.media.notes import Note

SPREAD_S = 0.006  # the fingers of a chord do not land together

Texture = Callable[[Sheet, int, Chord, Rng], list[Note]]


def struck(
    sheet: Sheet, rng: Rng, bar: int, at: float, pitches: Sequence[int], *, length: float, add: float = 0.0
) -> list[Note]:
    """A chord: pitches together, but for the fingers' spread; `length` in sixteenths."""
    begins_s = sheet.played_s(bar, at, rng)
    lasts_s = max(0.06, length * sheet.sixteenth_s)
    notes = []
    for pitch in pitches:
        start_s = max(0.0, begins_s + float(rng.normal(0, SPREAD_S)))
        end_s = start_s + lasts_s * float(rng.uniform(0.85, 1.0))
        notes.append(Note(start_s, end_s, pitch, sheet.velocity(bar, at, rng, add=add)))
    return notes


def block(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Right-hand chords on a rhythm over octaves in the left."""
    right = close_voicing(chord.classes, near=int(rng.integers(60, 72)), count=int(rng.integers(3, 6)))
    low = at_or_above(chord.root, 31)
    left = [low, low + 12] if rng.random() < 0.6 else [low, low + 7]
    notes = struck(sheet, rng, bar, chord.start, left, length=chord.end - chord.start, add=-4)
    at = chord.start
    while at < chord.end:
        length = min(int(rng.choice([2, 2, 3, 4, 4, 6])), chord.end - at)
        if rng.random() < 0.88:
            notes += struck(sheet, rng, bar, at, right, length=length * float(rng.choice([0.5, 0.95])))
        at += length
    return notes


def broken(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """A broken chord in the left hand, a melody in the right, sometimes in thirds or octaves."""
    figure = open_voicing(chord.classes, bass=int(rng.integers(36, 43)), count=4)
    orders = ((0, 1, 2, 1), (0, 2, 1, 2), (0, 1, 2, 3, 2, 1))
    order = [figure[k % len(figure)] for k in orders[int(rng.integers(3))]]
    notes = []
    for number, at in enumerate(range(chord.start, chord.end, 2)):
        pitch = order[number % len(order)]
        notes += struck(sheet, rng, bar, at, [pitch], length=2.2, add=-9)
    return notes + _tune(sheet, bar, chord, rng)


def _tune(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    scale = scale_steps(sheet.scale, 62, 93)
    doubled = rng.choice(["no", "no", "third", "octave"])
    notes = []
    busy = float(rng.uniform(0.2, 0.8))
    for at, length, pitch in line_in_bar(sheet, chord, rng, low=66, high=84, busy=busy):
        pitches = [pitch]
        if doubled == "third":
            pitches.append(scale[max(0, min(range(len(scale)), key=lambda k: abs(scale[k] - pitch)) - 2)])
        elif doubled == "octave":
            pitches.append(pitch + 12)
        notes += struck(sheet, rng, bar, at, sorted(set(pitches)), length=length, add=6)
    return notes


def runs(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Scale runs in sixteenths, or thirty-seconds if the tempo is slow, over a held chord."""
    left = open_voicing(chord.classes, bass=33, count=3)
    notes = struck(sheet, rng, bar, chord.start, left, length=chord.end - chord.start, add=-6)
    scale = scale_steps(sheet.scale, 55, 98)
    place, way = int(rng.integers(6, len(scale) - 6)), int(rng.choice([-1, 1]))
    step = 0.5 if sheet.bpm < 80 else 1.0
    at = float(chord.start)
    while at < chord.end:
        notes += struck(sheet, rng, bar, at, [scale[place]], length=step * 1.05)
        if rng.random() < 0.12 or not 1 <= place + way < len(scale) - 1:
            way = -way
        place += way * (1 if rng.random() < 0.85 else 2)
        place = min(max(place, 0), len(scale) - 1)
        at += step
    return notes


def sustained(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Five to eight notes, held; sometimes rolled."""
    pitches = open_voicing(chord.classes, bass=int(rng.integers(29, 40)), count=int(rng.integers(5, 9)))
    notes = struck(sheet, rng, bar, chord.start, pitches, length=(chord.end - chord.start) * 0.97)
    if rng.random() < 0.3:
        late_s = float(rng.uniform(0.02, 0.05))
        notes = [
            replace(note, start_s=note.start_s + k * late_s, end_s=note.end_s + k * late_s)
            for k, note in enumerate(notes)
        ]
    return notes


def pulsing(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """The same chord again and again in eighths."""
    pitches = close_voicing(chord.classes, near=int(rng.integers(57, 69)), count=3)
    low = at_or_above(chord.root, 36)
    notes = struck(sheet, rng, bar, chord.start, [low], length=chord.end - chord.start)
    for at in range(chord.start, chord.end, 2):
        notes += struck(sheet, rng, bar, at, pitches, length=float(rng.choice([1.2, 1.8])), add=-5)
    return notes


def stride(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Bass and chord in turn in the left hand, a tune in the right."""
    low, notes = at_or_above(chord.root, 33), []
    middle = close_voicing(chord.classes, near=54, count=3)
    for number, at in enumerate(beat for beat in sheet.beats if chord.start <= beat < chord.end):
        notes += struck(sheet, rng, bar, at, [low] if number % 2 == 0 else middle, length=2.5, add=-5)
    return notes + _tune(sheet, bar, chord, rng)


def comping(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Syncopated chords of three to five notes round middle C."""
    pitches = close_voicing(chord.classes, near=int(rng.integers(56, 68)), count=int(rng.integers(3, 6)))
    notes, at = [], chord.start + int(rng.choice([0, 0, 0, 2]))
    while at < chord.end:
        length = min(int(rng.choice([2, 3, 3, 4, 6])), chord.end - at)
        notes += struck(sheet, rng, bar, at, pitches, length=length * float(rng.choice([0.4, 0.7, 1.0])))
        at += length
    return notes


def held(sheet: Sheet, bar: int, chord: Chord, rng: Rng) -> list[Note]:
    """Three to five notes from chord to chord, as an organ or pad plays them."""
    pitches = close_voicing(chord.classes, near=int(rng.integers(57, 68)), count=int(rng.integers(3, 6)))
    low = at_or_above(chord.root, 40)
    length = (chord.end - chord.start) * 0.96
    return struck(sheet, rng, bar, chord.start, sorted({low, *pitches}), length=length)


PIANO: tuple[Texture, ...] = (block, broken, runs, sustained, pulsing, stride)
CHORDS: tuple[Texture, ...] = (comping, held, comping, broken, pulsing)
ORGAN: tuple[Texture, ...] = (held, held, comping)
BACKING: tuple[Texture, ...] = (comping, held, pulsing)


def play(sheet: Sheet, rng: Rng, textures: Sequence[Texture]) -> list[Note]:
    """A texture for every two to four bars; a closing chord."""
    notes: list[Note] = []
    texture, left = textures[0], 0
    for bar, chords in enumerate(sheet.bars):
        if left == 0:
            texture, left = textures[int(rng.integers(len(textures)))], int(rng.integers(2, 5))
        left -= 1
        for chord in chords:
            notes += texture(sheet, bar, chord, rng)
    return one_voice_a_pitch(notes)


def pedalling(sheet: Sheet, rng: Rng) -> Spans:
    """Down just after each change of chord, up as the next one is struck."""
    spans: list[tuple[float, float]] = []
    for bar, chords in enumerate(sheet.bars):
        for chord in chords:
            down_s = sheet.time_s(bar, chord.start) + float(rng.uniform(0.04, 0.12))
            up_s = sheet.time_s(bar, chord.end) + float(rng.uniform(-0.04, 0.02))
            if rng.random() < 0.85 and up_s > down_s + 0.1:
                spans.append((down_s, up_s))
    return tuple(spans)
