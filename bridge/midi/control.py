"""What the hands mean: messages that come in become presses of mappings. Pure; time is an argument.

A mapping fires the moment its control goes down, unless a long or double press is mapped on the same
control: then it fires as soon as it is certain what the press is.

    long only          let go before LONG_S: press          held for LONG_S: long
    double only        pressed again within DOUBLE_S: double        else, after DOUBLE_S: press
    both               let go, and not pressed again: press         held: long         twice: double

A control fires once while it is held, and again although its release was lost. `short` is the same as
`press`. All mappings on one control fire.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bridge.midi.messages import PadSpec, Press, Pressed
from bridge.midi.patterns import Key, Pattern, Reading, keys_of
from bridge.midi.port_names import matches

LONG_S = 0.5
DOUBLE_S = 0.3
"""From one press to the next."""

_CHANNEL_MESSAGES_END = 0xF0


@dataclass(frozen=True)
class Verdict:
    """What a message led to; `swallowed`: it does not go on to the through port."""

    pressed: list[Pressed]
    swallowed: bool


_NOT_MAPPED = Verdict([], swallowed=False)


@dataclass
class _Gesture:
    """One control of one port and channel: the mappings on it, and where its press stands."""

    pattern: Pattern
    pads: Sequence[tuple[int, Press]]
    passes_on: bool
    down_at: float | None = None
    """When it went down; None: it is up."""
    open: bool = False
    """Whether the latest press is not decided yet."""
    began_at: float = 0.0
    value: int = 0
    moved: bool = False
    """Whether a controller had other values since it went down."""
    kinds: frozenset[Press] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = frozenset(kind for _, kind in self.pads)

    @property
    def takes_time(self) -> bool:
        """Whether a press is not certain at once."""
        return not self.kinds.isdisjoint(("long", "double"))

    def read(self, reading: Reading, at_s: float) -> Iterator[Pressed]:
        if not reading.fires:
            return
        if self.pattern.kind == "relative":
            yield from self._fire("press", at_s, reading.value)
        elif reading.down is None:
            yield from self._press(reading.value, at_s)
            yield from self._release(at_s)
        elif not reading.down:
            yield from self._release(at_s)
        elif self.down_at is None or self._pressed_anew(reading.value):
            yield from self._press(reading.value, at_s)
        else:
            self.moved = True

    def _pressed_anew(self, value: int) -> bool:
        """It was down already: a note whose release was lost, or a button that never tells its release.

        A knob that is turned on tells other values on its way.
        """
        return self.pattern.kind == "note" or (value == self.value and not self.moved)

    def _press(self, value: int, at_s: float) -> Iterator[Pressed]:
        if self.open and "double" in self.kinds and at_s - self.began_at <= DOUBLE_S:
            yield from self._decide("double", at_s, value)
        else:
            yield from self.due(at_s)
            if self.open:  # its release was lost
                yield from self._decide("press", self.began_at, self.value)
            self.open = self.takes_time
            if not self.open:
                yield from self._fire("press", at_s, value)
        self.down_at = self.began_at = at_s
        self.value, self.moved = value, False

    def _release(self, at_s: float) -> Iterator[Pressed]:
        yield from self.due(at_s)
        self.down_at = None
        yield from self.due(at_s)
        if self.open and "double" not in self.kinds:
            yield from self._decide("press", self.began_at, self.value)

    def due(self, now: float) -> Iterator[Pressed]:
        if now >= self.decided_at():
            held = self.down_at is not None and "long" in self.kinds
            yield from self._decide("long" if held else "press", self.began_at, self.value)

    def decided_at(self) -> float:
        """When time alone decides what the press is; inf if there is none, or it takes a message."""
        if not self.open:
            return math.inf
        if self.down_at is not None and "long" in self.kinds:
            return self.began_at + LONG_S
        return self.began_at + DOUBLE_S

    def _decide(self, kind: Press, at_s: float, value: int) -> Iterator[Pressed]:
        self.open = False
        yield from self._fire(kind, at_s, value)

    def _fire(self, kind: Press, at_s: float, value: int) -> Iterator[Pressed]:
        return (Pressed(number, value, at_s) for number, wanted in self.pads if wanted == kind)


_Place = tuple[str, int, Pattern]
"""Port, channel, and what is heard there."""


class Control:
    """`Pressed.at_s` is when the control went down; of a double press, when it did so again."""

    def __init__(self, pads: Sequence[PadSpec]) -> None:
        """Raises ValueError for a message that is none."""
        self._pads = [(pad, Pattern.parse(pad.message)) for pad in pads]
        self._by_key: dict[Key, dict[Pattern, list[int]]] = {}
        for number, (_, pattern) in enumerate(self._pads):
            self._by_key.setdefault(pattern.key, {}).setdefault(pattern, []).append(number)
        self._gestures: dict[_Place, _Gesture | None] = {}
        self._slow: dict[_Place, _Gesture] = {}
        """Those that may have to wait for the time: few, so that asking for the next one stays cheap."""

    def heard(self, port: str, data: Sequence[int], at_s: float) -> Verdict:
        """Takes in what came in at a port, in the order of time. Any bytes will do."""
        patterns = [pattern for key in keys_of(data) for pattern in self._by_key.get(key, ())]
        if not patterns:
            return _NOT_MAPPED
        channel = data[0] % 16 + 1 if data[0] < _CHANNEL_MESSAGES_END else 0
        pressed: list[Pressed] = []
        meant: list[_Gesture] = []
        for pattern in patterns:
            gesture = self._gesture(port, channel, pattern)
            reading = pattern.reading(data) if gesture else None
            if gesture and reading:
                meant.append(gesture)
                pressed += gesture.read(reading, at_s)
        swallowed = bool(meant) and not any(gesture.passes_on for gesture in meant)
        return Verdict(_in_order(pressed), swallowed)

    def due(self, now: float) -> list[Pressed]:
        """The presses that time has decided."""
        return _in_order(one for gesture in self._slow.values() for one in gesture.due(now))

    def next_at(self) -> float:
        """When `due` is to be asked next; inf: only after another message."""
        return min((gesture.decided_at() for gesture in self._slow.values()), default=math.inf)

    def gone(self, port: str) -> None:
        """A port was unplugged: what was held there is held no more, and fires nothing."""
        self._gestures = {place: one for place, one in self._gestures.items() if place[0] != port}
        self._slow = {place: one for place, one in self._slow.items() if place[0] != port}

    def _gesture(self, port: str, channel: int, pattern: Pattern) -> _Gesture | None:
        """Made when a control is first heard; None where the mapping is for other ports or channels."""
        place = (port, channel, pattern)
        if place not in self._gestures:
            numbers = self._by_key[pattern.key][pattern]
            mine = [number for number in numbers if _is_for(self._pads[number][0], port, channel)]
            self._gestures[place] = made = self._made(pattern, mine) if mine else None
            if made and made.takes_time:
                self._slow[place] = made
        return self._gestures[place]

    def _made(self, pattern: Pattern, numbers: Sequence[int]) -> _Gesture:
        specs = [(number, self._pads[number][0]) for number in numbers]
        pads = [(number, "press" if spec.press == "short" else spec.press) for number, spec in specs]
        return _Gesture(pattern, pads, any(spec.pass_on for _, spec in specs))


def _is_for(pad: PadSpec, port: str, channel: int) -> bool:
    """Channel 0 is a message that has none."""
    return matches(port, pad.port) and (not channel or pad.channel in (0, channel))


def _in_order(pressed: Iterable[Pressed]) -> list[Pressed]:
    return sorted(pressed, key=lambda one: (one.at_s, one.pad))
