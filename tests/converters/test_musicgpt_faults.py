"""What goes wrong between the MusicGPT client and the API: each fault by a real socket, and what it means."""

from __future__ import annotations

import datetime as dt
import os
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.converters.base import Ticket
from bridge.errors import (
    BridgeError,
    NoCredit,
    NoKey,
    NotSent,
    OutcomeUnknown,
    Rejected,
    TryLater,
)
from bridge.jobs.model import Fingerprint
from support.musicgpt import KEY, a_request, accepted, client
from support.socket_server import Exchange, SocketServer, unused_port

BIG = 8_000_000
"""More than the sockets between two ends can hold: the sender notices when nobody takes it."""


def submit(server: SocketServer, tmp_path: Path, *, size: int = 0, **parameters: Any) -> Ticket:
    request = a_request(tmp_path, **parameters)
    if size:
        big = tmp_path / "big.wav"
        with big.open("wb") as file:
            file.truncate(size)
        request = replace(request, source=big, fingerprint=Fingerprint.of(big))
    return client(server.url, tmp_path / "spool").submit(request)


def fault(tmp_path: Path, handler: Callable[[Exchange], None], *, size: int = 0) -> BridgeError:
    """What a submit raises whose request `handler` answers; the request came exactly once."""
    with SocketServer(handler) as server:
        with pytest.raises(BridgeError) as caught:
            submit(server, tmp_path, size=size)
        assert len(server.seen) == 1, "the client never repeats a request"
    error = caught.value
    assert error.remedy or isinstance(error, TryLater)
    assert KEY not in f"{error!r} {error} {error.to_json()}"
    assert error.__suppress_context__ or error.__context__ is None, (
        "a foreign exception's text may hold the key"
    )
    return error


def answering(status: int, content: Any = b"", **headers: str) -> Callable[[Exchange], None]:
    def handle(exchange: Exchange) -> None:
        exchange.read()
        exchange.reply(status, content, **headers)

    return handle


# It never left


def test_nobody_at_the_address(tmp_path: Path) -> None:
    converter = client(f"http://127.0.0.1:{unused_port()}", tmp_path)
    with pytest.raises(NotSent, match="nobody answers"):
        converter.submit(a_request(tmp_path))


def test_a_name_that_cannot_be_found(tmp_path: Path) -> None:
    converter = client("http://no-such-host.invalid", tmp_path)
    with pytest.raises(NotSent, match="name cannot be found") as caught:
        converter.submit(a_request(tmp_path))
    assert "online" in caught.value.remedy


def test_an_address_that_cannot_be_one(tmp_path: Path) -> None:
    for base in (f"http://{'x' * 70}.com", "http://[::1", "http://127.0.0.1:99999"):
        converter = client(base, tmp_path)
        with pytest.raises(NotSent):
            converter.submit(a_request(tmp_path))
        with pytest.raises(NotSent):
            converter.submit(a_request(tmp_path, "prompt_to_lyrics", prompt="x"))
        with pytest.raises(TryLater):
            converter.poll(Ticket("denoise/t"))


def test_a_connection_that_takes_too_long(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # nobody accepts: the queue is full, and further ones are not answered
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        converter = client(f"http://127.0.0.1:{port}", tmp_path, timeouts=(0.3, 0.3, 0.3))
        with pytest.raises(NotSent, match=r"cannot be reached|too long"):
            converter.submit(a_request(tmp_path))
        for filler in fillers:
            filler.close()


def test_a_certificate_that_is_none(tmp_path: Path) -> None:
    with SocketServer(lambda exchange: None, greeting=b"220 I am no TLS\r\n") as server:
        converter = client(server.url.replace("http:", "https:"), tmp_path)
        with pytest.raises(NotSent, match="not safe") as caught:
            converter.submit(a_request(tmp_path))
    assert "clock" in caught.value.remedy


def test_a_reset_in_the_middle_of_the_upload(tmp_path: Path) -> None:
    def reset(exchange: Exchange) -> None:
        exchange.read(500_000)
        exchange.reset()

    assert isinstance(fault(tmp_path, reset, size=BIG), NotSent)


def test_an_end_of_the_connection_in_the_middle_of_the_upload(tmp_path: Path) -> None:
    assert isinstance(fault(tmp_path, lambda exchange: None, size=BIG), NotSent)


@pytest.mark.slow
def test_an_upload_that_nobody_takes(tmp_path: Path) -> None:
    assert isinstance(fault(tmp_path, lambda exchange: exchange.hang(), size=BIG * 4), NotSent)


def test_a_fault_before_everything_was_sent(tmp_path: Path) -> None:
    def too_early(exchange: Exchange) -> None:
        exchange.read(100_000)
        exchange.reply(503, b"")
        exchange.connection.shutdown(socket.SHUT_WR)
        exchange.read(keep=False)

    # The sender may see the answer only after it has sent all: then nobody knows.
    assert isinstance(fault(tmp_path, too_early, size=BIG), (NotSent, OutcomeUnknown))


@pytest.mark.parametrize("status", [407, 408, 511])
def test_what_lies_between_did_not_let_it_through(tmp_path: Path, status: int) -> None:
    assert isinstance(fault(tmp_path, answering(status, b"<html>", Content_Type="text/html")), NotSent)


# It may have arrived


def test_a_reset_after_everything_was_sent(tmp_path: Path) -> None:
    def reset(exchange: Exchange) -> None:
        exchange.read()
        exchange.reset()

    error = fault(tmp_path, reset)
    assert isinstance(error, OutcomeUnknown)
    assert "bridge resolve" in error.remedy


@pytest.mark.slow
def test_no_answer_in_time(tmp_path: Path) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.read()
        exchange.hang()

    assert isinstance(fault(tmp_path, silent), OutcomeUnknown)


def test_an_answer_that_breaks_off(tmp_path: Path) -> None:
    def half(exchange: Exchange) -> None:
        exchange.read()
        exchange.send("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", '{"success": tr')

    assert isinstance(fault(tmp_path, half), OutcomeUnknown)


def test_an_answer_that_is_no_http(tmp_path: Path) -> None:
    def babble(exchange: Exchange) -> None:
        exchange.read()
        exchange.send("SSH-2.0-OpenSSH_9.9\r\n")

    assert isinstance(fault(tmp_path, babble), OutcomeUnknown)


def test_an_answer_without_end(tmp_path: Path) -> None:
    def endless(exchange: Exchange) -> None:
        exchange.read()
        exchange.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(200):
            exchange.send(b" " * (1 << 18))

    assert isinstance(fault(tmp_path, endless), OutcomeUnknown)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_a_fault_of_the_server(tmp_path: Path, status: int) -> None:
    content = {"success": False, "error_code": "SERVICE_UNAVAILABLE", "message": "sorry"}
    error = fault(tmp_path, answering(status, content, Retry_After="1"))
    assert isinstance(error, OutcomeUnknown)
    assert "sorry" in error.message


@pytest.mark.parametrize(
    "content",
    [
        b"<!DOCTYPE html><title>Log in to HotelNet</title>",
        b"",
        b"null",
        b'["task789"]',
        b"\xff\xfe",
        b'{"success": true}',
        b'{"success": true, "task_id": ""}',
        b'{"success": true, "task_id": null}',
        b"[" * 100_000,
    ],
)
def test_an_answer_that_is_none_of_the_api(tmp_path: Path, content: bytes) -> None:
    error = fault(tmp_path, answering(200, content, Content_Type="text/html"))
    assert isinstance(error, OutcomeUnknown)
    assert (
        "task_id" in content.decode("latin-1")
        or "success" in content.decode("latin-1")
        or "web page" in str(error)
    )


def test_a_lost_answer_to_a_question_that_costs(tmp_path: Path) -> None:
    with SocketServer(lambda exchange: exchange.reset()) as server:
        with pytest.raises(OutcomeUnknown):
            client(server.url, tmp_path / "spool").submit(a_request(tmp_path, "prompt_to_lyrics", prompt="x"))
        assert len(server.seen) == 1


# It was refused


NEW = {"success": False, "error_code": "X", "message": "words of the server"}
OLD = {"success": False, "error": "words of the server"}


@pytest.mark.parametrize("content", [NEW, OLD], ids=["new", "old"])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Rejected),
        (401, NoKey),
        (402, NoCredit),
        (403, Rejected),
        (404, Rejected),
        (405, Rejected),
        (409, Rejected),
        (413, Rejected),
        (418, Rejected),
        (422, Rejected),
        (424, Rejected),
        (429, TryLater),
    ],
)
def test_a_refusal_has_its_own_error_and_the_words_of_the_server(
    tmp_path: Path, status: int, kind: type[BridgeError], content: dict[str, Any]
) -> None:
    error = fault(tmp_path, answering(status, content))
    assert type(error) is kind
    assert "words of the server" in error.message
    assert str(status) in error.message


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("INSUFFICIENT_CREDITS", NoCredit),
        ("UNAUTHORIZED_ACCESS", NoKey),
        ("TOO_MANY_REQUESTS", TryLater),
        ("SERVICE_UNAVAILABLE", OutcomeUnknown),
        ("WHATEVER", Rejected),
    ],
)
def test_a_failure_within_a_good_status(tmp_path: Path, code: str, kind: type[BridgeError]) -> None:
    content = {"success": False, "error_code": code, "message": "no"}
    assert type(fault(tmp_path, answering(200, content))) is kind


def test_a_refusal_that_breaks_off_is_one(tmp_path: Path) -> None:
    def half(exchange: Exchange) -> None:
        exchange.read()
        exchange.send("HTTP/1.1 402 X\r\nContent-Length: 500\r\n\r\n", '{"success": fal')

    assert type(fault(tmp_path, half)) is NoCredit


def test_an_early_refusal_of_a_large_file_is_read(tmp_path: Path) -> None:
    def too_large(exchange: Exchange) -> None:
        exchange.read(100_000)
        exchange.reply(413, OLD)
        exchange.connection.shutdown(socket.SHUT_WR)
        exchange.read(keep=False)

    assert isinstance(fault(tmp_path, too_large, size=BIG), Rejected)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_the_key_stays(tmp_path: Path, status: int) -> None:
    with SocketServer(answering(200, accepted())) as elsewhere:
        error = fault(tmp_path, answering(status, Location=f"{elsewhere.url}/v1/audio_to_midi"))
        assert isinstance(error, Rejected)
        assert elsewhere.url in error.message
        assert not elsewhere.seen


def test_how_long_to_wait_is_told_in_seconds_or_as_a_date_or_grows(tmp_path: Path) -> None:
    def wait_s(**headers: str) -> float:
        error = fault(tmp_path, answering(429, NEW, **headers))
        assert isinstance(error, TryLater)
        return error.wait_s

    assert wait_s(Retry_After="17") == 17
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=90)
    assert wait_s(Retry_After=format_datetime(soon, usegmt=True)) == pytest.approx(90, abs=5)
    assert 0 < wait_s(Retry_After="soon") < 5
    with SocketServer(answering(429, NEW)) as server:
        converter = client(server.url, tmp_path / "spool")
        waits = []
        for _ in range(8):
            with pytest.raises(TryLater) as caught:
                converter.submit(a_request(tmp_path))
            waits.append(caught.value.wait_s)
    assert waits[0] < 2 < waits[3] < waits[5] <= max(waits) <= 60


# All of them


FIELDS = st.sampled_from(
    [
        "success",
        "task_id",
        "conversion",
        "status",
        "eta",
        "credit_estimate",
        "midi_file_path",
        "message",
        "error",
    ]
)
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(FIELDS | st.text(max_size=8), inner, max_size=5)
    ),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    status=st.sampled_from([200, 201, 204, 206, 301, 400, 404, 422, 429, 500, 503, 999]),
    content=st.binary(max_size=60) | st.dictionaries(FIELDS, ODD, max_size=5),
    kind=st.sampled_from(["application/json", "text/html", "", "a/b;c=ä"]),
    retry_after=st.sampled_from(["", "-1", "1e9", "99999999999999999999", "Tue, 99 Foo"]),
    cut=st.integers(0, 40) | st.none(),
)
def test_nothing_but_errors_of_ours_comes_out(
    tmp_path: Path, status: int, content: Any, kind: str, retry_after: str, cut: int | None
) -> None:
    def handle(exchange: Exchange) -> None:
        exchange.read()
        if cut is not None:
            exchange.send(f"HTTP/1.1 {status} X\r\nContent-Length: 99\r\n\r\n"[:cut])
        else:
            exchange.reply(
                status, content, Content_Type=kind.encode().decode("latin-1"), Retry_After=retry_after
            )

    (tmp_path / "out").mkdir(exist_ok=True)
    with SocketServer(handle) as server:
        converter = client(server.url, tmp_path / "spool", plan="pro")
        request = a_request(tmp_path)
        calls: list[Callable[[], Any]] = [
            lambda: converter.submit(request),
            lambda: converter.poll(Ticket("audio_to_midi/t")),
            lambda: converter.fetch(Ticket("audio_to_midi/t"), tmp_path / "out", request),
            lambda: converter.submit(a_request(tmp_path, "prompt_to_lyrics", prompt="x")),
            converter.voices,
        ]
        for call in calls:
            try:
                call()
            except BridgeError as error:
                assert str(error)  # noqa: PT017  any of ours, with words
        converter.close()


@pytest.mark.slow
def test_a_large_upload_takes_hardly_any_memory(tmp_path: Path) -> None:
    peak = 0
    process = psutil.Process(os.getpid())
    done = threading.Event()

    def take(exchange: Exchange) -> None:
        nonlocal peak
        while exchange.taken < exchange.length:
            exchange.read(exchange.taken + (8 << 20), keep=False)
            peak = max(peak, process.memory_info().rss)
        exchange.reply(200, accepted())
        done.set()

    with SocketServer(take) as server:
        submit(server, tmp_path)  # everything that is loaded once
        before = peak = process.memory_info().rss
        submit(server, tmp_path, size=400 << 20)
    assert server.seen[-1].taken > 400 << 20
    assert peak - before < 16 << 20
