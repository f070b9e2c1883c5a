"""From a touch to a mapping: which control was it, and what kind is it? Pure; time is an argument.

A pad is known at its first message. A controller's message may come from a button, a knob or an endless
knob: it takes a few of them, or a pause, to tell which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bridge.midi.patterns import (
    ENCODINGS,
    GREATEST,
    MIDDLE,
    SYSEX,
    SYSEX_END,
    mmc_name,
)
from bridge.midi.status import BANKS, CONTROL, NOTE_ON, PROGRAM

ENOUGH = 5
PAUSE_S = 0.4
LONG_PAUSE_S = 3.0
"""So long is waited for more where one message could mean anything."""
SYSEX_LENGTHS = range(3, 33)
CHANNEL_MODES = range(120, 128)
_UNIVERSAL, _OF_NO_HAND = 0x7E, 0x7F

Place = tuple[str, int, int]
"""Port, channel, controller."""


@dataclass(frozen=True)
class Learned:
    """`channel` 0: it has none. `words`: what it was, to the musician."""

    message: str
    port: str
    channel: int
    words: str


@dataclass
class Learner:
    """Takes in all that is heard until it knows what was touched."""

    _values: dict[Place, list[int]] = field(default_factory=dict)
    _latest_at: float = 0.0

    @property
    def wants_more(self) -> bool:
        """Whether something moved, and it takes more of it."""
        return bool(self._values)

    def heard(self, port: str, data: Sequence[int], now: float) -> Learned | None:
        status, channel = (data[0] & 0xF0, data[0] % 16 + 1) if data else (0, 0)
        if status == NOTE_ON and len(data) == 3 and data[2]:  # noqa: PLR2004
            words = f"a pad or key: note {data[1]}, pressed with {data[2]}"
            return Learned(f"note {data[1]}", port, channel, words)
        if status == PROGRAM and len(data) == 2:  # noqa: PLR2004
            return Learned(f"program {data[1]}", port, channel, f"program change {data[1]} (counted from 0)")
        if status == CONTROL and len(data) == 3 and data[1] not in CHANNEL_MODES:  # noqa: PLR2004
            return self._moved((port, channel, data[1]), data[2], now)
        return _sysex(port, data) if data and data[0] == SYSEX else None

    def _moved(self, place: Place, value: int, now: float) -> Learned | None:
        values = self._values.setdefault(place, [])
        values.append(value)
        self._latest_at = now
        return self._learned(place) if len(values) >= ENOUGH else None

    def waited(self, now: float) -> Learned | None:
        """What it was, if the pause since the latest message tells; asked from time to time."""
        if not self._values:
            return None
        place = max(self._values, key=lambda one: len(self._values[one]))
        pause_s = PAUSE_S if _is_clear(self._values[place]) else LONG_PAUSE_S
        if place[2] in BANKS:
            pause_s = LONG_PAUSE_S
        return self._learned(place) if now - self._latest_at >= pause_s else None

    def _learned(self, place: Place) -> Learned:
        port, channel, number = place
        message, words = _control(number, self._values[place])
        return Learned(message, port, channel, words)


def _is_clear(values: Sequence[int]) -> bool:
    return _is_button(values) or len(values) >= 3  # noqa: PLR2004


def _is_button(values: Sequence[int]) -> bool:
    """Up and down only, or down alone."""
    pressed = set(values) - {0}
    return len(pressed) == 1 and (0 in values or values in ([GREATEST], [GREATEST, GREATEST]))


def _control(number: int, values: Sequence[int]) -> tuple[str, str]:
    """The pattern, and what it is in words."""
    greatest = max(values)
    if _is_button(list(values)) or len(values) == 1:
        beyond = "" if greatest >= MIDDLE else f" >= {max(greatest, 1)}"
        return f"cc {number}{beyond}", f"a button or pedal: controller {number}, value {greatest}"
    encoding = _encoding(values)
    if encoding is None:
        words = f"a knob or fader: controller {number}; it fires when it passes {MIDDLE}, the middle"
        return f"cc {number}", words
    steps = [ENCODINGS[encoding](value) for value in values]
    way = "up" if min(steps) >= 0 else "down" if max(steps) <= 0 else ""
    message = " ".join(filter(None, (f"cc {number} relative", encoding, way)))
    turned = {"up": "turned up", "down": "turned down", "": "turned both ways"}[way]
    return message, f"an endless knob: controller {number}, {turned}"


_NEAR = 12
_ZONES: Mapping[str, frozenset[int]] = {
    "": frozenset((*range(1, _NEAR), *range(GREATEST - _NEAR, GREATEST + 1))),
    "sign": frozenset((*range(1, _NEAR), *range(MIDDLE + 1, MIDDLE + _NEAR))),
    "offset": frozenset(range(MIDDLE - _NEAR, MIDDLE + _NEAR)) - {MIDDLE},
}
"""The values of small steps, for each way to tell them; the first that fits is taken."""


def _encoding(values: Sequence[int]) -> str | None:
    """How an endless knob tells its steps; None: its values are places, as those of a knob with two ends."""
    again = any(one == other for one, other in pairwise(values))
    fitting = [name for name, zone in _ZONES.items() if zone.issuperset(values)]
    if "offset" in fitting and "sign" in fitting:
        # 65 and 66 alone: one step to the right, or one to the left? People turn right when asked to turn.
        return "offset" if again else None
    return fitting[0] if fitting and again else None


def _sysex(port: str, data: Sequence[int]) -> Learned | None:
    if name := mmc_name(data):
        return Learned(f"mmc {name}", port, 0, f"machine control: {name.replace('_', ' ')}")
    if len(data) not in SYSEX_LENGTHS or data[-1] != SYSEX_END or data[1] in (_UNIVERSAL, _OF_NO_HAND):
        return None  # time code, answers of devices, dumps
    message = "sysex " + " ".join(f"{code:02X}" for code in data)
    return Learned(message, port, 0, f"a system exclusive message of {len(data)} bytes")
