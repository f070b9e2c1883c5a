"""A sound taken into parts: written as the source is made, with what is left over, so that all add up to it.

The parts are written first. What is left is the source minus what stands in their files, rounding and all:
for whole numbers the files null to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.reading import BLOCK_FRAMES, exact_blocks
from bridge.engine.windows import in_blocks, unzipped
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_writing import write_set
from bridge.media.raw_pcm import Samples
from bridge.media.sample_depth import Floats

WAV: Final = "audio/wav"
MEDIA_TYPES: Final = {"WAV": WAV, "AIFF": "audio/aiff", "FLAC": "audio/flac", "CAF": "audio/x-caf"}

Numbers = npt.NDArray[np.float64]


@dataclass
class Level:
    """The level of a stream of samples: root of the mean square over all channels, in dBFS."""

    squares: float = 0.0
    count: int = 0

    def add(self, block: Numbers | Samples) -> None:
        self.squares += float(np.square(block, dtype=np.float64).sum())
        self.count += block.size

    @property
    def dbfs(self) -> float | None:
        """None for digital silence."""
        if not self.squares:
            return None
        return round(10 * math.log10(self.squares / self.count), 2)


def write_parts(
    job: AudioJob,
    own: AudioFormat,
    parts: Iterator[tuple[Samples, ...]],
    names: Sequence[str],
    *,
    rest: str = "",
) -> list[Row]:
    """Writes each of `names`, and as `rest` (if it has a name) what they leave of the source.

    `parts` gives a block of (frames, channels) for each name, on the source's frames; `own` is the format of
    the source. The rows' `about` has `residual_dbfs`, the level of the rest (None: digital silence), and in
    `note` what the musician should know. Raises AudioError, and what `parts` raises.
    """
    streams = dict(zip(names, unzipped(parts, len(names)), strict=True))
    written = write_set(streams, own, job.folder, check=job.check)
    level = Level()
    left = _measured(_left(job, own, list(written.paths.values())), level)
    paths, warnings = dict(written.paths), list(written.warnings)
    if rest:
        more = write_set({rest: left}, own, job.folder, subtype=written.subtype, check=job.check)
        paths |= more.paths
        warnings += [one for one in more.warnings if one not in warnings]
    else:
        for _ in left:
            pass
    about = {"residual_dbfs": level.dbfs} | ({"note": ", ".join(warnings)} if warnings else {})
    media_type = MEDIA_TYPES.get(written.container, WAV)
    return [
        {"role": name, "file": path.name, "media_type": media_type, "about": dict(about)}
        for name, path in paths.items()
    ]


def _measured(blocks: Iterator[Numbers], level: Level) -> Iterator[Numbers]:
    for block in blocks:
        level.add(block)
        yield block


def _left(job: AudioJob, own: AudioFormat, paths: Sequence[Path]) -> Iterator[Numbers]:
    """The source minus all of `paths`, in numbers that hold every bit of each."""
    with ExitStack() as stack:
        # In blocks of one length: files of other kinds come in other blocks.
        source, *others = [
            in_blocks(_numbers(stack.enter_context(exact_blocks(path, own, job.check))), BLOCK_FRAMES)
            for path in (job.source, *paths)
        ]
        for block in source:
            left = np.where(np.isfinite(block), block, 0.0)
            for other in others:
                taken = next(other, None)
                if taken is not None:
                    left[: len(taken)] -= taken
            yield left


def _numbers(blocks: Iterator[Floats]) -> Iterator[Numbers]:
    return (block.astype(np.float64) for block in blocks)
