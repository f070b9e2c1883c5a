"""Basic Pitch's network on overlapping windows of audio.

The network (Bittner et al., "A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription and
Multipitch Estimation", ICASSP 2022) takes windows of 43,844 samples at 22,050 Hz and answers with 172
frames, one every 256 samples. Frames near a window's ends lack context: 15 in front and 16 at the back are
dropped, and windows follow each other by exactly the 141 frames that are kept. So frame f of the whole is at
sample f * 256, for hours, with no seam to correct for. (The package's own hop of 36,164 samples is 141.27
frames: there each window repeats a part of a frame, and times need a correction.)

Each window is worked on alone, by one thread: a thread a window scales better than threads within one,
nothing spins, and the result is the same, bit for bit, for any number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from bridge.engine.posteriors import (
    CONTOUR_BINS,
    FRAME_HOP,
    LEVEL_PITCHES,
    PITCHES,
    Posteriors,
    pack,
    pack_level,
)

WINDOW_SAMPLES = 43_844
FRONT_FRAMES = 15
KEPT_FRAMES = 141
HOP_SAMPLES = KEPT_FRAMES * FRAME_HOP
MOST_WINDOWS_AT_ONCE = 4  # about 25 MB each
OUTPUTS = ("note", "onset", "contour", "power")

Samples = NDArray[np.float32]
Window = tuple[NDArray[Any], ...]
Check = Callable[[], None]


def posteriors(
    blocks: Iterable[Samples],
    *,
    model: Path,
    threads: int,
    check: Check = lambda: None,
    tell: Callable[[int], None] = lambda _samples: None,
) -> Posteriors:
    """Runs the network over mono blocks at 22,050 Hz, in bounded memory but for the result.

    `model` is the graph that `bridge.engine.graphs.basic_pitch` builds. `check` is called before each round
    of `threads` windows (at most 4); `tell` hears how many samples are done.
    """
    at_once = max(1, min(threads, MOST_WINDOWS_AT_ONCE))
    run = partial(_run, _session(str(model)))
    heard: list[Window] = []
    samples = 0
    with ThreadPoolExecutor(at_once, thread_name_prefix="windows") as pool:
        for windows, samples in _rounds(blocks, at_once):
            check()
            heard += pool.map(run, windows) if at_once > 1 else map(run, windows)
            tell(samples)
    frames = samples // FRAME_HOP + 1 if samples else 0
    return Posteriors(
        note=_joined(heard, 0, np.empty((0, PITCHES), np.uint16))[:frames],
        onset=_joined(heard, 1, np.empty((0, PITCHES), np.uint16))[:frames],
        contour=_joined(heard, 2, np.empty((0, CONTOUR_BINS), np.uint16))[:frames],
        level=_joined(heard, 3, np.empty((0, LEVEL_PITCHES), np.uint8))[:frames],
        samples=samples,
    )


def warm(model: Path) -> None:
    """Loads the network ahead of the first job."""
    _session(str(model))


def _run(session: Any, window: Samples) -> Window:
    """The kept frames of one window of (43844,) samples."""
    note, onset, contour, power = session.run(OUTPUTS, {"audio": window[np.newaxis]})
    kept = slice(FRONT_FRAMES, FRONT_FRAMES + KEPT_FRAMES)
    level = pack_level(np.sqrt(_semitones(power[0, :, kept])))
    return pack(note[0, kept]), pack(onset[0, kept]), pack(contour[0, kept]), level


def _semitones(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """The strongest of the three bins around each semitone: (309, frames) to (frames, 103)."""
    below = np.concatenate([power[:1], power[:-1]])[::3]
    strongest: NDArray[np.float32] = np.maximum(np.maximum(power[::3], power[1::3]), below).T
    return strongest


@lru_cache(maxsize=1)
def _session(model: str) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The arena would keep its largest size for as long as the process lives.
    options.enable_cpu_mem_arena = False
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _rounds(blocks: Iterable[Samples], at_once: int) -> Iterator[tuple[list[Samples], int]]:
    """Rounds of `at_once` windows of (43844,), each with the number of samples that were read so far.

    The first window begins 15 frames before the audio, so that the first kept frame is frame 0; the last ones
    are filled with silence until every frame of the audio is kept once.
    """
    waiting = np.zeros(FRONT_FRAMES * FRAME_HOP, dtype=np.float32)
    samples = done = 0
    for block in blocks:
        samples += len(block)
        waiting = np.concatenate([waiting, block])
        while len(waiting) >= WINDOW_SAMPLES + (at_once - 1) * HOP_SAMPLES:
            yield _windows(waiting, at_once), samples
            waiting = waiting[at_once * HOP_SAMPLES :]
            done += at_once
    left = -(-(samples // FRAME_HOP + 1) // KEPT_FRAMES) - done if samples else 0
    waiting = np.concatenate([waiting, np.zeros(left * HOP_SAMPLES + WINDOW_SAMPLES, dtype=np.float32)])
    for first in range(0, left, at_once):
        yield _windows(waiting[first * HOP_SAMPLES :], min(at_once, left - first)), samples


def _windows(samples: Samples, count: int) -> list[Samples]:
    starts = range(0, count * HOP_SAMPLES, HOP_SAMPLES)
    return [samples[start : start + WINDOW_SAMPLES] for start in starts]


def _joined(heard: list[Window], which: int, nothing: NDArray[Any]) -> NDArray[Any]:
    return np.concatenate([nothing, *(window[which] for window in heard)])
