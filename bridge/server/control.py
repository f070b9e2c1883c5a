"""The daemon's own API: status, jobs, the feed of events, actions. On loopback, for the owner of the token.

    GET  /v1/status                 what is going on
    GET  /v1/jobs?limit&state&before   the newest jobs first
    GET  /v1/jobs/7                 one job with all that belongs to it
    GET  /v1/events?after           server-sent events; `Last-Event-ID` goes on where a stream broke off
    GET  /v1/actions                the table of actions
    POST /v1/actions/convert_file   does it; the body is a JSON object with its arguments

Errors are `{"error": {code, message, remedy, file}}` with a status that fits.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

from fastapi import FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.exceptions import HTTPException

from bridge import __version__, actions, owner
from bridge.config import ServerSettings
from bridge.errors import BridgeError, Cancelled, HomeInUse, StaleJobError, WrongUse
from bridge.jobs.events import EventFeed
from bridge.jobs.model import JobState
from bridge.jobs.records import plain
from bridge.server.gate import INSIDE, Gate
from bridge.server.serving import ServerThread
from bridge.server.streams import Streams

MAX_BODY_BYTES = 1_000_000
MOST_JOBS = 500

STATUS_OF: tuple[tuple[type[BridgeError], int], ...] = (
    (WrongUse, 400),
    (StaleJobError, 409),
    (HomeInUse, 409),
    (Cancelled, 503),
    (BridgeError, 500),
)
"""The first row that fits tells the HTTP status of an error."""


class Served(actions.Bridge, Protocol):
    """What the server needs of the daemon."""

    home: Path
    feed: EventFeed

    def status(self) -> dict[str, Any]: ...


class ControlServer:
    """`start` and `stop` are called once each, from any one thread."""

    def __init__(self, daemon: Served, settings: ServerSettings) -> None:
        self._settings = settings
        self._daemon = daemon
        self._streams = Streams(daemon.feed, daemon.journal)
        self._errands = Errands()
        gate = Gate(
            _application(daemon, self._streams, self._errands),
            token=owner.token(daemon.home),
            bound_to=settings.host,
            port=lambda: self.port,
        )
        self._server = ServerThread(gate, name="control API", parts=(self._streams, self._errands))

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before it does."""
        return self._server.port

    def start(self) -> None:
        """Returns when the server listens. Raises WrongUse where the address cannot be had."""
        self._server.start(self._settings.host, self._settings.port, setting="server.port")

    def stop(self) -> None:
        """Ends streams and whatever is still asked; returns when nobody listens any more."""
        self._server.stop()


class Errands:
    """Actions, each in a thread of its own: it may take minutes until a file has been looked at.

    When the server stops, nobody waits for them: the asker gets an answer, the thread ends when it ends.
    """

    def __init__(self) -> None:
        self._open: set[asyncio.Future[Any]] = set()

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        for errand in self._open:
            if not errand.done():
                errand.set_exception(Cancelled("the bridge is being stopped.", remedy="Ask it again later."))

    async def run(self, work: Callable[[], Any]) -> Any:
        """What `work` gives, or raises. It goes on even if the asker has gone."""
        errand: asyncio.Future[Any] = self._loop.create_future()
        self._open.add(errand)
        threading.Thread(target=self._work, args=(work, errand), name="action", daemon=True).start()
        try:
            return await errand
        finally:
            self._open.discard(errand)

    def _work(self, work: Callable[[], Any], errand: asyncio.Future[Any]) -> None:
        try:
            result, error = work(), None
        except Exception as failure:  # noqa: BLE001  it is raised again in the loop
            result, error = None, failure

        def settle() -> None:
            if errand.done():
                return
            if error is not None:
                errand.set_exception(error)
            else:
                errand.set_result(result)

        with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
            self._loop.call_soon_threadsafe(settle)


# The routes


def _application(daemon: Served, streams: Streams, errands: Errands) -> FastAPI:
    app = FastAPI(title="DAW Bridge", docs_url=None, redoc_url=None, openapi_url=None)
    _add_reading(app, daemon, streams)
    _add_actions(app, daemon, errands)
    _add_errors(app)
    return app


def _add_reading(app: FastAPI, daemon: Served, streams: Streams) -> None:
    @app.get("/v1/status")
    def status() -> JSONResponse:
        facts = {"version": __version__, "pid": os.getpid(), "home": str(daemon.home)}
        return JSONResponse({**facts, **daemon.status()})

    @app.get("/v1/jobs")
    def jobs(
        limit: Annotated[int, Query(ge=1, le=MOST_JOBS)] = 20,
        state: Annotated[list[JobState] | None, Query()] = None,
        before: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    ) -> JSONResponse:
        found = daemon.journal.jobs(limit=limit, states=state, before=before)
        return JSONResponse({"jobs": [plain(job) for job in found]})

    @app.get("/v1/jobs/{job_id}")
    def job(job_id: int) -> JSONResponse:
        detail = daemon.journal.detail(job_id) if job_id < 2**63 else None
        if detail is None:
            raise HTTPException(404, f"there is no job {job_id}.")
        return JSONResponse(detail.to_json())

    @app.get("/v1/events")
    async def events(
        after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
        last_event_id: Annotated[int | None, Header(ge=0, le=2**62)] = None,
    ) -> StreamingResponse:
        since = after if last_event_id is None else last_event_id
        return StreamingResponse(
            streams.read(since), media_type="text/event-stream", headers={"cache-control": "no-store"}
        )


def _add_actions(app: FastAPI, daemon: Served, errands: Errands) -> None:
    @app.get("/v1/actions")
    async def table() -> JSONResponse:
        rows = [
            {
                "name": row.name,
                "about": row.about,
                "parameters": dict(row.parameters),
                "required": sorted(row.required),
            }
            for row in actions.ACTIONS.values()
        ]
        return JSONResponse({"actions": rows})

    @app.post("/v1/actions/{name}")
    async def act(name: str, request: Request) -> JSONResponse:
        arguments = await _arguments(request)
        return JSONResponse(await errands.run(lambda: actions.perform(daemon, name, arguments)))


async def _arguments(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"more than {MAX_BODY_BYTES} bytes are no arguments.")
    try:
        arguments = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        arguments = None
    if not isinstance(arguments, dict):
        raise WrongUse("the body must be a JSON object with the action's arguments.")
    return arguments


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(BridgeError)
    async def known(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BridgeError)
        status = next(status for kind, status in STATUS_OF if isinstance(error, kind))
        return JSONResponse({"error": error.to_json()}, status)

    @app.exception_handler(HTTPException)
    async def http(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = {404: "not-found", 413: "too-large"}.get(error.status_code, "error")
        words = {"code": code, "message": str(error.detail), "remedy": "", "file": None}
        return JSONResponse({"error": words}, error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unknown(_request: Request, _error: Exception) -> JSONResponse:
        # It is raised again after this answer; the gate puts it into the log.
        return JSONResponse(INSIDE, 500)

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        faults = [f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors()]
        return JSONResponse({"error": WrongUse("; ".join(faults) + ".").to_json()}, 400)
