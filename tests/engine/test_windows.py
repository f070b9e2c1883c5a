"""Streams worked on in windows: nothing is lost, doubled or changed at the seams."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.engine.windows import in_blocks, overlapped, unzipped
from bridge.media.raw_pcm import Samples

SOUND = np.random.default_rng(1).standard_normal((10_000, 2)).astype(np.float32)


def stream(sound: Samples, lengths: list[int]) -> Iterator[Samples]:
    at = 0
    for number in range(len(sound)):
        if at >= len(sound):
            return
        length = lengths[number % len(lengths)]
        yield sound[at : at + length]
        at += length


@given(st.lists(st.integers(1, 700), min_size=1, max_size=5), st.integers(2, 900), st.integers(0, 10_000))
def test_blocks_overlap_and_cover_all(lengths: list[int], frames: int, total: int) -> None:
    overlap = frames // 3
    blocks = list(in_blocks(stream(SOUND[:total], lengths), frames, overlap))
    hop = frames - overlap
    for number, block in enumerate(blocks):
        assert np.array_equal(block, SOUND[:total][number * hop : number * hop + frames])
    covered = (len(blocks) - 1) * hop + len(blocks[-1]) if blocks else 0
    assert covered == total
    assert all(len(block) > overlap for block in blocks[1:]), "the end comes no second time"


@given(st.integers(100, 3000), st.integers(0, 10_000))
def test_what_is_not_changed_comes_out_as_it_was(frames: int, total: int) -> None:
    made = list(
        overlapped(stream(SOUND[:total], [333]), lambda one: (one, -one), frames=frames, overlap=frames // 2)
    )
    for number, sign in ((0, 1), (1, -1)):
        whole = np.concatenate([one[number] for one in made]) if made else SOUND[:0]
        assert np.array_equal(whole, SOUND[:total] * sign)


def test_a_seam_fades_from_one_window_into_the_next() -> None:
    level = iter([0.0, 1.0, 1.0, 1.0])

    def work(window: Samples) -> tuple[Samples]:
        return (np.full_like(window, next(level)),)

    made = np.concatenate(
        [one for (one,) in overlapped(stream(SOUND[:100], [7]), work, frames=40, overlap=20)]
    )
    assert np.all(made[:20] == 0)
    assert np.all(np.diff(made[20:40, 0]) > 0)
    assert np.all(made[40:] == 1)


def test_streams_of_one_process_hold_one_block_each() -> None:
    asked = 0

    def pairs() -> Iterator[tuple[Samples, ...]]:
        nonlocal asked
        for at in range(0, 1000, 100):
            asked += 1
            yield SOUND[at : at + 100], -SOUND[at : at + 100]

    left, right = unzipped(pairs(), 2)
    for number in range(1, 11):
        first = next(left)
        assert asked == number
        assert np.array_equal(next(right), -first)
        assert asked == number
    with pytest.raises(StopIteration):
        next(left)
