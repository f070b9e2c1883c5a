"""Drum machines to learn from, every dial of which is turned at random. Pure.

machine_kit(rng)   as the old machines make their sounds: swept sines, noise, squares that do not agree
struck_kit(rng)    what rings and rattles when it is struck: modes and bands of noise, each dying by itself
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs.drum_kits import Kit
from benchmarks.songs.drum_sounds import METAL_HZ
from benchmarks.songs.model import Rng
from benchmarks.songs.sounds import RATE_HZ

Wave = NDArray[np.floating]


def machine_kit(rng: Rng) -> Kit:
    voices = {key: voice for make in (_kicks, _snares, _toms, _hats, _cymbals) for key, voice in make(rng)}
    return {
        key: [(hard, (voice(hard / 127) * (hard / 127) ** 1.6).astype(np.float32)) for hard in (30, 70, 110)]
        for key, voice in voices.items()
    }


Voices = Iterator[tuple[int, Callable[[float], Wave]]]


def dial(rng: Rng, low: float, high: float) -> float:
    """A random value, as likely in each octave."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def noise(rng: Rng, frames: int, low_hz: float, high_hz: float) -> Wave:
    spectrum = np.fft.rfft(rng.normal(0, 1, frames))
    hz = np.fft.rfftfreq(frames, 1 / RATE_HZ)
    spectrum *= 1 / (1 + (low_hz / np.maximum(hz, 1)) ** 4) / (1 + (hz / high_hz) ** 4)
    sound = np.fft.irfft(spectrum, frames)
    return _wave(sound / (sound.std() + 1e-9))


def _wave(sound: Any) -> Wave:
    return np.asarray(sound)


def _time(length_s: float) -> Wave:
    return np.arange(round(length_s * RATE_HZ)) / RATE_HZ


def _swept(time_s: Wave, from_hz: float, to_hz: float, within_s: float) -> Wave:
    hz = to_hz + (from_hz - to_hz) * np.exp(-time_s / within_s)
    return np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)


def _kicks(rng: Rng) -> Voices:
    hz, over, within_s, dies_s = (
        rng.uniform(42, 75),
        rng.uniform(1.5, 6),
        dial(rng, 0.008, 0.06),
        dial(rng, 0.06, 0.35),
    )
    click, click_s, click_hz, drive = (
        dial(rng, 0.01, 0.4),
        dial(rng, 0.002, 0.012),
        rng.uniform(1e3, 5e3),
        rng.uniform(0, 2),
    )

    def kick(hard: float) -> Wave:
        time_s = _time(0.6)
        body = np.tanh((1 + drive) * _swept(time_s, hz * over, hz, within_s) * np.exp(-time_s / dies_s))
        attack = noise(rng, len(time_s), click_hz * 0.4, click_hz * 2.5) * np.exp(-time_s / click_s)
        return _wave(0.9 * body + 0.4 * click * hard * attack)

    yield 36, kick


def _snares(rng: Rng) -> Voices:
    hz, second, body_s, body = (
        rng.uniform(150, 260),
        rng.uniform(1.4, 1.9),
        dial(rng, 0.03, 0.14),
        rng.uniform(0.1, 0.5),
    )
    wires, wires_s, low, high = (
        rng.uniform(0.1, 0.4),
        dial(rng, 0.05, 0.22),
        dial(rng, 500, 2500),
        rng.uniform(6e3, 15e3),
    )
    stick_hz, stick_s = dial(rng, 700, 2500), dial(rng, 0.006, 0.025)

    def snare(hard: float) -> Wave:
        time_s = _time(0.6)
        shell = _swept(time_s, hz * 1.3, hz, 0.015) + 0.6 * _swept(
            time_s, hz * second * 1.1, hz * second, 0.015
        )
        hiss = noise(rng, len(time_s), low, high) * np.exp(-time_s / (wires_s * (0.6 + 0.4 * hard)))
        return _wave(body * shell * np.exp(-time_s / body_s) + wires * hiss)

    def stick(_: float) -> Wave:
        time_s = _time(0.15)
        knock = 0.5 * noise(rng, len(time_s), stick_hz, stick_hz * 3) + 0.3 * np.sin(
            2 * np.pi * stick_hz * time_s
        )
        return _wave(knock * np.exp(-time_s / stick_s))

    yield 38, snare
    yield 37, stick


def _toms(rng: Rng) -> Voices:
    lowest_hz, apart, dies_s = rng.uniform(60, 100), rng.uniform(1.2, 1.45), dial(rng, 0.08, 0.35)
    bend, stick, overtone = rng.uniform(1.05, 1.8), dial(rng, 0.01, 0.25), rng.uniform(0, 0.4)

    def tom(hz: float, hard: float) -> Wave:
        time_s = _time(0.9)
        body = _swept(time_s, hz * bend, hz, 0.04) * np.exp(-time_s / dies_s)
        body += overtone * _swept(time_s, hz * 1.59 * bend, hz * 1.59, 0.04) * np.exp(-1.8 * time_s / dies_s)
        return _wave(0.7 * body + stick * hard * noise(rng, len(time_s), 700, 6000) * np.exp(-time_s / 0.008))

    for number, key in enumerate((41, 45, 48, 50)):
        yield key, lambda hard, hz=lowest_hz * apart**number: tom(hz, hard)  # type: ignore[misc]


def _metal(rng: Rng, length_s: float, low_hz: float, squares: float, tuned: float) -> Wave:
    time_s = _time(length_s)
    hertz = np.array(METAL_HZ) * np.exp(rng.normal(0, 0.04, len(METAL_HZ))) * tuned
    mixed = sum(np.sign(np.sin(2 * np.pi * hz * time_s + rng.uniform(0, 6))) for hz in hertz)
    hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
    high = np.fft.irfft(np.fft.rfft(mixed) / (1 + (low_hz / np.maximum(hz, 1)) ** 6), len(time_s))
    hiss = noise(rng, len(time_s), low_hz, rng.uniform(10_000, 16_000))
    return _wave(0.5 * (squares * high / (high.std() + 1e-9) + (1 - squares) * hiss))


def _hats(rng: Rng) -> Voices:
    low_hz, squares, tuned = rng.uniform(3000, 8000), rng.uniform(0, 1), rng.uniform(2.5, 6)
    closed_s, open_s = dial(rng, 0.015, 0.07), dial(rng, 0.15, 0.5)

    def hat(dies_s: float, swell_s: float) -> Wave:
        length_s = min(2.0, 7 * dies_s)
        time_s = _time(length_s)
        swelling = np.minimum(1, time_s / swell_s)
        return _wave(
            0.3 * _metal(rng, length_s, low_hz, squares, tuned) * np.exp(-time_s / dies_s) * swelling
        )

    yield 42, lambda hard: hat(closed_s * (0.8 + 0.4 * hard), 1e-4)
    yield 44, lambda _: hat(closed_s * 1.3, 0.004)
    yield 46, lambda _: hat(open_s, 1e-4)


def _cymbals(rng: Rng) -> Voices:
    crash_hz, crash_s, swell_s = dial(rng, 900, 4000), dial(rng, 0.4, 1.2), dial(rng, 0.001, 0.006)
    ping_hz, ping, ping_s = rng.uniform(700, 4500), rng.uniform(0.1, 0.6), dial(rng, 0.05, 0.4)
    wash, wash_hz, wash_s, tuned = (
        rng.uniform(0.1, 0.5),
        rng.uniform(2500, 6000),
        rng.uniform(0.3, 0.8),
        rng.uniform(2.5, 6),
    )

    def crash(_: float) -> Wave:
        time_s = _time(2.5)
        shape = np.exp(-time_s / crash_s) * np.minimum(1, time_s / swell_s)
        return _wave(0.4 * _metal(rng, 2.5, crash_hz, 0.3, tuned) * shape)

    def ride(_: float) -> Wave:
        time_s = _time(2.0)
        rings = sum(np.sin(2 * np.pi * ping_hz * part * time_s) for part in (1, 1.47, 2.09))
        hiss = _metal(rng, 2.0, wash_hz, 0.3, tuned) * np.exp(-time_s / wash_s)
        return _wave(0.3 * (wash * hiss + ping * rings / 2 * np.exp(-time_s / ping_s)))

    yield 49, crash
    yield 51, ride


# What is struck

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """Ranges that a drum is drawn from. `modes`: how many, from `hz`, up to `spread` times as high, dying
    within `rings_s`, `tone` loud; `drop`: how much higher they begin. `bands` of noise within `noise_hz`,
    dying within `rattles_s`, `hiss` loud; `click` and `swell_s`: how it begins."""

    modes: tuple[int, int]
    hz: Range
    spread: float
    rings_s: Range
    tone: Range
    drop: Range
    bands: tuple[int, int]
    noise_hz: Range
    rattles_s: Range
    hiss: Range
    click: Range = (0.01, 0.3)
    swell_s: Range = (1e-4, 1e-3)


KICK = Recipe(
    (1, 4), (40, 105), 2.6, (0.05, 0.45), (0.5, 1), (0, 3), (1, 2), (100, 5000), (0.004, 0.06), (0.02, 0.5)
)
SNARE = Recipe(
    (2, 5), (140, 340), 3.5, (0.02, 0.2), (0.1, 0.6), (0, 0.4), (2, 3), (400, 12_000), (0.04, 0.3), (0.3, 1)
)
STICK = Recipe(
    (1, 4),
    (400, 2500),
    3.0,
    (0.005, 0.04),
    (0.2, 1),
    (0, 0.1),
    (1, 2),
    (500, 7000),
    (0.003, 0.02),
    (0.1, 0.7),
)
TOM = Recipe(
    (1, 4), (60, 120), 2.6, (0.08, 0.6), (0.5, 1), (0, 0.7), (1, 2), (150, 5000), (0.005, 0.06), (0.02, 0.3)
)
HAT = Recipe(
    (0, 14),
    (1500, 5000),
    4.0,
    (0.02, 0.08),
    (0.05, 0.8),
    (0, 0),
    (2, 4),
    (2500, 15_000),
    (0.015, 0.08),
    (0.3, 1),
)
CRASH = Recipe(
    (4, 16), (400, 2500), 8.0, (0.3, 1.6), (0.02, 0.4), (0, 0), (2, 4), (900, 14_000), (0.3, 1.5), (0.4, 1),
    swell_s=(5e-4, 0.02),
)  # fmt: skip
RIDE = Recipe(
    (4, 14), (450, 2500), 6.0, (0.15, 1.2), (0.2, 1), (0, 0), (2, 4), (2000, 12_000), (0.1, 1.2), (0.05, 0.5)
)
SOUND_S = 1.8
STRUCK_VELOCITIES = (30, 70, 110)


def struck_kit(rng: Rng) -> Kit:
    lowest, apart = dial(rng, 0.8, 1.2), rng.uniform(1.15, 1.5)
    tom, hat, softer_db = int(rng.integers(1 << 30)), int(rng.integers(1 << 30)), rng.uniform(0, 14)
    made = {key: _struck(rng, recipe) for key, recipe in ((36, KICK), (38, SNARE), (37, STICK), (49, CRASH))}
    made[51] = _struck(rng, RIDE)
    for number, key in enumerate((41, 45, 48, 50)):  # the same drum, higher
        made[key] = _struck(np.random.default_rng(tom), TOM, tuned=lowest * apart**number)
    opened = dial(rng, 4, 14)
    for key, longer, swell_s in ((42, 1.0, 1e-4), (44, rng.uniform(0.8, 1.8), 0.004), (46, opened, 2e-4)):
        made[key] = _struck(np.random.default_rng(hat), HAT, longer=longer, swell_s=swell_s)
    return {
        key: [(hard, _softer(sound, hard / 127, softer_db)) for hard in STRUCK_VELOCITIES]
        for key, sound in made.items()
    }


def _struck(
    rng: Rng, recipe: Recipe, *, tuned: float = 1.0, longer: float = 1.0, swell_s: float = 0.0
) -> Wave:
    """One drum. What is drawn does not depend on how long it is: the hats are one pair."""
    hissing = np.random.default_rng(int(rng.integers(1 << 30)))
    lowest, rings_s = dial(rng, *recipe.hz) * tuned, longer * dial(rng, *recipe.rings_s)
    rattles_s = longer * dial(rng, *recipe.rattles_s)
    time_s = _time(float(np.clip(9 * max(rings_s, rattles_s), 0.15, SOUND_S)))
    tone, hiss, click = dial(rng, *recipe.tone), dial(rng, *recipe.hiss), dial(rng, *recipe.click)
    body = tone * _ringing(rng, recipe, time_s, lowest, rings_s)
    body = body + hiss * _rattling(rng, hissing, recipe, time_s, rattles_s)
    body = body * np.minimum(1, time_s / (swell_s or dial(rng, *recipe.swell_s)))
    attack = noise(hissing, len(time_s), dial(rng, 300, 3000), 12_000) * np.exp(
        -time_s / dial(rng, 5e-4, 0.004)
    )
    return _wave(0.5 * (body + 0.3 * click * attack) * np.clip(8 - 8 * time_s / time_s[-1], 0, 1))


def _ringing(rng: Rng, recipe: Recipe, time_s: Wave, lowest_hz: float, rings_s: float) -> Wave:
    drop, within_s = rng.uniform(*recipe.drop), dial(rng, 0.005, 0.05)
    bent_s = time_s + drop * within_s * (1 - np.exp(-time_s / within_s))
    total = np.zeros(len(time_s))
    for number in range(int(rng.integers(recipe.modes[0], recipe.modes[1] + 1))):
        ratio, gain = (rng.uniform(1, recipe.spread), rng.uniform(0.2, 1)) if number else (1.0, 1.0)
        dies_s = rings_s * ratio**-0.5 * dial(rng, 0.6, 1.4)
        turns = lowest_hz * ratio * bent_s + rng.random()
        total += gain * np.sin(2 * np.pi * turns) * np.exp(-time_s / dies_s)
    return _wave(total / (np.abs(total).max() + 1e-9))


def _rattling(rng: Rng, hissing: Rng, recipe: Recipe, time_s: Wave, rattles_s: float) -> Wave:
    total = np.zeros(len(time_s))
    for _ in range(int(rng.integers(recipe.bands[0], recipe.bands[1] + 1))):
        low_hz, width, gain = dial(rng, *recipe.noise_hz) * 0.7, dial(rng, 1.3, 5), dial(rng, 0.2, 1)
        dies_s, tail = rattles_s * dial(rng, 0.5, 1.5), rng.uniform(0, 0.3)
        shape = (1 - tail) * np.exp(-time_s / dies_s) + tail * np.exp(-time_s / dies_s / 3)
        total += gain * shape * noise(hissing, len(time_s), low_hz, min(16_000.0, low_hz * width))
    return _wave(total / (np.abs(total).max() + 1e-9))


def _softer(sound: Wave, hard: float, softer_db: float) -> NDArray[np.float32]:
    """A softer stroke is duller, too."""
    hz = np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 50)
    gain_db = -softer_db * (1 - hard) * np.clip(np.log2(hz / 300) / 5, 0, 1)
    dulled = np.fft.irfft(np.fft.rfft(sound) * 10 ** (gain_db / 20), len(sound))
    softer: NDArray[np.float32] = (dulled * hard**1.6).astype(np.float32)
    return softer
