"""The runner: takes each open row of the journal one step further, whenever its time has come.

One thread decides what is next, a small pool does it. What is in memory here is only who is busy; everything
else is in the journal, so a restart goes on where the last life ended.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Literal

from bridge.clock import Clock
from bridge.converters.base import Converter, Lane, Ticket
from bridge.errors import StaleJobError
from bridge.jobs.conversion_steps import ConversionSteps
from bridge.jobs.model import ConversionState
from bridge.jobs.records import ConversionRecord, DeliveryRecord
from bridge.jobs.store import Journal

log = logging.getLogger(__name__)

C = ConversionState
POOL_SIZE = 40
"""Threads are made when they are needed. Uploads and downloads wait for the line, and nobody for them."""
DELIVERIES_AT_ONCE = 2
LONGEST_SLEEP_S = 30.0
STUMBLED_S = 0.5
LONGEST_ASIDE_S = 60.0
"""A row that stumbles is set aside for STUMBLED_S, twice as long each time, at most for this long."""

Kind = Literal["conversion", "delivery"]
Key = tuple[Kind, int]
Places = Mapping[int, tuple[str, str]]
"""Conversions that take a place: the converter and the conversion's name of each."""
ACTIVE = (C.SUBMITTING, C.RUNNING, C.FETCHING, C.WAITING_RETRY)


class Runner:
    """Owns the pool. `start` takes up what an earlier life left; `stop` leaves the rest to the next one."""

    def __init__(
        self,
        journal: Journal,
        steps: ConversionSteps,
        converters: Mapping[str, Converter],
        deliver: Callable[[DeliveryRecord], None],
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._steps = steps
        self._converters = converters
        self._deliver = deliver
        self._clock = clock
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[Key] = set()
        self._stumbles: dict[Key, int] = {}
        self._starting: dict[int, tuple[str, str]] = {}
        """Queued conversions that are being submitted, with converter and name: they take a place already."""
        self._changed: set[Ticket] = set()
        self._pool = ThreadPoolExecutor(POOL_SIZE, thread_name_prefix="runner")
        self._thread = threading.Thread(target=self._run, name="runner", daemon=True)

    def start(self) -> None:
        self._steps.take_up_after_restart()
        for converter in self._converters.values():
            converter.watch(self._ticket_changed)
        self._journal.listen(lambda _events: self._wake.set())
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._steps.sending.stop()
        self._wake.set()
        self._thread.join()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def wake(self) -> None:
        self._wake.set()

    def _ticket_changed(self, ticket: Ticket) -> None:
        with self._lock:
            self._changed.add(ticket)
        self._wake.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            try:
                sleep_s = self._until_next(after=self._tick())
            except Exception:
                log.exception("the runner stumbled; it goes on")
                sleep_s = 1.0
            self._wake.wait(sleep_s)

    def _tick(self) -> float:
        """Hands out what is due; gives the time that it took for now."""
        now = self._clock.wall()
        with self._lock:
            changed, self._changed = self._changed, set()
        for conversion in self._journal.conversions_of_tickets(changed):
            work = partial(self._steps.advance, conversion)
            if not self._dispatch("conversion", conversion.id, work):
                # Busy: it may be past the point where it asked. Looked at again when it is through.
                with self._lock:
                    self._changed.add(Ticket(conversion.ticket or ""))
        for conversion in self._journal.due_conversions(now, POOL_SIZE * 4, states=ACTIVE):
            self._dispatch("conversion", conversion.id, partial(self._steps.advance, conversion))
        for conversion in self._startable(now):
            with self._lock:
                self._starting[conversion.id] = (conversion.converter, conversion.conversion)
            self._dispatch("conversion", conversion.id, partial(self._steps.advance, conversion))
        for delivery in self._journal.due_deliveries(now, DELIVERIES_AT_ONCE):
            self._dispatch("delivery", delivery.id, partial(self._deliver, delivery))
        return now

    def _startable(self, now: float) -> Iterable[ConversionRecord]:
        """Queued conversions for which their converter has a place free, and those that have no converter."""
        with self._lock:
            starting = dict(self._starting)
        # Asked after that: a row that has started meanwhile has its new state in the journal by now.
        taken = {**starting, **self._journal.in_flight()}
        for name, converter in self._converters.items():
            for lane in converter.lanes():
                yield from self._of_lane(now, name, lane, starting, taken)
        yield from self._journal.queued_without_converter(now, self._converters, POOL_SIZE)

    def _of_lane(
        self, now: float, name: str, lane: Lane, starting: Places, taken: Places
    ) -> list[ConversionRecord]:
        free = lane.places - sum(_is_in(lane, name, one) for one in taken.values())
        if free <= 0:
            return []
        limit = free + len(starting)
        queued = self._journal.queued_conversions(now, name, limit, only=lane.conversions)
        return [row for row in queued if row.id not in starting][:free]

    def _until_next(self, *, after: float) -> float:
        """What is due already and was not handed out has no place yet: its wake comes when one is free."""
        retry_at = self._journal.next_retry_at(after)
        if retry_at is None:
            return LONGEST_SLEEP_S
        return min(LONGEST_SLEEP_S, max(0.01, retry_at - self._clock.wall()))

    def _dispatch(self, kind: Kind, row_id: int, work: Callable[[], Any]) -> bool:
        key: Key = (kind, row_id)
        with self._lock:
            if key in self._busy or self._stopping.is_set():
                return False
            self._busy.add(key)
        self._pool.submit(self._do, key, work)
        return True

    def _do(self, key: Key, work: Callable[[], Any]) -> None:
        try:
            work()
            self._stumbles.pop(key, None)
        except StaleJobError:
            log.debug("%s %s was changed by somebody else meanwhile", *key)
        except Exception:
            log.exception("%s %s stumbled; it is tried again", *key)
            self._set_aside(key)
        finally:
            with self._lock:
                self._busy.discard(key)
                if key[0] == "conversion":
                    self._starting.pop(key[1], None)
            self._wake.set()

    def _set_aside(self, key: Key) -> None:
        """Whatever is wrong may take a while to pass, and the row must not stand in the way of others."""
        stumbles = self._stumbles[key] = self._stumbles.get(key, 0) + 1
        wait_s = min(STUMBLED_S * 2 ** min(stumbles, 10), LONGEST_ASIDE_S)
        try:
            self._journal.set_aside(*key, self._clock.wall() + wait_s)
        except Exception:
            log.exception("%s %s cannot even be set aside", *key)
            # Not at once and not all together.
            self._stopping.wait(random.uniform(0.5, 1.5))  # noqa: S311  no secret


def _is_in(lane: Lane, converter: str, row: tuple[str, str]) -> bool:
    return row[0] == converter and (lane.conversions is None or row[1] in lane.conversions)
