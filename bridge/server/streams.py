"""The feed of events as server-sent events: what the journal kept since an id, then what happens, as it does.

One thread carries events from the feed into the server's loop, for however many streams there are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import queue
import threading
from collections.abc import AsyncIterator

from bridge.jobs.events import EventFeed
from bridge.jobs.records import Event
from bridge.jobs.views import Views

HEARTBEAT_S = 15.0
HEARTBEAT = b": still here\n\n"
HELLO = b": from here on\n\n"
"""The first thing on a stream. Whoever has read it misses nothing that happens later."""

REPLAY_BATCH = 500
STREAM_LENGTH = 2_000
"""Events that wait for a slow reader. One further behind is cut off; it comes back with its last id."""

Stream = asyncio.Queue[Event | None]
_LAST = Event(None, 0.0, None, "stop", {})
"""Ends the thread; nobody gets to see it."""


class Streams:
    """`start` and `stop` are called within the server's loop."""

    def __init__(self, feed: EventFeed, journal: Views) -> None:
        self._feed = feed
        self._journal = journal
        self._streams: set[Stream] = set()
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._events: queue.Queue[Event] | None = None
        self._thread = threading.Thread(target=self._carry, name="event streams", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        """Ends all streams, behind what has happened so far."""
        self._stopping.set()
        if self._events is not None:
            self._events.put(_LAST)
        self._thread.join()
        self._loop.call_soon(self._end_all)  # what the thread has handed over comes first

    def _carry(self) -> None:
        with self._feed.subscribe() as events:
            self._events = events
            self._ready.set()
            while (event := events.get()) is not _LAST:
                if self._streams:
                    with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                        self._loop.call_soon_threadsafe(self._spread, event)

    def _end_all(self) -> None:
        for stream in list(self._streams):
            self._end(stream)

    def _spread(self, event: Event) -> None:
        for stream in list(self._streams):
            if stream.qsize() < STREAM_LENGTH:
                stream.put_nowait(event)
            else:
                self._end(stream)

    def _end(self, stream: Stream) -> None:
        self._streams.discard(stream)
        stream.put_nowait(None)

    async def read(self, after: int | None) -> AsyncIterator[bytes]:
        """The stream's bytes: events with an id above `after` first (None: none of them), then live."""
        stream: Stream = asyncio.Queue()
        if self._stopping.is_set():
            return
        self._streams.add(stream)
        try:
            yield HELLO
            last = after
            while last is not None:
                batch = await asyncio.to_thread(self._journal.events_since, last, REPLAY_BATCH)
                if not batch:
                    break
                yield b"".join(map(as_bytes, batch))
                last = batch[-1].id
            async for event in _until_ended(stream):
                # What was replayed may have come in live meanwhile.
                if event is None:
                    yield HEARTBEAT
                elif event.id is None or last is None or event.id > last:
                    yield as_bytes(event)
        finally:
            self._streams.discard(stream)


async def _until_ended(stream: Stream) -> AsyncIterator[Event | None]:
    """Live events; None each time when there was none for long."""
    while True:
        try:
            event = await asyncio.wait_for(stream.get(), HEARTBEAT_S)
        except TimeoutError:
            yield None
            continue
        if event is None:
            return
        yield event


def as_bytes(event: Event) -> bytes:
    """One event as the standard has it (WHATWG HTML, "Server-sent events")."""
    head = f"id: {event.id}\n" if event.id is not None else ""
    return f"{head}event: {event.kind}\ndata: {json.dumps(event.to_json())}\n\n".encode()
