"""scripts/run.py: set up, then become the bridge."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from house.process import SetupError, say
from house.setup import House, Wish, prepare

ROOT = Path(__file__).resolve().parents[2]


def run(arguments: Sequence[str], *, house: House | None = None, wish: Wish | None = None) -> int:
    """`bridge` with `arguments` (none = `bridge run`).

    The variable BRIDGE_SET_UP: `only` stops before the start, `again` sets up all anew.
    """
    try:
        python = prepare(house or House(ROOT), wish or Wish())
    except SetupError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Stopped. The next start goes on with the set-up.")
        return 130
    if os.environ.get("BRIDGE_SET_UP") == "only":
        return 0
    # -P: a folder "bridge" where the musician happens to stand is not ours.
    return become([str(python), "-P", "-m", "bridge", *(arguments or ["run"])])


def become(command: Sequence[str]) -> int:
    """Replaces this process where the system can; on Windows waits and hands on the exit code."""
    if os.name == "posix":
        os.execv(command[0], list(command))  # noqa: S606 - an argument list, no shell to want
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue  # the child got it too, and decides when it ends
