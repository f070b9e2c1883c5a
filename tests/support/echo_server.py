"""A server that fails as badly as it can: whatever it answers has the key in it, and it breaks lines."""

from __future__ import annotations

import base64
import html
import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

PREFIX = "/api/public"


def every_form(secret: str) -> str:
    """A text with the secret in it as it is, quoted and encoded."""
    encoded = [base64.b64encode(f"{before}{secret}".encode()).decode() for before in ("", "a", "ab", "key: ")]
    return " | ".join([secret, quote(secret, safe=""), html.escape(secret), *encoded])


class _Handler(BaseHTTPRequestHandler):
    server: EchoServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        key = self.headers.get("Authorization") or ""
        self.server.keys.append(key)
        FAILURES[self.server.failure](self, key)

    def answer(self, status: int, kind: str, text: str, **headers: str) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = text.encode()
        self.send_response(status, f"No {self.headers.get('Authorization')}")
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **headers}
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base's name
        """Nothing."""


def _refuses(handler: _Handler, key: str) -> None:
    body = {"success": False, "error_code": "UNAUTHORIZED_ACCESS", "message": f"bad key: {every_form(key)}"}
    handler.answer(401, "application/json", json.dumps(body))


def _old_error(handler: _Handler, key: str) -> None:
    handler.answer(422, "application/json", json.dumps({"success": False, "error": every_form(key)}))


def _breaks_down(handler: _Handler, key: str) -> None:
    handler.answer(500, "text/plain", f"Traceback: KeyError: {every_form(key)}")


def _portal(handler: _Handler, key: str) -> None:
    handler.answer(200, "text/html", f"<html><title>{every_form(key)}</title>Log in to this hotel</html>")


def _elsewhere(handler: _Handler, key: str) -> None:
    handler.answer(
        302, "text/html", every_form(key), Location=f"https://elsewhere.invalid/{quote(key)}?key={quote(key)}"
    )


def _odd_task(handler: _Handler, key: str) -> None:
    body = {"success": True, "task_id": "task789", "eta": 0, "message": every_form(key), "status": "IN_QUEUE"}
    failed = {"task_id": "task789", "status": "FAILED", "message": f"for {every_form(key)}"}
    is_post = handler.command == "POST"
    handler.answer(
        200, "application/json", json.dumps(body if is_post else {"success": True, "conversion": failed})
    )


def _resets(handler: _Handler, _key: str) -> None:
    """In mid-upload, as a router that is switched off."""
    handler.rfile.read(100)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


FAILURES: Mapping[str, Callable[[_Handler, str], None]] = MappingProxyType(
    {
        "refuses": _refuses,
        "old error": _old_error,
        "breaks down": _breaks_down,
        "portal": _portal,
        "elsewhere": _elsewhere,
        "odd task": _odd_task,
        "resets": _resets,
    }
)


class EchoServer(ThreadingHTTPServer):
    """`failure` is one of FAILURES; `keys` are those that it was sent."""

    daemon_threads = True

    def __init__(self, failure: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.failure = failure
        self.keys: list[str] = []
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), name="echo server")
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{PREFIX}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Lines that break are what this server is for."""

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()
