"""A publisher of files on loopback, that can also misbehave in the ways that networks do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

# A port that nothing listens on refuses at once.
UNREACHABLE = "http://127.0.0.1:9/model.onnx"


@dataclass
class Publisher:
    """Serves `folder` at `address`. What is in `manners` is answered by that, with the file's bytes."""

    folder: Path
    address: str = ""
    asked: list[str] = field(default_factory=list)
    manners: dict[str, Callable[[Handler, bytes], None]] = field(default_factory=dict)
    closing: threading.Event = field(default_factory=threading.Event)

    def url(self, name: str) -> str:
        return f"{self.address}/{name}"


class Handler(SimpleHTTPRequestHandler):
    publisher: Publisher

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        manner = self.publisher.manners.get(name)
        if manner:
            manner(self, (self.publisher.folder / name).read_bytes())
        else:
            super().do_GET()

    def begin(self, length: int | None) -> None:
        self.send_response(200)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class names it)
        self.publisher.asked.append(self.path)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A reader that has had enough hangs up: nothing to print."""


def dropped(handler: Handler, data: bytes) -> None:
    """Half of it, and the connection is gone."""
    handler.begin(len(data))
    handler.wfile.write(data[: len(data) // 2])


def stalled(handler: Handler, data: bytes) -> None:
    """Half of it, and then nothing more while the connection stays."""
    handler.begin(len(data))
    handler.wfile.write(data[: len(data) // 2])
    handler.publisher.closing.wait()


def trickling(handler: Handler, data: bytes) -> None:
    """A byte now and then."""
    handler.begin(len(data))
    for byte in data:
        handler.wfile.write(bytes([byte]))
        if handler.publisher.closing.wait(0.02):
            return


def endless(handler: Handler, data: bytes) -> None:
    """The file again and again, without a length."""
    handler.begin(None)
    while not handler.publisher.closing.is_set():
        handler.wfile.write(data)


@contextmanager
def publishing(folder: Path) -> Iterator[Publisher]:
    publisher = Publisher(folder)
    handler = type("Handler", (Handler,), {"publisher": publisher})
    server = _Server(("127.0.0.1", 0), partial(handler, directory=str(folder)))
    publisher.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield publisher
    finally:
        publisher.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
