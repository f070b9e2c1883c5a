"""The graph gives what the published network gives: beside a plain numpy one, in small and at random."""

from __future__ import annotations

import base64
import math
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from bridge.engine.graphs.transkun import LEAST_SCORE, TARGETS, build
from bridge.errors import ModelError
from support.checkpoints import small_transkun, write_checkpoint

Array = NDArray[np.float64]
Weights = dict[str, NDArray[np.float32]]
FRAMES = 691


@pytest.fixture(scope="module")
def weights() -> Weights:
    return small_transkun()


@pytest.fixture(scope="module")
def graph(weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return build(write_checkpoint(tmp_path_factory.mktemp("checkpoint") / "small.pt", weights))


@pytest.fixture(scope="module")
def power() -> NDArray[np.float32]:
    rng = np.random.default_rng(4)
    return np.square(rng.normal(0, 3, (6, FRAMES, 690)) * rng.random((1, FRAMES, 1))).astype(np.float32)


def session(model: bytes) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


class Plain:
    """The network as its paper and its weights' names tell it, one thing after the other, in float64."""

    def __init__(self, weights: Weights) -> None:
        self.w = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(self, name: str, x: Array) -> Array:
        made: Array = x @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]
        return made

    def conv(self, name: str, x: Array, stride: tuple[int, int]) -> Array:
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1)))
        views = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        views = views[:, :: stride[0], :: stride[1]]
        made: Array = np.einsum("ithxy,oixy->oth", views, self.w[f"{name}.weight"], optimize=True)
        made += self.w[f"{name}.bias"][:, None, None]
        return made

    def group_norm(self, name: str, x: Array) -> Array:
        groups = x.reshape(4, -1)
        normal = (groups - groups.mean(1, keepdims=True)) / np.sqrt(groups.var(1, keepdims=True) + 1e-5)
        scale, bias = (self.w[f"{name}.{part}"][:, None, None] for part in ("weight", "bias"))
        made: Array = normal.reshape(x.shape) * scale + bias
        return made

    def place(self, name: str, *coordinates: Any) -> Array:
        grid = np.stack(np.meshgrid(*coordinates, indexing="ij"), -1).astype(np.float64)
        phase = self.linear(f"backbone.{name}.proj", grid)
        inner = self.linear(f"backbone.{name}.mlp.0", np.cos(phase) / math.sqrt(phase.shape[-1] / 2))
        return self.linear(f"backbone.{name}.mlp.3", gelu(inner))

    def patches(self, power: Array) -> Array:
        mel = power / 4096 @ self.w["framewiseFeatureExtractor.freq2mels"][: power.shape[2]]
        mel = (np.log(mel + 1e-5) - math.log(1e-5)) / -math.log(1e-5)
        x = self.conv("backbone.inputConv", mel, (1, 1))
        x = x + self.place("posEmbedBuilder", np.arange(229)).T[:, None, :]
        x = np.pad(x, ((0, 0), (4, 3), (2, 1)))
        for at, stride in ((1, (2, 1)), (5, (2, 2)), (9, (2, 2))):
            x = self.conv(f"backbone.downConv.{at}", x, stride)
            x = gelu(self.group_norm(f"backbone.downConv.{at + 1}", x))
        x = self.group_norm("backbone.downConv.14", self.conv("backbone.downConv.13", x, (1, 1)))
        return np.pad(x.transpose(1, 2, 0), ((1, 0), (1, 0), (0, 0)))

    def attention(self, name: str, x: Array, memory: Array) -> Array:
        heads = {"q": rms(x), "k": memory, "v": memory}
        split = {
            part: (value @ self.w[f"{name}.module.{part}_proj_weight"]).reshape(*value.shape[:2], 8, -1)
            for part, value in heads.items()
        }
        q, k, v = (split[part].transpose(0, 2, 1, 3) for part in "qkv")
        weight = q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1])
        weight = np.exp(weight - weight.max(-1, keepdims=True))
        weight /= weight.sum(-1, keepdims=True)
        found = (weight @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        return x + self.linear(f"{name}.module.out_proj", found) * self.w[f"{name}.scale"]

    def network(self, name: str, x: Array) -> Array:
        inner = gelu(self.linear(f"{name}.module.0", rms(x)))
        return x + self.linear(f"{name}.module.3", inner) * self.w[f"{name}.scale"]

    def rows(self, power: Array) -> Array:
        """(90, patches, width)"""
        x = self.patches(power)
        rows = np.arange(len(x))
        x = x + self.place("posEmbedBuilderAttnTF", rows, np.arange(x.shape[1]))
        x = np.concatenate([x, self.place("posEmbedBuilderAttnTE", rows, np.array(TARGETS))], axis=1)
        for layer in range(2):
            name, memory = f"backbone.encoderLayers.{layer}.", x
            x = self.network(f"{name}fnnBlockF", self.attention(f"{name}mhaBlockF", x, memory))
            x, memory = x.swapaxes(0, 1), memory.swapaxes(0, 1)
            x = self.network(f"{name}fnnBlockT", self.attention(f"{name}mhaBlockT", x, memory)).swapaxes(0, 1)
        return x[1:, -90:].swapaxes(0, 1)

    def features(self, rows: Array) -> Array:
        """(90, frames, width)"""
        up: Array = np.tensordot(rows, self.w["backbone.upConv1dSkip.weight"], 1).swapaxes(2, 3)
        up += self.w["backbone.upConv1dSkip.bias"]
        return up.reshape(90, -1, rows.shape[-1])[:, :FRAMES]

    def scores(self, features: Array) -> tuple[Array, Array]:
        """(90, first, last) of longer intervals, times their length, and (90, frames) of single ones."""
        last, first, single = np.split(self.linear("scorer.map.0", features), [16, 32], axis=-1)
        length = np.arange(FRAMES) - np.arange(FRAMES)[:, None]
        return first @ last.swapaxes(1, 2) / math.sqrt(16) * length, single[..., 0]

    def details(self, first: Array, last: Array) -> tuple[Array, Array]:
        both = np.concatenate([first, last, first * last], -1)
        velocity, edges = (
            self.linear(f"{name}.3", gelu(self.linear(f"{name}.0", both)))
            for name in ("velocityPredictor", "refinedOFPredictor")
        )
        return velocity, edges


def gelu(x: Array) -> Array:
    erf = np.fromiter(map(math.erf, (x / math.sqrt(2)).ravel().tolist()), np.float64, x.size).reshape(x.shape)
    return x * 0.5 * (1 + erf)


def rms(x: Array) -> Array:
    made: Array = x / np.sqrt(np.square(x).mean(-1, keepdims=True) + 1e-6)
    return made


@pytest.mark.slow
def test_rows_scores_and_details_are_the_networks(
    weights: Weights, graph: bytes, power: NDArray[np.float32]
) -> None:
    plain, loaded = Plain(weights), session(graph)
    rows, single, where, score = loaded.run(None, {"power": power})
    wanted = plain.rows(power.astype(np.float64))
    assert np.abs(rows - wanted).max() < 1e-4 * np.abs(wanted).max()

    features = plain.features(wanted)
    scores, wanted_single = plain.scores(features)
    assert np.abs(single - wanted_single).max() < 1e-4 * np.abs(wanted_single).max()
    line, first, last = where
    assert (first < last).all()
    wanted_score = scores[line, first, last]
    tolerance = 1e-4 * np.abs(scores).max()
    assert np.abs(score * (last - first) - wanted_score).max() < tolerance
    later = np.triu(np.ones((FRAMES, FRAMES), bool), 1)
    seen = np.zeros(scores.shape, bool)
    seen[line, first, last] = True
    assert not (seen & ~later).any()
    assert seen[later & (scores > LEAST_SCORE + tolerance)].all()
    assert not seen[later & (scores < LEAST_SCORE - tolerance)].any()

    details = session(base64.b64decode(loaded.get_modelmeta().custom_metadata_map["details"]))
    pick = np.arange(0, len(line), max(1, len(line) // 200))
    line, first, last = line[pick], first[pick], last[pick]
    feed = {"first": rows[line, first // 8], "last": rows[line, last // 8]}
    velocity, edges = details.run(None, {**feed, "first_phase": first % 8, "last_phase": last % 8})
    for found, right in zip(
        (velocity, edges), plain.details(features[line, first], features[line, last]), strict=True
    ):
        assert np.abs(found - right).max() < 1e-3 * np.abs(right).max()


def test_windows_are_a_hann_window_and_gaussians_of_the_weights(weights: Weights, graph: bytes) -> None:
    facts = session(graph).get_modelmeta().custom_metadata_map
    windows = np.frombuffer(base64.b64decode(facts["windows"]), "<f4").reshape(6, 4096)
    assert np.array_equal(windows[0], weights["framewiseFeatureExtractor.spectrogramExtractor.win"])
    front = "framewiseFeatureExtractor.spectrogramExtractor.winGen"
    for window, width, centre in zip(
        windows[1:], weights[f"{front}.sigma"], weights[f"{front}.center"], strict=True
    ):
        middle = 4096 / (1 + math.exp(-centre))
        assert abs(int(window.argmax()) - middle) <= 0.5
        at = int(middle) + 300
        away = (at - middle) / (4096 / 2 / (1 + math.exp(-width)))
        assert window[at] == pytest.approx(math.exp(-0.5 * away**2), rel=1e-4)


def test_the_same_bytes_each_time_and_valid_onnx(weights: Weights, graph: bytes, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "again.pt", weights)
    assert build(path) == graph
    onnx.checker.check_model(onnx.load_from_string(graph))


def test_another_checkpoint_is_refused(weights: Weights, tmp_path: Path) -> None:
    path = write_checkpoint(tmp_path / "other.pt", {"weight": np.zeros((2, 2), np.float32)})
    with pytest.raises(ModelError, match="freq2mels"):
        build(path)
    short = {name: value for name, value in weights.items() if name != "scorer.map.0.bias"}
    with pytest.raises(ModelError, match=r"scorer\.map\.0\.bias"):
        build(write_checkpoint(path, short))
    narrow = {**weights, "framewiseFeatureExtractor.freq2mels": np.ones((2049, 80), np.float32)}
    with pytest.raises(ModelError, match="80 mel bands"):
        build(write_checkpoint(path, narrow))
