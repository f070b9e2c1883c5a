"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations


def main() -> None:
    """The program `bridge`. Ends the process: 0 done, 1 failed, 2 wrong use."""
    import sys
    import threading

    from bridge.cli import output
    from bridge.cli.app import run

    threading.excepthook = output.tell_thread
    sys.exit(run(sys.argv[1:]))
