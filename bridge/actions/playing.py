"""Actions on what plays, on the clock, and on what the controller has in hand: preset and slots."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

from bridge.actions.base import Arguments, Bridge, Result, flag, job_of
from bridge.conversions import catalogue
from bridge.errors import NoMidi, PresetError, WrongUse
from bridge.jobs.model import JobState
from bridge.midi.messages import Errand, Follow, Halt, Loop, Panic, Quantum, Tap, Tempo, Transport
from bridge.presets import Step, input_of, knows_parameters, lacks

MOST_LOOKED_AT = 50
WHENS = (*get_args(Quantum), "armed")
BPM_RANGE = (20.0, 400.0)
MOST_SLOTS = 128
ACTIVE = frozenset({"waiting", "playing", "paused"})
NOT_PLAYED = "not played: "
"""How a word on a playing begins where there is none."""


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
    """Raises NoMidi where nothing is."""
    note = ", ".join(dict.fromkeys(played.values()))
    if all(word.startswith(NOT_PLAYED) for word in played.values()):
        raise NoMidi(f"job {job_id} is {note}.")
    return {"job": job_id, "playing": list(played), "note": note}


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
        bridge.surface.put(number, None)
        if held is not None and held not in bridge.surface.slots.values():
            bridge.surface.tell(Halt(str(held)))
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
    bridge.surface.tell(Loop(_which(bridge, arguments), loop_wanted(arguments)))
    return {}


def panic(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    bridge.surface.tell(Panic())
    return {}


def tap_tempo(bridge: Bridge, arguments: Arguments) -> Result:
    at_s = arguments.get("at_s")
    bridge.surface.tell(Tap(None if at_s is None else _number(arguments, "at_s", (-math.inf, math.inf))))
    return {}


def tempo(bridge: Bridge, arguments: Arguments) -> Result:
    bpm = bpm_of(arguments)
    bridge.surface.tell(Tempo(bpm))
    return {"bpm": bpm, "note": f"{bpm:g} BPM"}


def transport(bridge: Bridge, arguments: Arguments) -> Result:
    bridge.surface.tell(transport_of(arguments))
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
    """The nearest one in that direction that can be done to a bounce as it is."""
    names = bridge.surface.preset_row() or bridge.presets.names()
    now = bridge.surface.preset
    place = names.index(now) if now in names else (-1 if step > 0 else 0)
    for far in range(1, len(names) + 1):
        name = names[(place + step * far) % len(names)]
        if _takes_a_bounce(bridge, name):
            return select_preset(bridge, {"preset": name})
    raise WrongUse("there is no preset for a bounce.", remedy="`bridge presets` lists them.")


def _takes_a_bounce(bridge: Bridge, name: str) -> bool:
    """Whether it begins with audio, and nothing must be given with it."""
    try:
        preset = bridge.presets.get(name)
        return input_of(preset) == "audio" and all(map(_is_complete, preset.steps))
    except PresetError:
        return False


def _is_complete(step: Step) -> bool:
    """Whether all is there that its conversion needs."""
    row = catalogue.conversion(step.conversion)
    converters = row.quality if step.converter == "auto" else [step.converter]
    able = (one for one in converters if knows_parameters(step, {}, converter=one))
    return any(not lacks(step, {}, converter=one) for one in able)


def reload_controls(bridge: Bridge, arguments: Arguments) -> Result:  # noqa: ARG001  an action's shape
    return {"controls": bridge.surface.reload()}


# What arguments mean


def check_stream(arguments: Arguments) -> None:
    _how(arguments)
    if arguments.get("slot") is not None:
        _slot_number(arguments)


def check_slot(arguments: Arguments) -> None:
    check_stream(arguments)
    flag(arguments, "clear")


def loop_wanted(arguments: Arguments) -> bool | None:
    """None: the other way round."""
    return None if arguments.get("on") is None else flag(arguments, "on")


def bpm_of(arguments: Arguments) -> float:
    return _number(arguments, "bpm", BPM_RANGE)


def transport_of(arguments: Arguments) -> Transport:
    errand = _one_of(arguments, "do", get_args(Errand), "start")
    beat = None if arguments.get("beat") is None else _number(arguments, "beat", (0.0, 1e6))
    return Transport(errand, beat)  # type: ignore[arg-type]  # one of them


def _how(arguments: Arguments) -> dict[str, Any]:
    """The fields of a preset's `StreamTable`. Raises WrongUse."""
    how: dict[str, Any] = {
        "when": _one_of(arguments, "when", WHENS, "bar"),
        "follow": _one_of(arguments, "follow", get_args(Follow), "launch"),
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
