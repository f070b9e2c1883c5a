"""What every request must get past: a Host and an Origin that are our own, and the token.

A web page that a browser on this machine shows can send requests to us: with a name of its own that points
here (DNS rebinding), or from its own origin. Both are refused before the token is looked at. And whatever
goes wrong behind the gate is an answer in our own words, with the details in the log.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

Answer = dict[str, dict[str, str | None]]


def _error(code: str, message: str, remedy: str = "") -> Answer:
    return {"error": {"code": code, "message": message, "remedy": remedy, "file": None}}


BAD_HOST = _error("not-allowed", "this name is not the bridge's.", "Use the address in owner.json.")
BAD_ORIGIN = _error("not-allowed", "pages of other origins may not ask the bridge.")
NO_TOKEN = _error("no-token", "the token is missing or wrong.", "It is in the file `token` in BRIDGE_HOME.")
INSIDE = _error("inside", "something went wrong inside the bridge.", "Its logs/bridge.log says what.")


def is_own_host(header: str, *, bound_to: str, port: int) -> bool:
    """Whether a Host header means us: our port, and a name that nobody else can point here.

    `localhost` and addresses are such names; beyond loopback ones only where the settings bind to them.
    """
    name, colon, told_port = header.rpartition(":")
    if not colon or header.endswith("]"):  # [::1] has colons, and no port
        name, told_port = header, "80"
    if told_port != str(port):
        return False
    name = name.strip("[]").casefold()
    if name in ("localhost", bound_to.casefold()):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    return address.is_loopback or not is_loopback(bound_to)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


class Gate:
    """The ASGI application around `inside`. `port` is asked with each request: it is known late."""

    def __init__(self, inside: App, *, token: str, bound_to: str, port: Callable[[], int]) -> None:
        self._inside = inside
        self._expected = f"Bearer {token}".encode()
        self._bound_to = bound_to
        self._port = port

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.lower(): value for name, value in scope.get("headers", ())}
        refused = self._refusal(headers)
        if refused:
            await _answer(send, *refused)
            return
        begun = False

        async def watched(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._inside(scope, receive, watched)
        except Exception:
            log.exception("%s %s failed", scope.get("method"), scope.get("path"))
            if not begun:
                await _answer(send, 500, INSIDE)

    def _refusal(self, headers: Mapping[bytes, bytes]) -> tuple[int, Answer] | None:
        host = headers.get(b"host", b"").decode("latin-1")
        if not is_own_host(host, bound_to=self._bound_to, port=self._port()):
            return 403, BAD_HOST
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").casefold() != f"http://{host}".casefold():
            return 403, BAD_ORIGIN
        if not hmac.compare_digest(headers.get(b"authorization", b""), self._expected):
            return 401, NO_TOKEN
        return None


async def _answer(send: Send, status: int, answer: Answer) -> None:
    headers = [(b"content-type", b"application/json")]
    if status == 401:  # noqa: PLR2004  an HTTP status
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
