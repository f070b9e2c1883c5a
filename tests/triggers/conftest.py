from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.trigger_bench import Bench, until


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    folder, apart = tmp_path / "In", tmp_path / "apart"
    folder.mkdir()
    apart.mkdir()
    before = set(threading.enumerate())
    bench = Bench(folder=folder, apart=apart)
    yield bench
    bench.stop()
    until(lambda: set(threading.enumerate()) <= before, "no thread outlives the test")
