"""Actions on what plays, on the clock, and on what the controller has in hand: preset and slots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bridge.actions.base import Arguments, Bridge, Result, flag, job_of
from bridge.errors import PresetError, WrongUse
from bridge.jobs.model import JobState
from bridge.midi.messages import Command, Halt, Loop, Panic, Tap, Tempo, Transport
from bridge.presets import input_of

MOST_LOOKED_AT = 50
WHENS = ("now", "beat", "bar", "armed")
FOLLOWS = ("launch", "song")
ERRANDS = ("start", "stop", "continue")
BPM_RANGE = (20.0, 400.0)
MOST_SLOTS = 128
ACTIVE = frozenset({"waiting", "playing", "paused"})


def stream(bridge: Bridge, arguments: Arguments) -> Result:
    """Plays a job's notes out of the MIDI port; without a job the latest that has any."""
    how = _how(arguments)
    role = str(arguments.get("role") or "")
    job_id = _job_in_slot(bridge, arguments)
    if job_id is None and arguments.get("job") is not None:
        job_id = job_of(bridge, arguments).id
    if job_id is None:
        return _stream_latest(bridge, role, how)
    played = bridge.play(job_id, role, how)
    if not played:
        raise WrongUse(f"job {job_id} has no notes to play.", remedy=_nothing_to_play(bridge, job_id))
    return _played(job_id, played)


def _stream_latest(bridge: Bridge, role: str, how: Mapping[str, Any]) -> Result:
    active = _active(bridge) if how["when"] == "armed" else frozenset()
    for job in bridge.journal.jobs(limit=MOST_LOOKED_AT, states=[JobState.DONE]):
        if job.id in active:  # it goes on: arming it would stop it
            return {"job": job.id, "note": "plays already"}
        if played := bridge.play(job.id, role, how):
            return _played(job.id, played)
    raise WrongUse("there are no notes to play yet.", remedy="Convert a bounce to MIDI first.")


def _active(bridge: Bridge) -> frozenset[int]:
    """The jobs that play, or are about to."""
    names = (name for name, state in bridge.surface.playing().items() if state in ACTIVE)
    return frozenset(int(name.partition("/")[0]) for name in names)


def _played(job_id: int, played: Mapping[str, str]) -> Result:
    return {"job": job_id, "playing": list(played), "note": ", ".join(dict.fromkeys(played.values()))}


def _nothing_to_play(bridge: Bridge, job_id: int) -> str:
    job = bridge.journal.job(job_id)
    if job is not None and job.state is not JobState.DONE:
        return f"It is {job.state}: `bridge show {job_id}`."
    return "Only what audio_to_midi returns can be played."


def slot(bridge: Bridge, arguments: Arguments) -> Result:
    """One pad for one result: empty, it takes the latest; full, it starts; playing, it stops."""
    number = _slot_number(arguments)
    held = bridge.surface.slots.get(number)
    if flag(arguments, "clear"):
        if held is not None:
            bridge.surface.tell(Halt(str(held)))
        bridge.surface.put(number, None)
        return {"slot": number, "note": "empty"}
    if held is None:
        found = _stream_latest(bridge, str(arguments.get("role") or ""), {**_how(arguments), "when": "armed"})
        bridge.surface.put(number, found["job"])
        return {**found, "slot": number}
    if held in _active(bridge):
        bridge.surface.tell(Halt(str(held)))
        return {"slot": number, "job": held, "note": "stopped"}
    return {**stream(bridge, {**arguments, "slot": None, "job": held}), "slot": number}


def stop(bridge: Bridge, arguments: Arguments) -> Result:
    bridge.surface.tell(Halt(_which(bridge, arguments)))
    return {}


def loop(bridge: Bridge, arguments: Arguments) -> Result:
    on = None if arguments.get("on") is None else flag(arguments, "on")
    bridge.surface.tell(Loop(_which(bridge, arguments), on))
    return {}


def panic(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    bridge.surface.tell(Panic())
    return {}


def tap_tempo(bridge: Bridge, arguments: Arguments) -> Result:
    at_s = arguments.get("at_s")
    bridge.surface.tell(Tap(None if at_s is None else _number(arguments, "at_s", (-math.inf, math.inf))))
    return {}


def tempo(bridge: Bridge, arguments: Arguments) -> Result:
    bpm = _number(arguments, "bpm", BPM_RANGE)
    bridge.surface.tell(Tempo(bpm))
    return {"bpm": bpm}


def transport(bridge: Bridge, arguments: Arguments) -> Result:
    errand = _one_of(arguments, "do", ERRANDS, "start")
    beat = None if arguments.get("beat") is None else _number(arguments, "beat", (0.0, 1e6))
    order: Command = Transport(errand, beat)  # type: ignore[arg-type]  # one of ERRANDS
    bridge.surface.tell(order)
    return {}


# The preset at hand


def next_preset(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    return _select(bridge, +1)


def previous_preset(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    return _select(bridge, -1)


def select_preset(bridge: Bridge, arguments: Arguments) -> Result:
    preset = bridge.presets.get(str(arguments["preset"]))
    bridge.surface.select(preset.name)
    return {"preset": preset.name, "title": preset.title}


def _select(bridge: Bridge, step: int) -> Result:
    """The nearest one in that direction that is usable and begins with audio."""
    names = bridge.surface.preset_row() or bridge.presets.names()
    now = bridge.surface.preset
    place = names.index(now) if now in names else (-1 if step > 0 else 0)
    for far in range(1, len(names) + 1):
        name = names[(place + step * far) % len(names)]
        if _begins_with_audio(bridge, name):
            return select_preset(bridge, {"preset": name})
    raise WrongUse("there is no preset that begins with audio.", remedy="`bridge presets` lists them.")


def _begins_with_audio(bridge: Bridge, name: str) -> bool:
    try:
        return input_of(bridge.presets.get(name)) == "audio"
    except PresetError:
        return False


def reload_controls(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    return {"controls": bridge.surface.reload()}


# What arguments mean


def _how(arguments: Arguments) -> dict[str, Any]:
    """The fields of a preset's `StreamTable`. Raises WrongUse."""
    how: dict[str, Any] = {
        "when": _one_of(arguments, "when", WHENS, "bar"),
        "follow": _one_of(arguments, "follow", FOLLOWS, "launch"),
        "loop": flag(arguments, "loop"),
        "port": str(arguments.get("port") or ""),
    }
    ranges: tuple[tuple[str, tuple[float, float], Callable[[int], dict[str, Any]]], ...] = (
        ("count", (1, 64), lambda value: {"count": value}),
        ("transpose", (-48, 48), lambda value: {"transpose": value}),
        ("channel", (1, 16), lambda value: {"channels": {"*": value}}),
    )
    for name, limits, as_field in ranges:
        if arguments.get(name) is not None:
            how |= as_field(int(_number(arguments, name, limits)))
    return how


def _one_of(arguments: Arguments, name: str, known: Sequence[str], default: str) -> str:
    value = str(arguments.get(name) or default)
    if value not in known:
        raise WrongUse(f"'{name}' must be one of {', '.join(known)}, not {value!r}.")
    return value


def _number(arguments: Arguments, name: str, limits: tuple[float, float]) -> float:
    value = arguments[name]
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not limits[0] <= number <= limits[1]:
        raise WrongUse(f"'{name}' must be a number from {limits[0]:g} to {limits[1]:g}, not {value!r}.")
    return number


def _slot_number(arguments: Arguments) -> int:
    return int(_number(arguments, "slot", (1, MOST_SLOTS)))


def _job_in_slot(bridge: Bridge, arguments: Arguments) -> int | None:
    """The job in the slot that is named; None where none is. Raises WrongUse for an empty one."""
    if arguments.get("slot") is None:
        return None
    number = _slot_number(arguments)
    held = bridge.surface.slots.get(number)
    if held is None:
        raise WrongUse(f"slot {number} is empty.", remedy=f"bridge trigger slot slot={number} fills it.")
    return held


def _which(bridge: Bridge, arguments: Arguments) -> str:
    """The playings that are meant, as `Halt` names them: of a slot, of a job, or all."""
    held = _job_in_slot(bridge, arguments)
    if held is not None:
        return str(held)
    return "" if arguments.get("job") is None else str(job_of(bridge, arguments).id)
