"""transkun's network as an ONNX graph, written from its checkpoint without PyTorch.

The network (Yan and Duan, "Scoring Time Intervals Using Non-Hierarchical Transformer for Automatic Piano
Transcription", ISMIR 2024) hears a window of 16 s and scores, for each of 88 keys and two pedals, every
interval between two frames as a note. Its weights were trained on MAESTRO.

Same weights, same sums as the published network; what differs is how much is worked out at all:
- the last layer follows only the 90 columns that are read, and no more of it than they need;
- the step up from patches of 8 frames and the scores' linear maps are one matrix, so that the features of
  every frame are never made: those of the notes that were found are, in a small second graph;
- scores are made only for intervals that end after they begin, and only the few that may become a note leave
  the graph: one that does not score above 0 never beats silence (see `bridge.engine.semi_crf`).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.unpickling import read_checkpoint
from bridge.errors import ModelError

OPSET, IR_VERSION = 17, 8
FRAMES, PATCHES, PATCH = 691, 88, 8  # of 16 s, the only length that the network has learnt
WINDOWS = 6
MELS, PATCH_COLUMNS = 229, 58
TARGETS = (-64, -67, *range(21, 109))  # the two pedals' controllers, then the keys' MIDI numbers
COLUMNS = 1 + PATCH_COLUMNS + len(TARGETS)
HEADS, GROUPS = 8, 4
ROWS_AT_ONCE, COLUMNS_AT_ONCE = 18, 30  # what stays in the processor's cache
SCORE_BLOCK = 99  # frames of intervals' beginnings that are scored at a time
LEAST_POWER = 1e-5
LEAST_SCORE = -2.0  # of an interval that may become a note

MEL = "framewiseFeatureExtractor.freq2mels"
WINDOW = "framewiseFeatureExtractor.spectrogramExtractor.win"
UP = "backbone.upConv1dSkip"
SCORER = "scorer.map.0"

Weights = dict[str, NDArray[np.float32]]
Wide = NDArray[np.float64]


def build(checkpoint: Path) -> bytes:
    """The graph as an ONNX model, from transkun 2.0's `2.0.pt`.

    Input `power` (6, 691, bins) float32: the power of the six windows' spectra, the mean of the channels.
    Outputs: `rows` (90, 88, 256); `single` (90, 691), the scores of notes within one frame; `where`
    (3, intervals) int64, target, first and last frame of each interval that scores above -2, in no order;
    `score` (intervals,), not yet multiplied by its length in frames.
    Metadata: `windows`, the (6, 4096) float32 windows, and `details`, a second model, both in base64: inputs
    `first`, `last` (notes, 256), the rows of a note's two ends, and `first_phase`, `last_phase` (notes,)
    int64, frame % 8; outputs `velocity` (notes, 128) and `edges` (notes, 4), logits.
    The same bytes each time on one machine. Raises ModelError for a file that is not this checkpoint.
    """
    try:
        weights = _weights(checkpoint)
        facts = {"windows": _text(_windows(weights).tobytes()), "details": _text(_details(weights).write({}))}
        return _listening(weights).write(facts)
    except KeyError as missing:
        raise ModelError(f"the checkpoint has no {missing}", file=checkpoint) from missing
    except ValueError as fault:
        raise ModelError(f"the checkpoint's weights do not fit: {fault}", file=checkpoint) from fault


def _weights(checkpoint: Path) -> Weights:
    read = read_checkpoint(checkpoint)
    state = read.get("best_state_dict", read.get("state_dict")) if isinstance(read, dict) else None
    if not isinstance(state, dict) or not all(isinstance(value, np.ndarray) for value in state.values()):
        raise ModelError("this is not transkun's checkpoint", file=checkpoint)
    weights = {str(name): np.asarray(value, np.float32) for name, value in state.items()}
    if weights[MEL].shape[1] != MELS:
        raise ValueError(f"{weights[MEL].shape[1]} mel bands, not {MELS}")
    return weights


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


class _Graph:
    """A graph being written: nodes in order, constants by name."""

    def __init__(self, name: str, weights: Weights) -> None:
        self.name = name
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, NDArray[Any]] = {}
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node; the name of its one output."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        from onnx import helper

        names = [f"{kind}_{len(self.nodes)}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        array = np.array(value, dtype, order="C")
        # Small ones come again and again.
        name = (
            f"{array.dtype}{array.shape}{array.tolist()}" if array.size < PATCH else f"{len(self.constants)}"
        )
        self.constants.setdefault(name, array)
        return name

    def weight(self, name: str, *, turned: bool = False, scale: str | None = None) -> str:
        """A weight as a constant: the same one however often it is asked for."""
        key = f"{name}{' turned' * turned}{' scaled' * (scale is not None)}"
        if key not in self.constants:
            value = self.weights[name].T if turned else self.weights[name]
            self.constants[key] = np.ascontiguousarray(
                value if scale is None else value * self.weights[scale]
            )
        return key

    def shape(self, *sizes: int) -> str:
        return self.constant(sizes, np.int64)

    def slice(self, value: str, first: int, stop: int, *, axis: int) -> str:
        return self.op("Slice", value, self.shape(first), self.shape(stop), self.shape(axis))

    def input(self, name: str, sizes: Sequence[int | str], dtype: Any = np.float32) -> str:
        self.inputs.append(_described(name, sizes, dtype))
        return name

    def output(self, name: str, value: str, sizes: Sequence[int | str], dtype: Any = np.float32) -> None:
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(_described(name, sizes, dtype))

    def write(self, metadata: dict[str, str]) -> bytes:
        from onnx import helper, numpy_helper

        constants = [numpy_helper.from_array(value, name) for name, value in self.constants.items()]
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, constants)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        helper.set_model_props(model, metadata)
        return bytes(model.SerializeToString(deterministic=True))


def _described(name: str, sizes: Sequence[int | str], dtype: Any) -> Any:
    from onnx import helper

    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), sizes)


# --- what the network hears -------------------------------------------------------------------------------


def _windows(weights: Weights) -> NDArray[np.float32]:
    """A Hann window and five Gaussian ones of learned places and widths: (6, 4096)."""
    hann = weights[WINDOW].astype(np.float64)
    width, centre = (_sigmoid(weights[f"{WINDOW}Gen.{name}"])[:, np.newaxis] for name in ("sigma", "center"))
    away = (np.arange(len(hann)) - len(hann) * centre) / (width * len(hann) / 2)
    return np.concatenate([hann[np.newaxis], np.exp(-0.5 * away**2)]).astype("<f4")


def _sigmoid(value: NDArray[np.float32]) -> Wide:
    return np.asarray(1 / (1 + np.exp(-value.astype(np.float64))))


def _listening(weights: Weights) -> _Graph:
    g = _Graph("transkun", weights)
    tokens = g.op("Add", _patches(g), g.constant(_places(weights)))
    layers = sum(name.endswith("mhaBlockF.scale") for name in weights)
    for layer in range(layers):
        tokens = _layer(g, f"backbone.encoderLayers.{layer}.", tokens, last=layer == layers - 1)
    g.output("rows", tokens, (len(TARGETS), PATCHES, len(weights[f"{UP}.weight"])))
    _scores(g, tokens)
    return g


def _patches(g: _Graph) -> str:
    """From power to one token a patch: (149, 89, width), but row 0, column 0 and the targets' are empty."""
    mel = g.weights[MEL]
    bins = int(np.flatnonzero(mel.any(axis=1))[-1]) + 1
    power = g.input("power", (WINDOWS, FRAMES, bins))
    # The network's spectra are orthonormal, those that come in are not.
    heard = g.op("MatMul", power, g.constant(mel[:bins] / len(g.weights[WINDOW])))
    heard = g.op("Log", g.op("Add", heard, g.constant(LEAST_POWER)))
    heard = g.op("Add", g.op("Mul", heard, g.constant(-1 / math.log(LEAST_POWER))), g.constant(1.0))
    image = _conv(g, "backbone.inputConv", g.op("Unsqueeze", heard, g.shape(0)))
    place = _placed(g.weights, "backbone.posEmbedBuilder", np.arange(MELS)[:, np.newaxis])
    image = g.op("Add", image, g.constant(place.T[np.newaxis, :, np.newaxis, :]))
    # The first convolution brings along the padding that makes whole patches.
    steps = ((1, (5, 3, 4, 2), (2, 1)), (5, (1, 1, 1, 1), (2, 2)), (9, (1, 1, 1, 1), (2, 2)))
    for number, pads, strides in steps:
        image = _conv(g, f"backbone.downConv.{number}", image, pads=pads, strides=strides)
        image = _gelu(g, _group_norm(g, f"backbone.downConv.{number + 1}", image))
    image = _group_norm(g, "backbone.downConv.14", _conv(g, "backbone.downConv.13", image))
    tokens = g.op("Squeeze", g.op("Transpose", image, perm=[0, 3, 2, 1]), g.shape(0))
    return g.op("Pad", tokens, g.shape(1, 1, 0, len(TARGETS), 0, 0))


def _conv(
    g: _Graph,
    name: str,
    image: str,
    *,
    pads: Sequence[int] = (1, 1, 1, 1),
    strides: Sequence[int] = (1, 1),
) -> str:
    kernel, bias = g.weight(f"{name}.weight"), g.weight(f"{name}.bias")
    return g.op("Conv", image, kernel, bias, kernel_shape=(3, 3), pads=pads, strides=strides)


def _group_norm(g: _Graph, name: str, image: str) -> str:
    groups = g.op("Reshape", image, g.shape(1, GROUPS, -1))
    one, none = g.constant(np.ones(GROUPS)), g.constant(np.zeros(GROUPS))
    normal = g.op("InstanceNormalization", groups, one, none, epsilon=1e-5)
    image = g.op("Reshape", normal, g.op("Shape", image))
    scale, bias = (g.constant(g.weights[f"{name}.{part}"].reshape(-1, 1, 1)) for part in ("weight", "bias"))
    return g.op("Add", g.op("Mul", image, scale), bias)


def _gelu(g: _Graph, value: str) -> str:
    return g.op("Gelu", value, domain="com.microsoft")


def _placed(weights: Weights, name: str, coordinates: NDArray[Any]) -> Wide:
    """The learned embedding of places: coordinates (..., dimensions) to (..., width)."""
    phase = _linear(weights, f"{name}.proj", coordinates.astype(np.float64))
    inner = _linear(weights, f"{name}.mlp.0", np.cos(phase) / math.sqrt(phase.shape[-1] / 2))
    erf = np.fromiter(map(math.erf, (inner / math.sqrt(2)).ravel().tolist()), np.float64, inner.size)
    return _linear(weights, f"{name}.mlp.3", inner * 0.5 * (1 + erf.reshape(inner.shape)))


def _linear(weights: Weights, name: str, value: Wide) -> Wide:
    return np.asarray(value @ weights[f"{name}.weight"].T.astype(np.float64) + weights[f"{name}.bias"])


def _places(weights: Weights) -> Wide:
    """Where each token stands: (149, 89, width), the columns of sound first and then the targets'."""
    rows = np.arange(PATCHES + 1)
    columns = (("TF", np.arange(1 + PATCH_COLUMNS)), ("TE", np.array(TARGETS)))
    parts = [
        _placed(weights, f"backbone.posEmbedBuilderAttn{name}", np.stack(np.meshgrid(rows, column), -1))
        for name, column in columns
    ]
    return np.concatenate(parts)


# --- the transformer --------------------------------------------------------------------------------------


def _layer(g: _Graph, name: str, tokens: str, *, last: bool) -> str:
    """Attention along each row, then along each column; both look at the layer's input.

    Tokens are (columns, rows, width) before and after. The last layer follows only the targets' columns, and
    answers without the row of no place: (90, 88, width). All goes a few lines at a time.
    """
    columns, targets = COLUMNS, COLUMNS - len(TARGETS)
    mixed = []
    for part in _parts(g, tokens, PATCHES + 1, ROWS_AT_ONCE, axis=1):
        memory = g.op("Transpose", part, perm=[1, 0, 2])
        query = g.slice(memory, targets, COLUMNS, axis=1) if last else memory
        mixed.append(_block(g, f"{name}{{}}BlockF", query=query, memory=memory))
    queries = g.op("Concat", *mixed, axis=0)
    if last:
        queries = g.slice(queries, 1, PATCHES + 1, axis=0)
        tokens = g.slice(tokens, targets, COLUMNS, axis=0)
        columns = len(TARGETS)
    answers = []
    memories = _parts(g, tokens, columns, COLUMNS_AT_ONCE, axis=0)
    for memory, part in zip(memories, _parts(g, queries, columns, COLUMNS_AT_ONCE, axis=1), strict=True):
        query = g.op("Transpose", part, perm=[1, 0, 2])
        answers.append(_block(g, f"{name}{{}}BlockT", query=query, memory=memory))
    return g.op("Concat", *answers, axis=0)


def _parts(g: _Graph, value: str, size: int, at_once: int, *, axis: int) -> list[str]:
    sizes = [min(at_once, size - first) for first in range(0, size, at_once)]
    return g.ops("Split", value, g.shape(*sizes), outputs=len(sizes), axis=axis)


def _block(g: _Graph, name: str, *, query: str, memory: str) -> str:
    """Attention, then the two-layer network; `query` and `memory` are (lines, tokens, width)."""
    attention, network = name.format("mha"), name.format("fnn")
    q = g.op("MatMul", _rms(g, query), g.weight(f"{attention}.module.q_proj_weight"))
    k, v = (g.op("MatMul", memory, g.weight(f"{attention}.module.{part}_proj_weight")) for part in "kv")
    found = g.op("MultiHeadAttention", q, k, v, domain="com.microsoft", num_heads=HEADS)
    query = _added(g, attention, "out_proj", query, found)
    inner = g.op("MatMul", _rms(g, query), g.weight(f"{network}.module.0.weight", turned=True))
    inner = g.op("BiasGelu", inner, g.weight(f"{network}.module.0.bias"), domain="com.microsoft")
    return _added(g, network, "3", query, inner)


def _added(g: _Graph, name: str, linear: str, tokens: str, inner: str) -> str:
    """`tokens` plus a linear map of `inner`; the block's scale is worked into the map."""
    matrix = g.weight(f"{name}.module.{linear}.weight", turned=True, scale=f"{name}.scale")
    bias = g.weight(f"{name}.module.{linear}.bias", scale=f"{name}.scale")
    return g.op("Add", tokens, g.op("Add", g.op("MatMul", inner, matrix), bias))


def _rms(g: _Graph, tokens: str) -> str:
    """Each token divided by the root of its mean square."""
    power = g.op("ReduceMean", g.op("Mul", tokens, tokens), axes=[-1])
    return g.op("Div", tokens, g.op("Sqrt", g.op("Add", power, g.constant(1e-6))))


# --- scores and details -----------------------------------------------------------------------------------


def _scores(g: _Graph, rows: str) -> None:
    """Scores of single frames and of longer intervals; a longer one's is of its last and its first frame."""
    up, up_bias = _upward(g.weights)
    width = up.shape[-1]
    matrix = np.einsum("ipo,mo->ipm", up, g.weights[f"{SCORER}.weight"].astype(np.float64))
    bias = _linear(g.weights, SCORER, up_bias)

    def frames(begin: int, end: int, scale: float = 1.0) -> str:
        flat = (matrix[:, :, begin:end] * scale).reshape(width, -1)
        made = g.op("MatMul", rows, g.constant(flat))
        made = g.op("Add", made, g.constant(np.tile(bias[begin:end] * scale, PATCH)))
        made = g.op("Reshape", made, g.shape(len(TARGETS), PATCHES * PATCH, end - begin))
        return g.slice(made, 0, FRAMES, axis=1)

    g.output("single", g.op("Squeeze", frames(2 * width, 2 * width + 1), g.shape(2)), (len(TARGETS), FRAMES))
    last, first = frames(0, width, 1 / math.sqrt(width)), frames(width, 2 * width)
    where, score = [], []
    for begin in range(0, FRAMES, SCORE_BLOCK):
        end = min(begin + SCORE_BLOCK, FRAMES)
        ends = g.slice(last, begin, FRAMES, axis=1)
        begins = g.slice(first, begin, end, axis=1)
        scores = g.op("FusedMatMul", begins, ends, transB=1, domain="com.microsoft")
        found = g.op("NonZero", g.op("Greater", scores, g.constant(_floor(begin, end))))
        score.append(g.op("GatherND", scores, g.op("Transpose", found, perm=[1, 0])))
        where.append(g.op("Add", found, g.constant([[0], [begin], [begin]], np.int64)))
    g.output("where", g.op("Concat", *where, axis=1), (3, "intervals"), np.int64)
    g.output("score", g.op("Concat", *score, axis=0), ("intervals",))


def _floor(begin: int, end: int) -> Wide:
    """What a score must be above, (beginnings, ends): `LEAST_SCORE` of its length; nothing ends at once."""
    length = np.arange(begin, FRAMES) - np.arange(begin, end)[:, np.newaxis]
    return np.where(length > 0, LEAST_SCORE / np.maximum(length, 1), np.inf)


def _upward(weights: Weights) -> tuple[Wide, Wide]:
    """From a patch to its 8 frames: (width in, 8 frames, width out), and the bias."""
    up = weights[f"{UP}.weight"].astype(np.float64).transpose(0, 2, 1)
    return up, weights[f"{UP}.bias"].astype(np.float64)


def _details(weights: Weights) -> _Graph:
    g = _Graph("transkun_details", weights)
    up, up_bias = _upward(weights)
    width = len(up)
    matrix, bias = g.constant(up.reshape(width, -1)), g.constant(up_bias)
    ends = []
    for name in ("first", "last"):
        frames = g.op("MatMul", g.input(name, ("notes", width)), matrix)
        frames = g.op("Reshape", frames, g.shape(-1, PATCH, width))
        phase = g.op("Unsqueeze", g.input(f"{name}_phase", ("notes",), np.int64), g.shape(1))
        ends.append(g.op("Add", g.op("GatherND", frames, phase, batch_dims=1), bias))
    both = g.op("Concat", *ends, g.op("Mul", *ends), axis=1)
    for name, source, size in (("velocity", "velocityPredictor", 128), ("edges", "refinedOFPredictor", 4)):
        value = g.op("MatMul", both, g.weight(f"{source}.0.weight", turned=True))
        value = _gelu(g, g.op("Add", value, g.weight(f"{source}.0.bias")))
        value = g.op("MatMul", value, g.weight(f"{source}.3.weight", turned=True))
        g.output(name, g.op("Add", value, g.weight(f"{source}.3.bias")), ("notes", size))
    return g
