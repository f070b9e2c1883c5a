"""What `bridge doctor` says of MIDI, pads and keys. A missing part is a state: converting needs none."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from bridge.config import Settings
    from bridge.midi.messages import Ports

PORTS_WITHIN_S = 8.0
Row = tuple[str, Literal["ok", "warn", "fail"], str, str]
"""Name, state, what was found, remedy."""


def midi(settings: Settings, told: Mapping[str, Any] | None) -> Iterator[Row]:
    """`told` is what a running bridge says of its controls; without one, ports are opened for a moment."""
    if not settings.midi.enabled:
        yield "midi", "ok", "turned off", ""
        return
    facts = told if told is not None else _looked_at(settings)
    if facts["why"] or not facts["api"]:
        yield "midi", "warn", facts["why"] or "the MIDI process says nothing", facts["remedy"]
        return
    own = ", ".join(facts["own_ports"])
    yield "midi", "ok", f"{facts['api']}, {f'our ports: {own}' if own else 'no port of our own'}", ""
    listening = ", ".join(facts["listening"])
    yield "controllers", "ok", listening or "none is plugged in that midi.inputs names", ""


def _looked_at(settings: Settings) -> Mapping[str, Any]:
    ports = _first_ports(settings)
    if ports is None:
        what = f"the MIDI process did not start in {PORTS_WITHIN_S:g} s"
        return {"api": "", "why": what, "remedy": "Is the machine busy? Else report it, with logs/midi.log."}
    return {**dataclasses.asdict(ports), "own_ports": ports.virtual}


def _first_ports(settings: Settings) -> Ports | None:
    """What a MIDI process of our own finds, with our ports in it."""
    from bridge.midi.looking import looking
    from bridge.midi.messages import INTERNAL, Ports

    wanted = dataclasses.replace(settings.midi.configure((), None), clock=INTERNAL, clock_to=())
    until = time.monotonic() + PORTS_WITHIN_S
    with looking(wanted) as process:
        while (left := until - time.monotonic()) > 0:
            told = process.next(left)
            if isinstance(told, Ports):
                return told
    return None


def controls(settings: Settings, home: Path, preset: Callable[[str], object]) -> Iterator[Row]:
    """Whether pads and keys lead somewhere; `preset` raises for what is none."""
    from bridge.surface.wiring import check_controls, control_doubts

    check_controls(settings, home)
    yield "pads", "ok", f"{len(settings.pads)} mapped (`bridge learn` maps one)", ""
    for doubt in control_doubts(settings, preset):
        yield "pads", "warn", doubt, ""


def hotkeys(settings: Settings) -> Iterator[Row]:
    from bridge.triggers.hotkey import look

    state = look([key.keys for key in settings.hotkeys])
    wanted = bool(settings.hotkeys)
    if state.ready and not state.why:
        yield "hotkeys", "ok", f"can be heard, {len(settings.hotkeys)} mapped", ""
    else:
        yield "hotkeys", "warn" if wanted else "ok", state.why, state.remedy if wanted else ""


def link(settings: Settings) -> Iterator[Row]:
    """Only where the settings ask for it."""
    if settings.midi.clock == "link":
        from bridge.midi.link import look

        missing: BridgeError | None = look()
        if missing is None:
            yield "link", "ok", "Ableton Link can be used", ""
        else:
            yield "link", "warn", missing.message, missing.remedy
