"""Which messages light the pads of a controller: one TOML file each in the folder `controllers`.

A file is chosen by the port's name (`recognised`), by its own name (`named`), or is a musician's own.
docs/midi-control.md says how one is written.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

from bridge.midi.messages import LightState
from bridge.midi.patterns import GREATEST
from bridge.midi.port_names import matches
from bridge.midi.status import Data

FOLDER = Path(__file__).with_name("controllers")
AUTO, NONE = "auto", "none"
STATES: tuple[LightState, ...] = get_args(LightState)

_BYTE = re.compile(r"[0-9a-f]{2}|nn|vv|[89ab]c")
_CHANNELS = 16


@dataclass(frozen=True, slots=True)
class Shade:
    """How a state looks: a colour as the controller counts it, or two that change, `blink` beats for both."""

    colour: int
    dark: int = 0
    blink: float = 0.0


@dataclass(frozen=True)
class Lamp:
    """The lights behind the messages `kind` ("note" or "cc") with these numbers."""

    kind: str
    numbers: range
    send: tuple[str, ...]
    shades: Mapping[LightState, Shade]

    def place(self, number: int, channel: int) -> tuple[int | None, ...]:
        """The message that lights one of them, but for its colour (None). `channel` 1 to 16."""
        named: Mapping[str, int | None] = {"nn": number, "vv": None}
        return tuple(
            int(one[0], 16) * _CHANNELS + channel - 1 if one[1] == "c" and one[0] in "89ab"
            else named[one] if one in named
            else int(one, 16)
            for one in self.send
        )  # fmt: skip


@dataclass(frozen=True)
class ControllerMap:
    """`start` prepares a controller, `end` gives it back; both are whole messages."""

    name: str
    title: str = ""
    ports: tuple[str, ...] = ()
    except_ports: tuple[str, ...] = ()
    start: tuple[Data, ...] = ()
    end: tuple[Data, ...] = ()
    lamps: tuple[Lamp, ...] = ()

    def lamp(self, kind: str, number: int) -> Lamp | None:
        return next((one for one in self.lamps if one.kind == kind and number in one.numbers), None)

    def fit(self, port: str) -> int:
        """How well a port's name fits: the length of its longest pattern that does; 0: not at all."""
        if any(matches(port, pattern) for pattern in self.except_ports):
            return 0
        return max((len(pattern) for pattern in self.ports if matches(port, pattern)), default=0)


# Which one


@cache
def shipped() -> Mapping[str, ControllerMap]:
    return {path.stem: read(path) for path in sorted(FOLDER.glob("*.toml"))}


def recognised(port: str) -> ControllerMap | None:
    """The shipped one that fits a port's name best. None: nothing is sent to what is not known."""
    best = max(shipped().values(), key=lambda one: one.fit(port), default=None)
    return best if best is not None and best.fit(port) else None


def chosen(controller: str, port: str) -> ControllerMap | None:
    """The one for a port with the setting `controller`: auto, none, the name of one, or a file's path.

    A file of one's own holds for the ports that it names, all if it names none. Raises ValueError, OSError.
    """
    if controller in (AUTO, NONE):
        return recognised(port) if controller == AUTO else None
    if controller in shipped():
        return shipped()[controller]
    own = read(Path(controller).expanduser())
    return own if not own.ports or own.fit(port) else recognised(port)


def check(controller: str) -> None:
    """Raises ValueError in plain words where this setting names nothing."""
    if controller in (AUTO, NONE) or controller in shipped():
        return
    if not controller.endswith(".toml"):
        known = [AUTO, NONE, *shipped()]
        near = difflib.get_close_matches(controller, known, n=1)
        hint = f"Did you mean '{near[0]}'?" if near else f"Known: {', '.join(known)}"
        raise ValueError(f"names no controller that is known here ({controller!r}). {hint}")
    try:
        read(Path(controller).expanduser())
    except (OSError, ValueError, RuntimeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else fault
        raise ValueError(f"cannot be read ({why})") from fault


# From a file


def read(path: Path) -> ControllerMap:
    """Raises OSError, ValueError."""
    return parse(tomllib.loads(path.read_text(encoding="utf-8-sig")), path.stem)


def parse(data: Mapping[str, Any], name: str) -> ControllerMap:
    """Raises ValueError in plain words."""
    try:
        shades = {one: _shades(colours) for one, colours in data.get("colours", {}).items()}
        lamps = tuple(_lamp(one, shades) for one in data.get("lights", ()))
        return ControllerMap(
            name,
            title=str(data.get("title", "")),
            ports=tuple(map(str, data.get("ports", ()))),
            except_ports=tuple(map(str, data.get("except_ports", ()))),
            start=tuple(map(_whole, data.get("start", ()))),
            end=tuple(map(_whole, data.get("end", ()))),
            lamps=lamps,
        )
    except KeyError as fault:
        raise ValueError(f"{name}: {fault.args[0]!r} is missing") from fault
    except (TypeError, AttributeError) as fault:
        raise ValueError(f"{name}: it is not built like a controller's file ({fault})") from fault
    except ValueError as fault:
        raise ValueError(f"{name}: {fault}") from fault


def _shades(colours: Mapping[str, Any]) -> Mapping[LightState, Shade]:
    unknown = sorted(set(colours) - set(STATES))
    if unknown:
        raise ValueError(f"there is no state {unknown[0]!r}. There are {', '.join(STATES)}")
    dark = _shade(colours.get("off", 0), 0)
    return {state: _shade(colours.get(state, dark.colour), dark.colour) for state in STATES}


def _shade(value: Any, dark: int) -> Shade:
    if isinstance(value, int):
        return Shade(_seven_bits(value))
    blink = float(value.get("blink", 0))
    if blink < 0:
        raise ValueError(f"blink is a number of beats, not {blink:g}")
    return Shade(_seven_bits(value["colour"]), _seven_bits(value.get("dark", dark)), blink)


def _lamp(data: Mapping[str, Any], shades: Mapping[str, Mapping[LightState, Shade]]) -> Lamp:
    kind, (first, last) = data["message"], data.get("numbers", (0, GREATEST))
    if kind not in ("note", "cc"):
        raise ValueError(f"message is 'note' or 'cc', not {kind!r}")
    send = tuple(data["send"].lower().split())
    if not send or not all(_BYTE.fullmatch(one) for one in send) or int(send[0][0], 16) < 8:  # noqa: PLR2004
        raise ValueError(f"send is a message like '90 nn vv', '9c nn vv' or 'F0 … F7', not {data['send']!r}")
    return Lamp(kind, range(_seven_bits(first), _seven_bits(last) + 1), send, shades[data["colours"]])


def _seven_bits(value: int) -> int:
    if value not in range(GREATEST + 1):
        raise ValueError(f"{value!r} is not within 0 and 127")
    return value


def _whole(text: str) -> Data:
    codes = tuple(bytes.fromhex(text))
    if not codes or codes[0] <= GREATEST:
        raise ValueError(f"{text!r} is no MIDI message")
    return codes
