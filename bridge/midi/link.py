"""Ableton Link as a clock: tempo, beat and start/stop shared with every program on the network that has it.

Through aalink (extra `link`). Its times are the system's monotonic clock, as ours are, but on Linux not the
same one, so the beat is read between two looks at our clock.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from bridge.errors import BridgeError
from bridge.midi.link_line import LinkLine, Reading

LOOK_EVERY_S = 0.02
SLOWEST_BPM, FASTEST_BPM = 20.0, 999.0
READ_TIMES = 5
CLOSE_ENOUGH_S = 20e-6
"""A beat that was read within this span of our clock is taken; we try a few times, and take the closest."""


def look() -> BridgeError | None:
    """Why Link cannot be used here; None: it can."""
    if importlib.util.find_spec("aalink") is None:
        return _missing("Ableton Link is not installed here")
    return None


def _missing(why: str) -> BridgeError:
    return BridgeError(why, remedy='Install it with: pip install "daw-bridge[link]"')


class LinkClock:
    """A `timing.BeatClock` that follows a Link session, and sets its tempo and its start and stop.

    `poll` looks at the session and wants to be called every `LOOK_EVERY_S`; in between the beat goes on by
    the tempo that was seen. With nobody else there, the session is ours alone. Between a start and the bar
    line on which the song begins, beats are negative: they count in.
    """

    source = "link"

    def __init__(
        self, bpm: float = 120.0, quantum: float = 4.0, *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        """Joins the session that is there, or begins one at `bpm`. `quantum` is the length of a bar in beats.

        Raises BridgeError where aalink is missing.
        """
        self._clock = clock
        self._session = _joined(_checked(bpm), quantum)
        self._line = LinkLine(self._read())
        self._playing = bool(self._session.playing)

    def close(self) -> None:
        """Leaves the session."""
        self._session.enabled = False

    @property
    def running(self) -> bool:
        return self._line.running

    @property
    def bpm(self) -> float:
        return self._line.bpm

    @property
    def jumps(self) -> int:
        return self._line.jumps

    @property
    def peers(self) -> int:
        """How many others are in the session."""
        return int(self._session.num_peers)

    @property
    def quantum(self) -> float:
        return float(self._session.quantum)

    def beat_at(self, at_s: float) -> float:
        return self._line.beat_at(at_s)

    def time_of(self, beat: float) -> float:
        return self._line.time_of(beat)

    def pulses(self, after_s: float, until_s: float) -> list[float]:
        """As `Pulses.take`."""
        return self._line.pulses(after_s, until_s)

    def poll(self) -> None:
        """Looks at the session. Takes some microseconds."""
        playing = bool(self._session.playing)
        if playing and not self._playing:
            # Somebody said start: the song begins on the session's next bar line, for us too.
            self._session.request_beat_at_start_playing_time(0.0)
        self._playing = playing
        self._line.read(self._read())

    def set_quantum(self, quantum: float) -> None:
        """The length of a bar in beats: what the peers' bar lines are matched by."""
        self._session.quantum = quantum
        self.poll()

    def set_tempo(self, bpm: float, at_s: float) -> None:  # noqa: ARG002  the session's tempo changes now
        """Sets the tempo of everybody in the session. Raises ValueError for a tempo that cannot be."""
        self._session.tempo = _checked(bpm)
        self.poll()

    def start(self, at_s: float) -> None:
        """Everybody starts, with beat 0 on the session's first bar line from `at_s` on."""
        self._say(playing=True, at_s=at_s, beat=0.0)

    def go_on(self, at_s: float) -> None:  # noqa: ARG002  Link knows a start now, or one at a bar line
        """Everybody starts; beats count on."""
        self._session.playing = True
        self._said(playing=True)

    def stop(self, at_s: float) -> None:
        """Everybody stops."""
        if self.running:
            self._say(playing=False, at_s=at_s, beat=self.beat_at(at_s))

    def _say(self, *, playing: bool, at_s: float, beat: float) -> None:
        before_s = self._clock()
        ahead = timedelta(seconds=at_s - before_s)
        self._session.set_is_playing_and_request_beat_at_time(playing, self._session.time + ahead, beat)
        self._said(playing=playing)

    def _said(self, *, playing: bool) -> None:
        self._playing = playing
        self._line.read(self._read(), told=True)

    def _read(self) -> Reading:
        """The session as it is, at the middle of the narrowest span of our clock."""
        spans: list[tuple[float, float, float]] = []
        for _ in range(READ_TIMES):
            before_s, beat, after_s = self._clock(), self._session.beat, self._clock()
            spans.append((after_s - before_s, (before_s + after_s) / 2, beat))
            if after_s - before_s <= CLOSE_ENOUGH_S:
                break
        _, at_s, beat = min(spans)
        session = self._session
        return Reading(at_s=at_s, beat=float(beat), bpm=float(session.tempo), playing=bool(session.playing))


def _joined(bpm: float, quantum: float) -> Any:
    if (missing := look()) is not None:
        raise missing
    try:
        aalink = importlib.import_module("aalink")
    except (ImportError, OSError) as fault:
        raise _missing(f"Ableton Link does not start ({fault})") from fault
    session = _in_a_loop(lambda: aalink.Link(bpm))
    session.quantum = quantum
    session.start_stop_sync_enabled = True
    session.enabled = True
    return session


def _in_a_loop(make: Callable[[], Any]) -> Any:
    """aalink is only made within asyncio. Its loop is for callbacks, of which we have none: we look."""

    async def made() -> Any:
        return make()

    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(made())
    finally:
        loop.close()


def _checked(bpm: float) -> float:
    if not SLOWEST_BPM <= bpm <= FASTEST_BPM:
        raise ValueError(f"a tempo must be in range {SLOWEST_BPM:g} to {FASTEST_BPM:g} BPM, not {bpm:g}")
    return bpm
