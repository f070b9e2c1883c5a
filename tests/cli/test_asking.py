"""What is asked before anything is sent: the words, and the whole of it on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bridge import keys
from bridge.cli import asking, describe
from bridge.errors import NeedsConsent, PaidAgain
from bridge.jobs.store import JOURNAL_NAME, Journal
from support.commands import bridge
from support.echo_server import EchoServer
from support.journals import add_job, planned
from support.questions import ask
from support.rehearsal import rehearsing
from support.tones import write_tone

KEY = "msk0123456789abcdef-f3a1"


def asking_job(tmp_path: Path, question: NeedsConsent | PaidAgain, *names: str) -> list[dict[str, Any]]:
    """Details of jobs that have stopped at a question, as the journal gives them."""
    with closing(Journal(tmp_path / JOURNAL_NAME)) as journal:
        ids = []
        for name in names:
            ids.append(add_job(journal, Path(name), samples=name, conversions=(planned("musicgpt"),)))
            ask(journal, question)
        found = [journal.detail(one) for one in ids]
    return [one.to_json() for one in found if one]


def questions(details: list[dict[str, Any]]) -> list[asking.Question]:
    return asking.questions(details, host="api.example", folder_of=lambda path: path.parent)


def test_a_reference_is_asked_for_by_its_own_folder(tmp_path: Path) -> None:
    question = NeedsConsent("this would send it.", file="/mixes/loud.wav")
    [of_mixes] = questions(asking_job(tmp_path, question, "/song/a.wav"))
    assert of_mixes.arguments == {"folder": str(Path("/mixes"))}
    assert "  loud.wav: this would send it." in of_mixes.words
    assert list(of_mixes.jobs.values()) == ["a.wav"]


def test_one_question_for_each_folder(tmp_path: Path) -> None:
    details = asking_job(
        tmp_path,
        NeedsConsent("this would send it, for about $0.02."),
        "/song/a.wav",
        "/song/b.wav",
        "/x/c.wav",
    )
    of_song, of_x = questions(details)
    assert of_song.action == "allow_upload"
    assert of_song.arguments == {"folder": str(Path("/song"))}
    assert of_song.jobs == {details[0]["id"]: "a.wav", details[1]["id"]: "b.wav"}
    told = "\n".join(of_song.words)
    assert "api.example" in told
    assert "a.wav (4 bytes): this would send it, for about $0.02." in told
    assert of_x.jobs == {details[2]["id"]: "c.wav"}
    assert describe.is_stuck(details[0])


def test_a_question_about_many_files_names_a_few(tmp_path: Path) -> None:
    details = asking_job(tmp_path, NeedsConsent("sent?"), *(f"/song/{number}.wav" for number in range(9)))
    (question,) = questions(details)
    assert question.words[-1] == "  and 4 more"
    assert len(question.jobs) == 9


def test_paying_again_is_asked_for_each_job(tmp_path: Path) -> None:
    details = asking_job(tmp_path, PaidAgain("it may have been charged $0.02."), "/song/a.wav", "/song/b.wav")
    first, second = questions(details)
    assert first.arguments == {"job": details[0]["id"], "pay": True}
    assert first.words == ("a.wav: it may have been charged $0.02.",)
    assert first.key != second.key


def test_sizes_are_told_as_file_managers_count() -> None:
    sizes = (4, 999, 1000, 3_400_000, 1_000_000_000)
    assert [asking.size_words(size) for size in sizes] == [
        "4 bytes",
        "999 bytes",
        "1.0 kB",
        "3.4 MB",
        "1.0 GB",
    ]


# On a terminal


@pytest.fixture
def server() -> Iterator[EchoServer]:
    """One that takes no key: what it is sent fails, and costs nothing."""
    server = EchoServer("refuses")
    yield server
    server.stop()


@pytest.fixture
def take(tmp_path: Path) -> Path:
    path = tmp_path / "song" / "take.wav"
    path.parent.mkdir()
    write_tone(path)
    return path


def settings(server: EchoServer) -> dict[str, str]:
    return {keys.VARIABLE: KEY, "BRIDGE_MUSICGPT_BASE_URL": server.base_url}


def on_a_terminal(home: Path, *arguments: str | Path, answer: str, **environment: str) -> tuple[int, str]:
    """Runs `bridge` on a terminal, gives `answer` when it asks; its exit code and what was to be seen."""
    import pty

    ours, its = pty.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge", *map(str, arguments)],
            env={**os.environ, "BRIDGE_HOME": str(home), "COLUMNS": "500", **environment},
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        seen = b""
        answered = False
        while piece := _piece(terminal.fileno()):
            seen += piece
            if not answered and b"[y/N]" in seen:
                terminal.write(f"{answer}\n".encode())
                answered = True
        code = process.wait(60)
    return code, re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", seen.decode())


def _piece(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # nobody has the other end any more
        return b""


needs_a_terminal = pytest.mark.skipif(os.name != "posix", reason="a pseudo-terminal")


@pytest.mark.slow
@needs_a_terminal
def test_yes_sends_it_and_holds_for_the_folder(
    server: EchoServer, bridge_home: Path, tmp_path: Path, take: Path
) -> None:
    code, seen = on_a_terminal(
        bridge_home, "convert", take, "--conversion", "denoise", answer="y", **settings(server)
    )
    assert f"127.0.0.1:{server.server_address[1]}" in seen
    assert "take.wav (" in seen
    assert "$" in seen
    assert f"May audio of {take.parent}" in seen
    assert server.keys == [KEY], seen
    assert (code, "failed" in seen) == (1, True)
    another = take.with_name("another.wav")
    write_tone(another, hertz=220.0)
    bridge(bridge_home, "convert", another, "--conversion", "denoise", **settings(server))
    assert len(server.keys) == 2, "the folder was allowed"


@needs_a_terminal
def test_no_sends_nothing(server: EchoServer, bridge_home: Path, take: Path) -> None:
    code, seen = on_a_terminal(
        bridge_home, "convert", take, "--conversion", "denoise", answer="", **settings(server)
    )
    assert code == 1
    assert "nothing is sent before that" in seen
    assert server.keys == []


@pytest.mark.slow
def test_where_nobody_can_be_asked_the_remedy_is_told(
    server: EchoServer, bridge_home: Path, take: Path
) -> None:
    done = bridge(bridge_home, "convert", take, "--conversion", "denoise", **settings(server))
    assert done.exit_code == 1
    assert f'bridge allow "{take.parent}"' in done.stderr
    assert server.keys == []
    shown = bridge(bridge_home, "show", "1", **settings(server)).stdout
    assert "waits for your answer" in shown
    assert bridge(bridge_home, "allow", take.parent).exit_code == 0
    assert bridge(bridge_home, "retry", "1", **settings(server)).exit_code == 1
    assert server.keys == [KEY]


@pytest.mark.slow
def test_a_dry_run_sends_nothing_and_keeps_nothing(server: EchoServer, bridge_home: Path, take: Path) -> None:
    done = bridge(bridge_home, "convert", take, "--conversion", "denoise", "--dry-run", **settings(server))
    assert done.exit_code == 0, done.stderr
    assert "denoise by musicgpt, $0.0" in done.stdout
    assert "you are asked first" in done.stdout
    assert "Nothing was sent." in done.stdout
    told = bridge(
        bridge_home, "convert", take, "--conversion", "denoise", "--dry-run", "--json", **settings(server)
    )
    assert told.data()[0]["steps"][0]["usd"] > 0
    assert server.keys == []
    assert bridge(bridge_home, "history", "--json").data() == []


@pytest.mark.slow
def test_a_lost_answer_is_found_again_by_its_ticket(
    bridge_home: Path, take: Path, models_folder: Path
) -> None:
    with rehearsing(models_folder) as server:
        server.fault("lost_answer")
        command = ("convert", take, "--conversion", "denoise", "--yes")
        lost = bridge(bridge_home, *command, **server.environment())
        assert lost.exit_code == 1
        assert "bridge resolve 1 --ticket ID" in lost.stderr
        again = bridge(bridge_home, "retry", "1", **server.environment())
        assert again.exit_code == 1
        (task,) = server.accepted()
        found = bridge(bridge_home, "resolve", "1", "--ticket", task["task_id"], **server.environment())
        assert found.exit_code == 0, found.stderr
        assert list(take.parent.glob("take_*.wav")), "the results are there"
        assert len(server.accepted()) == 1, "nothing was paid for twice"
        shown = bridge(bridge_home, "show", "1").stdout
        assert task["task_id"] in shown
        assert "quoted $" in shown


@pytest.mark.slow
def test_what_is_left_is_not_sent_again_without_a_yes(
    bridge_home: Path, take: Path, models_folder: Path
) -> None:
    with rehearsing(models_folder) as server:
        server.fault("lost_answer")
        command = ("convert", take, "--conversion", "denoise", "--yes")
        bridge(bridge_home, *command, **server.environment())
        left = bridge(bridge_home, "resolve", "1", "--forget", **server.environment())
        assert left.exit_code == 0, left.stderr
        assert "counts as spent" in left.stdout
        refused = bridge(bridge_home, "retry", "1", **server.environment())
        assert refused.exit_code == 1
        assert "bridge retry 1 --yes" in refused.stderr
        assert len(server.accepted()) == 1
        paid = bridge(bridge_home, "retry", "1", "--yes", **server.environment())
        assert paid.exit_code == 0, paid.stderr
        assert len(server.accepted()) == 2


@pytest.mark.slow
def test_words_need_no_file(bridge_home: Path, tmp_path: Path, models_folder: Path) -> None:
    with rehearsing(models_folder) as server:
        command = (
            "convert",
            "--conversion",
            "sound_generator",
            "--set",
            "prompt=a dog barks",
            "--name",
            "Dog",
            "--yes",
        )
        done = bridge(bridge_home, *command, "--to", tmp_path / "out", **server.environment())
        assert done.exit_code == 0, done.stderr
        assert [path.name for path in (tmp_path / "out").glob("Dog*") if path.suffix != ".json"]


@pytest.mark.slow
def test_voices_are_listed_page_by_page(bridge_home: Path, models_folder: Path) -> None:
    with rehearsing(models_folder) as server:
        first = bridge(bridge_home, "voices", **server.environment())
        assert first.exit_code == 0, first.stderr
        assert "voice_id" in first.stdout
        assert "--page 1" in first.stderr
        found = bridge(bridge_home, "voices", "tenor", "--json", **server.environment()).data()
        assert found["voices"]
        assert all("Tenor" in one["name"] for one in found["voices"])
        assert "no such voices" in bridge(bridge_home, "voices", "zzz", **server.environment()).stdout
        gone = server.environment()
    told = bridge(bridge_home, "voices", **gone)
    assert told.exit_code == 1
    assert "Is this machine online? Then try it again" in told.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("conversion", "exit_code"), [("denoise", 0), ("audio_transcribe", 1)])
def test_what_is_private_is_never_sent(
    server: EchoServer, bridge_home: Path, take: Path, conversion: str, exit_code: int
) -> None:
    """What this machine can do, it does."""
    done = bridge(
        bridge_home, "convert", take, "--conversion", conversion, "--private", "--yes", **settings(server)
    )
    assert done.exit_code == exit_code
    assert server.keys == []
