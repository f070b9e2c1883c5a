"""Models of the user's own: a small graph of random weights stands for one."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.engine.models import ModelStore, Presence
from bridge.errors import ModelError, WrongUse
from support.model_rows import files_in, model, silent, store_of
from support.separators import write_separator


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_separator(tmp_path / "mine.onnx")


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return store_of(tmp_path, model())


def test_an_added_model_is_there_for_every_store(tmp_path: Path, store: ModelStore, file: Path) -> None:
    added = store.add("htdemucs", file)
    assert (added.presence, added.model.added) == (Presence.PRESENT, True)
    assert all(stem in added.model.enables[0] for stem in ("drums", "bass", "other", "vocals"))
    file.unlink()
    other = store_of(tmp_path, model())
    assert [state.model.name for state in other.states()] == ["small-model", "htdemucs"]
    path = other.path("htdemucs")
    assert other.pull("htdemucs", report=silent) == other.for_use("htdemucs", report=silent) == path
    assert other.fingerprint("htdemucs") == added.model.files[0].sha256
    assert other.by_default() == ["small-model"]
    assert files_in(path.parent) == ["htdemucs.json", "htdemucs.onnx"]


def test_the_record_says_what_when_and_from_where(store: ModelStore, file: Path) -> None:
    store.add("htdemucs", file)
    record = json.loads((store.folder / "added" / "htdemucs.json").read_text())
    assert record["from"] == str(file)
    assert record["size_bytes"] == file.stat().st_size
    assert record["stems"] == list(store.model("htdemucs").enables[0].rsplit(": ")[-1].split(", "))
    assert record["added"].endswith("+00:00")


def test_what_is_no_model_for_stems_is_refused_and_leaves_nothing(store: ModelStore, tmp_path: Path) -> None:
    wrong = tmp_path / "song.wav"
    wrong.write_bytes(b"RIFF" + bytes(1000))
    for bad in (wrong, tmp_path / "not there.onnx", tmp_path):
        with pytest.raises(ModelError) as told:
            store.add("mine", bad)
        assert told.value.file == str(bad)
    assert files_in(store.folder / "added") == []
    assert [state.model.name for state in store.states()] == ["small-model"]


@pytest.mark.parametrize(
    "name",
    ["", "small-model", "auto", "../x", "a/b", "Htdemucs", "nul", "com1.x", "-x", "a" * 41, "ä", "a b"],
)
def test_a_name_that_cannot_be_had_is_refused(store: ModelStore, file: Path, name: str) -> None:
    with pytest.raises(WrongUse, match=r"name"):
        store.add(name, file)
    assert not store.folder.exists()


def test_a_name_is_given_once_until_it_is_removed(store: ModelStore, file: Path) -> None:
    store.add("htdemucs", file)
    with pytest.raises(WrongUse, match="bridge models remove htdemucs"):
        store.add("htdemucs", file)
    store.remove("htdemucs")
    assert files_in(store.folder / "added") == []
    with pytest.raises(ModelError, match="no model named"):
        store.path("htdemucs")
    write_separator(file, stems=2)
    with pytest.raises(WrongUse, match="was added"):
        store.remove("htdemucs")


def test_the_bridges_own_models_are_not_removed(store: ModelStore) -> None:
    with pytest.raises(WrongUse, match="own models"):
        store.remove("small-model")


def _swap(path: Path) -> None:
    path.write_bytes(path.read_bytes()[::-1])


@pytest.mark.parametrize("damage", [_swap, Path.unlink])
@pytest.mark.parametrize("name", ["htdemucs.onnx", "htdemucs.json"])
def test_another_file_than_the_added_one_is_never_used(
    store: ModelStore, file: Path, damage: Callable[[Path], None], name: str
) -> None:
    store.add("htdemucs", file)
    damage(store.folder / "added" / name)
    with pytest.raises(ModelError):
        store.verify("htdemucs")
    with pytest.raises(ModelError):
        store.pull("htdemucs", report=silent)
    if (store.folder / "added" / "htdemucs.json").exists():
        assert store.states()[-1].presence is not Presence.PRESENT
        assert "remove htdemucs" in store.states()[-1].remedy
        store.remove("htdemucs")
    assert store.add("htdemucs", file).presence is Presence.PRESENT


def test_an_added_model_never_stands_for_one_of_the_bridges_own(
    tmp_path: Path, store: ModelStore, file: Path
) -> None:
    store.add("mine", file)
    later = store_of(tmp_path, model(), model(name="mine"))  # a later version of the bridge brings one
    assert [state.model.added for state in later.states()] == [False, False]


def test_a_name_that_is_given_again_means_the_new_file(store: ModelStore, file: Path) -> None:
    first = store.add("mine", file)
    store.remove("mine")
    write_separator(file, seed=8)
    store.add("mine", file)
    assert store.fingerprint("mine") != first.model.files[0].sha256
    assert store.path("mine").read_bytes() == file.read_bytes()


def test_a_copied_models_folder_takes_the_added_ones_along(
    tmp_path: Path, store: ModelStore, file: Path
) -> None:
    store.add("htdemucs", file)
    shutil.copytree(store.folder, tmp_path / "other")
    assert ModelStore(tmp_path / "other", table=[]).path("htdemucs").read_bytes() == file.read_bytes()
