"""What sounds at the far end of each port, by what was really sent. Pure.

Several playings may hold one note or one pedal of a channel: it ends with the last of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from bridge.midi.status import (
    ALL_NOTES_OFF,
    ALL_SOUND_OFF,
    BEND,
    BEND_CENTRE,
    CHANNELS,
    CONTROL,
    NOTE_OFF,
    NOTE_ON,
    PEDAL_DOWN,
    PEDALS,
    PRESSURE,
    RELEASE,
    SYSTEM,
    Data,
    channel_of,
    kind_of,
)


@dataclass
class _Channel:
    """What each owner holds of one channel of one port."""

    notes: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    pedals: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))
    bent_by: str | None = None
    pressed_by: str | None = None
    users: set[str] = field(default_factory=set)
    """Whoever has played a note here since it was last silenced."""


class Sounding:
    """Keeps the book of everything that is sent, and knows what ends it."""

    def __init__(self) -> None:
        self._channels: dict[tuple[str, int], _Channel] = defaultdict(_Channel)

    def sent(self, port: str, owner: str, data: Sequence[int]) -> list[Data]:
        """What to really send for this message, in order; nothing where another owner still holds it."""
        message = tuple(data)
        if not message or not NOTE_OFF <= message[0] < SYSTEM:
            return [message] if message else []
        channel, kind = self._channels[port, channel_of(message)], kind_of(message)
        if kind == NOTE_ON and message[2]:
            return self._on(channel, owner, message)
        if kind in (NOTE_OFF, NOTE_ON):
            return self._off(channel, owner, message)
        if kind == CONTROL:
            return self._control(channel, owner, message)
        if kind == BEND:
            channel.bent_by = owner if message[1:] != BEND_CENTRE else None
        elif kind == PRESSURE:
            channel.pressed_by = owner if message[1] else None
        return [message]

    def silence(self, port: str | None = None, owner: str | None = None) -> list[tuple[str, Data]]:
        """What ends all that `owner` holds at `port` (None: everybody's, everywhere), with each port.

        All notes off follows where nobody else plays on that channel. Nothing is held afterwards.
        """
        ending: list[tuple[str, Data]] = []
        for (name, number), channel in self._channels.items():
            if port in (None, name):
                owners = _owners(channel) if owner is None else {owner}
                ending += [(name, data) for data in _silenced(channel, number, owners)]
        return ending

    def held(self, port: str, owner: str | None = None) -> list[tuple[int, int]]:
        """The notes that sound at a port, as (channel from 0, key), in order."""
        return sorted(
            (number, key)
            for (name, number), channel in self._channels.items()
            for key, owners in channel.notes.items()
            if name == port and (owners if owner is None else owner in owners)
        )

    def forget(self, port: str) -> None:
        """The port is gone, and whatever sounded there."""
        for place in [place for place in self._channels if place[0] == port]:
            del self._channels[place]

    def _on(self, channel: _Channel, owner: str, message: Data) -> list[Data]:
        holders = channel.notes[message[1]]
        again = [_note_off(channel_of(message), message[1])] if holders else []
        holders.add(owner)
        channel.users.add(owner)
        return [*again, message]

    def _off(self, channel: _Channel, owner: str, message: Data) -> list[Data]:
        holders = channel.notes.get(message[1])
        if not holders:
            return [message]
        holders.discard(owner)
        if holders:
            return []
        del channel.notes[message[1]]
        return [message]

    def _control(self, channel: _Channel, owner: str, message: Data) -> list[Data]:
        controller, value = message[1], message[2]
        if controller == ALL_SOUND_OFF or controller >= ALL_NOTES_OFF:
            return self._mode(channel, owner, message)
        if controller in PEDALS:
            holders = channel.pedals[controller]
            if value >= PEDAL_DOWN:
                holders.add(owner)
            else:
                holders.discard(owner)
                return [] if holders else [message]
        return [message]

    def _mode(self, channel: _Channel, owner: str, message: Data) -> list[Data]:
        """A playing's own all notes off must not end those of others."""
        number = channel_of(message)
        mine = [key for key, owners in channel.notes.items() if owner in owners]
        ended = [data for key in mine for data in self._off(channel, owner, _note_off(number, key))]
        return ended if channel.notes else [*ended, message]


def everything_off() -> list[Data]:
    """For a port of which nothing is known: pedals up, bends back and all notes off, on every channel."""
    return [data for number in range(CHANNELS) for data in _reset(number)]


def _reset(number: int) -> list[Data]:
    return [
        *((CONTROL | number, pedal, 0) for pedal in PEDALS),
        (BEND | number, *BEND_CENTRE),
        (PRESSURE | number, 0),
        (CONTROL | number, ALL_NOTES_OFF, 0),
        (CONTROL | number, ALL_SOUND_OFF, 0),
    ]


def _owners(channel: _Channel) -> set[str]:
    named = {owner for owner in (channel.bent_by, channel.pressed_by) if owner is not None}
    return named.union(channel.users, *channel.notes.values(), *channel.pedals.values())


def _silenced(channel: _Channel, number: int, owners: set[str]) -> list[Data]:
    """Ends what these owners hold of a channel."""
    ending: list[Data] = []
    for key, holders in list(channel.notes.items()):
        if holders <= owners:
            del channel.notes[key]
            ending.append(_note_off(number, key))
        holders.difference_update(owners)
    for pedal, feet in channel.pedals.items():
        if feet & owners and not feet - owners:
            ending.append((CONTROL | number, pedal, 0))
        feet.difference_update(owners)
    if channel.bent_by in owners:
        channel.bent_by = None
        ending.append((BEND | number, *BEND_CENTRE))
    if channel.pressed_by in owners:
        channel.pressed_by = None
        ending.append((PRESSURE | number, 0))
    played = channel.users & owners
    channel.users -= owners
    if played and not channel.notes and not channel.users:
        ending.append((CONTROL | number, ALL_NOTES_OFF, 0))
    return ending


def _note_off(number: int, key: int) -> Data:
    return (NOTE_OFF | number, key, RELEASE)
