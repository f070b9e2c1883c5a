"""A song ready to be played: its messages by beat, and what is to be set at any place of it. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from operator import attrgetter, itemgetter

from bridge.midi.chase import Chase, Key, is_cut, key_of
from bridge.midi.smf import Note, Song, Track, read_song
from bridge.midi.status import (
    AFTERTOUCH,
    BANKS,
    CHANNELS,
    CONTROL,
    DRUMS,
    KEYS,
    NOTE_OFF,
    NOTE_ON,
    PROGRAM,
    SYSTEM,
    Data,
    channel_of,
    kind_of,
)

Event = tuple[float, Data]
"""A beat, and the message."""

# Of one tick first what ends, then what sets, then what sounds.
_ENDS, _SETS, _SOUNDS, _PRESSES = range(4)
_Row = tuple[int, int, Data]
"""A tick, the rank there, and the message."""
_OCTAVES = 10 * 12
_CHECKPOINT = 512
_SAME_PLACE = 1e-5


@dataclass(frozen=True)
class State:
    """What to send to be in the middle of a song: `settings` first, then the `notes` that sound there."""

    settings: tuple[Data, ...]
    notes: tuple[Data, ...]


class Sequence:
    """`length` is in beats (quarter notes), `events` are in order; of one place note-offs come first.

    `bpm` and `meter` are the file's first ones, `tracks` the names of those that play anything. Played by the
    beats of a clock, so changes of tempo in the file do not matter.
    """

    def __init__(self, title: str, song: Song, *, transpose: int, channels: Mapping[str, int]) -> None:
        self.title = title
        self.bpm, self.meter = song.bpm, song.meter
        self.tracks = tuple(track.name for track in song.tracks)
        self.length = song.end / song.ppqn
        self._song, self._arrangement = song, (transpose, dict(channels))
        rows = sorted(_rows(song, transpose, channels), key=lambda row: row[:2])
        self.events: tuple[Event, ...] = tuple((tick / song.ppqn, data) for tick, _, data in rows)
        self._checkpoints = tuple(self._chased())

    @classmethod
    def read(cls, data: bytes, title: str = "") -> Sequence:
        """Reads a Standard MIDI File. Raises ValueError in plain words for one that cannot be played."""
        try:
            song = read_song(data)
        except ValueError as fault:
            raise ValueError(f"{title or 'this file'} cannot be played: {fault}") from fault
        return cls(title, song, transpose=0, channels={})

    def arranged(self, transpose: int = 0, channels: Mapping[str, int] | None = None) -> Sequence:
        """The same song, `transpose` semitones higher, and tracks on other channels.

        `channels` maps a track's name, its number from 1 among those that play anything, or "*" to a channel
        1 to 16. Drums (channel 10 of the file) are not transposed; notes out of range are left out. Raises
        ValueError in plain words for what cannot be.
        """
        if not -_OCTAVES <= transpose <= _OCTAVES:
            raise ValueError(
                f"transpose must be in range -{_OCTAVES} to {_OCTAVES} semitones, not {transpose}"
            )
        for name, channel in (channels or {}).items():
            if not 1 <= channel <= CHANNELS:
                raise ValueError(f'channel of track "{name}" must be in range 1 to {CHANNELS}, not {channel}')
        if self._arrangement == (transpose, dict(channels or {})):
            return self
        return Sequence(self.title, self._song, transpose=transpose, channels=channels or {})

    def index_at(self, beat: float) -> int:
        """The first event at or behind a beat."""
        return bisect_left(self.events, beat, key=itemgetter(0))

    def state_at(self, beat: float) -> State:
        """What everything before that beat has come to. What is set at the very beat is left out."""
        index = self.index_at(beat)
        chase = self._heard(index)
        return State(tuple(chase.settings(self._set_at(index, beat))), tuple(chase.notes()))

    @cached_property
    def rewound(self) -> tuple[Data, ...]:
        """What to set to play from the beginning once more, right behind the end and a `Cut`."""
        # What stands at the very end may have been dropped by the cut.
        ends = (self._heard(index).settings() for index in (len(self.events), self.index_at(self.length)))
        end = set.intersection(*map(set, ends))
        changed = {data for data in self.state_at(0.0).settings if data not in end}
        banked = {channel_of(data) for data in changed if kind_of(data) == CONTROL and data[1] in BANKS}
        return tuple(
            data
            for data in self.state_at(0.0).settings
            if (data in changed and not is_cut(data))
            or (kind_of(data) == PROGRAM and channel_of(data) in banked)
        )

    def _heard(self, index: int) -> Chase:
        chase = self._checkpoints[index // _CHECKPOINT].copy()
        for _, data in self.events[index - index % _CHECKPOINT : index]:
            chase.hear(data)
        return chase

    def _set_at(self, index: int, beat: float) -> set[Key]:
        """What the events at a beat set, the first of which has that index."""
        there = self.events[index : self.index_at(beat + _SAME_PLACE)]
        return {key for _, data in there if (key := key_of(data)) is not None}

    def _chased(self) -> Iterator[Chase]:
        chase = Chase.before(data for _, data in self.events)
        for index, (_, data) in enumerate(self.events):
            if not index % _CHECKPOINT:
                yield chase.copy()
            chase.hear(data)
        if not len(self.events) % _CHECKPOINT:
            yield chase


def _rows(song: Song, transpose: int, channels: Mapping[str, int]) -> Iterator[_Row]:
    """All messages of all tracks, each track's in its own order."""
    notes: list[Note] = []
    for track in song.tracks:
        channel = _channel_of(track, channels)
        notes += _moved_notes(track.notes, transpose, channel)
        for tick, data in track.rest:
            moved = _moved(data, transpose, channel)
            if moved:
                yield tick, _PRESSES if kind_of(moved) == AFTERTOUCH else _SETS, moved
    for note in _apart(notes):
        yield note.start, _SOUNDS, (NOTE_ON | note.channel, note.key, note.velocity)
        yield note.end, _ENDS, (NOTE_OFF | note.channel, note.key, note.release)


def _channel_of(track: Track, channels: Mapping[str, int]) -> int | None:
    """The channel from 0 that a track goes to; None: each message stays on its own."""
    named = {name.strip().casefold(): channel for name, channel in channels.items()}
    for name in (track.name.casefold(), str(track.number), "*"):
        if name and name in named:
            return named[name] - 1
    return None


def _key(key: int, channel: int, transpose: int) -> int:
    return key if channel == DRUMS else key + transpose


def _moved_notes(notes: Iterable[Note], transpose: int, channel: int | None) -> Iterator[Note]:
    for note in notes:
        key = _key(note.key, note.channel, transpose)
        if 0 <= key < KEYS:
            yield replace(note, key=key, channel=note.channel if channel is None else channel)


def _moved(data: Data, transpose: int, channel: int | None) -> Data | None:
    if data[0] >= SYSTEM:
        return data
    status = data[0] if channel is None else kind_of(data) | channel
    if kind_of(data) != AFTERTOUCH:
        return (status, *data[1:])
    key = _key(data[1], channel_of(data), transpose)
    return (status, key, data[2]) if 0 <= key < KEYS else None


def _apart(notes: Iterable[Note]) -> Iterator[Note]:
    """One note at a time of each key: the next one cuts it; of two that begin together the louder counts."""
    keys: defaultdict[tuple[int, int], list[Note]] = defaultdict(list)
    for note in sorted(notes, key=attrgetter("start")):
        line = keys[note.channel, note.key]
        if line and line[-1].start == note.start:
            together = line[-1]
            line[-1] = replace(
                together,
                end=max(together.end, note.end),
                velocity=max(together.velocity, note.velocity),
            )
        else:
            line.append(note)
    for line in keys.values():
        for note, following in pairwise(line):
            yield replace(note, end=min(note.end, following.start))
        yield line[-1]
