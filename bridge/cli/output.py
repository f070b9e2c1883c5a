"""What the command line prints: data to stdout, everything else to stderr, errors in plain words."""

from __future__ import annotations

import json
import logging
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError
from bridge.keys import hidden

if TYPE_CHECKING:
    from rich.console import Console


def prepare_streams() -> None:
    """Output that the terminal's encoding cannot show is replaced, not raised."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def say(text: str = "") -> None:
    """A line of results."""
    sys.stdout.write(f"{hidden(text)}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """A line beside the results."""
    sys.stderr.write(f"{hidden(text)}\n")
    sys.stderr.flush()


def say_json(data: Any) -> None:
    say(json.dumps(data, indent=2, ensure_ascii=not _writes_unicode()))


def _writes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def tell_error(error: BridgeError) -> None:
    """What happened, in which file, what to do."""
    where = f" in {error.file}" if error.file else ""
    lines = [f"Error{where}: {error.message}", *([error.remedy] if error.remedy else [])]
    note("\n  ".join(lines))


def tell_unexpected(error: BaseException) -> None:
    """One plain line; the traceback goes into the log."""
    from bridge import logs
    from bridge.home import home

    folder = home() / "logs"
    try:
        logs.set_up(home(), level="info", to_terminal=False)
        logging.getLogger("bridge.cli").error("the command %s failed", " ".join(sys.argv[1:]), exc_info=error)
        where = f"{folder / logs.LOG_NAME} has the details."
    except OSError:
        where = f"No log could be written to {folder}."
    note(f"Error: something went wrong inside the bridge ({type(error).__name__}: {error}). {where}")


def tell_thread(end: threading.ExceptHookArgs) -> None:
    """A thread that ended by accident: a line here instead of a traceback, which goes into the log."""
    if end.exc_value is None or end.exc_type is SystemExit:
        return
    name = end.thread.name if end.thread else "?"
    logging.getLogger("bridge.cli").error("the thread %s has ended", name, exc_info=end.exc_value)
    note(f"Error: something went wrong inside the bridge ({end.exc_type.__name__}: {end.exc_value}).")


def is_terminal() -> bool:
    """True where somebody sits who can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Asks on the terminal; whatever is not a clear yes is a no."""
    sys.stderr.write(f"{hidden(question)} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().casefold() in ("y", "yes")


def console(*, stderr: bool = False) -> Console:
    """A console that never reads markup into file names; wide where nobody sees it."""
    from rich.console import Console

    width = None if (sys.stderr if stderr else sys.stdout).isatty() else 200
    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, width=width)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout."""
    from rich.table import Table

    drawn = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        drawn.add_row(*row)
    console().print(drawn)
