"""A melody sung by speech synthesis: eSpeak NG says each syllable, and a vocoder of our own sings it.

What is said is taken apart every 5 ms into its spectral envelope (the lower cepstrum) and how voiced it is.
Sung, the consonant in front keeps its length and the vowel fills the note; pulses at the note's pitch, each
the envelope's minimum-phase response, make the voiced part, noise in the same envelope the rest. As in voices
the pulses are not quite even, the pitch wanders a little, and above 1.5 kHz more and more of it is breath.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray

from bridge.media.notes import Note

Floats = NDArray[np.float64]
Rng = np.random.Generator

RATE_HZ: Final = 44_100
STEP, SPAN, SIZE = 220, 1_323, 2_048  # samples between looks, under a look, of a transform
LIFTER: Final = 90  # cepstral coefficients that are the envelope: less than a period of the highest speech
LOWEST_HZ, HIGHEST_HZ = 60.0, 400.0
VOICED: Final = 0.6
# Of a voiced sound, how much is noise: little below, most of it above, as in voices.
BREATH_LOW, BREATH_HIGH = 0.03, 0.8
BREATH_FROM_HZ, BREATH_TO_HZ = 1_500.0, 6_000.0
JITTER, SHIMMER, DRIFT = 0.006, 0.06, 0.12  # of a period, of a pulse's size, semitones
DRIFT_STEP_S: Final = 0.08
FADE_S: Final = 0.02
WORDS: Final = (
    "sun", "day", "light", "home", "road", "blue", "wind", "stay", "rain", "fall", "deep", "sky",
    "run", "hold", "time", "slow", "love", "more", "free", "fire", "you", "me", "go", "shine",
)  # fmt: skip


@dataclass(frozen=True)
class Said:
    """A syllable in looks of `STEP` samples: envelopes (looks, bins), which are voiced, its vowel's looks."""

    envelopes: Floats
    voiced: NDArray[np.bool_]
    vowel: tuple[int, int]


def sing(notes: Sequence[Note], voice: str, rng: Rng, frames: int) -> Floats:
    """The melody in (frames,) samples at 44.1 kHz, by an eSpeak NG voice such as "en-us+f3"."""
    made = np.zeros(frames)
    for note in notes:
        said = syllable(str(rng.choice(WORDS)), voice)
        sound = _sung(said, note, rng) * (note.velocity / 127)
        begin = round(note.start_s * RATE_HZ)
        sound = sound[: frames - begin]
        made[begin : begin + len(sound)] += sound
    return made


@lru_cache(maxsize=256)
def syllable(word: str, voice: str) -> Said:
    with tempfile.TemporaryDirectory() as work:
        path = Path(work) / "said.wav"
        command = ["espeak-ng", "-v", voice, "-s", "130", "-w", str(path), word]
        subprocess.run(command, check=True, capture_output=True)
        sound, rate_hz = sf.read(path)
    sound = soxr.resample(sound, rate_hz, RATE_HZ, quality="VHQ")
    heard = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return _taken_apart(sound[heard[0] : heard[-1] + 1])


def _taken_apart(sound: Floats) -> Said:
    padded = np.pad(sound, SPAN)
    looks = np.lib.stride_tricks.sliding_window_view(padded, SPAN)[SPAN // 2 :: STEP]
    looks = looks[: -(-len(sound) // STEP)] * np.hanning(SPAN)
    power = np.square(np.abs(np.fft.rfft(looks, SIZE, axis=1)))
    cepstra = np.fft.irfft(0.5 * np.log(power + 1e-9 * power.max()), axis=1)
    cepstra[:, LIFTER : SIZE - LIFTER] = 0
    envelopes = np.exp(np.fft.rfft(cepstra, axis=1).real)
    # A mean of logarithms lies far below harmonics, and near noise: vowels would be softer than consonants.
    envelopes *= np.sqrt(power.sum(axis=1) / np.square(envelopes).sum(axis=1))[:, None]
    # How alike the sound is to itself a period later; of the look's window, that is known.
    again = _likeness(looks) / _likeness(np.hanning(SPAN)[None])
    lags = slice(int(RATE_HZ / HIGHEST_HZ), int(RATE_HZ / LOWEST_HZ))
    voiced = again[:, lags].max(axis=1) > VOICED
    loud = power.sum(axis=1)
    strong = np.flatnonzero(voiced & (loud > 0.25 * loud.max()))
    vowel = (int(strong[0]), int(strong[-1]) + 1) if len(strong) else (0, len(loud))
    return Said(envelopes, voiced, vowel)


def _likeness(looks: Floats) -> Floats:
    """Autocorrelation over lags up to `SPAN / 2`, 1 at none."""
    again = np.fft.irfft(np.square(np.abs(np.fft.rfft(looks, 2 * SIZE, axis=1))), axis=1)[:, : SPAN // 2]
    made: Floats = again / np.maximum(again[:, :1], 1e-12)
    return made


def _sung(said: Said, note: Note, rng: Rng) -> Floats:
    """One note, as long as it lasts."""
    length = max(2 * STEP, int((note.end_s - note.start_s) * RATE_HZ))
    place = _places(said, length)
    hz = 440 * 2 ** ((note.pitch - 69 + _bend(note, length) + _drift(length, rng)) / 12)
    pulses = np.flatnonzero(np.diff(np.floor(np.cumsum(hz) / RATE_HZ)))
    breath = _breath()
    made = np.zeros(length + 2 * SIZE)
    for pulse in pulses:
        look = place[pulse]
        if said.voiced[look]:
            # The same power at each pitch: fewer pulses are stronger ones.
            size = np.sqrt(RATE_HZ / hz[pulse]) * (1 + SHIMMER * rng.normal())
            at = max(0, pulse + round(JITTER * rng.normal() * RATE_HZ / hz[pulse]))
            made[at : at + SIZE] += size * _response(said.envelopes[look] * np.sqrt(1 - np.square(breath)))
    for at in range(0, length - STEP, STEP):
        look = place[at]
        noise = rng.normal(0, 1, 2 * STEP) * np.hanning(2 * STEP)
        envelope = said.envelopes[look] * (breath if said.voiced[look] else 1.0)
        made[at : at + SIZE] += np.fft.irfft(np.fft.rfft(noise, SIZE) * envelope)
    made = made[:length]
    fade = min(length // 2, round(FADE_S * RATE_HZ))
    made[length - fade :] *= np.linspace(1, 0, fade)
    return made


def _places(said: Said, length: int) -> NDArray[np.intp]:
    """For each sample of the note the look that it is in: before the vowel as said, the vowel stretched."""
    first, after = said.vowel
    front = min(first * STEP, length // 3)
    back = min((len(said.envelopes) - after) * STEP, (length - front) // 4)
    pieces = (
        np.linspace(0, first, front, endpoint=False),
        np.linspace(first, after, length - front - back, endpoint=False),
        np.linspace(after, len(said.envelopes), back, endpoint=False),
    )
    return np.minimum(np.concatenate(pieces).astype(np.intp), len(said.envelopes) - 1)


def _bend(note: Note, length: int) -> Floats:
    if not note.bends:
        return np.zeros(length)
    times, semitones = zip(*note.bends, strict=True)
    return np.asarray(np.interp(np.arange(length) / RATE_HZ, times, semitones), np.float64)


def _drift(length: int, rng: Rng) -> Floats:
    """Nobody holds a pitch exactly: a slow wandering, in semitones."""
    points = rng.normal(0, DRIFT, 2 + int(length / RATE_HZ / DRIFT_STEP_S))
    times = np.arange(len(points)) * DRIFT_STEP_S * RATE_HZ
    return np.asarray(np.interp(np.arange(length), times, points), np.float64)


def _breath() -> Floats:
    """The share of noise in a voiced sound's amplitude, for each bin."""
    hz = np.arange(SIZE // 2 + 1) * RATE_HZ / SIZE
    return np.interp(hz, (BREATH_FROM_HZ, BREATH_TO_HZ), (BREATH_LOW, BREATH_HIGH)).astype(np.float64)


def _response(envelope: Floats) -> Floats:
    """The envelope's minimum-phase response, from its cepstrum folded onto positive times."""
    cepstrum = np.fft.irfft(np.log(envelope + 1e-12))
    cepstrum[1 : SIZE // 2] *= 2
    cepstrum[SIZE // 2 + 1 :] = 0
    made: Floats = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)), SIZE)
    return made
