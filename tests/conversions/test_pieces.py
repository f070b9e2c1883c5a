from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.conversions.pieces import MARGIN_S, OVERLAP_S, PIECE, length_of, of_pieces, pieces


@given(duration_s=st.floats(0.1, 40_000.0), longest_s=st.floats(6.0, 500.0))
def test_pieces_cover_all_of_it_overlap_and_fit(duration_s: float, longest_s: float) -> None:
    spans = pieces(duration_s, longest_s)
    assert spans[0][0] == 0.0
    assert spans[-1][1] == duration_s
    if len(spans) > 1:
        assert all(end - begin <= longest_s - MARGIN_S + 0.01 for begin, end in spans)
        for (_, end), (begin, _) in pairwise(spans):
            assert end - begin == pytest.approx(OVERLAP_S, abs=0.01)
    else:
        assert duration_s <= longest_s


def test_an_hour_is_eight_pieces_of_eight_minutes_and_a_bit_of_overlap() -> None:
    spans = pieces(3600.0, 480.0)
    assert len(spans) == 8
    assert [begin for begin, _ in spans] == [449.75 * number for number in range(8)]
    assert max(end - begin for begin, end in spans) == pytest.approx(451.75)


def test_what_cannot_overlap_is_refused() -> None:
    with pytest.raises(ValueError, match=r"longer than 5\.0 s"):
        pieces(100.0, 5.0)


def test_only_what_is_too_long_and_allowed_is_cut() -> None:
    assert of_pieces({"split": True}, 480.0, 480.0) == [{"split": True}]
    assert of_pieces({"split": False}, 900.0, 480.0) == [{"split": False}]
    first, second = of_pieces({"split": True, "stems": ["vocals"]}, 900.0, 480.0)
    assert first[PIECE] == [0.0, 451.0]
    assert second == {"split": True, "stems": ["vocals"], PIECE: [449.0, 900.0]}
    assert length_of(second, 900.0) == 451.0
    assert length_of({"split": True}, 300.0) == 300.0
