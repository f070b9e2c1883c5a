"""Channels and pitch bends of a MIDI file's notes. Pure.

A bend belongs to a channel, not to a note, so that notes that bend while others sound need channels of their
own: plain MIDI takes the free ones of sixteen, MPE gives one to every note (MIDI Polyphonic Expression 1.0,
lower zone: master channel 1, members 2 to 16).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from bridge.media import midi_bytes as midi
from bridge.media.midi_bytes import Event
from bridge.media.midi_notes import PlacedNote
from bridge.media.notes import PitchBends

DRUM_CHANNEL = 9
MEMBERS = tuple(range(1, 16))
_OTHER_CHANNELS = tuple(channel for channel in MEMBERS if channel != DRUM_CHANNEL)
BEND_RANGE_PARAMETER, MPE_PARAMETER = 0, 6
MEMBER_RANGE, USUAL_RANGE, MOST_RANGE = 48, 2, 24

OFF_RANK, RESET_RANK, SETUP_RANK, PEDAL_UP_RANK, PEDAL_DOWN_RANK, BEND_RANK, ON_RANK = range(7)
"""What comes first at one tick: a note ends, its bend is undone, and only then the next one begins."""


@dataclass(frozen=True)
class Assigned:
    """Notes with their channels, and how many had to go without their bends."""

    notes: tuple[PlacedNote, ...]
    unbent: int = 0


def on_channels(notes: Sequence[PlacedNote], mode: PitchBends, *, drums: bool, channel: int = 0) -> Assigned:
    """Gives every note its channel; `notes` are in order of time. `channel`: where nothing bends."""
    if drums:
        return Assigned(tuple(replace(note, channel=DRUM_CHANNEL, bends=()) for note in notes))
    if mode == "off":
        return Assigned(tuple(replace(note, channel=channel, bends=()) for note in notes))
    return _mpe(notes) if mode == "mpe" else _per_note(notes)


@dataclass
class _Channels:
    """Which channel is free at what tick; the one that has rested longest comes first."""

    free_at: dict[int, int]
    bent_until: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, channels: Iterable[int]) -> _Channels:
        return cls(dict.fromkeys(channels, -1))

    def free(self, tick: int) -> int | None:
        channel = min(self.free_at, key=lambda one: (self.free_at[one], one))
        return channel if self.free_at[channel] <= tick else None

    def shared(self, tick: int) -> int:
        """All sound: one whose notes do not bend, and that is free soonest."""
        return min(self.free_at, key=lambda one: (self.bent_until[one] > tick, self.free_at[one], one))

    def take(self, channel: int, note: PlacedNote) -> PlacedNote:
        self.free_at[channel] = max(self.free_at[channel], note.end)
        if note.bends:
            self.bent_until[channel] = note.end
        return replace(note, channel=channel)


def _per_note(notes: Sequence[PlacedNote]) -> Assigned:
    """Channel 1 for all but the notes that bend while others sound."""
    channels = _Channels.of(_OTHER_CHANNELS)
    assigned, unbent = [], 0
    for note, overlaps in zip(notes, _overlapping(notes), strict=True):
        if not note.bends or not overlaps:
            assigned.append(replace(note, channel=0))
            continue
        channel = channels.free(note.start)
        if channel is None:
            assigned.append(replace(note, channel=0, bends=()))
            unbent += 1
        else:
            assigned.append(channels.take(channel, note))
    return Assigned(tuple(assigned), unbent)


def _overlapping(notes: Sequence[PlacedNote]) -> list[bool]:
    """Of each note, whether another sounds with it."""
    found = [False] * len(notes)
    longest = -1  # the note that has the latest end so far
    for index, note in enumerate(notes):
        if longest >= 0 and note.start < notes[longest].end:
            found[index] = found[longest] = True
        if longest < 0 or note.end > notes[longest].end:
            longest = index
    return found


def _mpe(notes: Sequence[PlacedNote]) -> Assigned:
    channels = _Channels.of(MEMBERS)
    assigned, unbent = [], 0
    for note in notes:
        channel = channels.free(note.start)
        if channel is None:
            # More than fifteen at once: it must share, and shall not bend the other.
            channel = channels.shared(note.start)
            unbent += bool(note.bends)
            assigned.append(channels.take(channel, replace(note, bends=(), shares=True)))
        else:
            assigned.append(channels.take(channel, note))
    return Assigned(tuple(assigned), unbent)


def bend_range(notes: Iterable[PlacedNote], mode: PitchBends) -> int:
    """Semitones to each side that the notes' channels must be able to bend."""
    if mode == "mpe":
        return MEMBER_RANGE
    widest = max((abs(semitones) for note in notes for _, semitones in note.bends), default=0.0)
    return min(MOST_RANGE, max(USUAL_RANGE, math.ceil(widest)))


def setup_events(notes: Sequence[PlacedNote], mode: PitchBends, semitones: int) -> list[Event]:
    """What the channels need to know before the first note."""
    if mode == "off":
        return []
    messages: list[bytes] = []
    bent = {note.channel for note in notes if note.bends}
    if mode == "mpe":
        messages += midi.parameter(0, MPE_PARAMETER, len(MEMBERS))
        bent = {note.channel for note in notes}
    for channel in sorted(bent):
        messages += midi.parameter(channel, BEND_RANGE_PARAMETER, semitones)
        messages.append(midi.bend(channel, 0))
    return [(0, SETUP_RANK, message) for message in messages]


def bend_events(
    notes: Sequence[PlacedNote], semitones: int, *, always: bool, released: Callable[[int], int]
) -> list[Event]:
    """The bends of all notes, and their resets.

    A bend is undone when the note has died away (`released` of the tick of its end), or when the channel's
    next note begins. `always`: each note is told its first bend, also where that is none (MPE).
    """
    by_channel: defaultdict[int, list[PlacedNote]] = defaultdict(list)
    for note in notes:
        by_channel[note.channel].append(note)
    found: list[Event] = []
    for channel, line in by_channel.items():
        for note, following in zip(line, [*line[1:], None], strict=True):
            values = _values(note, semitones, always=always and not note.shares)
            found += [(tick, BEND_RANK, midi.bend(channel, value)) for tick, value in values]
            if values and values[-1][1]:
                found.append((_reset_tick(note, following, released), RESET_RANK, midi.bend(channel, 0)))
    return found


def _values(note: PlacedNote, semitones: int, *, always: bool) -> list[tuple[int, int]]:
    """(tick, 14-bit value) while the note sounds, without repeats; the channel begins at 0."""
    by_tick = {note.start: 0}
    for tick, bend in note.bends:
        if tick < note.end:
            by_tick[max(note.start, tick)] = _raw(bend, semitones)
    found: list[tuple[int, int]] = []
    before = None if always else 0
    for tick, value in by_tick.items():
        if value != before:
            found.append((tick, value))
        before = value
    return found


def _raw(bend: float, semitones: int) -> int:
    return min(midi.BEND_CENTRE - 1, max(-midi.BEND_CENTRE, round(bend / semitones * midi.BEND_CENTRE)))


def _reset_tick(note: PlacedNote, following: PlacedNote | None, released: Callable[[int], int]) -> int:
    if following is None:
        return released(note.end)
    return max(note.end, min(released(note.end), following.start))
