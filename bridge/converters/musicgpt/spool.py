"""Answers that are results themselves: on the disk at once, since they were paid for and come only once."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from bridge.converters.base import Ticket
from bridge.media.whole_files import whole_file

log = logging.getLogger(__name__)

KEPT_S = 30 * 86_400.0
"""So long an answer is kept; its result has long been in the cache by then."""


class Spool:
    """Answers by their tickets. All calls may come from any thread."""

    def __init__(self, folder: Path, now: float) -> None:
        """`now` is the wall clock: what is old goes."""
        self._folder = folder
        self._lock = threading.Lock()
        self._unwritten: dict[Ticket, Mapping[str, Any]] = {}
        for old in folder.glob("*.json"):
            with suppress(OSError):
                if now - old.stat().st_mtime > KEPT_S:
                    old.unlink()

    def keep(self, ticket: Ticket, answer: Mapping[str, Any]) -> None:
        """On the disk when this returns. Where that cannot be, it is kept in memory: it was paid for."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self._place(ticket)) as file:
                file.write(json.dumps(dict(answer)).encode())
        except OSError as error:
            log.warning("an answer of MusicGPT is kept in memory only: %s", error)
            with self._lock:
                self._unwritten[ticket] = dict(answer)

    def find(self, ticket: Ticket) -> Mapping[str, Any] | None:
        """The answer; None where there is none."""
        with self._lock:
            if ticket in self._unwritten:
                return self._unwritten[ticket]
        try:
            answer = json.loads(self._place(ticket).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return answer if isinstance(answer, dict) else None

    def _place(self, ticket: Ticket) -> Path:
        return self._folder / f"{hashlib.sha256(ticket.encode()).hexdigest()[:32]}.json"
