"""The two small networks of the monophonic decoding: is this a stroke, and where is it over? Pure.

Both have one hidden layer and know the material, as those of `bridge.engine.candidate_network`, and were
trained on songs whose notes are known. The weights lie beside this module; `benchmarks/songs/train_voice.py`
makes them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_network import Network, answers
from bridge.media.notes import Material

WEIGHTS_FILE = Path(__file__).with_name("voice_weights.npz")
SHIFT_S = 0.02  # the unit of a stroke's shift
MOST_SHIFT_S = 0.08
MOST_CORRECTION = 3.0  # of the logarithm of a note's length

Rows = NDArray[np.float32]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    stroke: Network
    release: Network


def stroke_verdicts(rows: Rows, material: Material) -> tuple[Floats, Floats]:
    """How sure each candidate is a note's beginning (0..1), and by how many seconds that is later."""
    said = answers(networks().stroke, rows, material).astype(np.float64)
    sure = 1 / (1 + np.exp(-np.clip(said[:, 0], -50, 50)))
    return sure, np.clip(said[:, 1] * SHIFT_S, -MOST_SHIFT_S, MOST_SHIFT_S)


def length_factors(rows: Rows, material: Material) -> Floats:
    """By how much longer (or shorter) each note is than its features say."""
    said = answers(networks().release, rows, material)[:, 0].astype(np.float64)
    return np.exp(np.clip(said, -MOST_CORRECTION, MOST_CORRECTION))


@lru_cache(maxsize=1)
def networks() -> Networks:
    """Those that the package carries."""
    with np.load(WEIGHTS_FILE) as file:
        return Networks(
            *(
                Network(
                    *(file[f"{which}_{name}"].astype(np.float32) for name in Network.__dataclass_fields__)
                )
                for which in Networks.__dataclass_fields__
            )
        )
