"""What an added network must be, and the words for one that will not do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from bridge.engine.separation.declared import ORDERS, Declared, check_graph
from bridge.errors import ModelError
from support.separators import SAMPLES, write_separator


def with_signature(
    path: Path, given: Sequence[int | str], made: Sequence[int | str], kind: int = TensorProto.FLOAT
) -> Path:
    nodes = [helper.make_node("Identity", ["mix"], ["stems"])]
    sound = helper.make_tensor_value_info("mix", kind, given)
    parts = helper.make_tensor_value_info("stems", kind, made)
    graph = helper.make_graph(nodes, "odd", [sound], [parts])
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(whole.SerializeToString())
    return path


def with_stems(path: Path, told: str) -> Path:
    model = onnx.load(path)
    helper.set_model_props(model, {"stems": told})
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("count", [4, 6])
def test_the_number_of_stems_says_which_is_which(tmp_path: Path, count: int) -> None:
    model = write_separator(tmp_path / "own.onnx", stems=count)
    assert check_graph(model) == Declared(ORDERS[count], SAMPLES)


@pytest.mark.parametrize("told", ["Vocals, guitar", '["vocals", "guitar"]'])
def test_the_file_s_own_names_come_first(tmp_path: Path, told: str) -> None:
    model = with_stems(write_separator(tmp_path / "own.onnx", stems=2), told)
    assert check_graph(model).stems == ("vocals", "guitar")


@pytest.mark.parametrize(
    ("stems", "told"), [(3, ""), (2, "vocals"), (2, "vocals, vocals"), (2, "vocals, residual"), (4, "{}")]
)
def test_stems_that_are_not_clear_are_asked_for(tmp_path: Path, stems: int, told: str) -> None:
    model = write_separator(tmp_path / "own.onnx", stems=stems)
    if told:
        with_stems(model, told)
    if told == "{}":
        assert check_graph(model).stems == ORDERS[4]
        return
    with pytest.raises(ModelError, match=f"{stems} stems, and which is which") as fault:
        check_graph(model)
    assert "metadata" in fault.value.remedy


@pytest.mark.parametrize(
    ("given", "made", "kind", "words"),
    [
        ((1, 2, 2049, 500), (1, 2, 2049, 500), TensorProto.FLOAT, "input has the shape"),
        ((1, 1, 44_100), (1, 1, 44_100), TensorProto.FLOAT, "input has the shape"),
        ((1, 2, 44_100), (1, 2, 44_100), TensorProto.FLOAT, "output has the shape"),
        ((1, 2, "n"), (1, 4, 2, "n"), TensorProto.DOUBLE, "not float32"),
    ],
)
def test_another_signature_is_refused_in_words(
    tmp_path: Path, given: Sequence[int | str], made: Sequence[int | str], kind: int, words: str
) -> None:
    with pytest.raises(ModelError, match=words) as fault:
        check_graph(with_signature(tmp_path / "odd.onnx", given, made, kind))
    assert "waveforms" in fault.value.remedy


def test_a_file_that_is_no_network_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    for file in ("text.onnx", "missing.onnx"):
        with pytest.raises(ModelError, match=file):
            check_graph(tmp_path / file)
