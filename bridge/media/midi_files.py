"""Notes in seconds, and the MIDI files that they are written to and read from. Pure.

Times are kept in seconds and become ticks only in the Standard MIDI File, whatever its tempo
(The Complete MIDI 1.0 Detailed Specification, Standard MIDI Files 1.0).
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import mido

from bridge.media.notes import Note, check_duration, check_note, check_range, in_time

PPQN = 960
DEFAULT_TEMPO_US = 500_000
LOWEST_BPM, HIGHEST_BPM = 4.0, 1000.0
HIGHEST_PPQN = 0x7FFF  # the bit above it means SMPTE time
# Four bytes of a variable-length quantity hold no more.
LAST_TICK = 0x0FFFFFFF


@dataclass(frozen=True, slots=True)
class _Placed:
    """A note on the grid of ticks."""

    start: int
    end: int
    pitch: int
    velocity: int


def notes_to_smf(
    notes: Iterable[Note],
    *,
    tempo_bpm: float,
    track_name: str,
    duration_s: float | None = None,
    program: int | None = None,
    channel: int = 0,
) -> bytes:
    """A Standard MIDI File of type 1: tempo, 4/4 and name on track 0, the notes on track 1.

    A note's time in seconds is the same with every tempo, to half a tick. Notes are at least one tick long
    and never overlap on one pitch. The file ends at `duration_s`, or with the last note if that is later.
    Raises ValueError, with the range, for values that cannot be.
    """
    check_range("tempo_bpm", tempo_bpm, LOWEST_BPM, HIGHEST_BPM)
    check_range("channel", channel, 0, 15)
    if program is not None:
        check_range("program", program, 0, 127)
    check_duration(duration_s or 0.0)
    tempo_us = round(60_000_000 / tempo_bpm)
    placed = _placed(notes, tempo_us)
    end = max([_ticks(duration_s or 0.0, tempo_us), *(note.end for note in placed)])
    name = " ".join("".join(c if c.isprintable() else " " for c in track_name).split())
    file = mido.MidiFile(type=1, ticks_per_beat=PPQN, charset="utf-8")
    file.tracks.append(_tempo_track(tempo_us, name, end))
    file.tracks.append(_note_track(placed, name, end, program=program, channel=channel))
    out = io.BytesIO()
    file.save(file=out)
    return out.getvalue()


def _ticks(time_s: float, tempo_us: int) -> int:
    tick = round(time_s * 1_000_000 * PPQN / tempo_us)
    check_range("time in ticks", tick, 0, LAST_TICK)
    return tick


def _placed(notes: Iterable[Note], tempo_us: int) -> list[_Placed]:
    by_pitch: defaultdict[int, list[_Placed]] = defaultdict(list)
    for note in sorted(notes, key=in_time):
        check_note(note)
        start = _ticks(note.start_s, tempo_us)
        end = max(start + 1, _ticks(note.end_s, tempo_us))
        line = by_pitch[note.pitch]
        _join(line, _Placed(start, end, int(note.pitch), int(note.velocity)))
    return [note for line in by_pitch.values() for note in line]


def _join(line: list[_Placed], note: _Placed) -> None:
    """Appends a note to those of its pitch: ends the one before it, or joins it at the same tick."""
    if line and line[-1].start == note.start:
        before = line.pop()
        velocity = max(before.velocity, note.velocity)
        note = _Placed(note.start, max(before.end, note.end), note.pitch, velocity)
    elif line and line[-1].end > note.start:
        before = line.pop()
        line.append(_Placed(before.start, note.start, before.pitch, before.velocity))
    line.append(note)


def _tempo_track(tempo_us: int, name: str, end: int) -> Any:
    return mido.MidiTrack([
        mido.MetaMessage("track_name", name=name, time=0),
        mido.MetaMessage("set_tempo", tempo=tempo_us, time=0),
        mido.MetaMessage("time_signature", numerator=4, denominator=4, time=0),
        mido.MetaMessage("end_of_track", time=end),
    ])  # fmt: skip


def _note_track(placed: list[_Placed], name: str, end: int, *, program: int | None, channel: int) -> Any:
    track = mido.MidiTrack([mido.MetaMessage("track_name", name=name, time=0)])
    if program is not None:
        track.append(mido.Message("program_change", program=program, channel=channel, time=0))
    # The second field sorts note-offs before note-ons at one tick.
    events = [(note.end, 0, note.pitch, 0) for note in placed]
    events += [(note.start, 1, note.pitch, note.velocity) for note in placed]
    now = 0
    for tick, is_on, pitch, velocity in sorted(events):
        kind = "note_on" if is_on else "note_off"
        track.append(
            mido.Message(kind, note=pitch, velocity=velocity or 64, channel=channel, time=tick - now)
        )
        now = tick
    track.append(mido.MetaMessage("end_of_track", time=end - now))
    return track


_MIDO_FAULTS = (
    EOFError, OSError, ValueError, KeyError, IndexError, AttributeError, TypeError, mido.KeySignatureError,
)  # fmt: skip
"""What mido raises for bytes that are no MIDI file."""


def smf_to_notes(data: bytes) -> list[Note]:
    """All notes of a Standard MIDI File in seconds, by its tempo map, in order of time.

    A note that is never ended lasts until its track does. Raises ValueError for bytes that are no MIDI file.
    """
    try:
        # Every byte is a letter in Latin-1, so that names in any charset can be passed over.
        file = mido.MidiFile(file=io.BytesIO(data), charset="latin1")
    except _MIDO_FAULTS as fault:
        raise ValueError(f"this is no MIDI file: {fault}") from fault
    if not 0 < file.ticks_per_beat <= HIGHEST_PPQN:
        raise ValueError("MIDI files in SMPTE time cannot be read")
    clock = _TempoMap(file.tracks, file.ticks_per_beat)
    notes = [note for track in file.tracks for note in _notes_of(track, clock)]
    return sorted(notes, key=in_time)


class _TempoMap:
    """Ticks to seconds through all changes of tempo."""

    def __init__(self, tracks: Iterable[Any], ppqn: int) -> None:
        changes: dict[int, int] = {0: DEFAULT_TEMPO_US}
        for track in tracks:
            tick = 0
            for message in track:
                tick += message.time
                if message.type == "set_tempo":
                    changes[tick] = message.tempo
        self._ppqn = ppqn
        self._ticks = sorted(changes)
        self._tempi_us = [changes[tick] for tick in self._ticks]
        self._micros = [0.0]  # microseconds times ppqn: whole numbers, so nothing adds up
        for index in range(1, len(self._ticks)):
            length = self._ticks[index] - self._ticks[index - 1]
            self._micros.append(self._micros[-1] + length * self._tempi_us[index - 1])

    def seconds(self, tick: int) -> float:
        """The time of a tick."""
        index = bisect_right(self._ticks, tick) - 1
        micros = self._micros[index] + (tick - self._ticks[index]) * self._tempi_us[index]
        return micros / (self._ppqn * 1_000_000)


def _notes_of(track: Iterable[Any], clock: _TempoMap) -> list[Note]:
    notes: list[Note] = []
    sounding: defaultdict[tuple[int, int], deque[tuple[int, int]]] = defaultdict(deque)
    tick = 0
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off"):
            continue
        line = sounding[message.channel, message.note]
        if message.type == "note_on" and message.velocity > 0:
            line.append((tick, message.velocity))
        elif line:
            notes.append(_ended(line.popleft(), message.note, tick, clock))
    for (_, pitch), line in sounding.items():
        notes.extend(_ended(begun, pitch, tick, clock) for begun in line)
    return notes


def _ended(begun: tuple[int, int], pitch: int, tick: int, clock: _TempoMap) -> Note:
    start, velocity = begun
    return Note(clock.seconds(start), clock.seconds(tick), pitch, velocity)
