from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge import keys, logs
from bridge.cli import output

KEY = "msk0123456789abcdef-f3a1"


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    root = logging.getLogger("bridge")
    before = root.handlers[:], root.level, root.propagate
    masks = dict(keys._MASKS)
    yield
    keys._MASKS.clear()
    keys._MASKS.update(masks)
    for handler in root.handlers:
        if handler not in before[0]:
            handler.close()
    root.handlers[:], root.level, root.propagate = before
    root.setLevel(before[1])


def _text(home: Path) -> str:
    return (home / "logs" / logs.LOG_NAME).read_text(encoding="utf-8")


def test_the_file_has_what_the_level_lets_through_and_the_terminal_only_warnings(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(tmp_path / "home", level="info", to_terminal=True)
    log = logging.getLogger("bridge.test")
    log.debug("not this")
    log.info("a bounce: Übung.wav")
    log.warning("mind this")
    text = _text(tmp_path / "home")
    assert "INFO    bridge.test: a bounce: Übung.wav" in text
    assert "mind this" in text
    assert "not this" not in text
    shown = capsys.readouterr()
    assert shown.err == "WARNING: mind this\n"
    assert shown.out == ""


def test_set_up_twice_writes_each_line_once(tmp_path: Path) -> None:
    logs.set_up(tmp_path, level="info", to_terminal=False)
    logs.set_up(tmp_path, level="debug", to_terminal=False)
    logging.getLogger("bridge.test").debug("once")
    assert _text(tmp_path).count("once") == 1


def test_the_file_rolls_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 2000)
    logs.set_up(tmp_path, level="info", to_terminal=False)
    for number in range(300):
        logging.getLogger("bridge.test").info("line %d", number)
    files = sorted((tmp_path / "logs").iterdir())
    assert len(files) == logs.OLD_FILES + 1
    assert all(path.stat().st_size <= 2000 for path in files)
    assert "line 299" in _text(tmp_path)


@pytest.mark.skipif(os.name != "posix", reason="names are Unicode there")
def test_a_name_that_is_no_unicode_can_be_logged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path, level="info", to_terminal=False)
    logging.getLogger("bridge.test").info("found %s", os.fsdecode(b"take \xe9.wav"))
    assert "found take \\udce9.wav" in _text(tmp_path)
    assert capsys.readouterr().err == ""


def test_no_secret_gets_into_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.set_up(tmp_path, level="debug", to_terminal=True)
    keys.hide(KEY)
    log = logging.getLogger("bridge.test")
    log.warning(f"the key is {KEY}")
    log.warning("the key is %s", KEY)
    log.warning("sent %r", {"headers": {"Authorization": KEY}})
    try:
        int(KEY)
    except ValueError:
        log.exception("it failed")
    text, shown = _text(tmp_path), capsys.readouterr().err
    for seen in (text, shown):
        assert KEY not in seen
        assert seen.count(keys.masked(KEY)) == 4
    assert "Traceback" in text


def test_a_log_that_cannot_be_written_shows_nothing_of_what_it_was_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.set_up(tmp_path, level="debug", to_terminal=False)
    (tmp_path / "logs" / logs.LOG_NAME).mkdir()  # so it cannot be opened
    keys.hide(KEY)
    logging.getLogger("bridge.test").warning("the key is %s", KEY)
    assert KEY not in capsys.readouterr().err


def test_a_thread_that_ends_by_accident_is_a_line_without_a_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble() -> None:
        raise ValueError(f"header {KEY!r} is wrong")

    monkeypatch.setattr(threading, "excepthook", output.tell_thread)
    logs.set_up(tmp_path, level="info", to_terminal=False)
    keys.hide(KEY)
    thread = threading.Thread(target=stumble, name="stumbler")
    thread.start()
    thread.join(5)
    shown = capsys.readouterr().err
    assert "ValueError: header 'msk…f3a1' is wrong" in shown
    assert len(shown.splitlines()) == 1
    assert "the thread stumbler has ended" in _text(tmp_path)
    assert KEY not in _text(tmp_path) + shown
