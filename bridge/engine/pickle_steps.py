"""Follows the steps of a checkpoint's pickle as far as plain values need them, and refuses all others.

A few kinds of steps build dicts, lists, tuples and numbers; a name means what one table says. Nothing is
imported for a file, nothing of its choosing is called. `unpickling.py` reads the archive around it.
"""

from __future__ import annotations

import io
import math
import pickletools
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bridge.errors import ModelError

Array = NDArray[Any]

MOST_VALUES = 50_000
MOST_NESTING = 32
MOST_DIMENSIONS = 8

# The element type behind each class of storage. bfloat16 has no counterpart in numpy.
STORAGES: dict[str, str] = {
    "torch.DoubleStorage": "f8",
    "torch.FloatStorage": "f4",
    "torch.HalfStorage": "f2",
    "torch.LongStorage": "i8",
    "torch.IntStorage": "i4",
    "torch.ShortStorage": "i2",
    "torch.CharStorage": "i1",
    "torch.ByteStorage": "u1",
    "torch.BoolStorage": "?",
}
KEY_TYPES = (str, int, float, bool, type(None))


@dataclass(frozen=True)
class Record:
    """An object of a class that was let through: its class's name and its attributes, and no behaviour."""

    kind: str
    values: dict[str, Any] = field(default_factory=dict)


def values_of(pickle: bytes, storage: Callable[[Any], Array], records: Collection[str]) -> Any:
    """The values that a pickle describes. `storage` gives the numbers that a persistent id names.

    Objects of the classes in `records` ("module.Class") become `Record`. Raises ModelError for everything
    that plain values do not need, and what pickletools and `storage` raise.
    """
    return _settled(_Builder(storage, frozenset(records)).build(pickle), [MOST_VALUES])


# --- what names mean --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Storage:
    element: str


@dataclass(frozen=True)
class _RecordClass:
    kind: str


@dataclass(frozen=True)
class _Maker:
    """A function that a checkpoint may ask for: always one of this module's."""

    make: Callable[..., Any]


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_flags: Any) -> Array:
    """A view of a storage, no element outside it and none twice."""
    if not isinstance(storage, np.ndarray) or storage.ndim != 1:
        raise ModelError("a tensor stands on something that is no storage")
    shape, steps = _whole_numbers(size), _whole_numbers(stride)
    first = _whole_numbers((offset,))[0]
    if len(shape) != len(steps) or len(shape) > MOST_DIMENSIONS:
        raise ModelError("a tensor's sizes and strides do not belong together")
    reach = sum((count - 1) * step for count, step in zip(shape, steps, strict=True)) + 1
    elements = math.prod(shape)
    if elements and (first + reach > len(storage) or elements > len(storage)):
        raise ModelError(f"a tensor of {elements} numbers reaches outside its storage of {len(storage)}")
    if not elements:
        return np.zeros([min(count, len(storage)) for count in shape], storage.dtype)
    # The stride of a dimension of one means nothing, and may be any number.
    strides = [
        step * storage.dtype.itemsize if count > 1 else 0 for count, step in zip(shape, steps, strict=True)
    ]
    return np.lib.stride_tricks.as_strided(storage[first:], shape, strides, writeable=False)


def _whole_numbers(values: Any) -> tuple[int, ...]:
    if not isinstance(values, tuple) or not all(type(value) is int and value >= 0 for value in values):
        raise ModelError("a tensor's offset, sizes and strides must be whole numbers from 0")
    return values


def _parameter(data: Any, *_flags: Any) -> Any:
    return data


def _ordered_dict(pairs: Any = ()) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for key, value in pairs:
        _put(made, key, value)
    return made


NAMES: dict[str, _Maker | Storage] = {
    "collections.OrderedDict": _Maker(_ordered_dict),
    "torch._utils._rebuild_tensor_v2": _Maker(_tensor),
    "torch._utils._rebuild_parameter": _Maker(_parameter),
    **{name: Storage(element) for name, element in STORAGES.items()},
}


# --- the pickle -------------------------------------------------------------------------------------------

_MARK = object()


def _steps(file: io.BytesIO) -> Iterator[tuple[str, Any]]:
    """Each step's name and argument. One that is not in the tables is refused before it is read further."""
    while code := file.read(1):
        opcode = OPCODES.get(code)
        if opcode is None or opcode.name not in KNOWN_STEPS:
            step = opcode.name if opcode else code.hex()
            raise ModelError(f"the checkpoint takes the step {step}, which no checkpoint needs")
        if opcode.name == "GLOBAL":  # pickletools would look for escapes in the names
            module, name = (file.readline().decode().rstrip("\n") for _ in range(2))
            yield opcode.name, f"{module}.{name}"
        else:
            yield opcode.name, opcode.arg.reader(file) if opcode.arg else None


class _Builder:
    """Follows a pickle's steps as far as plain values need them."""

    def __init__(self, storage: Callable[[Any], Array], records: frozenset[str]) -> None:
        self._storage = storage
        self._records = records
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def build(self, pickle: bytes) -> Any:
        for step, argument in _steps(io.BytesIO(pickle)):
            if step == "STOP":
                return self._pop()
            if step in CONSTANTS:
                self._stack.append(CONSTANTS[step]())
            elif step in LITERALS:
                self._stack.append(argument)
            else:
                STEPS[step](self, argument)
        raise ModelError("the checkpoint has no end")

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ModelError("the checkpoint's list of steps is out of order")
        return value

    def _pop_to_mark(self) -> list[Any]:
        mark = max(index for index, value in enumerate(self._stack) if value is _MARK)
        values = self._stack[mark + 1 :]
        del self._stack[mark:]
        return values

    def mark(self, _argument: Any) -> None:
        self._stack.append(_MARK)

    def skip(self, _argument: Any) -> None:
        """Protocol and framing: of no meaning here."""

    def tuple_of(self, count: int) -> None:
        self._stack.append(tuple([self._pop() for _ in range(count)][::-1]))

    def tuple_to_mark(self, _argument: Any) -> None:
        self._stack.append(tuple(self._pop_to_mark()))

    def append(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise ModelError("something is appended to what is no list")
        target += values

    def set_items(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise ModelError("something is put into what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            _put(target, key, value)

    def remember(self, place: int | None) -> None:
        self._memo[len(self._memo) if place is None else place] = self._stack[-1]

    def recall(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def name(self, dotted: str) -> None:
        if dotted in self._records:
            self._stack.append(_RecordClass(dotted))
        elif dotted in NAMES:
            self._stack.append(NAMES[dotted])
        else:
            raise ModelError(
                f"the checkpoint asks for {dotted}, which no weights need: it was not run",
                remedy="Do not use this file. Pull the model again: bridge models pull",
            )

    def call(self, _argument: Any) -> None:
        arguments, target = self._pop(), self._pop()
        if not isinstance(arguments, tuple):
            raise ModelError("the checkpoint calls with what is no tuple")
        match target:
            case _Maker(make):
                try:
                    self._stack.append(make(*arguments))
                except TypeError as fault:
                    raise ModelError(f"the checkpoint calls with the wrong arguments: {fault}") from fault
            case _RecordClass(kind):
                self._stack.append(Record(kind))
            case _:
                raise ModelError("the checkpoint calls what cannot be called")

    def state(self, _argument: Any) -> None:
        """Attributes for the object on top: kept for a record, dropped for a dict (a module's version)."""
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, Record) and isinstance(state, dict):
            target.values.update(state)
        elif not isinstance(target, dict):
            raise ModelError("the checkpoint sets attributes of what has none")

    def storage(self, _argument: Any) -> None:
        self._stack.append(self._storage(self._pop()))


def _put(target: dict[Any, Any], key: Any, value: Any) -> None:
    if not isinstance(key, KEY_TYPES):
        raise ModelError("a dict has a key that is neither text nor a number")
    target[key] = value


CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_DICT": dict,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
}
LITERALS = frozenset(
    {
        *("BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
        *("BINUNICODE", "SHORT_BINUNICODE", "BINBYTES", "SHORT_BINBYTES"),
    }
)
STEPS: dict[str, Callable[[_Builder, Any], None]] = {
    "STOP": _Builder.skip,
    "PROTO": _Builder.skip,
    "FRAME": _Builder.skip,
    "MARK": _Builder.mark,
    "TUPLE": _Builder.tuple_to_mark,
    "TUPLE1": lambda self, _: self.tuple_of(1),
    "TUPLE2": lambda self, _: self.tuple_of(2),
    "TUPLE3": lambda self, _: self.tuple_of(3),
    "APPEND": lambda self, _: self.append([self._pop()]),
    "APPENDS": lambda self, _: self.append(self._pop_to_mark()),
    "SETITEM": lambda self, _: self.set_items([self._pop(), self._pop()][::-1]),
    "SETITEMS": lambda self, _: self.set_items(self._pop_to_mark()),
    "BINPUT": _Builder.remember,
    "LONG_BINPUT": _Builder.remember,
    "MEMOIZE": _Builder.remember,
    "BINGET": _Builder.recall,
    "LONG_BINGET": _Builder.recall,
    "GLOBAL": _Builder.name,
    "STACK_GLOBAL": lambda self, _: self.name(".".join([str(self._pop()), str(self._pop())][::-1])),
    "REDUCE": _Builder.call,
    "NEWOBJ": _Builder.call,
    "BUILD": _Builder.state,
    "BINPERSID": _Builder.storage,
}


KNOWN_STEPS = frozenset({*CONSTANTS, *LITERALS, *STEPS})
OPCODES = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}


def _settled(value: Any, left: list[int], nesting: int = 0) -> Any:
    """A copy in which nothing contains itself and nothing is too deep or too much; arrays are not copied."""
    left[0] -= 1
    if left[0] < 0 or nesting > MOST_NESTING:
        raise ModelError("the checkpoint's values are nested too deeply, or are too many")
    match value:
        case dict():
            return {key: _settled(inner, left, nesting + 1) for key, inner in value.items()}
        case list() | tuple():
            return type(value)(_settled(inner, left, nesting + 1) for inner in value)
        case Record():
            return Record(value.kind, _settled(value.values, left, nesting + 1))
        case _Maker() | Storage() | _RecordClass():
            raise ModelError("the checkpoint holds a function or a class")
    return value
