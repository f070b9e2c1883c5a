"""A Standard MIDI File as tracks of notes and other messages, in ticks. Pure."""

from __future__ import annotations

import io
import struct
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import mido

from bridge.midi.status import NOTE_OFF, NOTE_ON, RELEASE, Data, channel_of, kind_of

MOST_BYTES = 8 << 20
MOST_SYSEX_BYTES = 16_000
"""What is longer gets lost on its way through JACK."""
_FAULTS = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, struct.error),
    mido.KeySignatureError,
)  # fmt: skip


@dataclass(slots=True)
class Note:
    start: int
    end: int
    channel: int
    key: int
    velocity: int
    release: int = RELEASE


@dataclass(frozen=True)
class Track:
    """`number` counts the tracks that play anything from 1; `rest` is all that is no note, in its order."""

    name: str
    number: int
    notes: list[Note]
    rest: list[tuple[int, Data]]


@dataclass
class Song:
    """`end` is the tick where the last track ends. `bpm` and `meter` are the file's first, if it says any."""

    ppqn: int
    tracks: list[Track] = field(default_factory=list)
    end: int = 0
    bpm: float | None = None
    meter: str | None = None


def read_song(data: bytes) -> Song:
    """Every note has an end: it is cut by the next one of its key, else it ends with its track.

    Raises ValueError, in plain words, for what is no MIDI file or of a kind that cannot be played.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
    try:
        # `clip`: a data byte out of range is no reason to play nothing.
        file = mido.MidiFile(file=io.BytesIO(data), clip=True)
    except _FAULTS as fault:
        raise ValueError(f"it is no MIDI file, or a damaged one ({fault or type(fault).__name__})") from fault
    if file.type not in (0, 1):
        raise ValueError(f"its tracks are songs of their own (MIDI file of type {file.type})")
    if file.ticks_per_beat <= 0:
        raise ValueError("its times are in frames of a film (SMPTE), not in beats")
    song = Song(file.ticks_per_beat)
    for track in file.tracks:
        _add_track(song, track)
    return song


def _add_track(song: Song, messages: Any) -> None:
    name, tick = "", 0
    rest: list[tuple[int, Data]] = []
    keys: list[tuple[int, Data]] = []
    for message in messages:
        tick += message.time
        if message.is_meta:
            name = message.name if message.type == "track_name" and not name else name
            _note_meta(song, message)
        elif message.type in ("note_on", "note_off"):
            keys.append((tick, tuple(message.bytes())))
        elif message.type != "sysex" or len(message.data) + 2 <= MOST_SYSEX_BYTES:
            rest.append((tick, tuple(message.bytes())))
    song.end = max(song.end, tick)
    if keys or rest:
        notes = sorted(_notes(keys, tick), key=lambda note: note.start)
        song.end = max([song.end, *(note.end for note in notes)])
        song.tracks.append(Track(name.strip(), len(song.tracks) + 1, notes, rest))


def _note_meta(song: Song, message: Any) -> None:
    if message.type == "set_tempo" and song.bpm is None and message.tempo:
        song.bpm = 60_000_000 / message.tempo
    elif message.type == "time_signature" and song.meter is None:
        song.meter = f"{message.numerator}/{message.denominator}"


def _notes(keys: list[tuple[int, Data]], end: int) -> Iterator[Note]:
    """Notes of one track: a note-off ends the note of its key that began first."""
    begun: defaultdict[tuple[int, int], deque[Note]] = defaultdict(deque)
    for tick, data in keys:
        _, key, velocity = data
        line = begun[channel_of(data), key]
        if kind_of(data) == NOTE_ON and velocity:
            line.append(Note(tick, end, channel_of(data), key, velocity))
        elif line:
            note = line.popleft()
            # One of no length would end before it begins, for ends come first.
            note.end = max(tick, note.start + 1)
            note.release = velocity if kind_of(data) == NOTE_OFF else RELEASE
            yield note
    for line in begun.values():
        for note in line:
            note.end = max(end, note.start + 1)
            yield note
