"""Our own instruments for the test songs: sound by rule, none from a SoundFont. Pure.

Plucked and struck strings are sums of their modes, electric pianos are frequency-modulated, organs have
drawbars, leads and voices are harmonics under a filter or under formants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs.model import Rng
from bridge.media.notes import Note

Sound = NDArray[np.float32]

RATE_HZ = 44_100
RELEASE_S = 0.05


@dataclass(frozen=True)
class Strings:
    """Modes of a string: how many, where it is struck, how fast it dies (the first; the others more)."""

    modes: int
    place: float
    tilt: float
    decay_per_s: float
    decay_rises: float
    stiffness: float
    noise: float
    damp_s: float


PIANO = Strings(18, 0.12, 1.15, 0.5, 0.22, 3e-4, 0.25, 0.09)
NYLON = Strings(16, 0.22, 1.3, 1.4, 0.3, 1e-5, 0.2, 0.05)
STEEL = Strings(22, 0.14, 0.9, 0.9, 0.16, 6e-5, 0.3, 0.05)
MUTED = Strings(14, 0.16, 1.1, 9.0, 0.6, 4e-5, 0.3, 0.03)
FINGERED = Strings(18, 0.2, 1.4, 0.9, 0.25, 5e-5, 0.1, 0.05)
PICKED = Strings(26, 0.1, 0.9, 0.8, 0.16, 6e-5, 0.3, 0.04)
STRINGS: dict[int, Strings] = {
    **dict.fromkeys((0, 1, 2), PIANO),
    24: NYLON,
    **dict.fromkeys((25, 26, 27), STEEL),
    28: MUTED,
    **dict.fromkeys((32, 33, 35), FINGERED),
    **dict.fromkeys((34, 36, 37), PICKED),
}
FORMANTS: tuple[tuple[tuple[float, float, float], ...], ...] = (  # Hz, width in Hz, gain: a, e, i, o, u
    ((730, 110, 1.0), (1150, 130, 0.5), (2600, 200, 0.25), (3400, 260, 0.2)),
    ((480, 90, 1.0), (1850, 150, 0.4), (2550, 200, 0.3), (3500, 260, 0.15)),
    ((300, 70, 1.0), (2250, 160, 0.3), (3000, 220, 0.25), (3600, 280, 0.12)),
    ((460, 90, 1.0), (820, 110, 0.6), (2600, 220, 0.12), (3300, 260, 0.1)),
    ((340, 80, 1.0), (720, 110, 0.35), (2300, 220, 0.06), (3200, 260, 0.05)),
)


def single(sound: NDArray[np.floating]) -> Sound:
    return np.asarray(sound, dtype=np.float32)


def hertz(pitch: float) -> float:
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


def voice(program: int, note: Note, rng: Rng) -> Sound:
    """One note from its start, its release included: (frames,) float32 at 44.1 kHz."""
    if program in STRINGS:
        return string(STRINGS[program], note, rng)
    return _VOICES.get(program, _saw)(note, rng)


def string(kind: Strings, note: Note, rng: Rng) -> Sound:
    held_s = note.end_s - note.start_s
    decay = kind.decay_per_s * (hertz(note.pitch) / 220) ** 0.55
    length_s = min(held_s + 4 * kind.damp_s, 6.5 / decay)
    time_s = _time(length_s)
    hard = note.velocity / 127
    sound = np.zeros_like(time_s)
    for mode in range(1, kind.modes + 1):
        hz = hertz(note.pitch) * mode * np.sqrt(1 + kind.stiffness * mode * mode)
        if hz > 15_000:
            break
        gain = abs(np.sin(np.pi * mode * kind.place)) * mode ** -(kind.tilt + 0.9 * (1 - hard))
        dies = decay * (1 + kind.decay_rises * (mode - 1))
        turn = float(rng.uniform(0, 2 * np.pi))
        envelope = 0.8 * np.exp(-dies * time_s) + 0.2 * np.exp(-0.25 * dies * time_s)
        sound += (gain * envelope * np.sin(2 * np.pi * hz * time_s + turn)).astype(np.float32)
    tick = rng.normal(0, 1, len(time_s)).astype(np.float32) * np.exp(-time_s / 0.006)
    sound = (sound + kind.noise * hard * 0.5 * _dull(tick)) * _gate(time_s, held_s, kind.damp_s, 0.0015)
    return _scaled(sound, hard)


def _electric_piano(note: Note, _: Rng) -> Sound:
    """A tine by frequency modulation, brighter as it is struck harder, and a bell that dies at once."""
    held_s, hard = note.end_s - note.start_s, note.velocity / 127
    time_s = _time(min(held_s + 0.3, 6.0))
    phase = 2 * np.pi * hertz(note.pitch) * time_s
    dies = np.exp(-time_s * 0.9 * (hertz(note.pitch) / 262) ** 0.4)
    body = np.sin(phase + (0.3 + 1.6 * hard) * dies * np.sin(phase)) * dies
    bell = 0.25 * hard * np.sin(phase * 2 + 1.2 * np.sin(14 * phase)) * np.exp(-time_s * 12)
    return _scaled(((body + bell) * _gate(time_s, held_s, 0.08, 0.002)).astype(np.float32), hard)


def _organ(note: Note, rng: Rng) -> Sound:
    held_s = note.end_s - note.start_s
    time_s = _time(held_s + 0.08)
    turning = 1 + 0.002 * np.sin(2 * np.pi * 6.2 * (time_s + note.start_s))
    phase = 2 * np.pi * hertz(note.pitch) * np.cumsum(turning) / RATE_HZ
    bars = ((0.5, 0.5), (1.0, 0.8), (1.5, 0.4), (2.0, 0.6), (3.0, 0.25), (4.0, 0.25), (6.0, 0.1), (8.0, 0.15))
    sound = np.sum([gain * np.sin(ratio * phase) for ratio, gain in bars], axis=0)
    click = 0.3 * _dull(rng.normal(0, 1, len(time_s)).astype(np.float32)) * np.exp(-time_s / 0.004)
    return _scaled(((sound * 0.5 + click) * _gate(time_s, held_s, 0.015, 0.004)).astype(np.float32), 0.6)


def _harmonics(
    note: Note, gain_at: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]], most: int
) -> tuple[Sound, NDArray[np.float64]]:
    """Harmonics along the note's bends; `gain_at(hz, time_s)` is a filter."""
    held_s = note.end_s - note.start_s
    time_s = _time(held_s + RELEASE_S * 3).astype(np.float64)
    bend = np.zeros_like(time_s)
    if note.bends:
        at_s, semitones = zip(*note.bends, strict=True)
        bend = np.interp(time_s, at_s, semitones)
    hz = hertz(note.pitch) * 2 ** (bend / 12)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    sound = np.zeros(len(time_s), dtype=np.float32)
    for harmonic in range(1, most + 1):
        if harmonic * hertz(note.pitch) > 12_000:
            break
        sound += (gain_at(harmonic * hz, time_s) / harmonic * np.sin(harmonic * phase)).astype(np.float32)
    return sound, time_s


def _saw(note: Note, _: Rng) -> Sound:
    hard = note.velocity / 127

    def low_pass(hz: NDArray[np.float64], time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        cutoff = 900 + 5000 * hard * np.exp(-time_s * 5)
        passed: NDArray[np.float64] = 1 / (1 + (hz / cutoff) ** 3)
        return passed

    sound, time_s = _harmonics(note, low_pass, 40)
    return _scaled(sound * _gate(time_s, note.end_s - note.start_s, RELEASE_S, 0.006), hard)


def _square(note: Note, _: Rng) -> Sound:
    def odd(hz: NDArray[np.float64], __: NDArray[np.float64]) -> NDArray[np.float64]:
        number = np.rint(hz / hertz(note.pitch))
        return np.where(number % 2 == 1, 1.0, 0.05) / (1 + (hz / 5000) ** 2)

    sound, time_s = _harmonics(note, odd, 30)
    return _scaled(sound * _gate(time_s, note.end_s - note.start_s, 0.03, 0.003), note.velocity / 127)


def _driven(note: Note, rng: Rng) -> Sound:
    """A steel string into a valve that is overdriven: bends and all."""
    sound, time_s = _harmonics(note, lambda hz, t: np.exp(-t * hz / 1500), 20)
    tick = 0.3 * _dull(rng.normal(0, 1, len(time_s)).astype(np.float32)) * np.exp(-time_s / 0.006)
    driven = np.tanh(6 * (sound + tick) * (0.5 + note.velocity / 127))
    return _scaled(driven * _gate(time_s, note.end_s - note.start_s, 0.04, 0.002), 0.75)


def _wind(note: Note, rng: Rng) -> Sound:
    """A reed or flute: soft attack, brighter as it swells, breath."""
    hard = note.velocity / 127

    def dull(hz: NDArray[np.float64], time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        bright = (700 + 2500 * hard) * (1 - 0.6 * np.exp(-time_s / 0.05))
        passed: NDArray[np.float64] = 1 / (1 + (hz / bright) ** 2.5)
        return passed

    sound, time_s = _harmonics(note, dull, 24)
    breath = 0.03 * _dull(rng.normal(0, 1, len(time_s)).astype(np.float32))
    return _scaled((sound + breath) * _gate(time_s, note.end_s - note.start_s, 0.06, 0.022), hard)


def _sung(note: Note, rng: Rng) -> Sound:
    """Harmonics under the formants of a vowel, with breath and a soft or hard beginning."""
    vowel, size = FORMANTS[int(rng.integers(len(FORMANTS)))], 1.12 if note.pitch > 62 else 0.97

    def formants(hz: NDArray[np.float64], _: NDArray[np.float64]) -> NDArray[np.float64]:
        peaks = [gain / (1 + ((hz - size * at) / width) ** 2) for at, width, gain in vowel]
        shaped: NDArray[np.float64] = 0.04 + np.sum(peaks, axis=0) * np.sqrt(np.maximum(hz, 1) / 300)
        return shaped

    sound, time_s = _harmonics(note, formants, 36)
    shimmer = 1 + 0.04 * np.interp(time_s, np.arange(0, 60, 0.05), rng.normal(0, 1, 1200))
    breath = 0.05 * _dull(rng.normal(0, 1, len(time_s)).astype(np.float32))
    attack_s = float(rng.choice([0.012, 0.03, 0.05]))
    shaped = (sound * shimmer + breath) * _gate(time_s, note.end_s - note.start_s, 0.05, attack_s)
    return _scaled(shaped.astype(np.float32), note.velocity / 127)


_VOICES: dict[int, Callable[[Note, Rng], Sound]] = {
    **dict.fromkeys((4, 5), _electric_piano),
    **dict.fromkeys((16, 18), _organ),
    **dict.fromkeys((80, 38), _square),
    **dict.fromkeys((29, 30), _driven),
    **dict.fromkeys((56, 65, 66, 67, 68, 73), _wind),
    **dict.fromkeys((40, 52, 53, 54), _sung),
}


def _time(length_s: float) -> Sound:
    return single(np.arange(max(1, round(length_s * RATE_HZ))) / RATE_HZ)


def _gate(time_s: NDArray[np.floating], held_s: float, release_s: float, attack_s: float) -> Sound:
    shape = np.minimum(1, time_s / attack_s) * np.exp(-np.maximum(0, time_s - held_s) / release_s)
    return single(shape)


def _dull(noise: NDArray[np.floating]) -> Sound:
    """White noise less its top: the mean of four neighbours."""
    return single(np.convolve(noise, np.full(4, 0.5), mode="same"))


def _scaled(sound: NDArray[np.floating], hard: float) -> Sound:
    """Full at velocity 127, 24 dB or so less at 30, whatever the instrument."""
    peak = float(np.max(np.abs(sound), initial=1e-9))
    return single(sound * (0.3 * hard**1.7 / peak))
