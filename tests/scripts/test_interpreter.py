"""Which Python scripts/run.py chooses, with real programs on a real PATH."""

from __future__ import annotations

import ast
import json
import os
import sys
from pathlib import Path

import pytest
from house import interpreter

SCRIPTS = Path(__file__).parents[2] / "scripts"

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")


def put(folder: Path, name: str, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def claims(version: str, *, usable: bool = True, makes_venvs: bool = True) -> str:
    """A stand-in that answers the question as that Python would."""
    numbers = [int(number) for number in version.split(".")]
    facts = {"path": f"/{version}", "version": numbers, "usable": usable, "makes_venvs": makes_venvs}
    return f"echo '{json.dumps(facts)}'"


def find(*folders: Path, with_venv: bool = True) -> interpreter.Interpreter | None:
    """Looks in these folders alone, without the Python that runs this test."""
    return interpreter.find(os.pathsep.join(str(folder) for folder in folders), own="", with_venv=with_venv)


@posix_only
@pytest.mark.parametrize(
    "body",
    [
        "echo 'python3.12: command not found' >&2; exit 127",
        "exit 0",
        "echo Python 3.12.1",
        "echo '[3, 12]'",
        f"{claims('3.12.1')}; exit 1",
    ],
    ids=["errors", "says nothing", "says something else", "says other JSON", "answers and errors"],
)
def test_a_shim_that_does_not_run_python_does_not_count(tmp_path: Path, body: str) -> None:
    put(tmp_path / "shims", "python3.12", body)
    put(tmp_path / "real", "python3.11", claims("3.11.9"))
    found = find(tmp_path / "shims", tmp_path / "real")
    assert found is not None
    assert found.version[:2] == (3, 11)


@posix_only
def test_a_real_one_behind_a_shim_of_the_same_name_is_found(tmp_path: Path) -> None:
    put(tmp_path / "shims", "python3.12", "exit 127")
    put(tmp_path / "real", "python3.12", claims("3.12.4"))
    found = find(tmp_path / "shims", tmp_path / "real")
    assert found == interpreter.Interpreter("/3.12.4", (3, 12, 4), makes_venvs=True)


@posix_only
def test_the_order_is_312_then_311_then_313(tmp_path: Path) -> None:
    for version in ("3.13", "3.11", "3.12"):
        put(tmp_path, f"python{version}", claims(f"{version}.1"))
    chosen = []
    for _ in range(3):
        found = find(tmp_path)
        assert found is not None
        chosen.append(found.text)
        (tmp_path / f"python{found.version[0]}.{found.version[1]}").unlink()
        interpreter.probe.cache_clear()
    assert chosen == ["3.12.1", "3.11.1", "3.13.1"]
    assert find(tmp_path) is None


@posix_only
def test_plain_python3_counts_by_what_it_is(tmp_path: Path) -> None:
    put(tmp_path, "python3", claims("3.12.8"))
    found = find(tmp_path)
    assert found is not None
    assert found.version[:2] == (3, 12)


@posix_only
def test_a_python_without_ensurepip_is_the_second_choice(tmp_path: Path) -> None:
    put(tmp_path, "python3.12", claims("3.12.3", makes_venvs=False))
    assert find(tmp_path) is None
    bare = find(tmp_path, with_venv=False)
    assert bare is not None
    assert not bare.makes_venvs


@posix_only
def test_versions_that_we_do_not_support_do_not_count(tmp_path: Path) -> None:
    put(tmp_path, "python3", claims("3.14.0"))
    put(tmp_path, "python", claims("3.9.18"))
    assert find(tmp_path) is None


def test_the_python_that_runs_the_script_counts() -> None:
    found = interpreter.find("", wanted=[(sys.version_info.major, sys.version_info.minor)])
    assert found is not None


@posix_only
def test_other_kinds_of_python_do_not_count(tmp_path: Path) -> None:
    path = put(tmp_path, "python3.12", claims("3.12.3", usable=False))
    assert interpreter.probe((str(path),)) is None


def test_a_virtual_environment_answers_with_the_python_behind_it() -> None:
    found = interpreter.probe((sys.executable,))
    assert found is not None
    assert found.version == sys.version_info[:3]
    assert not Path(found.path).is_relative_to(sys.prefix) or sys.prefix == sys.base_prefix


def test_a_program_that_is_not_there_is_no_interpreter(tmp_path: Path) -> None:
    assert interpreter.probe((str(tmp_path / "python3.12"),)) is None


@pytest.mark.parametrize("name", ["run.py", "test.py", "prove.py", "check"])
def test_an_old_python_can_read_the_scripts_far_enough_to_be_told(name: str) -> None:
    source = (SCRIPTS / name).read_text(encoding="ascii")  # Python 2 takes nothing else without being told
    tree = ast.parse(source, feature_version=(3, 4))
    told = next(index for index, node in enumerate(tree.body) if isinstance(node, ast.If))
    ours = [
        i for i, node in enumerate(tree.body) if isinstance(node, ast.ImportFrom) and node.module == "house"
    ]
    assert ours
    assert all(told < index for index in ours)
