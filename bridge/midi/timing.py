"""What plays, lights and heart share: a clock in beats, and what is to be sent when. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class BeatClock(Protocol):
    """Musical time. Beats are quarter notes since the song's bar 1; times are seconds of the MIDI process."""

    @property
    def source(self) -> str:
        """Whose word it is: "internal", "link", or the port that the clock comes from."""
        ...

    @property
    def running(self) -> bool: ...

    @property
    def bpm(self) -> float: ...

    @property
    def jumps(self) -> int:
        """Goes up with each start, stop, continue and locate: whoever plays must find its place anew."""
        ...

    def beat_at(self, at_s: float) -> float:
        """The beat at a time, also a little ahead of now. While stopped: where it stands."""
        ...

    def time_of(self, beat: float) -> float:
        """When a beat will be (or was), by what is known now; `math.inf` while stopped."""
        ...


@dataclass(frozen=True, slots=True)
class Out:
    """One message: at `at_s`, on behalf of `owner` (a playing's id), to `port` (empty: our own)."""

    at_s: float
    owner: str
    port: str
    data: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cut:
    """What `owner` has not sent yet is dropped, and what it lets sound is silenced, at `at_s`."""

    at_s: float
    owner: str


Emission = Out | Cut
