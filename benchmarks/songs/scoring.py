"""How right the notes are that were found, by mir_eval: pitch, and onset within 50 ms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.songs.kit import PIECES
from bridge.media.notes import Note

ONSET_TOLERANCE_S = 0.05
OFFSET_SHARE = 0.2  # of the note's length, and never less than 50 ms

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """`f1`, `precision` and `recall` by onset and pitch, `f1_offsets` with the end as well.

    Onset errors are of the matched notes, found minus true, in seconds; `velocity_correlation` is Pearson's
    over them. What cannot be said is NaN.
    """

    f1: float
    precision: float
    recall: float
    f1_offsets: float
    onset_error_median_s: float
    onset_error_p95_s: float
    onset_bias_s: float
    velocity_correlation: float
    found: int
    true: int


def score(found: Iterable[Note], truth: Iterable[Note]) -> Score:
    """The notes that were found beside those that were played. The two errors are of the absolute value."""
    from mir_eval import transcription  # it brings half of SciPy along, which takes seconds

    ours, theirs = list(found), list(truth)
    if not ours or not theirs:
        perfect = float(not ours and not theirs)
        nothing = float("nan")
        return Score(
            perfect, perfect, perfect, perfect, nothing, nothing, nothing, nothing, len(ours), len(theirs)
        )
    columns = (*_columns(theirs), *_columns(ours))
    precision, recall, f1, _ = transcription.precision_recall_f1_overlap(*columns, offset_ratio=None)
    with_ends = transcription.precision_recall_f1_overlap(*columns, offset_ratio=OFFSET_SHARE)[2]
    pairs = transcription.match_notes(*columns, offset_ratio=None)
    errors = np.array([ours[b].start_s - theirs[a].start_s for a, b in pairs])
    loud = np.array([(theirs[a].velocity, ours[b].velocity) for a, b in pairs], dtype=float).reshape(-1, 2)
    return Score(
        float(f1),
        float(precision),
        float(recall),
        float(with_ends),
        float(np.median(np.abs(errors))) if len(errors) else float("nan"),
        float(np.percentile(np.abs(errors), 95)) if len(errors) else float("nan"),
        float(np.median(errors)) if len(errors) else float("nan"),
        _correlation(loud),
        len(ours),
        len(theirs),
    )


def _columns(notes: Sequence[Note]) -> tuple[Rows, Rows]:
    """Intervals, and pitches in hertz as mir_eval wants them."""
    spans = np.array([[note.start_s, max(note.end_s, note.start_s + 1e-3)] for note in notes])
    return spans, 440 * 2 ** ((np.array([note.pitch for note in notes]) - 69) / 12)


def _correlation(pairs: Rows) -> float:
    if len(pairs) < 3 or np.any(pairs.max(axis=0) == pairs.min(axis=0)):
        return float("nan")
    return float(np.corrcoef(pairs[:, 0], pairs[:, 1])[0, 1])


def score_drums(found: Iterable[Note], truth: Iterable[Note]) -> Mapping[str, Score]:
    """Each piece of the kit alone (`PIECES`), whichever of its keys was written, and `all`."""
    ours, theirs = _by_piece(found), _by_piece(truth)
    each = {piece: score(ours[piece], theirs[piece]) for piece in PIECES}
    flat = [[note for notes in side.values() for note in notes] for side in (ours, theirs)]
    return {**each, "all": score(*flat)}


def _by_piece(notes: Iterable[Note]) -> dict[str, list[Note]]:
    """A piece's notes, all on its lowest key."""
    result: dict[str, list[Note]] = {piece: [] for piece in PIECES}
    for note in notes:
        for piece, keys in PIECES.items():
            if note.pitch in keys:
                result[piece].append(Note(note.start_s, note.start_s + 0.1, min(keys), note.velocity))
    return result
