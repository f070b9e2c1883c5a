"""Waiting with a deadline instead of sleeping for luck."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_S = 30.0


def eventually(
    look: Callable[[], T | None], *, what: str = "", deadline_s: float = DEADLINE_S, every_s: float = 0.005
) -> T:
    """The first true answer of `look`; fails after `deadline_s` with what was waited for."""
    until = time.monotonic() + deadline_s
    while True:
        answer = look()
        if answer:
            return answer
        assert time.monotonic() < until, f"waited {deadline_s:g} s in vain for {what or look}"
        time.sleep(every_s)
