"""Drum parts to learn from: random grooves on random kits through random rooms, alone or with a band.

The grooves are not the benchmark's: what the songs of seeds of 1000 and more hold is never learned.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from benchmarks.songs.drum_kits import SHAKEN_KEYS, Kit, Sound, drawn_kit
from benchmarks.songs.drum_machines import Wave, dial, machine_kit, noise, struck_kit
from benchmarks.songs.kit import PIECES
from benchmarks.songs.model import Rng
from benchmarks.songs.sounds import RATE_HZ

LENGTH_S = 12.0
PIECE_OF: Mapping[int, int] = {key: n for n, keys in enumerate(PIECES.values()) for key in keys}
HAT = 2
TOMS = (41, 43, 45, 47, 48, 50)
# What plays a key that a kit has not.
INSTEAD = {35: 36, 40: 38, 57: 49, 52: 49, 55: 49, 53: 51, 59: 51, 43: 41, 47: 45, 48: 50, 50: 48, 44: 42}
INSTEAD |= {46: 42, 37: 38, 45: 41, 41: 45, 51: 49, 49: 51}

Strike = tuple[float, int, int]  # at (seconds), key, velocity


@dataclass(frozen=True)
class Rack:
    """What lessons are played on: whole kits, and drums of which one of each makes a kit. Machines come by
    themselves."""

    kits: tuple[Kit, ...]
    loose: Kit


def lesson(rng: Rng, rack: Rack, songs: Sequence[Path]) -> tuple[Sound, list[Strike]]:
    """A part's sound and its strokes. `songs` are WAV files without drums, to play along now and then."""
    kit = _some_kit(rng, rack)
    dry, strikes = _played(rng, kit, groove(rng))
    sound = _coloured(rng, _shaken(rng, kit, dry))
    sound = _in_a_room(rng, sound) if rng.random() < 0.5 else sound
    sound = _squashed(rng, sound) if rng.random() < 0.35 else sound
    if songs and rng.random() < 0.42:
        band = _band(rng, songs, len(sound))
        gain = 10 ** (rng.uniform(-22, 9) / 20) * _loudness(sound) / (_loudness(band) + 1e-9)
        sound = sound + band * gain
    if rng.random() < 0.2:
        size = np.abs(sound).max()
        sound = sound + size * noise(rng, len(sound), 20, 16_000) * 10 ** (rng.uniform(-85, -50) / 20)
    peak = 10 ** (rng.uniform(-26, 0) / 20)
    return (sound * peak / (np.abs(sound).max() + 1e-9)).astype(np.float32), strikes


# What is played


def groove(rng: Rng) -> list[Strike]:
    style = str(rng.choice(["beat", "beat", "beat", "beat", "ride", "toms", "blast", "scattered"]))
    sixteenth_s = 15 / rng.uniform(65, 185)
    length = int(rng.choice([16, 16, 16, 12, 14, 20]))
    human_s, swing = rng.uniform(0.001, 0.012), rng.choice([0, 0, 0, rng.uniform(0, 0.33)])
    pattern = _pattern(rng, style, length)
    strikes, fill = [], 0
    for at in range(int(LENGTH_S / sixteenth_s)):
        place = at % length
        fill = int(rng.choice([0, 0, 0, 2, 4, 8])) if place == 0 else fill
        if style == "scattered":
            now = _scattered(rng)
        elif place >= length - fill:
            now = _filled(rng, (place - length + fill) / fill)
        else:
            now = [(key, hard) for key, hard, share in pattern[place] if rng.random() < share]
            now = _crashed(rng, now) if place == 0 and rng.random() < 0.25 else now
        late_s = swing * 2 * sixteenth_s if at % 4 == 2 else 0.0
        for key, hard in now:
            velocity = int(np.clip(hard + rng.normal(0, 6), 6, 127))
            strikes.append((at * sixteenth_s + late_s + rng.normal(0, human_s), key, velocity))
    return _apart(strikes)


def _pattern(rng: Rng, style: str, length: int) -> list[list[tuple[int, float, float]]]:
    """For each sixteenth of a bar: key, velocity, how often."""
    top = 51 if style == "ride" else int(rng.choice([42, 42, 42, 51, 46, 44, 0]))
    step, accent = int(rng.choice([1, 2, 2, 2, 4])), rng.uniform(0, 0.6)
    kick, snare, ghosts = (
        int(rng.choice([36, 36, 35])),
        int(rng.choice([38, 38, 40, 37])),
        rng.random() < 0.45,
    )
    busy = rng.choice([0.1, 0.2, 0.35])
    bar: list[list[tuple[int, float, float]]] = [[] for _ in range(length)]
    for place, now in enumerate(bar):
        if top and place % step == 0:
            opened = top == 42 and place % 2 == 0 and rng.random() < 0.2
            softer = accent * (0 if place % 4 == 0 else 40 if place % 2 == 0 else 60)
            bell = top == 51 and rng.random() < 0.06
            now.append((46 if opened else 53 if bell else top, 95 - softer, 0.96))
        if style == "toms" and rng.random() < 0.4:
            now.append((int(rng.choice(TOMS)), rng.uniform(70, 120), 0.95))
        if (place == 0 or rng.random() < busy) if style != "blast" else place % 2 == 0:
            now.append((kick, 105, 0.97))
        if place % 8 == 4 or (style == "blast" and place % 2):
            now.append((snare, 108, 0.97))
        elif ghosts and snare != 37 and rng.random() < 0.2:
            now.append((snare, rng.uniform(18, 60), 0.8))
        if top == 51 and place % 8 == 4:
            now.append((44, 72, 0.9))
    return bar


def _scattered(rng: Rng) -> list[tuple[int, float]]:
    shares = {36: 0.12, 38: 0.1, 42: 0.22, 46: 0.06, 44: 0.04, 37: 0.04, int(rng.choice(TOMS)): 0.1}
    shares |= {int(rng.choice([49, 57, 55, 52])): 0.025, int(rng.choice([51, 53])): 0.08}
    return [(key, rng.uniform(20, 127)) for key, share in shares.items() if rng.random() < share]


def _filled(rng: Rng, gone: float) -> list[tuple[int, float]]:
    order = (38, 50, 48, 47, 45, 43, 41)
    key = order[min(6, int(gone * 7 + rng.uniform(-0.5, 1.5)))]
    now = [(key, rng.uniform(60, 125))] if rng.random() < 0.9 else []
    return [*now, *(((36, 100.0),) if rng.random() < 0.2 else ())]


def _crashed(rng: Rng, now: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(key, hard) for key, hard in now if PIECE_OF[key] != HAT] + [
        (int(rng.choice([49, 57, 49, 55, 52])), rng.uniform(85, 127))
    ]


def _apart(strikes: list[Strike]) -> list[Strike]:
    """No drum twice within 45 ms: kick, snare and hats are one drum each."""
    last: dict[int, float] = {}
    kept = []
    for at_s, key, velocity in sorted(strikes):
        drum = PIECE_OF[key] if PIECE_OF[key] <= HAT else key
        if 0.02 < at_s < LENGTH_S - 0.1 and at_s - last.get(drum, -1) > 0.045:
            last[drum] = at_s
            kept.append((at_s, key, velocity))
    return kept


# What it is played on


def _some_kit(rng: Rng, rack: Rack) -> Kit:
    """A kit; now and then some of its pieces come from another."""
    kit = dict(_any_kit(rng, rack))
    if rng.random() < 0.45:
        other = _any_kit(rng, rack)
        for piece in range(len(PIECES)):
            theirs = {key: strokes for key, strokes in other.items() if PIECE_OF.get(key) == piece}
            if theirs and rng.random() < 0.5:
                kit = {key: strokes for key, strokes in kit.items() if PIECE_OF.get(key) != piece} | theirs
    return kit


def _any_kit(rng: Rng, rack: Rack) -> Kit:
    chance = rng.random()
    if chance < 0.15:
        return machine_kit(rng)
    if chance < 0.38:
        return struck_kit(rng)
    if chance < 0.58 and rack.loose:
        return drawn_kit(rng, rack.loose)
    return rack.kits[int(rng.integers(len(rack.kits)))]


class _Drum:
    """One piece of a kit as it is tuned, damped and recorded this time."""

    def __init__(self, rng: Rng, strokes: list[tuple[int, Sound]]) -> None:
        layered = len({velocity for velocity, _ in strokes}) > 1
        self._strokes = strokes
        self._semitones = rng.normal(0, 2.0) if rng.random() < 0.7 else 0.0
        self._gain = 10 ** (rng.normal(0, 3.6) / 20)
        self._tilt_db = rng.normal(0, 1.8) if rng.random() < 0.5 else 0.0  # per octave
        self._dies_s = dial(rng, 0.08, 1.0) if rng.random() < 0.25 else 0.0
        self._steep = rng.uniform(0.4, 1.8) if layered else rng.uniform(0.3, 2.2)
        self._tuned: dict[int, Wave] = {}

    def hit(self, rng: Rng, velocity: int) -> Wave:
        which = min(
            range(len(self._strokes)), key=lambda n: abs(self._strokes[n][0] - velocity) + rng.random() * 8
        )
        recorded, sound = self._strokes[which]
        if which not in self._tuned:
            tuned = tilted(repitched(sound, self._semitones), self._tilt_db)
            dying = np.exp(-np.arange(len(tuned)) / RATE_HZ / self._dies_s) if self._dies_s else 1.0
            self._tuned[which] = tuned * dying
        harder = (max(velocity, 4) / max(recorded, 4)) ** self._steep
        return _wave(self._tuned[which] * self._gain * harder * (1 + rng.normal(0, 0.04)))


def repitched(sound: Wave, semitones: float) -> Wave:
    ratio = 2 ** (semitones / 12)
    return _wave(np.interp(np.arange(0, len(sound) - 1, ratio), np.arange(len(sound)), sound))


def tilted(sound: Wave, octave_db: float) -> Wave:
    """Brighter or duller, with as much energy as before."""
    if octave_db == 0 or len(sound) < 2:
        return sound
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 30) / 800)
    changed = np.fft.irfft(np.fft.rfft(sound) * 10 ** (octave_db * octaves / 20), len(sound))
    return _wave(changed * _loudness(sound) / (_loudness(changed) + 1e-9))


def _played(rng: Rng, kit: Kit, strikes: list[Strike]) -> tuple[Wave, list[Strike]]:
    sound = np.zeros(round((LENGTH_S + 3) * RATE_HZ))
    drums: dict[int, _Drum] = {}
    done: list[Strike] = []
    hat: tuple[int, Wave] | None = None
    chokes = rng.random() < 0.75
    for at_s, written, velocity in strikes:
        key = _key_in(kit, written)
        if key is None or PIECE_OF[key] != PIECE_OF[written]:
            continue
        voice = drums.setdefault(key, _Drum(rng, kit[key])).hit(rng, velocity)
        first = round(at_s * RATE_HZ)
        if PIECE_OF[key] == HAT:
            _choke(sound, hat if chokes else None, first)
            hat = first, voice
        sound[first : first + len(voice)] += voice
        done.append((at_s, key, velocity))
    return sound[: round(LENGTH_S * RATE_HZ)], done


def _key_in(kit: Kit, key: int) -> int | None:
    for _ in range(4):
        if key in kit:
            return key
        key = INSTEAD.get(key, key)
    return None


def _choke(sound: Wave, before: tuple[int, Wave] | None, at: int) -> None:
    """A hat ends the hat before it."""
    if before is None or not before[0] < at < before[0] + len(before[1]):
        return
    rest = before[1][at - before[0] :]
    sound[at : at + len(rest)] -= rest * np.minimum(1, np.arange(len(rest)) / (0.008 * RATE_HZ))


# How it is recorded


def _wave(sound: Any) -> Wave:
    return np.asarray(sound)


def _loudness(sound: Wave) -> float:
    return float(np.sqrt((sound**2).mean()))


def _shaken(rng: Rng, kit: Kit, sound: Wave) -> Wave:
    """Now and then a shaker or a cowbell goes along, which is not to be written down."""
    keys = [key for key in SHAKEN_KEYS if key in kit]
    if not keys or rng.random() > 0.12:
        return sound
    drum, mixed = _Drum(rng, kit[int(rng.choice(keys))]), sound.copy()
    for at_s in np.arange(rng.uniform(0, 1), LENGTH_S - 3, rng.uniform(0.12, 0.7)):
        voice = drum.hit(rng, int(rng.uniform(30, 110)))
        first = round(at_s * RATE_HZ)
        mixed[first : first + len(voice)] += 0.6 * voice[: len(mixed) - first]
    return mixed


def _coloured(rng: Rng, sound: Wave) -> Wave:
    if rng.random() > 0.7:
        return sound
    hz = np.maximum(np.fft.rfftfreq(len(sound), 1 / RATE_HZ), 20)
    gain_db = rng.normal(0, 1.3) * np.log2(hz / 800)
    for _ in range(3):
        distance = np.log2(hz / dial(rng, 50, 14_000)) / rng.uniform(0.4, 1.5)
        gain_db = gain_db + rng.normal(0, 3.5) * np.exp(-(distance**2))
    if rng.random() < 0.18:
        gain_db = gain_db - 40 * np.clip(3 * np.log2(hz / rng.uniform(7500, 16_000)), 0, 2)
    gain = 10 ** (np.clip(gain_db, -60, 15) / 20)
    return _wave(np.fft.irfft(np.fft.rfft(sound) * gain, len(sound)))


def _in_a_room(rng: Rng, sound: Wave) -> Wave:
    length_s = dial(rng, 0.15, 1.8)
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    tail = rng.normal(0, 1, len(time_s)) * np.exp(-6.9 * time_s / length_s)
    tail = np.convolve(tail, np.ones(6) / 6, mode="same") if rng.random() < 0.7 else tail
    tail[: round(rng.uniform(0.001, 0.02) * RATE_HZ)] = 0
    tail *= 10 ** (rng.uniform(-26, -8) / 20) / np.sqrt((tail**2).sum())
    size = len(sound) + len(tail)
    wet = np.fft.irfft(np.fft.rfft(sound, size) * np.fft.rfft(tail, size), size)
    return _wave(sound + wet[: len(sound)])


def _squashed(rng: Rng, sound: Wave) -> Wave:
    sound = sound / (np.abs(sound).max() + 1e-9)
    if rng.random() < 0.5:
        return _wave(np.tanh(sound * rng.uniform(1, 4)))
    level = np.sqrt(np.convolve(sound**2, np.ones(2205) / 2205)[: len(sound)]) + 1e-4
    return _wave(sound * np.minimum(1, rng.uniform(0.05, 0.2) / level) ** rng.uniform(0.3, 0.8))


def _band(rng: Rng, songs: Sequence[Path], frames: int) -> Wave:
    """One to three songs at once, from anywhere."""
    mixed = np.zeros(frames)
    for _ in range(int(rng.integers(1, 4))):
        path = songs[int(rng.integers(len(songs)))]
        first = int(rng.integers(max(1, soundfile.info(path).frames - frames)))
        stereo, _ = soundfile.read(path, start=first, frames=frames, always_2d=True)
        part: NDArray[Any] = stereo.mean(axis=1)
        part = repitched(part, rng.uniform(-3, 3))[:frames] if rng.random() < 0.5 else part
        mixed[: len(part)] += part / (_loudness(part) + 1e-5) * rng.uniform(0.4, 1.2)
    return mixed
