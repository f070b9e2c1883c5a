"""Gains in dB along a sound, worked out on its measured grains and not on its samples.

A gain has one value for each edge between grains (grains + 1 in all), with straight lines in between. The
limiter looks ahead: what a grain asks for is reached smoothly before it, so nothing is clipped. Its release
is a straight line in dB, slow where it has been at work for long, so that bass does not rattle in it, and
quick after a single beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy import ndimage, signal

from bridge.engine.mastering.loudness import (
    ABSOLUTE_GATE_LUFS,
    OFFSET_LUFS,
    SILENCE_DB,
    Grid,
    Measured,
    Numbers,
    Singles,
    gated,
    singles,
)

Check = Callable[[], None]

GLUE_RATIO: Final = 1.4
HIGHEST_RATIO: Final = 2.5
GLUE_KNEE_DB, GLUE_BELOW_LU, GLUE_MOST_DB = 8.0, 1.0, 5.0
GLUE_FAST_S, GLUE_SLOW_S = 0.015, 0.2
SPREAD_S, SPREAD_PERCENTILES = 0.4, (25.0, 95.0)

LOOK_AHEAD_S: Final = 0.0015
QUICK_RELEASE_DB_S, SLOW_RELEASE_DB_S = 60.0, 12.0
PERIOD_S, HELD_S = 0.025, 0.1
"""Peaks no further apart than a deep bass's periods, for longer than the latter, are let go slowly."""
MOST_LIMITED_DB, MOST_LIMITED_SHARE = 12.0, 0.01
"""Further than this for more than that share of the time, a limiter is heard as one."""

SEGMENT_GRAINS, WARM_UP_S = 1 << 19, 5.0
STEPS: Final = 16
MOST_GAIN_DB: Final = 40.0


@dataclass(frozen=True)
class Level:
    """A gain for the whole, what the limiter does with it, and what is reached.

    `too`: "dynamic" or "quiet" where the mix is too much so for the target.
    """

    gain_db: float
    limits_db: Singles
    loudness_lufs: float
    too: str = ""

    @property
    def limited_db(self) -> float:
        return max(0.0, -float(self.limits_db.min(initial=0.0)))


def no_glue(measured: Measured) -> Singles:
    return np.zeros(len(measured.powers) + 1, np.float32)


def glue(measured: Measured, ratio: float = GLUE_RATIO) -> Singles:
    """A compressor with a soft knee a little below the sound's own loudness: 1 or 2 dB where it is loud.

    It hears the K-weighted level; the quicker of two averages lets it in, the slower one out.
    """
    if measured.loudness_lufs is None or ratio <= 1:
        return no_glue(measured)
    per_s = measured.grid.grains_per_s
    heard = np.maximum(
        _averaged(measured.powers, GLUE_FAST_S * per_s), _averaged(measured.powers, GLUE_SLOW_S * per_s)
    )
    over = _levels(heard) - np.float32(measured.loudness_lufs - GLUE_BELOW_LU)
    half = np.float32(GLUE_KNEE_DB / 2)
    bent = np.where(
        over > half, over, np.square(np.clip(over + half, 0, None)) / np.float32(2 * GLUE_KNEE_DB)
    )
    gains = np.maximum(bent * np.float32(1 / ratio - 1), np.float32(-GLUE_MOST_DB))
    return singles((np.pad(gains, (1, 0), mode="edge") + np.pad(gains, (0, 1), mode="edge")) / 2)


def glue_ratio(own: Measured, reference: Measured) -> float:
    """The ratio that brings how far the levels are apart near to the reference's; 1 if it is as dense."""
    ours, theirs = _spread_db(own), _spread_db(reference)
    if ours is None or theirs is None:
        return 1.0
    return min(HIGHEST_RATIO, max(1.0, ours / max(theirs, 1.0)))


def _spread_db(measured: Measured) -> float | None:
    """Between the loud and the quiet blocks of 400 ms that are heard."""
    steps = measured.steps(measured.powers)
    size = round(SPREAD_S * measured.grid.grains_per_s / measured.grid.step)
    if len(steps) < size:
        return None
    levels = _levels(np.convolve(steps, np.full(size, 1 / size), "valid"))
    heard = levels[levels > max(ABSOLUTE_GATE_LUFS, (measured.loudness_lufs or 0.0) - 20)]
    if not len(heard):
        return None
    quiet, loud = np.percentile(heard, SPREAD_PERCENTILES)
    return float(loud - quiet)


def _averaged(powers: Singles, grains: float) -> Singles:
    keep = np.exp(-1 / grains)
    return singles(signal.lfilter([1 - keep], [1, -keep], powers))


def _levels(powers: Singles | Numbers) -> Singles:
    lowest = 10 ** (SILENCE_DB / 10)
    return singles(OFFSET_LUFS + 10 * np.log10(np.maximum(powers, lowest)))


def limits(wanted: Singles, grid: Grid) -> Singles:
    """The limiter's gain at each edge: at most what `wanted` (one value an edge, 0 or below) allows."""
    if not wanted.min(initial=0.0) < 0:
        return np.zeros(len(wanted), np.float32)
    per_s = grid.grains_per_s
    quick = _released(wanted, QUICK_RELEASE_DB_S / per_s)
    dense = _past(ndimage.minimum_filter1d, wanted, PERIOD_S * per_s)
    held = _past(ndimage.maximum_filter1d, dense, HELD_S * per_s)
    released = np.minimum(quick, _released(held, SLOW_RELEASE_DB_S / per_s))
    ahead = max(1, round(LOOK_AHEAD_S * per_s))
    lowest = ndimage.minimum_filter1d(released, 2 * ahead + 1, mode="nearest")
    window = np.hanning(2 * ahead + 3)[1:-1]
    return singles(ndimage.convolve1d(lowest, window / window.sum(), mode="nearest"))


def _past(extreme: Callable[..., Singles], values: Singles, grains: float) -> Singles:
    """The extreme of each value and of those before it, so many in all; before the first stands 0."""
    size = 2 * round(grains / 2) + 1
    return extreme(values, size, mode="constant", cval=0.0, origin=size // 2)


def _released(wanted: Singles, rise: float) -> Singles:
    """`wanted`, or a line that rises from an earlier, lower one: whichever is lower."""
    line = np.arange(len(wanted)) * rise
    return singles(np.minimum.accumulate(wanted - line) + line)


class Loudener:
    """Finds the gain that makes a measured sound as loud as wanted with its peaks below `ceiling_dbtp`."""

    def __init__(self, measured: Measured, glued: Singles, ceiling_dbtp: float, check: Check) -> None:
        self._measured, self._glued, self._check = measured, glued, check
        # Of each grain the higher glue at its two edges; of each edge the higher peak of its two grains.
        with np.errstate(divide="ignore"):
            peaks = np.maximum(20 * np.log10(measured.peaks), np.float32(SILENCE_DB))
        peaks = peaks + np.maximum(glued[:-1], glued[1:])
        self._peaks = np.maximum(np.pad(peaks, (1, 0), mode="edge"), np.pad(peaks, (0, 1), mode="edge"))
        self._ceiling = np.float32(ceiling_dbtp)
        self._heard = measured.powers > 10 ** ((ABSOLUTE_GATE_LUFS - OFFSET_LUFS) / 10)

    def level(self, target_lufs: float) -> Level:
        """The loudest that is neither above the target nor asks too much of the limiter.

        The sound must have a loudness.
        """
        unlimited = self._try(0.0, np.zeros(len(self._glued), np.float32))
        start = target_lufs - unlimited.loudness_lufs
        highest = float(self._ceiling - self._peaks.max())
        if min(start, MOST_GAIN_DB) <= highest:
            level = self._at(min(start, MOST_GAIN_DB))
            return replace(level, too="quiet" if start > MOST_GAIN_DB else "")
        # At the lowest nothing is limited, or the target is not reached even without a limiter.
        best = self._at(min(start, highest))
        low, high, too = best.gain_db, min(start, MOST_GAIN_DB) + 2 * MOST_LIMITED_DB, ""
        for _ in range(STEPS):
            found = self._at((low + high) / 2)
            if found.loudness_lufs > target_lufs:
                high, too = found.gain_db, ""
            elif found.too:
                high, too = found.gain_db, found.too
            else:
                low, best = found.gain_db, found
        return replace(best, too=too)

    def edges_db(self, level: Level) -> Singles:
        """All gains together, one value an edge."""
        return self._glued + level.limits_db + np.float32(level.gain_db)

    def _at(self, gain_db: float) -> Level:
        return self._try(gain_db, self._limits(gain_db))

    def _try(self, gain_db: float, limited: Singles) -> Level:
        powers = np.concatenate(list(self._powers(limited)))
        loudness = gated(self._measured.steps(powers) * 10 ** (gain_db / 10))
        deep = int(np.count_nonzero((limited[1:] < -MOST_LIMITED_DB) & self._heard))
        too = "dynamic" if deep > MOST_LIMITED_SHARE * int(np.count_nonzero(self._heard)) else ""
        return Level(gain_db, limited, SILENCE_DB if loudness is None else loudness, too)

    def _powers(self, limited: Singles) -> Iterator[Singles]:
        """The mean square of each grain with these gains on it."""
        for at in range(0, len(self._measured.powers), SEGMENT_GRAINS):
            self._check()
            powers = self._measured.powers[at : at + SEGMENT_GRAINS]
            edges = slice(at, at + len(powers) + 1)
            gains = limited[edges] + self._glued[edges]
            yield powers * np.power(10, (gains[:-1] + gains[1:]) / 20, dtype=np.float32)

    def _limits(self, gain_db: float) -> Singles:
        wanted = np.minimum(0, self._ceiling - np.float32(gain_db) - self._peaks)
        return np.concatenate(list(self._segments(wanted)))

    def _segments(self, wanted: Singles) -> Iterator[Singles]:
        """In pieces that begin early enough to know what the release does: no call of numpy is long."""
        grid = self._measured.grid
        early = round(WARM_UP_S * grid.grains_per_s)
        for at in range(0, len(wanted), SEGMENT_GRAINS):
            self._check()
            start, end = max(0, at - early), at + SEGMENT_GRAINS
            yield limits(wanted[start : end + early], grid)[at - start : end - start]
