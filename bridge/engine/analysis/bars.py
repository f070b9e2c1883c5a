"""Which beats begin bars, how many a bar has, and whether every beat was found or every second one.

The network hears beats well and bars less so. What listeners go by beside it is measured at each beat: how
far the sound of the beat differs from the one before (chords mostly change on the first beat of a bar), in
the bass, the middle and the top, and what strikes there. Each reading (a grid of beats, a meter and where its
first bar begins) is scored by a linear model, learnt by `benchmarks.analysis_training`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bridge.engine.analysis.bar_weights import GRID_WEIGHTS, METER_BIAS, PLACE_WEIGHTS
from bridge.engine.analysis.beat_features import BANDS, FRAMES_PER_S

Floats = NDArray[np.float32]
Wide = NDArray[np.float64]

METERS: Final = (4, 3, 6)
"""Beats in a bar: of 4/4 and 3/4 quarters, of 6/8 eighths."""
NAMES: Final = {4: "4/4", 3: "3/4", 6: "6/8"}
FIRST_ROW: Final = {4: 0, 3: 4, 6: 7}
QUARTERS: Final = {4: 1.0, 3: 1.0, 6: 0.5}
"""How long a beat of the grid is."""
FELT: Final = {4: 1.0, 3: 1.0, 6: 1 / 3}
SLOWEST_BPM, FASTEST_BPM, MIDDLE_BPM = 48.0, 220.0, 110.0
"""Of the beat that is felt."""
LOWS, MIDDLES, HIGHS = slice(0, 40), slice(30, 110), slice(90, BANDS)
STRIKES: Final = (slice(0, 25), slice(25, 80), slice(80, BANDS))
MEASURES: Final = 9
LEAST_TO_HALVE: Final = 9
CHANGE_PRICE: Final = 60.0
"""Of a bar that is cut short."""


@dataclass(frozen=True)
class Heard:
    """By frames of 20 ms: `activation` (frames, 2), `bands` (frames, 136), `strikes` (frames, 3)."""

    activation: Floats
    bands: NDArray[np.float16]
    strikes: Floats


@dataclass(frozen=True)
class Reading:
    """Beats in seconds, the meter, the number of each beat in its bar, and how likely meter and grid are."""

    beats_s: Wide
    beats_per_bar: int
    numbers: NDArray[np.int64]
    meter_chance: float
    grid_chance: float


def strikes_of(rises: Floats) -> Floats:
    """(frames, 136) of rising bands to the (frames, 3) of `Heard`."""
    return np.stack([rises[:, part].sum(axis=1) for part in STRIKES], axis=1)


def best_reading(heard: Heard, beats_s: Wide, check: Callable[[], None] = lambda: None) -> Reading:
    """The best reading of beats that were found, at their own tempo or another that goes with it."""
    rows: list[tuple[float, int, int, int]] = []
    grids, measured = list(grids_of(beats_s)), []
    for number, grid in enumerate(grids):
        check()
        measured.append(measures(heard, grid))
        for meter, phase, laid_out, about in readings(heard, grid, measured[number]):
            score = float(
                (laid_out * PLACE_WEIGHTS).sum() + about @ GRID_WEIGHTS + METER_BIAS[METERS.index(meter)]
            )
            rows.append((score, number, meter, phase))
    scores = np.array([row[0] for row in rows])
    chances = np.exp(scores - scores.max())
    chances /= chances.sum()
    _, number, meter, phase = rows[int(scores.argmax())]
    same_meter = np.array([row[2] == meter for row in rows])
    same_grid = np.array([row[1] == number for row in rows])
    return Reading(
        beats_s=grids[number],
        beats_per_bar=meter,
        numbers=_counted(measured[number], meter, phase),
        meter_chance=float(chances[same_meter].sum()),
        grid_chance=float(chances[same_grid].sum()),
    )


def readings(heard: Heard, grid: Wide, measured: Wide) -> Iterator[tuple[int, int, Wide, Wide]]:
    """Every meter and phase of a grid as the model sees it: (13, 9) by place in the bar, (4,) of the grid."""
    bpm = 60 / float(np.median(np.diff(grid)))
    levels = np.log(np.maximum(_peaks(heard.activation.sum(axis=1, keepdims=True), grid), 0.01)).mean()
    between = (grid[1:] + grid[:-1]) / 2
    gaps = np.log(np.maximum(_peaks(heard.activation.sum(axis=1, keepdims=True), between), 0.01)).mean()
    for meter in METERS:
        felt = bpm * FELT[meter]
        if not SLOWEST_BPM <= felt <= FASTEST_BPM or len(grid) < meter:
            continue
        away = np.log2(felt / MIDDLE_BPM)
        about = np.array([away, away**2, levels, gaps])
        for phase in range(meter):
            yield meter, phase, _laid_out(measured, meter, phase), about


def measures(heard: Heard, grid: Wide) -> Wide:
    """(beats, 9), each measure by its own mean and spread."""
    frames = np.clip(np.rint(grid * FRAMES_PER_S).astype(int), 0, len(heard.bands) - 1)
    sounds, pairs = _between(heard.bands, frames)
    beat, downbeat = _peaks(heard.activation, grid).T
    rows = np.stack(
        [
            np.log(downbeat + 0.01) - np.log(beat + 0.01),
            np.log(downbeat + 0.01),
            *(_difference(sounds[:, part], 1) for part in (LOWS, MIDDLES, HIGHS)),
            _difference(pairs[:, 20:110], 2),
            *_peaks(heard.strikes, grid).T,
        ],
        axis=1,
    ).astype(np.float64)
    return np.asarray(np.clip((rows - rows.mean(axis=0)) / (rows.std(axis=0) + 1e-6), -3, 3))


def grids_of(beats_s: Wide) -> Iterator[Wide]:
    """The beats, every second of them, and two or three for each."""
    yield beats_s
    for first in (0, 1):
        if len(beats_s) >= LEAST_TO_HALVE:
            yield beats_s[first::2]
    places = np.arange(len(beats_s))
    for parts in (2, 3):
        yield np.interp(np.arange(parts * (len(beats_s) - 1) + 1) / parts, places, beats_s)


def _laid_out(measured: Wide, meter: int, phase: int) -> Wide:
    rows = np.zeros((sum(METERS), MEASURES))
    places = (np.arange(len(measured)) - phase) % meter
    for place in range(meter):
        rows[FIRST_ROW[meter] + place] = measured[places == place].sum(axis=0) / len(measured)
    return rows


def _counted(measured: Wide, meter: int, phase: int) -> NDArray[np.int64]:
    """Each beat's number in its bar: one by one, but where much speaks for it a bar is cut short."""
    first = FIRST_ROW[meter]
    scores = measured @ PLACE_WEIGHTS[first : first + meter].T
    score = scores[0] - CHANGE_PRICE * (np.arange(meter) != -phase % meter)
    before = []
    for row in scores[1:]:
        going, best = np.roll(score, 1), int(score.argmax())
        is_going = going >= score[best] - CHANGE_PRICE
        before.append(np.where(is_going, np.roll(np.arange(meter), 1), best))
        score = np.where(is_going, going, score[best] - CHANGE_PRICE) + row
    path = [int(score.argmax())]
    for step in reversed(before):
        path.append(int(step[path[-1]]))
    return np.array(path[::-1], np.int64)


def _between(bands: NDArray[np.float16], frames: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """(beats, 136): the mean of the bands from each beat to the next, and to the one after that."""
    sums = np.add.reduceat(bands, frames, axis=0, dtype=np.float32)
    counts = np.maximum(1, np.diff(np.append(frames, len(bands)))).astype(np.float32)[:, np.newaxis]
    both, of_both = sums.copy(), counts.copy()
    both[:-1] += sums[1:]
    of_both[:-1] += counts[1:]
    return np.asarray(sums / counts, np.float32), np.asarray(both / of_both, np.float32)


def _difference(sounds: Floats, beats: int) -> Wide:
    """How far each beat's sound is from the one so many beats before: 1 less the cosine."""
    normal = sounds / np.maximum(np.linalg.norm(sounds, axis=1, keepdims=True), 1e-9)
    away = 1 - (normal[beats:] * normal[:-beats]).sum(axis=1)
    return np.concatenate([np.full(min(beats, len(sounds)), away.mean() if len(away) else 0.0), away])


def _peaks(curves: Floats, grid: Wide) -> Floats:
    """(beats, curves): the most from 40 ms before each beat to 60 ms after it."""
    frames = np.clip(np.rint(grid * FRAMES_PER_S).astype(int), 0, len(curves) - 1)
    padded = np.pad(curves, ((2, 3), (0, 0)))
    return np.asarray(padded[frames[:, np.newaxis] + np.arange(6)].max(axis=1))
