"""Where sounds begin abruptly: drum hits, plucked strings, plosives. One pass, in bounded memory.

A candidate is a peak of the spectral flux in decibels (the mean rise of logarithmic bands over two hops;
after Bello et al., "A tutorial on onset detection in music signals", 2005). It counts if the sound also
becomes abruptly louder when looked at in milliseconds, and that place is the attack: nothing of it sounds
before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.fitting_passes import Check
from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

FRAME_S: Final = 0.0213
FRAMES_PER_WINDOW: Final = 128
HOPS_PER_FRAME: Final = 4
BACK: Final = 2
"""A rise is measured against so many hops before."""

LOWEST_HZ, BANDS_PER_OCTAVE, LEAST_BINS = 60.0, 2.5, 2
FLOOR: Final = 1e-6
"""Of the loudest band nearby: what is quieter is not heard."""
LEAST_POWER: Final = 1e-10
MOST_RISE_DB: Final = 20.0
LEAST_RISE_DB: Final = 2.5
APART_S: Final = 0.06
"""Two attacks that are nearer count as one."""

BEFORE_S, AFTER_S = 0.006, 0.002
"""How loud it is: before an attack, and from it on."""
LOOK_BACK_S, LOOK_ON_S = 0.018, 0.010
LEAST_STEP: Final = 6.0
"""So many times as much power comes at once."""
LEAD_S: Final = 0.0005

Powers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Attacks:
    """What one pass over a sound has found: how many `frames` it has, and at which the attacks begin.

    Each is found `lead` frames too early, so that nothing of it is missed.
    """

    frames: int
    at: tuple[int, ...]
    lead: int = 0


def find_attacks(blocks: Iterable[Samples], rate_hz: int, check: Check) -> Attacks:
    """The attacks in blocks of (frames, channels), of all channels together; `check` may raise."""
    size = 1 << max(6, round(np.log2(FRAME_S * rate_hz)))
    hop = size // HOPS_PER_FRAME
    context = size + round((LOOK_BACK_S + LOOK_ON_S + BEFORE_S + AFTER_S) * rate_hz) + (BACK + 2) * hop
    overlap = -(-context // hop) * hop
    bands = _bands(size, rate_hz)
    frames, begin = 0, 0
    found: list[tuple[int, float]] = []
    for window in in_blocks(blocks, FRAMES_PER_WINDOW * hop + overlap, overlap):
        check()
        found += [(begin + at, step) for at, step in _in_window(window, rate_hz, size, bands)]
        frames = begin + len(window)
        begin += FRAMES_PER_WINDOW * hop
    return Attacks(frames, _apart(found, round(APART_S * rate_hz)), round(LEAD_S * rate_hz))


def _in_window(sound: Samples, rate_hz: int, size: int, bands: Powers) -> list[tuple[int, float]]:
    """Each attack's place in the window, and how big its step is."""
    clean = np.nan_to_num(sound, posinf=0.0, neginf=0.0)
    hop = size // HOPS_PER_FRAME
    # With silence in front, so that the first frame's attack is one too.
    rises = _rises(np.pad(clean, ((size, 0), (0, 0))), size, bands)
    inner = rises[1:-1]
    is_peak = (inner >= LEAST_RISE_DB) & (inner >= rises[:-2]) & (inner > rises[2:])
    power = np.stack([_power(clean), _power(np.diff(clean, axis=0, prepend=clean[:1]))])
    found = (
        _step(power, (int(number) + 1 + BACK) * hop - size // 2, rate_hz)
        for number in np.flatnonzero(is_peak)
    )
    return [one for one in found if one is not None]


def _rises(sound: Samples, size: int, bands: Powers) -> Powers:
    """(frames - BACK,) the mean rise of all bands, in decibels."""
    hop = size // HOPS_PER_FRAME
    if len(sound) < size + BACK * hop:
        return np.zeros(2, np.float32)
    shape = np.hanning(size).astype(np.float32)
    framed = np.lib.stride_tricks.sliding_window_view(sound, size, axis=0)[::hop]
    power = np.zeros((len(framed), bands.shape[1]), np.float32)
    for channel in range(sound.shape[1]):
        spectrum = np.fft.rfft(framed[:, channel] * shape, axis=1)
        power += (np.square(spectrum.real) + np.square(spectrum.imag)).astype(np.float32) @ bands
    level = 10 * np.log10(power + max(LEAST_POWER * size, FLOOR * float(power.max())))
    rise = np.clip(level[BACK:] - level[:-BACK], 0, MOST_RISE_DB)
    mean: Powers = rise.mean(axis=1).astype(np.float32)
    return mean


def _bands(size: int, rate_hz: int) -> Powers:
    """(bins, bands): which bins belong to a band; each is the mean of its bins."""
    edges, bin_hz = [round(LOWEST_HZ * size / rate_hz)], rate_hz / size
    while edges[-1] < size // 2:
        wide = edges[-1] * 2 ** (1 / BANDS_PER_OCTAVE)
        edges.append(min(size // 2, max(edges[-1] + LEAST_BINS, round(wide))))
        if edges[-1] * bin_hz > 16_000:  # noqa: PLR2004 - there is little above
            break
    bands = np.zeros((size // 2 + 1, len(edges) - 1), np.float32)
    for band, (low, high) in enumerate(pairwise(edges)):
        bands[low:high, band] = 1 / (high - low)
    return bands


def _power(sound: Samples) -> npt.NDArray[np.float64]:
    """The power of all channels up to each frame: (frames + 1,)."""
    return np.concatenate([[0.0], np.cumsum(np.square(sound, dtype=np.float64).sum(axis=1))])


def _step(power: npt.NDArray[np.float64], at: int, rate_hz: int) -> tuple[int, float] | None:
    """Where near `at` the power makes its biggest step, and how big; None if it makes none.

    `power` are sums as of `_power`: of the sound, and of its slope, in which high tones weigh more.
    """
    before, after = max(2, round(BEFORE_S * rate_hz)), max(1, round(AFTER_S * rate_hz))
    first = max(at - round(LOOK_BACK_S * rate_hz), 0)
    last = min(at + round(LOOK_ON_S * rate_hz), power.shape[1] - 1 - after)
    if last <= first:
        return None
    here = np.arange(first, last)
    old = power[:, here] - power[:, np.maximum(here - before, 0)]
    new = power[:, here + after] - power[:, here]
    floor = 1e-3 * new.max(axis=1, keepdims=True) / after + LEAST_POWER
    steps = (new / after + floor) / (old / before + floor)
    best = int(np.argmax(steps.max(axis=1)))
    # The last of equals: a click alone makes the same step as long as it is looked at.
    where = int(np.flatnonzero(steps[best] >= 0.999 * steps[best].max())[-1])
    size = float(steps[best, where])
    return (max(0, int(here[where]) - round(LEAD_S * rate_hz)), size) if size >= LEAST_STEP else None


def _apart(found: list[tuple[int, float]], apart: int) -> tuple[int, ...]:
    """Of those that are near one another the biggest."""
    kept: list[tuple[int, float]] = []
    for at, step in sorted(found):
        if not kept or at - kept[-1][0] >= apart:
            kept.append((at, step))
        elif step > kept[-1][1]:
            kept[-1] = (at, step)
    return tuple(at for at, _ in kept)
