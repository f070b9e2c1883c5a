"""Gradient descent for networks with one hidden layer, in numpy: the same numbers give the same weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.engine.candidate_network import MATERIALS, Network

Rows = NDArray[np.float32]
Loss = Callable[[Rows, NDArray[np.float64]], Rows]  # outputs, targets -> gradient of the outputs

BATCH = 512
RATE = 3e-3
DECAY = 3e-4
NOISE = 0.3  # of the standardised inputs
SHIFT_SHARE = 0.5
FAR_SHARE = 0.1
LOUDNESS_SHARE = 0.3


@dataclass(frozen=True)
class Examples:
    """`rows` (examples, inputs), the index of the `material` of each, and the loss's `targets`."""

    rows: Rows
    material: NDArray[np.int64]
    targets: NDArray[np.float64]


def note_loss(outputs: Rows, targets: NDArray[np.float64]) -> Rows:
    """Cross entropy of (nothing, note, ghost), and Huber's loss of a note's shift in frames."""
    label = targets[:, 0].astype(np.int64)
    votes = np.concatenate([np.zeros((len(outputs), 1), np.float32), outputs[:, :2]], axis=1)
    votes = np.exp(votes - votes.max(axis=1, keepdims=True))
    votes /= votes.sum(axis=1, keepdims=True)
    votes[np.arange(len(label)), label] -= 1
    off = np.clip(outputs[:, 2] - targets[:, 1], -1, 1) * (label == 1) * SHIFT_SHARE
    return np.concatenate([votes[:, 1:], off[:, np.newaxis]], axis=1).astype(np.float32)


def release_loss(outputs: Rows, targets: NDArray[np.float64]) -> Rows:
    """How far a length is off in units of what is allowed, everything far off being about as bad.

    `targets`: the length that is corrected and the true one, in frames. Allowed are 50 ms or a fifth.
    """
    even, true = targets.T
    length = even * np.exp(np.clip(outputs[:, 0], -4, 4))
    allowed = np.maximum(0.05 * 22_050 / 256, 0.2 * true)
    off = (length - true) / allowed
    slope = 2 * off / (1 + off**2) ** 2 * length / allowed
    slope += FAR_SHARE * np.tanh(2 * np.log(length / true))
    return np.asarray(np.clip(slope, -3, 3)[:, np.newaxis], dtype=np.float32)


def loudness_loss(outputs: Rows, targets: NDArray[np.float64]) -> Rows:
    """The square of what it is off, in decibels."""
    return np.asarray(LOUDNESS_SHARE * (outputs - targets), dtype=np.float32)


def grow(examples: Examples, loss: Loss, *, hidden: int, outputs: int, epochs: int, seed: int = 0) -> Network:
    """A network trained by Adam, its rate falling to nothing along a cosine."""
    rng = np.random.default_rng(seed)
    middle, spread = examples.rows.mean(axis=0), examples.rows.std(axis=0) + np.float32(1e-3)
    net = _new(rng, examples.rows.shape[1], hidden, outputs)
    first = [np.zeros_like(values) for values in net]
    second = [np.zeros_like(values) for values in net]
    noise = NOISE * rng.standard_normal((8 * BATCH, examples.rows.shape[1]), dtype=np.float32)
    steps, step = epochs * -(-len(examples.rows) // BATCH), 0
    for _ in range(epochs):
        order = rng.permutation(len(examples.rows))
        for begin in range(0, len(order), BATCH):
            batch, step = order[begin : begin + BATCH], step + 1
            rows = (examples.rows[batch] - middle) / spread
            rows += noise[(place := int(rng.integers(7 * BATCH))) : place + len(rows)]
            slopes = _slopes(net, rows, examples.material[batch], examples.targets[batch], loss)
            rate = RATE * 0.5 * (1 + np.cos(np.pi * step / steps))
            for part, slope in enumerate(slopes):
                first[part] += 0.1 * (slope - first[part])
                second[part] += 0.001 * (slope**2 - second[part])
                scale = np.sqrt(second[part] / (1 - 0.999**step)) + 1e-8
                net[part] -= (rate * first[part] / (1 - 0.9**step) / scale).astype(np.float32)
    return _unscaled(net, middle, spread)


def _new(rng: np.random.Generator, inputs: int, hidden: int, outputs: int) -> list[Rows]:
    shapes = ((inputs, hidden), (len(MATERIALS), hidden), (hidden, outputs), (outputs,))
    spreads = (np.sqrt(2 / inputs), 0.1, 0.05, 0.0)
    return [
        rng.normal(0, spread, shape).astype(np.float32) for shape, spread in zip(shapes, spreads, strict=True)
    ]


def _slopes(
    net: list[Rows], rows: Rows, material: NDArray[np.int64], targets: NDArray[np.float64], loss: Loss
) -> list[Rows]:
    into, of_material, out, bias = net
    hidden = np.maximum(rows @ into + of_material[material], 0)
    answer = loss(hidden @ out + bias, targets) / np.float32(len(rows))
    back = (answer @ out.T) * (hidden > 0)
    material_slope = np.zeros_like(of_material)
    np.add.at(material_slope, material, back)
    decay = np.float32(DECAY)
    return [rows.T @ back + decay * into, material_slope, hidden.T @ answer + decay * out, answer.sum(axis=0)]


def _unscaled(net: list[Rows], middle: Rows, spread: Rows) -> Network:
    """The same network for inputs as they are."""
    into = net[0] / spread[:, np.newaxis]
    return Network(into, net[1] - middle @ into, net[2], net[3])


def together(nets: Sequence[Network]) -> Network:
    """One network that answers the mean of what these answer."""
    return Network(
        np.concatenate([net.hidden for net in nets], axis=1),
        np.concatenate([net.material for net in nets], axis=1),
        np.asarray(np.concatenate([net.out for net in nets]) / len(nets), dtype=np.float32),
        np.asarray(np.mean([net.bias for net in nets], axis=0), dtype=np.float32),
    )


def folded(net: Network) -> dict[str, NDArray[Any]]:
    """What is kept: of the large arrays half precision, which changes no answer that matters."""
    half = {"hidden": np.float16, "out": np.float16}
    return {
        field.name: getattr(net, field.name).astype(half.get(field.name, np.float32)) for field in fields(net)
    }
