"""A sender as the player expects one, and a synthesizer behind it that keeps its own book."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bridge.midi.sounding import Sounding
from bridge.midi.timing import Cut, Emission, Out

Data = tuple[int, ...]


@dataclass
class Synth:
    """What it hears, and what sounds; it asserts that no key is struck twice without a release."""

    heard: list[tuple[float, Data]] = field(default_factory=list)
    sounding: dict[tuple[int, int], int] = field(default_factory=dict)
    set: dict[tuple[int, int, int], int] = field(default_factory=dict)
    strikes: int = 0

    def hear(self, at_s: float, data: Data) -> None:
        self.heard.append((at_s, data))
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == 0x90 and data[2]:
            assert (channel, data[1]) not in self.sounding, f"{data} is struck twice"
            self.sounding[channel, data[1]] = data[2]
            self.strikes += 1
        elif kind in (0x80, 0x90):
            self.sounding.pop((channel, data[1]), None)
        elif kind == 0xB0:
            self.set[kind, channel, data[1]] = data[2]
        elif kind == 0xE0:
            self.set[kind, channel, 0] = data[1] | data[2] << 7
        elif kind in (0xC0, 0xD0):
            self.set[kind, channel, 0] = data[1]

    def notes(self) -> list[tuple[float, int, int]]:
        """(time, key, velocity) of every note-on."""
        return [(at_s, data[1], data[2]) for at_s, data in self.heard if data[0] & 0xF0 == 0x90 and data[2]]


@dataclass
class FarEnd:
    """`take` what the player gives, `flush` what is due by then. One synthesizer a port."""

    synths: Mapping[str, Synth] = field(default_factory=lambda: defaultdict(Synth))
    sounding: Sounding = field(default_factory=Sounding)
    _queue: list[tuple[float, int, Emission]] = field(default_factory=list)
    _count: int = 0
    _last_s: dict[str, float] = field(default_factory=dict)

    def take(self, emissions: Iterable[Emission]) -> None:
        for emission in emissions:
            if isinstance(emission, Cut):
                self._queue = [row for row in self._queue if not _dropped(row[2], emission)]
                heapq.heapify(self._queue)
            else:
                assert emission.at_s >= self._last_s.get(emission.owner, emission.at_s), "back in time"
            self._last_s[emission.owner] = emission.at_s
            self._count += 1
            heapq.heappush(self._queue, (emission.at_s, self._count, emission))

    def flush(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            at_s, _, emission = heapq.heappop(self._queue)
            if isinstance(emission, Out):
                sent = [
                    (emission.port, data)
                    for data in self.sounding.sent(emission.port, emission.owner, emission.data)
                ]
            else:
                sent = self.sounding.silence(owner=emission.owner)
            for port, data in sent:
                self.synths[port].hear(at_s, data)

    @property
    def synth(self) -> Synth:
        return self.synths[""]


def _dropped(emission: Emission, cut: Cut) -> bool:
    return emission.owner == cut.owner and emission.at_s >= cut.at_s
