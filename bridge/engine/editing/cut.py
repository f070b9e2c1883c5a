"""A range of a file, exact to the sample: the local `audio_cutter`."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.audio_job import AudioJob, Row, Tell
from bridge.engine.editing.writing import write_as
from bridge.engine.reading import exact_blocks, told_blocks
from bridge.errors import AudioError
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import clock, open_source
from bridge.media.flac_blocks import CUESHEET
from bridge.media.sample_depth import Floats

NAME: Final = "cut"
LOOKED: Final = 0.3
"""The share of the progress that finding the file's end takes."""


@dataclass(frozen=True)
class Range:
    """The frames from `start` up to, but without, `end`; `fade_in` and `fade_out` are frames too."""

    start: int
    end: int
    fade_in: int = 0
    fade_out: int = 0

    @property
    def frames(self) -> int:
        return self.end - self.start


def cut(job: AudioJob) -> list[Row]:
    """The task: what lies between `start_time` and `end_time` (ms), as `cut` in `output_extension`.

    A time is the nearest frame. Without fades (`fade_in`, `fade_out`, ms) samples of the same depth are the
    source's, bit by bit. A range that reaches behind the file ends with it, which the note says. Raises
    AudioError where nothing would be left.
    """
    own = AudioFormat.of(job.source)
    length = _length(job, _frame(job, "end_time", own))
    asked, notes = _range(job, own, length)
    extension = job.parameters["output_extension"]
    if own.blocks:  # a cue sheet speaks of the whole
        own = replace(own, blocks=tuple(one for one in own.blocks if one.kind != CUESHEET))
    with exact_blocks(job.source, own, job.check) as blocks:
        row = write_as(
            job,
            own,
            told_blocks(_cut_out(blocks, asked), asked.frames, _later(job.progress), "cutting"),
            name=NAME,
            extension=extension,
            rate_hz=own.rate_hz,
            start_frame=asked.start,
            is_changed=bool(asked.fade_in or asked.fade_out),
            dither=False,  # where nothing fades, the samples stay as they are
        )
    job.progress(1.0, "done")
    about = dict(row["about"])
    about["note"] = ", ".join([*notes, *([about["note"]] if "note" in about else [])])
    return [row | {"about": {name: text for name, text in about.items() if text}}]


def _later(tell: Tell) -> Tell:
    return lambda fraction, doing: tell(LOOKED + (1 - LOOKED) * fraction, doing)


def _frame(job: AudioJob, name: str, own: AudioFormat) -> int:
    return round(float(job.parameters[name]) * own.rate_hz / 1000)


def _length(job: AudioJob, end: int) -> int:
    """How many frames there are up to `end`. Headers are not believed: they may be wrong."""
    frames = 0
    with open_source(job.source) as source:
        for block in source.blocks:
            job.check()
            frames += len(block)
            if frames >= end:
                return end
            job.progress(LOOKED * min(1.0, frames / end), "looking for the end")
    return frames


def _range(job: AudioJob, own: AudioFormat, length: int) -> tuple[Range, list[str]]:
    """What is to be cut out of a file with `length` frames (as far as `end_time`), and what is to be said."""
    start, end = _frame(job, "start_time", own), _frame(job, "end_time", own)
    start_s, end_s = (float(job.parameters[name]) / 1000 for name in ("start_time", "end_time"))
    if start >= end:
        words = f"there is no sample between {start_s:g} s and {end_s:g} s."
        raise AudioError(words, remedy="Let end_time be later than start_time.", file=job.source)
    if start >= length:
        whole_s = length / own.rate_hz
        words = f"the cut begins at {clock(start_s)} ({start_s:g} s), but the file ends at {clock(whole_s)}."
        remedy = f"Take a start_time below {math.floor(whole_s * 1000)} ms."
        raise AudioError(words, remedy=remedy, file=job.source)
    notes = []
    if end > length:
        notes.append(f"it ends with the file at {clock(length / own.rate_hz)}, before {clock(end_s)}")
    frames = min(end, length) - start
    fades = [_frame(job, name, own) for name in ("fade_in", "fade_out")]
    if max(fades) > frames:
        notes.append("the fades are as long as the cut, which is shorter than they were to be")
    fade_in, fade_out = (min(one, frames) for one in fades)
    return Range(start, start + frames, fade_in, fade_out), notes


def _cut_out(blocks: Iterator[Floats], asked: Range) -> Iterator[Floats]:
    at = 0
    for block in blocks:
        first, last = max(asked.start - at, 0), min(asked.end - at, len(block))
        if first < last:
            part = block[first:last]
            yield _faded(part, at + first - asked.start, asked)
        at += len(block)
        if at >= asked.end:
            return


def _faded(block: Floats, at: int, asked: Range) -> Floats:
    """The block with the fades' part on it; `at` is its first frame's place in the cut."""
    if at < asked.fade_in:
        here = np.arange(at, min(at + len(block), asked.fade_in))
        block[: len(here)] *= _gain((here + 0.5) / asked.fade_in, block.dtype)
    left = asked.frames - at
    if left - len(block) < asked.fade_out:
        here = np.arange(min(left, asked.fade_out), left - len(block), -1)
        block[-len(here) :] *= _gain((here - 0.5) / asked.fade_out, block.dtype)
    return block


def _gain(share: npt.NDArray[np.float64], dtype: np.dtype[np.floating]) -> npt.NDArray[np.floating]:
    """Equal power: what fades out and what fades in with the same share have together the power of one."""
    return np.sin(np.pi / 2 * share).astype(dtype)[:, np.newaxis]
