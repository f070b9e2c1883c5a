"""Checkpoints as PyTorch writes them, made without it: steps put together by hand, and a small network."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STORAGE_CLASSES = {"float32": "FloatStorage", "int64": "LongStorage", "float16": "HalfStorage"}


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def name(module: str, attribute: str) -> bytes:
    return f"c{module}\n{attribute}\n".encode()


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(number(value) for value in values) + b"t"


def storage(key: str, elements: int, kind: str = "FloatStorage") -> bytes:
    parts = (text("storage"), name("torch", kind), text(key), text("cpu"), number(elements))
    return b"(" + b"".join(parts) + b"tQ"


def tensor(
    key: str,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *,
    elements: int,
    offset: int = 0,
    kind: str = "FloatStorage",
) -> bytes:
    """The steps that build one tensor, with whatever numbers the test wants."""
    hooks = name("collections", "OrderedDict") + b")R"
    parts = (storage(key, elements, kind), number(offset), numbers(shape), numbers(strides), b"\x89", hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + b"(" + b"".join(parts) + b"tR"


def pickled(*steps: bytes) -> bytes:
    return b"\x80\x02" + b"".join(steps) + b"."


def write_archive(path: Path, pickle: bytes, storages: Mapping[str, bytes], *, root: str = "archive") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{root}/data.pkl", pickle)
        archive.writestr(f"{root}/byteorder", "little")
        for key, data in storages.items():
            archive.writestr(f"{root}/data/{key}", data)
    return path


def write_checkpoint(path: Path, state: Mapping[str, NDArray[Any]]) -> Path:
    """`torch.save({"state_dict": state}, path)`, for contiguous arrays."""
    steps, storages = [], {}
    for key, (label, value) in enumerate(state.items()):
        strides = tuple(step // value.itemsize for step in value.strides)
        kind = STORAGE_CLASSES[value.dtype.name]
        steps += [text(label), tensor(str(key), value.shape, strides, elements=value.size, kind=kind)]
        storages[str(key)] = value.tobytes()
    entries = b"(" + b"".join(steps) + b"u"
    pickle = pickled(b"}", text("state_dict"), name("collections", "OrderedDict"), b")R", entries, b"s")
    return write_archive(path, pickle, storages)


class _Random:
    """Weights by name, drawn as they are asked for."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.made: dict[str, NDArray[np.float32]] = {}

    def put(self, label: str, *shape: int) -> None:
        spread = 1 / np.sqrt(np.prod(shape[1:]) if len(shape) > 1 else 4)
        self.made[label] = self.rng.normal(0, spread, shape).astype(np.float32)

    def linear(self, label: str, into: int, out: int) -> None:
        self.put(f"{label}.weight", out, into)
        self.put(f"{label}.bias", out)


def small_transkun(seed: int = 0, *, width: int = 16, layers: int = 2) -> dict[str, NDArray[np.float32]]:
    """transkun's weights in small and at random: the same names, `width` channels instead of 256."""
    weights, base = _Random(seed), width // 4
    _put_front(weights)
    for label, dimensions, size in (("", 1, base), ("AttnTF", 2, width), ("AttnTE", 2, width)):
        weights.linear(f"backbone.posEmbedBuilder{label}.proj", dimensions, size)
        weights.linear(f"backbone.posEmbedBuilder{label}.mlp.0", size, 4 * size)
        weights.linear(f"backbone.posEmbedBuilder{label}.mlp.3", 4 * size, size)
    steps = (("inputConv", 6, base), ("downConv.1", base, 2 * base), ("downConv.5", 2 * base, width))
    for label, into, out in (*steps, ("downConv.9", width, width), ("downConv.13", width, width)):
        weights.put(f"backbone.{label}.weight", out, into, 3, 3)
        weights.put(f"backbone.{label}.bias", out)
    for at, size in ((2, 2 * base), (6, width), (10, width), (14, width)):
        weights.put(f"backbone.downConv.{at}.weight", size)
        weights.put(f"backbone.downConv.{at}.bias", size)
    for layer in range(layers):
        for axis in "FT":
            _put_block(weights, f"backbone.encoderLayers.{layer}.{{}}Block{axis}", width)
    weights.put("backbone.upConv1dSkip.weight", width, width, 8)
    weights.put("backbone.upConv1dSkip.bias", width)
    weights.linear("scorer.map.0", width, 2 * width + 1)
    for source, size in (("velocityPredictor", 128), ("refinedOFPredictor", 4)):
        weights.linear(f"{source}.0", 3 * width, 24)
        weights.linear(f"{source}.3", 24, size)
    return weights.made


def _put_front(weights: _Random) -> None:
    front = "framewiseFeatureExtractor"
    bands = np.zeros((2049, 229), np.float32)
    for band in range(229):
        bands[3 * band + 1 : 3 * band + 6, band] = weights.rng.random(5)
    weights.made[f"{front}.freq2mels"] = bands
    weights.made[f"{front}.spectrogramExtractor.win"] = np.hanning(4097)[:4096].astype(np.float32)
    weights.put(f"{front}.spectrogramExtractor.winGen.sigma", 5)
    weights.put(f"{front}.spectrogramExtractor.winGen.center", 5)


def _put_block(weights: _Random, name_: str, width: int) -> None:
    attention, network = name_.format("mha"), name_.format("fnn")
    weights.put(f"{attention}.scale", width)
    for part in "qkv":
        weights.put(f"{attention}.module.{part}_proj_weight", width, width)
    weights.linear(f"{attention}.module.out_proj", width, width)
    weights.put(f"{network}.scale", width)
    weights.linear(f"{network}.module.0", width, 4 * width)
    weights.linear(f"{network}.module.3", 4 * width, width)
