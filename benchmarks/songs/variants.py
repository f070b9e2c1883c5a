"""Other performances of the songs, to learn from: in another key and tempo, on other instruments. Pure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.songs.band import BASSES, EPIANOS, GUITARS, KITS, LEADS, PIANOS, VOICES
from benchmarks.songs.model import Part, Rng, Song
from bridge.media.notes import Note

VARIANT_S = 16.0
VARIANT_SOURCES = ("fluid", "synth", *["additive"] * 4)  # in turn
LOWEST, HIGHEST = 24, 105
PROGRAMS: dict[str, tuple[int, ...]] = {
    "piano": PIANOS,
    "epiano": EPIANOS,
    "guitar": GUITARS,
    "bass": BASSES,
    "lead": tuple(LEADS),
    "voice": tuple(VOICES),
}


def varied(played: Song, rng: Rng) -> Song:
    """The same song in another key and tempo, on other instruments of the same kind."""
    pitches = [note.pitch for note in played.pitched]
    low, high = max(-6, LOWEST - min(pitches)), min(6, HIGHEST - max(pitches))
    steps = int(rng.integers(low, high + 1)) if low < high else 0
    slower = float(rng.uniform(0.85, 1.25))
    parts = tuple(_varied_part(part, steps, slower, rng) for part in played.parts)
    return replace(played, parts=parts, duration_s=played.duration_s * slower)


def begun(played: Song, rng: Rng) -> Song:
    """Its first seconds; its drums on any kit."""
    parts = tuple(
        replace(
            part,
            notes=tuple(note for note in part.notes if note.start_s < VARIANT_S),
            sustain=tuple(span for span in part.sustain if span[0] < VARIANT_S),
            program=int(rng.choice(KITS)) if part.drums else part.program,
        )
        for part in played.parts
    )
    return replace(played, parts=parts, duration_s=VARIANT_S)


def _varied_part(part: Part, steps: int, slower: float, rng: Rng) -> Part:
    programs = PROGRAMS.get(part.name, (part.program,))
    notes = tuple(_moved(note, 0 if part.drums else steps, slower) for note in part.notes)
    sustain = tuple((down_s * slower, up_s * slower) for down_s, up_s in part.sustain)
    gain = float(np.clip(part.gain * rng.uniform(0.7, 1.3), 0.3, 1.0))
    return replace(part, program=int(rng.choice(programs)), notes=notes, sustain=sustain, gain=gain)


def _moved(note: Note, steps: int, slower: float) -> Note:
    bends = tuple((after_s * slower, bend) for after_s, bend in note.bends)
    return replace(
        note, start_s=note.start_s * slower, end_s=note.end_s * slower, pitch=note.pitch + steps, bends=bends
    )
