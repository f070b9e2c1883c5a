"""`status`, `history`, `show`: read the journal, whether or not a daemon runs."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from bridge.cli import describe, output
from bridge.cli.connection import DaemonConnection
from bridge.conversions.model import LOCAL
from bridge.errors import BridgeError, WrongUse, from_json
from bridge.home import home
from bridge.jobs.budget import usd_words
from bridge.jobs.model import JOB_OPEN, LISTENING_STEP, JobState
from bridge.jobs.records import plain
from bridge.jobs.store import JOURNAL_NAME
from bridge.jobs.store import connect as open_journal
from bridge.jobs.views import Views
from bridge.owner import OwnerNote, is_owned, read_note

Data = dict[str, Any]


@contextmanager
def journal_views() -> Iterator[Views | None]:
    """The journal, read-only; None where there is none yet."""
    path = home() / JOURNAL_NAME
    if not path.exists():
        yield None
        return
    with contextlib.closing(open_journal(path, read_only=True)) as connection:
        yield Views(connection)


# status


def status(*, as_json: bool) -> int:
    facts: Data = {"home": str(home()), **_daemon_facts()}
    with journal_views() as journal:
        facts["jobs"] = journal.counts() if journal else {}
        facts["open"] = [plain(job) for job in journal.jobs(limit=10, states=JOB_OPEN)] if journal else []
    if as_json:
        output.say_json(facts)
    else:
        for line in _status_lines(facts):
            output.say(line)
    return 0


def _daemon_facts() -> Data:
    """`running`, and what the daemon says of itself where it can be asked."""
    note = read_note(home())
    told: Data | None = None
    if note is not None and note.port:
        with contextlib.suppress(BridgeError):
            told = DaemonConnection(home(), note).status(timeout_s=2.0)
    if told is not None and note is not None:
        wanted = ("version", "pid", "folders", "engine", "controls")
        return {"running": True, **_where(note), **{key: told[key] for key in wanted}}
    running = is_owned(home())
    return {"running": running, **(_where(note) if running and note else {})}


def _where(note: OwnerNote) -> Data:
    return {"pid": note.pid, "host": note.host, "port": note.port, "started_at": note.started_at}


def _status_lines(facts: Mapping[str, Any]) -> Iterator[str]:
    yield f"Home: {facts['home']}"
    if not facts["running"]:
        yield "The bridge is not running. Start it: bridge run"
    elif "pid" in facts:
        reach = f", control API on {facts['host']}:{facts['port']}" if facts["port"] else ""
        yield f"The bridge is running since {_when(facts['started_at'])} (process {facts['pid']}{reach})."
    else:
        yield "A bridge is at work on this home."
    for folder in facts.get("folders", ()):
        problem = f"  {folder['problem']}" if folder["problem"] else ""
        yield f"Folder {folder['folder']}: {folder['state']}{problem}"
    if "engine" in facts:
        yield from _engine_lines(facts["engine"])
    if "controls" in facts:
        yield from _controls_lines(facts["controls"])
    counts = [f"{number} {describe.WORDS.get(state, state)}" for state, number in facts["jobs"].items()]
    yield f"Jobs: {', '.join(counts) or 'none yet'}"
    for job in facts["open"]:
        yield f"  {job['id']}  {job['bounce']}  {describe.WORDS[job['state']]}"
    if not facts["running"] and {"queued", "running", "waiting"} & set(facts["jobs"]):
        yield "What is in the queue, at work or waiting goes on when the bridge is started."


def _engine_lines(engine: Mapping[str, Any]) -> Iterator[str]:
    state = "warm" if engine["running"] else "asleep, starts with the next bounce"
    if engine["paused"]:
        state = "paused; it goes on with: bridge trigger pause on=false"
    yield f"Engine: {state}" + (f", restarted {engine['restarts']} times" if engine["restarts"] else "")
    for name, one in engine["conversions"].items():
        if not one["available"]:
            yield f"  {name} is not possible: {one['why_not']}"


def _controls_lines(controls: Mapping[str, Any]) -> Iterator[str]:
    """MIDI, keys, and what is at hand."""
    if not controls["enabled"]:
        yield "MIDI: turned off"
    elif controls["why"]:
        yield f"MIDI: {_sentences(controls['why'], controls['remedy'])}"
    elif controls["api"]:
        ports = (controls[name] for name in ("own_ports", "playing_to", "listening"))
        yield f"MIDI ({controls['api']}): {describe.ports_in_words(*ports)}"
    else:
        yield "MIDI: starting"
    clock, keys = controls["clock"], controls["hotkeys"]
    if clock is not None:
        state = "running" if clock["running"] else "stopped"
        yield f"Clock: {clock['source']}, {clock['bpm']:.1f} BPM, {state}"
    if keys is not None and keys["why"]:
        yield f"Hotkeys: {'ready, but ' if keys['ready'] else ''}{_sentences(keys['why'], keys['remedy'])}"
    yield f"Preset at hand: {controls['preset']}"
    if slots := sorted(controls["slots"].items(), key=lambda one: int(one[0])):
        yield f"Slots: {', '.join(f'{slot}: job {job}' for slot, job in slots)}"
    yield from dict.fromkeys(
        f"  job {name.partition('/')[0]} {state}" for name, state in controls["playing"].items()
    )


def _sentences(*texts: str) -> str:
    """One after the other, each with its full stop."""
    return " ".join(f"{text.rstrip('.')}." for text in texts if text)


def _when(wall_s: float) -> str:
    then, now = datetime.fromtimestamp(wall_s).astimezone(), datetime.fromtimestamp(time.time()).astimezone()
    return then.strftime("%H:%M:%S" if then.date() == now.date() else "%Y-%m-%d %H:%M")


# history


def history(*, limit: int, state: str | None, before: int | None, as_json: bool) -> int:
    states = None if state is None else [_state(state)]
    with journal_views() as journal:
        jobs = journal.jobs(limit=limit, states=states, before=before) if journal else []
        if as_json:
            output.say_json([plain(job) for job in jobs])
            return 0
        if not jobs:
            output.say("No jobs yet." if state is None and before is None else "No such jobs.")
            return 0
        rows = [_history_row(journal.detail(job.id)) for job in jobs] if journal else []
    output.table(("job", "when", "bounce", "preset", "state", "results"), rows)
    return 0


def _state(text: str) -> JobState:
    try:
        return JobState(text.replace("-", "_"))
    except ValueError:
        known = ", ".join(JobState)
        raise WrongUse(f"there is no state {text!r}.", remedy=f"Known: {known}.") from None


def _history_row(detail: Any) -> tuple[str, ...]:
    job = detail.to_json()
    whys = [describe.why_and_remedy(error, job["id"]) for error in describe.errors_of(job)[:1]]
    what = describe.results_in_short(job) if job["state"] == "done" else "".join(whys)
    return (
        str(job["id"]),
        _when(job["created_at"]),
        describe.bounce_names(job),
        job["preset"],
        describe.WORDS[job["state"]],
        what,
    )


# show


def show(job_id: int, *, as_json: bool) -> int:
    with journal_views() as journal:
        detail = journal.detail(job_id) if journal and job_id < 2**63 else None
    if detail is None:
        raise WrongUse(f"there is no job {job_id}.", remedy="`bridge history` lists them.")
    data = detail.to_json()
    if as_json:
        output.say_json(data)
    else:
        for line in _show_lines(data):
            output.say(line)
    return 0


def _show_lines(job: Data) -> Iterator[str]:
    yield f"Job {job['id']}: {describe.bounce_names(job)}, {describe.WORDS[job['state']]}"
    begun = BEGUN.get(job["trigger"], f"by {job['trigger']}")
    yield f"  begun {_when(job['created_at'])} {begun}, preset {job['preset']}"
    yield f"  results go to {job['project_folder']}"
    for name, value in job["overrides"].items():
        yield f"  with {name} = {json.dumps(value) if isinstance(value, bool) else value}"
    for part in job["parts"]:
        yield f"Bounce {part['path']}"
        if part["source"]:
            facts = part["source"]
            channels = "1 channel" if facts["channels"] == 1 else f"{facts['channels']} channels"
            yield f"  {facts['duration_s']:.2f} s, {facts['rate_hz']} Hz, {channels}"
        yield from (f"  Warning: {warning}" for warning in part["warnings"])
        yield from _error_lines(part, job["id"])
    for one in job["conversions"]:
        cached = ", from the cache" if one["cached"] else ""
        step = (
            f"Step {one['step']}" if one["step"] != LISTENING_STEP else "Listening, as nobody tells the tempo"
        )
        yield f"{step}: {one['conversion']} by {one['converter']}, {_words(one)}{cached}"
        yield from _money_lines(one)
        yield from _error_lines(one, job["id"])
    for one in job["deliveries"]:
        where = one["final_path"] or Path(job["project_folder"])
        where = "to the MIDI port" if one["kind"] == "stream" else where
        yield f"Delivery {where}: {_words(one)}" + (f", {one['note']}" if one["note"] else "")
        yield from _error_lines(one, job["id"])


BEGUN = {
    "folder": "by a bounce into the watched folder",
    "cli": "on the command line",
    "hand": "by hand",
    "redeliver": "to deliver it again",
}
STEP_WORDS = {
    "queued": "in the queue",
    "pending": "in the queue",
    "submitting": "at work",
    "running": "at work",
    "fetching": "at work",
    "writing": "being written",
    "asking": "waits for your answer",
    "unknown": "nobody knows whether it arrived",
    "waiting_retry": "waiting",
}
"""States of a step or a delivery that their own name does not tell."""


def _words(row: Mapping[str, Any]) -> str:
    words = STEP_WORDS.get(row["state"], str(row["state"]).replace("_", " "))
    again = row["state"] == "waiting_retry" and row["retry_at"] is not None
    return words + (f" (next try {_when(row['retry_at'])})" if again else "")


def _money_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """What a conversion elsewhere was to cost, what it costs, and what it is called there."""
    quoted, cost = row.get("quote_usd"), row.get("cost_usd")
    told = [f"quoted {usd_words(quoted)}"] if quoted is not None else []
    told += [f"cost {usd_words(cost)}"] if cost is not None else []
    if row["converter"] != LOCAL and row["ticket"]:
        told.append(f"ticket {row['ticket']}")
    if told:
        yield f"  {', '.join(told)}"


def _error_lines(row: Mapping[str, Any], job_id: int) -> Iterator[str]:
    # An error that was waited out or given up says what is not so any more.
    if row["error"] and row.get("state") not in ("done", "cancelled"):
        yield f"  {describe.why_and_remedy(from_json(row['error']), job_id)}"
