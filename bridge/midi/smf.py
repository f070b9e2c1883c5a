"""A Standard MIDI File as tracks of notes and other messages, in ticks. Pure."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from bridge.media.midi_events import (
    DATA_BYTES,
    METER,
    MOST_BYTES,
    NAME,
    SYSEX,
    SYSEX_GOES_ON,
    TEMPO,
    File,
    NoMidi,
    events,
    meter_of,
    opened,
    tempo_of,
    text_of,
)
from bridge.midi.status import NOTE_OFF, NOTE_ON, RELEASE, Data

MOST_SYSEX_BYTES = 16_000
"""What is longer gets lost on its way through JACK."""
_FIRST_STATUS, _FIRST_REALTIME = 0x80, 0xF8
_BEGIN, _END = bytes([SYSEX]), bytes([SYSEX_GOES_ON])
_CLIPPED = bytes(min(byte, 0x7F) for byte in range(256))


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

    Left out are real-time messages (clock, start, active sensing), bare bytes (F7 packets that go on with
    nothing), and sysex of more than `MOST_SYSEX_BYTES`. Raises ValueError, in plain words, for what is
    no MIDI file or of a kind that cannot be played.
    """
    if len(data) > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES >> 20} MB")
    try:
        # `clip`: a data byte out of range is no reason to play nothing.
        file = opened(data, clip=True)
        if file.kind not in (0, 1):
            raise ValueError(f"its tracks are songs of their own (MIDI file of type {file.kind})")
        song, said = Song(file.ppqn), dict[int, int]()
        for span in file.tracks():
            _add_track(song, said, file, span)
    except NoMidi as fault:
        raise ValueError(f"it is no MIDI file, or a damaged one ({fault.why})") from fault
    return song


def _add_track(song: Song, said: dict[int, int], file: File, span: tuple[int, int]) -> None:
    name, tick = "", 0
    notes, rest = _Notes(), list[tuple[int, Data]]()
    sysex = _Sysex(rest)
    for tick, status, first, second in events(file, span):
        if status < _FIRST_STATUS:
            if status == NAME:
                name = name or text_of(file.data[first:second]).strip()
            elif status in (TEMPO, METER):
                _hear_meta(song, said, tick, status, file.data[first:second])
        elif status in (SYSEX, SYSEX_GOES_ON):
            sysex.hear(tick, status, file.data[first:second])
        else:
            sysex.end()
            if status & 0xF0 in (NOTE_ON, NOTE_OFF):
                notes.hear(tick, status, first, second)
            elif status < _FIRST_REALTIME:
                rest.append((tick, (status, first, second)[: 1 + DATA_BYTES[status]]))
    sysex.end()
    notes.end(tick)
    song.end = max([song.end, tick, *(note.end for note in notes.all)])
    if notes.all or rest:
        song.tracks.append(Track(name, len(song.tracks) + 1, notes.all, rest))


def _hear_meta(song: Song, said: dict[int, int], tick: int, kind: int, content: bytes) -> None:
    """A tempo or a meter. `said` has the ticks of the ones that the song has already."""
    if tick >= said.get(kind, tick + 1):
        return
    if kind == TEMPO and (micros := tempo_of(content)):
        song.bpm, said[kind] = 60_000_000 / micros, tick
    elif kind == METER and (meter := meter_of(content)):
        song.meter, said[kind] = "{}/{}".format(*meter), tick


class _Notes:
    """Notes of one track, in order of their starts. A note-off ends the note of its key that began first."""

    def __init__(self) -> None:
        self.all: list[Note] = []
        self._begun: defaultdict[int, deque[Note]] = defaultdict(deque)

    def hear(self, tick: int, status: int, key: int, velocity: int) -> None:
        channel = status & 0x0F
        line = self._begun[channel << 7 | key]
        begins = status >= NOTE_ON
        if begins and velocity:
            note = Note(tick, tick, channel, key, velocity)
            line.append(note)
            self.all.append(note)
        elif line:
            note = line.popleft()
            # One of no length would end before it begins, for ends come first.
            note.end = max(tick, note.start + 1)
            note.release = RELEASE if begins else velocity

    def end(self, tick: int) -> None:
        for line in self._begun.values():
            for note in line:
                note.end = max(tick, note.start + 1)


class _Sysex:
    """System exclusive messages of one track, put together from their packets.

    One is whole where a packet ends with F7, and also where something else comes than its next packet. It
    stands at the tick of its last packet.
    """

    def __init__(self, rest: list[tuple[int, Data]]) -> None:
        self._rest = rest
        self._begun: bytearray | None = None
        self._tick = 0

    def hear(self, tick: int, status: int, content: bytes) -> None:
        if status == SYSEX or content.startswith(_BEGIN):
            self.end()
            self._begun = bytearray()
        if self._begun is None:
            return
        self._begun += content
        self._tick = tick
        if self._begun.endswith(_END):
            self.end()

    def end(self) -> None:
        if self._begun is None:
            return
        content = self._begun.removeprefix(_BEGIN).removesuffix(_END).translate(_CLIPPED)
        self._begun = None
        if len(content) + 2 <= MOST_SYSEX_BYTES:
            self._rest.append((self._tick, (SYSEX, *content, SYSEX_GOES_ON)))
