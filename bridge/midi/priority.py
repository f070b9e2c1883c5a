"""Makes the MIDI process's loop come first: what it does is little, but it must be done in time.

Each system has its own way, and where it is not allowed, things go on without: the loop is then a little less
exact on a busy machine.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

FIFO_PRIORITY = 5
"""Far below JACK's own, above everything that is not real-time."""
NICE = -11
_QOS_USER_INTERACTIVE = 0x21
_HIGH_PRIORITY_CLASS, _TIME_CRITICAL = 0x80, 15
_WINDOWS_TIMER_MS = 1


def raise_priority() -> str:
    """Raises the calling thread's priority, on Linux also of those that it starts. Says what was possible."""
    if sys.platform == "win32":
        return _on_windows()
    if sys.platform == "darwin":
        return _on_mac()
    return _on_linux()


def _on_linux() -> str:
    sched: Any = os
    try:
        sched.sched_setscheduler(0, sched.SCHED_FIFO, sched.sched_param(FIFO_PRIORITY))
    except (OSError, AttributeError) as fault:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)  # type: ignore[attr-defined,unused-ignore]
        except (OSError, AttributeError):
            return f"normal priority ({fault}); being in the group that may use real-time helps"
        return f"nice {NICE}"
    return "real-time priority"


def _on_mac() -> str:
    try:
        failed = ctypes.CDLL(None).pthread_set_qos_class_self_np(_QOS_USER_INTERACTIVE, 0)
    except (OSError, AttributeError) as fault:
        return f"normal priority ({fault})"
    return "normal priority" if failed else "user-interactive priority"


def _on_windows() -> str:
    try:
        windll = ctypes.windll  # type: ignore[attr-defined,unused-ignore]
        windll.winmm.timeBeginPeriod(_WINDOWS_TIMER_MS)
        kernel = windll.kernel32
        kernel.SetPriorityClass(kernel.GetCurrentProcess(), _HIGH_PRIORITY_CLASS)
        raised = kernel.SetThreadPriority(kernel.GetCurrentThread(), _TIME_CRITICAL)
    except (OSError, AttributeError) as fault:
        return f"normal priority ({fault})"
    return "time-critical priority" if raised else "normal priority"
