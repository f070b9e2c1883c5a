"""Musical time of the MIDI process: by an external 24-ppqn clock, or by our own. Pure.

Both fulfil `timing.BeatClock`: beats are quarter notes since the song's bar 1, times are seconds of the
process, always given as arguments (MIDI 1.0 Detailed Specification: System Real Time, Song Position Pointer).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from bridge.midi.messages import INTERNAL
from bridge.midi.pulses import TICKS_A_BEAT, Pulses
from bridge.midi.tap import TapTempo
from bridge.midi.ticks import TickLine

__all__ = ["COMMON_TIME", "ClockFollower", "FreeClock", "Meter", "TapTempo"]

SLOWEST_BPM, FASTEST_BPM = 20.0, 400.0
_SIXTEENTHS_A_BEAT = 4
_DEFAULT_BPM = 120.0
# Silence of the clock beyond both is a clock that stands.
_SILENCE_S, _SILENT_TICKS = 0.5, 12
_MOST_BEATS, _UNITS = 64, (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class Meter:
    """So many `beats` of a `unit` (4: quarter notes) are a bar."""

    beats: int = 4
    unit: int = 4

    @classmethod
    def named(cls, text: str) -> Meter:
        """A meter as it is written, such as "6/8". Raises ValueError in plain words."""
        beats, _, unit = text.partition("/")
        meter = cls(*(int(part) if part.strip().isdecimal() else 0 for part in (beats, unit)))
        if not 1 <= meter.beats <= _MOST_BEATS or meter.unit not in _UNITS:
            raise ValueError(f'"{text}" is no meter: write it like 4/4, 3/4 or 6/8')
        return meter

    @property
    def name(self) -> str:
        return f"{self.beats}/{self.unit}"

    @property
    def beats_a_bar(self) -> float:
        """In quarter notes."""
        return self.beats * 4 / self.unit


COMMON_TIME = Meter()


class ClockFollower:
    """The clock that comes in at a port.

    `running` from the first tick after Start or Continue on, for that tick is the beat; until then it stands
    where it will begin. `grid_s`: how far apart the moments are at which the port is looked at, such as the
    JACK period; a tick is taken to have come half of it earlier.
    """

    def __init__(self, source: str, meter: Meter = COMMON_TIME, *, grid_s: float = 0.0) -> None:
        self.meter = meter
        self._source = source
        self._line = TickLine(grid_s)
        self._early_s = grid_s / 2
        self._jumps = 0
        self._running = self._awaited = False
        # Beat and number of a tick: while it stands, of the next one that counts.
        self._origin_beat, self._origin = 0.0, 0
        self._bpm = _DEFAULT_BPM
        self._stood_at = 0.0

    @property
    def source(self) -> str:
        return self._source

    @property
    def running(self) -> bool:
        return self._running

    @property
    def bpm(self) -> float:
        """Also of ticks that come while the song stands; the last that was known if none do."""
        return self._bpm

    @property
    def jumps(self) -> int:
        return self._jumps

    @property
    def silence_s(self) -> float:
        """Without a tick for so long, the clock stands."""
        return max(_SILENCE_S, _SILENT_TICKS * self._line.period_s)

    def tick(self, at_s: float) -> None:
        """F8."""
        at_s -= self._early_s
        self._mind_silence(at_s)
        if self._awaited:
            self._line.downbeat(at_s)
            self._origin = self._line.number
            self._awaited, self._running = False, True
            self._jumps += 1
        else:
            self._line.tick(at_s)
        if self._line.period_s:
            self._bpm = 60 / (TICKS_A_BEAT * self._line.period_s)

    def start(self, at_s: float) -> None:
        """FA: the next tick is beat 0."""
        self._await(0.0, at_s)

    def go_on(self, at_s: float) -> None:
        """FB: the next tick follows the one at which it stopped, or is where the song position says."""
        if not self._running:
            self._await(self._origin_beat, at_s)

    def stop(self, at_s: float) -> None:
        """FC: it stands where it is."""
        if self._running:
            self._stand(self.beat_at(at_s))
        elif self._awaited:
            self._awaited = False
            self._jumps += 1

    def song_position(self, sixteenths: int, at_s: float) -> None:
        """F2: the next tick that counts is there; while it runs, that is the very next one."""
        self._mind_silence(at_s)
        self._origin_beat = self._stood_at = sixteenths / _SIXTEENTHS_A_BEAT
        self._origin = self._line.number + 1
        self._jumps += 1

    def lost(self, now: float) -> bool:
        """Whether it has just fallen silent. Then it stands; when ticks come back it goes on from there."""
        if not self._running or now - self._line.last_s <= self.silence_s:
            return False
        self._stand(self._next_beat())
        self._awaited = True
        return True

    def beat_at(self, at_s: float) -> float:
        if not self._running:
            return self._stood_at
        return max(self._floor(), self._beat(self._line.number_at(at_s)))

    def time_of(self, beat: float) -> float:
        if not self._running:
            return math.inf
        return self._line.time_of(self._origin + (beat - self._origin_beat) * TICKS_A_BEAT)

    def _beat(self, number: float) -> float:
        return self._origin_beat + (number - self._origin) / TICKS_A_BEAT

    def _floor(self) -> float:
        return self._origin_beat

    def _next_beat(self) -> float:
        return self._beat(self._line.number + 1)

    def _await(self, beat: float, at_s: float) -> None:
        self._mind_silence(at_s)
        self._origin_beat = self._stood_at = beat
        self._running, self._awaited = False, True
        self._jumps += 1

    def _stand(self, beat: float) -> None:
        following = self._next_beat()
        self._origin_beat, self._stood_at = following, min(beat, following)
        self._running = False
        self._jumps += 1

    def _mind_silence(self, now: float) -> None:
        """What was known of the phase and the tempo is worth nothing after a silence."""
        self.lost(now)
        if now - self._line.last_s > self.silence_s:
            self._line.forget()


class FreeClock:
    """Our own clock. It stands at beat 0 until it is started."""

    source = INTERNAL

    def __init__(self, bpm: float = _DEFAULT_BPM) -> None:
        self._bpm = _checked(bpm)
        self._jumps = 0
        self._running = False
        self._beat, self._since_s = 0.0, 0.0
        self._pulses = Pulses(self.time_of, self._beat)

    @property
    def running(self) -> bool:
        return self._running

    @property
    def bpm(self) -> float:
        return self._bpm

    @property
    def jumps(self) -> int:
        return self._jumps

    def start(self, at_s: float) -> None:
        """From beat 0."""
        self._jump(0.0, at_s, running=True)

    def go_on(self, at_s: float) -> None:
        if not self._running:
            self._jump(self._beat, at_s, running=True)

    def stop(self, at_s: float) -> None:
        if self._running:
            self._jump(self.beat_at(at_s), at_s, running=False)

    def locate(self, beat: float, at_s: float) -> None:
        """Goes there, and on if it was running. Raises ValueError for a place before the song."""
        if not 0 <= beat < math.inf:
            raise ValueError(f"there is no beat {beat} in a song")
        self._jump(beat, at_s, running=self._running)

    def set_tempo(self, bpm: float, at_s: float) -> None:
        """Changes the tempo at the beat where it is. Raises ValueError for a tempo that cannot be."""
        bpm = _checked(bpm)
        self._beat, self._since_s = self.beat_at(at_s), at_s
        self._bpm = bpm

    def beat_at(self, at_s: float) -> float:
        if not self._running:
            return self._beat
        return self._beat + max(0.0, at_s - self._since_s) * self._bpm / 60

    def time_of(self, beat: float) -> float:
        if not self._running:
            return math.inf
        return self._since_s + (beat - self._beat) * 60 / self._bpm

    def pulses(self, after_s: float, until_s: float) -> list[float]:
        """As `Pulses.take`."""
        return self._pulses.take(after_s, until_s)

    def _jump(self, beat: float, at_s: float, *, running: bool) -> None:
        self._beat, self._since_s, self._running = beat, at_s, running
        self._pulses.restart(beat)
        self._jumps += 1


def _checked(bpm: float) -> float:
    if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        raise ValueError(f"a tempo must be in range {SLOWEST_BPM:g} to {FASTEST_BPM:g} BPM, not {bpm:g}")
    return bpm
