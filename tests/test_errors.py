from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import errors
from bridge.errors import BridgeError, ConfigError, ModelError, TryLater, WrongUse, from_json


def _tree(root: type[BridgeError] = BridgeError) -> Iterator[type[BridgeError]]:
    yield root
    for child in root.__subclasses__():
        yield from _tree(child)


TREE = list(_tree())


def _made(kind: type[BridgeError]) -> BridgeError:
    words = {"remedy": "Do this.", "file": "/music/Lied ä.wav"}
    if issubclass(kind, TryLater):
        return kind("it is busy.", wait_s=12.5, **words)
    return kind("it went wrong.", **words)


def test_each_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in TREE]
    assert len(set(codes)) == len(codes)
    assert all("code" in vars(kind) for kind in TREE)


def test_the_drawn_tree_names_every_error_of_the_module() -> None:
    drawn = errors.__doc__ or ""
    ours = [kind.__name__ for kind in TREE if kind.__module__ == "bridge.errors"]
    assert len(ours) >= 20
    assert [name for name in ours if name not in drawn] == []


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_way_to_another_process(kind: type[BridgeError]) -> None:
    error = _made(kind)
    back = from_json(json.loads(json.dumps(error.to_json())))
    assert type(back) is kind
    assert vars(back) == vars(error)
    assert str(back) == str(error)


def test_what_is_no_error_of_ours_becomes_the_base() -> None:
    assert type(from_json({"code": "of-a-later-version", "message": "new."})) is BridgeError
    assert str(from_json({})) == "unknown error"
    later = from_json({"code": "try-later"})
    assert isinstance(later, TryLater)
    assert later.wait_s == 1.0


def test_only_wrong_use_ends_with_2() -> None:
    assert {kind for kind in TREE if kind.exit_code == 2} == set(_tree(WrongUse))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (BridgeError("it went wrong."), "it went wrong."),
        (BridgeError("it went wrong", remedy="Do this."), "it went wrong. Do this."),
        (BridgeError("it went wrong.", remedy="Do this."), "it went wrong. Do this."),
        (ModelError("not there.", file=Path("/models/bp.onnx")), "bp.onnx: not there."),
        (ConfigError("2 faults:\n  a\n  b", remedy="Mend them."), "2 faults:\n  a\n  b\nMend them."),
    ],
)
def test_messages_read_as_sentences(error: BridgeError, words: str) -> None:
    assert str(error) == words
