"""Reads a checkpoint whose pickle holds plain numpy arrays, and nothing in it is run.

`torch.save` of a dict of numpy arrays writes a zip with one pickle in it: the numbers are inside the pickle
itself, as text in Latin-1. As in `bridge.engine.pickle_steps`, the pickle's steps are followed as far as such
a dict needs them; a name means what `_CALLS` says, and everything else is refused. No number in the file
decides how much memory is taken: the arrays are no longer than the file.

Format: pickle protocol 2 (Python's pickletools), numpy's `ndarray.__reduce__`.
"""

from __future__ import annotations

import io
import math
import pickletools
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import ModelError

Arrays = dict[str, NDArray[np.float32]]

PULL_AGAIN = "Pull the model again: bridge models pull"
FLOATS = "<f4"
MOST_VALUES = 20_000
_DAMAGES = (
    *(zipfile.BadZipFile, ValueError, LookupError, EOFError, OverflowError, TypeError, struct.error),
    *(NotImplementedError, RuntimeError),
)


def read_arrays(path: Path) -> Arrays:
    """Name → float32 array of a checkpoint. Raises ModelError, naming the file, for whatever else it is."""
    try:
        made = _Arrays().read(_pickle(path))
    except ModelError as fault:
        raise ModelError(fault.message, remedy=fault.remedy or PULL_AGAIN, file=path) from fault
    except OSError as fault:
        words = f"the checkpoint cannot be read: {fault.strerror or fault}"
        raise ModelError(words, remedy=PULL_AGAIN, file=path) from fault
    except _DAMAGES as fault:
        raise ModelError(f"the checkpoint is damaged: {fault}", remedy=PULL_AGAIN, file=path) from fault
    return made


def _pickle(path: Path) -> bytes:
    """The one `data.pkl`. PyTorch never compresses, so it is no longer than the file: no zip bomb."""
    with zipfile.ZipFile(path) as archive:
        found = [one for one in archive.infolist() if one.filename.endswith("/data.pkl")]
        if len(found) != 1:
            raise ModelError("this is no PyTorch checkpoint: there is not one data.pkl in it")
        if found[0].compress_type != zipfile.ZIP_STORED or found[0].file_size > path.stat().st_size:
            raise ModelError("the checkpoint claims more than there can be")
        return archive.read(found[0])


@dataclass(frozen=True)
class _Name:
    dotted: str


@dataclass
class _Array:
    """An array that is being made: its numbers come after it."""

    values: NDArray[np.float32] | None = None

    def fill(self, state: Any) -> None:
        """`state`: (version, shape, dtype, is Fortran's order, bytes)."""
        _, shape, kind, turned, data = state
        whole = isinstance(shape, tuple) and all(type(size) is int and size >= 0 for size in shape)
        if not (whole and kind == _Dtype(FLOATS) and turned is False and isinstance(data, bytes)):
            raise ModelError("the checkpoint holds an array of an unknown kind")
        if len(data) != 4 * math.prod(shape):
            raise ModelError("an array of the checkpoint has more or fewer numbers than it claims")
        self.values = np.frombuffer(data, FLOATS).reshape(shape)


@dataclass
class _Dtype:
    code: str

    def fill(self, state: Any) -> None:
        """`state`: (version, byte order, ...)."""
        self.code = f"{state[1]}{self.code}"


def _latin1(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise ModelError("the checkpoint's numbers are written in an unknown way")
    return text.encode("latin-1")


_CALLS: dict[str, Callable[..., Any]] = {
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy._core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.ndarray": lambda *_: None,
    "numpy.dtype": lambda code, *_: _Dtype(str(code)),
    "_codecs.encode": _latin1,
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "BINUNICODE"})
_MARK = object()


@dataclass
class _Arrays:
    """A stack and a memory: all that the steps of such a pickle need."""

    stack: list[Any] = field(default_factory=list)
    memory: dict[int, Any] = field(default_factory=dict)
    found: Arrays = field(default_factory=dict)

    def read(self, pickle: bytes) -> Arrays:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(io.BytesIO(pickle))):
            if count > MOST_VALUES:
                raise ModelError("the checkpoint has more steps than weights need")
            self._step(opcode.name, argument)
        return self.found

    def _step(self, step: str, argument: Any) -> None:
        if step in _CONSTANTS:
            self.stack.append(_CONSTANTS[step])
        elif step in _LITERALS:
            self.stack.append(argument)
        elif step in _STEPS:
            _STEPS[step](self, argument)
        elif step not in _WITHOUT_MEANING:
            raise ModelError(f"the checkpoint takes the step {step}, which no dict of arrays needs")

    def begin(self, _argument: Any) -> None:
        self.stack.append(self.found)

    def mark(self, _argument: Any) -> None:
        self.stack.append(_MARK)

    def tuple_to_mark(self, _argument: Any) -> None:
        self.stack.append(tuple(self._to_mark()))

    def tuple_of(self, count: int) -> None:
        self.stack[-count:] = [tuple(self.stack[-count:])]

    def remember(self, place: int) -> None:
        self.memory[place] = self.stack[-1]

    def recall(self, place: int) -> None:
        self.stack.append(self.memory[place])

    def name(self, words: str) -> None:
        dotted = words.replace(" ", ".")
        if dotted not in _CALLS:
            raise ModelError(
                f"the checkpoint asks for {dotted}, which no weights need: it was not run",
                remedy=f"Do not use this file. {PULL_AGAIN}",
            )
        self.stack.append(_Name(dotted))

    def call(self, _argument: Any) -> None:
        arguments, target = self.stack.pop(), self.stack.pop()
        if not isinstance(target, _Name):
            raise ModelError("the checkpoint calls what cannot be called")
        self.stack.append(_CALLS[target.dotted](*arguments))

    def fill(self, _argument: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(target, _Array | _Dtype):
            raise ModelError("the checkpoint sets attributes of what has none")
        target.fill(state)

    def keep(self, _argument: Any) -> None:
        pairs = self._to_mark()
        for name, array in zip(pairs[::2], pairs[1::2], strict=True):
            if not isinstance(name, str) or not isinstance(array, _Array) or array.values is None:
                raise ModelError("the checkpoint holds something that is no array")
            self.found[name] = array.values

    def _to_mark(self) -> list[Any]:
        mark = max(place for place, value in enumerate(self.stack) if value is _MARK)
        values = self.stack[mark + 1 :]
        del self.stack[mark:]
        return values


_WITHOUT_MEANING = frozenset({"PROTO", "STOP"})
_STEPS: dict[str, Callable[[_Arrays, Any], None]] = {
    "EMPTY_DICT": _Arrays.begin,
    "MARK": _Arrays.mark,
    "TUPLE": _Arrays.tuple_to_mark,
    "TUPLE1": lambda self, _: self.tuple_of(1),
    "TUPLE2": lambda self, _: self.tuple_of(2),
    "TUPLE3": lambda self, _: self.tuple_of(3),
    "BINPUT": _Arrays.remember,
    "LONG_BINPUT": _Arrays.remember,
    "BINGET": _Arrays.recall,
    "LONG_BINGET": _Arrays.recall,
    "GLOBAL": _Arrays.name,
    "REDUCE": _Arrays.call,
    "BUILD": _Arrays.fill,
    "SETITEMS": _Arrays.keep,
}
