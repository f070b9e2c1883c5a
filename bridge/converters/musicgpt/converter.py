"""The MusicGPT API as a converter: a remote one, and every conversion costs.

A request is sent once. Whatever goes wrong says whether it may have arrived (`verdicts`), and
nothing is ever sent again from here. A ticket that was paid for is not given up: as long as the API does not
say that it is over or unknown, every trouble while asking means "try later".
"""

from __future__ import annotations

import random
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.config import MusicGPTSettings
from bridge.conversions import pricing, results
from bridge.conversions.catalogue import CATALOGUE, conversion
from bridge.conversions.model import MUSICGPT, Conversion
from bridge.conversions.plans import ALLOWANCES
from bridge.converters.base import Artifact, Capability, ConversionRequest, Lane, Progress, Quote, Ticket
from bridge.converters.fitting import Fitter
from bridge.converters.musicgpt import upload as uploads
from bridge.converters.musicgpt.body import OnSent
from bridge.converters.musicgpt.download import READ_S, LinkExpired
from bridge.converters.musicgpt.fetching import Fetching
from bridge.converters.musicgpt.looking import Looker
from bridge.converters.musicgpt.outgoing import Outgoing, body_of, check_length, outgoing, sends_source
from bridge.converters.musicgpt.pace import Pace
from bridge.converters.musicgpt.spool import Spool
from bridge.converters.musicgpt.tickets import Task, adopted, task_of
from bridge.converters.musicgpt.verdicts import RESOLVE, Answer, refusal
from bridge.converters.musicgpt.wire import ANSWER_S, CONNECT_S, Wire
from bridge.errors import NoKey, OutcomeUnknown, TicketLost, TryLater

ROWS: Mapping[str, Conversion] = {name: row for name, row in CATALOGUE.items() if MUSICGPT in row.quality}
EXPIRED_S = 300.0
VOICES_A_PAGE = 20


@dataclass(frozen=True)
class Voice:
    id: str
    name: str


@dataclass(frozen=True)
class VoicePage:
    """Some of the voices that were found; `total` is how many there are, None where nobody says it."""

    voices: tuple[Voice, ...]
    page: int
    total: int | None


class MusicGPTConverter:
    name = MUSICGPT
    repeatable = False
    remote = True

    def __init__(
        self,
        settings: MusicGPTSettings,
        key: Callable[[], str | None],
        fitter: Fitter,
        spool: Path,
        clock: Clock,
        *,
        timeouts: tuple[float, float, float] = (CONNECT_S, ANSWER_S, READ_S),
        chance: random.Random | None = None,
    ) -> None:
        """`spool` is a folder of its own. `timeouts`: to connect, for an answer, for a piece of a file."""
        chance = chance or random.Random()  # noqa: S311  spreads calls in time, hides nothing
        connect_s, answer_s, read_s = timeouts
        self._settings = settings
        self._fitter = fitter
        self._download_timeouts = (connect_s, read_s)
        self._wire = Wire(settings.base_url, key, clock, chance, (connect_s, answer_s))
        self._looker = Looker(self._wire, Pace(ALLOWANCES[settings.plan].polls), clock, chance, self._changed)
        self._on_change: list[Callable[[Ticket], None]] = []
        self._scratch = spool / "sending"
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._spool = Spool(spool, clock.wall())

    def __repr__(self) -> str:
        return f"MusicGPTConverter({self._wire.base})"

    # Converter

    def lanes(self) -> tuple[Lane, ...]:
        places = ALLOWANCES[self._settings.plan].places
        categories = {row.category for row in ROWS.values()}
        return tuple(
            Lane(places, frozenset(name for name, row in ROWS.items() if row.category == category))
            for category in sorted(categories)
        )

    def quote(self, conversion: str, parameters: Mapping[str, Any], duration_s: float) -> Quote:
        return pricing.quote(ROWS[conversion], parameters, self._settings.plan, duration_s)

    def adopt(self, conversion: str, task: str) -> Ticket:
        return adopted(conversion, task)

    def capabilities(self) -> Mapping[str, Capability]:
        try:
            self._wire.key()
        except NoKey as error:
            return dict.fromkeys(ROWS, Capability(available=False, why_not=str(error)))
        return dict.fromkeys(ROWS, Capability(available=True))

    def fingerprint(self, conversion: str) -> Mapping[str, str]:
        return {"api": ROWS[conversion].version, "base": self._wire.host}

    def submit(self, request: ConversionRequest) -> Ticket:
        row = conversion(request.conversion)
        check_length(row, request)
        self._wire.key()
        with ExitStack() as stack:
            if request.parameters.get("trim_silence") and sends_source(row, request.parameters):
                request = self._trimmed(request, stack)
            sent = outgoing(row, request, webhook_url=self._webhook(row, request))
            on_sent = _telling(request)
            on_sent(0.0)
            answer, whole = self._send(self._with_handle(sent, on_sent), on_sent)
        return self._accepted(row, answer, whole=whole)

    def poll(self, ticket: Ticket) -> Progress:
        task = task_of(ticket)
        if task.row.synchronous:
            answer = self._spooled(task)
            return Progress("done", fraction=1.0, cost_usd=results.cost_usd(answer))
        return self._looker.poll(task)

    def fetch(self, ticket: Ticket, folder: Path, request: ConversionRequest) -> list[Artifact]:
        task = task_of(ticket)
        fetching = Fetching(task.row, request, folder, self._fitter, self._download_timeouts)
        if task.row.synchronous:
            return fetching.gather(self._found(task, self._spooled(task)), every_link=True)
        for fresh in (False, True):
            answer = self._looker.answer(task, fresh=fresh)
            try:
                return fetching.gather(self._found(task, answer), every_link=fresh)
            except LinkExpired as error:
                expired = error
        raise TryLater(expired.message, wait_s=EXPIRED_S, remedy="MusicGPT is asked for another link later.")

    def cancel(self, ticket: Ticket) -> None:
        """Nothing more is asked about it. The API cannot be told to stop, and charges what it has begun."""
        self._looker.forget(ticket)

    def wake(self, ticket: Ticket) -> None:
        try:
            self._looker.wake(task_of(ticket).ticket)
        except TicketLost:
            return
        self._changed(ticket)

    def watch(self, on_change: Callable[[Ticket], None]) -> None:
        self._on_change.append(on_change)

    # What only MusicGPT can do

    def voices(self, query: str = "", *, limit: int = VOICES_A_PAGE, page: int = 0) -> VoicePage:
        """Voices by a part of their name, or all of them; the first page is 0. Raises TryLater, Rejected."""
        asked = {"limit": str(limit), "page": str(page)}
        path = "/v1/searchVoices" if query.strip() else "/v1/getAllVoices"
        answer = self._wire.ask(path, {"query": query.strip(), **asked} if query.strip() else asked)
        if not answer.good or answer.data is None:
            raise refusal(answer, charges=False, whole=True, wait_s=self._wire.wait_s(answer))
        return _voice_page(answer.data, page)

    def close(self) -> None:
        """Lets go of kept connections."""
        self._wire.close()

    # Inside

    def _trimmed(self, request: ConversionRequest, stack: ExitStack) -> ConversionRequest:
        """The same request for a copy without silence; its own file, so nobody else writes to it."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=self._scratch)))
        trimmed = self._fitter.trimmed(request.source, request.fingerprint, folder)
        if trimmed == request.source:
            return request
        return replace(request, source=trimmed, fingerprint=None)

    def _webhook(self, row: Conversion, request: ConversionRequest) -> str:
        url = self._settings.webhook_url.rstrip("/")
        return f"{url}/{request.nonce}" if url and request.nonce and not row.synchronous else ""

    def _with_handle(self, sent: Outgoing, on_sent: OnSent) -> Outgoing:
        """Where a handle is wanted and a path was given: the file is uploaded first."""
        given = sent.values.get(uploads.HANDLE)
        if not uploads.is_path(given):
            return sent
        handle = uploads.upload(self._wire, Path(str(given)), on_sent)
        return replace(sent, values={**sent.values, uploads.HANDLE: handle})

    def _send(self, sent: Outgoing, on_sent: OnSent) -> tuple[Answer, bool]:
        """The answer, and whether the request was sent to its end."""
        if sent.row.method == "GET":
            return self._wire.call(sent.row.path, sent.query()), True
        with body_of(sent, on_sent) as body:
            answer = self._wire.send(sent.row.path, body)
            return answer, body.whole

    def _accepted(self, row: Conversion, answer: Answer, *, whole: bool) -> Ticket:
        wait_s = self._wire.wait_s(answer)
        if not answer.good or answer.data is None:
            raise refusal(answer, charges=True, whole=whole, wait_s=wait_s)
        id_given = answer.data.get("task_id")
        id_given = str(id_given) if isinstance(id_given, (str, int)) and id_given else ""
        if row.synchronous:
            task = Task(row, id_given or uuid.uuid4().hex)
            self._spool.keep(task.ticket, answer.data)
        elif id_given:
            task = Task(row, id_given)
            self._looker.accepted(task, answer.data)
        else:
            raise OutcomeUnknown("MusicGPT took the request, but gave it no name.", remedy=RESOLVE)
        return task.ticket

    def _spooled(self, task: Task) -> Mapping[str, Any]:
        answer = self._spool.find(task.ticket)
        if answer is None:
            raise TicketLost("the answer is not there any more.")
        return answer

    def _found(self, task: Task, answer: Mapping[str, Any]) -> tuple[results.Found, ...]:
        return results.find(task.row.name, answer, self._wire.base)

    def _changed(self, ticket: Ticket) -> None:
        for on_change in self._on_change:
            on_change(ticket)


def _telling(request: ConversionRequest) -> OnSent:
    """Tells how much of the upload is on its way; what the listener raises breaks it off."""
    return lambda fraction: request.on_progress(fraction, "sending to MusicGPT")


def _voice_page(data: Mapping[str, Any], page: int) -> VoicePage:
    listed = data.get("voices")
    given = listed if isinstance(listed, list) else []
    rows = [one for one in given if isinstance(one, Mapping) and one.get("voice_id")]
    total = data.get("total")
    return VoicePage(
        tuple(Voice(str(one["voice_id"]), str(one.get("voice_name") or one["voice_id"])) for one in rows),
        page,
        total if isinstance(total, int) and not isinstance(total, bool) else None,
    )
