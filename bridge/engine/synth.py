"""A small additive synthesiser: for sonified results, for `bridge demo`, and for tests.

Each note is a sum of harmonics that die away, the higher ones sooner, as a plucked or struck string does.
Drums are a sine that falls in pitch and a burst of noise, each dying away at its own rate (`STROKES`). The
same notes give the same samples: the noise is always the same one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.media.notes import Note

HARMONICS = 6
ROLL_OFF = 1.8  # harmonic h sounds at h ** -ROLL_OFF
DECAY_PER_S = 1.5  # of the fundamental; harmonic h dies sqrt(h) times as fast
ATTACK_S = 0.004
RELEASE_S = 0.06
PEAK = 0.89  # -1 dB: room for the overshoot of a later resampling
NOTE_GAIN = 0.25

DEMO_BPM = 120.0
DEMO_DURATION_S = 8.0


def render(notes: Sequence[Note], *, rate_hz: int, duration_s: float | None = None) -> NDArray[np.float32]:
    """The notes as sound: (frames,) float32, never above `PEAK`.

    Without `duration_s` the sound ends when the last note has died away; with it, exactly there.
    """
    end_s = max((note.end_s + RELEASE_S for note in notes), default=0.0) if duration_s is None else duration_s
    sound = np.zeros(max(0, round(end_s * rate_hz)), dtype=np.float32)
    for note in notes:
        start = round(note.start_s * rate_hz)
        if not 0 <= start < len(sound):
            continue
        voice = _voice(note, rate_hz=rate_hz)[: len(sound) - start]
        sound[start : start + len(voice)] += voice
    return _below_peak(sound)


def _below_peak(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    peak = max(float(sound.max(initial=0.0)), -float(sound.min(initial=0.0)))
    if peak > PEAK:
        sound *= np.float32(PEAK / peak)
    return sound


def _voice(note: Note, *, rate_hz: int) -> NDArray[np.float32]:
    """One note: (frames,) float32, its release after `end_s` included."""
    held_s = max(note.end_s - note.start_s, ATTACK_S)
    time_s = np.arange(round((held_s + RELEASE_S) * rate_hz)) / rate_hz
    hz = 440.0 * 2.0 ** ((note.pitch - 69) / 12)
    # Reduced to one turn in double precision: single precision would lose the phase of a long note.
    phase = (2 * np.pi * ((hz * time_s) % 1.0)).astype(np.float32)
    decay = np.exp(-DECAY_PER_S * time_s).astype(np.float32)
    voice: NDArray[np.float32] = np.zeros_like(phase)
    for harmonic in range(1, HARMONICS + 1):
        if harmonic * hz >= rate_hz / 2:
            break
        gain = np.float32(harmonic**-ROLL_OFF)
        voice += gain * decay ** np.float32(harmonic**0.5) * np.sin(harmonic * phase)
    gain_of_velocity = np.float32(NOTE_GAIN * (note.velocity / 127) ** 1.5)
    voice *= gain_of_velocity * _envelope(len(voice), held_s=held_s, rate_hz=rate_hz)
    return voice


def _envelope(frames: int, *, held_s: float, rate_hz: int) -> NDArray[np.float32]:
    """Attack and release of one note, raised cosines without a corner that clicks: (frames,) in 0..1."""
    shape = np.ones(frames, dtype=np.float32)
    attack = max(1, round(ATTACK_S * rate_hz))
    held = min(round(held_s * rate_hz), frames)
    shape[:attack] = _ramp(attack)[:frames]
    shape[held:] *= _ramp(frames - held)[::-1]
    return shape


def _ramp(frames: int) -> NDArray[np.float32]:
    turn = (np.arange(frames) + 0.5) / max(frames, 1)
    return (0.5 - 0.5 * np.cos(np.pi * turn)).astype(np.float32)


@dataclass(frozen=True)
class _Stroke:
    """One drum: `tone` and `noise` are gains, `falls` how many octaves the tone drops, decays per second."""

    tone: float
    hz: float
    falls: float
    tone_decay: float
    noise: float
    noise_decay: float
    high_passed: bool = False


_KICK = _Stroke(1.0, 55, 1.2, 14, 0.05, 200)
_SNARE = _Stroke(0.5, 185, 0.3, 22, 0.5, 18)
_CLOSED_HAT = _Stroke(0, 0, 0, 1, 0.35, 45, high_passed=True)
_OPEN_HAT = _Stroke(0, 0, 0, 1, 0.35, 8, high_passed=True)
_CYMBAL = _Stroke(0, 0, 0, 1, 0.4, 3, high_passed=True)
_TOM = _Stroke(0.9, 0, 0.4, 9, 0.08, 60)

# General MIDI percussion keys; toms sound at their own pitch.
_STROKES = {35: _KICK, 36: _KICK, 37: _SNARE, 38: _SNARE, 40: _SNARE, 42: _CLOSED_HAT, 44: _CLOSED_HAT}
_STROKES |= {46: _OPEN_HAT, 49: _CYMBAL, 51: _CYMBAL, 52: _CYMBAL, 53: _CYMBAL, 55: _CYMBAL, 57: _CYMBAL}
_TOM_HZ = {41: 75, 43: 90, 45: 110, 47: 130, 48: 155, 50: 185}

STROKE_S = 0.8


def render_drums(hits: Sequence[Note], *, rate_hz: int, duration_s: float) -> NDArray[np.float32]:
    """General MIDI percussion as sound: (frames,) float32, never above `PEAK`."""
    sound = np.zeros(max(0, round(duration_s * rate_hz)), dtype=np.float32)
    strokes: dict[int, NDArray[np.float32]] = {}
    for hit in hits:
        start = round(hit.start_s * rate_hz)
        if not 0 <= start < len(sound):
            continue
        if hit.pitch not in strokes:
            strokes[hit.pitch] = _stroke(hit.pitch, rate_hz)
        stroke = strokes[hit.pitch][: len(sound) - start]
        sound[start : start + len(stroke)] += stroke * np.float32((hit.velocity / 127) ** 1.5)
    return _below_peak(sound)


def _stroke(key: int, rate_hz: int) -> NDArray[np.float32]:
    drum = _STROKES.get(key, _TOM)
    time_s = np.arange(round(STROKE_S * rate_hz)) / rate_hz
    hz = drum.hz or _TOM_HZ.get(key, 120)
    turns = np.cumsum(hz * (1 + (2**drum.falls - 1) * np.exp(-40 * time_s))) / rate_hz
    tone = drum.tone * np.sin(2 * np.pi * turns) * np.exp(-drum.tone_decay * time_s)
    noise = np.random.default_rng(key).standard_normal(len(time_s)) / 3
    if drum.high_passed:
        noise = np.diff(noise, n=2, append=[0.0, 0.0]) / 2
    stroke = tone + drum.noise * noise * np.exp(-drum.noise_decay * time_s)
    ending = _ramp(max(1, round(0.05 * rate_hz)))[::-1]
    stroke[-len(ending) :] *= ending
    return (0.5 * stroke).astype(np.float32)


# The demo's four bars, A minor - F - C - G: one row a bar, times in beats within it.
_CHORDS = ((57, 60, 64), (53, 57, 60), (55, 60, 64), (55, 59, 62))
_BASS = (45, 41, 48, 43)
_BASS_BEATS = (0.0, 1.5, 2.0, 3.5)
_MELODY: tuple[tuple[tuple[float, float, int], ...], ...] = (
    ((0.0, 1.0, 76), (1.0, 0.5, 74), (1.5, 0.5, 72), (2.0, 1.5, 69), (3.5, 0.5, 71)),
    ((0.0, 1.0, 72), (1.0, 1.0, 77), (2.0, 0.5, 76), (2.5, 0.5, 74), (3.0, 1.0, 72)),
    ((0.0, 1.5, 79), (1.5, 0.5, 76), (2.0, 1.0, 72), (3.0, 0.5, 74), (3.5, 0.5, 76)),
    ((0.0, 1.0, 74), (1.0, 0.5, 71), (1.5, 0.5, 74), (2.0, 2.0, 79)),
)


def demo_loop() -> tuple[list[Note], float]:
    """The loop that `bridge demo` plays and finds again: notes in order of time, and its length in seconds.

    Four bars of 4/4 at `DEMO_BPM`: bass, chords on one and three, melody.
    """
    notes = [note for bar in range(4) for note in (*_bass(bar), *_chords(bar), *_melody(bar))]
    return sorted(notes, key=lambda note: (note.start_s, note.pitch)), DEMO_DURATION_S


def _bass(bar: int) -> list[Note]:
    return [_note(bar, beat, 0.45, _BASS[bar], 100) for beat in _BASS_BEATS]


def _chords(bar: int) -> list[Note]:
    return [_note(bar, beat, 1.0, pitch, 72) for beat in (0.0, 2.0) for pitch in _CHORDS[bar]]


def _melody(bar: int) -> list[Note]:
    return [_note(bar, beat, beats * 0.9, pitch, 96) for beat, beats, pitch in _MELODY[bar]]


def _note(bar: int, beat: float, beats: float, pitch: int, velocity: int) -> Note:
    start_s = (4 * bar + beat) * 60 / DEMO_BPM
    return Note(start_s, start_s + beats * 60 / DEMO_BPM, pitch, velocity, 1.0)
