"""`bridge voices`: what MusicGPT calls its voices, for `voice_id` in presets."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.cli import output
from bridge.errors import TryLater
from bridge.home import home

if TYPE_CHECKING:
    from bridge.converters.musicgpt import MusicGPTConverter

A_PAGE = 20


def voices(query: str | None, *, page: int, as_json: bool) -> int:
    """Asks for a page of voices; costs nothing. Raises NoKey, TryLater, Rejected."""
    try:
        with _converter() as converter:
            found = converter.voices(query or "", limit=A_PAGE, page=page)
    except TryLater as error:
        # Jobs are tried again by themselves; this is not.
        remedy = "Is this machine online? Then try it again in a while."
        raise TryLater(error.message, wait_s=error.wait_s, remedy=remedy) from error
    if as_json:
        output.say_json(asdict(found))
        return 0
    if not found.voices:
        output.say("There are no such voices." if query else "There are no voices on this page.")
        return 0
    output.table(("voice", "voice_id"), [(one.name, one.id) for one in found.voices])
    seen = page * A_PAGE + len(found.voices)
    if found.total is not None and found.total > seen:
        output.note(f"{found.total - seen} more: --page {page + 1}")
    return 0


@contextmanager
def _converter() -> Iterator[MusicGPTConverter]:
    """One of our own, beside that of a running bridge: it shares no folder with it."""
    from bridge import config
    from bridge.clock import SystemClock
    from bridge.converters.fitting import EngineFitter
    from bridge.converters.musicgpt import MusicGPTConverter
    from bridge.engine.worker import Worker, WorkerOptions
    from bridge.keys import KeyRing

    settings = config.load(home()).musicgpt
    fitter = EngineFitter(Worker("voices", WorkerOptions()))  # never asked, so no process is started
    with tempfile.TemporaryDirectory(prefix="bridge-") as folder:
        converter = MusicGPTConverter(settings, KeyRing().get, fitter, Path(folder), SystemClock())
        try:
            yield converter
        finally:
            converter.close()
