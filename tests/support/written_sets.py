"""Sets of one member, written and read again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

from bridge.media.audio_format import AudioFormat
from bridge.media.audio_writing import WrittenSet, write_set
from bridge.media.sample_depth import Floats

Sound = npt.NDArray[np.float64]


def blocks_of(sound: Floats, *, size: int = 700) -> Iterator[Floats]:
    for at in range(0, len(sound), size):
        yield sound[at : at + size]


def read(path: Path) -> Sound:
    sound: Sound = sf.read(path, always_2d=True, dtype="float64")[0]
    return sound


def one(folder: Path, sound: Floats, like: AudioFormat, **options: object) -> tuple[Path, WrittenSet]:
    """The only member of a set."""
    written = write_set({"out": blocks_of(sound)}, like, folder, **options)  # type: ignore[arg-type]
    return written.paths["out"], written
