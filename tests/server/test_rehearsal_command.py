"""`bridge serve` as a musician types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import bridge
from support.rehearsal import rehearsing


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--plan", "gold"), "there is no plan 'gold'"),
        pytest.param(
            ("--key", "a", "--plan", "pro", "--plan", "free"), "2 plans for 1 keys", marks=pytest.mark.slow
        ),
        pytest.param(("--fault", "boom"), "there is no fault 'boom'", marks=pytest.mark.slow),
    ],
)
def test_wishes_that_cannot_be_fulfilled_are_told(
    tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = bridge(tmp_path / "home", "serve", "--rehearse", *arguments)
    assert done.exit_code == 2
    assert words in done.stderr


@pytest.mark.slow
def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with rehearsing(tmp_path) as server:
        port = server.address.rpartition(":")[2]
        done = bridge(tmp_path / "home", "serve", "--port", port)
    assert done.exit_code == 2
    assert f"port {port}" in done.stderr
    assert "Choose another --port" in done.stderr


@pytest.mark.slow
def test_it_says_how_it_is_used_and_warns_where_others_can_reach_it(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "serve", "--rehearse", "--host", "0.0.0.0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "any key is accepted" in process.stderr.readline()
        lines = [process.stdout.readline() for _ in range(3)]
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert lines[0].startswith("A rehearsal of the MusicGPT API: http://0.0.0.0:")
    assert "/api/public MUSICGPT_API_KEY=rehearse bridge run" in lines[2]
