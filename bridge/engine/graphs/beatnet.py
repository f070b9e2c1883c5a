"""BeatNet's network as an ONNX graph, written from its checkpoint without PyTorch.

The network (Heydari, Cwitkowitz and Duan, "BeatNet: CRNN and Particle Filtering for Online Joint Beat,
Downbeat and Meter Tracking", ISMIR 2021) hears 272 numbers every 20 ms (see
`bridge.engine.analysis.beat_features`): a small convolution along the bands, a linear map, and two LSTM
layers that only look back. It says for every frame whether a beat, a downbeat or neither is there. Its state
is an input and an output of the graph, so that a long file goes through in pieces, with the same result.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bridge.engine.graphs.writing import GraphWriter, Weights
from bridge.engine.unpickling import read_checkpoint
from bridge.errors import ModelError

FEATURES, TAPS, CHANNELS = 272, 10, 2
HIDDEN, LAYERS, CLASSES = 150, 2, 3
POOLED = (FEATURES - TAPS + 1) // 2
OPSET, IR_VERSION = 15, 8

_LSTM_SHAPES: dict[str, tuple[int, ...]] = {
    f"lstm.{part}_l{layer}": shape
    for layer in range(LAYERS)
    for part, shape in (
        ("weight_ih", (4 * HIDDEN, HIDDEN)),
        ("weight_hh", (4 * HIDDEN, HIDDEN)),
        ("bias_ih", (4 * HIDDEN,)),
        ("bias_hh", (4 * HIDDEN,)),
    )
}
SHAPES: dict[str, tuple[int, ...]] = {
    "conv1.weight": (CHANNELS, 1, TAPS),
    "conv1.bias": (CHANNELS,),
    "linear0.weight": (HIDDEN, CHANNELS * POOLED),
    "linear0.bias": (HIDDEN,),
    **_LSTM_SHAPES,
    "linear.weight": (CLASSES, HIDDEN),
    "linear.bias": (CLASSES,),
}


def build(published: Path) -> bytes:
    """The graph as an ONNX file, from one of BeatNet 1.1.3's `model_*_weights.pt`.

    Inputs: `features` (frames, 272) and the state before them, `hidden` and `cell` (2, 1, 150), zeros at the
    beginning, all float32. Outputs: `activation` (frames, 3), the probabilities of a beat that is no
    downbeat, of a downbeat, and of neither; `hidden_after` and `cell_after`, the state after the last frame.
    Raises ModelError for a file with other weights.
    """
    weights = _weights(published)
    graph = GraphWriter()
    x = _per_frame(graph, weights)
    hidden, cell = [], []
    for layer in range(LAYERS):
        x, last_hidden, last_cell = _lstm(graph, x, weights, layer)
        hidden.append(last_hidden)
        cell.append(last_cell)
    graph.add("Concat", *hidden, name="hidden_after", axis=0)
    graph.add("Concat", *cell, name="cell_after", axis=0)
    scores = _linear(graph, graph.reshape(x, -1, HIDDEN), weights, "linear")
    graph.add("Softmax", scores, name="activation", axis=1)
    return _written(graph)


def _weights(published: Path) -> dict[str, Weights]:
    read = read_checkpoint(published)
    read = read.get("state_dict", read) if isinstance(read, dict) else {}
    if not isinstance(read, dict) or set(read) != set(SHAPES):
        raise ModelError("this is not BeatNet's checkpoint", file=published)
    for name, shape in SHAPES.items():
        if np.shape(read[name]) != shape:
            raise ModelError(f"{name} is {np.shape(read[name])}, not {shape}", file=published)
    return {name: np.asarray(read[name], np.float32) for name in SHAPES}


def _per_frame(graph: GraphWriter, weights: dict[str, Weights]) -> str:
    """What is worked out for each frame by itself: (frames, 1, 150)."""
    row = graph.reshape("features", -1, 1, FEATURES)
    heard = graph.conv(row, weights["conv1.weight"], weights["conv1.bias"], pads=(0, 0), stride=(1,))
    pooled = graph.add("MaxPool", graph.add("Relu", heard), kernel_shape=[2], strides=[2])
    flat = graph.reshape(pooled, -1, CHANNELS * POOLED)
    return graph.reshape(_linear(graph, flat, weights, "linear0"), -1, 1, HIDDEN)


def _linear(graph: GraphWriter, x: str, weights: dict[str, Weights], name: str) -> str:
    matrix, bias = (graph.constant(weights[f"{name}.{part}"]) for part in ("weight", "bias"))
    return graph.add("Gemm", x, matrix, bias, transB=1)


def _lstm(graph: GraphWriter, x: str, weights: dict[str, Weights], layer: int) -> tuple[str, str, str]:
    """One layer, (frames, 1, 150) to the same, and its state after the last frame."""
    matrices = [_gates(weights[f"lstm.weight_{part}_l{layer}"])[np.newaxis] for part in ("ih", "hh")]
    bias = np.concatenate([_gates(weights[f"lstm.bias_{part}_l{layer}"]) for part in ("ih", "hh")])
    constants = [graph.constant(value) for value in (*matrices, bias[np.newaxis])]
    state = [graph.slice(name, layer, layer + 1, axis=0) for name in ("hidden", "cell")]
    names = [f"lstm{layer}{end}" for end in ("", "_hidden", "_cell")]
    graph.nodes.append(graph.helper.make_node("LSTM", [x, *constants, "", *state], names, hidden_size=HIDDEN))
    return graph.reshape(names[0], -1, 1, HIDDEN), names[1], names[2]


def _gates(values: Weights) -> Weights:
    """PyTorch's order of the gates (input, forget, cell, output) as ONNX's (input, output, forget, cell)."""
    into, forget, cell, out = np.split(values, 4)
    return np.concatenate([into, out, forget, cell])


def _written(graph: GraphWriter) -> bytes:
    from onnx import TensorProto

    def described(name: str, *shape: int | str) -> object:
        return graph.helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))

    state = (LAYERS, 1, HIDDEN)
    inputs = [
        described("features", "frames", FEATURES),
        described("hidden", *state),
        described("cell", *state),
    ]
    outputs = [
        described("activation", "frames", CLASSES),
        described("hidden_after", *state),
        described("cell_after", *state),
    ]
    made = graph.helper.make_graph(graph.nodes, "beatnet", inputs, outputs, graph.constants)
    opset = [graph.helper.make_opsetid("", OPSET)]
    model = graph.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    return bytes(model.SerializeToString(deterministic=True))
