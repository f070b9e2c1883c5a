"""The control API over a real socket, on a real daemon. No model is there, so no engine process either."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge import owner
from bridge.actions import perform
from bridge.cli.connection import LOST, DaemonConnection, daemon_at
from bridge.config import ServerSettings, Settings
from bridge.daemon import Daemon
from bridge.errors import AudioError, BridgeError, HomeInUse, WrongUse
from bridge.server import control, streams
from bridge.server.control import ControlServer
from support.journals import add_job, request_of
from support.polling import eventually


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    (tmp_path / "in").mkdir()
    settings = Settings.model_validate({"folders": [{"path": tmp_path / "in"}], "midi": {"enabled": False}})
    daemon = Daemon(tmp_path / "home", settings)
    daemon.start()
    yield daemon
    daemon.stop()


def note_of(daemon: Daemon) -> owner.OwnerNote:
    note = owner.read_note(daemon.home)
    assert note is not None
    return note


@contextmanager
def asked(daemon: Daemon, method: str, path: str, **more: Any) -> Iterator[http.client.HTTPResponse]:
    note = note_of(daemon)
    headers = {"Authorization": f"Bearer {owner.token(daemon.home)}", **more.pop("headers", {})}
    with closing(http.client.HTTPConnection(note.host, note.port, timeout=10)) as connection:
        connection.request(method, path, headers={k: v for k, v in headers.items() if v is not None}, **more)
        yield connection.getresponse()


def ask(daemon: Daemon, method: str, path: str, **more: Any) -> tuple[int, Any]:
    with asked(daemon, method, path, **more) as answer:
        return answer.status, json.loads(answer.read())


def fail_job(daemon: Daemon, name: str) -> int:
    path = daemon.home.parent / name
    return daemon.journal.create_job(request_of(path), {}, None, [], error=AudioError("no audio.", file=path))


# Who may ask


def test_without_the_token_nothing_is_told(daemon: Daemon) -> None:
    token = owner.token(daemon.home)
    for value in (None, "", "Bearer", "Bearer wrong", token, f"Basic {token}", f"Bearer {token}x"):
        status, body = ask(daemon, "GET", "/v1/status", headers={"Authorization": value})
        assert status == 401
        assert set(body) == {"error"}
        assert token not in json.dumps(body)


def test_unknown_pages_are_not_told_apart_without_the_token(daemon: Daemon) -> None:
    assert ask(daemon, "GET", "/nothing/here", headers={"Authorization": None})[0] == 401


def test_a_name_that_is_pointed_at_us_is_refused(daemon: Daemon) -> None:
    port = note_of(daemon).port
    assert ask(daemon, "GET", "/v1/status", headers={"Host": f"evil.example:{port}"})[0] == 403
    assert ask(daemon, "GET", "/v1/status", headers={"Host": f"localhost:{port}"})[0] == 200


def test_pages_of_other_origins_are_refused(daemon: Daemon) -> None:
    port = note_of(daemon).port
    for origin in ("http://evil.example", "null", f"https://127.0.0.1:{port}", "http://127.0.0.1:1"):
        assert ask(daemon, "POST", "/v1/actions/rescan", headers={"Origin": origin})[0] == 403
    own = {"Origin": f"http://127.0.0.1:{port}"}
    assert ask(daemon, "POST", "/v1/actions/rescan", headers=own)[0] == 200


def test_the_token_is_for_this_user_only(daemon: Daemon) -> None:
    path = daemon.home / owner.TOKEN_NAME
    assert len(path.read_text()) >= 32
    assert path.stat().st_mode & 0o077 == 0 or path.drive


def test_the_token_is_in_no_log(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    ask(daemon, "GET", "/v1/status")
    ask(daemon, "POST", "/v1/actions/convert_file", body=b'{"file": 7}')
    assert owner.token(daemon.home) not in caplog.text


# What can be asked


def test_status_tells_folders_engine_and_jobs(daemon: Daemon) -> None:
    status, body = ask(daemon, "GET", "/v1/status")
    assert status == 200
    assert body["home"] == str(daemon.home)
    assert body["folders"][0]["folder"].endswith("in")
    assert body["engine"]["conversions"]["audio_to_midi"]["available"] is False


def test_jobs_come_newest_first_and_page_by_page(daemon: Daemon) -> None:
    ids = [fail_job(daemon, f"{number}.wav") for number in range(5)]
    assert [job["id"] for job in ask(daemon, "GET", "/v1/jobs?limit=2")[1]["jobs"]] == ids[:2:-1]
    page = ask(daemon, "GET", f"/v1/jobs?limit=2&before={ids[3]}")[1]["jobs"]
    assert [job["id"] for job in page] == [ids[2], ids[1]]
    assert ask(daemon, "GET", "/v1/jobs?state=done")[1]["jobs"] == []
    assert len(ask(daemon, "GET", "/v1/jobs?state=failed&state=done")[1]["jobs"]) == 5


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=100000", "state=nonsense", "before=-1"])
def test_odd_questions_are_wrong_use(daemon: Daemon, query: str) -> None:
    status, body = ask(daemon, "GET", f"/v1/jobs?{query}")
    assert status == 400
    assert query.partition("=")[0] in body["error"]["message"] or "0" in body["error"]["message"]


def test_a_job_comes_with_all_that_belongs_to_it(daemon: Daemon) -> None:
    job_id = fail_job(daemon, "noise.wav")
    status, body = ask(daemon, "GET", f"/v1/jobs/{job_id}")
    assert status == 200
    assert body["state"] == "failed"
    assert body["parts"][0]["error"]["message"] == "no audio."
    assert ask(daemon, "GET", f"/v1/jobs/{job_id + 1}")[0] == 404
    assert ask(daemon, "GET", f"/v1/jobs/{2**70}")[0] == 404


def test_what_there_is_not_is_told_in_our_words(daemon: Daemon) -> None:
    for method, path, status in (("GET", "/v2", 404), ("DELETE", "/v1/jobs", 405), ("GET", "/docs", 404)):
        told, body = ask(daemon, method, path)
        assert (told, set(body["error"])) == (status, {"code", "message", "remedy", "file"})


# Actions


def test_the_table_of_actions_is_told(daemon: Daemon) -> None:
    rows = {row["name"]: row for row in ask(daemon, "GET", "/v1/actions")[1]["actions"]}
    assert rows["convert_file"]["required"] == ["file"]
    assert "job" in rows["cancel"]["parameters"]


def test_actions_do_what_they_say(daemon: Daemon) -> None:
    job_id = add_job(daemon.journal, daemon.home / "x.wav", conversions=())
    assert ask(daemon, "POST", "/v1/actions/cancel", body=json.dumps({"job": job_id}))[1] == {
        "job": job_id,
        "tickets": [],
    }
    assert ask(daemon, "POST", "/v1/actions/rescan")[1] == {}


@pytest.mark.parametrize(
    ("action", "body"),
    [
        ("recsan", b""),
        ("cancel", b'{"job": 99}'),
        ("cancel", b'{"yob": 1}'),
        ("cancel", b"[]"),
        ("cancel", b"{"),
        ("cancel", b"\xff\xfe"),
        ("convert_file", b"{}"),
        ("convert_file", b'{"file": "/not/there.wav"}'),
        ("cancel", b"[" * 100_000),
    ],
)
def test_wrong_use_of_actions_is_told(daemon: Daemon, action: str, body: bytes) -> None:
    status, answer = ask(daemon, "POST", f"/v1/actions/{action}", body=body)
    assert status == 400
    assert answer["error"]["code"] == "wrong-use"
    assert answer["error"]["message"]


def test_a_file_that_is_no_audio_becomes_a_failed_job(daemon: Daemon, tmp_path: Path) -> None:
    (tmp_path / "text.wav").write_text("no audio at all")
    body = json.dumps({"file": str(tmp_path / "text.wav")})
    job_id = ask(daemon, "POST", "/v1/actions/convert_file", body=body)[1]["job"]
    assert ask(daemon, "GET", f"/v1/jobs/{job_id}")[1]["state"] == "failed"


def test_a_body_without_end_is_refused(daemon: Daemon) -> None:
    status, body = ask(daemon, "POST", "/v1/actions/rescan", body=b" " * (control.MAX_BODY_BYTES + 1))
    assert (status, body["error"]["code"]) == (413, "too-large")


def test_an_unexpected_error_is_told_without_its_details(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def stumble() -> None:
        raise RuntimeError("the secret of the house")

    monkeypatch.setattr(daemon, "rescan", stumble)
    status, body = ask(daemon, "POST", "/v1/actions/rescan")
    assert status == 500
    assert "secret" not in json.dumps(body)
    eventually(lambda: "the secret of the house" in caplog.text, what="the log")


# Events


@contextmanager
def stream(daemon: Daemon, query: str = "", **headers: str) -> Iterator[Iterator[dict[str, Any]]]:
    with asked(daemon, "GET", f"/v1/events{query}", headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.readline().startswith(b":")

        def events() -> Iterator[dict[str, Any]]:
            for line in answer:
                if line.startswith(b"data: "):
                    yield json.loads(line[6:])

        yield events()


def test_events_come_as_they_happen(daemon: Daemon) -> None:
    fail_job(daemon, "before.wav")
    with stream(daemon) as events:
        job_id = fail_job(daemon, "now.wav")
        daemon.feed.progress(job_id, fraction=0.5, doing="listening")
        found = [next(events) for _ in range(3)]
    assert [event["kind"] for event in found] == ["job.created", "job.state", "progress"]
    assert {event["job"] for event in found} == {job_id}
    assert found[2]["id"] is None
    assert found[2]["fraction"] == 0.5


def test_events_of_the_past_come_first_and_none_twice(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "REPLAY_BATCH", 3)
    for number in range(10):
        fail_job(daemon, f"{number}.wav")
    with stream(daemon, "?after=4") as events:
        fail_job(daemon, "live.wav")
        ids = [next(events)["id"] for _ in range(18)]
    assert ids == list(range(5, 23))


def test_a_broken_stream_goes_on_where_it_was(daemon: Daemon) -> None:
    with stream(daemon) as events:
        fail_job(daemon, "one.wav")
        last = next(events)["id"]
    fail_job(daemon, "two.wav")
    with stream(daemon, "?after=0", **{"Last-Event-ID": str(last)}) as events:
        assert next(events)["id"] == last + 1


def test_a_quiet_stream_has_a_heartbeat(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    with asked(daemon, "GET", "/v1/events") as answer:
        lines = [answer.readline() for _ in range(4)]
    assert lines.count(streams.HEARTBEAT.strip(b"\n") + b"\n") >= 1


def test_a_reader_that_leaves_is_forgotten(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.05)
    server = ControlServer(daemon, ServerSettings())
    server.start()
    connection = DaemonConnection(daemon.home, replace(note_of(daemon), port=server.port))
    with connection.events():
        assert len(server._streams._streams) == 1
    eventually(lambda: not server._streams._streams, what="the stream to be forgotten")
    server.stop()


def test_a_reader_that_is_too_slow_is_cut_off_and_nobody_else(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "STREAM_LENGTH", 5)
    count = 20_000
    with stream(daemon) as slow:
        for number in range(count):
            daemon.feed.progress(number, fraction=0.5, doing="x" * 100)
        ids = [event["job"] for event in slow]
    assert ids == list(range(len(ids)))
    assert len(ids) < count
    assert ask(daemon, "GET", "/v1/status")[0] == 200


def test_the_daemon_stops_at_once_with_streams_open(daemon: Daemon) -> None:
    with stream(daemon) as events, stream(daemon) as others:
        for number in range(20):
            fail_job(daemon, f"{number}.wav")
        next(events)
        daemon.stop()
        assert [event["kind"] for event in events] == ["job.state", *["job.created", "job.state"] * 19]
        assert len(list(others)) == 40, "what happened before the end is still told"


def test_the_command_line_reads_the_stream_to_its_end(daemon: Daemon) -> None:
    connection = daemon_at(daemon.home)
    assert connection is not None
    with connection.events() as next_event:
        assert next_event(0.0) is None
        job_id = fail_job(daemon, "x.wav")
        events = [next_event(5.0), next_event(5.0)]
        assert [event["job"] for event in events if event] == [job_id, job_id]
        daemon.stop()
        assert next_event(5.0) == LOST
    assert daemon_at(daemon.home) is None


def test_an_action_that_takes_long_does_not_hold_up_the_end(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def takes_long() -> None:
        begun.set()
        go_on.wait(20)

    monkeypatch.setattr(daemon, "rescan", takes_long)
    answers: list[tuple[int, Any]] = []
    asker = threading.Thread(target=lambda: answers.append(ask(daemon, "POST", "/v1/actions/rescan")))
    asker.start()
    assert begun.wait(5)
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 2.0
    asker.join(5)
    go_on.set()
    assert answers[0][0] == 503
    assert "being stopped" in answers[0][1]["error"]["message"]


def test_who_waits_for_a_look_into_a_file_is_told_that_the_daemon_stops(
    daemon: Daemon, tmp_path: Path
) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")
    answers: list[BridgeError] = []

    def convert() -> None:
        try:
            perform(daemon, "convert_file", {"file": str(tmp_path / "a.wav")})
        except BridgeError as error:
            answers.append(error)

    asker = threading.Thread(target=convert)
    asker.start()
    # The engine has to start first, which takes it longer than us to stop.
    eventually(daemon.worker.alive, what="the look to begin")
    daemon.stop()
    asker.join(5)
    assert [error.code for error in answers] == ["cancelled"]


# Starting


def test_a_port_that_is_taken_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        tables = {"folders": [{"path": tmp_path / "in"}], "server": {"port": port}}
        with pytest.raises(WrongUse, match=f"port {port}"):
            Daemon(tmp_path / "home", Settings.model_validate(tables)).start()
    assert not owner.is_owned(tmp_path / "home")


def test_two_bridges_do_not_share_a_home(daemon: Daemon) -> None:
    with pytest.raises(HomeInUse):
        Daemon(daemon.home, daemon.settings).start()
    assert ask(daemon, "GET", "/v1/status")[0] == 200
