"""What a drummer would play: grooves, ghost notes, fills. Pure. Keys are General MIDI's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.songs.model import Rng, Sheet
from bridge.media.notes import Note

KICK, STICK, SNARE, CLOSED, PEDAL, OPEN, CRASH, RIDE, CRASH_2, BELL = 36, 37, 38, 42, 44, 46, 49, 51, 57, 53
TOMS = (50, 48, 45, 41)
LENGTH_S = 0.08  # of a written hit; a drum rings as it will

PIECES: Mapping[str, frozenset[int]] = {
    "kick": frozenset({35, 36}),
    "snare": frozenset({37, 38, 40}),
    "hat": frozenset({42, 44, 46}),
    "tom": frozenset({41, 43, 45, 47, 48, 50}),
    "cymbal": frozenset({49, 51, 52, 53, 55, 57, 59}),
}

Hits = list[tuple[float, int, float]]  # at (sixteenths), key, louder by
STYLES = ("rock", "funk", "half time", "four on the floor", "ride", "toms")


def play_drums(sheet: Sheet, rng: Rng) -> list[Note]:
    """The whole song's drums: a groove for eight bars or so, a fill before it changes."""
    notes: list[Note] = []
    style, left, crash = STYLES[0], 0, True
    for bar in range(len(sheet.bars)):
        if left == 0:
            style, left = str(rng.choice(STYLES)), int(rng.choice([4, 4, 8]))
            variation = int(rng.integers(1 << 30))
        left -= 1
        hits = _groove(style, sheet, np.random.default_rng(variation), rng)
        if left == 0 or rng.random() < 0.08:
            hits = _with_fill(hits, sheet, rng)
        if crash:
            hits = [hit for hit in hits if hit[0] > 0 or hit[1] not in (CLOSED, OPEN, RIDE)]
            hits += [(0, int(rng.choice([CRASH, CRASH_2])), 12), (0, KICK, 8)]
        crash = left == 0
        notes += _played(hits, sheet, bar, rng)
    return _once(notes)


def _groove(style: str, sheet: Sheet, fixed: Rng, rng: Rng) -> Hits:
    """One bar. `fixed` gives the same choices for the groove's every bar, `rng` the bar's own."""
    beats = sheet.beats
    back = beats[1::2] or beats[-1:]
    if style == "half time":
        back = (beats[len(beats) // 2],)
    hits: Hits = [(float(at), SNARE, 8.0) for at in back] if style != "toms" else []
    kicks = set(beats) if style == "four on the floor" else {0, *beats[2::2]}
    wanted = 0.3 if style == "funk" else 0.15
    kicks |= {at for at in range(0, sheet.bar_length, 2 - (style == "funk")) if fixed.random() < wanted}
    hits += [(float(at), KICK, 4.0) for at in sorted(kicks) if at not in back]
    hits += _top(style, sheet, fixed, rng)
    if style in ("funk", "rock", "half time") and fixed.random() < 0.6:
        ghosts = [at for at in range(1, sheet.bar_length, 2) if fixed.random() < 0.3 and rng.random() < 0.8]
        hits += [(float(at), SNARE, -38.0) for at in ghosts]
    if style == "toms":
        hits += [(float(at), int(fixed.choice(TOMS)), 2.0) for at in range(0, sheet.bar_length, 2)]
    return hits


def _top(style: str, sheet: Sheet, fixed: Rng, rng: Rng) -> Hits:
    """Hats or ride: eighths, or sixteenths where the tempo leaves room; opened off the beat now and then."""
    if style == "toms":
        return [(float(at), PEDAL, -8.0) for at in sheet.beats]
    step = 1 if (style == "funk" and sheet.bpm < 115) or (fixed.random() < 0.15 and sheet.bpm < 130) else 2
    key = RIDE if style == "ride" else CLOSED
    open_at = {at for at in range(2, sheet.bar_length, 4) if fixed.random() < 0.2}
    hits: Hits = []
    for at in range(0, sheet.bar_length, step):
        if rng.random() < 0.04:
            continue
        accent = 2.0 if at % 4 == 0 else -8.0 if at % 2 == 0 else -16.0
        opened = key == CLOSED and (at in open_at)
        hits.append((float(at), OPEN if opened else key, accent))
    if style == "ride":
        hits += [(float(at), PEDAL, -10.0) for at in sheet.beats[1::2]]
        hits += [(0.0, BELL, 4.0)] if fixed.random() < 0.3 else []
    if style == "four on the floor":
        hits = [(at, OPEN if at % 4 == 2 and key == CLOSED else k, add) for at, k, add in hits]
    return hits


def _with_fill(hits: Hits, sheet: Sheet, rng: Rng) -> Hits:
    """The bar's end becomes sixteenths over the snare and the toms, going down."""
    length = int(rng.choice([4, 6, 8]))
    begins = sheet.bar_length - length
    kept = [hit for hit in hits if hit[0] < begins]
    order = sorted(rng.integers(-1, len(TOMS), length))
    step = 1 if sheet.bpm < 150 else 2
    fill: Hits = [
        (float(begins + number), SNARE if order[number] < 0 else TOMS[int(order[number])], 3.0 + number)
        for number in range(0, length, step)
        if rng.random() < 0.9
    ]
    if rng.random() < 0.2:
        fill += [(begins + 0.5, SNARE, -20.0)]  # a flam's neighbour
    return kept + fill + [(float(begins), KICK, 2.0)]


def _played(hits: Hits, sheet: Sheet, bar: int, rng: Rng) -> list[Note]:
    notes = []
    for at, key, add in hits:
        start_s = sheet.played_s(bar, at, rng)
        notes.append(Note(start_s, start_s + LENGTH_S, key, sheet.velocity(bar, at, rng, add=add + 8)))
    return notes


def _once(notes: list[Note]) -> list[Note]:
    """No drum twice within 50 ms."""
    last: dict[int, float] = {}
    kept = []
    for note in sorted(notes, key=lambda note: (note.start_s, note.pitch)):
        if note.start_s - last.get(note.pitch, -1.0) >= 0.05:
            last[note.pitch] = note.start_s
            kept.append(note)
    return kept
