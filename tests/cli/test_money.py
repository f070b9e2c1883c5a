"""The key, consent, prices and what was spent, on the command line."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import keyring
import pytest
from keyring.backends import fail

from bridge import keys
from bridge.cli import quoting, reading
from bridge.cli.app import run
from bridge.cli.tending import going_on
from bridge.config import MusicGPTSettings, load
from bridge.errors import NeedsConsent
from bridge.jobs.budget import Bill
from bridge.jobs.model import ConversionState as C
from bridge.jobs.store import JOURNAL_NAME, Journal
from bridge.owner import Ownership
from support.journals import add_job, planned
from support.keyrings import FileKeyring
from support.questions import ask

Captured = pytest.CaptureFixture[str]
KEY = "msk0123456789abcdef-f3a1"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("BRIDGE_HOME", str(home))
    monkeypatch.delenv(keys.VARIABLE, raising=False)
    return home


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[FileKeyring]:
    """The system's keyring is a file of this test's."""
    before = keyring.get_keyring()
    ring = FileKeyring(tmp_path / "keyring.json")
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture
def no_ring() -> Iterator[None]:
    """As on a server without a desktop."""
    before = keyring.get_keyring()
    keyring.set_keyring(fail.Keyring())  # type: ignore[no-untyped-call]
    yield
    keyring.set_keyring(before)


# The key


def test_login_from_a_pipe_and_logout(
    home: Path, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    assert run(["login", "--stdin"]) == 0
    told = capsys.readouterr()
    assert "msk…f3a1" in told.out
    assert "a file for tests" in told.out
    assert KEY not in told.out + told.err
    assert ring.get_password(keys.SERVICE, keys.USER) == KEY
    assert run(["logout"]) == 0
    assert ring.get_password(keys.SERVICE, keys.USER) is None
    assert run(["logout"]) == 0
    assert "no key in the keyring" in capsys.readouterr().out


def test_login_says_that_the_variable_wins(
    home: Path, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setenv(keys.VARIABLE, "another-key-0123456789")
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
    assert run(["login", "--stdin"]) == 0
    told = capsys.readouterr()
    assert keys.VARIABLE in told.err
    assert "another-key-0123456789" not in told.out + told.err


@pytest.mark.parametrize("typed", ["", "\n", "Bearer abc\n", "msk€\n"])
def test_what_can_be_no_key_is_not_kept(
    typed: str, home: Path, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    assert run(["login", "--stdin"]) == 1
    assert capsys.readouterr().err.startswith("Error: ")
    assert not ring.path.exists()


def test_without_a_terminal_the_key_comes_from_a_pipe(
    home: Path, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{KEY}\n"))
    assert run(["login"]) == 2
    assert "--stdin" in capsys.readouterr().err


def test_without_a_keyring_the_variable_is_the_remedy(home: Path, no_ring: None, capsys: Captured) -> None:
    for command in (["login", "--stdin"], ["logout"]):
        assert run(command) == 1
        assert keys.VARIABLE in capsys.readouterr().err


def test_a_key_is_never_an_argument(home: Path, ring: FileKeyring) -> None:
    assert run(["login", KEY]) == 2
    assert not ring.path.exists()


# Consent


def test_allow_without_a_running_bridge_is_written_down(home: Path, tmp_path: Path, capsys: Captured) -> None:
    song = tmp_path / "song"
    song.mkdir()
    with closing(Journal(home / JOURNAL_NAME)) as journal:
        job = add_job(journal, song / "loop.wav", conversions=(planned("musicgpt"),))
        ask(journal, NeedsConsent("may it be sent?"))
    assert run(["allow", str(song)]) == 0
    out = capsys.readouterr().out
    assert f"Audio of {song}" in out
    assert "1 conversion that waited" in out
    with closing(Journal(home / JOURNAL_NAME)) as journal:
        assert journal.has_consent(song / "deeper")
        detail = journal.detail(job)
        assert detail is not None
        assert detail.conversions[0].state is C.QUEUED
    assert run(["allow", str(song), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(song), "released": 0}


def test_allow_takes_a_folder_that_is_there(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    assert run(["allow", str(tmp_path / "not-there")]) == 2
    assert run(["allow", str(tmp_path / "a.wav")]) == 2
    assert not (home / JOURNAL_NAME).exists()


@pytest.mark.parametrize(
    ("setting", "told"), [("private = true", "private = true"), ('upload = "never"', 'upload = "never"')]
)
def test_allow_does_not_promise_what_the_settings_forbid(
    home: Path, tmp_path: Path, capsys: Captured, setting: str, told: str
) -> None:
    song = tmp_path / "song"
    song.mkdir()
    (home / "config.toml").write_text(f"[[folders]]\npath = '{song}'\n{setting}\n", encoding="utf-8")
    assert run(["allow", str(song)]) == 2
    assert told in capsys.readouterr().err
    assert not (home / JOURNAL_NAME).exists()


def test_allow_leaves_a_home_alone_that_another_bridge_has(
    home: Path, tmp_path: Path, capsys: Captured
) -> None:
    owner = Ownership(home)
    owner.take()
    try:
        assert run(["allow", str(tmp_path)]) == 1
    finally:
        owner.release()
    assert "another bridge" in capsys.readouterr().err


# Prices


STEP = {
    "step": "stems",
    "conversion": "Extraction",
    "converter": "musicgpt",
    "usd": 0.0248,
    "basis": "$0.0155 and $0.003 for each started minute",
    "consent": True,
}
NOTES = {
    **STEP,
    "step": "audio_to_midi",
    "conversion": "audio_to_midi",
    "converter": "local",
    "usd": 0.0,
    "basis": "",
    "consent": False,
}


def test_a_dry_run_tells_each_step_and_the_sum() -> None:
    quote = {"file": "/song/a.wav", "steps": [STEP, NOTES], "usd": 0.0248, "unknown": False}
    name, stems, notes, *rest = quoting.lines([quote, quote])
    assert name == "a.wav"
    price = "$0.0248 ($0.0155 and $0.003 for each started minute)"
    assert stems == f"  stems: Extraction by musicgpt, {price}; you are asked first whether it may be sent"
    assert notes == "  audio_to_midi by local, free"
    assert rest == [name, stems, notes, "In all about $0.0496. Nothing was sent."]


def test_a_price_that_nobody_tells_is_said() -> None:
    unknown = {**STEP, "usd": None, "basis": ""}
    quote = {"steps": [STEP, unknown], "usd": None, "unknown": True}
    lines = list(quoting.lines([quote]))
    assert lines[0] == "Without a file"
    assert "price not known" in lines[2]
    assert lines[-1] == "In all $0.0248 and what nobody has told the price of. Nothing was sent."


def test_what_is_free_is_said() -> None:
    quote = {"file": "/a.wav", "steps": [NOTES], "usd": 0.0, "unknown": False}
    assert list(quoting.lines([quote]))[-1] == "In all nothing to pay. Nothing was sent."


def test_a_cancelled_conversion_that_goes_on_is_told_with_its_price() -> None:
    ticket = {"conversion": "Extraction", "converter": "musicgpt", "ticket": "task789", "usd": 0.0248}
    assert going_on(ticket) == (
        "  Extraction cannot be stopped at MusicGPT and goes on there, for about $0.0248."
        " Its ticket is kept: task789."
    )
    assert going_on({**ticket, "ticket": None, "usd": None}).endswith("what it costs is not known.")


# What was spent


@pytest.fixture
def spent(home: Path) -> Path:
    """A journal with one conversion that was charged, one under way, one unknown, and one that was free."""
    with closing(Journal(home / JOURNAL_NAME)) as journal:
        for number, ends in enumerate(
            ((C.RUNNING, C.FETCHING, C.DONE), (C.RUNNING,), (C.UNKNOWN,), (C.FAILED,))
        ):
            path = Path(f"/song/{number}.wav")
            add_job(journal, path, samples=str(number), conversions=(planned("musicgpt"),))
            (row,) = journal.due_conversions(2e9, 9, states=[C.QUEUED])
            journal.move_conversion(
                row.id, C.QUEUED, C.SUBMITTING, bill=Bill(0.025), cache_key=f"key {number}", deterministic=1
            )
            before = C.SUBMITTING
            for state in ends:
                columns: dict[str, Any] = {"ticket": f"task-{number}"} if state is C.RUNNING else {}
                journal.move_conversion(row.id, before, state, **columns)
                before = state
    return home


def test_spend_tells_day_project_and_conversion(spent: Path, capsys: Captured) -> None:
    (spent / "config.toml").write_text("[musicgpt]\ncap_day_usd = 7\n", encoding="utf-8")
    assert run(["spend"]) == 0
    out = capsys.readouterr().out
    (row,) = [line for line in out.splitlines() if "audio_to_midi" in line and "/song" in line]
    assert "$0.075" in row
    assert "  3  " in row, "what was not accepted is no time"
    assert "1 under way, 1 not known, 1 more not accepted, free" in row
    assert "in all" in out
    assert "Under way: audio_to_midi of job 2, $0.025, ticket task-1" in out
    assert "so it counts: audio_to_midi of job 3" in out
    assert "Today $0.075 of $7.00" in out
    assert "$50.00 a project" in out


def test_spend_as_data(spent: Path, capsys: Captured) -> None:
    assert run(["spend", "--days", "1", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["usd"] == told["today_usd"] == pytest.approx(0.075)
    assert [one["state"] for one in told["entries"]] == ["charged", "open", "unknown", "free"]
    assert told["caps"] == {name: getattr(MusicGPTSettings(), name) for name in told["caps"]}
    assert set(told["caps"]) == {"cap_day_usd", "cap_project_usd", "cap_conversion_usd"}


def test_nothing_was_spent(home: Path, capsys: Captured) -> None:
    assert run(["spend"]) == 0
    assert "Nothing was spent in the last 30 days." in capsys.readouterr().out
    assert run(["spend", "--days", "0"]) == 2


def test_a_journal_from_before_prices_is_no_crash(home: Path, capsys: Captured) -> None:
    with closing(Journal(home / JOURNAL_NAME)):
        pass
    with closing(sqlite3.connect(home / JOURNAL_NAME)) as db:
        db.execute("DROP TABLE spend")
        db.commit()
    assert run(["spend"]) == 0
    assert "Nothing was spent" in capsys.readouterr().out


def test_show_tells_price_ticket_and_what_is_not_known(spent: Path, capsys: Captured) -> None:
    for job, words in (("2", "ticket task-1"), ("3", "nobody knows whether it arrived")):
        assert run(["show", job]) == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"quote_usd": 0.025, "cost_usd": None, "ticket": None}, "  quoted $0.025"),
        ({"quote_usd": 0.025, "cost_usd": 0.02, "ticket": "t1"}, "  quoted $0.025, cost $0.02, ticket t1"),
        ({"ticket": "t1"}, "  ticket t1"),
        ({"ticket": "t1", "converter": "local"}, None),
    ],
)
def test_money_is_told_where_there_is_some(row: dict[str, Any], line: str | None) -> None:
    told = list(reading._money_lines({"converter": "musicgpt", **row}))
    assert told == ([line] if line else [])


# What the page for musicians says


def test_the_settings_of_the_page_are_right(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "musicgpt.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        (tmp_path / "config.toml").write_text(block, encoding="utf-8")
        load(tmp_path, {})
    for name in ("cap_conversion_usd", "cap_day_usd", "cap_project_usd", "allow_unpriced"):
        assert f"| `{name}` | {str(getattr(MusicGPTSettings(), name)).lower()} |" in text


# Wrong use


@pytest.mark.parametrize(
    "arguments",
    [
        ["resolve", "1"],
        ["resolve", "1", "--forget", "--resubmit"],
        ["resolve", "x", "--forget"],
        ["convert"],
        ["convert", "--conversion", "denoise"],
        ["convert", "--conversion", "nonsense"],
        ["convert", "--conversion", "denoise", "--preset", "audio-to-midi", __file__],
        ["convert", "--name", "x", __file__],
        ["allow"],
    ],
)
def test_wrong_use_is_told_before_anything_begins(home: Path, arguments: list[str], capsys: Captured) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err
    assert not (home / JOURNAL_NAME).exists()
