"""Songs: who plays, on what, and the song itself. Pure, and the same for the same material and seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.songs import keys, kit, strings
from benchmarks.songs.harmony import write_sheet
from benchmarks.songs.melody import sing
from benchmarks.songs.model import Part, Rng, Sheet, Song

MATERIALS = ("piano", "epiano", "guitar", "bass", "lead", "voice", "drums", "mix")
# What the product calls them.
ENGINE_MATERIAL = {"epiano": "chords", "lead": "solo"} | {
    name: name for name in ("piano", "guitar", "bass", "voice", "drums", "mix")
}

PIANOS = (0, 0, 1, 0, 0, 2)
EPIANOS = (4, 5, 4, 5, 4, 5, 4, 5, 16, 18)
GUITARS = (24, 25, 26, 27, 28, 25, 24, 27)
BASSES = (32, 33, 34, 35, 36, 37, 33, 38)
# Program: lowest and highest pitch, how deep it is shaken, how often slid into.
LEADS: dict[int, tuple[int, int, float, float]] = {
    80: (60, 86, 0.15, 0.15),
    81: (57, 84, 0.15, 0.2),
    29: (52, 81, 0.25, 0.35),
    30: (52, 81, 0.25, 0.35),
    65: (56, 82, 0.2, 0.2),
    73: (64, 91, 0.15, 0.1),
    56: (56, 82, 0.15, 0.15),
    68: (60, 84, 0.15, 0.1),
}
VOICES: dict[int, tuple[int, int]] = {
    52: (50, 74),
    53: (52, 77),
    54: (52, 77),
    40: (60, 84),
    67: (45, 67),
    66: (50, 72),
    73: (62, 86),
}
KITS = (0, 0, 8, 16, 24, 25, 32)
TAIL_S = 1.5


def song(material: str, seed: int) -> Song:
    """The song of that material and seed, 25 to 40 s long."""
    number = MATERIALS.index(material)
    sheet = write_sheet(np.random.default_rng([seed, number]))
    rng = np.random.default_rng([seed, number, 1])
    parts = _band(sheet, seed) if material == "mix" else (_PLAYERS[material](sheet, rng, seed),)
    ends_s = max(note.end_s for part in parts for note in part.notes)
    ends_s = max([ends_s, *(up for part in parts for _, up in part.sustain)])
    return Song(material, seed, sheet, tuple(parts), ends_s + TAIL_S, f"{material}-{seed}")


def _pick(turn: int, programs: tuple[int, ...]) -> int:
    return int(programs[turn % len(programs)])


def _piano(sheet: Sheet, rng: Rng, turn: int) -> Part:
    program, pedal = _pick(turn, PIANOS), rng.random() < 0.5
    notes = keys.play(sheet, rng, keys.PIANO)
    return Part("piano", program, tuple(notes), sustain=keys.pedalling(sheet, rng) if pedal else ())


def _epiano(sheet: Sheet, rng: Rng, turn: int) -> Part:
    program = _pick(turn, EPIANOS)
    textures = keys.ORGAN if program in (16, 18) else keys.CHORDS
    return Part("epiano", program, tuple(keys.play(sheet, rng, textures)))


def _guitar(sheet: Sheet, rng: Rng, turn: int) -> Part:
    program = _pick(turn, GUITARS)
    return Part("guitar", program, tuple(strings.play_guitar(sheet, rng, strings.GUITAR)))


def _bass(sheet: Sheet, rng: Rng, turn: int) -> Part:
    return Part("bass", _pick(turn, BASSES), tuple(strings.play_bass(sheet, rng)))


def _lead(sheet: Sheet, rng: Rng, turn: int) -> Part:
    program = _pick(turn, tuple(LEADS))
    low, high, depth, glide = LEADS[program]
    busy = float(rng.uniform(0.45, 0.85))
    notes = sing(sheet, rng, low=low, high=high, busy=busy, expression=depth, glide=glide)
    return Part("lead", program, tuple(notes))


def _voice(sheet: Sheet, rng: Rng, turn: int) -> Part:
    program = _pick(turn, tuple(VOICES))
    low, high = VOICES[program]
    busy = float(rng.uniform(0.2, 0.55))
    notes = sing(sheet, rng, low=low, high=high, busy=busy, expression=0.4, glide=0.5)
    return Part("voice", program, tuple(notes))


def _drums(sheet: Sheet, rng: Rng, turn: int) -> Part:
    return Part("drums", _pick(turn, KITS), tuple(kit.play_drums(sheet, rng)), drums=True)


def _band(sheet: Sheet, seed: int) -> tuple[Part, ...]:
    """Drums, bass, one or two that play chords, and mostly a lead or a singer, each at a level and place."""
    rngs = [np.random.default_rng([seed, MATERIALS.index("mix"), 2, part]) for part in range(6)]
    rng = rngs[5]
    turns = [int(turn) for turn in rng.integers(1000, size=5)]
    parts = [_drums(sheet, rngs[0], turns[0]), _bass(sheet, rngs[1], turns[1])]
    parts += [_backing(name, sheet, rngs[2 + k], turns[2 + k]) for k, name in enumerate(_backings(rng))]
    if rng.random() < 0.85:
        player = _lead if rng.random() < 0.6 else _voice
        parts.append(player(sheet, rngs[4], turns[4]))
    placed = []
    for part in parts:
        wide = 0.1 if part.name in ("drums", "bass", "lead", "voice") else 0.6
        gain = float(rng.uniform(0.5, 0.9))
        placed.append(replace(part, gain=gain, pan=float(rng.uniform(-wide, wide))))
    return tuple(placed)


def _backings(rng: Rng) -> list[str]:
    names = ["guitar", "epiano", "piano"]
    count = 1 if rng.random() < 0.65 else 2
    return [str(name) for name in rng.choice(names, count, replace=False)]


def _backing(name: str, sheet: Sheet, rng: Rng, turn: int) -> Part:
    if name == "guitar":
        return Part(name, _pick(turn, GUITARS), tuple(strings.play_guitar(sheet, rng, strings.BACKING)))
    programs = PIANOS if name == "piano" else EPIANOS
    return Part(name, _pick(turn, programs), tuple(keys.play(sheet, rng, keys.BACKING)))


_PLAYERS = {
    "piano": _piano,
    "epiano": _epiano,
    "guitar": _guitar,
    "bass": _bass,
    "lead": _lead,
    "voice": _voice,
    "drums": _drums,
}
