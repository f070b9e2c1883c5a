"""The Viterbi against every path there is, on small lines; and on lines as long as a window."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.semi_crf import Intervals, best_intervals

Matrix = NDArray[np.float32]


def pairs_of(scores: Matrix, above: float) -> Intervals:
    """All intervals above a score; `scores` is (lines, first, last)."""
    line, first, last = np.nonzero((scores > above) & np.triu(np.ones(scores.shape[1:], bool), 1))
    return Intervals(line, first, last, scores[line, first, last])


def decoded(scores: Matrix, *, begin: int = 0, above: float = 0.0) -> list[list[tuple[int, int]]]:
    single = np.ascontiguousarray(np.einsum("lff->lf", scores))
    found = best_intervals(single, pairs_of(scores, above), np.full(len(scores), begin))
    lines: list[list[tuple[int, int]]] = [[] for _ in scores]
    for line, first, last in zip(found.line, found.first, found.last, strict=True):
        lines[line].append((int(first), int(last)))
    return lines


def best_by_trying(scores: Matrix, begin: int) -> float:
    """The best sum of all paths of one line, (first, last), by trying each."""
    frames = len(scores)

    @cache
    def best(frame: int) -> float:
        alone = max(float(scores[frame, frame]), 0.0)
        if frame == frames - 1:
            return alone
        ways = [best(frame + 1)]
        ways += [float(scores[frame, last]) + best(last) for last in range(frame + 1, frames)]
        return alone + max(ways)

    return best(begin)


@pytest.mark.parametrize("begin", [0, 3])
def test_the_path_is_the_best_there_is(begin: int) -> None:
    rng = np.random.default_rng(begin)
    for _ in range(60):
        scores = rng.normal(-1.0, 1.5, (5, 9, 9)).astype(np.float32)
        for line, path in zip(scores, decoded(scores, begin=begin), strict=True):
            assert all(first >= begin for first, _ in path)
            assert all(a[1] <= b[0] for a, b in pairwise(path))
            total = sum(float(line[interval]) for interval in path)
            assert total == pytest.approx(best_by_trying(line, begin), abs=1e-5)


def test_intervals_of_no_score_change_nothing() -> None:
    scores = np.random.default_rng(1).normal(-0.5, 1.0, (30, 25, 25)).astype(np.float32)
    assert decoded(scores, above=0.0) == decoded(scores, above=-np.inf)


def test_the_order_that_intervals_come_in_changes_nothing() -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(-3, 4, (4, 12, 12)).astype(np.float32)  # many ties
    pairs, single = pairs_of(scores, 0.0), np.ascontiguousarray(np.einsum("lff->lf", scores))
    begin = np.zeros(4, np.int64)
    wanted = best_intervals(single, pairs, begin)
    for _ in range(5):
        found = best_intervals(single, pairs.only(rng.permutation(len(pairs))), begin)
        assert all(
            np.array_equal(a, b) for a, b in zip(vars(found).values(), vars(wanted).values(), strict=True)
        )


def test_each_interval_comes_with_its_score_and_in_order() -> None:
    scores = np.random.default_rng(3).normal(0, 1, (6, 20, 20)).astype(np.float32)
    single = np.ascontiguousarray(np.einsum("lff->lf", scores))
    found = best_intervals(single, pairs_of(scores, 0.0), np.zeros(6, np.int64))
    assert np.array_equal(found.score, scores[found.line, found.first, found.last])
    keys = list(zip(found.line.tolist(), found.first.tolist(), found.last.tolist(), strict=True))
    assert keys == sorted(keys)
    assert any(first == last for _, first, last in keys)


def test_nothing_heard_is_nothing_found() -> None:
    empty = np.empty(0, np.int64)
    nothing = Intervals(empty, empty, empty, np.empty(0, np.float32))
    found = best_intervals(np.full((90, 691), -1, np.float32), nothing, np.zeros(90, np.int64))
    assert len(found) == 0
    assert found.score.dtype == np.float32


def test_lines_may_begin_at_different_frames() -> None:
    scores = np.full((2, 6, 6), -1, np.float32)
    scores[:, 0, 3] = 5
    scores[:, 2, 4] = 1
    single = np.full((2, 6), -1, np.float32)
    found = best_intervals(single, pairs_of(scores, 0.0), np.array([0, 1]))
    assert list(zip(found.line, found.first, found.last, strict=True)) == [(0, 0, 3), (1, 2, 4)]


def test_lenience_finds_what_scores_a_little_less_and_tells_its_own_score() -> None:
    scores = np.full((2, 6, 6), -9, np.float32)
    scores[:, 0, 3] = -1
    scores[:, 3, 3] = 2
    pairs, single = pairs_of(scores, -5), np.ascontiguousarray(np.einsum("lff->lf", scores))
    lenience = np.array([0.5, 1.5], np.float32)
    found = best_intervals(single, pairs, np.zeros(2, np.int64), lenience=lenience)
    rows = list(zip(found.line, found.first, found.last, found.score, strict=True))
    assert rows == [(0, 3, 3, 2), (1, 0, 3, -1), (1, 3, 3, 2)]
