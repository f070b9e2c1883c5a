"""The set-up of small real projects: real virtual environments, the real pip, nothing from the network."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import start
from house.parts import Part, SystemProgram
from house.process import SetupError
from house.setup import House, Wish, prepare, read_outcomes, stamped, steps_to_do

pytestmark = pytest.mark.slow

SCRIPTS = Path(__file__).parents[2] / "scripts"
DEADLINE_S = 60.0

# A build backend of twenty lines, so that the editable install needs nothing from outside.
BACKEND = """
import base64, hashlib, zipfile
from pathlib import Path

def get_requires_for_build_editable(config_settings=None):
    return []

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    name = "daw_bridge-1.0-py3-none-any.whl"
    files = {
        "daw_bridge.pth": str(Path(__file__).parent),
        "daw_bridge-1.0.dist-info/METADATA": "Metadata-Version: 2.1\\nName: daw-bridge\\nVersion: 1.0\\n",
        "daw_bridge-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        "daw_bridge-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(Path(wheel_directory) / name, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    return name
"""
# Stands for the bridge: answers `models pull` as told, else prints what it was given.
BRIDGE = """
import json, os, sys
if sys.argv[1:] == ["models", "pull"]:
    sys.exit(os.environ.get("TEST_PULL_SAYS") or 0)
import tiny
print(json.dumps({"arguments": sys.argv[1:], "tiny": tiny.NUMBER}))
sys.exit(7 if "fail" in sys.argv else 0)
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "{backend}"
backend-path = ["."]
[project]
name = "{name}"
version = "1.0"
"""
BROKEN = 'raise RuntimeError("error: no compiler here")'
SLOW = """
import os, time
from pathlib import Path
Path(os.environ["TEST_BUILDING"]).touch()
time.sleep(120)
"""


def tiny_wheel(folder: Path, number: int) -> str:
    """A wheel with one module, and its line for a lock file."""
    path = folder / f"tiny-1.{number}-py3-none-any.whl"
    info = f"tiny-1.{number}.dist-info"
    files = {
        "tiny.py": f"NUMBER = {number}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: 1.{number}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{name},{record(text)},{len(text)}" for name, text in files.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
        wheel.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,", ""]))
    return f"tiny @ {path.as_uri()} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def record(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")


def make_project(root: Path) -> House:
    (root / "bridge").mkdir(parents=True)
    (root / "requirements").mkdir()
    (root / "pyproject.toml").write_text(
        PYPROJECT.format(backend="backend", name="daw-bridge"), encoding="utf-8"
    )
    (root / "backend.py").write_text(BACKEND, encoding="utf-8")
    (root / "bridge" / "__init__.py").touch()
    (root / "bridge" / "__main__.py").write_text(BRIDGE, encoding="utf-8")
    (root / "requirements" / "core.txt").write_text(tiny_wheel(root, 1), encoding="utf-8")
    shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    return House(root)


def make_part(folder: Path, backend: str) -> Part:
    folder.mkdir()
    text = PYPROJECT.format(backend="made_up_backend", name="made-up")
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    (folder / "made_up_backend.py").write_text(backend, encoding="utf-8")
    return Part("made-up", str(folder), "wonders", build_needs={"brew": "wonder"})


def wish(*compiled: Part, system: tuple[SystemProgram, ...] = ()) -> Wish:
    return Wish(system=system, compiled=compiled)


@pytest.fixture(scope="module", autouse=True)
def plain_environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("BRIDGE_SET_UP", "TEST_PULL_SAYS", "BRIDGE_HOME"):
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="module")
def made(plain_environment: None, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A project that has been set up once. Tests that break it copy nothing: they make their own."""
    house = make_project(tmp_path_factory.mktemp("made") / "a folder")
    prepare(house, wish())
    return house


def script(house: House, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(house.root / "scripts" / "run.py"), *arguments]
    environment = {**os.environ, **variables}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=120)


# --- the set-up that works ---------------------------------------------------------------------------------


def test_a_second_start_has_nothing_to_do(made: House, capfd: pytest.CaptureFixture[str]) -> None:
    assert steps_to_do(made, wish()) == []
    assert prepare(made, wish()) == made.python
    assert capfd.readouterr() == ("", "")


def test_a_marker_makes_the_stamp_worth_nothing(made: House) -> None:
    made.marker.touch()
    assert "core" in steps_to_do(made, wish())
    made.marker.unlink()
    assert steps_to_do(made, wish()) == []


def test_stdout_is_the_bridges_alone_and_the_exit_code_its_own(made: House) -> None:
    first = script(made, "status", "--json", TEST_PULL_SAYS="")
    again = script(made, "fail")
    assert json.loads(first.stdout) == {"arguments": ["status", "--json"], "tiny": 1}
    assert again.returncode == 7
    assert again.stderr == ""


def test_no_arguments_mean_run(made: House) -> None:
    assert json.loads(script(made).stdout)["arguments"] == ["run"]


def test_a_folder_named_bridge_where_one_stands_is_not_started(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bridge").mkdir()
    (tmp_path / "bridge" / "__init__.py").touch()
    (tmp_path / "bridge" / "__main__.py").write_text("raise SystemExit('the wrong one')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert script(made).returncode == 0


def test_a_changed_lock_is_installed(made: House) -> None:
    lock = made.requirements("core")
    before = lock.read_text(encoding="utf-8")
    lock.write_text(tiny_wheel(made.root, 2), encoding="utf-8")
    assert "core" in steps_to_do(made, wish())
    prepare(made, wish())
    assert json.loads(script(made).stdout)["tiny"] == 2
    lock.write_text(before, encoding="utf-8")
    prepare(made, wish())


def test_a_program_that_came_or_went_is_looked_at_again(
    made: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32":
        pytest.skip("the stand-in is a shell script")
    wanted = wish(system=(SystemProgram("wonder-tool", "wonders", {}),))
    prepare(made, wanted)
    assert steps_to_do(made, wanted) == []
    assert [row["ready"] for row in read_outcomes(made) if row["name"] == "wonder-tool"] == [False]
    tool = tmp_path / "wonder-tool"
    tool.write_text("#!/bin/sh\n", encoding="utf-8")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}{os.pathsep}{tmp_path}")
    assert "core" not in steps_to_do(made, wanted)
    assert "system" in steps_to_do(made, wanted)
    prepare(made, wanted)
    assert [row["ready"] for row in read_outcomes(made) if row["name"] == "wonder-tool"] == [True]


# --- what may fail and is a state ---------------------------------------------------------------------------


def test_a_part_that_does_not_build_is_a_state_and_not_the_end(
    made: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with_part = wish(make_part(tmp_path / "made-up", BROKEN))
    prepare(made, with_part)
    said = [line for line in capfd.readouterr().err.splitlines() if line.startswith("Without")]
    assert len(said) == 1
    assert "Without made-up, no wonders: " in said[0]
    assert "no compiler here" in said[0]
    row = next(row for row in read_outcomes(made) if row["name"] == "made-up")
    assert row["ready"] is False
    assert row["remedy"]
    assert steps_to_do(made, with_part) == []
    assert script(made).returncode == 0


def test_models_that_cannot_be_had_are_told_and_tried_again(made: House) -> None:
    table = made.root / "bridge" / "engine" / "model_table.py"
    table.parent.mkdir(exist_ok=True)
    table.write_text("MODELS = ['another']", encoding="utf-8")
    without = script(made, TEST_PULL_SAYS="no network")
    assert without.returncode == 0
    assert "no network" in without.stderr
    assert [step for step in steps_to_do(made, wish()) if step.startswith("models")] != []
    assert script(made).returncode == 0
    assert [step for step in steps_to_do(made, wish()) if step.startswith("models")] == []


def test_pip_that_fails_is_told_and_leaves_the_way_open(
    made: House, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = made.requirements("core")
    before = lock.read_text(encoding="utf-8")
    lock.write_text(before.replace("sha256:", "sha256:0000")[: len(before) - 3], encoding="utf-8")
    with pytest.raises(SetupError, match="pip could not install"):
        prepare(made, wish())
    assert start.run([], house=made, wish=wish()) == 1
    assert "Is the network there?" in capfd.readouterr().err
    lock.write_text(before, encoding="utf-8")
    prepare(made, wish())
    assert steps_to_do(made, wish()) == []


# --- cut off, moved, twice at once --------------------------------------------------------------------------


@pytest.fixture
def fresh(tmp_path: Path) -> House:
    return make_project(tmp_path / "project")


SETUP_IN_A_PROCESS = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from house.parts import Part
from house.setup import House, Wish, prepare
prepare(House(Path(sys.argv[2])), Wish(system=(), compiled=(Part("made-up", sys.argv[3], "wonders"),)))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 of a group is POSIX")
def test_a_set_up_that_was_killed_is_made_anew(
    fresh: House, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    part = make_part(tmp_path / "made-up", SLOW)
    building = tmp_path / "building"
    command = [sys.executable, "-c", SETUP_IN_A_PROCESS, str(SCRIPTS), str(fresh.root), part.requirement]
    environment = {**os.environ, "TEST_BUILDING": str(building)}
    with subprocess.Popen(command, env=environment, start_new_session=True) as child:
        for _ in polls():
            if building.exists():
                break
        os.killpg(child.pid, signal.SIGKILL)
    assert fresh.marker.exists()
    prepare(fresh, wish())
    assert "unfinished" in capfd.readouterr().err
    assert not fresh.marker.exists()
    assert script(fresh).returncode == 0
    _damaged_stamp_and_moved_folder(fresh, capfd)


def _damaged_stamp_and_moved_folder(house: House, capfd: pytest.CaptureFixture[str]) -> None:
    """Goes on with a .venv that has taken its seconds to make."""
    house.stamp.write_text('{"core": ', encoding="utf-8")
    assert stamped(house) == {}
    assert script(house).returncode == 0
    moved = House(house.root.rename(house.root.with_name("moved")))
    assert "core" in steps_to_do(moved, wish())
    lock = moved.requirements("core")
    lock.write_text(tiny_wheel(moved.root, 1), encoding="utf-8")
    done = script(moved)
    assert done.returncode == 0, done.stderr


def test_two_starts_at_once_do_not_disturb_each_other(fresh: House) -> None:
    command = [sys.executable, str(fresh.root / "scripts" / "run.py"), "status"]
    children = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)
    ]
    both = [child.communicate(timeout=120) for child in children]
    assert [json.loads(out)["arguments"] for out, _ in both] == [["status"], ["status"]]
    made = ["Making .venv" in err for _, err in both]
    assert sorted(made) == [False, True], [err for _, err in both]


def polls() -> Iterator[None]:
    """Yields until the deadline, then fails."""
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        yield
        time.sleep(0.02)
    pytest.fail(f"nothing happened within {DEADLINE_S:.0f} s")
