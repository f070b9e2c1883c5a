"""What every test has: fixed seeds, a BRIDGE_HOME of its own on request, and no thread that outlives it."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

THREAD_DEADLINE_S = 5.0
COPIED_BYTES = 8 << 20  # larger ones are linked: no test writes to them
PYTESTS_OWN = ("pytest_timeout",)
KEPT_MODELS = Path(__file__).parents[1] / ".venv" / "test-home" / "models"

settings.register_profile(
    "fixed", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.register_profile("quick", parent=settings.get_profile("fixed"), max_examples=20)
settings.register_profile("prove", parent=settings.get_profile("fixed"), max_examples=2000)
settings.load_profile(os.environ.get("BRIDGE_TEST_PROFILE", "fixed"))

if {
    "PYTEST_XDIST_WORKER",
    "BRIDGE_HOME",
} <= os.environ.keys():  # to each worker its own
    os.environ["BRIDGE_HOME"] += f"-{os.environ['PYTEST_XDIST_WORKER']}"


@pytest.fixture(scope="session")
def models_folder() -> Path:
    """The folder in which scripts/test.py keeps the models from run to run; it may lack some."""
    return Path(os.environ.get("BRIDGE_MODELS_MIRROR") or KEPT_MODELS)


@pytest.fixture
def bridge_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, models_folder: Path) -> Path:
    """A BRIDGE_HOME of this test's own, named in the environment, with the models that are kept for tests."""
    home = tmp_path / "bridge-home"
    models = home / "models"
    models.mkdir(parents=True)
    for model in models_folder.glob("*") if models_folder.is_dir() else ():
        if not model.is_file() or model.name.startswith("."):
            continue
        if model.stat().st_size <= COPIED_BYTES:
            shutil.copy2(model, models / model.name)
        else:
            with contextlib.suppress(OSError):  # another disk: then it is not there
                os.link(model, models / model.name)
    monkeypatch.setenv("BRIDGE_HOME", str(home))
    return home


@pytest.fixture(autouse=True)
def no_thread_outlives_its_test() -> Iterator[None]:
    """A thread that is still there some seconds after its test is a leak; pytest-timeout's do not count."""
    before = set(threading.enumerate())
    yield
    deadline_s = time.monotonic() + THREAD_DEADLINE_S
    while (left := _new_threads(before)) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert not left, f"threads outlived their test: {', '.join(thread.name for thread in left)}"


def _new_threads(before: set[threading.Thread]) -> list[threading.Thread]:
    ours = (thread for thread in threading.enumerate() if thread not in before and thread.is_alive())
    return [thread for thread in ours if not thread.name.startswith(PYTESTS_OWN)]
