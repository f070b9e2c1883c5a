"""The receiver of the API's callbacks, on a port of its own behind the musician's public https address.

    POST /anything/{nonce}      200: something changed, and it will be looked at; 404: nobody waits for that

The nonce stands in the address that was given with the request, so only who got that request knows it. Even
so nothing of the body is believed but that something changed: the API is asked what. So a callback may come
twice, late, or never.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Callable
from typing import Any

from bridge.server.gate import Receive, Scope, Send
from bridge.server.serving import ServerThread

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 1_000_000
BODY_WITHIN_S = 10.0
NONCE = re.compile(r"[A-Za-z0-9_-]{8,128}")
TASK = re.compile(r"[A-Za-z0-9._:-]{1,128}")

OnCallback = Callable[[str, str | None], None]
"""Told the nonce, and the task that the body names; the latter may be anybody's word."""


class WebhookServer:
    """`start` and `stop` are called once each, from any one thread.

    `knows` tells whether a conversion waits for this nonce. Both it and `on_callback` are called from other
    threads, and may be called again for the same callback.
    """

    def __init__(self, host: str, port: int, on_callback: OnCallback, knows: Callable[[str], bool]) -> None:
        self._host = host
        self._wanted_port = port
        self._server = ServerThread(_Receiver(on_callback, knows), name="webhook receiver")

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before it does."""
        return self._server.port

    def start(self) -> None:
        """Returns when it listens. Raises WrongUse where the address cannot be had."""
        self._server.start(self._host, self._wanted_port, setting="musicgpt.webhook_port")

    def stop(self) -> None:
        self._server.stop()


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Receiver:
    """The ASGI application. No body and no nonce gets into the log."""

    def __init__(self, on_callback: OnCallback, knows: Callable[[str], bool]) -> None:
        self._on_callback = on_callback
        self._knows = knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = None
        try:
            told = await self._read(scope, receive)
            status = 200
        except _Refused as refused:
            status = refused.status
        except Exception:
            log.exception("a callback could not be read")
            status = 500
        # The answer goes first: whoever calls back does not wait for what we make of it.
        await _answer(send, status)
        if told is not None:
            await self._pass_on(*told)

    async def _read(self, scope: Scope, receive: Receive) -> tuple[str, str | None]:
        """The nonce and the task of a callback that somebody waits for. Raises _Refused."""
        if scope["method"] != "POST":
            raise _Refused(405)
        nonce = str(scope["path"]).rpartition("/")[2]
        if not NONCE.fullmatch(nonce) or not await asyncio.to_thread(self._knows, nonce):
            raise _Refused(404)
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                body = await _body(scope, receive)
        except TimeoutError:
            raise _Refused(408) from None
        return nonce, _task_in(body)

    async def _pass_on(self, nonce: str, task: str | None) -> None:
        try:
            await asyncio.to_thread(self._on_callback, nonce, task)
        except Exception:
            log.exception("a callback was not followed; the conversion is asked for in its own time")


async def _body(scope: Scope, receive: Receive) -> bytes:
    """Raises _Refused where there is too much of it."""
    told = dict(scope["headers"]).get(b"content-length", b"0")
    if not told.isdigit() or int(told) > MAX_BODY_BYTES:
        raise _Refused(413)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Refused(400)
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            raise _Refused(413)
    return bytes(body)


def _task_in(body: bytes) -> str | None:
    """The task that the body names. Raises _Refused for what is no JSON object."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise _Refused(400)
    task = data.get("task_id")
    return task if isinstance(task, str) and TASK.fullmatch(task) else None


async def _answer(send: Send, status: int) -> None:
    body = b'{"success": true}' if status == 200 else b'{"success": false}'  # noqa: PLR2004  an HTTP status
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 405:  # noqa: PLR2004
        headers.append((b"allow", b"POST"))
    if status in (408, 413):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
