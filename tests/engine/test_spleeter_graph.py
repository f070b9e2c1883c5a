"""The graph gives what the two U-Nets give: beside plain numpy ones, in small and at random."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

from bridge.engine.graphs.array_pickle import read_arrays
from bridge.engine.graphs.spleeter import build
from bridge.errors import ModelError
from support.checkpoints import name, number, pickled, text, write_archive
from support.separation import Weights, small_unet, write_arrays

Array = NDArray[np.float64]


def conv(x: Array, taps: Array, bias: Array, stride: int, front: int, back: int, apart: int = 1) -> Array:
    """(channels, rows, columns); zeros around."""
    padded = np.pad(x, ((0, 0), (front, back), (front, back)))
    reach = (taps.shape[2] - 1) * apart + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (reach, reach), axis=(1, 2))
    made: Array = np.einsum("irckl,oikl->orc", views[:, ::stride, ::stride, ::apart, ::apart], taps)
    return made + bias[:, None, None]


def transposed(x: Array, taps: Array, bias: Array) -> Array:
    """Each pixel lays its taps down, two pixels from the next; one row and column in front are cut off."""
    _, rows, columns = x.shape
    made = np.zeros((taps.shape[1], 2 * rows + 3, 2 * columns + 3))
    for down in range(5):
        for right in range(5):
            part = np.einsum("irc,io->orc", x, taps[:, :, down, right])
            made[:, down : down + 2 * rows : 2, right : right + 2 * columns : 2] += part
    return made[:, 1:-2, 1:-2] + bias[:, None, None]


def normed(weights: Weights, label: str, x: Array) -> Array:
    mean, var, scale, shift = (
        weights[f"{label}.{one}"].astype(np.float64)[:, None, None]
        for one in ("running_mean", "running_var", "weight", "bias")
    )
    made: Array = (x - mean) / np.sqrt(var + 1e-3) * scale + shift
    return made


def plain(weights: Weights, x: Array) -> Array:
    """The network as its paper and its weights' names tell it, one thing after the other."""
    w = {label: value.astype(np.float64) for label, value in weights.items()}
    skips = []
    for level in range(1, 7):
        label = f"down{level}_conv.1"
        skips.append(conv(x, w[f"{label}.weight"], w[f"{label}.bias"], 2, 1, 2))
        x = normed(weights, f"down{level}_act.0", skips[-1])
        x = np.where(x > 0, x, 0.2 * x)
    x = skips.pop()
    for level in range(1, 7):
        x = x if level == 1 else np.concatenate([skips.pop(), x])
        x = np.maximum(transposed(x, w[f"up{level}.0.weight"], w[f"up{level}.0.bias"]), 0)
        x = normed(weights, f"up{level}.3", x)
    return 1 / (1 + np.exp(-conv(x, w["up7.0.weight"], w["up7.0.bias"], 1, 3, 3, apart=2)))


def test_gives_the_share_that_the_two_networks_give(tmp_path: Path) -> None:
    weights = [small_unet(seed) for seed in (1, 2)]
    paths = [write_arrays(tmp_path / f"{number}.ckpt", one) for number, one in enumerate(weights)]
    graph = build(*paths)
    x = np.abs(np.random.default_rng(5).normal(0, 2, (1, 2, 64, 1024))).astype(np.float32)
    made = onnxruntime.InferenceSession(graph).run(None, {"magnitudes": x})[0]
    voices, others = (plain(one, x[0].astype(np.float64)) ** 1.5 for one in weights)
    wanted = voices / (voices + others)
    assert made.shape == x.shape
    assert wanted.std() > 0.05
    np.testing.assert_allclose(made[0], wanted, atol=1e-4)
    assert build(*paths) == graph


def test_a_file_that_is_no_such_checkpoint_is_named(tmp_path: Path) -> None:
    good = write_arrays(tmp_path / "good.ckpt", small_unet(1))
    other = write_arrays(tmp_path / "other.ckpt", {"some.weight": np.zeros(3, np.float32)})
    with pytest.raises(ModelError, match="other"):
        build(good, other)
    lacking = small_unet(1)
    del lacking["up3.0.bias"]
    with pytest.raises(ModelError, match="up3"):
        build(good, write_arrays(tmp_path / "lacking.ckpt", lacking))


def test_arrays_are_read_as_they_were_written(tmp_path: Path) -> None:
    weights = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "b": np.full(1, 1.5, np.float32)}
    read = read_arrays(write_arrays(tmp_path / "some.ckpt", weights))
    assert list(read) == ["a", "b"]
    for label, value in weights.items():
        np.testing.assert_array_equal(read[label], value)


HARM = name("os", "system") + b"(" + text("echo harm") + b"tR"
ARRAY = name("numpy.core.multiarray", "_reconstruct") + b"(" + name("numpy", "ndarray") + number(0) + b"tR"


@pytest.mark.parametrize(
    ("pickle_bytes", "words"),
    [
        (pickled(HARM), "os.system"),
        (pickled(b"}(" + text("a") + text("b") + b"u"), "no array"),
        (pickled(b"}(" + text("a") + ARRAY + b"u"), "no array"),
        (pickle.dumps({"a": np.zeros(2, np.float64)}, protocol=2), "unknown kind"),
        (pickle.dumps({"a": np.zeros(2, np.float32)}, protocol=2)[:-40], "damaged"),
        (pickled(text("a") + b"(tR"), "cannot be called"),
        (pickled(b"]"), "EMPTY_LIST"),
        (pickled(b"t"), "damaged"),
    ],
)
def test_nothing_else_is_read_and_nothing_is_run(tmp_path: Path, pickle_bytes: bytes, words: str) -> None:
    path = write_archive(tmp_path / "odd.ckpt", pickle_bytes, {})
    with pytest.raises(ModelError, match=words) as told:
        read_arrays(path)
    assert told.value.file == str(path)


def test_an_array_that_claims_more_than_there_is_is_refused(tmp_path: Path) -> None:
    data = pickle.dumps({"a": np.zeros((3, 5), np.float32)}, protocol=2)
    longer = data.replace(b"K\x03K\x05\x86", b"K\x63K\x63\x86")
    assert longer != data
    with pytest.raises(ModelError, match="more or fewer"):
        read_arrays(write_archive(tmp_path / "odd.ckpt", longer, {}))


def test_a_file_that_is_not_there_or_no_zip_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello")
    for file in ("text.ckpt", "missing.ckpt"):
        with pytest.raises(ModelError, match=file):
            read_arrays(tmp_path / file)
