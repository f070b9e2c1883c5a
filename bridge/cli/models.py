"""`models …`: what the engine needs, and what the musician adds."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.cli import output
from bridge.errors import BridgeError, WrongUse
from bridge.home import home

if TYPE_CHECKING:
    from bridge.engine.models import Model, ModelState, ModelStore

PARTS_TOLD = 4  # of a download, where no line can be written over


def listing(*, as_json: bool) -> int:
    states = _store().states()
    if as_json:
        output.say_json([_data(state) for state in states])
        return 0
    columns = ("model", "version", "state", "size", "licence", "made by", "enables")
    output.table(columns, [_row(state) for state in states])
    for state in states:
        for words in _notes(state):
            output.note(f"{state.model.name}: {words}")
    return 0


def pull(names: Sequence[str], *, small: bool, as_json: bool) -> int:
    if names and small:
        raise WrongUse("--small says which models; so do names.", remedy="Leave one of the two out.")
    store = _store()
    wanted = _known(names, store) if names else store.by_default(small=small)
    tell = output.note if as_json else output.say
    sizes = {name: store.download_bytes(name) for name in wanted}
    if any(sizes.values()):
        each = ", ".join(f"{name} {_megabytes(size)}" for name, size in sizes.items() if size)
        tell(f"To fetch: at most {_megabytes(sum(sizes.values()))} ({each})")
    faults: list[BridgeError] = []
    for name in wanted:
        progress = _Progress(name)
        try:
            store.pull(name, report=progress.between(tell), progress=progress)
        except BridgeError as error:  # the others may well be had
            faults.append(error)
    if as_json:
        output.say_json([_data(state) for state in store.states()])
    for fault in faults:
        output.tell_error(fault)
    return 1 if faults else 0


def verify(names: Sequence[str], *, as_json: bool) -> int:
    store = _store()
    faults: dict[str, BridgeError] = {}
    left_out = {state.model.name: state for state in store.states() if state.is_left_out}
    for name in _known(names, store):
        if name in left_out and not names:
            for words in _lacks(left_out[name]):
                output.note(f"{name}: {words}")
            continue
        try:
            path = store.verify(name)
        except BridgeError as error:
            faults[name] = error
        else:
            if not as_json:
                output.say(f"{name}: as promised ({path})")
    if as_json:
        output.say_json([_data(state) for state in store.states()])
    for fault in faults.values():
        output.tell_error(fault)
    return 1 if faults else 0


def add(name: str, file: Path, *, as_json: bool) -> int:
    state = _store().add(name, file.expanduser())
    if as_json:
        output.say_json(_data(state))
    else:
        output.say(f"{name}: added ({state.path}). It enables {' and '.join(state.model.enables)}.")
    return 0


def remove(name: str) -> int:
    _store().remove(name)
    output.say(f"{name}: removed")
    return 0


class _Progress:
    """How far a download is: one line that is written over on a terminal, else a line for each quarter."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._told = 0
        self._open = False

    def __call__(self, fraction: float) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{self._name}: {fraction:4.0%} ")
            sys.stderr.flush()
            self._open = True
        elif self._told < int(fraction * PARTS_TOLD) < PARTS_TOLD:
            self._told = int(fraction * PARTS_TOLD)
            output.note(f"{self._name}: {self._told / PARTS_TOLD:.0%} has arrived")

    def between(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        """Tells other words, once the line that was being written over is ended."""

        def told(words: str) -> None:
            if self._open:
                sys.stderr.write("\n")
                self._open = False
            tell(words)

        return told


def _known(names: Sequence[str], store: ModelStore) -> list[str]:
    """The models that are meant, all of them if none is named. Raises WrongUse for a name that is none."""
    from bridge.toml_faults import did_you_mean

    there = [state.model.name for state in store.states()]
    for name in names:
        if name not in there:
            raise WrongUse(f"there is no model '{name}'.", remedy=did_you_mean(name, there))
    return list(names) or there


def _store() -> ModelStore:
    from bridge.engine.models import ModelStore

    return ModelStore(home() / "models")


def _data(state: ModelState) -> dict[str, Any]:
    model = state.model
    return {
        "name": model.name,
        "version": model.version,
        "state": str(state.presence),
        "path": str(state.path),
        "files": [
            {"name": one.file, "sha256": one.sha256, "size_bytes": one.size_bytes} for one in model.files
        ],
        "size_bytes": model.size_bytes,
        "licence": model.licence,
        "made_by": model.made_by,
        "enables": list(model.enables),
        "on_first_use": model.on_first_use,
        "only_if_named": model.only_if_named,
        "added": model.added,
        "attribution": model.attribution,
        "remark": model.remark,
        "sources": [str(source) for source in model.sources],
        "remedy": "" if state.presence == "present" else state.remedy,
    }


def _row(state: ModelState) -> tuple[str, ...]:
    model = state.model
    enables = ", ".join(model.enables)
    there = _when(model) if state.is_awaited else str(state.presence)
    return (
        model.name,
        model.version,
        there,
        _megabytes(model.size_bytes),
        model.licence,
        model.made_by,
        enables,
    )


def _when(model: Model) -> str:
    return "fetched if you name it" if model.only_if_named else "fetched when first used"


def _notes(state: ModelState) -> list[str]:
    """What stands under the table for a model."""
    model = state.model
    notes = [model.remark] if model.remark else []
    if model.attribution and state.presence == "present":
        notes.append(f"its licence asks for these words with what you publish: {model.attribution}")
    return notes + _lacks(state)


def _lacks(state: ModelState) -> list[str]:
    """What does not work because the model is not here, and the remedy."""
    if state.presence == "present" or state.is_awaited:
        return []
    without = " and no ".join(state.model.enables)
    return [f"it is {state.presence}: without it, no {without}. {state.remedy}"]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"
