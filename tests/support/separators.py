"""Small graphs of random weights that stand for the musician's own models for stems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SAMPLES = 2, 16_384


def write_separator(path: Path, *, stems: int = 4, seed: int = 7) -> Path:
    """A separator with htdemucs's signature: (1, 2, samples) in, (1, stems, 2, samples) out."""
    gains = np.random.default_rng(seed).random((1, stems, 1, 1)).astype(np.float32)
    nodes = [
        helper.make_node("Unsqueeze", ["mix", "axis"], ["one"]),
        helper.make_node("Mul", ["one", "gains"], ["stems"]),
    ]
    sound = helper.make_tensor_value_info("mix", TensorProto.FLOAT, [1, CHANNELS, SAMPLES])
    parts = helper.make_tensor_value_info("stems", TensorProto.FLOAT, [1, stems, CHANNELS, SAMPLES])
    constants = [numpy_helper.from_array(np.array([1]), "axis"), numpy_helper.from_array(gains, "gains")]
    graph = helper.make_graph(nodes, "separator", [sound], [parts], constants)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(whole.SerializeToString())
    return path
