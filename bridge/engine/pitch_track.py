"""The pitch of one voice over time, by the swift-f0 network, and how loud and how new the sound is.

The network (Nieradzik, "SwiftF0", arXiv 2508.18440) takes mono audio at 16 kHz, makes its own spectrogram and
answers with one pitch (46.9 to 2,093.7 Hz) and one confidence every 256 samples; frame f is centred on sample
f * 256. It sees 11 frames back and 10 ahead, so windows that overlap by as many give what one run over the
whole would.

Beside it stand two finer curves made from the samples, in which the notes' beginnings are found: the level in
2 ms steps, and the novelty (spectral flux: how much louder the bands of a spectrum become) in 4 ms steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

RATE_HZ = 16_000
FRAME_HOP = 256
FRAME_S = FRAME_HOP / RATE_HZ
LOWEST_HZ, HIGHEST_HZ = 46.875, 2093.75
FRAMES_BEFORE, FRAMES_AFTER = 11, 10  # what one frame of the answer depends on
WINDOW_FRAMES = 256
SILENCE_PEAK = 1e-3  # below it the network answers at random

LEVEL_HOP = 32
LEVEL_S = LEVEL_HOP / RATE_HZ
LEVEL_FLOOR_DB = -100.0
STEPS_PER_DB = 2

NOVELTY_HOP = 64
NOVELTY_S = NOVELTY_HOP / RATE_HZ
SPECTRUM_SAMPLES = 512
BANDS = 40
LOWEST_BAND_HZ, HIGHEST_BAND_HZ = 80.0, 7600.0
BAND_FLOOR_DB = -80.0
NOVELTY_LAG = 4  # spectra that a rise is measured over
NOVELTY_STEPS = 8  # a decibel
SPECTRA_BEFORE = NOVELTY_LAG

Samples = NDArray[np.float32]
Floats = NDArray[np.float32]
Levels = NDArray[np.uint8]


@dataclass(frozen=True)
class PitchTrack:
    """One voice of `samples` samples at 16 kHz.

    `hz` and `confidence` (0..1) are (frames,) float32: frame f is centred on sample f * 256.
    `level` is (steps,) uint8, half decibels over -100 dB: the mean power of samples 32 s to 32 s + 31.
    `novelty` is (steps,) uint8, eighths of a decibel: how much the bands of the spectrum around sample
    64 n rose within 16 ms, on average over the bands.
    """

    hz: Floats
    confidence: Floats
    level: Levels
    novelty: Levels
    samples: int

    @property
    def duration_s(self) -> float:
        return self.samples / RATE_HZ

    @property
    def level_db(self) -> Floats:
        return self.level.astype(np.float32) / np.float32(STEPS_PER_DB) + np.float32(LEVEL_FLOOR_DB)

    @property
    def novelty_db(self) -> Floats:
        return self.novelty.astype(np.float32) / np.float32(NOVELTY_STEPS)


def listen(
    blocks: Iterable[Samples],
    *,
    model: Path,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[int], None] = lambda _samples: None,
) -> PitchTrack:
    """Runs the network over mono blocks at 16 kHz, in bounded memory but for the result.

    `model` is the graph that `bridge.engine.graphs.swift_f0` builds. The result does not depend on the sizes
    of the blocks. `check` is called before each window (4 s) and may raise to cancel; `tell` hears how many
    samples are done.
    """
    session = _session(str(model))
    parts: list[tuple[Floats, Floats, Levels, Levels]] = []
    samples = 0
    for window in _windows(blocks):
        check()
        parts.append((*_pitches(session, window), _levels(window), _novelties(window)))
        samples += window.frames_samples
        tell(samples)
    hz, confidence, level, novelty = (
        np.concatenate([part[which] for part in parts] or [np.empty(0, kind)])
        for which, kind in enumerate((np.float32, np.float32, np.uint8, np.uint8))
    )
    return PitchTrack(hz, confidence, level, novelty, samples)


def warm(model: Path) -> None:
    """Loads the network ahead of the first job."""
    _session(str(model))


@lru_cache(maxsize=1)
def _session(model: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The arena would keep its largest size for as long as the process lives.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class _Window:
    """`sound` from `before` frames ahead of the frames that are kept; the last window may be shorter."""

    sound: Samples
    before: int  # frames of context that exist: none at the audio's start
    frames_samples: int  # samples that the kept frames stand for

    @property
    def kept(self) -> slice:
        return slice(self.before, self.before + -(-self.frames_samples // FRAME_HOP))


def _windows(blocks: Iterable[Samples]) -> Iterator[_Window]:
    """Windows of `WINDOW_FRAMES` kept frames, with what a frame depends on at both ends."""
    waiting: list[Samples] = []
    have, before = 0, 0
    size, after = WINDOW_FRAMES * FRAME_HOP, FRAMES_AFTER * FRAME_HOP
    for block in blocks:
        waiting.append(block)
        have += len(block)
        if have < before * FRAME_HOP + size + after:
            continue
        sound = np.concatenate(waiting)
        while len(sound) >= before * FRAME_HOP + size + after:
            yield _Window(sound[: before * FRAME_HOP + size + after], before, size)
            sound = sound[before * FRAME_HOP + size - FRAMES_BEFORE * FRAME_HOP :]
            before = FRAMES_BEFORE
        waiting, have = [sound], len(sound)
    sound = np.concatenate([np.empty(0, np.float32), *waiting])
    yield from _rest(sound, before)


def _rest(sound: Samples, before: int) -> Iterator[_Window]:
    """What is left after the whole windows, filled up with silence to whole frames: one window or two."""
    while (left := len(sound) - before * FRAME_HOP) > 0:
        size = min(left, WINDOW_FRAMES * FRAME_HOP)
        fill = np.zeros(-len(sound) % FRAME_HOP, np.float32)
        yield _Window(np.concatenate([sound, fill]), before, size)
        sound = sound[before * FRAME_HOP + size - FRAMES_BEFORE * FRAME_HOP :]
        before = FRAMES_BEFORE


def _pitches(session: Any, window: _Window) -> tuple[Floats, Floats]:
    """The kept frames' pitch in Hz and confidence."""
    hz, confidence = session.run(("pitch", "confidence"), {"audio": window.sound[np.newaxis]})
    peak = np.abs(window.sound.reshape(-1, FRAME_HOP)).max(axis=1)[window.kept]
    sure = np.where(peak < SILENCE_PEAK, 0, np.nan_to_num(confidence[0, window.kept]))
    pitch = np.nan_to_num(hz[0, window.kept], nan=LOWEST_HZ)
    return pitch.astype(np.float32), np.clip(sure, 0, 1).astype(np.float32)


def _levels(window: _Window) -> Levels:
    first = window.before * FRAME_HOP
    steps = window.sound[first:][: -(-window.frames_samples // FRAME_HOP) * FRAME_HOP].reshape(-1, LEVEL_HOP)
    power = np.einsum("ij,ij->i", steps, steps, dtype=np.float64) / LEVEL_HOP
    decibels = 10 * np.log10(np.maximum(np.nan_to_num(power), 1e-12))
    packed: Levels = np.clip(np.rint((decibels - LEVEL_FLOOR_DB) * STEPS_PER_DB), 0, 255).astype(np.uint8)
    return packed


def _novelties(window: _Window) -> Levels:
    """The rise of each band against the loudest of it and its neighbours 16 ms before, so that a vibrato,
    which moves between bands, is no novelty (after Böck and Widmer, "Maximum filter vibrato suppression for
    onset detection", DAFx 2013)."""
    bands = _bands(window)
    reference = bands[:-NOVELTY_LAG].copy()
    np.maximum(reference[:, 1:], bands[:-NOVELTY_LAG, :-1], out=reference[:, 1:])
    np.maximum(reference[:, :-1], bands[:-NOVELTY_LAG, 1:], out=reference[:, :-1])
    rise = np.maximum(bands[NOVELTY_LAG:] - reference, 0).mean(axis=1)
    packed: Levels = np.clip(np.rint(rise * NOVELTY_STEPS), 0, 255).astype(np.uint8)
    return packed


def _bands(window: _Window) -> Floats:
    """(NOVELTY_LAG + steps, BANDS): the level of each band in dB around every 64th sample."""
    steps = -(-window.frames_samples // FRAME_HOP) * FRAME_HOP // NOVELTY_HOP
    reach = SPECTRUM_SAMPLES // 2
    first = window.before * FRAME_HOP - NOVELTY_LAG * NOVELTY_HOP - reach
    last = first + (NOVELTY_LAG + steps - 1) * NOVELTY_HOP + SPECTRUM_SAMPLES
    sound = window.sound[max(first, 0) : max(last, 0)]
    sound = np.pad(sound, (max(-first, 0), max(last - len(window.sound), 0)))
    spans = np.lib.stride_tricks.sliding_window_view(sound, SPECTRUM_SAMPLES)[::NOVELTY_HOP]
    spectra = np.fft.rfft(spans * _hann(), axis=1)
    power = (spectra.real**2 + spectra.imag**2).astype(np.float32) @ _filters()
    floor = np.float32(10 ** (BAND_FLOOR_DB / 10))
    decibels: Floats = 10 * np.log10(power + floor)
    return decibels


@lru_cache(maxsize=1)
def _hann() -> Floats:
    """A Hann window under which a full-scale sine has the power 1."""
    window = np.hanning(SPECTRUM_SAMPLES + 1)[:-1]
    return np.asarray(window * (2 / window.sum()), dtype=np.float32)


@lru_cache(maxsize=1)
def _filters() -> Floats:
    """(bins, BANDS): triangles, evenly spaced in pitch, each at least one bin wide."""
    centres = np.geomspace(LOWEST_BAND_HZ, HIGHEST_BAND_HZ, BANDS + 2)
    bin_hz = RATE_HZ / SPECTRUM_SAMPLES
    hz = np.arange(SPECTRUM_SAMPLES // 2 + 1)[:, np.newaxis] * bin_hz
    below = np.maximum(centres[1:-1] - centres[:-2], bin_hz)
    above = np.maximum(centres[2:] - centres[1:-1], bin_hz)
    distance = hz - centres[1:-1]
    shape = np.where(distance < 0, 1 + distance / below, 1 - distance / above)
    return np.maximum(shape, 0).astype(np.float32)
