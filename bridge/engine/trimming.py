"""Silence at both ends of a file: found, and left out of a copy that is sent away.

The same file has the same bounds whenever it is asked, so that what comes back is put where it belongs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bridge.engine.fitting_passes import Check, laid
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.audio_writing import write_set

SILENT_DBFS: Final = -72.0
KEPT_S: Final = 0.05
LEAST_CUT_S: Final = 0.5
"""Less is not worth another file."""

FLAC_DEPTHS: Final = {"PCM_U8": "PCM_S8", "PCM_S8": "PCM_S8", "PCM_16": "PCM_16", "PCM_24": "PCM_24"}


@dataclass(frozen=True)
class Bounds:
    """The frames from `start` up to `end` of a file of `frames`."""

    start: int
    end: int
    frames: int

    @property
    def is_whole(self) -> bool:
        return (self.start, self.end) == (0, self.frames)


def bounds(path: Path, check: Check) -> Bounds:
    """Where the sound of a file begins and ends, with 50 ms around it.

    The whole file where it is silent throughout, and where hardly anything would be cut. Raises AudioError.
    """
    first, last, frames = None, 0, 0
    with open_source(path) as source:
        for block in source.blocks:
            check()
            loud = np.flatnonzero(np.abs(block).max(axis=1) > 10 ** (SILENT_DBFS / 20))
            if len(loud):
                first = frames + int(loud[0]) if first is None else first
                last = frames + int(loud[-1]) + 1
            frames += len(block)
        kept, least_cut = round(KEPT_S * source.rate_hz), LEAST_CUT_S * source.rate_hz
    if first is None:
        return Bounds(0, frames, frames)
    start, end = max(0, first - kept), min(frames, last + kept)
    return Bounds(start, end, frames) if frames - (end - start) >= least_cut else Bounds(0, frames, frames)


def trimmed(source: Path, folder: Path, check: Check) -> Path:
    """A copy in `folder` without the silence at both ends, as FLAC, else as WAV; `source` if it has none.

    Rate, depth and channels stay; markers and tags are not sent away. Raises AudioError.
    """
    found = bounds(source, check)
    if found.is_whole:
        return source
    own = AudioFormat.of(source)
    like = AudioFormat("FLAC", FLAC_DEPTHS.get(own.subtype, own.subtype), own.rate_hz, own.channels, ".flac")
    name = f"{source.stem}-trimmed"
    sound = laid(source, check, rate_hz=own.rate_hz, delay=found.start)
    written = write_set({name: sound}, like, folder, frames=found.end - found.start, check=check)
    return written.paths[name]
