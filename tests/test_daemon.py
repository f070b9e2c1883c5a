"""The wiring: what was begun is ended, also where the start fails half-way."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from bridge.config import Settings
from bridge.daemon import BridgeCore
from bridge.engine.worker import spawn


def test_a_start_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the cache should be")
    engine = spawn(None)
    with pytest.raises(OSError, match="cache"):
        BridgeCore(tmp_path, Settings(), engine=engine).start()
    assert engine.poll() is not None
    assert [one.path for one in psutil.Process().open_files() if str(tmp_path) in one.path] == []
    (tmp_path / "cache").unlink()
    core = BridgeCore(tmp_path, Settings())
    core.start()
    core.stop()
