"""Addresses of results, each good for a time: a CDN under the server itself."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from bridge.clock import Clock
from bridge.server.compatible.refusals import Refusal

LINK_LIFE_S = 86_400.0
"""As the documentation has it: a day."""

GONE = "The link has expired."


@dataclass
class _Link:
    file: Path
    ends_at: float


class Links:
    """All methods may be called from any thread."""

    def __init__(self, clock: Clock, *, life_s: float = LINK_LIFE_S) -> None:
        self._clock = clock
        self._life_s = life_s
        self._lock = threading.Lock()
        self._links: dict[str, _Link] = {}
        self._newest: dict[Path, str] = {}

    def address(self, file: Path, base: str) -> str:
        """A link to `file` that still holds; a fresh one where the last has expired."""
        now = self._clock.monotonic()
        with self._lock:
            token = self._newest.get(file)
            if token is None or self._links[token].ends_at <= now:
                token = self._newest[file] = uuid.uuid4().hex
                self._links[token] = _Link(file, now + self._life_s)
        return f"{base.rstrip('/')}/cdn/{token}/{quote(file.name)}"

    def find(self, token: str) -> Path:
        """The file behind a link. Raises Refusal: 404 for none, 403 for one that has expired."""
        with self._lock:
            link = self._links.get(token)
        if link is None:
            raise Refusal(404, "There is no such file.")
        if link.ends_at <= self._clock.monotonic():
            raise Refusal(403, GONE)
        return link.file

    def expire(self, token: str) -> None:
        """From now on this link is too old."""
        with self._lock:
            if token in self._links:
                self._links[token].ends_at = self._clock.monotonic()

    def behind(self, address: str) -> Path | None:
        """The file behind an address that is one of ours; None for any other. Raises Refusal as `find`."""
        parts = unquote(urlsplit(address).path).strip("/").split("/")
        with self._lock:
            ours = len(parts) == 3 and parts[0] == "cdn" and parts[1] in self._links  # noqa: PLR2004  cdn, token, name
        return self.find(parts[1]) if ours else None
