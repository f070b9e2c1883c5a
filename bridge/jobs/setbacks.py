"""What becomes of a conversion that could not go on: tried again after a while, or failed."""

from __future__ import annotations

from typing import Any

from bridge.clock import Clock
from bridge.errors import BridgeError, NotSent, TryLater, WorkerDied
from bridge.jobs.model import ConversionState
from bridge.jobs.records import ConversionRecord
from bridge.jobs.store import Journal

C = ConversionState

MAX_ATTEMPTS = 3
FIRST_RETRY_S = 0.5

TRY_AGAIN = (NotSent, TryLater, WorkerDied)
"""Errors after which the same is tried again, at most MAX_ATTEMPTS times (TryLater: without end)."""


class Setbacks:
    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def not_accepted(
        self,
        conversion: ConversionRecord,
        state: ConversionState,
        error: BridgeError,
        *,
        resume: ConversionState,
        without_end: bool = False,
        **fields: Any,
    ) -> bool:
        """Waits and goes on with `resume`, or fails. False, as every step that has nothing more to do."""
        endless = without_end or isinstance(error, TryLater)
        if not isinstance(error, TRY_AGAIN) or (conversion.attempt + 1 >= MAX_ATTEMPTS and not endless):
            return self.fail(conversion, error, state=state)
        wait_s = FIRST_RETRY_S * 2 ** min(conversion.attempt, 7)
        if isinstance(error, TryLater):
            wait_s = max(error.wait_s, FIRST_RETRY_S)
        self._journal.move_conversion(
            conversion.id,
            state,
            C.WAITING_RETRY,
            error=error,
            resume=str(resume),
            attempt=conversion.attempt + 1,
            retry_at=self._clock.wall() + wait_s,
            **fields,
        )
        return False

    def fail(
        self, conversion: ConversionRecord, error: BridgeError, *, state: ConversionState | None = None
    ) -> bool:
        self._journal.move_conversion(conversion.id, state or conversion.state, C.FAILED, error=error)
        return False
