"""Notes in seconds put on the ticks of a MIDI file, in the project's time. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from bridge.media.midi_bytes import LAST_TICK
from bridge.media.musical_time import Timeline, ticks_at
from bridge.media.notes import Note, in_time
from bridge.media.quantise import Quantise, Span, quantised

# Fewer bends than this apart are heard as one; more only fill the cable.
_BENDS_APART_S = 0.005

Bends = tuple[tuple[int, float], ...]
"""Ticks and semitones; each holds until the next."""


@dataclass(frozen=True, slots=True)
class PlacedNote:
    """A note on the grid of ticks. `shares`: its channel sounds another note, whose bends it leaves alone."""

    start: int
    end: int
    pitch: int
    velocity: int
    bends: Bends = ()
    channel: int = 0
    shares: bool = False


def placed_notes(
    notes: Sequence[Note], timeline: Timeline, origin: Fraction, *, how: Quantise | None, bends: bool
) -> list[PlacedNote]:
    """The notes on the ticks of a file whose tick 0 is the project's beat `origin`, in order of time.

    Each place is rounded once. What lies before tick 0 is cut off; notes are at least one tick long, and
    never overlap on one pitch: the later one ends the one before it.
    """
    ordered = sorted(notes, key=in_time)
    heard = [(timeline.beat_of_audio(note.start_s), timeline.beat_of_audio(note.end_s)) for note in ordered]
    spans = heard if how is None else quantised(heard, [note.pitch for note in ordered], how, timeline.meters)
    by_pitch: defaultdict[int, list[PlacedNote]] = defaultdict(list)
    for note, was, span in sorted(zip(ordered, heard, spans, strict=True), key=lambda row: row[2][0]):
        placed = _placed(note, span, origin)
        if placed is None:
            continue
        if bends and note.bends:
            # The bends move with their note.
            curve = _bend_ticks(note, timeline, origin + was[0] - span[0])
            placed = replace(placed, bends=curve)
        _join(by_pitch[note.pitch], placed)
    return sorted(
        (note for line in by_pitch.values() for note in line), key=lambda note: (note.start, note.pitch)
    )


def _placed(note: Note, span: Span, origin: Fraction) -> PlacedNote | None:
    """None for a note that has ended before the file begins."""
    start, end = (ticks_at(beat - origin) for beat in span)
    if start < 0 and end <= 0:
        return None
    start = max(0, start)
    end = max(start + 1, end)
    if end > LAST_TICK:
        raise ValueError(f"time in ticks must be in range 0..{LAST_TICK}, not {end}")
    return PlacedNote(start, end, int(note.pitch), int(note.velocity))


def _join(line: list[PlacedNote], note: PlacedNote) -> None:
    """Appends a note to those of its pitch: ends the one before it, or joins it at the same tick."""
    if line and line[-1].start == note.start:
        before = line.pop()
        velocity = max(before.velocity, note.velocity)
        bends = before.bends or note.bends
        note = replace(note, end=max(before.end, note.end), velocity=velocity, bends=bends)
    elif line and line[-1].end > note.start:
        line[-1] = replace(line[-1], end=note.start)
    line.append(note)


def _bend_ticks(note: Note, timeline: Timeline, origin: Fraction) -> Bends:
    lasts_s = note.end_s - note.start_s
    return tuple(
        (max(0, ticks_at(timeline.beat_of_audio(note.start_s + after_s) - origin)), semitones)
        for after_s, semitones in _thinned(note.bends)
        if after_s <= lasts_s
    )


def _thinned(bends: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """None nearer to the one before it than `_BENDS_APART_S`.

    What comes too early waits until it may, and is overtaken by whatever comes before that.
    """
    kept: list[tuple[float, float]] = []
    free_s, waiting = 0.0, None
    for after_s, semitones in bends:
        if waiting is not None and after_s >= free_s:
            kept.append((free_s, waiting))
            free_s, waiting = free_s + _BENDS_APART_S, None
        if kept and after_s < free_s:
            waiting = semitones
            continue
        kept.append((after_s, semitones))
        free_s = after_s + _BENDS_APART_S
    if waiting is not None:
        kept.append((free_s, waiting))
    return kept
