"""Streams of samples worked on in windows, so that an hour takes no more memory than a minute.

Blocks are (frames, channels) float32, but where they are only cut anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from bridge.media.raw_pcm import Samples

Kind = TypeVar("Kind", bound=np.floating[Any])


def in_blocks(stream: Iterable[NDArray[Kind]], frames: int, overlap: int = 0) -> Iterator[NDArray[Kind]]:
    """The stream cut anew: blocks of `frames` that begin `frames - overlap` apart; the last may be shorter.

    Each is memory of its own. What is only overlap at the end comes no second time.
    """
    hop, held, kept = frames - overlap, deque[NDArray[Kind]](), 0
    is_first = True
    for block in stream:
        held.append(block.copy())
        kept += len(block)
        while kept >= frames:
            whole = np.concatenate(held)
            yield whole[:frames].copy()
            held, kept, is_first = deque([whole[hop:]]), kept - hop, False
    if kept > (0 if is_first else overlap):
        yield np.concatenate(held)


def overlapped(
    stream: Iterable[Samples],
    work: Callable[[Samples], Sequence[Samples]],
    *,
    frames: int,
    overlap: int,
) -> Iterator[tuple[Samples, ...]]:
    """`work` on windows of `frames`, its results faded into one another over `overlap` frames.

    `work` gives one or more signals as long as its window. In all as many frames come out as went in, and
    where `work` changes nothing, the same ones.
    """
    tails: tuple[Samples, ...] = ()
    rising = ((np.arange(overlap, dtype=np.float32) + np.float32(0.5)) / np.float32(max(1, overlap)))[:, None]
    for window in in_blocks(stream, frames, overlap):
        made = tuple(np.array(one, np.float32) for one in work(window))
        for one, tail in zip(made, tails, strict=False):
            # As a step from the old to the new: what is equal in both stays as it is, to the bit.
            one[: len(tail)] = tail + (one[: len(tail)] - tail) * rising[: len(tail)]
        ready = len(window) - overlap if len(window) == frames else len(window)
        yield tuple(one[:ready] for one in made)
        tails = tuple(one[ready:].copy() for one in made)
    if tails and len(tails[0]):
        yield tails


def unzipped(stream: Iterator[tuple[Samples, ...]], count: int) -> list[Iterator[Samples]]:
    """`count` streams out of one. Asked for in turn, they hold one block each."""
    waiting = [deque[Samples]() for _ in range(count)]

    def one(number: int) -> Iterator[Samples]:
        while True:
            if not waiting[number]:
                made = next(stream, None)
                if made is None:
                    return
                for queue, block in zip(waiting, made, strict=True):
                    queue.append(block)
            yield waiting[number].popleft()

    return [one(number) for number in range(count)]
