"""A player on a stage: a clock, simulated time that goes by in small steps, and a far end that hears it."""

from __future__ import annotations

from typing import Any

from bridge.midi.clock import FreeClock
from bridge.midi.messages import Begin, Play
from bridge.midi.player import Player
from bridge.midi.sequence import Sequence
from bridge.midi.timing import BeatClock, Emission
from support.far_end import FarEnd
from support.midi_songs import Row, song_bytes

AHEAD_S = 0.02


def song(*tracks: list[Row], length: float = 0.0) -> Sequence:
    return Sequence.read(song_bytes(*tracks, length=length), "song.mid")


def order(name: str = "a", **options: Any) -> Play:
    return Play(name, "song.mid", **options)


class Stage:
    """A clock at 120 BPM (a beat is half a second), a player, and a far end that hears what is due."""

    def __init__(self, clock: BeatClock | None = None, *, ahead_s: float = AHEAD_S) -> None:
        self.free = FreeClock(120)
        self.clock: BeatClock = clock or self.free
        self.player = Player(4.0)
        self.far = FarEnd()
        self.now = 0.0
        self.ahead_s = ahead_s
        self.given: list[Emission] = []

    def play(self, sequence: Sequence, name: str = "a", **options: Any) -> None:
        self.player.add(order(name, **options), sequence, self.clock, self.now)

    def begin(self, name: str = "a", **options: Any) -> None:
        self.player.begin(Begin(name, **options), self.clock, self.now)

    def until(self, end_s: float, step_s: float = 0.005) -> None:
        """Time goes by; at its end everything due is given and heard."""
        while True:
            given = self.player.advance(self.clock, self.now, self.now + self.ahead_s)
            self.given += given
            self.far.take(given)
            self.far.flush(self.now)
            if self.now >= end_s:
                return
            self.now = min(end_s, self.now + step_s)

    def notes(self) -> list[tuple[float, int]]:
        return [(round(at_s, 4), key) for at_s, key, _ in self.far.synth.notes()]

    def told(self) -> list[tuple[str, str]]:
        return [(told.id, told.state) for told in self.player.told()]

    @property
    def sounding(self) -> list[int]:
        return sorted(key for _, key in self.far.synth.sounding)
