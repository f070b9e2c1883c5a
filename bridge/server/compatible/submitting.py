"""From a request to an accepted task: whose it is, what it brings, what it will cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from bridge.clock import Clock
from bridge.conversions.model import Conversion
from bridge.conversions.pricing import quote
from bridge.errors import BridgeError
from bridge.keys import masked
from bridge.server.compatible import answers, bodies, checking
from bridge.server.compatible.answering import Answerer, Asked, Upload
from bridge.server.compatible.bodies import Body
from bridge.server.compatible.callbacks import Callbacks
from bridge.server.compatible.faulting import STRUCK
from bridge.server.compatible.faults import Faults, Struck
from bridge.server.compatible.fetching import fetch
from bridge.server.compatible.ledger import Ledger, Submission
from bridge.server.compatible.links import Links
from bridge.server.compatible.plans import Account, Accounts
from bridge.server.compatible.refusals import Refusal
from bridge.server.compatible.storage import Storage
from bridge.server.compatible.tickets import Task, Tasks, fresh_id

REFERENCE = "reference_audio"


@dataclass(frozen=True)
class Shop:
    """Everything that the routes need."""

    answerer: Answerer
    folder: Path
    """Where uploads are kept."""
    clock: Clock
    accounts: Accounts
    tasks: Tasks
    links: Links
    callbacks: Callbacks
    ledger: Ledger
    faults: Faults
    storage: Storage


@dataclass(frozen=True)
class _Order:
    """A request that has come whole."""

    row: Conversion
    account: Account
    body: Body
    base: str
    struck: Struck

    def given(self, name: str) -> str:
        return str(self.body.fields.get(name) or "")


def base_of(request: Request) -> str:
    """The server's address, as this client wrote it."""
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


async def submit(shop: Shop, row: Conversion, request: Request) -> dict[str, Any]:
    """The answer to a request for a conversion. Raises Refusal."""
    account = shop.accounts.of(request.headers.get("authorization"))
    body = await bodies.read(request, shop.folder)
    order = _Order(row, account, body, base_of(request), request.scope.get(STRUCK, {}))
    entry = _entry(shop, order, request.url.path)
    try:
        task = await run_in_threadpool(_accept, shop, order, entry)
    except Refusal as refusal:
        entry.status = refusal.status
        raise
    finally:
        shop.ledger.submitted(entry)
    return answers.at_once(task) if row.synchronous else answers.submitted(task, shop.tasks.eta)


def _entry(shop: Shop, order: _Order, path: str) -> Submission:
    fields, row = order.body.fields, order.row
    known = {one.name for one in checking.known(row)}
    sent = order.body.files.get(checking.SOURCES[row.input][0]) if row.input != "text" else None
    return Submission(
        at=shop.clock.wall(),
        conversion=row.name,
        path=path,
        encoding=order.body.encoding,
        key=masked(order.account.key),
        parameters={name: value for name, value in fields.items() if name in known},
        ignored=sorted(set(fields) - known - checking.TRANSPORT),
        webhook_url=order.given("webhook_url"),
        audio_sha256=sent.sha256 if sent else None,
        audio_bytes=sent.size if sent else None,
    )


def _accept(shop: Shop, order: _Order, entry: Submission) -> Task:
    row = order.row
    try:
        values = checking.parameters(row, order.body.fields, order.body.files)
        checking.check_webhook(order.given("webhook_url"))
        shop.answerer.check(row, values)
        source = _measured(shop, row, _source(shop, order))
        seconds = source.seconds if source else 0.0
        usd = quote(row, values, order.account.plan, seconds).usd or 0.0
        asked = Asked(row, values, source, _others(shop, order))
    except BridgeError as error:
        raise Refusal.of(error) from error
    if source:
        entry.audio_sha256, entry.audio_bytes = source.sha256, source.size
    task = _task(order, asked, usd)
    (shop.tasks.at_once if row.synchronous else shop.tasks.begin)(task)
    entry.task_id, entry.conversion_ids = task.id, list(task.conversion_ids)
    entry.credit_estimate, entry.status = task.credit, 200
    return task


def _task(order: _Order, asked: Asked, usd: float) -> Task:
    variants = asked.parameters.get("num_outputs") or len(answers.VARIANTS)
    failed = order.struck.get("failed")
    return Task(
        asked=asked,
        account=order.account,
        conversion_ids=tuple(fresh_id() for _ in range(variants if answers.is_pair(order.row) else 1)),
        base=order.base,
        webhook_url=order.given("webhook_url"),
        credit=usd,
        fails_with=failed.reason if failed else None,
        failed_word=failed.word if failed else "FAILED",
        callbacks_each=2 if "twice" in order.struck else 1,
    )


def _source(shop: Shop, order: _Order) -> Upload | None:
    """What the conversion begins with: the file, what the address gives, or what was uploaded before."""
    for name in checking.SOURCES[order.row.input]:
        if name in order.body.files:
            return order.body.files[name]
        if name.endswith("_url") and order.given(name):
            return fetch(order.given(name), shop.folder, shop.links)
    if checking.takes_handle(order.row) and order.given("upload_id"):
        return shop.storage.taken(order.given("upload_id"))
    return None


def _measured(shop: Shop, row: Conversion, source: Upload | None) -> Upload | None:
    """The source with its length. Raises Refusal where it is too long, AudioError where it is no audio."""
    if source is None or row.input == "image":
        return source
    seconds = shop.answerer.measure(source.path)
    checking.check_length(row, seconds)
    return replace(source, seconds=seconds)


def _others(shop: Shop, order: _Order) -> Mapping[str, Upload]:
    """The track that a mastering goes by."""
    file = order.body.files.get(f"{REFERENCE}_file")
    address = order.given(f"{REFERENCE}_url")
    if file is None and address and any(one.name == f"{REFERENCE}_url" for one in order.row.parameters):
        file = fetch(address, shop.folder, shop.links)
    return {REFERENCE: file} if file else {}
