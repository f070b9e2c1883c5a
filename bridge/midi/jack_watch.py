"""What only JACK itself can tell, by JACK-Client: that the server has ended, what is joined, what is there.

RtMidi notices none of it: it sends into a dead server until its buffer is full, then blocks for ever.
This client has no process callback, so it takes no part in the server's cycle.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
from collections.abc import Callable, Collection
from typing import Any

from bridge.midi.messages import Joined

log = logging.getLogger(__name__)

SHUTDOWN, CHANGED = "shutdown", "changed"
SERVER_PROGRAMS = frozenset({"jackd", "jackdbus", "pipewire"})
PIDS_EVERY_S = 0.1


def load() -> Any:
    """The module, or None where JACK-Client or the JACK library is not there."""
    try:
        import jack
    except (ImportError, OSError) as fault:
        log.info("JACK-Client cannot be used: %s", fault)
        return None
    jack.set_error_function(lambda text: log.debug("JACK: %s", text))
    jack.set_info_function(lambda text: log.debug("JACK: %s", text))
    return jack


class ServerPids:
    """Notices that the server has ended where JACK-Client is missing: by its process."""

    def __init__(self) -> None:
        import psutil

        self._exists = psutil.pid_exists
        self._looked_at = -math.inf
        self._gone = False
        wanted = os.environ.get("JACK_DEFAULT_SERVER", "default")
        programs = [
            (one.info["pid"], one.info["cmdline"] or [])
            for one in psutil.process_iter(["pid", "name", "cmdline"])
            if one.info["name"] in SERVER_PROGRAMS
        ]
        named = [pid for pid, command in programs if wanted in command or f"-n{wanted}" in command]
        self._pids = named or [pid for pid, _ in programs]

    def gone(self, now: float) -> bool:
        if now >= self._looked_at + PIDS_EVERY_S:
            self._looked_at = now
            self._gone = self._gone or not all(map(self._exists, self._pids))
        return self._gone


class JackWatch:
    """One look at a JACK server, until it ends. Raises OSError where there is none.

    `on_news` is called from JACK's own threads with SHUTDOWN or CHANGED and must only set something.
    """

    def __init__(self, module: Any, name: str, on_news: Callable[[str], None]) -> None:
        self._jack = module
        self.is_dead = False
        self._unplugged: set[str] = set()
        self._on_news = on_news
        try:
            self._client = module.Client(name, no_start_server=True)
        except module.JackOpenError as fault:
            raise OSError(f"no JACK server answers ({fault})") from fault
        self._client.set_shutdown_callback(self._ended)
        self._client.set_port_registration_callback(self._registered, only_available=False)
        self._client.set_port_connect_callback(self._connected, only_available=False)
        self._client.activate()

    @property
    def period_s(self) -> float:
        return float(self._client.blocksize) / float(self._client.samplerate)

    def sources(self) -> list[str]:
        return self._names(is_output=True)

    def sinks(self) -> list[str]:
        return self._names(is_input=True)

    def unplugged(self) -> set[str]:
        """Ports that went away since this was last asked, though they may be back already."""
        gone, self._unplugged = self._unplugged, set()
        return gone

    def joined(self, own: Collection[str]) -> Joined:
        """Every connection of the ports with these full names, sorted."""
        pairs: set[tuple[str, str]] = set()
        for name in own:
            with contextlib.suppress(self._jack.JackError):
                port = self._client.get_port_by_name(name)
                others = [other.name for other in self._client.get_all_connections(port)]
                pairs.update((name, other) if port.is_output else (other, name) for other in others)
        ordered = sorted(pairs)
        return Joined(tuple(source for source, _ in ordered), tuple(sink for _, sink in ordered))

    def join(self, source: str, sink: str) -> bool:
        """Connects two ports; False where one of them is not there."""
        try:
            self._client.connect(source, sink)
        except self._jack.JackErrorCode as fault:
            return self._already(fault)
        except self._jack.JackError:
            return False
        return True

    def close(self) -> None:
        """Only for a server that lives: of a dead one nothing must be touched."""
        if not self.is_dead:
            self._client.close()

    def _already(self, fault: Any) -> bool:
        import errno

        return int(fault.code) == errno.EEXIST

    def _names(self, **which: bool) -> list[str]:
        try:
            return [port.name for port in self._client.get_ports(is_midi=True, **which)]
        except self._jack.JackError:
            return []

    # In JACK's threads

    def _ended(self, _status: Any, reason: str) -> None:
        self.is_dead = True
        log.warning("the JACK server has ended (%s)", reason)
        self._on_news(SHUTDOWN)

    def _registered(self, port: Any, register: bool) -> None:  # noqa: FBT001  JACK-Client's signature
        if port is not None and not register:
            self._unplugged.add(port.name)
        self._on_news(CHANGED)

    def _connected(self, *_: Any) -> None:
        self._on_news(CHANGED)
