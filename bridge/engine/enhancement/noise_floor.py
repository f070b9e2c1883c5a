"""The steady noise under a recording: its spectrum, and how that changes slowly. None where there is none.

Quantiles in place of the minima of R. Martin ("Noise power spectral density estimation based on optimal
smoothing and minimum statistics", 2001): in each bin the quietest moments of half a minute are noise alone,
if there is noise. Whether there is, their spread says: that of noise is known, that of decaying notes is
many times as wide.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from bridge.engine.enhancement.noise_frames import Floats, Framing, Spectra, power

BOX_WINDOWS: Final = 8
"""Windows whose mean power is one number of the statistics: about a seventh of a second."""
UNIT_BOXES: Final = 40
"""Boxes from one row of the floor to the next: about six seconds."""
UNITS_AROUND: Final = 2
FEWEST_BOXES: Final = 10
LOW: Final = 0.05
HIGH: Final = 0.2
LOW_DB: Final = -4.58
SPREAD_DB: Final = 2.11
"""Of steady noise in such boxes: its lower quantile over its mean power, the upper one over the lower."""
MOST_SPREAD_DB: Final = 1.3
"""Over `SPREAD_DB`, around a bin."""
BINS_AROUND: Final = 12
LEAST_TRUSTED: Final = 0.15
"""Where fewer of a recording's bins look like noise, it has none worth the name."""
SILENCE: Final = 1e-11
"""Mean square below which a box holds no sound at all: -110 dBFS."""
TINY: Final = 1e-20


@dataclass(frozen=True)
class Floor:
    """`rows` (channels, rows, bins) is the noise's mean power in one window; 0: unknown, nothing to remove.

    Row r stands for the windows around `(r + 0.5) * BOX_WINDOWS * UNIT_BOXES`.
    """

    rows: Floats

    def at(self, first: int, count: int) -> Floats:
        """(channels, count, bins): the noise in `count` windows from `first` on."""
        last = self.rows.shape[1] - 1
        place = (np.arange(first, first + count) + 0.5) / (BOX_WINDOWS * UNIT_BOXES) - 0.5
        place = np.clip(place, 0, last)
        below = np.minimum(place.astype(np.intp), max(0, last - 1))
        share = (place - below).astype(np.float32)[:, np.newaxis]
        above = np.minimum(below + 1, last)
        found: Floats = self.rows[:, below] * (1 - share) + self.rows[:, above] * share
        return found

    @property
    def is_quiet(self) -> bool:
        return not self.rows.any()


def heard_floor(stream: Iterable[Spectra], framing: Framing) -> Floor:
    """The floor under all of the stream, which is read once and not kept."""
    low, spread = [], []
    for boxes in _surroundings(_units(stream)):
        quantiles = [_quantiles(channel, framing) for channel in boxes]
        low.append(np.stack([one for one, _ in quantiles]))
        spread.append(np.stack([other for _, other in quantiles]))
    if not low:
        return Floor(np.zeros((1, 1, framing.bins), np.float32))
    return _trusted(np.stack(low, axis=1), np.stack(spread, axis=1))


def _units(stream: Iterable[Spectra]) -> Iterator[Floats]:
    """Mean powers of `BOX_WINDOWS` windows each, (channels, boxes, bins); `UNIT_BOXES` but in the last."""
    held: Floats | None = None
    boxes: list[Floats] = []
    count = 0
    for some in stream:
        now = power(some)
        held = now if held is None else np.concatenate([held, now], axis=1)
        whole = held.shape[1] // BOX_WINDOWS * BOX_WINDOWS
        made = held[:, :whole].reshape(len(held), -1, BOX_WINDOWS, held.shape[2]).mean(axis=2)
        held = held[:, whole:]
        boxes.append(made)
        count += made.shape[1]
        if count >= UNIT_BOXES:
            joined = np.concatenate(boxes, axis=1)
            while joined.shape[1] >= UNIT_BOXES:
                yield joined[:, :UNIT_BOXES]
                joined = joined[:, UNIT_BOXES:]
            boxes, count = [joined], joined.shape[1]
    if count:
        yield np.concatenate(boxes, axis=1)


def _surroundings(units: Iterable[Floats]) -> Iterator[Floats]:
    """For each unit those from two before to two behind it, in one."""
    near: deque[Floats] = deque(maxlen=2 * UNITS_AROUND + 1)
    ahead = 0
    for unit in units:
        near.append(unit)
        ahead += 1
        if ahead > UNITS_AROUND:
            yield np.concatenate(near, axis=1)
            ahead -= 1
    for _ in range(ahead):
        yield np.concatenate(near, axis=1)
        if len(near) > UNITS_AROUND + 1:
            near.popleft()


def _quantiles(boxes: Floats, framing: Framing) -> tuple[Floats, Floats]:
    """Around each bin the lower quantile in dB, and how far above it the upper one lies; NaN: not known."""
    # The sum over the bins is half that over the whole circle.
    level = boxes.sum(axis=1) * (4 / framing.window / framing.size)
    sounding = boxes[level > SILENCE]
    if len(sounding) < FEWEST_BOXES:
        unknown = np.full(boxes.shape[1], np.nan, np.float32)
        return unknown, unknown
    at = (round(LOW * (len(sounding) - 1)), round(HIGH * (len(sounding) - 1)))
    ranked = np.partition(sounding, at, axis=0)
    low, high = (10 * np.log10(np.maximum(ranked[place], TINY)) for place in at)
    return _smooth(low), _smooth(high - low)


def _smooth(row: Floats) -> Floats:
    """Without what only few bins have: held tones are no noise."""
    smooth: Floats = ndimage.median_filter(row, 2 * BINS_AROUND + 1, mode="reflect")
    return smooth


def _trusted(low: Floats, spread: Floats) -> Floor:
    """The floor where the quietest moments look like noise, carried over to where they do not."""
    is_noise = spread < SPREAD_DB + MOST_SPREAD_DB
    if is_noise.mean() < LEAST_TRUSTED:
        return Floor(np.zeros_like(low))
    # Never more than what is heard there, and nothing where nothing is known.
    filled = np.fmin(_carried(np.where(is_noise, low, np.nan)), low)
    powers = 10 ** ((np.nan_to_num(filled, nan=-np.inf) - LOW_DB) / 10)
    return Floor(powers.astype(np.float32))


def _carried(rows: Floats) -> Floats:
    """Gaps filled by the nearest row in time that knows, and then by the nearest bins that do."""
    channels, count, bins = rows.shape
    made = rows.copy()
    for channel in range(channels):
        for bin_ in np.flatnonzero(np.isnan(made[channel]).any(axis=0)):
            column = made[channel, :, bin_]
            known = np.flatnonzero(~np.isnan(column))
            if len(known):
                made[channel, :, bin_] = np.interp(np.arange(count), known, column[known])
        for row in made[channel]:
            known = np.flatnonzero(~np.isnan(row))
            if len(known):
                row[:] = np.interp(np.arange(bins), known, row[known])
    return made
