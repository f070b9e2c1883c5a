"""The receiver of callbacks over real sockets: what it believes, and what it does not."""

from __future__ import annotations

import http.client
import json
import logging
import queue
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest

from bridge.errors import WrongUse
from bridge.server import webhooks
from bridge.server.webhooks import MAX_BODY_BYTES, WebhookServer

NONCE = "n0nce_of-this-attempt"
BODY = json.dumps({"success": True, "conversion_type": "Audio To MIDI", "task_id": "task789"}).encode()


@dataclass
class Receiver:
    """A receiver at work, and what it was told."""

    told: queue.Queue[tuple[str, str | None]] = field(default_factory=queue.Queue)
    stumbles: bool = False

    def __post_init__(self) -> None:
        self.server = WebhookServer("127.0.0.1", 0, self._take, lambda nonce: nonce == NONCE)
        self.server.start()

    def _take(self, nonce: str, task: str | None) -> None:
        self.told.put((nonce, task))
        if self.stumbles:
            raise RuntimeError("the journal is busy")

    def ask(self, path: str = f"/hooks/{NONCE}", body: bytes | None = BODY, method: str = "POST") -> int:
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)) as connection:
            connection.request(method, path, body=body, headers={"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            return answer.status

    def send(self, data: bytes) -> bytes:
        """Raw bytes as a client of any kind may send them, and the first line of the answer."""
        with closing(socket.create_connection(("127.0.0.1", self.server.port), timeout=10)) as line:
            line.sendall(data)
            return line.makefile("rb").readline()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.stop()


def test_a_callback_is_passed_on(receiver: Receiver) -> None:
    assert receiver.ask() == 200
    assert receiver.told.get(timeout=5) == (NONCE, "task789")


def test_whatever_stands_before_the_nonce_is_the_proxys_matter(receiver: Receiver) -> None:
    for path in (f"/{NONCE}", f"/a/b/c/{NONCE}", f"/a/{NONCE}?retry=1"):
        assert receiver.ask(path) == 200
        assert receiver.told.get(timeout=5) == (NONCE, "task789")


def test_duplicates_are_answered_alike(receiver: Receiver) -> None:
    assert [receiver.ask() for _ in range(5)] == [200] * 5
    assert {receiver.told.get(timeout=5) for _ in range(5)} == {(NONCE, "task789")}


@pytest.mark.parametrize(
    "path", ["/", "/hooks/", "/hooks/somebody-else", "/x", f"/{NONCE}x", "/%00", f"/{NONCE}/"]
)
def test_who_does_not_know_the_nonce_is_not_heard(receiver: Receiver, path: str) -> None:
    assert receiver.ask(path) == 404
    assert receiver.told.empty()


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_posts_are_callbacks(receiver: Receiver, method: str) -> None:
    for path in (f"/hooks/{NONCE}", "/hooks/unknown-nonce"):
        assert receiver.ask(path, body=None, method=method) == 405
    assert receiver.told.empty()


@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"', b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(receiver: Receiver, body: bytes) -> None:
    assert receiver.ask(body=body) == 400
    assert receiver.told.empty()


@pytest.mark.parametrize("task", [7, None, "", "x" * 500, "a\nb", ["task789"], {"a": 1}])
def test_a_task_that_can_be_none_is_left_out(receiver: Receiver, task: object) -> None:
    assert receiver.ask(body=json.dumps({"task_id": task}).encode()) == 200
    assert receiver.told.get(timeout=5) == (NONCE, None)


def test_a_body_that_is_too_large_is_refused_before_it_comes(receiver: Receiver) -> None:
    head = f"POST /{NONCE} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    assert b" 413 " in receiver.send(head.encode())
    assert receiver.told.empty()


def test_a_body_that_grows_too_large_is_refused(receiver: Receiver) -> None:
    head = f"POST /{NONCE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    pieces = b"%x\r\n%s\r\n" % (100_000, b" " * 100_000) * 11
    assert b" 413 " in receiver.send(head + pieces)
    assert receiver.told.empty()


def test_a_body_that_never_comes_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "BODY_WITHIN_S", 0.05)
    head = f"POST /{NONCE} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
    assert b" 408 " in receiver.send(head.encode())
    assert receiver.told.empty()


def test_whoever_calls_back_does_not_see_our_troubles(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.stumbles = True
    assert receiver.ask() == 200
    assert receiver.told.get(timeout=5)
    receiver.server.stop()
    assert "a callback was not followed" in caplog.text


def test_neither_bodies_nor_nonces_get_into_the_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for body in (BODY, b'{"task_id": "task789", "secret": "hush"', b"[]"):
        receiver.ask(body=body)
    receiver.ask("/unknown-nonce")
    for word in (NONCE, "hush", "task789", "unknown-nonce"):
        assert word not in caplog.text


def test_a_port_that_is_taken_is_told(receiver: Receiver) -> None:
    with pytest.raises(WrongUse, match="webhook receiver") as caught:
        WebhookServer("127.0.0.1", receiver.server.port, lambda *_: None, lambda _: True).start()
    assert "musicgpt.webhook_port" in caught.value.remedy
