"""What is known of a Link session between two looks at it, as a `timing.BeatClock`. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridge.midi.pulses import Pulses

JUMP_S = 0.03
"""A tempo that another one changes is heard some milliseconds late and shifts the beat less than this. What
shifts it more is another place: a session that was joined, or a beat that somebody forced."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A look at a session: the `beat` at `at_s`, its tempo, and whether it plays."""

    at_s: float
    beat: float
    bpm: float
    playing: bool


class LinkLine:
    """A session's time goes on whether anybody plays or not, and many programs never say start or stop.

    So it counts as running, until the first start or stop is said in the session: from then on those count.
    """

    def __init__(self, reading: Reading) -> None:
        self._last = reading
        self._told = reading.playing
        self._running = True
        self._stood_at = reading.beat
        self._jumps = 0
        self._pulses = Pulses(self.time_of, reading.beat)

    @property
    def running(self) -> bool:
        return self._running

    @property
    def bpm(self) -> float:
        return self._last.bpm

    @property
    def jumps(self) -> int:
        return self._jumps

    def read(self, reading: Reading, *, told: bool = False) -> None:
        """`told`: we have just said start or stop ourselves."""
        expected = self._session_beat(reading.at_s)
        self._told = self._told or told or reading.playing
        running = reading.playing or not self._told
        if self._running and not running:
            self._stood_at = reading.beat
        moved = abs(reading.beat - expected) * 60 / self._last.bpm > JUMP_S
        started = reading.playing and not self._last.playing
        if running != self._running or (running and (moved or started)):
            self._jumps += 1
            self._pulses.restart(reading.beat)
        self._last, self._running = reading, running

    def beat_at(self, at_s: float) -> float:
        return self._session_beat(at_s) if self._running else self._stood_at

    def time_of(self, beat: float) -> float:
        if not self._running:
            return math.inf
        return self._last.at_s + (beat - self._last.beat) * 60 / self._last.bpm

    def pulses(self, after_s: float, until_s: float) -> list[float]:
        """As `Pulses.take`."""
        return self._pulses.take(after_s, until_s)

    def _session_beat(self, at_s: float) -> float:
        return self._last.beat + (at_s - self._last.at_s) * self._last.bpm / 60
