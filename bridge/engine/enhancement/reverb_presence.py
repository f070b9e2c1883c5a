"""Is there reverb at all? Two measures that keep dry sound and held tones as they are.

A room does the same to all that sounds in it, so a filter fitted to some seconds also predicts others; what a
dry voice lets be predicted is its own at each moment. And reverb dies away: what is taken from tones that
do not is not reverb but the tone itself, which for a filter is the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.enhancement.reverb_frames import HOP_S, Spectra
from bridge.engine.enhancement.wpe import NOTHING, Power, fitted, frames_before, power, predicted, weights

Bools = npt.NDArray[np.bool_]

SPEECH_HZ: Final = (100.0, 8_000.0)
EACH: Final = 3
"""Every third bin tells as much as all."""
TURN_S: Final = 1.0
TAPS, DELAY = 6, 3
BINS_AT_ONCE: Final = 32
MOST_FRAMES: Final = 640
"""Ten seconds out of a longer window are enough."""
SPAN: Final = 5
HELD_DB: Final = 1.5
"""A frame is held if its power falls less than this within `SPAN` frames: 80 ms, 2.4 dB in a room of 2 s."""
QUIET_DB: Final = 40.0


def foretold_db(
    spectra: Spectra, hertz: npt.NDArray[np.float64], floor_db: float, check: Callable[[], None]
) -> float:
    """By how much a filter fitted to every other second lowers the seconds between, in dB, mean over bins.

    About 0 for a dry voice, 0.3 and more for one in a room; in two channels 0.8 and more.
    """
    used = np.flatnonzero((hertz >= SPEECH_HZ[0]) & (hertz <= SPEECH_HZ[1]))[::EACH]
    some = spectra[used, :, _loudest(spectra)]
    turn = (np.arange(some.shape[-1]) // round(TURN_S / HOP_S)) % 2
    if not len(used) or not turn.any():
        return 0.0
    gains = []
    for at in range(0, len(some), BINS_AT_ONCE):
        group = some[at : at + BINS_AT_ONCE]
        before = frames_before(group, TAPS, DELAY)
        for known in (turn == 0, turn == 1):
            check()
            gains.append(_foretold(group, before, known, floor_db))
    return float(np.concatenate(gains).mean())


def _loudest(spectra: Spectra) -> slice:
    """The stretch of at most `MOST_FRAMES` with most power."""
    count = spectra.shape[-1]
    if count <= MOST_FRAMES:
        return slice(0, count)
    total = np.cumsum(np.square(np.abs(spectra[::EACH])).sum(axis=(0, 1), dtype=np.float64))
    start = int(np.argmax(total[MOST_FRAMES:] - total[:-MOST_FRAMES]))
    return slice(start, start + MOST_FRAMES)


def _foretold(spectra: Spectra, before: Spectra, known: Bools, floor_db: float) -> Power:
    left = spectra
    for _ in range(2):
        left = spectra - predicted(fitted(before, spectra, weights(left, floor_db) * known), before)
    old, new = power(spectra), power(left)
    floor = old.max(axis=1, keepdims=True) * np.float32(10 ** (-floor_db / 10)) + NOTHING
    found: Power = 10 * np.log10((old + floor) / (new + floor))[:, ~known].mean(axis=1)
    return found


def taken_from_held_db(spectra: Spectra, late: Spectra, hertz: npt.NDArray[np.float64]) -> float:
    """How much weaker taking `late` away makes what does not die away, in dB.

    Up to 1.3 dB for speech in rooms, 2 for singing and drums, 2.6 and more for instruments that hold tones.
    """
    used = (hertz >= SPEECH_HZ[0]) & (hertz <= SPEECH_HZ[1])
    old, new = power(spectra[used]), power(spectra[used] - late[used])
    if not old.size or not old.any():
        return 0.0
    loud = old > old.max(axis=1, keepdims=True) * np.float32(10 ** (-QUIET_DB / 10))
    held = loud & (_falls_db(old) < HELD_DB)
    kept, left = float(old[held].sum()), float(new[held].sum())
    return 10 * float(np.log10((kept + float(NOTHING)) / (left + float(NOTHING))))


def _falls_db(own: Power) -> Power:
    """How far the power has fallen within `SPAN` frames, smoothed over three bins and `SPAN` frames."""
    wide = np.pad(own, ((1, 1), (0, 0)), mode="edge")
    wide = wide[:-2] + wide[1:-1] + wide[2:]
    reach = SPAN // 2
    sums = np.cumsum(np.pad(wide, ((0, 0), (reach + 1, reach)), mode="edge"), axis=1, dtype=np.float64)
    smooth = np.maximum(sums[:, SPAN:] - sums[:, :-SPAN], 0) + float(NOTHING)
    before = np.pad(smooth, ((0, 0), (SPAN, 0)), mode="edge")[:, :-SPAN]
    found: Power = (10 * np.log10(before / smooth)).astype(np.float32)
    return found
