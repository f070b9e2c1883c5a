"""Asking the MusicGPT API how far its tasks are: each at its time, all of them at the plan's pace.

No trouble gives a ticket up. It is lost only when the API says several times that it does not know it: right
after a request its own left hand may not know yet what the right hand has taken.
"""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from bridge.clock import Clock
from bridge.conversions import results
from bridge.converters.base import Progress, Ticket
from bridge.converters.musicgpt.pace import Pace, backoff_s, first_look_s, interval_s, retry_after_s
from bridge.converters.musicgpt.tickets import Task, Watched
from bridge.converters.musicgpt.verdicts import Answer, meaning, refusal
from bridge.converters.musicgpt.wire import Wire
from bridge.errors import BridgeError, ChargedFailure, NoKey, TicketLost, TryLater

BY_ID = "/v1/byId"
KEPT_TICKETS = 2000
FRESH_S = 60.0
"""So long an answer counts as just seen; its links are asked for anew after that."""

LOST_AFTER = 4
"""So many answers in a row that a task is unknown, and it is lost."""
YOUNG_S = 120.0
"""A task that we submitted so short a time ago cannot be lost yet."""

EMPTY_LOOKS = 6
"""So often a task that is done and names no file is looked at again."""

LONGEST_TROUBLE_S = 60.0
BUSY_S = 1.0
_NOT_FOUND, _NOT_USABLE, _TOO_MANY = 404, 422, 429

_DOING: Mapping[str, str] = {
    "IN_QUEUE": "waiting in MusicGPT's queue",
    "PENDING": "waiting in MusicGPT's queue",
}


class Looker:
    """What is known of all tickets. All calls may come from any thread, and none waits for its turn."""

    def __init__(
        self,
        wire: Wire,
        pace: Pace,
        clock: Clock,
        chance: random.Random,
        on_end: Callable[[Ticket], None],
    ) -> None:
        """`on_end` is told each ticket that is found to be over."""
        self._wire = wire
        self._pace = pace
        self._clock = clock
        self._chance = chance
        self._on_end = on_end
        self._lock = threading.Lock()
        self._watched: OrderedDict[Ticket, Watched] = OrderedDict()

    def accepted(self, task: Task, answer: Mapping[str, Any]) -> None:
        """A task that was just submitted: first looked at when the API says that it should be ready."""
        now = self._clock.monotonic()
        eta_s = _number(answer.get("eta"))
        progress = Progress("running", doing="accepted by MusicGPT", cost_usd=results.cost_usd(answer))
        watched = Watched(now + first_look_s(eta_s), progress, accepted_at=now, eta_s=eta_s)
        with self._lock:
            self._remember(task.ticket, watched)

    def poll(self, task: Task) -> Progress:
        """How far it is, as far as it is its turn to be asked. Raises TryLater, TicketLost."""
        with self._lock:
            watched = self._known(task.ticket)
            now = self._clock.monotonic()
            wait_s = BUSY_S if watched.asking else self._wait_s(watched, now)
            if wait_s > 0:
                return replace(watched.progress, poll_after_s=wait_s)
            watched.asking = True
        return self._look(task, watched)

    def answer(self, task: Task, *, fresh: bool) -> Mapping[str, Any]:
        """What the API tells of a task that is done: as just seen, or asked for anew where `fresh`.

        Raises TryLater, TicketLost where it is not done, ChargedFailure where it has failed.
        """
        with self._lock:
            watched = self._known(task.ticket)
            now = self._clock.monotonic()
            if not fresh and watched.answer is not None and now - watched.answered_at < FRESH_S:
                return watched.answer
            turn = self._turn(watched, now)
            if turn > now:
                raise TryLater("the plan's calls a minute are used up.", wait_s=turn - now)
            watched.asking = True
        progress = self._look(task, watched)
        if progress.state == "failed" and progress.error:
            raise progress.error
        if progress.state != "done" or watched.answer is None:
            raise TicketLost("MusicGPT says that it is not done any more.")
        return watched.answer

    def forget(self, ticket: Ticket) -> None:
        with self._lock:
            self._watched.pop(ticket, None)

    def wake(self, ticket: Ticket) -> None:
        """It may be asked for at once, as far as the plan's pace has room."""
        with self._lock:
            self._known(ticket).due = self._clock.monotonic()

    def _wait_s(self, watched: Watched, now: float) -> float:
        """How long until this ticket may be asked for; 0: now, and the call is counted."""
        if watched.due > now:
            return watched.due - now
        return max(self._turn(watched, now) - now, 0.0)

    def _turn(self, watched: Watched, now: float) -> float:
        turn = self._pace.turn(now, watched.reserved)
        watched.reserved = turn if turn > now else None
        return turn

    def _look(self, task: Task, watched: Watched) -> Progress:
        """Asks, and remembers what comes back. `watched.asking` is set, and is not afterwards."""
        types = task.types()
        query = {"conversionType": types[watched.unknown % len(types)], "task_id": task.id}
        try:
            answer = self._wire.ask(BY_ID, query)
        except (TryLater, NoKey) as error:
            with self._lock:
                raise self._trouble(watched, error, None) from None
        finally:
            watched.asking = False
        with self._lock:
            progress = self._heard(task, watched, answer)
        if progress.state != "running":
            self._on_end(task.ticket)
        return progress

    def _heard(self, task: Task, watched: Watched, answer: Answer) -> Progress:
        now = self._clock.monotonic()
        if not answer.good:
            if answer.data is not None and self._is_unknown(task, answer):
                return self._not_known(watched, now)
            told_s = retry_after_s(answer.retry_after, self._clock.wall())
            error = refusal(answer, charges=False, whole=True, wait_s=BUSY_S)
            trouble = self._trouble(watched, error, told_s)
            if meaning(answer) == _TOO_MANY:
                self._pace.hold(now + trouble.wait_s)
            raise trouble
        watched.troubles = watched.unknown = 0
        watched.answer, watched.answered_at = results.conversion_in(answer.data or {}), now
        watched.progress = self._judged(task, watched, now)
        ended = watched.progress.state != "running"
        self._again_in(watched, now, FRESH_S if ended else interval_s(watched.looks, self._chance))
        return replace(watched.progress, poll_after_s=watched.due - now)

    def _judged(self, task: Task, watched: Watched, now: float) -> Progress:
        answer, name = watched.answer or {}, task.row.name
        cost_usd = results.cost_usd(answer)
        cost_usd = watched.progress.cost_usd if cost_usd is None else cost_usd
        state = results.standing(name, answer, self._wire.base)
        if state == "failed":
            return Progress("failed", error=_failure(results.failure_words(answer)), cost_usd=cost_usd)
        found = results.find(name, answer, self._wire.base) if state == "done" else ()
        if state == "done" and not _has_main_result(task, found):
            watched.empty += 1
            if watched.empty > EMPTY_LOOKS and not found:
                return Progress("failed", error=_failure("it finished without any result"), cost_usd=cost_usd)
            if watched.empty <= EMPTY_LOOKS:
                return Progress("running", 0.95, "MusicGPT is writing its files", cost_usd=cost_usd)
        if state == "done":
            return Progress("done", fraction=1.0, cost_usd=cost_usd)
        doing = _DOING.get(str(answer.get("status") or "").strip().upper(), "MusicGPT is working")
        return Progress("running", watched.elapsed_share(now), doing, cost_usd=cost_usd)

    def _is_unknown(self, task: Task, answer: Answer) -> bool:
        """Where the type is a guess of ours, that it is refused may mean the same."""
        status = meaning(answer)
        return status == _NOT_FOUND or (status == _NOT_USABLE and task.row.conversion_type is None)

    def _not_known(self, watched: Watched, now: float) -> Progress:
        watched.unknown += 1
        young = watched.accepted_at is not None and now - watched.accepted_at < YOUNG_S
        if watched.unknown >= LOST_AFTER and not young:
            raise TicketLost(
                "MusicGPT does not know this task.",
                remedy="Was it made with another key, or is it older than its results are kept?",
            )
        self._again_in(watched, now, interval_s(watched.looks, self._chance))
        return replace(watched.progress, poll_after_s=watched.due - now)

    def _trouble(self, watched: Watched, error: BridgeError, told_s: float | None) -> TryLater:
        """A question without an answer: the ticket stays, and is asked for later and later."""
        watched.troubles += 1
        wait_s = (
            min(backoff_s(watched.troubles, self._chance), LONGEST_TROUBLE_S) if told_s is None else told_s
        )
        watched.due, watched.reserved = self._clock.monotonic() + wait_s, None
        return TryLater(error.message, wait_s=wait_s, remedy=error.remedy)

    def _again_in(self, watched: Watched, now: float, seconds: float) -> None:
        watched.looks += 1
        watched.due, watched.reserved = now + seconds, None

    def _known(self, ticket: Ticket) -> Watched:
        watched = self._watched.get(ticket)
        if watched is None:
            watched = Watched(due=self._clock.monotonic())
        self._remember(ticket, watched)
        return watched

    def _remember(self, ticket: Ticket, watched: Watched) -> None:
        self._watched[ticket] = watched
        self._watched.move_to_end(ticket)
        if len(self._watched) > KEPT_TICKETS:
            self._watched.popitem(last=False)


def _has_main_result(task: Task, found: tuple[results.Found, ...]) -> bool:
    """Whether the result is there that the conversion is made for. Of stems or data: any."""
    main = task.row.results[0].role
    places = results.PLACES.get(task.row.name, ())
    single = any(place.role == main for place in places)
    return any(one.role == main for one in found) if single else bool(found)


def _failure(words: str) -> ChargedFailure:
    said = f": {words.rstrip('.')}" if words else ", and does not say why"
    return ChargedFailure(
        f"MusicGPT could not do it{said}.",
        remedy="`bridge retry JOB` sends it again; that may cost again.",
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None
