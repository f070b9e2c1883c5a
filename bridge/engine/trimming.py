"""What of a file is sent away: all of it or a piece, with the silence at both ends or without.

The same file has the same bounds whenever it is asked, so that what comes back is put where it belongs.
"""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bridge.engine.fitting_passes import Check, Span, laid, until
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.audio_writing import write_set

SILENT_DBFS: Final = -72.0
KEPT_S: Final = 0.05
LEAST_CUT_S: Final = 0.5
"""Less is not worth another file."""

FLAC_DEPTHS: Final = {"PCM_U8": "PCM_S8", "PCM_S8": "PCM_S8", "PCM_16": "PCM_16", "PCM_24": "PCM_24"}


Piece = tuple[float, float]
"""Begin and end of a part of a file, in seconds."""


@dataclass(frozen=True)
class Bounds:
    """The frames from `start` up to `end` of a file of `frames`."""

    start: int
    end: int
    frames: int

    @property
    def is_whole(self) -> bool:
        return (self.start, self.end) == (0, self.frames)

    @classmethod
    def within(cls, span: Span, frames: int) -> Bounds:
        """Those of `span` that a file of so many frames has."""
        start, end = span
        return cls(min(start, frames), min(end, frames), frames)


def span_of(piece: Piece | None, rate_hz: int) -> Span:
    """The frames of a piece; without one all of them, however many there are."""
    if piece is None:
        return 0, sys.maxsize
    begin_s, end_s = piece
    return round(begin_s * rate_hz), round(end_s * rate_hz)


def bounds(path: Path, check: Check, *, piece: Piece | None = None) -> Bounds:
    """Where the sound of a file, or of a piece of it, begins and ends, with 50 ms around it.

    All of it where it is silent throughout, and where hardly anything would be cut. Raises AudioError.
    """
    found, frames = [], 0
    with open_source(path) as source:
        start, end = span_of(piece, source.rate_hz)
        for block in source.blocks:
            check()
            at = max(0, start - frames)
            inside = block[at : max(0, end - frames)]
            loud = np.flatnonzero(np.abs(inside).max(axis=1, initial=0) > 10 ** (SILENT_DBFS / 20))
            if len(loud):
                found = [*found[:1], frames + at + int(loud[0]), frames + at + int(loud[-1])]
            frames += len(block)
        kept, least_cut = round(KEPT_S * source.rate_hz), LEAST_CUT_S * source.rate_hz
    whole = Bounds.within((start, end), frames)
    if not found:
        return whole
    sound = Bounds(max(whole.start, found[0] - kept), min(whole.end, found[-1] + 1 + kept), frames)
    is_shorter = (whole.end - whole.start) - (sound.end - sound.start) >= least_cut
    return sound if is_shorter else whole


def cut_out(source: Path, folder: Path, check: Check, *, piece: Piece | None = None, trim: bool) -> Path:
    """A copy in `folder` of a piece (None: of all), with `trim` without the silence at both ends.

    As FLAC, else as WAV: rate, depth and channels stay, markers and tags are not sent away. `source` itself
    where that is all of it. Raises AudioError.
    """
    own = AudioFormat.of(source)
    found = bounds(source, check, piece=piece) if trim else _plain_bounds(source, check, piece)
    if found.is_whole:
        return source
    like = AudioFormat("FLAC", FLAC_DEPTHS.get(own.subtype, own.subtype), own.rate_hz, own.channels, ".flac")
    name = f"{source.stem}-cut"
    frames = found.end - found.start
    with closing(laid(source, check, rate_hz=own.rate_hz, delay=found.start)) as sound:
        written = write_set({name: until(sound, frames)}, like, folder, frames=frames, check=check)
    return written.paths[name]
