"""`bridge run`: the daemon in the foreground."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.cli import describe, output
from bridge.cli.describe import ports_in_words
from bridge.home import home

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.daemon import Daemon
    from bridge.jobs.records import Event

log = logging.getLogger(__name__)

LOOK_S = 0.25
STOP_WITHIN_S = 1.6
TOLD_STATES = frozenset({"done", "failed", "cancelled", "waiting", "needs_you"})
SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


class Wanted:
    """Whether the daemon shall go on. A signal only sets a flag, so it never cuts anything in half."""

    stopping = False

    def stop(self, *_: Any) -> None:
        self.stopping = True


def run() -> int:
    """Runs the daemon until it is told to stop. Raises ConfigError, HomeInUse."""
    from bridge import config, logs

    began = time.monotonic()
    place = home()
    settings = config.load(place)
    logs.set_up(place, level=settings.log_level, to_terminal=True)
    from bridge.daemon import Daemon

    with _signals() as wanted:
        daemon = Daemon(place, settings)
        daemon.start()
        try:
            with daemon.feed.subscribe() as events:
                _greet(daemon, settings)
                log.info("started in %.2f s", time.monotonic() - began)
                _tell_what_happens(daemon, events, wanted)
        finally:
            _stop(daemon)
    output.say("Stopped.")
    return 0


@contextmanager
def _signals() -> Iterator[Wanted]:
    wanted = Wanted()
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {one: signal.signal(one, wanted.stop) for one in known}
    try:
        yield wanted
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _stop(daemon: Daemon) -> None:
    """In order; a network drive that hangs does not hold it up, since the journal is safe at every moment."""
    late = threading.Timer(STOP_WITHIN_S, _leave_anyway)
    late.daemon = True
    late.start()
    daemon.stop()
    late.cancel()


def _leave_anyway() -> None:
    log.warning("something did not end in %g s; what was under way goes on at the next start", STOP_WITHIN_S)
    sys.stdout.flush()
    os._exit(0)


def _greet(daemon: Daemon, settings: Settings) -> None:
    from bridge import __version__, config

    output.say(f"DAW Bridge {__version__}")
    if not settings.folders:
        path = daemon.home / config.CONFIG_NAME
        output.say(f"There are no folders in {path} yet, so these are used. `bridge init` writes that file.")
    for folder in daemon.folders():
        into = folder.project_folder or "beside the bounce"
        output.say(f"Watching {folder.path}  ({folder.preset} → {into})")
        if not folder.path.is_dir():
            output.note(f"  {folder.path} is not there now; it is waited for.")
    for name, capability in daemon.local.capabilities().items():
        if not capability.available:
            output.note(f"Not possible now: {name}: {capability.why_not}")
    output.say("Bounce something. Ctrl-C stops.")


TOLD_JOBS = 500
"""Of so many jobs it is remembered what was told; stems come within seconds."""
Told = dict[int, set[object]]
"""For each job what was told of it: "waiting", and the keys of its parts."""


def _tell_what_happens(daemon: Daemon, events: queue.Queue[Event], wanted: Wanted) -> None:
    told: Told = {}
    while not wanted.stopping:
        try:
            event = events.get(timeout=LOOK_S)
        except queue.Empty:
            continue
        if event.kind == "job.state" and event.job_id is not None:
            _tell(daemon, event.job_id, str(event.data["state"]), told)
        elif event.kind in OF_THE_MOMENT and (line := OF_THE_MOMENT[event.kind](event.data)):
            output.say(line)


def _ports_line(data: Mapping[str, Any]) -> str:
    if not data["api"]:
        return ""  # a warning of the log has told it
    return f"MIDI: {ports_in_words(data['own'], data['playing_to'], data['listening'])}."


def _playing_line(data: Mapping[str, Any]) -> str:
    job = str(data["playing"]).partition("/")[0]
    return f"Job {job} {data['state']}." if data["state"] in TOLD_PLAYING else ""


TOLD_PLAYING = frozenset({"playing", "armed", "ended", "stopped"})
OF_THE_MOMENT: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "midi.ports": _ports_line,
    "preset.selected": lambda data: f"Preset at hand: {data['preset']}.",
    "playing.state": _playing_line,
}
"""What is told of events that belong to no job; an empty line is none."""


def _tell(daemon: Daemon, job_id: int, state: str, told: Told) -> None:
    """A line for each part that is done, one for a job that failed, and one when it begins to wait."""
    if state not in TOLD_STATES:
        return
    detail = daemon.journal.detail(job_id)
    if detail is None or detail.job.state != state:
        return  # Overtaken: a later event tells it.
    plain = detail.to_json()
    if state == "waiting" and not describe.is_stuck(plain):
        return
    before = told.setdefault(job_id, set())
    if len(told) > TOLD_JOBS:
        told.pop(next(iter(told)))
    lines = describe.one_part_each(plain) if state == "done" else [(state, describe.one_line(plain))]
    for key, line in lines:
        if key not in before:
            before.add(key)
            (output.say if state == "done" else output.note)(line)
            log.info("job %d: %s", job_id, line)
    if state == "done":
        before.discard("waiting")
        _tell_warnings(plain, before)
    elif state in describe.ENDED:
        told.pop(job_id)


def _tell_warnings(job: Mapping[str, Any], before: set[object]) -> None:
    for part in job["parts"]:
        for warning in part["warnings"]:
            if (part["id"], warning) not in before:
                before.add((part["id"], warning))
                output.note(f"  Warning: {Path(part['path']).name}: {warning}")
