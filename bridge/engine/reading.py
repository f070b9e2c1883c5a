"""A source's samples with every bit, and how far they have been read."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import soundfile as sf

from bridge.engine.audio_job import Tell
from bridge.engine.fitting_passes import Check
from bridge.media.audio_format import AudioFormat, name_for_libsndfile
from bridge.media.audio_sources import open_source, told
from bridge.media.sample_depth import Floats

WIDE: Final = frozenset({"PCM_32", "DOUBLE"})
"""Depths of which float32 does not hold every bit."""
BLOCK_FRAMES: Final = 65_536
LAST_TOLD: Final = 0.95

Block = TypeVar("Block", bound=Floats)


@contextmanager
def exact_blocks(path: Path, own: AudioFormat, check: Check) -> Iterator[Iterator[Floats]]:
    """The file's blocks (frames, channels) in floats that hold every bit of its depth. Raises AudioError."""
    if own.subtype in WIDE:
        try:
            file = sf.SoundFile(name_for_libsndfile(path))
        except sf.LibsndfileError:
            pass  # one of those that only our own reader opens
        else:
            with told(path), file:
                yield _checked(file.blocks(BLOCK_FRAMES, dtype="float64", always_2d=True), check)
            return
    with open_source(path) as source:
        yield _checked(source.blocks, check)


def _checked(blocks: Iterator[Floats], check: Check) -> Iterator[Floats]:
    for block in blocks:
        check()
        yield block


def told_blocks(
    blocks: Iterator[Block], total: int | None, tell: Tell, doing: str
) -> Generator[Block, None, None]:
    """The same blocks; how many of the expected `total` frames have passed is told."""
    frames = 0
    for block in blocks:
        yield block
        frames += len(block)
        tell(min(LAST_TOLD, LAST_TOLD * frames / total) if total else 0.0, doing)
