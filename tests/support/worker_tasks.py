"""An engine process whose tasks do what the worker's tests need: wait, grow, crash, ignore a cancel."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.engine.tasks import TaskContext
from bridge.engine.worker_process import main
from bridge.errors import AudioError

DEADLINE_S = 60.0


def _echo(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    return {"said": arguments["say"], "pid": os.getpid(), "threads": context.threads}


def _steps(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    for step in range(arguments["count"]):
        context.check()
        context.progress(step / arguments["count"], f"step {step}")
        time.sleep(arguments["each_s"])
    return "through"


def _until_cancelled(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    until = time.monotonic() + DEADLINE_S
    context.progress(0.5, "waiting to be cancelled")
    while time.monotonic() < until:
        context.check()
        time.sleep(0.01)
    return "nobody cancelled"


def _deaf(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    context.progress(0.5, "not listening")
    time.sleep(DEADLINE_S)


def _grow(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    kept = []
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        kept.append(os.urandom(8 << 20))
        time.sleep(0.01)
    return len(kept)


def _die(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    os._exit(arguments.get("code", 9))


def _leave_once(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    """As a process that was idle for long and goes just as work comes."""
    marker = Path(arguments["marker"])
    if not marker.exists():
        marker.touch()
        os._exit(0)
    return "done"


def _refuse(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    raise AudioError("no audio.", file="loop.wav", remedy="Bounce it again.")


def _stumble(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    raise ZeroDivisionError("unforeseen")


def _no_room(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def _no_memory(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    raise MemoryError


def _chatty(arguments: Mapping[str, Any], context: TaskContext) -> Any:
    print("a library talks on stdout")  # noqa: T201  that is the case under test
    sys.stdout.flush()
    subprocess.run([sys.executable, "-c", "print('and so does its child')"], check=True)
    return "still understood"


if __name__ == "__main__":
    main(
        {
            "echo": _echo,
            "steps": _steps,
            "until_cancelled": _until_cancelled,
            "deaf": _deaf,
            "grow": _grow,
            "die": _die,
            "leave_once": _leave_once,
            "refuse": _refuse,
            "stumble": _stumble,
            "no_room": _no_room,
            "no_memory": _no_memory,
            "chatty": _chatty,
        },
        load_ahead=lambda: None,
    )
