from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bridge.errors import HomeInUse, JournalError
from bridge.owner import NOTE_NAME, TOKEN_NAME, OwnerNote, Ownership, is_owned, read_note, token
from support.polling import eventually

NOTE = OwnerNote(pid=4711, host="127.0.0.1", port=8123, started_at=1.5)
OWNER = """
import subprocess, sys
from pathlib import Path
from bridge.owner import Ownership
owner = Ownership(Path(sys.argv[1]))
owner.take()
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
sys.stdin.read()
"""
TOKEN = (
    "import sys; from pathlib import Path; from bridge.owner import token; print(token(Path(sys.argv[1])))"
)


@contextmanager
def _owner_process(home: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that owns `home`, with the id of a child that outlives it."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()
        os.kill(child, 9 if os.name == "posix" else 15)


def test_there_is_one_owner_and_a_home_can_be_taken_again(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    assert not is_owned(home)
    first, second = Ownership(home), Ownership(home)
    first.take()
    assert is_owned(home)
    with pytest.raises(HomeInUse, match="another bridge is running") as caught:
        second.take()
    assert str(home) in caught.value.message
    assert caught.value.remedy
    first.release()
    assert not is_owned(home)
    second.take()
    second.release()


def test_looking_whether_there_is_an_owner_changes_nothing(tmp_path: Path) -> None:
    assert not is_owned(tmp_path)
    assert list(tmp_path.iterdir()) == []
    owner = Ownership(tmp_path)
    owner.take()
    assert is_owned(tmp_path)
    assert is_owned(tmp_path)
    owner.release()


def test_another_thread_may_give_the_home_back(tmp_path: Path) -> None:
    owner = Ownership(tmp_path)
    owner.take()
    thread = threading.Thread(target=owner.release)
    thread.start()
    thread.join()
    assert not is_owned(tmp_path)


def test_a_refused_owner_leaves_the_others_note_alone(tmp_path: Path) -> None:
    owner = Ownership(tmp_path)
    owner.take()
    owner.announce(NOTE)
    with pytest.raises(HomeInUse):
        Ownership(tmp_path).take()
    assert read_note(tmp_path) == NOTE
    owner.release()
    assert read_note(tmp_path) is None


def test_a_new_owner_takes_away_the_note_of_a_dead_one(tmp_path: Path) -> None:
    (tmp_path / NOTE_NAME).write_text(json.dumps(vars(NOTE)), encoding="utf-8")
    owner = Ownership(tmp_path)
    owner.take()
    assert read_note(tmp_path) is None
    owner.release()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": 1}', '{"a": 1, "b": 2}', "null", "\x00"])
def test_a_damaged_note_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NOTE_NAME).write_text(text, encoding="utf-8")
    assert read_note(tmp_path) is None


def test_a_home_that_cannot_be_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(JournalError, match="Set BRIDGE_HOME"):
        Ownership(tmp_path / "file").take()


def test_kill_9_frees_the_home_though_a_child_lives_on(tmp_path: Path) -> None:
    with _owner_process(tmp_path) as (process, _child):
        assert is_owned(tmp_path)
        with pytest.raises(HomeInUse):
            Ownership(tmp_path).take()
        process.kill()
        process.wait()
        eventually(lambda: not is_owned(tmp_path), what="the lock of a dead process", deadline_s=5)
        owner = Ownership(tmp_path)
        owner.take()
        owner.release()


# The token


def test_the_token_is_long_stays_and_is_for_this_user_only(tmp_path: Path) -> None:
    first = token(tmp_path / "home")
    assert len(first) >= 40
    assert token(tmp_path / "home") == first != token(tmp_path / "other")
    path = tmp_path / "home" / TOKEN_NAME
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        assert token(tmp_path / "home") == first
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("data", [b"", b"  \n", b"\xff\xfe"])
def test_a_token_file_without_a_token_gets_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / TOKEN_NAME).write_bytes(data)
    made = token(tmp_path)
    assert len(made) >= 40
    assert token(tmp_path) == made


def test_many_threads_that_make_the_token_at_once_get_the_same(tmp_path: Path) -> None:
    for number in range(10):
        home = tmp_path / str(number)
        home.mkdir()
        found: list[str] = []
        start = threading.Barrier(8)

        def ask(start: threading.Barrier = start, home: Path = home, found: list[str] = found) -> None:
            start.wait()
            found.append(token(home))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [token(home)] * 8


def test_processes_that_make_the_token_at_once_get_the_same(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", TOKEN, str(tmp_path)]] * 4
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    answers = {process.communicate(timeout=30)[0].strip() for process in running}
    assert answers == {token(tmp_path)}
    assert {path.name for path in tmp_path.iterdir()} <= {TOKEN_NAME, f"{TOKEN_NAME}.lock"}
