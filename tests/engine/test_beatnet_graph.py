"""The graph gives what BeatNet's network gives: beside a plain numpy one, on random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from bridge.engine.graphs.beatnet import FEATURES, SHAPES, build
from bridge.engine.models import ModelStore
from bridge.errors import ModelError
from support.checkpoints import write_checkpoint

Wide = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
ANSWERS = ("activation", "hidden_after", "cell_after")


@pytest.fixture(scope="module")
def weights() -> Weights:
    rng = np.random.default_rng(3)
    return {name: rng.normal(0, 0.15, shape).astype(np.float32) for name, shape in SHAPES.items()}


@pytest.fixture(scope="module")
def session(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("checkpoint")
    return onnxruntime.InferenceSession(build(write_checkpoint(folder / "small.pt", weights)))


@pytest.fixture(scope="module")
def features() -> NDArray[np.float32]:
    return np.abs(np.random.default_rng(4).normal(0, 0.6, (40, FEATURES))).astype(np.float32)


def sigmoid(values: Wide) -> Wide:
    return np.asarray(1 / (1 + np.exp(-values)))


def by_hand(weights: Weights, features: NDArray[np.float32]) -> Wide:
    """The network as its paper and its shapes tell it, frame by frame."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}
    windows = np.lib.stride_tricks.sliding_window_view(features.astype(np.float64), 10, axis=1)
    heard = np.maximum(
        0, np.einsum("fbt,ct->fcb", windows, w["conv1.weight"][:, 0]) + w["conv1.bias"][:, np.newaxis]
    )
    pooled = heard[:, :, :262].reshape(len(features), 2, 131, 2).max(axis=3).reshape(len(features), -1)
    rows = pooled @ w["linear0.weight"].T + w["linear0.bias"]
    for layer in (0, 1):
        hidden, cell, out = np.zeros(150), np.zeros(150), []
        for row in rows:
            gates = sum(
                w[f"lstm.weight_{part}_l{layer}"] @ value + w[f"lstm.bias_{part}_l{layer}"]
                for part, value in (("ih", row), ("hh", hidden))
            )
            into, forget, new, shown = np.split(np.asarray(gates), 4)
            cell = sigmoid(forget) * cell + sigmoid(into) * np.tanh(new)
            hidden = sigmoid(shown) * np.tanh(cell)
            out.append(hidden)
        rows = np.array(out)
    raised = np.exp(rows @ w["linear.weight"].T + w["linear.bias"])
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def run(session: Any, features: NDArray[np.float32], state: tuple[Any, Any] | None = None) -> Any:
    zeros = np.zeros((2, 1, 150), np.float32)
    hidden, cell = state or (zeros, zeros)
    return session.run(ANSWERS, {"features": features, "hidden": hidden, "cell": cell})


def test_gives_what_the_network_gives(session: Any, weights: Weights, features: NDArray[np.float32]) -> None:
    activation, *_ = run(session, features)
    assert activation.std(axis=0).min() > 1e-3
    assert np.abs(activation - by_hand(weights, features)).max() < 1e-5


@pytest.mark.parametrize("cut", [1, 17, 39])
def test_goes_on_where_it_was(session: Any, features: NDArray[np.float32], cut: int) -> None:
    whole, *state_after = run(session, features)
    first, *state = run(session, features[:cut])
    second, *last = run(session, features[cut:], (state[0], state[1]))
    assert np.abs(np.concatenate([first, second]) - whole).max() < 1e-6
    assert np.abs(np.array(last) - np.array(state_after)).max() < 1e-6


def test_the_same_weights_make_the_same_bytes(weights: Weights, tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "small.pt", weights)
    assert build(checkpoint) == build(checkpoint)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"linear.bias": np.zeros(4, np.float32)}, r"linear.bias is \(4,\), not \(3,\)"),
        ({"more": np.zeros(1, np.float32)}, "not BeatNet's checkpoint"),
    ],
)
def test_refuses_other_weights(weights: Weights, tmp_path: Path, change: Weights, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        build(write_checkpoint(tmp_path / "other.pt", weights | change))


def test_the_published_weights_make_a_graph(models_folder: Path) -> None:
    path = ModelStore(models_folder).pull("beatnet", report=print)
    activation, *_ = run(onnxruntime.InferenceSession(path), np.zeros((30, FEATURES), np.float32))
    assert np.allclose(activation.sum(axis=1), 1, atol=1e-5)
    assert activation[-1, 2] > 0.5  # in silence there is no beat
