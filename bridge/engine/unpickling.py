"""Reads PyTorch checkpoints into numpy arrays without PyTorch, and without running anything in them.

A checkpoint is a zip: `data.pkl` says what there is, `data/<key>` are the numbers. A pickle is a program,
and Python's unpickler runs it. Here is no such machine: a few kinds of steps build plain values, a name means
what one table says, and whatever else is in the file is refused by its name. Nothing is imported for a file,
nothing of its choosing is called, and no number in it decides how much memory is taken.

Format: pickle protocols 2 to 5 (Python's pickletools) and the archive that `torch.save` writes since 1.6.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from bridge.engine.pickle_steps import Array, Record, Storage, values_of
from bridge.errors import ModelError

__all__ = ["Record", "read_checkpoint"]

ByteOrder = Literal["<", ">"]

MOST_PICKLE_BYTES = 16 << 20
PULL_AGAIN = "Pull the model again: bridge models pull"
BYTE_ORDERS: dict[bytes, ByteOrder] = {b"little": "<", b"big": ">"}
# zipfile and pickletools raise all of these for a damaged file.
DAMAGES = (
    *(zipfile.BadZipFile, ValueError, LookupError, EOFError, OverflowError, struct.error),
    *(NotImplementedError, RuntimeError),
)


def read_checkpoint(path: Path, *, records: Collection[str] = ()) -> Any:
    """What `torch.save` put into `path`: dicts, lists, tuples and numbers, with arrays for the tensors.

    Arrays are read-only and may share memory, as the tensors did. `records` names classes ("module.Class")
    whose objects are read as `Record`; any other class that is not a tensor's is refused.
    Raises ModelError, naming the file, for one that is damaged, no such archive, or asks for anything else.
    """
    with _told(path), zipfile.ZipFile(path) as archive:
        root = _root(archive)
        budget = path.stat().st_size
        storages = _Storages(archive, root, budget, _byte_order(archive, root))
        pickle = _stored(archive, f"{root}data.pkl", MOST_PICKLE_BYTES)
        return values_of(pickle, storages.read, records)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever is wrong with the file is a ModelError with its name."""
    try:
        yield
    except ModelError as fault:
        raise ModelError(fault.message, remedy=fault.remedy or PULL_AGAIN, file=path) from fault
    except FileNotFoundError as fault:
        raise ModelError("the checkpoint is not there", remedy=PULL_AGAIN, file=path) from fault
    except OSError as fault:
        raise ModelError(f"the checkpoint cannot be read: {fault}", remedy=PULL_AGAIN, file=path) from fault
    except DAMAGES as fault:
        raise ModelError(f"the checkpoint is damaged: {fault}", remedy=PULL_AGAIN, file=path) from fault


# --- the archive ------------------------------------------------------------------------------------------


def _root(archive: zipfile.ZipFile) -> str:
    """The one folder that everything stands in, with its slash."""
    roots = [name.removesuffix("data.pkl") for name in archive.namelist() if name.endswith("/data.pkl")]
    if len(roots) != 1 or roots[0].count("/") != 1:
        raise ModelError("this is no PyTorch checkpoint: there is not one data.pkl in it")
    return roots[0]


def _stored(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """A member's bytes. PyTorch never compresses, so a member is no longer than the file: no zip bomb."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED:
        raise ModelError(f"{name} is compressed, which PyTorch never does")
    if not 0 <= info.file_size <= most_bytes:
        raise ModelError(f"{name} claims {info.file_size} bytes: more than there can be")
    data = archive.read(info)
    if len(data) != info.file_size:
        raise ModelError(f"{name} is cut off")
    return data


def _byte_order(archive: zipfile.ZipFile, root: str) -> ByteOrder:
    name = f"{root}byteorder"
    if name not in archive.namelist():
        return "<"  # before 2.1 the order was not written; nobody trained on a big-endian machine
    return BYTE_ORDERS[_stored(archive, name, 16)]


@dataclass
class _Storages:
    """The numbers in the archive, each storage read once, all together no more than `budget` bytes."""

    archive: zipfile.ZipFile
    root: str
    budget: int
    order: ByteOrder
    _read: dict[str, Array] = field(default_factory=dict)

    def read(self, persistent: Any) -> Array:
        """The storage that a persistent id names: ("storage", type, key, device, elements)."""
        match persistent:
            case ("storage", Storage(element), str(key), str(), int(elements)):
                pass
            case _:
                raise ModelError("a storage is named in a way that is not understood")
        dtype = np.dtype(element).newbyteorder(self.order)
        if key not in self._read:
            data = _stored(self.archive, f"{self.root}data/{key}", self.budget)
            self.budget -= len(data)
            if len(data) % dtype.itemsize:
                raise ModelError(f"the storage {key} has a length that its type cannot have")
            self._read[key] = np.frombuffer(data, dtype)
        found = self._read[key]
        if found.dtype != dtype or len(found) != elements:
            raise ModelError(f"the storage {key} is not the {elements} numbers that were promised")
        return found
