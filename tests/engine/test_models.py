"""The models folder: states, hashes, graphs, and what is fetched when."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bridge.engine.model_table import MIRROR_VARIABLE, SMALL_BYTES
from bridge.engine.models import MODELS, Folder, Graph, Model, ModelStore, Presence, Url, Wheel
from bridge.errors import ModelError
from support.model_rows import MORE, WEIGHTS, files_in, model, pair, published, silent, store_of

OWN = [row.name for row in MODELS]


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "mirror"
    folder.mkdir()
    (folder / "small.onnx").write_bytes(WEIGHTS)
    (folder / "more.onnx").write_bytes(MORE)
    monkeypatch.setenv(MIRROR_VARIABLE, str(folder))
    return folder


def test_a_missing_model_names_the_remedy_and_what_does_not_work(tmp_path: Path) -> None:
    store = store_of(tmp_path, model())
    with pytest.raises(ModelError, match=r"audio_to_midi needs it.*bridge models pull small-model"):
        store.path("small-model")
    assert [state.presence for state in store.states()] == [Presence.MISSING]


def test_an_unknown_name_gets_a_suggestion(tmp_path: Path) -> None:
    store = store_of(tmp_path, model())
    pull = partial(store.pull, report=silent)
    for call in (store.path, store.verify, store.fingerprint, store.download_bytes, pull):
        with pytest.raises(ModelError, match="Did you mean small-model"):
            call("smal-model")


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def _flip_a_byte(path: Path) -> None:
    path.write_bytes(b"!" + path.read_bytes()[1:])


@pytest.mark.parametrize("damage", [_shorten, _flip_a_byte])
@pytest.mark.parametrize("name", ["small.onnx", "more.onnx"])
def test_a_damaged_file_is_never_used_and_pull_repairs_it(
    tmp_path: Path, mirror: Path, damage: Callable[[Path], None], name: str
) -> None:
    store = store_of(tmp_path, pair(Folder()))
    store.pull("small-model", report=silent)
    damage(store.folder / name)
    with pytest.raises(ModelError, match=r"damaged.*bridge models pull"):
        store.verify("small-model")
    assert [state.presence for state in store.states()] == [Presence.DAMAGED]
    heard: list[str] = []
    store.pull("small-model", report=heard.append)
    assert [path.read_bytes() for path in store.files("small-model")] == [WEIGHTS, MORE]
    assert "damaged" in heard[0]


def test_one_of_two_files_is_not_the_model(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, pair(Folder()))
    store.pull("small-model", report=silent)
    (store.folder / "more.onnx").unlink()
    assert [state.presence for state in store.states()] == [Presence.MISSING]
    with pytest.raises(ModelError, match="not here yet"):
        store.path("small-model")


def test_a_file_in_place_of_the_models_folder_is_an_error_with_its_name(tmp_path: Path, mirror: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(ModelError, match="the models folder cannot be written"):
        store_of(tmp_path, model(Folder())).pull("small-model", report=silent)


# Graphs


def graphed(version: int = 1, builder: str = "support.graph_builder", **facts: Any) -> Model:
    return model(Folder(), graph=Graph("small-graph.onnx", builder, version), **facts)


def test_a_graph_is_made_when_its_model_is_pulled(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, graphed())
    path = store.pull("small-model", report=silent)
    assert path.name == "small-graph.onnx"
    assert path.read_bytes() == b"graph of " + WEIGHTS[:8]
    assert store.path("small-model") == path
    assert files_in(store.folder) == ["small-graph.onnx", "small-graph.onnx.json", "small.onnx"]


def test_a_graph_is_made_of_all_of_its_models_files(tmp_path: Path, mirror: Path) -> None:
    row = pair(Folder(), graph=Graph("small-graph.onnx", "support.graph_builder", 1))
    store = store_of(tmp_path, row)
    assert store.pull("small-model", report=silent).read_bytes() == b"graph of " + WEIGHTS[:8] + MORE[:8]
    other = model(Folder(), graph=row.graph)
    assert store_of(tmp_path, other).states()[0].presence is Presence.MISSING


def test_the_files_of_a_model_are_all_that_another_home_needs(tmp_path: Path, mirror: Path) -> None:
    store = store_of(tmp_path, graphed())
    store.pull("small-model", report=silent)
    other = ModelStore(tmp_path / "other", table=[graphed()])
    other.folder.mkdir()
    for path in store.files("small-model"):
        shutil.copy2(path, other.folder / path.name)
    assert other.path("small-model").read_bytes() == store.path("small-model").read_bytes()


def test_a_graph_of_another_version_is_made_anew_without_a_source(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = store_of(tmp_path, graphed())
    first.pull("small-model", report=silent)
    newer = store_of(tmp_path, graphed(version=2))
    with pytest.raises(ModelError, match=r"not here yet.*bridge models pull"):
        newer.path("small-model")
    assert first.fingerprint("small-model") != newer.fingerprint("small-model")
    assert newer.download_bytes("small-model") == 0
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
    files = (published("small.onnx", weights),)
    store = store_of(tmp_path, graphed(files=files))
    with pytest.raises(ModelError, match="cannot be made into a graph"):
        store.pull("small-model", report=silent)
    assert files_in(store.folder) == ["small.onnx"]
    missing = store_of(tmp_path, graphed(builder="support.no_such_builder", files=files))
    with pytest.raises(ModelError, match=r"cannot be written.*onnx"):
        missing.pull("small-model", report=silent)


# What is fetched when


def test_what_is_needed_is_fetched_for_use_but_not_what_must_be_named(tmp_path: Path, mirror: Path) -> None:
    first_use = model(Folder(), name="later", on_first_use=True)
    named = pair(Folder(), name="named", on_first_use=True, only_if_named=True)
    store = store_of(tmp_path, first_use, named)
    assert store.by_default() == []
    assert [state.is_awaited for state in store.states()] == [True, True]
    assert store.for_use("later", report=silent).read_bytes() == WEIGHTS
    with pytest.raises(ModelError, match=r"not here yet.*bridge models pull named"):
        store.for_use("named", report=silent)
    assert store.pull("named", report=silent) == store.for_use("named", report=silent)


def test_small_leaves_out_what_is_large(tmp_path: Path) -> None:
    large = model(name="large", files=(published("small.onnx", WEIGHTS), published("x", bytes(SMALL_BYTES))))
    store = store_of(tmp_path, model(), large, model(name="later", on_first_use=True))
    assert store.by_default() == ["small-model", "large"]
    assert store.by_default(small=True) == ["small-model"]


def test_results_carry_what_licences_ask_for_once(tmp_path: Path) -> None:
    store = store_of(
        tmp_path, model(), model(name="b", attribution="By B."), model(name="c", attribution="By B.")
    )
    assert store.attributions(["small-model", "b", "c"]) == ["By B."]
    assert store.attributions(["small-model"]) == []


# The table


def test_the_table_is_well_formed() -> None:
    files = [file for row in MODELS for file in row.files]
    assert len(set(OWN)) == len(MODELS)
    assert len({file.file for file in files} | {row.graph.file for row in MODELS if row.graph}) == len(
        files
    ) + sum(row.graph is not None for row in MODELS)
    assert all(len(file.sha256) == 64 and file.size_bytes > 0 for file in files)
    for row in MODELS:
        assert row.licence
        assert row.made_by
        assert row.enables
        assert isinstance(row.sources[-1], Folder)
        for source in row.sources:
            assert not isinstance(source, Wheel) or len(source.members) == len(row.files)
            assert not isinstance(source, Url) or len(source.addresses) <= len(row.files)


def test_who_asks_to_be_named_is_named() -> None:
    asking = [row for row in MODELS if row.licence.startswith("CC-BY")]
    assert [row.name for row in asking] == ["beatnet", "nsnet2"]
    assert all(row.licence.replace("-", " ").removesuffix(" 4.0") in row.attribution for row in asking)
    assert all("creativecommons.org/licenses/by/4.0" in row.attribution for row in asking)


def test_the_default_download_and_the_small_one_keep_their_limits(tmp_path: Path) -> None:
    store = ModelStore(tmp_path)
    assert sum(store.download_bytes(name) for name in store.by_default()) < 120e6
    small = [store.model(name) for name in store.by_default(small=True)]
    assert [row.name for row in small] == ["basic-pitch", "swift-f0", "beatnet"]
    assert sum(row.size_bytes for row in small) < SMALL_BYTES


@pytest.mark.parametrize("name", OWN)
def test_the_kept_models_are_those_of_the_table(models_folder: Path, name: str) -> None:
    store = ModelStore(models_folder)
    if store.model(name).on_first_use and store.download_bytes(name):
        pytest.skip("nothing has needed it yet")
    assert [path.is_file() for path in store.files(name)]


def test_the_module_is_light_enough_for_the_daemon() -> None:
    heavy = ("numpy", "onnx", "onnxruntime", "requests", "soundfile")
    code = f"import sys, bridge.engine.models; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
