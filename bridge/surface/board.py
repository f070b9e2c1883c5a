"""What each pad shows: the state of what its action is about. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bridge.jobs.model import JOB_OPEN, JobState
from bridge.midi.messages import LightState, PlayState


@dataclass
class Facts:
    """What lights depend on.

    `of_preset` is the state of the latest job of each preset, `latest` that of the latest of all,
    `waiting_for_you` whether any job asks. `playing` has the state of each playing by its id ("7/31": job 7).
    """

    preset: str
    slots: Mapping[int, int] = field(default_factory=dict)
    of_preset: dict[str, JobState] = field(default_factory=dict)
    latest: JobState | None = None
    waiting_for_you: bool = False
    playing: dict[str, PlayState] = field(default_factory=dict)


Arguments = Mapping[str, Any]

_OF_JOB: Mapping[JobState, LightState] = {
    JobState.QUEUED: "queued",
    JobState.RUNNING: "running",
    JobState.WAITING: "running",
    JobState.NEEDS_YOU: "needs_you",
    JobState.DONE: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "ready",
}
_OF_PLAYING: Mapping[PlayState, LightState] = {
    "playing": "playing",
    "waiting": "armed",
    "paused": "armed",
    "armed": "armed",
    "failed": "failed",
}
_LOUDEST_FIRST: tuple[LightState, ...] = ("playing", "armed", "failed")


def light_of(action: str, arguments: Arguments, facts: Facts) -> LightState:
    """What a pad with this action shows; "ready" where the action has nothing to show."""
    rule = _RULES.get(action.replace("-", "_"))
    return rule(arguments, facts) if rule else "ready"


def _converting(arguments: Arguments, facts: Facts) -> LightState:
    state = facts.of_preset.get(str(arguments.get("preset") or facts.preset))
    return _OF_JOB[state] if state else "ready"


def _slot(arguments: Arguments, facts: Facts) -> LightState:
    held = _job_in_slot(arguments, facts)
    return "off" if held is None else _of_playings(str(held), facts)


def _playing(arguments: Arguments, facts: Facts) -> LightState:
    if arguments.get("slot") is not None:
        return _slot(arguments, facts)
    job = arguments.get("job")
    return _of_playings("" if job is None else str(job), facts)


def _of_playings(job: str, facts: Facts) -> LightState:
    states = [state for name, state in facts.playing.items() if not job or name.partition("/")[0] == job]
    shown = {_OF_PLAYING[state] for state in states if state in _OF_PLAYING}
    return next((state for state in _LOUDEST_FIRST if state in shown), "ready")


def _job_in_slot(arguments: Arguments, facts: Facts) -> int | None:
    slot = arguments.get("slot")
    return facts.slots.get(slot) if isinstance(slot, int) else None


def _working(_arguments: Arguments, facts: Facts) -> LightState:
    return "running" if facts.latest in JOB_OPEN else "ready"


def _retrying(_arguments: Arguments, facts: Facts) -> LightState:
    return "failed" if facts.latest is JobState.FAILED else "ready"


def _asking(_arguments: Arguments, facts: Facts) -> LightState:
    return "needs_you" if facts.waiting_for_you else "ready"


def _selecting(arguments: Arguments, facts: Facts) -> LightState:
    return "done" if arguments.get("preset") == facts.preset else "ready"


_RULES: Mapping[str, Callable[[Arguments, Facts], LightState]] = {
    "convert_latest": _converting,
    "convert_file": _converting,
    "convert_text": _converting,
    "stream": _playing,
    "stop": _playing,
    "loop": _playing,
    "slot": _slot,
    "cancel": _working,
    "retry": _retrying,
    "resolve": _asking,
    "select_preset": _selecting,
}
