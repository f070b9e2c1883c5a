"""How long a message needs out of one port and back into another. Pure.

The probe is controller 119 on channel 16, which nothing listens to, and which is as long as a note.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from bridge.midi.messages import Measured

CONTROLLER, CHANNEL_16 = 119, 0xBF
LOST_AFTER_S = 0.25
PAUSE_S, UNEVEN_S = 0.007, 0.00137
"""The pause grows by a little each time, so that no period of the system is hit at the same place twice."""
FRUITLESS = 8
"""So many probes lost at the beginning: there is no loop."""
_VALUES = 128


class Measuring:
    """One measurement. `output` and `input` are names of ports."""

    def __init__(self, output: str, input_port: str, count: int) -> None:
        self.output, self.input = output, input_port
        self._left = count
        self._times_ms: list[float] = []
        self._lost = 0
        self._number = 0
        self._sent_at: float | None = None
        self._next_at = -math.inf

    def heard(self, port: str, data: Sequence[int], at_s: float) -> bool:
        """Whether this was our probe coming back."""
        if port != self.input or list(data[:2]) != [CHANNEL_16, CONTROLLER]:
            return False
        if self._sent_at is not None and data[2] == self._number:
            self._times_ms.append((at_s - self._sent_at) * 1000)
            self._done(at_s)
        return True

    def due(self, now: float) -> tuple[int, ...] | None:
        """The probe to send right now."""
        if self._sent_at is not None and now >= self._sent_at + LOST_AFTER_S:
            self._lost += 1
            self._done(now)
        if self._sent_at is not None or now < self._next_at or self.is_over():
            return None
        self._number = (self._number + 1) % _VALUES
        self._sent_at = now
        return (CHANNEL_16, CONTROLLER, self._number)

    def next_at(self) -> float:
        return self._next_at if self._sent_at is None else self._sent_at + LOST_AFTER_S

    def is_over(self) -> bool:
        fruitless = not self._times_ms and self._lost >= FRUITLESS
        return self._left <= 0 or fruitless

    def result(self) -> Measured:
        why = (
            "" if self._times_ms else f"nothing that was sent to “{self.output}” came back at “{self.input}”"
        )
        return Measured(self.output, self.input, tuple(self._times_ms), self._lost, why)

    def _done(self, now: float) -> None:
        self._left -= 1
        self._sent_at = None
        self._next_at = now + PAUSE_S + UNEVEN_S * (self._left % 5)
