"""Time as an argument: code that waits takes a `Clock`, tests give it a `bridge.testing.ManualClock`."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    def monotonic(self) -> float:
        """Seconds that never go backwards; for waiting."""
        ...

    def wall(self) -> float:
        """Seconds since 1970; for what is written down and compared with file times."""
        ...


class SystemClock:
    def monotonic(self) -> float:
        return time.monotonic()

    def wall(self) -> float:
        return time.time()
