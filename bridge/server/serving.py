"""An ASGI application on a port of its own, served from a thread that starts and stops in time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import Sequence
from typing import Protocol

import uvicorn

from bridge.errors import BridgeError, WrongUse
from bridge.server.gate import App

STOP_WITHIN_S = 1.0
START_WITHIN_S = 10.0


class Part(Protocol):
    """Something that lives in the server's loop: begun before the first request, ended after the last."""

    def start(self) -> None: ...
    def stop(self) -> None: ...


class ServerThread:
    """`start` and `stop` are called once each, from any one thread. `name` is what errors call it."""

    def __init__(self, app: App, *, name: str, parts: Sequence[Part] = ()) -> None:
        self.name = name
        self.port = 0
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="asyncio",
                http="h11",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                log_level="critical",  # what goes wrong stands in our own log
                date_header=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=1,
            ),
            parts,
        )

    def start(self, host: str, port: int, *, setting: str) -> None:
        """Returns when it listens. Raises WrongUse, naming `setting`, where the address cannot be had."""
        listener = listen(host, port, name=self.name, setting=setting)
        self.port = listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name=self.name, daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(START_WITHIN_S):
            listener.close()
            raise BridgeError(f"the {self.name} did not start.", remedy="logs/bridge.log may say why.")

    def stop(self) -> None:
        """Ends whatever is still asked; returns when nobody listens any more."""
        self._server.finish()
        self._thread.join(2 * STOP_WITHIN_S)


def listen(host: str, port: int, *, name: str, setting: str) -> socket.socket:
    """A listening socket; port 0 is any free one. Raises WrongUse where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # on Windows this option lets another program take the port from us
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise WrongUse(
            f"the {name} cannot listen on {host}, port {port}: {error.strerror or error}.",
            remedy=f"Set {setting} = 0 in config.toml for any free one, or end the program that has it.",
        ) from error
    return listener


class _Server(uvicorn.Server):
    """uvicorn without its ten looks a second whether it shall end: it is told."""

    def __init__(self, config: uvicorn.Config, parts: Sequence[Part]) -> None:
        super().__init__(config)
        self._parts = parts
        self.ready = threading.Event()

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        for part in self._parts:
            part.start()
        self.ready.set()
        await self._end.wait()
        for part in self._parts:
            part.stop()

    def finish(self) -> None:
        if self.ready.is_set():
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                self._loop.call_soon_threadsafe(self._end.set)
