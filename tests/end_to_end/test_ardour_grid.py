"""A real DAW with a tempo that changes: the notes of an export from mid-song stand on the session's beats.

Ardour itself says where its beats are: the music is laid on them before the export, and the notes of the
MIDI are compared with them after it. The files are read with mido only. Needs Ardour 7, else skipped.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import quantiles
from typing import Any

import pytest
import soundfile

from bridge.engine import synth
from bridge.jobs.model import JobState
from bridge.media.notes import Note
from support.ardour import (
    BWF_PRESET,
    TICKS_A_QUARTER,
    WAV_PRESET,
    Ramps,
    add_bwf_preset,
    draw_ramps,
    lay_region,
    needs_ardour,
    run,
    run_until,
)
from support.bridge_process import BridgeProcess
from support.commands import bridge
from support.midi_tracks import FileClock, of_type, tracks
from support.polling import eventually

pytestmark = [pytest.mark.slow, needs_ardour]

RATE_HZ = 48_000
MEDIAN_MS, MOST_MS = 6.0, 15.0
"""What half and 95 % of the notes may be off the beat."""
SAME_NOTE_S = 0.1
SAME_TIME_S = 0.001
FOUND = 0.9
CONVERTED_S = 120.0

MELODY = (72, 76, 79, 74, 71, 77, 69, 76, 74, 81, 72, 67)
CHORDS = ((48, 55, 64), (45, 52, 60), (53, 57, 65), (43, 50, 59))


@dataclass(frozen=True)
class Song:
    """A session: `tempi` are (beat, BPM from, BPM to), the music lasts from beat `first` to `last`."""

    name: str
    meter: tuple[int, int]
    tempi: tuple[tuple[int, float, float], ...]
    ramps: Ramps
    exports: tuple[Export, ...]
    first: int = 2
    last: int = 32


@dataclass(frozen=True)
class Export:
    """A part of the song, in beats. A plain WAV has the part as a range in the session, a BWF has not."""

    name: str
    first: float
    last: float
    range: str = ""

    @property
    def preset(self) -> str:
        return WAV_PRESET if self.range else BWF_PRESET


STEP = Song(
    "step",
    meter=(4, 4),
    tempi=((0, 120, 120), (8, 96, 96)),
    ramps={},
    exports=(
        Export("after the change", 13.5, 28),
        Export("across the change", 5, 20),
        Export("song_Verse", 14.5, 30, range="Verse"),
        Export("by its length", 6, 23.5, range="Bridge"),
    ),
)
RAMP = Song(
    "ramp",
    meter=(3, 4),
    tempi=((0, 100, 100), (6, 100, 150), (15, 150, 150), (21, 132.5, 71.25), (27, 90, 90)),
    ramps={6: (100.0, 150.0, 15), 21: (132.5, 71.25, 27)},
    exports=(
        Export("from within the ramp", 8.5, 25),
        Export("across the ramps", 4, 30),
        Export("song_Verse", 10.5, 24, range="Verse"),
        Export("by its length", 5, 23, range="Bridge"),
    ),
)

NEW = """
s = create_session("{folder}", "song", {rate_hz})
s:new_audio_track(1, 2, nil, 1, "Lead", ARDOUR.PresentationInfo.max_order, ARDOUR.TrackMode.Normal, true)
tm = Temporal.TempoMap.write_copy()
tm:set_meter(Temporal.Meter({upper}, {lower}), at(0))
{tempi}
Temporal.TempoMap.update(tm)
s:save_state("")
tm, s = nil, nil
"""
TEMPO = "tm:set_tempo(Temporal.Tempo({low}, {high}, 4), at({beat}))"
RANGE = 's:locations():add_range(at({first}), at({last})):set_name("{range}")'
TELL = """
s = load_session("{folder}", "song")
{ranges}
s:save_state("")
tm = Temporal.TempoMap.read()
for _, tick in ipairs({{{ticks}}}) do
  local pos = Temporal.timepos_t.from_ticks(tick)
  print("AT", tick, pos:samples(), tm:bbt_at(pos):str())
end
tm, s = nil, nil
"""
EXPORT = """
s = load_session("{folder}", "song")
x = s:simple_export()
x:set_preset("{preset}")
x:set_range(at({first}):samples(), at({last}):samples())
x:set_name("{file}")
x:set_folder("{folder}/export")
assert(x:check_outputs())
assert(x:run_export())
x, s = nil, nil
"""


Times = dict[int, tuple[float, str]]


@dataclass(frozen=True)
class Session:
    """A session of Ardour's, with music on its beats: `played` has seconds since the session's beginning."""

    song: Song
    home: Path
    folder: Path
    played: tuple[Note, ...]

    def times_of(self, ticks: Iterable[int], *, ranges: Iterable[Export] = ()) -> Times:
        """By Ardour's own word: each tick (1,920 a quarter note) in seconds, and as bar|beat|tick.

        Gives the session some ranges on the way.
        """
        lines = "\n".join(RANGE.format(**vars(one)) for one in ranges)
        script = TELL.format(folder=self.folder, ranges=lines, ticks=", ".join(map(str, ticks)))
        told = re.findall(r"^AT\s+(\d+)\s+(\d+)\s+(\S+)$", run(self.home, script), re.MULTILINE)
        return {int(tick): (int(frame) / RATE_HZ, bar_beat) for tick, frame, bar_beat in told}

    def export(self, part: Export) -> Path:
        """The export's file; one of an Ardour that died lies beside it, under another number."""

        def script(attempt: int) -> str:
            return EXPORT.format(
                folder=self.folder, file=f"{part.name} {attempt}", preset=part.preset, **vars(part)
            )

        attempt = run_until(self.home, script)
        return self.folder / f"export/{part.name} {attempt}.wav"


@pytest.fixture(scope="module", params=[STEP, RAMP], ids=lambda song: song.name)
def session(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    song: Song = request.param
    home, folder = tmp_path_factory.mktemp("ardour"), tmp_path_factory.mktemp(song.name) / "song"
    add_bwf_preset(home)
    tempi = (TEMPO.format(beat=beat, low=low, high=high) for beat, low, high in song.tempi)
    upper, lower = song.meter
    words = {"tempi": "\n".join(tempi), "upper": upper, "lower": lower}
    run(home, NEW.format(folder=folder, rate_hz=RATE_HZ, **words), makes=folder)
    draw_ramps(folder / "song.ardour", song.ramps)
    silent = Session(song, home, folder, ())
    ticks = range(song.first * TICKS_A_QUARTER, song.last * TICKS_A_QUARTER + 1, TICKS_A_QUARTER // 2)
    times = silent.times_of(ticks, ranges=(one for one in song.exports if one.range))
    played = tuple(music([times[tick][0] for tick in ticks]))
    lay_music(silent, played, times[ticks[0]][0])
    return Session(song, home, folder, played)


def music(eighths_s: list[float]) -> Iterator[Note]:
    """A melody in eighths with rests over chords of three beats, on the times given."""
    for n, (start_s, end_s) in enumerate(pairwise(eighths_s)):
        if n % 8 != 5:
            yield Note(start_s, start_s + 0.9 * (end_s - start_s), MELODY[n % len(MELODY)], 80 + n * 7 % 40)
        if n % 6 == 0:
            chord_end_s = start_s + 0.6 * (eighths_s[min(n + 6, len(eighths_s) - 1)] - start_s)
            for pitch in CHORDS[n // 6 % len(CHORDS)]:
                yield Note(start_s, chord_end_s, pitch, 70 + n * 5 % 30)


def lay_music(session: Session, played: tuple[Note, ...], begin_s: float) -> None:
    """The music becomes a region on the session's track, beginning at a beat in it."""
    moved = [Note(one.start_s - begin_s, one.end_s - begin_s, one.pitch, one.velocity) for one in played]
    sound = synth.render(moved, rate_hz=RATE_HZ)
    file = session.folder / "interchange/song/audiofiles/lead.wav"
    soundfile.write(file, sound, RATE_HZ, subtype="PCM_24")
    place = {"at_frame": round(begin_s * RATE_HZ), "rate_hz": RATE_HZ}
    lay_region(session.folder / "song.ardour", "Lead", file, frames=len(sound), **place)


@pytest.fixture
def daemon(session: Session, tmp_path: Path, models_folder: Path) -> Iterator[BridgeProcess]:
    """Watches the folder that Ardour exports to; the project folder is the session."""
    process = BridgeProcess(
        tmp_path, models_folder, settle_s=0.4, watched=session.folder / "export", out=session.folder
    )
    (process.home / "presets").mkdir()
    (process.home / "presets/from-bar-1.toml").write_text(FROM_BAR_1, encoding="utf-8")
    process.start()
    yield process
    process.close()


FROM_BAR_1 = """
name = "from-bar-1"
title = "MIDI that begins where the project does"
[[steps]]
name = "notes"
conversion = "audio_to_midi"
parameters = { sonify_midi = false, save_note_events = false }
[[deliver]]
from = "notes.midi"
pattern = "{bounce}_{preset}.{ext}"
midi_start = "project"
sidecar = false
"""


@dataclass(frozen=True)
class Found:
    """A note of a MIDI file: its tick as the session counts them, its time by the file's own tempi."""

    tick: int
    time_s: float
    pitch: int


def notes_in(data: bytes) -> list[Found]:
    clock = FileClock(data)
    scale = TICKS_A_QUARTER // clock.ppqn
    return [
        Found(tick * scale, clock.seconds(tick), message.note)
        for events in tracks(data)
        for tick, message in of_type(events, "note_on")
        if message.velocity
    ]


def bars_in(data: bytes) -> list[int]:
    """The bar lines of a MIDI file by its meters, as the session's ticks since the file's beginning."""
    scale = TICKS_A_QUARTER // FileClock(data).ppqn
    meters = of_type(tracks(data)[0], "time_signature")
    ends = [tick * scale for tick, _ in meters[1:]]
    last = max(tick for events in tracks(data) for tick, _ in events) * scale
    lines: list[int] = []
    for (tick, meter), end in zip(meters, [*ends, last], strict=True):
        bar = 4 * TICKS_A_QUARTER * meter.numerator // meter.denominator
        lines += range(tick * scale, end, bar)
    return lines


@dataclass(frozen=True)
class Part:
    """One MIDI file: of which export, and at which of the session's ticks it begins."""

    export: Export
    first_tick: int
    data: bytes

    @property
    def kind(self) -> str:
        return "from its beginning" if self.first_tick else "from bar 1"

    def ticks(self) -> list[int]:
        """All of the session's ticks that it speaks of."""
        bounds = [round(self.export.first * TICKS_A_QUARTER), round(self.export.last * TICKS_A_QUARTER)]
        own = [*(note.tick for note in notes_in(self.data)), *bars_in(self.data)]
        return sorted({*bounds, self.first_tick, *(self.first_tick + tick for tick in own)})


def check_notes(session: Session, part: Part, times: Times) -> None:
    """Each note's beat, as a time in the session by Ardour's word, against the time it was played at."""
    first_s, last_s = (
        times[round(beat * TICKS_A_QUARTER)][0] for beat in (part.export.first, part.export.last)
    )
    due = [one for one in session.played if first_s <= one.start_s < last_s]
    held = {one.pitch for one in session.played if one.start_s < first_s < one.end_s}
    found = [one for one in notes_in(part.data) if not (one.pitch in held and is_cut(part, one, first_s))]
    on_beat_s = [times[part.first_tick + one.tick][0] for one in found]
    by_file_s = [times[part.first_tick][0] + one.time_s for one in found]
    assert by_file_s == pytest.approx(on_beat_s, abs=SAME_TIME_S), "the file's tempi are not the session's"

    off_ms, hit = [], set()
    for one, beat_s in zip(found, on_beat_s, strict=True):
        same = [note for note in due if note.pitch == one.pitch]
        nearest = min(same, key=lambda note: abs(note.start_s - beat_s), default=None)
        if nearest is not None and abs(nearest.start_s - beat_s) <= SAME_NOTE_S:
            hit.add(nearest)
            off_ms.append(1000 * abs(nearest.start_s - beat_s))
    cuts = quantiles(off_ms, n=20, method="inclusive")
    print(  # noqa: T201  with `-s` these numbers are the report
        f"{session.song.name}, {part.export.name}, {part.kind}: {len(hit)} of {len(due)} notes,"
        f" {len(found)} found, median {cuts[9]:.2f} ms, 95 % {cuts[18]:.2f} ms, worst {max(off_ms):.2f} ms"
    )
    assert len(hit) >= FOUND * len(due)
    assert len(off_ms) >= FOUND * len(found)
    assert cuts[9] <= MEDIAN_MS
    assert cuts[18] <= MOST_MS


def is_cut(part: Part, one: Found, first_s: float) -> bool:
    """Whether it begins where the bounce does: with a note that sounds already, no beat is meant by that."""
    begins_s = one.time_s - (0 if part.first_tick else first_s)
    return abs(begins_s) <= SAME_NOTE_S / 2


def check_bars(part: Part, times: Times) -> None:
    """The file's bar lines are the session's, one after the other."""
    own = [times[part.first_tick + tick][1] for tick in bars_in(part.data)]
    if not times[part.first_tick][1].endswith("|1|0"):
        own = own[1:]  # a bar that the bounce begins within
    first_bar = int(times[part.first_tick][1].split("|")[0]) + (part.first_tick > 0)
    assert own == [f"{first_bar + n}|1|0" for n in range(len(own))]
    assert len(own) >= 3


def check_sources(export: Export, sidecar: dict[str, Any], times: Times) -> None:
    first_s, bar_beat = times[round(export.first * TICKS_A_QUARTER)]
    project = "project file song.ardour"
    assert sidecar["tempo_source"] == sidecar["meter_source"] == project
    assert sidecar["position_source"] == (project if export.range else "WAV chunks")
    assert sidecar["position_s"] == pytest.approx(first_s, abs=1 / RATE_HZ)
    assert sidecar["position_bar"] == int(bar_beat.split("|")[0])
    assert sidecar["remarks"] == []


def delivered(daemon: BridgeProcess, files: dict[Export, Path], sidecars: dict[Export, Path]) -> bool:
    """Whether all is there. A failed conversion is told at once; what Ardour broke off may fail."""
    ours = set(files.values())
    failed = [one for one in daemon.details() if one.job.state is JobState.FAILED]
    faults = [one.conversions for one in failed if ours & {part.path for part in one.parts}]
    assert not faults, faults
    return all(map(Path.exists, sidecars.values()))


def test_notes_of_an_export_stand_on_the_beats_of_the_session(
    session: Session, daemon: BridgeProcess
) -> None:
    files = {one: session.export(one) for one in session.song.exports}
    sidecars = {one: session.folder / f"{file.stem}.bridge.json" for one, file in files.items()}
    eventually(lambda: delivered(daemon, files, sidecars), what="the MIDI", deadline_s=CONVERTED_S)
    again = bridge(daemon.home, "convert", *files.values(), "--preset", "from-bar-1")
    assert again.exit_code == 0, again.stderr

    parts = []
    for export, file in files.items():
        first_tick = round(export.first * TICKS_A_QUARTER)
        parts.append(Part(export, first_tick, (session.folder / f"{file.stem}_midi.mid").read_bytes()))
        parts.append(Part(export, 0, (session.folder / f"{file.stem}_from-bar-1.mid").read_bytes()))
    times = session.times_of(sorted({tick for part in parts for tick in part.ticks()}))
    for export, sidecar in sidecars.items():
        check_sources(export, json.loads(sidecar.read_text(encoding="utf-8")), times)
    for part in parts:
        check_notes(session, part, times)
        check_bars(part, times)
