"""A network like Spleeter's with few channels and random weights, and its checkpoints."""

from __future__ import annotations

import pickle
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bridge.engine.graphs.spleeter import build
from support.checkpoints import write_archive

Weights = dict[str, NDArray[np.float32]]
DOWN = (2, 3, 2, 4, 3, 4, 5)


def small_unet(seed: int) -> Weights:
    rng = np.random.default_rng(seed)

    def some(*shape: int, size: float = 0.15) -> NDArray[np.float32]:
        return rng.normal(0, size, shape).astype(np.float32)

    def norm(name: str, count: int) -> Weights:
        return {
            f"{name}.weight": rng.uniform(0.5, 1.5, count).astype(np.float32),
            f"{name}.bias": some(count),
            f"{name}.running_mean": some(count),
            f"{name}.running_var": rng.uniform(0.5, 1.5, count).astype(np.float32),
        }

    weights: Weights = {}
    for level, (ins, outs) in enumerate(pairwise(DOWN), 1):
        weights[f"down{level}_conv.1.weight"] = some(outs, ins, 5, 5)
        weights[f"down{level}_conv.1.bias"] = some(outs)
        weights |= norm(f"down{level}_act.0", outs)
    ups = (*DOWN[5:0:-1], 1)
    for level, outs in enumerate(ups, 1):
        ins = DOWN[6] if level == 1 else DOWN[7 - level] + ups[level - 2]
        weights[f"up{level}.0.weight"] = some(ins, outs, 5, 5)
        weights[f"up{level}.0.bias"] = some(outs)
        weights |= norm(f"up{level}.3", outs)
    weights["up7.0.weight"], weights["up7.0.bias"] = some(2, 1, 4, 4, size=0.5), some(2)
    return weights


def write_arrays(path: Path, weights: Weights) -> Path:
    """As `torch.save` writes a dict of numpy arrays."""
    return write_archive(path, pickle.dumps(weights, protocol=2), {})


def small_spleeter(folder: Path) -> Path:
    """A graph of two such networks."""
    paths = [write_arrays(folder / f"{seed}.ckpt", small_unet(seed)) for seed in (1, 2)]
    model = folder / "spleeter.onnx"
    model.write_bytes(build(*paths))
    return model
