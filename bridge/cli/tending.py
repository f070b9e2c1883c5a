"""`cancel` and `trigger`: things that are done at once."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bridge.cli import output
from bridge.cli.connection import connect, daemon_at
from bridge.cli.convert import pairs
from bridge.errors import BridgeError
from bridge.home import home
from bridge.jobs.budget import usd_words

PATHS = ("file", "to")
"""Arguments that are paths: seen from where the command is called, not from where the daemon runs."""


def cancel(job: int | None, *, as_json: bool) -> int:
    with connect(home()) as connection:
        result = connection.act("cancel", {} if job is None else {"job": job})
        detail = connection.detail(int(result["job"]))
    tickets = result.get("tickets", [])
    if as_json:
        output.say_json({**(detail or {}), "tickets": tickets})
    elif detail is not None:
        ended = {"done": "was done already", "failed": "had failed already"}
        output.say(f"Job {detail['id']} {ended.get(detail['state'], 'is cancelled')}.")
        for line in map(going_on, tickets):
            output.note(line)
    return 0


def going_on(ticket: Mapping[str, Any]) -> str:
    """What a conversion that is given up goes on to cost where it runs."""
    usd = ticket["usd"]
    price = "; what it costs is not known" if usd is None else f", for about {usd_words(usd)}"
    kept = f"Its ticket is kept: {ticket['ticket']}." if ticket["ticket"] else ""
    return f"  {ticket['conversion']} cannot be stopped at MusicGPT and goes on there{price}. {kept}".rstrip()


def list_actions(*, as_json: bool) -> int:
    """What can be triggered, with its arguments."""
    from bridge.actions import ACTIONS

    if as_json:
        output.say_json({row.name: dict(row.parameters) for row in ACTIONS.values()})
        return 0
    for row in ACTIONS.values():
        words = [name if name in row.required else f"[{name}]" for name in row.parameters]
        output.say(f"{row.name.replace('_', '-'):17} {row.about}")
        if words:
            output.say(f"{'':17} {' '.join(words)}")
    return 0


def trigger(action: str, texts: Sequence[str], *, as_json: bool) -> int:
    arguments = arguments_of(texts)
    daemon = daemon_at(home())
    if daemon is None:
        raise BridgeError("no bridge is running, so nothing can be triggered.", remedy="Start it: bridge run")
    result = daemon.act(action.replace("-", "_"), arguments)
    if as_json:
        output.say_json(result)
    else:
        output.say(f"{action}: {_in_short(result)}")
    return 0


def _in_short(result: Mapping[str, Any]) -> str:
    words = [f"job {result['job']}"] if result.get("job") else []
    words += [str(result[name]) for name in ("title", "note") if result.get(name)]
    return ", ".join(words) or "done"


def arguments_of(texts: Sequence[str]) -> dict[str, Any]:
    """An action's arguments from `key=value` texts; `set.lowest_note=40` goes into the table `set`."""
    arguments: dict[str, Any] = {}
    tables: dict[str, dict[str, Any]] = {}
    for key, text in pairs(
        texts, "trigger", example="bridge trigger convert-latest preset=audio-to-midi"
    ).items():
        table, dot, inner = key.partition(".")
        if dot:
            tables.setdefault(table, {})[inner] = _value(text)
        elif key in PATHS:
            arguments[key] = os.path.abspath(Path(text).expanduser())  # noqa: PTH100  resolve would follow links
        else:
            arguments[key] = _value(text)
    return {**arguments, **tables}


def _value(text: str) -> Any:
    """Numbers, true and false as such; everything else as text."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, (bool, int, float)) else text
