"""Pads that show how things stand: which light has which colour, and when it changes. Pure.

Blinking goes with the clock while it runs, else with the time. Only what changes is sent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.midi.controller_maps import ControllerMap, Shade, chosen, recognised
from bridge.midi.messages import LightState, PadSpec
from bridge.midi.patterns import Pattern
from bridge.midi.port_names import matches, partner
from bridge.midi.status import Data
from bridge.midi.timing import BeatClock

Place = tuple[int | None, ...]
"""The message that lights one light, but for its colour (None)."""

MOST_TELLING_FIRST: Sequence[LightState] = (
    *("needs_you", "failed", "running", "queued", "playing", "armed", "done", "ready", "off"),
)
"""What a light shows that stands for several mappings."""

BLINKS_WITHOUT_CLOCK_BPM = 120.0
SHORTEST_S = 0.03
"""No light changes faster, however the clock jumps."""
_NEAR = 1e-6  # beats: a time that was made from a beat gives that beat again


@dataclass
class _Light:
    shades: Mapping[LightState, Shade]
    pads: list[int]


@dataclass
class _Surface:
    """The lights of one output port. `sent`: what each shows now; `greeted`: its first messages are out."""

    controller: ControllerMap
    lights: Mapping[Place, _Light]
    is_open: bool = False
    greeted: bool = False
    sent: dict[Place, int] = field(default_factory=dict)


class _Blinker:
    """Says for each length of blinking whether it is bright or dark now. Never flickers."""

    def __init__(self) -> None:
        self._halves: dict[float, tuple[int, float]] = {}
        """For half a length in beats: which half it is in, and since when."""

    def is_bright(self, blink: float, clock: BeatClock, now: float) -> bool:
        half = blink / 2
        number = math.floor((_beat(clock, now) + _NEAR) / half)
        before, since = self._halves.get(half, (number, now))
        if number != before and now - since < SHORTEST_S:
            number = before
        elif number != before:
            since = now
        self._halves[half] = number, since
        return number % 2 == 0

    def next_at(self, blink: float, clock: BeatClock, now: float) -> float:
        half = blink / 2
        beat = (math.floor((_beat(clock, now) + _NEAR) / half) + 1) * half
        at_s = clock.time_of(beat) if clock.running else beat * 60 / BLINKS_WITHOUT_CLOCK_BPM
        _, since = self._halves.get(half, (0, -math.inf))
        return max(at_s, since + SHORTEST_S, now)


def _beat(clock: BeatClock, now: float) -> float:
    return clock.beat_at(now) if clock.running else now * BLINKS_WITHOUT_CLOCK_BPM / 60


class Lights:
    """The heart calls `pair` when ports come and go, `connected` for each of these that it has opened."""

    def __init__(self, pads: Sequence[PadSpec], controller: str = "auto") -> None:
        """Raises ValueError for a message that is none. A controller's file is read by `pair`."""
        self._pads = [(pad, Pattern.parse(pad.message)) for pad in pads]
        self._controller = controller
        self._states: dict[int, LightState] = {}
        self._surfaces: dict[str, _Surface] = {}
        self._blinker = _Blinker()
        self._changed = False

    def pair(self, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[str, ...]:
        """Which outputs carry lights: those of the devices that mapped pads are on.

        `inputs` are those that are listened to, `outputs` all that there are. An output that is gone is
        forgotten. Raises ValueError, OSError where a controller's own file cannot be read.
        """
        surfaces: dict[str, _Surface] = {}
        for name in inputs:
            output = self._output_of(name, outputs)
            found = self._surface(name, output) if output else None
            if found:
                known = self._surfaces.get(output)
                surfaces[output] = known if known and known.lights.keys() == found.lights.keys() else found
        self._surfaces = surfaces
        return tuple(surfaces)

    def _output_of(self, name: str, outputs: Sequence[str]) -> str:
        """By its name, else the only one that is the same kind of controller; empty: none."""
        found = partner(name, outputs)
        kind = None if found else recognised(name)
        alike = [output for output in outputs if kind and recognised(output) is kind]
        return alike[0] if len(alike) == 1 else found

    def _surface(self, name: str, output: str) -> _Surface | None:
        controller = chosen(self._controller, output) or chosen(self._controller, name)
        if controller is None:
            return None
        lights: dict[Place, _Light] = {}
        for number, (pad, pattern) in enumerate(self._pads):
            lamp = controller.lamp(pattern.kind, pattern.number)
            if lamp and matches(name, pad.port):
                place = lamp.place(pattern.number, pad.channel or 1)
                lights.setdefault(place, _Light(lamp.shades, [])).pads.append(number)
        return _Surface(controller, lights) if lights else None

    def connected(self, port: str) -> None:
        """An output is open, or open again: everything is sent to it."""
        if surface := self._surfaces.get(port):
            surface.is_open, surface.greeted, surface.sent = True, False, {}
            self._changed = True

    def set(self, pad: int, state: LightState) -> None:
        """What mapping number `pad` shows from now on."""
        if 0 <= pad < len(self._pads) and self._states.get(pad, "off") != state:
            self._states[pad] = state
            self._changed = True

    def due(self, clock: BeatClock, now: float) -> list[tuple[str, Data]]:
        """What is to be sent now, to which port, in this order."""
        self._changed = False
        return [(port, data) for port, one in self._open() for data in self._news(one, clock, now)]

    def next_at(self, clock: BeatClock, now: float) -> float:
        """When `due` has something to say again; inf: when something else happens."""
        if self._changed:
            return now
        blinks = {shade.blink for _, one in self._open() for shade in self._shades(one) if shade.blink}
        return min((self._blinker.next_at(blink, clock, now) for blink in blinks), default=math.inf)

    def farewell(self) -> list[tuple[str, Data]]:
        """What is sent last: every light goes out, and controllers are theirs again."""
        return [(port, data) for port, one in self._open() for data in self._last(one)]

    def _open(self) -> Iterator[tuple[str, _Surface]]:
        return ((port, one) for port, one in self._surfaces.items() if one.is_open)

    def _shades(self, surface: _Surface) -> Iterator[Shade]:
        return (light.shades[self._state(light)] for light in surface.lights.values())

    def _state(self, light: _Light) -> LightState:
        states = {self._states.get(pad, "off") for pad in light.pads}
        return next(state for state in MOST_TELLING_FIRST if state in states)

    def _news(self, surface: _Surface, clock: BeatClock, now: float) -> Iterator[Data]:
        if not surface.greeted:
            yield from surface.controller.start
            surface.greeted = True

        def colour(shade: Shade) -> int:
            bright = not shade.blink or self._blinker.is_bright(shade.blink, clock, now)
            return shade.colour if bright else shade.dark

        yield from _changes(surface, lambda light: colour(light.shades[self._state(light)]))

    def _last(self, surface: _Surface) -> Iterator[Data]:
        if surface.greeted:
            yield from _changes(surface, lambda light: light.shades["off"].colour)
            yield from surface.controller.end
        surface.is_open = False


def _changes(surface: _Surface, colour_of: Callable[[_Light], int]) -> Iterator[Data]:
    for place, light in surface.lights.items():
        colour = colour_of(light)
        if surface.sent.get(place) != colour:
            surface.sent[place] = colour
            yield tuple(colour if one is None else one for one in place)
