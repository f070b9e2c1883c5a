"""A small HTTP server on a raw socket, for answers that no real server gives: cut off, late, or none."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from python_multipart.multipart import parse_form

BLOCK = 1 << 18


@dataclass
class Part:
    """One field of a form: its value, and of a file the name."""

    data: bytes
    file_name: str | None = None

    @property
    def text(self) -> str:
        return self.data.decode()


@dataclass
class Exchange:
    """One request and the connection on which it came."""

    connection: socket.socket
    method: str
    target: str
    headers: Mapping[str, str]
    head_rest: bytes
    released: threading.Event
    body: bytes = b""
    taken: int = 0
    """Bytes of the body that were read."""

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    @property
    def length(self) -> int:
        return int(self.headers.get("content-length", 0))

    def read(self, at_most: int | None = None, *, keep: bool = True) -> bytes:
        """The body, or its beginning; with `keep` it stays in `body`."""
        wanted = self.length if at_most is None else min(at_most, self.length)
        while self.taken < wanted:
            block, self.head_rest = self.head_rest, b""
            block = block or self.connection.recv(BLOCK)
            if not block:
                break
            self.taken += len(block)
            if keep:
                self.body += block
        return self.body

    def form(self) -> dict[str, Part]:
        """The fields of the body, as a real parser reads them."""
        if self.headers["content-type"] == "application/x-www-form-urlencoded":
            return {name: Part(value.encode()) for name, value in parse_qsl(self.read().decode())}
        fields: dict[str, Part] = {}

        def on_field(one: Any) -> None:
            fields[one.field_name.decode()] = Part(one.value or b"")

        def on_file(one: Any) -> None:
            one.file_object.seek(0)
            fields[one.field_name.decode()] = Part(one.file_object.read(), (one.file_name or b"").decode())

        headers = {"Content-Type": self.headers["content-type"].encode()}
        parse_form(headers, _Stream(self.read()), on_field, on_file)
        return fields

    def reply(self, status: int, content: Any = b"", **headers: str) -> None:
        """Answers with `content`: bytes as they are, everything else as JSON."""
        kind = {} if isinstance(content, bytes) else {"Content-Type": "application/json"}
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        told = {"Content-Length": str(len(data)), "Connection": "close", **kind}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.send(
            f"HTTP/1.1 {status} X\r\n", *(f"{name}: {value}\r\n" for name, value in told.items()), "\r\n"
        )
        self.connection.sendall(data)

    def send(self, *lines: str | bytes) -> None:
        self.connection.sendall(
            b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
        )

    def reset(self) -> None:
        """As when the machine behind it goes down: no farewell, a reset."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def hang(self) -> None:
        """Says nothing until the server stops."""
        self.released.wait(30)


class _Stream:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, size: int) -> bytes:
        block, self._data = self._data[:size], self._data[size:]
        return block


Handler = Callable[[Exchange], None]


@dataclass
class SocketServer:
    """Answers by `handler`, each connection in a thread of its own. `seen` is everything that was asked."""

    handler: Handler
    seen: list[Exchange] = field(default_factory=list)
    greeting: bytes = b""
    """What is said before anybody has asked."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._released = threading.Event()
        self._threads = [threading.Thread(target=self._accept, name="socket server")]
        self._threads[0].start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._released.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def asked(self, path: str) -> list[Exchange]:
        return [one for one in self.seen if one.path.endswith(path)]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), name="socket server")
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(20)
            try:
                connection.sendall(self.greeting)
                exchange = self._read_head(connection)
                if exchange:
                    self.seen.append(exchange)
                    self.handler(exchange)
            except OSError:
                return  # the other side has gone, as tests want it to

    def _read_head(self, connection: socket.socket) -> Exchange | None:
        data = b""
        while b"\r\n\r\n" not in data:
            block = connection.recv(BLOCK)
            if not block:
                return None
            data += block
        head, _, rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
        }
        return Exchange(connection, method, target, headers, rest, self._released)


def routes(**by_ending: Any) -> Handler:
    """Answers by the end of the path: a JSON body, or bytes, or a function that answers."""

    def handle(exchange: Exchange) -> None:
        answer = next(one for ending, one in by_ending.items() if exchange.path.endswith(ending))
        exchange.read()
        if callable(answer):
            answer(exchange)
        else:
            exchange.reply(200, answer)

    return handle


def unused_port() -> int:
    """A port at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port
