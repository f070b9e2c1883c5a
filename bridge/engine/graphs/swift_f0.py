"""swift-f0's network as a graph of our own: the same weights and sums, in less time.

The published graph makes its three spectrograms with complex Fourier matrices, most of which work on zeros or
on the mirrored half. Here they are two multiplications by real matrices, with the twiddle factors inside the
second, and frames are columns throughout, so that nothing is ever transposed. Each band is summed over its
own few bins.

The network's convolutions are symmetric in time (the middle tap and two equal ones): each is worked out as
one tap on the sound and one on its mean over three frames. At the end only the 96 lowest of 128 bands are
read, so what only the others need is left out. Each output is the sum of the same products as before; only
their order differs (about 1e-6).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bridge.engine.graphs.writing import GraphWriter, Weights
from bridge.errors import ModelError

HOP = 256
SIZES = (1024, 2048, 512)  # samples that the three spectra span, in the order of the network's channels
STEPS = {1024: (32, 32), 2048: (64, 32), 512: (32, 16)}  # each size is the product of two
BANDS, BANDS_READ, PITCHES = 128, 96, 95
BANDS_AT_ONCE = 32
LEAST = np.float32(1e-8)
LAST_CHANNELS = 4
OPSET, IR_VERSION = 18, 8
DILATIONS = (1, 17, 27, 40, 48, 2)  # bands between the taps of each of the six residual blocks

_BLOCKS = ((7, 3), (7, 1), (5, 1), (3, 1), (3, 1), (7, 3))  # taps of the two convolutions of each
_SHAPES = (
    (12, 3, 3, 3),
    *((12, 12, *taps) for taps in _BLOCKS for _ in range(2)),
    (4, 12, 3, 3),
    (4, 4, 5, 1),
    (1, 4, 1, 1),
    (16, 5, 3),
    (1, 16, 1),
)
"""The convolutions' weights in the order of the published graph."""


Conv = tuple[Weights, Weights]


@dataclass(frozen=True)
class _Published:
    """What is taken from the published file: (taps, bias) of each convolution in order, the band matrices
    (bins, 128) by size, and the (95,) logarithms of the pitches in Hz."""

    convs: tuple[Conv, ...]
    bands: Mapping[int, Weights]
    log_hz: Weights


def build(source: Path) -> bytes:
    """The graph for the weights in swift-f0's published file, as an ONNX file.

    Input `audio` (1, samples) float32 at 16 kHz, a whole number of 256 samples. Outputs `pitch` in Hz, from
    46.9 to 2,093.7, and `confidence` (0..1), both (1, samples / 256). Raises ModelError for a file with other
    weights.
    """
    published = _published(source)
    graph = GraphWriter()
    bands = _log_bands(graph, published)
    x = _blocks(graph, bands, published.convs)
    likely, local = _last(graph, x, published.convs)
    _pitch(graph, likely, published.log_hz)
    _confidence(graph, bands, local, published.convs)
    return _written(graph)


# Spectra


def _log_bands(graph: GraphWriter, published: _Published) -> str:
    """(1, 3, 128, frames): the logarithm of each band of each of the three spectra."""
    around = max(SIZES) // 2 // HOP
    columns = graph.add("Transpose", graph.reshape("audio", -1, HOP), perm=[1, 0])
    columns = graph.pad(columns, [0, around, 0, around])
    last = 2 * around
    shifted = [
        graph.slice(columns, first, first - last if first < last else 2**31 - 1, axis=1)
        for first in range(last + 1)
    ]
    channels = []
    for size in SIZES:
        first = around - size // 2 // HOP
        spectrum = _magnitudes(graph, shifted[first : first + size // HOP], size)
        channels.append(graph.reshape(_banded(graph, spectrum, published.bands[size]), 1, 1, BANDS, -1))
    bands = graph.add("Concat", *channels, axis=1)
    return graph.add("Log", graph.add("Add", bands, graph.constant(LEAST)))


def _magnitudes(graph: GraphWriter, parts: Sequence[str], size: int) -> str:
    """(size / 2 + 1, frames), from the frames' parts of 256 samples, each (256, frames)."""
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).reshape(-1, HOP, 1)
    weighted = [graph.add("Mul", part, graph.constant(w)) for part, w in zip(parts, window, strict=True)]
    slow, fast = STEPS[size]
    samples = graph.reshape(graph.add("Concat", *weighted, axis=0), slow, -1)
    first, second = fourier_matrices(slow, fast)
    halves = graph.reshape(graph.add("MatMul", graph.constant(first), samples), len(second), 2 * fast, -1)
    parts_of_bins = graph.add("MatMul", graph.constant(second), halves)
    squares = graph.reshape(graph.add("Mul", parts_of_bins, parts_of_bins), len(second), 2, fast, -1)
    power = graph.add("ReduceSum", squares, graph.constant(np.array([1], np.int64)), keepdims=0)
    in_order = graph.constant(bin_order(slow, fast))
    rows = graph.add("Gather", graph.reshape(power, len(second) * fast, -1), in_order, axis=0)
    return graph.add("Sqrt", rows)


def fourier_matrices(slow: int, fast: int) -> tuple[Weights, Weights]:
    """A Fourier transform of slow * fast real samples in two steps.

    With sample n = fast * a + b and bin k = c + slow * d: the first, (2 (slow / 2 + 1), slow), goes from a to
    c, a cosine and a sine row each; the second, (slow / 2 + 1, 2 fast, 2 fast), from b's two parts to d's.
    Bins with c above slow / 2 mirror others and are left out.
    """
    kept = np.arange(slow // 2 + 1)[:, np.newaxis]
    angle = 2 * np.pi * kept * np.arange(slow) / slow
    first = np.stack([np.cos(angle), -np.sin(angle)], axis=1).reshape(-1, slow)
    within = np.arange(fast)
    turn = within * kept[:, :, np.newaxis] / (slow * fast) + within * within[:, np.newaxis] / fast
    cosine, sine = np.cos(2 * np.pi * turn), np.sin(2 * np.pi * turn)
    second = np.concatenate(
        [np.concatenate([cosine, sine], axis=2), np.concatenate([-sine, cosine], axis=2)], axis=1
    )
    return first.astype(np.float32), second.astype(np.float32)


def bin_order(slow: int, fast: int) -> Any:
    """For each bin 0 to slow * fast / 2 the row of it, or of the one it mirrors, in what the steps give."""
    bins = np.arange(slow * fast // 2 + 1)
    bins = np.where(bins % slow > slow // 2, slow * fast - bins, bins)
    return (bins % slow) * fast + bins // slow


def _banded(graph: GraphWriter, spectrum: str, matrix: Weights) -> str:
    """(128, frames), from (bins, frames): some bands at a time, which have only some of the bins."""
    groups = []
    for first in range(0, BANDS, BANDS_AT_ONCE):
        here = matrix[:, first : first + BANDS_AT_ONCE].T
        used = np.flatnonzero(here.any(axis=0))
        low, high = int(used[0]), int(used[-1]) + 1
        bins = graph.slice(spectrum, low, high, axis=0)
        groups.append(graph.add("MatMul", graph.constant(here[:, low:high]), bins))
    return graph.add("Concat", *groups, axis=0)


# The network


def _blocks(graph: GraphWriter, bands: str, convs: Sequence[Conv]) -> str:
    """(1, 12, 96, frames)."""
    x = graph.add("Relu", graph.conv(bands, *convs[0], pads=[1, 1, 1, 1]))
    for block, apart in enumerate(DILATIONS[:-1]):
        first, second = convs[1 + 2 * block : 3 + 2 * block]
        hidden = graph.add("Relu", _convolved(graph, x, first, apart))
        x = graph.add("Relu", graph.add("Add", x, _convolved(graph, hidden, second, apart)))
    first, second = convs[-7:-5]
    reach = first[0].shape[2] // 2 * DILATIONS[-1]
    hidden = graph.slice(x, 0, BANDS_READ + 2 * reach, axis=2)
    hidden = graph.add("Relu", _convolved(graph, hidden, first, DILATIONS[-1], only_above=True))
    added = _convolved(graph, hidden, second, DILATIONS[-1], only_above=True)
    return graph.add("Relu", graph.add("Add", graph.slice(x, 0, BANDS_READ, axis=2), added))


def _convolved(graph: GraphWriter, x: str, conv: Conv, apart: int, *, only_above: bool = False) -> str:
    """As many bands as before; `only_above` pads the low end only, so the high end loses what it lacks."""
    taps, bias = conv
    reach = taps.shape[2] // 2 * apart
    around = [reach, 0, 0 if only_above else reach, 0]
    if taps.shape[3] == 1:
        return graph.conv(x, taps, bias, pads=around, dilations=[apart, 1])
    on_sound, on_mean = in_two(taps)
    mean = _mean_of_three(graph, x)
    by_mean = graph.conv(mean, on_mean, np.zeros_like(bias), pads=around, dilations=[apart, 1])
    by_sound = graph.conv(x, on_sound, bias, pads=around, dilations=[apart, 1])
    return graph.add("Add", by_sound, by_mean)


def _mean_of_three(graph: GraphWriter, x: str) -> str:
    return graph.add("AveragePool", x, kernel_shape=[1, 3], pads=[0, 1, 0, 1], count_include_pad=1)


def in_two(taps: Weights) -> tuple[Weights, Weights]:
    """Taps (out, in, height, 3), symmetric, as those on the middle column and on the mean of the three."""
    side = taps[..., :1]
    return taps[..., 1:2] - side, 3 * side


def _last(graph: GraphWriter, x: str, convs: Sequence[Conv]) -> tuple[str, str]:
    """How likely each pitch is, (95, frames), and what the confidence is made of, (1, 4, 95, frames)."""
    (taps, bias), (local_taps, local_bias), (likely_taps, likely_bias) = convs[-5:-2]
    both = np.concatenate(in_two(taps))
    both_bias = np.concatenate([bias, np.zeros_like(bias)])
    parts = graph.conv(x, both, both_bias, pads=[1, 0, 0, 0])
    by_sound = graph.slice(parts, 0, LAST_CHANNELS, axis=1)
    by_mean = _mean_of_three(graph, graph.slice(parts, LAST_CHANNELS, 2 * LAST_CHANNELS, axis=1))
    x = graph.add("Relu", graph.add("Add", by_sound, by_mean))
    reach = local_taps.shape[2] // 2
    likely_taps = np.pad(likely_taps, ((0, 0), (0, 0), (reach, reach), (0, 0)))
    taps = np.concatenate([local_taps, likely_taps])
    x = graph.conv(x, taps, np.concatenate([local_bias, likely_bias]), pads=[reach, 0, reach, 0])
    likely = graph.slice(x, LAST_CHANNELS, LAST_CHANNELS + 1, axis=1)
    return graph.reshape(likely, PITCHES, -1), graph.slice(x, 0, LAST_CHANNELS, axis=1)


def _pitch(graph: GraphWriter, likely: str, log_hz: Weights) -> None:
    """The mean of the likeliest pitch and its two neighbours, each weighed by how likely it is."""
    best = graph.add("ArgMax", likely, axis=0, keepdims=1)
    three = graph.add("Add", best, graph.constant(np.array([[-1], [0], [1]], np.int64)))
    never = graph.constant(np.float32(-np.inf))
    padded = graph.add("Pad", likely, graph.constant(np.array([1, 0, 1, 0], np.int64)), never)
    in_padded = graph.add("Add", three, graph.constant(np.int64(1)))
    shares = graph.add("Softmax", graph.add("GatherElements", padded, in_padded, axis=0), axis=0)
    limits = (graph.constant(np.int64(limit)) for limit in (0, PITCHES - 1))
    pitches = graph.add("Gather", graph.constant(log_hz), graph.add("Clip", three, *limits), axis=0)
    axis = graph.constant(np.array([0], np.int64))
    mean = graph.add("ReduceSum", graph.add("Mul", shares, pitches), axis, keepdims=1)
    graph.add("Exp", mean, name="pitch")


def _confidence(graph: GraphWriter, bands: str, local: str, convs: Sequence[Conv]) -> None:
    strongest = graph.add("ReduceMax", local, graph.constant(np.array([2], np.int64)), keepdims=0)
    mean = graph.add("ReduceMean", bands, graph.constant(np.array([1, 2], np.int64)), keepdims=0)
    x = graph.add("Concat", strongest, graph.reshape(mean, 1, 1, -1), axis=1)
    x = graph.add("Relu", graph.conv(x, *convs[-2], stride=[1], pads=[1, 1]))
    x = graph.conv(x, *convs[-1], stride=[1], pads=[0, 0])
    graph.add("Sigmoid", graph.reshape(x, 1, -1), name="confidence")


# The published file


def _published(source: Path) -> _Published:
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        graph = onnx.load_model_from_string(source.read_bytes()).graph
        values = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
        convs = tuple((taps, bias) for taps, bias in _constants_of(graph, values, "Conv"))
        scattered = _constants_of(graph, values, "ScatterElements")
        bands = {size: _matrix(size, *entries) for size, entries in zip(SIZES, scattered, strict=True)}
        log_hz = next(one for one in values.values() if one.shape == (PITCHES,) and one.dtype == np.float64)
    except (DecodeError, StopIteration, ValueError, KeyError, IndexError, TypeError) as fault:
        raise ModelError("this is not swift-f0's published network", file=source) from fault
    symmetric = all(np.array_equal(taps, taps[..., ::-1]) for taps, _ in convs)
    if not symmetric or tuple(taps.shape for taps, _ in convs) != _SHAPES:
        raise ModelError("this is not swift-f0's published network", file=source)
    return _Published(convs, bands, log_hz.astype(np.float32))


def _constants_of(graph: Any, values: Mapping[str, Any], kind: str) -> list[list[Any]]:
    """What the nodes of a kind, in order, take besides their first input."""
    return [[values[name] for name in node.input[1:]] for node in graph.node if node.op_type == kind]


def _matrix(size: int, places: Any, entries: Any) -> Weights:
    matrix = np.zeros((size // 2 + 1) * BANDS, np.float32)
    matrix[places] = entries
    return matrix.reshape(-1, BANDS)


def _written(graph: GraphWriter) -> bytes:
    from onnx import TensorProto

    def value(name: str, length: str) -> Any:
        return graph.helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, length))

    outputs = [value("pitch", "frames"), value("confidence", "frames")]
    made = graph.helper.make_graph(
        graph.nodes, "swift-f0", [value("audio", "samples")], outputs, graph.constants
    )
    opset = [graph.helper.make_opsetid("", OPSET)]
    model = graph.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
