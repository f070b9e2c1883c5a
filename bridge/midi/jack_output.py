"""Output at the exact frame, by JACK-Client: a message leaves where in JACK's period its time asks for.

RtMidi puts all messages at the beginning of a period, so its error is up to one period. Here a callback in
JACK's real-time thread, which is Python and therefore as short as can be, takes what is due from a queue.
A message that comes too late for its frame leaves at the earliest one.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from bridge.midi.status import Data

SLACK_S = 0.004
"""How late our own thread may be, besides the period that must be known beforehand."""
_WRAP = 1 << 32
_SMOOTH = 0.05
_DRIFT_FRAMES, _ANCHOR_ANEW_FRAMES = 12.0, 96.0
"""How far the two clocks may drift apart; and what is no drift any more, but an xrun."""


class FrameMap:
    """Turns seconds of our clock into JACK's frames, which a sound card counts. Pure.

    Between the two clocks stands a whole number of frames that is only corrected when they have drifted a
    quarter of a millisecond apart: so intervals are exact, and places stay so. Frames never wrap here.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz = rate_hz
        self._origin_s: float | None = None
        self._origin = 0
        self._error = 0.0

    def note(self, at_s: float, frame: int) -> None:
        """Both clocks at one moment."""
        if self._origin_s is None:
            self._origin_s, self._origin = at_s, frame
            return
        error = frame - self._exactly(at_s)
        if abs(error) > _ANCHOR_ANEW_FRAMES:  # an xrun, or the computer slept
            self._origin, self._error = self._origin + round(error), 0.0
            return
        self._error += _SMOOTH * (error - self._error)
        if abs(self._error) > _DRIFT_FRAMES:
            step = round(self._error)
            self._origin += step
            self._error -= step

    def frame(self, at_s: float) -> int:
        return round(self._exactly(at_s))

    def _exactly(self, at_s: float) -> float:
        assert self._origin_s is not None
        return self._origin + (at_s - self._origin_s) * self._rate_hz


class JackOutput:
    """One JACK client with as many outputs as are opened."""

    def __init__(self, module: Any, name: str, now: Callable[[], float] = time.perf_counter) -> None:
        """Raises OSError where no server answers."""
        self._jack = module
        self._now = now
        try:
            self._client = module.Client(name, no_start_server=True)
        except module.JackOpenError as fault:
            raise OSError(f"no JACK server answers ({fault})") from fault
        self._ports: tuple[_ExactPort, ...] = ()
        self._map = FrameMap(float(self._client.samplerate))
        self._frame = 0
        self._client.set_process_callback(self._process)
        self._client.set_shutdown_callback(lambda *_: None)
        self._client.activate()

    @property
    def lead_s(self) -> float:
        return float(self._client.blocksize) / float(self._client.samplerate) + SLACK_S

    def open(self, name: str, *, connect_to: str = "") -> _ExactPort:
        """A new output. Raises OSError."""
        try:
            port = _ExactPort(self, self._client.midi_outports.register(name))
            self._ports = (*self._ports, port)
            if connect_to:
                self._client.connect(port.own, connect_to)
        except self._jack.JackError as fault:
            raise OSError(str(fault)) from fault
        return port

    def close_port(self, port: _ExactPort) -> None:
        self._ports = tuple(one for one in self._ports if one is not port)
        port.own.unregister()

    def frame_of(self, at_s: float) -> int:
        """The frame of a time; each call also compares the two clocks."""
        before = self._now()
        frame = self._unwrapped(self._client.frame_time)
        after = self._now()
        if after - before < 0.0005:  # noqa: PLR2004  else something came between
            self._map.note((before + after) / 2, frame)
        return self._map.frame(at_s)

    def close(self) -> None:
        self._client.deactivate()
        self._client.close()

    def _unwrapped(self, frame: int) -> int:
        """JACK counts 32 bits, which is a day at 48 kHz."""
        self._frame += ((frame - self._frame + _WRAP // 2) % _WRAP) - _WRAP // 2
        return self._frame

    def _process(self, frames: int) -> None:
        start = self._client.last_frame_time
        for port in self._ports:
            port.write(start, frames)


class _ExactPort:
    def __init__(self, client: JackOutput, own: Any) -> None:
        self.own = own
        self._client = client
        self._queue: deque[tuple[int, bytes]] = deque()
        self._last = 0

    @property
    def lead_s(self) -> float:
        return self._client.lead_s

    def send(self, data: Data, at_s: float) -> None:
        """Messages leave in the order of these calls, so none leaves before one that was sent earlier."""
        frame = max(self._client.frame_of(at_s), self._last)
        self._last = frame
        self._queue.append((frame, bytes(data)))

    def write(self, start: int, frames: int) -> None:
        """In JACK's thread: what belongs into the period that begins at frame `start` (32 bits)."""
        own, queue = self.own, self._queue
        own.clear_buffer()
        while queue:
            offset = (queue[0][0] - start + _WRAP // 2) % _WRAP - _WRAP // 2
            if offset >= frames:
                return
            own.write_midi_event(max(offset, 0), queue.popleft()[1])

    def close(self) -> None:
        self._client.close_port(self)
