"""What a synthesizer should be set to at a place of a song: the last of everything that was said until there.

Pure. RPN and NRPN are kept as parameters, for a data entry means nothing without its parameter's number.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bridge.midi.status import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    BANKS,
    BEND,
    BEND_CENTRE,
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    PEDALS,
    PRESSURE,
    PROGRAM,
    RESET_ALL,
    Data,
    channel_of,
    kind_of,
)

Key = tuple[int, int, int]
"""Kind (its status without the channel), channel from 0, and which controller."""

_ENTRY, _STEPS, _ENTRIES = 6, (96, 97), (6, 38, 96, 97)
_MOST_ENTRIES = 128
_SELECTORS = {99: 98, 101: 100}
"""The two halves of a parameter's number: NRPN, RPN."""
_FIRST_HALVES = {low: high for high, low in _SELECTORS.items()} | {high: high for high in _SELECTORS}
_NULL = 127

# What "reset all controllers" resets, and where it is before a song says anything (RP-015).
_RESET = {1: 0, 2: 0, 4: 0, 11: 127, 64: 0, 65: 0, 66: 0, 67: 0, 68: 0, 69: 0}
_DEFAULTS = _RESET | {7: 100, 8: 64, 10: 64}

_Parameter = tuple[int, int, int]
"""Its selector (99 or 101), and the two halves of its number."""


class Chase:
    """Hears messages in order, and says in a few what they have come to."""

    def __init__(self) -> None:
        self._set: dict[Key, Data] = {}
        self._notes: dict[tuple[int, int], Data] = {}
        self._banked: dict[int, tuple[Data, ...]] = {}
        self._selected: dict[int, _Parameter] = {}
        self._entered: dict[tuple[int, _Parameter], tuple[Data, ...]] = {}

    @classmethod
    def before(cls, song: Iterable[Data]) -> Chase:
        """Where everything that the song ever sets stands before it: its default, else what is first said."""
        first: dict[Key, Data] = {}
        for data in song:
            key = key_of(data)
            if key is not None:
                first.setdefault(key, data)
        chase = cls()
        # Controllers before programs: the banks are among them.
        for key in sorted(first):
            chase.hear(_neutral(key) or first[key])
        return chase

    def copy(self) -> Chase:
        other = Chase()
        other._set, other._notes = self._set.copy(), self._notes.copy()
        other._banked, other._selected = self._banked.copy(), self._selected.copy()
        other._entered = self._entered.copy()
        return other

    def hear(self, data: Data) -> None:
        """Takes a message. System messages and the pressure of single keys are no state."""
        kind, channel = kind_of(data), channel_of(data)
        if kind == NOTE_ON and data[2]:
            # Again at the end: the notes stand in the order of their beginning.
            self._notes.pop((channel, data[1]), None)
            self._notes[channel, data[1]] = data
        elif kind in (NOTE_OFF, NOTE_ON):
            self._notes.pop((channel, data[1]), None)
        elif kind == CONTROL:
            self._control(channel, data)
        elif kind == PROGRAM:
            banks = (self._set.get((CONTROL, channel, bank)) for bank in BANKS)
            self._banked[channel] = tuple(bank for bank in banks if bank)
            self._set[kind, channel, 0] = data
        elif kind in (PRESSURE, BEND):
            self._set[kind, channel, 0] = data

    def settings(self, leave: Collection[Key] = ()) -> list[Data]:
        """Programs behind their banks, then parameters, controllers, pressure and bends.

        Those of `leave` are left out: they are about to be set anyway.
        """
        told = {key: data for key, data in self._set.items() if key not in leave}
        programs = [
            message
            for (kind, channel, _), data in told.items()
            if kind == PROGRAM
            for message in (*self._banked[channel], data)
        ]
        rest = [data for key, data in sorted(told.items()) if key[0] != PROGRAM and data not in programs]
        return [*programs, *self._parameters(), *rest]

    def notes(self) -> list[Data]:
        """The note-ons of all notes that sound, the first begun first."""
        return list(self._notes.values())

    def _control(self, channel: int, data: Data) -> None:
        controller = data[1]
        if controller in _FIRST_HALVES:
            self._select(channel, controller, data[2])
        elif controller in _ENTRIES:
            self._enter(channel, data)
        elif controller == RESET_ALL:
            self._reset(channel)
        elif controller == ALL_SOUND_OFF or controller >= ALL_NOTES_OFF:
            self._notes = {place: data for place, data in self._notes.items() if place[0] != channel}
        elif controller < ALL_SOUND_OFF:
            self._set[CONTROL, channel, controller] = data

    def _select(self, channel: int, controller: int, value: int) -> None:
        selector = _FIRST_HALVES[controller]
        was, high, low = self._selected.get(channel, (selector, _NULL, _NULL))
        if was != selector:
            high = low = _NULL
        self._selected[channel] = (
            (selector, value, low) if controller == selector else (selector, high, value)
        )

    def _enter(self, channel: int, data: Data) -> None:
        parameter = self._selected.get(channel)
        if parameter is None or parameter[1:] == (_NULL, _NULL):
            return
        # The coarse half sets the parameter anew; the fine half, steps up and steps down add to it.
        earlier = () if data[1] == _ENTRY else self._entered.get((channel, parameter), ())
        kept = tuple(entry for entry in earlier if data[1] in _STEPS or entry[1] != data[1])
        self._entered[channel, parameter] = (*kept, data)[-_MOST_ENTRIES:]

    def _parameters(self) -> list[Data]:
        told: list[Data] = []
        for (channel, parameter), entries in self._entered.items():
            told += (*_selection(channel, parameter), *entries)
        for channel, parameter in self._selected.items():
            told += _selection(channel, parameter)
        return told

    def _reset(self, channel: int) -> None:
        for key in self._set:
            neutral = _neutral(key) if key[1] == channel and key[0] != PROGRAM else None
            if neutral and (key[0] != CONTROL or key[2] in _RESET):
                self._set[key] = neutral
        if channel in self._selected:
            self._selected[channel] = (self._selected[channel][0], _NULL, _NULL)


def key_of(data: Data) -> Key | None:
    """What a message sets, if it is one that only its last value counts of."""
    kind, channel = kind_of(data), channel_of(data)
    if kind in (PROGRAM, PRESSURE, BEND):
        return kind, channel, 0
    if kind != CONTROL or data[1] in _FIRST_HALVES or data[1] in _ENTRIES or data[1] >= ALL_SOUND_OFF:
        return None
    return kind, channel, data[1]


def is_cut(data: Data) -> bool:
    """Whether a `timing.Cut` sets it to its default: pedals, pressure and bends."""
    kind = kind_of(data)
    return kind in (PRESSURE, BEND) or (kind == CONTROL and data[1] in PEDALS)


def _neutral(key: Key) -> Data | None:
    """The message that sets it to its default, if it has any."""
    kind, channel, controller = key
    if kind == CONTROL and controller in _DEFAULTS:
        return (kind | channel, controller, _DEFAULTS[controller])
    return {PRESSURE: (kind | channel, 0), BEND: (kind | channel, *BEND_CENTRE)}.get(kind)


def _selection(channel: int, parameter: _Parameter) -> tuple[Data, Data]:
    selector, high, low = parameter
    return (CONTROL | channel, selector, high), (CONTROL | channel, _SELECTORS[selector], low)
