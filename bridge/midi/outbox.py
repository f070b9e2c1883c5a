"""What is going to be sent: in the order of time, each port by its latency, and booked as sounding. Pure.

Whatever leaves, leaves here, so what ends a note is known at every moment.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping

from bridge.midi import port_names
from bridge.midi.board import Board
from bridge.midi.sounding import Sounding, everything_off
from bridge.midi.status import Data
from bridge.midi.timing import Cut, Emission, Out

_Entry = tuple[float, int, float, str, str, Data | None]
"""When it is handed over, a number that keeps the order, when it is due, owner, port, and the message.

No message: the owner is silenced at that port.
"""
_Test = Callable[[_Entry], bool]


class Outbox:
    def __init__(self, board: Board) -> None:
        self._board = board
        self._sounding = Sounding()
        self._heap: list[_Entry] = []
        self._numbers = 0
        self._latency_ms: Mapping[str, float] = {}
        self._delays: dict[str, float] = {}
        self._ports: set[str] = set()
        self._stale: set[str] = set()

    def configure(self, latency_ms: Mapping[str, float]) -> None:
        """For name patterns: so many milliseconds earlier everything is sent there."""
        self._latency_ms = dict(latency_ms)
        self._delays.clear()

    def ahead_s(self) -> float:
        """So long before its time a message may have to be known."""
        return max((self._early_s(port) + self._board.lead_s(port) for port in self._ports), default=0.0)

    def add(self, emission: Emission) -> None:
        if isinstance(emission, Out):
            for port in self._board.targets(emission.port):
                self.put(emission.at_s, emission.owner, port, emission.data)
        else:
            self.cut(emission)

    def put(self, at_s: float, owner: str, port: str, data: Data | None) -> None:
        """One message for one port, by its real name."""
        self._ports.add(port)
        due_s = at_s - self._early_s(port)
        self._numbers += 1
        heapq.heappush(
            self._heap, (due_s - self._board.lead_s(port), self._numbers, due_s, owner, port, data)
        )

    def cut(self, cut: Cut) -> None:
        """Drops what an owner has not sent by then, and lets nothing of it sound on."""
        self._drop(lambda entry: entry[3] == cut.owner and entry[2] > cut.at_s - self._early_s(entry[4]))
        for port in sorted(self._ports):
            self.put(cut.at_s, cut.owner, port, None)

    def flush(self, now: float) -> None:
        """Sends what is due."""
        while self._heap and self._heap[0][0] <= now:
            _, _, due_s, owner, port, data = heapq.heappop(self._heap)
            self._send(port, owner, data, due_s)

    def next_at(self) -> float:
        return self._heap[0][0] if self._heap else math.inf

    def silence_all(self, now: float, ports: Iterable[str] = ()) -> None:
        """Drops everything, and silences every channel of each port that was played to, and of `ports`."""
        self._heap.clear()
        for port, data in self._sounding.silence():
            self._board.send(port, data, now)
        for port in sorted(self._ports | set(ports)):
            self._all_off(port, now)

    def gone(self, port: str) -> None:
        """The port was unplugged: what is still to go there is dropped, what sounds there is forgotten."""
        self._drop(lambda entry: entry[4] == port)
        self._sounding.forget(port)
        self._delays.pop(port, None)
        if port in self._ports:
            self._ports.discard(port)
            self._stale.add(port)

    def is_stale(self, port: str) -> bool:
        """Whether it was unplugged while it was played to; asked once, when it is back."""
        was = port in self._stale
        self._stale.discard(port)
        return was

    def reset(self, port: str, now: float) -> None:
        """Silences every channel of a port that may sound from before."""
        for data in everything_off():
            self.put(now, "", port, data)

    def _all_off(self, port: str, now: float) -> None:
        for data in everything_off():
            self._board.send(port, data, now)

    def _send(self, port: str, owner: str, data: Data | None, due_s: float) -> None:
        if data is None:
            sent = [one for _, one in self._sounding.silence(port, owner)]
        else:
            sent = self._sounding.sent(port, owner, data)
        for one in sent:
            self._board.send(port, one, due_s)

    def _drop(self, is_dropped: _Test) -> None:
        kept = [entry for entry in self._heap if not is_dropped(entry)]
        if len(kept) < len(self._heap):
            heapq.heapify(kept)
            self._heap = kept

    def _early_s(self, port: str) -> float:
        if port not in self._delays:
            found = (ms for pattern, ms in self._latency_ms.items() if port_names.matches(port, pattern))
            self._delays[port] = next(found, 0.0) / 1000
        return self._delays[port]
