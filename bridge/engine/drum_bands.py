"""How loud 26 bands of the sound are, every 256 samples: what the drum network looks at. Pure.

Frame f is centred on sample f * 256. The low bands come from a long window, which tells a kick from a tom,
the others from a short one, which tells when.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 44_100
HOP = 256
FRAME_S = HOP / RATE_HZ
LONG, SHORT = 2048, 1024
BESIDE = LONG // 2  # samples that a frame depends on, to either side
WINDOW_FRAMES = 1024

STEPS_PER_DB = 2
FLOOR_DB = -110.0

# A third of an octave each; what lies above the last edge is not looked at.
LOW_EDGES_HZ = (30, 50, 70, 90, 115, 145, 180, 225, 280, 350, 440, 550, 700)
HIGH_EDGES_HZ = (700, 880, 1100, 1400, 1760, 2200, 2800, 3500, 4400, 5500, 7000, 8800, 11_000, 14_000, 18_000)
BANDS = len(LOW_EDGES_HZ) + len(HIGH_EDGES_HZ) - 2

Samples = NDArray[np.float32]
Levels = NDArray[np.uint8]


def windows(blocks: Iterable[Samples]) -> Iterator[tuple[Samples, int]]:
    """Stretches of sound with `BESIDE` samples around their frames, and how many of their samples are new.

    They are the same whatever the sizes of the blocks. Before the audio and after it there is silence.
    """
    size = WINDOW_FRAMES * HOP
    waiting: list[Samples] = [np.zeros(BESIDE, np.float32)]
    have = BESIDE
    for block in blocks:
        waiting.append(block)
        have += len(block)
        if have < size + 2 * BESIDE:
            continue
        sound = np.concatenate(waiting)
        while len(sound) >= size + 2 * BESIDE:
            yield sound[: size + 2 * BESIDE], size
            sound = sound[size:]
        waiting, have = [sound], len(sound)
    sound = np.concatenate(waiting)
    while (left := len(sound) - BESIDE) > 0:
        fresh = min(left, size)
        whole = -(-fresh // HOP) * HOP + 2 * BESIDE
        yield np.pad(sound[:whole], (0, max(0, whole - len(sound)))), fresh
        sound = sound[size:]


def levels(sound: Samples) -> Levels:
    """(frames, `BANDS`) half decibels over `FLOOR_DB`, for the frames at `BESIDE`, `BESIDE` + `HOP` … of a
    stretch of sound."""
    sound = np.nan_to_num(sound, posinf=0.0, neginf=0.0)
    power = [_powers(sound, size, edges) for size, edges in ((LONG, LOW_EDGES_HZ), (SHORT, HIGH_EDGES_HZ))]
    decibels = 10 * np.log10(np.maximum(np.concatenate(power, axis=1), np.float32(1e-12)))
    return np.clip(np.rint((decibels - FLOOR_DB) * STEPS_PER_DB), 0, 255).astype(np.uint8)


def _powers(sound: Samples, size: int, edges_hz: tuple[int, ...]) -> NDArray[np.float32]:
    begins = BESIDE - size // 2
    count = (len(sound) - 2 * BESIDE) // HOP
    framed = np.lib.stride_tricks.sliding_window_view(sound[begins:], size)[: count * HOP : HOP]
    window, bands = _analysis(size, edges_hz)
    spectrum = np.fft.rfft(framed * window, axis=1)[:, : len(bands)]
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)
    result: NDArray[np.float32] = power @ bands
    return result


@lru_cache(maxsize=2)
def _analysis(size: int, edges_hz: tuple[int, ...]) -> tuple[Samples, NDArray[np.float32]]:
    """A Hann window whose spectrum shows a full-scale sine as 0 dB, and each bin's share in each band."""
    window = np.hanning(size + 1)[:-1]
    bin_hz = RATE_HZ / size
    edges = np.asarray(edges_hz) / bin_hz
    bins = np.arange(int(np.ceil(edges[-1])) + 1)[:, np.newaxis]
    shares = np.clip(np.minimum(bins + 0.5, edges[1:]) - np.maximum(bins - 0.5, edges[:-1]), 0, 1)
    return (window / (window.sum() / 2)).astype(np.float32), shares.astype(np.float32)
