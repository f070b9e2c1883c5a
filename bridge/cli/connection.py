"""A bridge to talk to: the running daemon over its control API, or one in this process.

Standard library only towards the daemon: a bound key must not wait for imports.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import queue
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from bridge.errors import BridgeError, HomeInUse, from_json
from bridge.owner import OwnerNote, read_note, token

if TYPE_CHECKING:
    from bridge.daemon import BridgeCore

ASK_TIMEOUT_S = 5.0
ACT_TIMEOUT_S = 700.0
"""An action may look into hours of audio first."""
STARTING_UP_S = 3.0

Data = dict[str, Any]
NextEvent = Callable[[float], Data | None]
"""Gives the next event as plain data; None when there was none within so many seconds."""
LOST: Data = {"kind": "lost", "job": None}
"""Comes as the last event when the daemon has gone."""


class Connection(Protocol):
    is_daemon: bool

    def act(self, name: str, arguments: Mapping[str, Any]) -> Data:
        """Does one of the actions. Raises what the action raises."""
        ...

    def detail(self, job_id: int) -> Data | None:
        """The job with all that belongs to it, as plain data."""
        ...

    def events(self) -> contextlib.AbstractContextManager[NextEvent]:
        """Every event from now on."""
        ...


class DaemonConnection:
    """The daemon's control API."""

    is_daemon = True

    def __init__(self, home: Path, note: OwnerNote) -> None:
        self._note = note
        self._home = home

    def status(self, *, timeout_s: float = ASK_TIMEOUT_S) -> Data:
        return _data_in(*self._ask("GET", "/v1/status", timeout_s=timeout_s))

    def act(self, name: str, arguments: Mapping[str, Any]) -> Data:
        body = json.dumps(dict(arguments)).encode()
        return _data_in(*self._ask("POST", f"/v1/actions/{quote(name)}", body, timeout_s=ACT_TIMEOUT_S))

    def detail(self, job_id: int) -> Data | None:
        status, body = self._ask("GET", f"/v1/jobs/{job_id}", timeout_s=ASK_TIMEOUT_S)
        return None if status == http.client.NOT_FOUND else _data_in(status, body)

    @contextmanager
    def events(self) -> Iterator[NextEvent]:
        events: queue.Queue[Data] = queue.Queue()
        connection = self._connect(ASK_TIMEOUT_S)
        with contextlib.closing(connection), _as_bridge_errors():
            connection.request("GET", "/v1/events", headers=self._headers())
            # The response may take the socket away from the connection; it is needed to end the stream.
            line = connection.sock
            answer = connection.getresponse()
            if answer.status != http.client.OK:
                raise _error_in(answer.status, answer.read())
            answer.readline()  # the greeting: from here on nothing is missed
            line.settimeout(None)
            reader = threading.Thread(target=_read_events, args=(answer, events), name="events", daemon=True)
            reader.start()
            try:
                yield partial(_next, events)
            finally:
                with contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
                reader.join(timeout=2)

    def _connect(self, timeout_s: float) -> http.client.HTTPConnection:
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._note.host, self._note.host)  # noqa: S104  asked, not bound
        return http.client.HTTPConnection(host, self._note.port, timeout=timeout_s)

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {token(self._home)}", "Content-Type": "application/json"}

    def _ask(
        self, method: str, path: str, body: bytes | None = None, *, timeout_s: float
    ) -> tuple[int, bytes]:
        with contextlib.closing(self._connect(timeout_s)) as connection, _as_bridge_errors():
            connection.request(method, path, body=body, headers=self._headers())
            answer = connection.getresponse()
            return answer.status, answer.read()


@contextmanager
def _as_bridge_errors() -> Iterator[None]:
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise BridgeError(
            f"the running bridge does not answer ({error}).", remedy="`bridge doctor` looks what is wrong."
        ) from error


def _data_in(status: int, body: bytes) -> Data:
    if status == http.client.OK:
        with contextlib.suppress(ValueError):
            data = json.loads(body)
            if isinstance(data, dict):
                return data
    raise _error_in(status, body)


def _error_in(status: int, body: bytes) -> BridgeError:
    with contextlib.suppress(ValueError, LookupError, TypeError):
        return from_json(json.loads(body)["error"])
    return BridgeError(f"what answers at the bridge's address is no bridge (HTTP status {status}).")


def _read_events(answer: http.client.HTTPResponse, events: queue.Queue[Data]) -> None:
    # Whatever ends the stream, the reader of the queue is told.
    with contextlib.suppress(OSError, ValueError, http.client.HTTPException, AttributeError):
        for line in answer:
            if line.startswith(b"data: "):
                events.put(json.loads(line[len(b"data: ") :]))
    events.put(LOST)


class LocalConnection:
    """A bridge in this process."""

    is_daemon = False

    def __init__(self, core: BridgeCore) -> None:
        self._core = core

    def act(self, name: str, arguments: Mapping[str, Any]) -> Data:
        from bridge.actions import perform

        return perform(self._core, name, arguments)

    def detail(self, job_id: int) -> Data | None:
        found = self._core.journal.detail(job_id)
        return found.to_json() if found else None

    @contextmanager
    def events(self) -> Iterator[NextEvent]:
        with self._core.feed.subscribe() as events:

            def next_event(timeout_s: float) -> Data | None:
                event = _next(events, timeout_s)
                return event.to_json() if event else None

            yield next_event


def _next(events: queue.Queue[Any], timeout_s: float) -> Any:
    try:
        return events.get(timeout=timeout_s)
    except queue.Empty:
        return None


def daemon_at(home: Path) -> DaemonConnection | None:
    """The daemon that runs on this home and answers; None where there is none."""
    note = read_note(home)
    if note is None or note.port == 0:
        return None
    connection = DaemonConnection(home, note)
    try:
        connection.status(timeout_s=2.0)
    except BridgeError:
        return None
    return connection


@contextmanager
def connect(home: Path) -> Iterator[Connection]:
    """The daemon where one runs; else a bridge in this process, which ends with the block.

    Raises HomeInUse where a bridge runs that cannot be talked to.
    """
    daemon = daemon_at(home)
    if daemon is not None:
        yield daemon
        return
    from bridge.engine.worker import engine_log, spawn

    # It loads its libraries while we load ours.
    engine = spawn(engine_log(home))
    try:
        from bridge import config, logs
        from bridge.daemon import BridgeCore

        settings = config.load(home)
        core = BridgeCore(home, settings, engine=engine)
        core.start()
    except BaseException as error:
        _dismiss(engine)
        if not isinstance(error, HomeInUse):
            raise
        yield _late_daemon(home, error)
        return
    try:
        core.local.warm()
        logs.set_up(home, level=settings.log_level, to_terminal=False)
        yield LocalConnection(core)
    finally:
        core.stop()


def _dismiss(engine: subprocess.Popen[bytes]) -> None:
    engine.kill()
    engine.communicate()


def _late_daemon(home: Path, error: HomeInUse) -> DaemonConnection:
    """A bridge that is just starting says in a moment where it is."""
    deadline = time.monotonic() + STARTING_UP_S
    while time.monotonic() < deadline:
        note = read_note(home)
        if note is not None and note.port == 0:
            raise HomeInUse(
                "a bridge is running without its control API, so nobody can talk to it.",
                remedy="Set server.enabled = true in config.toml and start it again, or stop it first.",
            )
        daemon = daemon_at(home)
        if daemon is not None:
            return daemon
        time.sleep(0.1)
    raise error
