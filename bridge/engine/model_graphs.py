"""The engine's own graphs: made from published weights when a model is pulled, and known by a record.

What `onnx` writes may differ from version to version, so no table can promise a graph's hash. A record beside
the graph keeps it instead, with what the graph was made of: a graph that is not the recorded one, or was made
by another version of its builder, is not used. Standard library only, but for the building itself.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from bridge.engine.model_table import Graph, Model
from bridge.errors import ModelError


@dataclass(frozen=True)
class Record:
    """What the graph file must be."""

    size_bytes: int
    sha256: str


def promised(model: Model, folder: Path) -> Record | None:
    """The record of the model's graph in `folder`; None if there is none, or it is of another making."""
    assert model.graph is not None
    try:
        record = json.loads(_record_path(folder, model.graph).read_text(encoding="utf-8"))
        if record["made_of"] != _made_of(model, model.graph):
            return None
        return Record(int(record["size_bytes"]), str(record["sha256"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def beside(model: Model, folder: Path) -> list[Path]:
    """What lies beside a model's graph: what it was made of, and the record of it."""
    assert model.graph is not None
    return [*(folder / one.file for one in model.files), _record_path(folder, model.graph)]


def make(model: Model, folder: Path) -> Path:
    """Builds the graph from the published files in `folder`, and its record. Raises ModelError."""
    graph = model.graph
    assert graph is not None
    try:
        build = importlib.import_module(graph.builder).build
        data: bytes = build(*(folder / one.file for one in model.files))
    except ImportError as fault:
        words = f"the graph of {model.name} cannot be written: {fault}"
        raise ModelError(words, remedy="Install the package onnx.") from fault
    record = {
        "made_of": _made_of(model, graph),
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    try:
        # The graph first: a record without its graph reads as missing, never as damaged.
        _write(folder / graph.file, data)
        _write(_record_path(folder, graph), json.dumps(record, indent=2).encode())
    except OSError as fault:
        raise ModelError(f"the models folder cannot be written: {fault}", file=folder) from fault
    return folder / graph.file


def _made_of(model: Model, graph: Graph) -> list[str | int]:
    return [*(one.sha256 for one in model.files), graph.builder, graph.version]


def _record_path(folder: Path, graph: Graph) -> Path:
    return folder / f"{graph.file}.json"


def _write(target: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        into_place(part, target)
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def into_place(part: Path, target: Path) -> None:
    """Gives a finished file its name, on disk when this returns."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    part.replace(target)
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is written through
        folder = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
