"""One MIDI file of all stems, or of all files of an export."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.delivery.together import Voice, common_name, render_together, track_names
from bridge.jobs.model import ConversionState, DeliveryState, JobState
from bridge.jobs.records import ArtifactRecord
from bridge.media.musical_context import HEARD, Told, context_of
from bridge.media.musical_time import TempoMap
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, Transcription, transcription_to_json
from support.deliveries import Bench, preset_data

C, D = ConversionState, DeliveryState
TOGETHER = preset_data([{"from": "notes.midi", "together": True, "pattern": "{bounce}.{ext}"}])


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


# When: in the journal


def test_an_export_of_several_files_becomes_one_file_once_the_last_has_ended(bench: Bench) -> None:
    job = bench.begun("Song-Bass_100bpm.wav", TOGETHER)
    bench.begun("Song-Lead_100bpm.wav", TOGETHER, join=job)
    bench.ended(job, TOGETHER, pitch=40)
    bench.deliver_all()
    assert bench.files() == [], "the other one is still under way"
    bench.ended(job, TOGETHER, pitch=72)
    bench.deliver_all()
    assert bench.files() == ["Song-Bass_100bpm.bridge.json", "Song.mid"]
    song = mido.MidiFile(bench.project / "Song.mid")
    assert [track.name for track in song.tracks][1:] == ["Bass_100bpm", "Lead_100bpm"]
    assert [[one.note for one in track if one.type == "note_on"] for track in song.tracks] == [[], [40], [72]]
    assert bench.one(job).note == "2 tracks, 2 notes, 100 BPM from the file name"
    assert bench.state(job) is JobState.DONE


def test_a_file_that_comes_late_makes_a_new_version_and_nothing_is_made_twice(bench: Bench) -> None:
    job = bench.begun("Song-Bass.wav", TOGETHER)
    bench.ended(job, TOGETHER)
    bench.deliver_all()
    bench.begun("Song-Lead.wav", TOGETHER, join=job)
    bench.ended(job, TOGETHER)
    bench.deliver_all()
    kinds = [kind for kind, _ in bench.states(job)]
    assert kinds.count("together") == 2
    assert {"Song-Bass.mid", "Song.mid"} <= set(bench.files())


def test_the_rest_of_an_export_is_waited_for_and_makes_no_second_file(bench: Bench, tmp_path: Path) -> None:
    job = bench.begun("Song-Bass.wav", TOGETHER, watched=tmp_path)
    bench.ended(job, TOGETHER)
    bench.deliver_all()
    assert bench.files() == [], "more may come of the export"
    bench.clock.advance(2.0)
    bench.begun("Song-Lead.wav", TOGETHER, join=job, watched=tmp_path)
    bench.clock.advance(10.0)
    bench.deliver_all()
    assert bench.files() == [], "one of them is still under way"
    bench.ended(job, TOGETHER)
    bench.deliver_all()
    assert [name for name in bench.files() if name.endswith(".mid")] == ["Song.mid"]
    assert [kind for kind, _ in bench.states(job)].count("together") == 1


def test_beside_files_of_their_own_the_one_file_ends_with_one_sidecar(bench: Bench) -> None:
    both = preset_data(
        [{"from": "notes.midi"}, {"from": "notes.midi", "together": True, "pattern": "{bounce}.{ext}"}]
    )
    job = bench.begun("Song-Bass.wav", both)
    bench.begun("Song-Lead.wav", both, join=job)
    bench.ended(job, both)
    bench.deliver_all()
    bench.ended(job, both)
    bench.deliver_all()
    assert bench.files() == [
        "Song-Bass.bridge.json",
        "Song-Bass_midi.mid",
        "Song-Lead.bridge.json",
        "Song-Lead_midi.mid",
        "Song.mid",
    ]
    told = json.loads((bench.project / "Song-Bass.bridge.json").read_text(encoding="utf-8"))
    assert len(told["conversions"]) == 2, "of all that stands in the one file"


def test_what_was_cancelled_is_not_put_together(bench: Bench) -> None:
    job = bench.begun("a.wav", TOGETHER)
    bench.begun("b.wav", TOGETHER, join=job)
    bench.ended(job, TOGETHER)
    bench.journal.cancel_job(job)
    bench.deliver_all()
    assert bench.files() == []


def test_one_that_fails_does_not_hold_up_the_others(bench: Bench) -> None:
    job = bench.begun("a.wav", TOGETHER)
    bench.begun("b.wav", TOGETHER, join=job)
    bench.ended(job, TOGETHER)
    detail = bench.journal.detail(job)
    assert detail is not None
    bench.journal.move_conversion(detail.conversions[1].id, C.QUEUED, C.FAILED)
    bench.deliver_all()
    assert "a.mid" in bench.files()
    assert bench.state(job) is JobState.FAILED


def test_a_result_that_the_cache_has_lost_is_said(bench: Bench) -> None:
    job = bench.begun("a.wav", TOGETHER)
    bench.ended(job, TOGETHER)
    for one in bench.cache.iterdir():
        one.unlink()
    bench.deliver_all()
    assert bench.one(job).state is D.FAILED
    assert "cache" in str(bench.one(job).error)


# What: the file


def voice(
    folder: Path, role: str, *notes: Note, bounce: str = "song", start_s: int | None = None, **more: Any
) -> Voice:
    path = folder / f"{role or bounce}.json"
    path.write_text(json.dumps(transcription_to_json(Transcription(notes, 4.0, **more))), encoding="utf-8")
    told = Told("test", start_s=None if start_s is None else Fraction(start_s))
    artifact = ArtifactRecord(1, 1, "midi", path, NOTES_MEDIA_TYPE, "", {})
    return Voice(artifact, role, bounce, context_of([told]))


def tracks_of(*voices: Voice, **settings: Any) -> list[mido.MidiTrack]:
    rendered = render_together(voices, settings)
    return list(mido.MidiFile(file=io.BytesIO(rendered.content.read())).tracks[1:])


def test_each_stem_has_its_name_sound_and_channel_and_drums_are_on_channel_10(tmp_path: Path) -> None:
    note = Note(0.5, 1.0, 60, 90, 0.9)
    stems = ("vocals", "bass", "drums", "other")
    made = tracks_of(*(voice(tmp_path, one, note, drums=one == "drums") for one in stems))
    assert [one.name for one in made] == list(stems)
    programs = [[event.program for event in one if event.type == "program_change"] for one in made]
    assert programs == [[53], [33], [], [0]]
    channels = [{event.channel for event in one if event.type.startswith("note")} for one in made]
    assert channels == [{0}, {1}, {9}, {2}]


def test_more_tracks_than_channels_share_them_and_never_the_drums(tmp_path: Path) -> None:
    note = Note(0.5, 1.0, 60, 90, 0.9)
    made = tracks_of(*(voice(tmp_path, "", note, bounce=f"part {number:02d}") for number in range(20)))
    channels = [event.channel for one in made for event in one if event.type == "note_on"]
    assert len(channels) == 20
    assert channels[:16] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 0]


def test_files_of_an_export_that_begin_elsewhere_lie_where_they_belong(tmp_path: Path) -> None:
    note = Note(0.5, 1.0, 60, 90, 0.9)
    late = voice(tmp_path, "", note, bounce="b", start_s=4)
    early = voice(tmp_path, "", note, bounce="a", start_s=2)
    made = tracks_of(late, early)
    first = [next(event.time for event in one if event.type == "note_on") for one in made]
    # At 120 BPM: half a second is a beat; the later one begins four beats after the other.
    assert first == [5 * 960, 960]


def test_the_tempo_is_that_of_the_file_that_knows_it_best(tmp_path: Path) -> None:
    note = Note(0.5, 1.0, 60, 90, 0.9)
    unknown = voice(tmp_path, "", note, bounce="a")
    heard, told = (
        replace(one, context=context_of([Told(source, tempo=TempoMap.constant(bpm))]))
        for one, source, bpm in (
            (voice(tmp_path, "", note, bounce="b"), HEARD, 60),
            (voice(tmp_path, "", note, bounce="c"), "name", 240),
        )
    )
    for voices, ticks in (((unknown,), 960), ((unknown, heard), 480), ((unknown, heard, told), 1920)):
        made = tracks_of(*voices)
        assert [next(event.time for event in one if event.type == "note_on") for one in made] == [
            ticks
        ] * len(made)


def test_notes_that_came_as_midi_are_taken_too(tmp_path: Path) -> None:
    one = voice(tmp_path, "bass", Note(0.5, 1.0, 40, 90, 0.9))
    path = tmp_path / "came.mid"
    path.write_bytes(render_together([one], {}).content.read())
    came = replace(one, artifact=replace(one.artifact, path=path, media_type="audio/midi"))
    (track,) = tracks_of(came)
    assert [(event.note, event.time) for event in track if event.type == "note_on"] == [(40, 960)]


@pytest.mark.parametrize(
    ("bounces", "names", "file"),
    [
        (["song-Bass", "song-Drums"], ["Bass", "Drums"], "song"),
        (["01 Kick", "02 Snare"], ["01 Kick", "02 Snare"], "01 Kick"),
        (["Bass", "Bassoon"], ["Bass", "Bassoon"], "Bass"),
        (["Lead", "Pad"], ["Lead", "Pad"], "Lead"),
    ],
)
def test_tracks_are_called_what_tells_them_apart(
    tmp_path: Path, bounces: list[str], names: list[str], file: str
) -> None:
    assert track_names([voice(tmp_path, "", bounce=one) for one in bounces]) == names
    assert common_name(bounces) == file
