"""The outermost layer of the compatible server: who may ask at all, and the faults that were asked for.

A fault happens on the real connection. uvicorn's `send` is a method of the exchange that owns it: the one way
to the transport.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect

from bridge.errors import WrongUse
from bridge.server.compatible.aliases import own_path
from bridge.server.compatible.faults import BREAKING_OFF, Fault, Faults, Struck
from bridge.server.compatible.ledger import Ledger
from bridge.server.compatible.refusals import Refusal
from bridge.server.gate import App, Message, Receive, Scope, Send, is_loopback, is_own_host

log = logging.getLogger(__name__)

STRUCK = "bridge.struck"
"""Where a request's scope has its faults."""
CONTROL = "/rehearsal"
HEADER = b"x-rehearse"
PAGE = (
    b"<!DOCTYPE html><html><head><title>Welcome</title></head><body><h1>Welcome to this network</h1>"
    b"<p>Accept the terms of use to go on.</p></body></html>"
)
_LINGER = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
"""Of a socket that is closed by a reset."""


class Faulty:
    """The ASGI application around `inside`. `port` is asked with each request: it is known late."""

    def __init__(
        self, inside: App, faults: Faults, ledger: Ledger, *, bound_to: str, port: Callable[[], int]
    ) -> None:
        self._inside = inside
        self._faults = faults
        self._ledger = ledger
        self._bound_to = bound_to
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = own_path(scope["path"]), scope["method"]
        headers = {name.lower(): value for name, value in scope["headers"]}
        exchange = _Exchange(scope, receive, send)
        try:
            self._let_in(scope, path, headers)
            if not path.startswith(CONTROL):
                self._ledger.requested(method, path)
                words = headers.get(HEADER, b"").decode("latin-1")
                exchange.struck = self._faults.strike(method, path, words)
            for kind in exchange.struck:
                self._ledger.struck(kind)
            await exchange.run(self._inside)
        except Refusal as refusal:
            await exchange.answer(refusal.status, refusal.body(), refusal.headers())
        except WrongUse as error:
            await exchange.answer(400, {"success": False, "message": str(error)})
        except ClientDisconnect:
            pass  # there is nobody to tell
        except Exception:
            log.exception("%s %s failed", method, path)

    def _let_in(self, scope: Scope, path: str, headers: Mapping[bytes, bytes]) -> None:
        """A page in a browser cannot come under a name of its own; only this machine asks the rehearsal."""
        host = headers.get(b"host", b"").decode("latin-1")
        if is_loopback(self._bound_to) and not is_own_host(host, bound_to=self._bound_to, port=self._port()):
            raise Refusal(403, "This name is not the server's.")
        if path.startswith(CONTROL) and not is_loopback((scope.get("client") or ("",))[0]):
            raise Refusal(403, "Only this machine may ask that.")


class _Exchange:
    """One request and its answer, with what shall go wrong."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self.struck: Struck = {}
        self._received = 0
        self._is_whole = False
        self._is_over = False
        self._begun = False
        self._left: int | None = None
        """Bytes of the answer that may still go, where it is cut off."""

    async def run(self, inside: App) -> None:
        if slow := self.struck.get("slow"):
            await asyncio.sleep(slow.seconds)
        if fault := self.struck.get("status"):
            await self._refuse(fault)
        elif "html" in self.struck:
            await self._drain()
            await self.answer(200, PAGE, {"content-type": "text/html; charset=utf-8"})
        elif fault := self.struck.get("redirect"):
            await self._drain()
            await self.answer(307, b"", {"location": fault.location})
        else:
            self._scope[STRUCK] = self.struck
            await inside(self._scope, self.receive, self.send)

    async def answer(
        self, status: int, body: bytes | Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer; nothing where one has begun."""
        if self._begun or self._is_over:
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {"content-type": "application/json", "content-length": str(len(data)), **(headers or {})}
        lines = [(name.lower().encode(), value.encode("latin-1")) for name, value in named.items()]
        self._begun = self._is_over = True
        await self._send({"type": "http.response.start", "status": status, "headers": lines})
        await self._send({"type": "http.response.body", "body": data})

    async def _refuse(self, fault: Fault) -> None:
        await self._drain()
        refusal = Refusal(fault.status, retry_after=fault.retry_after)
        await self.answer(
            refusal.status, refusal.body(legacy="legacy_errors" in self.struck), refusal.headers()
        )

    # What the application sees

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        self._received += len(message.get("body", b""))
        self._is_whole = not message.get("more_body", False)
        if reset := self.struck.get("reset"):
            enough = BREAKING_OFF if reset.after_bytes is None else reset.after_bytes
            if self._received >= enough or self._is_whole:
                await self._hang_up(reset=True)
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self._is_over:
            return
        if message["type"] == "http.response.start":
            await self._drain()
            if self._is_over:
                return
            if lost := self.struck.get("lost_answer"):
                await (self._refuse(lost) if lost.status else self._hang_up(reset=True))
                return
            self._begun = True
            self._left = self._cut_at(message)
        elif self._left is not None:
            await self._send_a_part(message)
            return
        await self._send(message)

    # What goes wrong

    async def _drain(self) -> None:
        """Takes the rest of the body: who still sends does not read our answer."""
        while not self._is_whole and not self._is_over:
            message = await self.receive()
            if message["type"] != "http.request":
                return

    def _cut_at(self, start: Message) -> int | None:
        fault = self.struck.get("truncated")
        if fault is None:
            return None
        if fault.after_bytes is not None:
            return fault.after_bytes
        headers = dict(start["headers"])
        return int(headers.get(b"content-length", b"0")) // 2

    async def _send_a_part(self, message: Message) -> None:
        assert self._left is not None
        body = message.get("body", b"")
        part = body[: self._left]
        self._left -= len(part)
        if len(part) == len(body) and self._left:
            await self._send(message)
            return
        await self._send({**message, "body": part, "more_body": True})
        await self._hang_up(reset=False)

    async def _hang_up(self, *, reset: bool) -> None:
        """Ends the connection: by a reset, or when all that was sent has gone out."""
        self._is_over = True
        transport: asyncio.Transport = self._send.__self__.transport  # type: ignore[attr-defined]
        if reset:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)
            transport.abort()
        else:
            transport.close()
        while not getattr(self._send.__self__, "disconnected", True):  # type: ignore[attr-defined]
            await asyncio.sleep(0)
