"""Models of the user's own, for separation: a copy in the models folder, and a record of what it was.

`added/NAME.onnx` and `added/NAME.json`. A file that is not the recorded one is not used. Standard library
only, but for the check of a file that is being added.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Container, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bridge.engine.model_fetching import sha256_of
from bridge.engine.model_graphs import into_place
from bridge.engine.model_table import Model, Published
from bridge.errors import ModelError, WrongUse

FOLDER = "added"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
NOT_NAMES = (
    {"auto"} | {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)
"""What the settings mean something else by, and what Windows does not take for a file."""


def listed(folder: Path) -> list[Model]:
    """The added models, by name. One with an unreadable record is among them: its file counts as damaged."""
    return [_model(path) for path in sorted((folder / FOLDER).glob("*.json"))]


def add(name: str, file: Path, folder: Path, *, taken: Container[str]) -> None:
    """Copies `file` and records it, once the engine has looked into it. Raises ModelError and WrongUse."""
    _require_free(name, folder, taken)
    target = folder / FOLDER / f"{name}.onnx"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, part_name = tempfile.mkstemp(prefix=f".{name}.", suffix=".onnx.part", dir=target.parent)
        os.close(handle)
    except OSError as fault:
        raise ModelError(f"the models folder cannot be written: {fault}", file=target.parent) from fault
    part = Path(part_name)
    try:
        _copy(file, part)
        record = {
            "sha256": sha256_of(part),
            "size_bytes": part.stat().st_size,
            "added": datetime.now(UTC).isoformat(timespec="seconds"),
            "from": str(file.absolute()),
            "stems": _stems_of(part, file),
        }
        # The record last: without it there is no model, only a file that the next `add` replaces.
        into_place(part, target)
        part.write_text(json.dumps(record, indent=2), encoding="utf-8")
        into_place(part, _record_path(folder, name))
    except OSError as fault:
        raise ModelError(f"the models folder cannot be written: {fault}", file=target.parent) from fault
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def remove(name: str, folder: Path, *, own: Container[str]) -> None:
    """Deletes an added model and its record. Raises WrongUse for what was not added."""
    if name in own:
        raise WrongUse(
            f"{name} is one of the bridge's own models.", remedy="Only added models can be removed."
        )
    if name not in {model.name for model in listed(folder)}:
        raise WrongUse(f"no model named {name} was added.", remedy="`bridge models` lists what is there.")
    try:
        _record_path(folder, name).unlink(missing_ok=True)
        (folder / FOLDER / f"{name}.onnx").unlink(missing_ok=True)
    except OSError as fault:
        raise ModelError(f"the model {name} cannot be removed: {fault}") from fault


def _require_free(name: str, folder: Path, taken: Container[str]) -> None:
    if not NAME.fullmatch(name) or name.partition(".")[0] in NOT_NAMES:
        remedy = "Take up to 40 small letters, digits, dots, dashes and underscores, as in htdemucs."
        raise WrongUse(f"'{name}' cannot be the name of a model.", remedy=remedy)
    if name in taken:
        raise WrongUse(f"{name} is the name of one of the bridge's own models.", remedy="Take another name.")
    if _record_path(folder, name).exists():
        raise WrongUse(
            f"a model named {name} was added before.",
            remedy=f"Take another name, or run first: bridge models remove {name}",
        )


def _copy(file: Path, part: Path) -> None:
    try:
        shutil.copyfile(file, part)
    except OSError as fault:
        raise ModelError(f"the file cannot be read: {fault.strerror or fault}", file=file) from fault


def _stems_of(part: Path, file: Path) -> list[str]:
    """What the model separates. The copy is looked into, for it will be used; faults name the user's file."""
    from bridge.engine.separation.declared import check_graph

    try:
        return list(check_graph(part).stems)
    except ModelError as fault:
        raise ModelError(
            fault.message.replace(str(part), str(file)), remedy=fault.remedy, file=file
        ) from fault


def _record_path(folder: Path, name: str) -> Path:
    return folder / FOLDER / f"{name}.json"


def _model(record_path: Path) -> Model:
    name = record_path.stem
    record = _read(record_path)
    stems: Sequence[str] = record["stems"]
    return Model(
        name=name,
        version=record["added"][:10],
        files=(Published(f"{FOLDER}/{name}.onnx", record["sha256"], record["size_bytes"]),),
        licence="yours to know",
        made_by="added by you",
        enables=(f"Extraction with model {name}: {', '.join(stems)}",),
        sources=(),
        added=True,
        remark=f"It was added from {record['from']}.",
    )


def _read(path: Path) -> dict[str, Any]:
    """A record whose fields are of their types; a record that promises nothing where it cannot be read."""
    nothing: dict[str, Any] = {"sha256": "", "size_bytes": 0, "added": "", "from": "?", "stems": []}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        whole = all(isinstance(record[key], type(value)) for key, value in nothing.items())
        whole = whole and all(isinstance(stem, str) for stem in record["stems"])
    except (OSError, ValueError, KeyError, TypeError):
        return nothing
    return record if whole else nothing
