"""Instruments that nobody has built, to learn from: random harmonics that die at random rates. Pure.

What is learned from sampled and modelled instruments alone takes their habits for laws. Each part of a song
gets a timbre of its own here; the same song always the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs.model import Rng
from benchmarks.songs.sounds import RATE_HZ, RELEASE_S, Sound
from bridge.media.notes import Note


@dataclass(frozen=True)
class Timbre:
    """Harmonic h has `strengths[h - 1]` and dies `h ** decay_rises` times as fast as the first."""

    strengths: tuple[float, ...]
    decay_per_s: float
    decay_rises: float
    attack_s: float
    stiffness: float
    velocity_power: float


def timbre(rng: Rng) -> Timbre:
    count = int(rng.integers(3, 20))
    tilt, even = rng.uniform(0.8, 2.6), rng.choice([1.0, 1.0, 0.7, 0.3])
    number = np.arange(1, count + 1)
    strengths = number**-tilt * np.exp(rng.normal(0, 0.35, count)) * np.where(number % 2 == 0, even, 1.0)
    held = rng.random() < 0.4
    return Timbre(
        strengths=tuple((strengths / strengths.max()).tolist()),
        decay_per_s=float(rng.uniform(0.0, 0.4) if held else rng.uniform(0.8, 6.0)),
        decay_rises=float(rng.uniform(0.0, 0.9)),
        attack_s=float(rng.choice([0.002, 0.005, 0.012, 0.03])),
        stiffness=float(rng.choice([0.0, 0.0, 1e-5, 2e-4])),
        velocity_power=float(rng.uniform(1.0, 2.0)),
    )


def voice(sounds_like: Timbre, note: Note) -> Sound:
    """One note, (frames,) float32, its release included."""
    held_s = max(note.end_s - note.start_s, sounds_like.attack_s)
    time_s = np.arange(round((held_s + RELEASE_S) * RATE_HZ)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(_hertz(note, time_s)) / RATE_HZ
    highest = float(_hertz(note, time_s).max())
    made = np.zeros_like(phase)
    for number, strength in enumerate(sounds_like.strengths, start=1):
        ratio = number * np.sqrt(1 + sounds_like.stiffness * number**2)
        if ratio * highest >= RATE_HZ / 2:
            break
        decay = sounds_like.decay_per_s * number**sounds_like.decay_rises
        made += strength * np.exp(-decay * time_s) * np.sin(ratio * phase)
    made *= np.clip(time_s / sounds_like.attack_s, 0, 1) * np.clip(
        (held_s + RELEASE_S - time_s) / RELEASE_S, 0, 1
    )
    loud = 0.2 * (note.velocity / 127) ** sounds_like.velocity_power
    sound: Sound = (loud * made).astype(np.float32)
    return sound


def _hertz(note: Note, time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    bend = np.zeros_like(time_s)
    for after_s, semitones in note.bends:
        bend[time_s >= after_s] = semitones
    hertz: NDArray[np.float64] = 440.0 * 2.0 ** ((note.pitch + bend - 69) / 12)
    return hertz
