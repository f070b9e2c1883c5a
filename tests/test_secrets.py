"""The key is in no log, journal, sidecar, error or crash dump, whatever a server throws at us."""

from __future__ import annotations

import base64
import html
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest

from bridge import keys
from bridge.engine import worker
from support.commands import Done, bridge
from support.echo_server import FAILURES, EchoServer, every_form
from support.keyrings import environment
from support.rehearsal import rehearsing
from support.tones import write_tone

KEY = "msk-5up3r+s3cr3t/k3y&0f~th3=b4nd-f3a1"


def traces(secret: str) -> set[bytes]:
    """What would betray the secret: its forms, also as UTF-16, and in base64 whatever stands before it."""
    texts = {secret, quote(secret), quote(secret, safe=""), html.escape(secret)}
    for before in range(3):
        encoded = base64.b64encode(b"x" * before + secret.encode()).decode().rstrip("=")
        core = encoded[4 if before else 0 : -4]
        texts |= {core, core.translate(str.maketrans("+/", "-_"))}
    return {text.encode(code) for text in texts for code in ("utf-8", "utf-16-le")}


def places(*folders: Path) -> Iterator[tuple[str, bytes]]:
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                yield str(path), path.read_bytes()


def assert_hidden(done: list[Done], *folders: Path) -> None:
    said = [
        (f"what command {number} said", (one.stdout + one.stderr).encode()) for number, one in enumerate(done)
    ]
    wanted = traces(KEY)
    looked_at = 0
    for place, data in (*said, *places(*folders)):
        found = [trace for trace in wanted if trace in data]
        assert not found, f"{place} has {found}"
        looked_at += 1
    assert looked_at > len(done), "there was nothing to look at"


@pytest.fixture
def take(tmp_path: Path) -> Path:
    (tmp_path / "song").mkdir()
    path = tmp_path / "song" / "take.wav"
    write_tone(path)
    return path


def test_the_search_finds_what_it_looks_for() -> None:
    for text in every_form(KEY).split(" | "):
        assert any(trace in text.encode() for trace in traces(KEY)), text


@pytest.mark.slow
@pytest.mark.parametrize(
    "failure",
    sorted(FAILURES),
)
def test_whatever_a_server_does_the_key_stays_hidden(
    failure: str, bridge_home: Path, tmp_path: Path, take: Path
) -> None:
    server = EchoServer(failure)
    settings = {
        keys.VARIABLE: KEY,
        "BRIDGE_MUSICGPT_BASE_URL": server.base_url,
        "BRIDGE_LOG_LEVEL": "debug",
    }
    try:
        convert = bridge(
            bridge_home,
            "convert",
            take,
            "--conversion",
            "denoise",
            "--yes",
            "--to",
            tmp_path / "out",
            **settings,
        )
        after = [
            bridge(bridge_home, *command, **settings)
            for command in (("show", "1"), ("show", "1", "--json"), ("spend",), ("history",), ("doctor",))
        ]
    finally:
        server.stop()
    assert KEY in server.keys, convert.stderr
    assert convert.exit_code == 1
    assert "Error" in convert.stderr or "failed" in convert.stderr or "needs you" in convert.stderr
    assert keys.masked(KEY) in after[-1].stdout, "the doctor names it"
    assert_hidden([convert, *after], bridge_home, take.parent, *filter(Path.is_dir, [tmp_path / "out"]))


@pytest.mark.slow
def test_results_and_provenance_have_no_key(
    bridge_home: Path, tmp_path: Path, take: Path, models_folder: Path
) -> None:
    out = tmp_path / "out"
    with rehearsing(models_folder, keys={KEY: "pro"}) as server:
        settings = {**server.environment(), "BRIDGE_LOG_LEVEL": "debug"}
        assert settings[keys.VARIABLE] == KEY
        command = ("convert", take, "--conversion", "denoise", "--yes", "--to", out)
        done = [
            bridge(bridge_home, *command, **settings),
            bridge(bridge_home, "show", "1", "--json", **settings),
        ]
    assert done[0].exit_code == 0, done[0].stderr
    assert list(out.glob("*.bridge.json"))
    assert_hidden(done, bridge_home, take.parent, out)


def test_a_key_that_was_typed_in_is_in_the_keyring_and_nowhere_else(
    bridge_home: Path, tmp_path: Path, take: Path
) -> None:
    ring = tmp_path / "keyring.json"
    kept = {**os.environ, **environment(ring), "BRIDGE_HOME": str(bridge_home), "PYTHONIOENCODING": "utf-8"}
    kept.pop(keys.VARIABLE, None)
    login = subprocess.run(
        [sys.executable, "-m", "bridge", "login", "--stdin"],
        input=f"{KEY}\n",
        env=kept,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert login.returncode == 0, login.stderr
    assert KEY in ring.read_text(encoding="utf-8")
    server = EchoServer("refuses")
    try:
        convert = bridge(
            bridge_home,
            *("convert", take, "--conversion", "denoise", "--yes", "--to", tmp_path / "out"),
            **environment(ring),
            BRIDGE_MUSICGPT_BASE_URL=server.base_url,
            BRIDGE_LOG_LEVEL="debug",
        )
    finally:
        server.stop()
    assert KEY in server.keys, convert.stderr
    said = Done(login.returncode, login.stdout, login.stderr)
    assert_hidden([said, convert], bridge_home, take.parent)


def test_a_crash_dump_has_no_key(tmp_path: Path) -> None:
    crash = (
        "import os, bridge.cli.reading as r\n"
        "from bridge.keys import KeyRing\n"
        "def status(**_):\n"
        "    raise ValueError(f'header {KeyRing().get()!r} is wrong')\n"
        "r.status = status\n"
        "from bridge.cli import main; main()"
    )
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-c", crash, "status"],
        env={**os.environ, "BRIDGE_HOME": str(home), keys.VARIABLE: KEY},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert keys.masked(KEY) in done.stderr
    assert "Traceback" in (home / "logs" / "bridge.log").read_text(encoding="utf-8")
    assert_hidden([Done(done.returncode, done.stdout, done.stderr)], home)


def test_the_engine_does_not_get_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, KEY)
    process = worker.spawn(None)
    try:
        given = psutil.Process(process.pid).environ()
    finally:
        process.kill()
        process.communicate()
    assert keys.VARIABLE not in given
    assert KEY not in given.values()
