"""Basic Pitch's network as a graph of our own: the same weights and sums, three times as fast.

The published graph has convolutions with 1 or 8 channels. onnxruntime works on blocks of 8 or 16 channels, so
most of its work there is on padding. Here columns are folded into channels: a convolution that gives one
column of one channel a step becomes one that gives several neighbouring columns as several channels. Each
output is the sum of the same products as before; only their order differs (about 1e-6).

The graph also gives the power of the constant-Q transform that the network begins with, before it is
normalised: it tells how loud each note is, at no cost.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from bridge.engine.graphs.writing import GraphWriter, Weights
from bridge.errors import ModelError

WINDOW_SAMPLES = 43_844
FRAMES = 172
OCTAVES, BINS_PER_OCTAVE, BINS = 9, 36, 309
HOP, TAPS = 256, 256
COLUMNS, KEYS = 264, 88
OPSET, IR_VERSION = 15, 8

# How many bins each channel of the stack is shifted: the sub-octave, then harmonics 1 to 7.
HARMONIC_SHIFTS = (-36, 0, 36, 57, 72, 84, 93, 101)
FOLD = 2  # columns of the harmonic stack that are one column of twice the channels
LOWPASS_FOLD = 16


def build(source: Path) -> bytes:
    """The graph for the weights in Basic Pitch's published file `nmp.onnx`, as an ONNX file.

    Input `audio` (1, 43844) float32 at 22,050 Hz. Outputs `note` and `onset` (1, 172, 88), `contour`
    (1, 172, 264), all in 0..1, and `power` (1, 309, 172), the constant-Q transform's, 36 bins an octave up
    from 27.5 Hz. Raises ModelError for a file with other weights.
    """
    weights = _weights(source)
    graph = GraphWriter()
    power = _constant_q(graph, weights)
    stack = _harmonic_stack(graph, _normalised_log(graph, power, weights))
    contour = _contour(graph, stack, weights)
    note = _note(graph, contour, weights)
    _onset(graph, stack, note, weights)
    return _written(graph)


def _constant_q(graph: GraphWriter, weights: dict[str, Weights]) -> str:
    """Power of the constant-Q transform, octave by octave, each at half the rate of the one above it."""
    kernels = np.concatenate([weights["cosine"], weights["sine"]])
    silent = np.zeros(len(kernels), np.float32)
    audio = graph.reshape("audio", 1, 1, WINDOW_SAMPLES)
    octaves: list[str] = []
    samples = WINDOW_SAMPLES
    for octave in range(OCTAVES):
        framed = graph.pad(audio, [0, 0, TAPS // 2, 0, 0, TAPS // 2], mode="reflect")
        framed = graph.reshape(framed, 1, 1, 1, samples + TAPS)
        parts = graph.conv(framed, kernels, silent, stride=[1, HOP >> octave], pads=[0, 0, 0, 0])
        parts = graph.reshape(graph.add("Mul", parts, parts), 1, 2, BINS_PER_OCTAVE, FRAMES)
        axis = graph.constant(np.array([1], np.int64))
        octaves.insert(0, graph.add("ReduceSum", parts, axis, keepdims=0))
        if octave < OCTAVES - 1:
            audio, samples = _half_rate(graph, audio, samples, weights["lowpass"])
    bins = graph.slice(
        graph.add("Concat", *octaves, axis=1), OCTAVES * BINS_PER_OCTAVE - BINS, 2**31 - 1, axis=1
    )
    scale = weights["scale"].reshape(1, BINS, 1).astype(np.float64) ** 2
    return graph.add("Mul", bins, graph.constant(scale), name="power")


def _half_rate(graph: GraphWriter, audio: str, samples: int, lowpass: Weights) -> tuple[str, int]:
    """Every second sample of the low-passed audio: `LOWPASS_FOLD` of them a step, as channels."""
    half = (samples - 2) // 2 + 1
    steps = -(-half // LOWPASS_FOLD)
    width = TAPS + 2 * (LOWPASS_FOLD - 1)
    taps = np.zeros((LOWPASS_FOLD, 1, 1, width), np.float32)
    for step in range(LOWPASS_FOLD):
        taps[step, 0, 0, 2 * step : 2 * step + TAPS] = lowpass.ravel()
    front = TAPS // 2 - 1
    back = (steps - 1) * 2 * LOWPASS_FOLD + width - samples - front
    row = graph.reshape(audio, 1, 1, 1, samples)
    silent = np.zeros(LOWPASS_FOLD, np.float32)
    folded = graph.conv(row, taps, silent, stride=[1, 2 * LOWPASS_FOLD], pads=[0, front, 0, back])
    unfolded = graph.add("Transpose", folded, perm=[0, 2, 3, 1])
    return graph.slice(graph.reshape(unfolded, 1, 1, steps * LOWPASS_FOLD), 0, half, axis=2), half


def _normalised_log(graph: GraphWriter, power: str, weights: dict[str, Weights]) -> str:
    """Decibels, from the window's least to its most as 0 to 1, then the batch norm: (1, 172, 309)."""
    decibels = graph.add("Log", graph.add("Add", power, graph.constant(np.float32(1e-10))))
    decibels = graph.add("Mul", decibels, graph.constant(np.float32(10 / np.log(10))))
    over_least = graph.add("Sub", decibels, graph.add("ReduceMin", decibels, axes=[1, 2], keepdims=1))
    most = graph.add("ReduceMax", over_least, axes=[1, 2], keepdims=1)
    # A window of digital silence is all zeros: 0 / 1e-30.
    shares = graph.add("Div", over_least, graph.add("Max", most, graph.constant(np.float32(1e-30))))
    normed = graph.add("Mul", shares, graph.constant(weights["norm_scale"].reshape(1)))
    normed = graph.add("Add", normed, graph.constant(weights["norm_shift"].reshape(1)))
    return graph.add("Transpose", normed, perm=[0, 2, 1])


def _harmonic_stack(graph: GraphWriter, bins: str) -> str:
    """(1, 16, 172, 132): channel 2h + j, column c is bin 2c + j of the h-th harmonic, 0 outside."""
    front = -min(HARMONIC_SHIFTS)
    back = max(HARMONIC_SHIFTS) + COLUMNS + 2 - BINS
    width = front + BINS + back
    padded = graph.pad(bins, [0, 0, front, 0, 0, back + width % FOLD])
    width += width % FOLD
    folded = graph.add("Transpose", graph.reshape(padded, 1, FRAMES, width // 2, 2), perm=[0, 3, 1, 2])
    even, odd = (graph.slice(folded, part, part + 1, axis=1) for part in (0, 1))
    shifted = graph.add(
        "Concat", odd, graph.slice(graph.pad(even, [0] * 7 + [1]), 1, 2**31 - 1, axis=3), axis=1
    )
    stack = []
    for shift in HARMONIC_SHIFTS:
        first, is_odd = divmod(shift + front, 2)
        stack.append(graph.slice(shifted if is_odd else folded, first, first + COLUMNS // FOLD, axis=3))
    return graph.add("Concat", *stack, axis=1)


def _contour(graph: GraphWriter, stack: str, weights: dict[str, Weights]) -> str:
    """(1, 172, 264)."""
    hidden = _folded_conv(graph, stack, weights, "contour_hidden", columns=COLUMNS, fold_in=2, fold_out=2)
    hidden = graph.add("Relu", hidden)
    out = _folded_conv(graph, hidden, weights, "contour", columns=COLUMNS, fold_in=2, fold_out=12)
    out = graph.add("Transpose", graph.add("Sigmoid", out), perm=[0, 2, 3, 1])
    return graph.reshape(out, 1, FRAMES, COLUMNS, name="contour")


def _note(graph: GraphWriter, contour: str, weights: dict[str, Weights]) -> str:
    """The notes, still folded: (1, 8, 172, 11)."""
    image = graph.reshape(contour, 1, 1, FRAMES, COLUMNS)
    taps, bias = weights["note_hidden"], weights["note_hidden_bias"]
    hidden = graph.add("Relu", graph.conv(image, taps, bias, stride=[1, 3], pads=[3, 2, 3, 2]))
    folded = _folded_conv(graph, hidden, weights, "note", columns=KEYS, fold_in=1, fold_out=8)
    note = graph.add("Sigmoid", folded)
    graph.reshape(graph.add("Transpose", note, perm=[0, 2, 3, 1]), 1, FRAMES, KEYS, name="note")
    return note


def _onset(graph: GraphWriter, stack: str, note: str, weights: dict[str, Weights]) -> None:
    hidden = _folded_conv(
        graph, stack, weights, "onset_hidden", columns=COLUMNS, fold_in=2, fold_out=2, stride=3
    )
    hidden = graph.add("Relu", hidden)
    taps, bias = weights["onset"], weights["onset_bias"]
    parts = {
        "of_note": taps[:, :1], "of_note_bias": np.zeros_like(bias),
        "of_audio": taps[:, 1:], "of_audio_bias": bias,
    }  # fmt: skip
    of_note = _folded_conv(graph, note, parts, "of_note", columns=KEYS, fold_in=8, fold_out=8)
    of_audio = _folded_conv(graph, hidden, parts, "of_audio", columns=KEYS, fold_in=2, fold_out=8)
    onset = graph.add("Sigmoid", graph.add("Add", of_note, of_audio))
    graph.reshape(graph.add("Transpose", onset, perm=[0, 2, 3, 1]), 1, FRAMES, KEYS, name="onset")


def _folded_conv(
    graph: GraphWriter,
    x: str,
    weights: dict[str, Weights],
    name: str,
    *,
    columns: int,
    fold_in: int,
    fold_out: int,
    stride: int = 1,
) -> str:
    """The convolution `name` on `columns` columns of which `fold_in` are one: gives `fold_out` at a time.

    Channel i * fold + j of a folded array is column j of each group, of channel i. The edges are padded as
    TensorFlow's "same" does: the smaller half in front.
    """
    taps = weights[name]
    height, width = taps.shape[2:]
    front = max(width - stride, 0) // 2
    folded, first = fold_taps(taps, fold_in=fold_in, fold_out=fold_out, stride=stride, front=front)
    step = stride * fold_out // fold_in
    groups = columns // (stride * fold_out)
    back = (groups - 1) * step + folded.shape[3] - columns // fold_in - first
    rows = height // 2
    bias = np.repeat(weights[f"{name}_bias"], fold_out)
    return graph.conv(x, folded, bias, stride=[1, step], pads=[rows, first, rows, back])


def fold_taps(taps: Weights, *, fold_in: int, fold_out: int, stride: int, front: int) -> tuple[Weights, int]:
    """Taps (out, in, height, width) for folded columns, and how many folded columns of padding are in front.

    The result is (out * fold_out, in * fold_in, height, folded width).
    """
    outs, ins, height, width = taps.shape
    first = -(-front // fold_in)
    last = (stride * (fold_out - 1) - front + width - 1) // fold_in
    folded = np.zeros((outs, fold_out, ins, fold_in, height, first + last + 1), np.float32)
    for out_column in range(fold_out):
        for tap in range(width):
            group, column = divmod(stride * out_column - front + tap, fold_in)
            folded[:, out_column, :, column, :, group + first] = taps[:, :, :, tap]
    return folded.reshape(outs * fold_out, ins * fold_in, height, -1), first


_SHAPES: dict[str, tuple[int, ...]] = {
    "lowpass": (1, 1, 1, 256),
    "scale": (309, 1, 1),
    "contour_hidden": (8, 8, 3, 39),
    "contour": (1, 8, 5, 5),
    "note_hidden": (32, 1, 7, 7),
    "note": (1, 32, 7, 3),
    "onset_hidden": (32, 8, 5, 5),
    "onset": (1, 33, 3, 3),
}
"""The published graph's weights, each known by its shape."""


def _weights(source: Path) -> dict[str, Weights]:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load_model_from_string(source.read_bytes()).graph
        values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        found = {
            name: next(array for array in values.values() if array.shape == shape)
            for name, shape in _SHAPES.items()
        }
        for node in graph.node:
            if node.op_type == "Conv":
                taps, bias = (values[name] for name in node.input[1:])
                found |= {f"{name}_bias": bias for name in _SHAPES if found[name].shape == taps.shape}
        kernels = {array.tobytes(): array for array in values.values() if array.shape == (36, 1, 1, 256)}
        found["cosine"], found["sine"] = kernels.values()
        norm = {node.op_type: node for node in graph.node if "batch_normalization" in node.name}
        found["norm_scale"], found["norm_shift"] = (values[norm[kind].input[1]] for kind in ("Mul", "Add"))
    except (DecodeError, StopIteration, ValueError, KeyError, IndexError) as fault:
        raise ModelError("this is not Basic Pitch's published network", file=source) from fault
    return found


def _written(graph: GraphWriter) -> bytes:
    from onnx import TensorProto

    def value(name: str, *shape: int) -> Any:
        return graph.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [
        value("note", 1, FRAMES, KEYS),
        value("onset", 1, FRAMES, KEYS),
        value("contour", 1, FRAMES, COLUMNS),
        value("power", 1, BINS, FRAMES),
    ]
    made = graph.helper.make_graph(
        graph.nodes, "basic-pitch", [value("audio", 1, WINDOW_SAMPLES)], outputs, graph.constants
    )
    opset = [graph.helper.make_opsetid("", OPSET)]
    model = graph.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
