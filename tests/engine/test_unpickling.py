"""Checkpoints become arrays; what is no checkpoint is refused by name and runs nothing."""

from __future__ import annotations

import os
import pickle
import random
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bridge.engine.unpickling import Record, read_checkpoint
from bridge.errors import ModelError
from support.checkpoints import (
    name,
    number,
    numbers,
    pickled,
    storage,
    tensor,
    text,
    write_archive,
    write_checkpoint,
)

SIX = np.arange(6, dtype="<f4").tobytes()


def read(folder: Path, *steps: bytes, storages: dict[str, bytes] | None = None, **options: Any) -> Any:
    path = write_archive(folder / "made.pt", pickled(*steps), storages or {"0": SIX})
    return read_checkpoint(path, **options)


def test_a_state_dict_becomes_arrays_of_the_same_numbers(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    state: dict[str, Any] = {
        "layer.weight": rng.normal(size=(3, 4, 5)).astype(np.float32),
        "layer.half": rng.normal(size=7).astype(np.float16),
        "steps": np.array([2**40, -1]),
    }
    found = read_checkpoint(write_checkpoint(tmp_path / "a.pt", state))["state_dict"]
    assert list(found) == list(state)
    for label, value in state.items():
        assert found[label].dtype == value.dtype
        assert np.array_equal(found[label], value)


def test_views_share_their_storage_and_cannot_be_written(tmp_path: Path) -> None:
    turned = tensor("0", (3, 2), (1, 3), elements=6)
    second = tensor("0", (2,), (1,), elements=6, offset=4)
    found = read(tmp_path, b"(", turned, second, b"t")
    assert found[0].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found[1].tolist() == [4, 5]
    assert np.shares_memory(*found)
    with pytest.raises(ValueError, match="read-only"):
        found[0][0, 0] = 1


def test_scalars_empty_tensors_and_plain_values(tmp_path: Path) -> None:
    scalar = tensor("0", (), (), elements=6, offset=3)
    nothing = tensor("0", (0, 4), (4, 1), elements=6)
    values = (
        b"(",
        number(-5),
        text("é"),
        b"N",
        b"\x88",
        b"G" + struct.pack(">d", 0.5),
        b"]",
        b"(K\x01K\x02e",
    )
    found = read(tmp_path, *values, scalar, nothing, b"t")
    assert found[:6] == (-5, "é", None, True, 0.5, [1, 2])
    assert found[6] == 3
    assert found[7].shape == (0, 4)


def test_what_python_itself_pickles_is_read_in_every_protocol(tmp_path: Path) -> None:
    value = {
        "epoch": 3,
        "loss": [0.25, 1e300],
        "name": "x" * 300,
        "deep": {"a": (1, (2, 3, 4, 5)), "b": b"raw"},
    }
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        if protocol == 2:  # there bytes are made by a call
            value["deep"] = {"a": (1, (2, 3, 4, 5))}
        path = write_archive(tmp_path / "p.pt", pickle.dumps(value, protocol), {})
        assert read_checkpoint(path) == value
        value["deep"] = {"a": (1, (2, 3, 4, 5)), "b": b"raw"}


def test_an_object_of_a_named_class_is_a_record_without_behaviour(tmp_path: Path) -> None:
    steps = (name("argparse", "Namespace"), b")\x81", b"}", text("rate"), number(44_100), b"s", b"b")
    assert read(tmp_path, *steps, records=["argparse.Namespace"]) == Record(
        "argparse.Namespace", {"rate": 44_100}
    )
    with pytest.raises(ModelError, match=r"argparse\.Namespace"):
        read(tmp_path, *steps)


class Attack:
    """What pickles to a call of `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("function", "asks_for"),
    [(os.system, "system"), (eval, "eval"), (exec, "exec"), (getattr, "getattr"), (open, "open")],
)
def test_a_call_of_anything_else_is_refused_by_name_and_not_made(
    tmp_path: Path, function: Any, asks_for: str, protocol: int
) -> None:
    mark = tmp_path / "it-ran"
    harm = {
        "system": (f"echo > '{mark}'",),
        "getattr": (os, "system"),
        "open": (str(mark), "w"),
    }.get(asks_for, (f"open({str(mark)!r}, 'w')",))
    attack = Attack(function, *(harm if asks_for != "getattr" else ("text", "upper")))
    path = write_archive(tmp_path / "bad.pt", pickle.dumps({"state_dict": attack}, protocol), {})
    with pytest.raises(ModelError, match=asks_for) as refused:
        read_checkpoint(path)
    assert refused.value.file == str(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((b"i__builtin__\neval\n",), "INST"),
        ((b"(", name("torch", "FloatStorage"), text("0"), b"o"), "OBJ"),
        ((b"\x82\x01",), "EXT1"),
        ((b"Pplain\n",), "PERSID"),
        ((text("os"), text("system"), b"\x93"), r"os\.system"),
        ((name("torch._utils", "_rebuild_tensor_v2.__globals__"),), "__globals__"),
        ((name("collections", "OrderedDict"),), "function or a class"),
        ((b"}", b"}", number(1), b"s"), "neither text nor a number|damaged|no dict"),
        ((b"]", b")", number(1), b"s"), "no dict"),
        ((number(1), b"}", b"b"), "attributes"),
        ((number(1), b")", b"R"), "cannot be called"),
        ((name("collections", "OrderedDict"), b"K\x01\x85R"), "damaged|wrong arguments"),
        ((name("torch._utils", "_rebuild_tensor_v2"), b")", b"R"), "wrong arguments"),
        ((b"h\x07",), "damaged"),
        ((b"t",), "damaged"),
        ((b"(",), "out of order"),
        ((), "damaged"),
    ],
)
def test_steps_out_of_the_ordinary_are_refused(tmp_path: Path, steps: tuple[bytes, ...], words: str) -> None:
    with pytest.raises(ModelError, match=words):
        read(tmp_path, *steps)


@pytest.mark.parametrize(
    "made",
    [
        tensor("0", (7,), (1,), elements=6),
        tensor("0", (2,), (1,), elements=6, offset=5),
        tensor("0", (2, 3), (4, 1), elements=6),
        tensor("0", (2,), (-1,), elements=6, offset=3),
        tensor("0", (2,), (1,), elements=6, offset=-1),
        tensor("0", (2**31 - 1, 2**31 - 1), (0, 0), elements=6),
        tensor("0", (1,) * 9, (1,) * 9, elements=6),
        tensor("0", (2, 3), (1,), elements=6),
        tensor("0", (6,), (1,), elements=5),
        tensor("0", (3,), (1,), elements=3, kind="DoubleStorage") + tensor("0", (6,), (1,), elements=6),
        tensor("0", (3,), (1,), elements=3, kind="BFloat16Storage"),
        tensor("9", (6,), (1,), elements=6),
        tensor("../data.pkl", (6,), (1,), elements=6),
        storage("0", 6) + b"Q",
        text("storage") + b"Q",
    ],
)
def test_no_tensor_reaches_outside_its_storage(tmp_path: Path, made: bytes) -> None:
    with pytest.raises(ModelError):
        read(tmp_path, b"(", made, b"t")


def test_what_contains_itself_or_grows_without_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nested"):
        read(tmp_path, b"]q\x00h\x00a")
    with pytest.raises(ModelError, match="nested"):
        read(tmp_path, b")" + b"\x85" * 5_000)
    doubled = b"".join(b"(h%ch%ct" % (i, i) + b"q%c" % (i + 1) for i in range(30))
    with pytest.raises(ModelError, match="too many"):
        read(tmp_path, b")q\x00", doubled)
    with pytest.raises(ModelError):
        read(tmp_path, b"}", b"K\x01" + b"\x85" * 100_000, b"Ns")
    with pytest.raises(ModelError, match="neither text nor a number"):
        read(tmp_path, b"}", numbers((1, 2)), b"Ns")


def test_a_place_in_the_memo_takes_no_memory(tmp_path: Path) -> None:
    assert read(tmp_path, b"Nr\xff\xff\xff\x7f") is None


def test_compressed_members_and_wrong_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "z.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickled(b"N") + bytes(10_000_000))
    with pytest.raises(ModelError, match="compressed"):
        read_checkpoint(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled(b"N"))
        archive.writestr("b/data.pkl", pickled(b"N"))
    with pytest.raises(ModelError, match="not one"):
        read_checkpoint(path)
    path.write_bytes(b"\x80\x02}q\x00." * 10)  # the format before 1.6
    with pytest.raises(ModelError, match="damaged"):
        read_checkpoint(path)
    with pytest.raises(ModelError, match="not there"):
        read_checkpoint(tmp_path / "none.pt")


def fault_of(path: Path) -> ModelError | None:
    """The error that reading the file ends in; any other kind of error gets through."""
    try:
        read_checkpoint(path)
    except ModelError as fault:
        return fault
    return None


def test_damage_anywhere_is_a_clean_error(tmp_path: Path) -> None:
    rng = random.Random(3)
    state = {f"weight.{i}": np.full((2, i + 1), i, np.float32) for i in range(4)}
    whole = write_checkpoint(tmp_path / "whole.pt", state).read_bytes()
    path = tmp_path / "damaged.pt"
    faults = []
    for round_ in range(600):
        data = bytearray(whole)
        if round_ % 3 == 0:
            del data[rng.randrange(len(data)) :]
        else:
            for _ in range(rng.randint(1, 4)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(data)
        faults.append(fault_of(path))
    assert sum(fault is not None for fault in faults) > 400
    assert all(fault.file == str(path) for fault in faults if fault)


def test_damaged_steps_inside_a_sound_archive_are_a_clean_error(tmp_path: Path) -> None:
    rng = random.Random(4)
    with zipfile.ZipFile(write_checkpoint(tmp_path / "w.pt", {"a": np.zeros((2, 3), np.float32)})) as archive:
        steps = archive.read("archive/data.pkl")
    faults = []
    for _ in range(400):
        data = bytearray(steps)
        for _ in range(rng.randint(1, 3)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        faults.append(fault_of(write_archive(tmp_path / "made.pt", bytes(data), {"0": bytes(24)})))
    assert sum(fault is not None for fault in faults) > 250
