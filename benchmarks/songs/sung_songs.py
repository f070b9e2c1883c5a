"""Songs with a singer, in stems: a generated band by FluidSynth, and a melody sung by speech synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs import melody, render, singer, song
from benchmarks.songs.model import Song

Floats = NDArray[np.float64]

RATE_HZ: Final = 44_100
VOICE_OVER_BAND_DB: Final = 2.0
PEAK: Final = 0.8
SPREAD_DB: Final = 2.0
# How loud each player is in the band, before a draw of +-2 dB.
LEVELS_DB: Final[Mapping[str, float]] = {"drums": 0.0, "bass": -3.0, "other": -4.0}
SINGERS: Final = (("en-us+f3", 57, 76), ("en-us+m3", 45, 64), ("en-us+f4", 55, 74), ("en-us+m1", 47, 66))
ROOM_S, ROOM_DB = 0.7, -16.0


@dataclass(frozen=True)
class SungSong:
    """`stems`: vocals, drums, bass and other, (frames, 2) at 44.1 kHz each; their sum is the mix."""

    seed: int
    stems: Mapping[str, Floats]

    @property
    def mix(self) -> Floats:
        return np.asarray(np.sum(list(self.stems.values()), axis=0), np.float64)

    @property
    def instrumental(self) -> Floats:
        return self.mix - self.stems["vocals"]


def sung_song(seed: int, *, cache: Path, source: str = "fluid") -> SungSong:
    """The song of that seed, 25 to 40 s; the voice is 2 dB louder than the band in power."""
    band = song("mix", seed)
    rng = np.random.default_rng([seed, 4711])
    players = {"drums": "drums", "bass": "bass"}
    frames = round(band.duration_s * RATE_HZ)
    stems: dict[str, Floats] = {name: np.zeros((frames, 2)) for name in LEVELS_DB}
    for part in band.parts:
        if part.name in ("lead", "voice"):
            continue
        name = players.get(part.name, "other")
        alone = replace(band, parts=(part,), name=f"{band.name}-{part.name}")
        sound = _fitted(render(alone, source, cache=cache)[0].astype(np.float64), frames)
        level_db = LEVELS_DB[name] + float(rng.uniform(-SPREAD_DB, SPREAD_DB))
        stems[name] += sound * 10 ** (level_db / 20) / max(_rms(sound), 1e-9)
    voice = _voice(band, rng, frames)
    louder = 10 ** (VOICE_OVER_BAND_DB / 20) * _rms(np.sum(list(stems.values()), axis=0)) / _rms(voice)
    stems = {"vocals": voice * louder, **stems}
    scale = PEAK / np.abs(np.sum(list(stems.values()), axis=0)).max()
    return SungSong(seed, {name: sound * scale for name, sound in stems.items()})


def _voice(band: Song, rng: np.random.Generator, frames: int) -> Floats:
    """The singer in the middle, in a small room."""
    voice, low, high = SINGERS[band.seed % len(SINGERS)]
    notes = melody.sing(
        band.sheet, rng, low=low, high=high, busy=float(rng.uniform(0.2, 0.5)), expression=0.4, glide=0.4
    )
    dry = singer.sing(notes, voice, rng, frames)
    time_s = np.arange(round(ROOM_S * RATE_HZ)) / RATE_HZ
    tail = rng.normal(0, 1, (len(time_s), 2)) * np.exp(-6.9 * time_s / ROOM_S)[:, None]
    tail[: round(0.01 * RATE_HZ)] = 0
    tail *= 10 ** (ROOM_DB / 20) / np.sqrt(np.square(tail).sum(axis=0))
    tail[0] += 1
    size = 1 << (frames + len(tail)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, size)[:, None] * np.fft.rfft(tail, size, axis=0), size, axis=0)
    return np.asarray(wet[:frames])


def _fitted(sound: Floats, frames: int) -> Floats:
    return np.pad(sound[:frames], ((0, max(0, frames - len(sound))), (0, 0)))


def _rms(sound: Floats) -> float:
    return float(np.sqrt(np.square(sound).mean()))
