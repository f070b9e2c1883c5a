"""What the doctor says of key, caps and addresses: facts, never a key, and no network without one."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from keyring.backends import fail

from bridge import keys
from bridge.doctor import CHECKS, Check, examine
from support.keyrings import FileKeyring, LockedKeyring

KEY = "msk0123456789abcdef-f3a1"
LOOKS = dict(CHECKS)


@pytest.fixture(autouse=True)
def as_on_a_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No key, no keyring, no proxy."""
    for name in (keys.VARIABLE, "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener


def rows(name: str, home: Path, settings: str = "") -> list[Check]:
    (home / "config.toml").write_text(f"[musicgpt]\n{settings}\n", encoding="utf-8")
    return list(LOOKS[name](home))


def test_without_a_key_all_is_well_and_nobody_is_called(tmp_path: Path, listener: socket.socket) -> None:
    base_url = f"base_url = 'http://127.0.0.1:{listener.getsockname()[1]}/api'"
    for name in ("key", "keyring", "plan", "address", "webhook"):
        assert [row.state for row in rows(name, tmp_path, base_url)] in (["ok"], ["ok", "ok"])
    (address,) = rows("address", tmp_path, base_url)
    assert "not tried without a key" in address.what
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_key_is_told_by_its_place_and_its_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, KEY)
    (row,) = rows("key", tmp_path)
    assert row.what == f"msk…f3a1, in the variable {keys.VARIABLE}"
    monkeypatch.delenv(keys.VARIABLE)
    ring = FileKeyring(tmp_path / "keyring.json")
    ring.set_password(keys.SERVICE, keys.USER, KEY)
    keyring.set_keyring(ring)
    (row,) = rows("key", tmp_path)
    assert row.what == "msk…f3a1, in the keyring of this computer (a file for tests)"
    keyring.set_keyring(LockedKeyring(tmp_path / "keyring.json"))
    (row,) = rows("key", tmp_path)
    assert "is locked" in row.what


def test_what_can_be_no_key_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(keys.VARIABLE, f"Bearer {KEY}")
    (row,) = [row for row in examine(tmp_path) if row.name == "key"]
    assert row.state == "fail"
    assert KEY not in row.what + row.remedy


def test_an_address_is_reached_or_not(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(keys.VARIABLE, KEY)
    port = listener.getsockname()[1]
    (row,) = rows("address", tmp_path, f"base_url = 'http://127.0.0.1:{port}/api'")
    assert (row.state, "answers" in row.what) == ("ok", True)
    listener.close()
    (row,) = rows("address", tmp_path, f"base_url = 'http://127.0.0.1:{port}/api'")
    assert (row.state, "cannot be reached" in row.what) == ("warn", True)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    (row,) = rows("address", tmp_path, f"base_url = 'http://127.0.0.1:{port}/api'")
    assert (row.state, "proxy" in row.what) == ("ok", True)


def test_somebody_who_speaks_no_tls_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listener: socket.socket
) -> None:
    monkeypatch.setenv(keys.VARIABLE, KEY)
    monkeypatch.setattr("bridge.doctor.CONNECT_WITHIN_S", 0.1)
    (row,) = rows("address", tmp_path, f"base_url = 'https://127.0.0.1:{listener.getsockname()[1]}/api'")
    assert row.state == "warn"


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ("", "ok", "none"),
        ("webhook_url = 'http://a.example/x'\nwebhook_port = 1", "warn", "not https"),
        ("webhook_url = 'https://a.example/x'", "warn", "another one at each start"),
        ("webhook_url = 'https://a.example/x'\nwebhook_port = 8765", "ok", "port 8765"),
    ],
)
def test_the_address_for_callbacks(settings: str, state: str, words: str, tmp_path: Path) -> None:
    (row,) = rows("webhook", tmp_path, settings)
    assert row.state == state
    assert words in row.what


def test_plan_and_caps_are_told(tmp_path: Path) -> None:
    plan, caps = rows("plan", tmp_path, "plan = 'plus'\ncap_day_usd = 2.5")
    assert plan.what == "plus"
    assert caps.what == "$2.50 a day, $50.00 a project, $1.00 a conversion"
