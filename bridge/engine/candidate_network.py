"""Which candidates are notes: small networks, trained on songs whose notes are known. Pure.

The first sees each candidate alone (`bridge.engine.candidate_features`); the second sees the likely ones
again, and what the first said about each one's harmonic relatives and its own pitch just before and after
(`bridge.engine.candidate_relations`), so that a note explains its ghosts away. All have one hidden layer, and
know the material: it shifts the hidden layer. Two more tell where notes end and how hard they were struck.

The weights lie beside this module. `benchmarks/songs/train_candidates.py` makes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from bridge.media.notes import Material

WEIGHTS_FILE = Path(__file__).with_name("candidate_weights.npz")
MATERIALS: tuple[str, ...] = get_args(Material)
MOST_SHIFT = 8.0  # frames
LIKELY = 0.01  # what the first network is less sure of, the second does not look at

Rows = NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """One hidden layer: (inputs, hidden), (materials, hidden), (hidden, outputs), (outputs,).

    The material's row stands for the hidden layer's bias. Inputs are taken as they are.
    """

    hidden: Rows
    material: Rows
    out: Rows
    bias: Rows


@dataclass(frozen=True)
class Verdicts:
    """One entry a candidate: how sure it is a note, how sure it is a note's ghost (an overtone that looks
    like a note), and by how many frames the note begins after the candidate's frame."""

    note: NDArray[np.float64]
    ghost: NDArray[np.float64]
    shift: NDArray[np.float64]


@dataclass(frozen=True)
class Networks:
    first: Network
    second: Network
    release: Network
    loudness: Network


def answers(network: Network, rows: Rows, material: Material) -> Rows:
    """What a network answers to each row of inputs, its last layer as it is: (rows, outputs)."""
    hidden = rows @ network.hidden
    hidden += network.material[MATERIALS.index(material)]
    np.maximum(hidden, 0, out=hidden)
    return np.asarray(hidden @ network.out + network.bias, dtype=np.float32)


def verdicts(network: Network, rows: Rows, material: Material) -> Verdicts:
    """What a network says about each row of inputs."""
    said = answers(network, rows, material).astype(np.float64)
    votes = np.concatenate([np.zeros((len(rows), 1)), said[:, :2]], axis=1)
    votes = np.exp(votes - votes.max(axis=1, keepdims=True))
    votes /= votes.sum(axis=1, keepdims=True)
    return Verdicts(votes[:, 1], votes[:, 2], np.clip(said[:, 2], -MOST_SHIFT, MOST_SHIFT))


@lru_cache(maxsize=1)
def networks() -> Networks:
    """Those that the package carries."""
    with np.load(WEIGHTS_FILE) as file:
        return Networks(*(_network(file, which) for which in Networks.__dataclass_fields__))


def _network(file: Mapping[str, NDArray[np.floating[Any]]], which: str) -> Network:
    names = Network.__dataclass_fields__
    return Network(*(file[f"{which}_{name}"].astype(np.float32) for name in names))
