"""The life of a task: accepted, worked on, over. The work itself is the answerer's."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal

from bridge.clock import Clock
from bridge.errors import BridgeError
from bridge.server.compatible.answering import Answerer, Asked, Made
from bridge.server.compatible.plans import Account
from bridge.server.compatible.refusals import Refusal

log = logging.getLogger(__name__)

Status = Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "ERROR"]

QUEUED_SHARE = 0.25
"""This part of its time a task waits in the queue."""
AT_ONCE = 8
INSIDE = "Something went wrong while it was processed."


def fresh_id() -> str:
    return str(uuid.uuid4())


@dataclass(eq=False)
class Task:
    """One accepted request."""

    asked: Asked
    account: Account
    conversion_ids: tuple[str, ...]
    base: str
    """The server's address, as this client wrote it."""
    webhook_url: str = ""
    credit: float = 0.0
    fails_with: str | None = None
    """Why it shall fail, where that was asked for."""
    failed_word: Status = "FAILED"
    callbacks_each: int = 1
    id: str = field(default_factory=fresh_id)
    created_at: float = 0.0
    updated_at: float = 0.0
    due: float = 0.0
    """On the monotonic clock: before that it is not over."""
    queued_until: float = 0.0
    made: tuple[Made, ...] | None = None
    error: str | None = None

    def status(self, now: float) -> Status:
        if (self.made is None and self.error is None) or now < self.due:
            return "IN_QUEUE" if now < self.queued_until else "IN_PROGRESS"
        return "COMPLETED" if self.error is None else self.failed_word

    def is_over(self, now: float) -> bool:
        return self.status(now) not in ("IN_QUEUE", "IN_PROGRESS")


class Tasks:
    """`on_over` is called, from another thread, when a task's outcome is known; it counts from `due` on.

    All methods may be called from any thread.
    """

    def __init__(
        self, answerer: Answerer, clock: Clock, *, pace_s: float, on_over: Callable[[Task], None]
    ) -> None:
        self._answerer = answerer
        self._clock = clock
        self._pace_s = pace_s
        self._on_over = on_over
        self._lock = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._open: list[Task] = []
        self._crew = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="conversion")

    @property
    def eta(self) -> int:
        """Whole seconds, as the API has them."""
        return round(self._pace_s)

    def begin(self, task: Task) -> None:
        """Accepts a task. Raises Refusal 429 where the account has no place for it."""
        category = task.asked.conversion.category
        with self._lock:
            now = self._clock.monotonic()
            self._open = [one for one in self._open if not one.is_over(now)]
            taken = sum(
                one.account.key == task.account.key and one.asked.conversion.category == category
                for one in self._open
            )
            if category and taken >= task.account.allowance.places:
                raise Refusal(429, "Too many parallel requests for your plan.")
            self._open.append(task)
            task.created_at = task.updated_at = self._clock.wall()
            task.due, task.queued_until = now + self._pace_s, now + QUEUED_SHARE * self._pace_s
            for name in (task.id, *task.conversion_ids):
                self._tasks[name] = task
        self._crew.submit(self._work, task)

    def at_once(self, task: Task) -> None:
        """Does it while the client waits. Raises Refusal where it fails."""
        task.created_at = task.updated_at = self._clock.wall()
        self._do(task)
        if task.error is not None:
            raise Refusal(424, task.error)
        with self._lock:
            self._tasks[task.id] = task

    def find(self, name: str, fits: Callable[[Task], bool]) -> Task:
        """The task with this id, or that has this conversion, if it `fits`. Raises Refusal 404."""
        with self._lock:
            task = self._tasks.get(name)
        if task is None or not fits(task):
            raise Refusal(404, "Conversion not found.")
        return task

    def forget(self) -> None:
        """No task is known any more; those under way end unseen."""
        with self._lock:
            self._tasks.clear()
            self._open.clear()

    def stop(self) -> None:
        """Returns when nobody works any more. The answerer must have ended."""
        self._crew.shutdown(wait=True, cancel_futures=True)

    def _work(self, task: Task) -> None:
        self._do(task)
        self._on_over(task)

    def _do(self, task: Task) -> None:
        if task.fails_with is not None:
            task.error = task.fails_with
            return
        try:
            task.made = self._answerer.answer(task.asked)
        except BridgeError as error:
            task.error = f"{error.message} {error.remedy}".strip()
        except Exception:
            log.exception("%s failed", task.asked.conversion.name)
            task.error = INSIDE
        task.updated_at = max(self._clock.wall(), task.created_at)
