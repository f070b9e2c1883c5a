"""A drum machine of our own for the test songs: swept sines, noise and metal. Pure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.songs.model import Rng
from benchmarks.songs.sounds import RATE_HZ, Sound, single
from bridge.media.notes import Note

TOM_HZ = {41: 75.0, 43: 88.0, 45: 105.0, 47: 125.0, 48: 150.0, 50: 180.0}
METAL_HZ = (205.3, 304.4, 369.6, 522.7, 540.0, 800.0, 1124.0, 1533.0)


def hit(note: Note, kit: int, rng: Rng) -> Sound:
    """One stroke: (frames,) float32. `kit` changes tunings and lengths."""
    hard = note.velocity / 127
    tuned = 1 + 0.06 * ((kit * 7) % 5 - 2)
    sound = _PIECES.get(note.pitch, _tom)(note.pitch, tuned, hard, rng)
    return single(sound * hard**1.6)


def _time(length_s: float) -> Sound:
    return single(np.arange(round(length_s * RATE_HZ)) / RATE_HZ)


def _noise(time_s: Sound, rng: Rng, low_hz: float, high_hz: float) -> Sound:
    spectrum = np.fft.rfft(rng.normal(0, 1, len(time_s)))
    hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
    passed = 1 / (1 + (low_hz / np.maximum(hz, 1)) ** 4) / (1 + (hz / high_hz) ** 4)
    noise = np.fft.irfft(spectrum * passed, len(time_s))
    return single(noise / max(1e-9, float(np.std(noise))))


def _swept(time_s: Sound, from_hz: float, to_hz: float, within_s: float) -> Sound:
    hz = to_hz + (from_hz - to_hz) * np.exp(-time_s / within_s)
    return single(np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ))


def _kick(_: int, tuned: float, hard: float, rng: Rng) -> Sound:
    time_s = _time(0.5)
    body = _swept(time_s, 190 * tuned, 52 * tuned, 0.035) * np.exp(-time_s / 0.13)
    click = _noise(time_s, rng, 1500, 6000) * np.exp(-time_s / 0.004) * 0.12 * hard
    return single(0.9 * body + click)


def _snare(key: int, tuned: float, hard: float, rng: Rng) -> Sound:
    time_s = _time(0.35)
    if key == 37:
        return single(0.5 * _noise(time_s, rng, 900, 3500) * np.exp(-time_s / 0.012))
    shell = _swept(time_s, 240 * tuned, 185 * tuned, 0.02) + 0.6 * _swept(time_s, 360, 331 * tuned, 0.02)
    wires = _noise(time_s, rng, 1200, 9000) * np.exp(-time_s / (0.07 + 0.04 * hard))
    return single(0.35 * shell * np.exp(-time_s / 0.07) + 0.22 * wires)


def _tom(key: int, tuned: float, hard: float, rng: Rng) -> Sound:
    time_s, hz = _time(0.7), TOM_HZ.get(key, 110.0) * tuned
    body = _swept(time_s, hz * 1.5, hz, 0.05) * np.exp(-time_s / 0.18)
    stick = _noise(time_s, rng, 800, 5000) * np.exp(-time_s / 0.008) * 0.1 * hard
    return single(0.7 * body + stick)


def _metal(time_s: Sound, tuned: float, low_hz: float, rng: Rng) -> Sound:
    """Square waves that do not agree, and noise, without their bottom."""
    squares = [np.sign(np.sin(2 * np.pi * hz * 4.1 * tuned * time_s + rng.uniform(0, 6))) for hz in METAL_HZ]
    mixed = np.sum(squares, axis=0) / 4
    spectrum = np.fft.rfft(mixed)
    hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
    high = np.fft.irfft(spectrum / (1 + (low_hz / np.maximum(hz, 1)) ** 6), len(time_s))
    return single(0.5 * high + 0.5 * _noise(time_s, rng, low_hz, 14_000))


def _hat(key: int, tuned: float, hard: float, rng: Rng) -> Sound:
    dies_s = {42: 0.035, 44: 0.05, 46: 0.28}[key] * (0.8 + 0.4 * hard)
    time_s = _time(6 * dies_s)
    return single(0.14 * _metal(time_s, tuned, 6500, rng) * np.exp(-time_s / dies_s))


def _cymbal(key: int, tuned: float, _: float, rng: Rng) -> Sound:
    """A crash swells for some milliseconds and hisses on, a ride pings."""
    ride = key in (51, 53, 59)
    time_s = _time(2.0)
    wash = _metal(time_s, tuned, 3500 if ride else 2500, rng) * np.exp(-time_s / (0.5 if ride else 0.7))
    ping = np.sin(2 * np.pi * (3100 if key == 51 else 1250) * tuned * time_s) * np.exp(-time_s / 0.12)
    swell = np.minimum(1, time_s / 0.003)
    gain = (0.06, 0.12) if ride else (0.2, 0.0)
    return single(swell * (gain[0] * wash + gain[1] * ping))


_PIECES: dict[int, Callable[[int, float, float, Rng], Sound]] = {
    **dict.fromkeys((35, 36), _kick),
    **dict.fromkeys((37, 38, 40), _snare),
    **dict.fromkeys((42, 44, 46), _hat),
    **dict.fromkeys((49, 51, 52, 53, 55, 57, 59), _cymbal),
    **dict.fromkeys(TOM_HZ, _tom),
}
