"""Actions on what is there: cancel, try again, answer what is asked, ask for a price."""

from __future__ import annotations

from bridge.actions.base import Arguments, Bridge, Result, flag, job_of, whole_path
from bridge.actions.converting import preset_of, request_for_file, request_for_text
from bridge.errors import WrongUse
from bridge.jobs.sending import Fate

FATES: dict[str, Fate] = {"resubmit": "resubmit", "forget": "forget", "ticket": "ticket"}


def cancel(bridge: Bridge, arguments: Arguments) -> Result:
    job = job_of(bridge, arguments)
    tickets = [
        {
            "conversion": one.conversion,
            "converter": one.converter,
            "ticket": one.ticket,
            "usd": one.quote_usd if one.cost_usd is None else one.cost_usd,
        }
        for one in bridge.cancel(job.id)
    ]
    return {"job": job.id, "tickets": tickets}


def retry(bridge: Bridge, arguments: Arguments) -> Result:
    job = job_of(bridge, arguments)
    bridge.retry(job.id, pay=flag(arguments, "pay"))
    return {"job": job.id}


def resolve(bridge: Bridge, arguments: Arguments) -> Result:
    job, answer = job_of(bridge, arguments), str(arguments["answer"])
    if answer not in FATES:
        raise WrongUse(f"'{answer}' is no answer.", remedy=f"Say one of {', '.join(FATES)}.")
    task = str(arguments.get("ticket") or "")
    if bool(task) != (answer == "ticket"):
        raise WrongUse("a ticket goes with the answer 'ticket', and with no other.")
    bridge.resolve(job.id, FATES[answer], task=task, of=str(arguments.get("of") or ""))
    return {"job": job.id}


def allow_upload(bridge: Bridge, arguments: Arguments) -> Result:
    folder = whole_path(arguments["folder"])
    if not folder.is_dir():
        raise WrongUse("there is no such folder.", file=folder, remedy="Check the path.")
    return {"folder": str(folder), "released": bridge.allow_upload(folder)}


def quote(bridge: Bridge, arguments: Arguments) -> Result:
    """What it would cost; nothing is sent."""
    of_file = arguments.get("file") is not None
    request = request_for_file(bridge, arguments) if of_file else request_for_text(bridge, arguments)
    steps = bridge.quotes(request)
    unknown = any(one.usd is None for one in steps)
    return {
        "preset": preset_of(arguments),
        "steps": [one.to_json() for one in steps],
        "usd": None if unknown else sum(one.usd or 0.0 for one in steps),
        "unknown": unknown,
    }


def pause(bridge: Bridge, arguments: Arguments) -> Result:
    on = None if arguments.get("on") is None else flag(arguments, "on")
    rests = bridge.pause(on=on)
    return {"paused": rests, "note": "the engine rests" if rests else "the engine works"}


def rescan(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    bridge.rescan()
    return {}
