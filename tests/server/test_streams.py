"""The stream of events at its seam: from what the journal kept to what happens now."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

from bridge.errors import AudioError
from bridge.jobs.events import EventFeed
from bridge.jobs.records import Event
from bridge.jobs.store import Journal
from bridge.server.streams import HELLO, Streams, as_bytes
from bridge.testing import ManualClock
from support.journals import request_of


def test_what_happens_during_the_replay_comes_once(tmp_path: Path) -> None:
    clock = ManualClock()
    with closing(Journal(tmp_path / "journal.sqlite3", clock=clock)) as journal:
        feed = EventFeed(journal, clock)

        def happen() -> None:
            path = tmp_path / "x.wav"
            journal.create_job(request_of(path), {}, None, [], error=AudioError("no audio.", file=path))

        async def read() -> bytes:
            streams = Streams(feed, journal)
            streams.start()
            happen()
            reading = streams.read(after=0)
            assert await anext(reading) == HELLO
            happen()  # now it is in the journal, and on its way to the live stream
            feed.progress(9, fraction=1.0)
            found = b"".join([await anext(reading) for _ in range(2)])
            streams.stop()
            assert [rest async for rest in reading] == []
            return found

        found = asyncio.run(read())
    heads = [line for line in found.splitlines() if line.startswith((b"id:", b"event: progress"))]
    assert heads == [b"id: 1", b"id: 2", b"id: 3", b"id: 4", b"event: progress"]


def test_an_event_as_the_standard_has_it() -> None:
    kept = Event(7, 1.5, 3, "job.state", {"state": "done", "note": "two\nlines"})
    head, kind, data, *rest = as_bytes(kept).split(b"\n")
    assert (head, kind) == (b"id: 7", b"event: job.state")
    assert data.startswith(b'data: {"id": 7, "at": 1.5, "job": 3, "kind": "job.state"')
    assert rest == [b"", b""]
    assert as_bytes(Event(None, 1.5, 3, "progress", {})).startswith(b"event: progress\n")
