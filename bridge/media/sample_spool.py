"""Samples put aside in a file until it is known how loud and how long they are. Engine side: numpy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.media.sample_depth import Floats, exceeds
from bridge.media.whole_files import scratch_file

BLOCK_SAMPLES: Final = 1 << 18


class Spool:
    """The blocks of one member in a hidden file of `folder`, which is gone when `stack` is closed.

    `frames` is how many there are, at most `most_frames`; `not_numbers` how many samples were silenced.
    """

    def __init__(self, folder: Path, channels: int, most_frames: int | None, stack: ExitStack) -> None:
        self._file = stack.enter_context(scratch_file(folder))
        self._channels = channels
        self._most_frames = most_frames
        self._dtype: np.dtype[Any] | None = None
        self._lowest = self._highest = 0.0
        self.frames = 0
        self.not_numbers = 0

    def add(self, block: Floats) -> None:
        """Takes (frames, channels) or (frames,) float32 or float64; the first block's kind is kept.

        Raises ValueError for other shapes and kinds, OSError.
        """
        wide = self._shaped(block)
        if self._most_frames is not None:
            wide = wide[: max(0, self._most_frames - self.frames)]
        if not len(wide):
            return
        bad = ~np.isfinite(wide)
        if bad.any():
            self.not_numbers += int(np.count_nonzero(bad))
            wide = np.where(bad, wide.dtype.type(0), wide)
        self._lowest = min(self._lowest, float(wide.min()))
        self._highest = max(self._highest, float(wide.max()))
        self._file.write(np.ascontiguousarray(wide).data.cast("B"))
        self.frames += len(wide)

    def exceeds(self, bits: int) -> bool:
        """True if a sample does not fit whole numbers of this depth."""
        return exceeds(self._lowest, self._highest, bits)

    def blocks(self, frames: int, check: Callable[[], None]) -> Iterator[Floats]:
        """Exactly `frames` frames as (frames, channels), with silence where there are no more."""
        self._file.seek(0)
        dtype = self._dtype or np.dtype(np.float32)
        block_frames = max(1, BLOCK_SAMPLES // self._channels)
        for at in range(0, frames, block_frames):
            check()
            count = min(block_frames, frames - at)
            raw = self._file.read(count * self._channels * dtype.itemsize)
            block = np.zeros((count, self._channels), dtype)
            found = np.frombuffer(raw, dtype).reshape(-1, self._channels)
            block[: len(found)] = found
            yield block

    def _shaped(self, block: Floats) -> Floats:
        if block.dtype not in (np.float32, np.float64):
            raise ValueError(f"blocks are float32 or float64, not {block.dtype}")
        wide = block[:, np.newaxis] if block.ndim == 1 else block
        if wide.ndim != 2 or wide.shape[1] not in (1, self._channels):  # noqa: PLR2004 - (frames, channels)
            raise ValueError(f"blocks are (frames, {self._channels}), not {block.shape}")
        self._dtype = self._dtype or wide.dtype
        kept: Floats = np.broadcast_to(wide, (len(wide), self._channels)).astype(self._dtype, copy=False)
        return kept
