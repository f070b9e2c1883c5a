"""Which messages of controllers go on to the through port. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bridge.midi.clock_choice import CLOCK_BYTES

ECHO_S = 0.05
_FIRST_REALTIME = 0xF8


class Through:
    """A DAW that gives back at one port what it got at another must not start a circle."""

    def __init__(self) -> None:
        self._passed: dict[tuple[int, ...], tuple[str, float]] = {}

    def passes(self, port: str, data: Sequence[int], at_s: float) -> bool:
        if not data or data[0] >= _FIRST_REALTIME or data[0] in CLOCK_BYTES:
            return False
        message = tuple(data)
        before = self._passed.get(message)
        if before is not None and before[0] != port and at_s - before[1] < ECHO_S:
            return False
        if len(self._passed) > 256:  # noqa: PLR2004  only what is young counts
            self._passed = {one: when for one, when in self._passed.items() if at_s - when[1] < ECHO_S}
        self._passed[message] = port, at_s
        return True
