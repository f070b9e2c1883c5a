"""A server that answers as the MusicGPT API does: routes, encodings, task life, limits, errors, callbacks.

    POST /v1/audio_to_midi          and every other row of the table, below / and below /api/public
    GET  /v1/byId                   how far a task is, and its results
    GET  /v1/searchVoices, /v1/getAllVoices
    POST /v2/upload_audio           a form for /storage, then …/complete
    GET  /cdn/…                     results, in parts too

    GET  /rehearsal/ledger          what it was sent
    POST /rehearsal/faults          what shall go wrong next
    POST /rehearsal/reset           as if it had just been started

Who does the conversions is the `Answerer`'s business.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from bridge.clock import Clock, SystemClock
from bridge.conversions.catalogue import CATALOGUE
from bridge.conversions.endpoints import ENDPOINTS
from bridge.conversions.model import Conversion, Plan
from bridge.errors import WrongUse
from bridge.server.compatible import answers, bodies, checking, openapi, voices
from bridge.server.compatible.aliases import OTHER_VERSIONS, PREFIXES, own_type
from bridge.server.compatible.answering import Answerer
from bridge.server.compatible.callbacks import Callbacks
from bridge.server.compatible.faulting import STRUCK, Faulty
from bridge.server.compatible.faults import Fault, Faults
from bridge.server.compatible.ledger import Ledger
from bridge.server.compatible.links import LINK_LIFE_S, Links
from bridge.server.compatible.plans import Accounts
from bridge.server.compatible.refusals import Refusal
from bridge.server.compatible.storage import Storage
from bridge.server.compatible.submitting import Shop, base_of, submit
from bridge.server.compatible.tickets import Task, Tasks
from bridge.server.serving import ServerThread

PACE_S = 0.3
MEDIA_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".mid": "audio/midi",
        ".mp3": "audio/mpeg",
        ".wav": "audio/wav",
        ".flac": "audio/flac",
        ".ogg": "audio/ogg",
        ".csv": "text/csv",
        ".png": "image/png",
    }
)
Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True)
class Options:
    """`keys` and their plans: with none any key is accepted, on `plan`. `port` 0: any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    keys: Mapping[str, Plan] = field(default_factory=dict)
    plan: Plan = "pro"
    pace_s: float = PACE_S
    """So long a task takes at least."""
    link_life_s: float = LINK_LIFE_S
    faults: tuple[Fault, ...] = ()


class CompatibleServer:
    """`start` and `stop` are called once each. Uploads are kept in `folder`, which exists."""

    def __init__(
        self, answerer: Answerer, folder: Path, options: Options, *, clock: Clock | None = None
    ) -> None:
        clock = clock or SystemClock()
        self._options = options
        ledger, faults = Ledger(clock), Faults(options.faults)
        self._links = Links(clock, life_s=options.link_life_s)
        self._callbacks = Callbacks(clock, ledger.called_back)
        self._tasks = Tasks(answerer, clock, pace_s=options.pace_s, on_over=self._tell)
        self._shop = Shop(
            answerer=answerer,
            folder=folder,
            clock=clock,
            accounts=Accounts(options.keys, clock, plan=options.plan),
            tasks=self._tasks,
            links=self._links,
            callbacks=self._callbacks,
            ledger=ledger,
            faults=faults,
            storage=Storage(clock),
        )
        app = Faulty(application(self._shop), faults, ledger, bound_to=options.host, port=lambda: self.port)
        self._server = ServerThread(app, name="MusicGPT server")

    @property
    def port(self) -> int:
        """The port that it listens on; 0 before it does."""
        return self._server.port

    @property
    def address(self) -> str:
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        return f"http://{host}:{self.port}"

    @property
    def ledger(self) -> Ledger:
        return self._shop.ledger

    @property
    def faults(self) -> Faults:
        return self._shop.faults

    def start(self) -> None:
        """Returns when it listens. Raises WrongUse where the address cannot be had."""
        try:
            self._server.start(self._options.host, self._options.port, setting="--port")
        except WrongUse as error:
            remedy = "Choose another --port, or end the program that has it."
            raise WrongUse(error.message, remedy=remedy) from error
        self._callbacks.start()

    def stop(self) -> None:
        """Returns when nobody listens or works any more. The answerer must have ended."""
        self._server.stop()
        self._callbacks.stop()
        self._tasks.stop()

    def _tell(self, task: Task) -> None:
        """Sends a task's callbacks, when it is over."""
        if not task.webhook_url:
            return
        for body in answers.callbacks(task, lambda file: self._links.address(file, task.base)):
            for _ in range(task.callbacks_each):
                self._callbacks.send(task.due, task.id, task.webhook_url, lambda body=body: body)  # type: ignore[misc]


class _Described(FastAPI):
    """Its document also says what the key is that each operation asks for."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        document.setdefault("components", {})["securitySchemes"] = openapi.SECURITY
        return document


def application(shop: Shop) -> FastAPI:
    """The routes. What goes wrong on purpose is the business of the layer around it."""
    app = _Described(
        title="DAW Bridge's MusicGPT-compatible server",
        docs_url=None,
        redoc_url=None,
        servers=[{"url": PREFIXES[0] or "/"}],
    )
    _add_conversions(app, shop)
    _add_helpers(app, shop)
    _add_uploads(app, shop)
    _add_links(app, shop)
    _add_control(app, shop)
    _add_errors(app)
    return app


def said(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Data as JSON in plain ASCII, whatever is in it."""
    return Response(json.dumps(data), status, headers, media_type="application/json")


def _route(app: FastAPI, method: str, path: str, handler: Handler, described: Mapping[str, Any]) -> None:
    """One route below every prefix; the first of them is the one that is described."""
    for prefix in PREFIXES:
        app.add_api_route(
            prefix + path,
            handler,
            methods=[method],
            response_model=None,
            name=f"{method} {path}",
            include_in_schema=prefix == PREFIXES[0],
            openapi_extra=dict(described),
        )


def _add_conversions(app: FastAPI, shop: Shop) -> None:
    for row in CATALOGUE.values():
        for version in sorted({row.version, *OTHER_VERSIONS.get(row.name, ())}):
            path = f"/{version}/{row.name}"
            _route(app, row.method, path, _conversion(shop, row), openapi.of_conversion(row))


def _conversion(shop: Shop, row: Conversion) -> Handler:
    async def convert(request: Request) -> Response:
        return said(await submit(shop, row, request))

    return convert


def _add_helpers(app: FastAPI, shop: Shop) -> None:
    async def by_id(request: Request) -> Response:
        return said(_by_id(shop, request))

    async def search(request: Request) -> Response:
        return said(_voices(shop, request, "searchVoices"))

    async def all_voices(request: Request) -> Response:
        return said(_voices(shop, request, "getAllVoices"))

    for name, handler in (("byId", by_id), ("searchVoices", search), ("getAllVoices", all_voices)):
        _route(app, "GET", ENDPOINTS[name].path, handler, openapi.of_endpoint(ENDPOINTS[name]))


def _by_id(shop: Shop, request: Request) -> dict[str, Any]:
    account = shop.accounts.of(request.headers.get("authorization"))
    query = {name: bodies.clean(value) for name, value in request.query_params.items()}
    asked = query.get("task_id") or query.get("conversion_id") or ""
    try:
        shop.accounts.count_poll(account)
        query["conversionType"] = own_type(query.get("conversionType", ""))
        unnamed = query["conversionType"] in _UNNAMED
        checking.endpoint_values(
            ENDPOINTS["byId"], {**query, "conversionType": "MUSIC_AI"} if unnamed else query
        )
        task = shop.tasks.find(asked, lambda one: _is_of(one, query, account.key))
    except Refusal as refusal:
        shop.ledger.polled(asked, "", http_status=refusal.status)
        raise
    status = task.status(shop.clock.monotonic())
    shop.ledger.polled(task.id, status)
    base = base_of(request)
    return answers.conversion(task, status, lambda file: shop.links.address(file, base))


_UNNAMED = frozenset(answers.type_of(row) for row in CATALOGUE.values() if row.conversion_type is None)
"""Types that the documentation does not name; so they are found by any."""


def _is_of(task: Task, query: Mapping[str, str], key: str) -> bool:
    row = task.asked.conversion
    fits = row.conversion_type in (None, query["conversionType"])
    names = (task.id,) if query.get("task_id") else task.conversion_ids
    return task.account.key == key and fits and (query.get("task_id") or query["conversion_id"]) in names


def _voices(shop: Shop, request: Request, name: str) -> dict[str, Any]:
    shop.accounts.of(request.headers.get("authorization"))
    values = checking.endpoint_values(ENDPOINTS[name], request.query_params)
    if not 1 <= values["limit"] <= voices.MOST or values["page"] < 0:
        raise Refusal(422, f"Validation failed. limit: must be in range 1..{voices.MOST}, page at least 0")
    return voices.page(values["limit"], values["page"], values.get("query", ""))


def _add_uploads(app: FastAPI, shop: Shop) -> None:
    reserving, completing = ENDPOINTS["upload_audio"], ENDPOINTS["upload_audio_complete"]

    async def reserve(request: Request) -> Response:
        shop.accounts.of(request.headers.get("authorization"))
        body = await bodies.read(request, shop.folder)
        values = checking.endpoint_values(reserving, body.fields)
        facts = values["content_type"], values["size_bytes"], values["sha256"] or ""
        return said(shop.storage.reserve(*facts, base_of(request)))

    async def put(request: Request) -> Response:
        body = await bodies.read(request, shop.folder)
        # The form's `file` goes by the name that files have everywhere else.
        shop.storage.put(dict(body.fields), body.files.get("audio_file"))
        return Response(status_code=204)

    async def complete(request: Request) -> Response:
        shop.accounts.of(request.headers.get("authorization"))
        return said(shop.storage.complete(request.path_params["upload_id"]))

    async def prepare(request: Request) -> Response:
        shop.accounts.of(request.headers.get("authorization"))
        return said(shop.storage.prepared(request.path_params["upload_id"]))

    _route(app, "POST", reserving.path, reserve, openapi.of_endpoint(reserving))
    _route(app, "POST", completing.path, complete, openapi.of_endpoint(completing))
    _route(app, "POST", f"{completing.path}/pre-process", prepare, openapi.of_endpoint(completing))
    app.add_api_route("/storage", put, methods=["POST"], include_in_schema=False, response_model=None)


def _add_links(app: FastAPI, shop: Shop) -> None:
    async def file(request: Request) -> Response:
        token = request.path_params["token"]
        if "expired" in request.scope.get(STRUCK, {}):
            shop.links.expire(token)
        path = shop.links.find(token)
        media_type = MEDIA_TYPES.get(path.suffix, "application/octet-stream")
        return FileResponse(path, media_type=media_type)

    route = "/cdn/{token}/{name}"
    app.add_api_route(route, file, methods=["GET", "HEAD"], include_in_schema=False, response_model=None)


def _add_control(app: FastAPI, shop: Shop) -> None:
    @app.get("/rehearsal/ledger", include_in_schema=False)
    async def ledger() -> Response:
        return said(shop.ledger.to_json())

    @app.get("/rehearsal/faults", include_in_schema=False)
    async def waiting() -> Response:
        return said({"faults": [asdict(one) for one in shop.faults.waiting()]})

    @app.post("/rehearsal/faults", include_in_schema=False)
    async def add(request: Request) -> Response:
        for fault in _faults(await request.body()):
            shop.faults.add(fault)
        return said({"faults": [asdict(one) for one in shop.faults.waiting()]})

    @app.post("/rehearsal/reset", include_in_schema=False)
    async def reset() -> Response:
        shop.faults.clear()
        shop.ledger.clear()
        shop.accounts.forget_polls()
        await run_in_threadpool(shop.tasks.forget)
        return said({"success": True})


def _faults(body: bytes) -> list[Fault]:
    """One fault or a list of them, each an object or words. Raises WrongUse."""
    try:
        told = json.loads(body)
    except ValueError:
        raise WrongUse("the body must be a fault, or a list of them, in JSON.") from None
    return [
        Fault.in_words(one) if isinstance(one, str) else Fault.of(one)
        for one in (told if isinstance(told, list) else [told])
    ]


def _add_errors(app: FastAPI) -> None:
    def refused(request: Request, refusal: Refusal) -> Response:
        legacy = "legacy_errors" in request.scope.get(STRUCK, {})
        return said(refusal.body(legacy=legacy), refusal.status, refusal.headers())

    @app.exception_handler(Refusal)
    async def known(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refusal)
        return refused(request, error)

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return refused(request, Refusal(error.status_code, str(error.detail)))

    @app.exception_handler(WrongUse)
    async def wrong_use(request: Request, error: Exception) -> Response:
        return refused(request, Refusal(400, str(error)))

    @app.exception_handler(Exception)
    async def unknown(request: Request, _error: Exception) -> Response:
        # It is raised again after this answer; the layer around puts it into the log.
        return refused(request, Refusal(500))
