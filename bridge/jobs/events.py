"""The one feed of events: pad lights, command line, page and connectors only read it.

What the journal commits arrives here with its id and can be read again later; progress is told and forgotten.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bridge.clock import Clock
from bridge.jobs.records import Event
from bridge.jobs.store import Journal

QUEUE_LENGTH = 10_000


class EventFeed:
    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._subscribers: list[queue.Queue[Event]] = []
        journal.listen(self._publish)

    @contextmanager
    def subscribe(self) -> Iterator[queue.Queue[Event]]:
        """A queue that gets every event from now on. One that is never read loses the newest, no more."""
        events: queue.Queue[Event] = queue.Queue(QUEUE_LENGTH)
        with self._lock:
            self._subscribers.append(events)
        try:
            yield events
        finally:
            with self._lock:
                self._subscribers.remove(events)

    def progress(self, job_id: int, **data: Any) -> None:
        """Tells how far a job is; not kept."""
        self._publish([Event(None, self._clock.wall(), job_id, "progress", data)])

    def tell(self, kind: str, **data: Any) -> None:
        """Tells what is of the moment and of no job; not kept."""
        self._publish([Event(None, self._clock.wall(), None, kind, data)])

    def _publish(self, events: list[Event]) -> None:
        with self._lock:
            for subscriber in self._subscribers:
                for event in events:
                    with contextlib.suppress(queue.Full):
                        subscriber.put_nowait(event)
