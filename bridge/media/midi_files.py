"""Notes written as MIDI in the project's time. Pure.

Standard MIDI Files of type 1, 960 ticks a quarter note: tempo map, meters, keys and markers on track 0, the
notes of each instrument on one of the others (The Complete MIDI 1.0 Detailed Specification, Standard MIDI
Files 1.0).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, get_args

from bridge.media import midi_bends as bends
from bridge.media import midi_bytes as midi
from bridge.media.midi_bytes import LAST_TICK, Event
from bridge.media.midi_conductor import conductor, on_bar_line
from bridge.media.midi_notes import PlacedNote, placed_notes
from bridge.media.midi_reading import smf_timeline, smf_to_notes
from bridge.media.musical_time import PPQN, Timeline, ticks_at
from bridge.media.notes import Transcription, check_range, check_transcription
from bridge.media.quantise import Quantise

__all__ = [
    "LAST_TICK", "PPQN", "MidiFileResult", "MidiStart", "Track", "notes_to_smf", "smf_timeline",
    "smf_to_notes", "tracks_to_smf",
]  # fmt: skip

MidiStart = Literal["bounce", "bar", "project"]

# A duration is a float: what lies this little behind a tick still ends on it.
_ROUNDING_TICKS = Fraction(1, 1_000_000)
# A synthesizer lets a note die away: bends are undone after that, so that nobody hears it.
_RELEASE_S = Fraction(1, 4)
_SUSTAIN, _DOWN, _UP = 64, 127, 0


@dataclass(frozen=True)
class Track:
    """The notes of one instrument. `program` 0..127 is its sound; `channel` 0..15 where no note bends.

    `start_s` is where its audio begins on the project's timeline; None: where the timeline says.
    """

    heard: Transcription
    name: str
    program: int | None = None
    channel: int = 0
    start_s: Fraction | None = None


@dataclass(frozen=True)
class MidiFileResult:
    """A MIDI file, and what was done to make it one.

    `drift_s` is the worst difference between the file's tempo events and the project's map. `start_beat` is
    the project's beat at tick 0. `bars_kept` is False where a bar was cut short and no meter can say so.
    `left_out` notes had ended before the file begins; `unbent` notes found no free channel for their bends.
    """

    data: bytes = field(repr=False)
    drift_s: float
    start_beat: Fraction
    end_tick: int
    notes: int
    left_out: int = 0
    unbent: int = 0
    bars_kept: bool = True


def notes_to_smf(
    heard: Transcription,
    timeline: Timeline,
    *,
    track_name: str,
    start: MidiStart = "bounce",
    quantise: Quantise | None = None,
    program: int | None = None,
) -> MidiFileResult:
    """Writes what was heard as a MIDI file of one instrument; see `tracks_to_smf`."""
    return tracks_to_smf([Track(heard, track_name, program)], timeline, start=start, quantise=quantise)


def tracks_to_smf(
    tracks: Sequence[Track],
    timeline: Timeline,
    *,
    title: str = "",
    start: MidiStart = "bounce",
    quantise: Quantise | None = None,
) -> MidiFileResult:
    """Writes what was heard as a MIDI file that stands in the project's time.

    `title` is the name of the track that has the tempo; without one that of the first instrument.

    `start` says what tick 0 is: the audio's first sample ("bounce"), the bar line at or before it ("bar"), or
    the beginning of the project's bar 1 ("project"). A note's tick is its place on the project's map, rounded
    once. The file ends with the audio, or with the last note if that is later. Drums go to channel 10.
    Raises ValueError, with the range, for values that cannot be.
    """
    for track in tracks:
        check_transcription(track.heard)
        if track.program is not None:
            check_range("program", track.program, 0, 127)
    origin = _origin(timeline, start)
    laid = [_laid(track, timeline, origin, quantise) for track in tracks]
    end_tick = max(one.end_tick for one in laid)
    head = conductor(timeline, origin, end_tick)
    written = [midi.track(one.track.name, one.events(end_tick), end_tick) for one in laid]
    return MidiFileResult(
        data=midi.smf((midi.track(title or tracks[0].name, head.events, end_tick), *written), ppqn=PPQN),
        drift_s=head.drift_s,
        start_beat=origin,
        end_tick=end_tick,
        notes=sum(len(one.notes) for one in laid),
        left_out=sum(len(one.track.heard.notes) - len(one.notes) for one in laid),
        unbent=sum(one.unbent for one in laid),
        bars_kept=head.bars_kept,
    )


@dataclass(frozen=True)
class _Laid:
    """A track whose notes have their ticks and channels. `timeline` begins with its own audio."""

    track: Track
    timeline: Timeline
    origin: Fraction
    notes: tuple[PlacedNote, ...]
    unbent: int
    end_tick: int

    def events(self, end_tick: int) -> list[Event]:
        heard, channels = self.track.heard, self._channels()
        return [
            *_note_events(self.notes),
            *_bends(self.notes, heard, _release(self.timeline, self.origin, end_tick)),
            *_programs(channels, self.track.program),
            *_pedal(channels, heard, self.timeline, self.origin, end_tick),
        ]

    def _channels(self) -> list[int]:
        """Where a message for the whole instrument goes to; in MPE the master channel speaks for all."""
        heard = self.track.heard
        if heard.drums:
            return [bends.DRUM_CHANNEL]
        if heard.pitch_bends == "per_note":
            return sorted({0, *(note.channel for note in self.notes)})
        return [0 if heard.pitch_bends == "mpe" else self.track.channel]


def _laid(track: Track, timeline: Timeline, origin: Fraction, quantise: Quantise | None) -> _Laid:
    heard = track.heard
    own = timeline if track.start_s is None else replace(timeline, start_s=track.start_s)
    bending = heard.pitch_bends != "off" and not heard.drums
    placed = placed_notes(heard.notes, own, origin, how=quantise, bends=bending)
    end_tick = _end_tick(heard, own, origin, placed)
    assigned = bends.on_channels(placed, heard.pitch_bends, drums=heard.drums, channel=track.channel)
    return _Laid(track, own, origin, assigned.notes, assigned.unbent, end_tick)


def _origin(timeline: Timeline, start: MidiStart) -> Fraction:
    """The project's beat at tick 0."""
    if start not in get_args(MidiStart):
        raise ValueError(f"start must be one of {', '.join(get_args(MidiStart))}, not {start!r}")
    if start == "project":
        return Fraction(0)
    begins = timeline.beat_of_audio(0)
    return on_bar_line(timeline.meters, begins) if start == "bar" else begins


def _end_tick(heard: Transcription, timeline: Timeline, origin: Fraction, notes: list[PlacedNote]) -> int:
    ends = (timeline.beat_of_audio(heard.duration_s) - origin) * PPQN
    last = max([0, math.ceil(ends - _ROUNDING_TICKS), *(note.end for note in notes)])
    if last > LAST_TICK:
        raise ValueError(f"time in ticks must be in range 0..{LAST_TICK}, not {last}")
    return last


def _note_events(notes: tuple[PlacedNote, ...]) -> list[Event]:
    events = [
        (note.start, bends.ON_RANK, midi.note_on(note.channel, note.pitch, note.velocity)) for note in notes
    ]
    events += [(note.end, bends.OFF_RANK, midi.note_off(note.channel, note.pitch)) for note in notes]
    return events


def _bends(
    notes: tuple[PlacedNote, ...], heard: Transcription, released: Callable[[int], int]
) -> list[Event]:
    if heard.drums or heard.pitch_bends == "off":
        return []
    mode = heard.pitch_bends
    semitones = bends.bend_range(notes, mode)
    return [
        *bends.setup_events(notes, mode, semitones),
        *bends.bend_events(notes, semitones, always=mode == "mpe", released=released),
    ]


def _release(timeline: Timeline, origin: Fraction, end_tick: int) -> Callable[[int], int]:
    def released(tick: int) -> int:
        time_s = timeline.tempo.seconds_at(origin + Fraction(tick, PPQN)) + _RELEASE_S
        return min(end_tick, max(tick, ticks_at(timeline.tempo.beat_at(time_s) - origin)))

    return released


def _programs(channels: Sequence[int], program: int | None) -> list[Event]:
    if program is None:
        return []
    return [(0, bends.SETUP_RANK, midi.program(channel, program)) for channel in channels]


def _pedal(
    channels: Sequence[int], heard: Transcription, timeline: Timeline, origin: Fraction, end_tick: int
) -> list[Event]:
    """The sustain pedal, up again at the end of the file at the latest."""
    events: list[Event] = []
    for span in heard.sustain:
        ticks = (ticks_at(timeline.beat_of_audio(time_s) - origin) for time_s in span)
        down, up = (min(end_tick, max(0, tick)) for tick in ticks)
        if down == up:
            continue
        for channel in channels:
            events.append((down, bends.PEDAL_DOWN_RANK, midi.control(channel, _SUSTAIN, _DOWN)))
            events.append((up, bends.PEDAL_UP_RANK, midi.control(channel, _SUSTAIN, _UP)))
    return events
