"""What a real file beside a real project tells about its music."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import pytest

from bridge.media import clues
from bridge.media.musical_context import MusicalContext, Told
from support import wav_files
from support.projects import live_set, reaper_project

RATE_HZ = 48_000
DURATION_S = 2000 / RATE_HZ


def bounce(folder: Path, name: str = "chorus.wav", **chunks: bytes) -> Path:
    """A WAV in `folder` with the chunks, whose names are four letters."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [(name.encode().ljust(4), body) for name, body in chunks.items()]
    return wav_files.saved(folder, wav_files.wav(before=rows), name)


def context(path: Path, project_folder: Path | None = None, **others: object) -> MusicalContext:
    told = clues.gather(path, project_folder or path.parent, rate_hz=RATE_HZ, duration_s=DURATION_S)
    rows = [json.loads(json.dumps(one.to_json())) for one in told]
    preset = others.get("preset", Told("preset"))
    assert isinstance(preset, Told)
    return clues.context_from(rows, path, preset=preset, settings_bpm=None)


def test_a_file_that_nobody_knows_anything_about(tmp_path: Path) -> None:
    path = bounce(tmp_path)
    assert clues.gather(path, tmp_path, rate_hz=RATE_HZ, duration_s=DURATION_S) == ()
    assert context(path).note() == "tempo unknown, written at 120 BPM"


def test_a_reaper_render_in_mid_song_stands_on_the_projects_beats(tmp_path: Path) -> None:
    points = ["PT 0 120 1", "PT 8 90 1"]
    reaper_project(tmp_path / "Song.RPP", "PROJOFFS 3600 0 0", points=points)
    # Reaper counts the project's own start time into the time stamp.
    path = bounce(tmp_path / "renders", bext=wav_files.bext(time_reference=(3600 + 10) * RATE_HZ))
    facts = context(path).to_json()
    assert (facts["tempo_bpm"], facts["tempo_source"]) == (90.0, "project file Song.RPP")
    assert (facts["position_s"], facts["position_source"]) == (10.0, "WAV chunks")
    # 8 s at 120 are 16 beats, 2 s at 90 three more.
    assert (facts["position_bar"], facts["position_beat_in_bar"]) == (5, 3.0)


def test_the_chunks_tell_tempo_meter_key_and_markers(tmp_path: Path) -> None:
    path = bounce(
        tmp_path,
        acid=wav_files.acid(tempo_bpm=97.5, meter=(3, 4), beats=5),
        LIST=wav_files.info(IKEY="F#m"),
        cue=wav_files.cue((1, 480), (2, 960)),
    )
    facts = context(path).to_json()
    assert facts["key"] == "F# minor"
    assert {facts["tempo_source"], facts["key_source"]} <= {"WAV chunks", "assumed"}


def test_cues_with_names_become_markers_of_the_song(tmp_path: Path) -> None:
    rows = [
        (b"cue ", wav_files.cue((1, 24_000), (2, 48_000))),
        (b"LIST", wav_files.adtl((1, "Hook"), (2, "End"))),
    ]
    path = wav_files.saved(tmp_path, wav_files.wav(after=rows, samples=bytes(4 * RATE_HZ)), "x_60bpm.wav")
    found = context(path).timeline.markers
    assert [(marker.beat, marker.name) for marker in found] == [
        (Fraction(1, 2), "Hook"),
        (Fraction(1), "End"),
    ]


def test_a_time_stamp_that_looks_like_a_clock_is_not_used_and_it_is_said(tmp_path: Path) -> None:
    path = bounce(tmp_path, bext=wav_files.bext(time_reference=13 * 3600 * RATE_HZ))
    found = context(path)
    assert found.position_source == "unknown"
    assert "looks like a clock's" in found.remarks[0]


def test_a_time_stamp_beyond_every_song_is_not_used(tmp_path: Path) -> None:
    reaper_project(tmp_path / "Song.RPP")
    found = context(bounce(tmp_path, bext=wav_files.bext(time_reference=2**63)))
    assert found.position_source == "unknown"
    assert "beyond every song" in found.remarks[0]


def test_a_zero_time_stamp_says_nothing_without_a_project(tmp_path: Path) -> None:
    assert context(bounce(tmp_path, bext=wav_files.bext(time_reference=0))).position_source == "unknown"


def test_a_live_sets_ramp_and_the_bar_in_the_name(tmp_path: Path) -> None:
    live_set(tmp_path / "Set.als", tempi=[(0.0, 100.0), (32.0, 140.0)], locators=[(16.0, "Drop")])
    path = bounce(tmp_path / "Samples" / "Processed" / "Bounce", "lead_bar5.wav")
    found = context(path)
    assert found.tempo_source == "project file Set.als"
    assert float(found.tempo_bpm) == pytest.approx(120.0, abs=1e-6)
    assert float(found.timeline.beat_of_audio(0)) == pytest.approx(16.0, abs=1e-9)
    assert (found.to_json()["position_bar"], found.to_json()["position_beat_in_bar"]) == (5, 0.0)
    assert found.position_source == "file name"
    assert [marker.name for marker in found.timeline.markers] == ["Drop"]


def test_the_musicians_own_context_file_goes_first(tmp_path: Path) -> None:
    live_set(tmp_path / "Set.als", bpm=90)
    path = bounce(tmp_path, "lead_100bpm.wav")
    own = {"tempo_bpm": 64.5, "meter": "6/8", "key": "Bb", "start_s": 1.25, "tempi": 1}
    (tmp_path / "lead_100bpm.context.json").write_text(json.dumps(own), encoding="utf-8")
    found = context(path)
    facts = found.to_json()
    assert (facts["tempo_bpm"], facts["meter"], facts["key"]) == (64.5, "6/8", "Bb major")
    assert facts["position_s"] == 1.25
    assert facts["tempo_source"] == "context file lead_100bpm.context.json"
    assert any("'tempi' means nothing here" in remark for remark in found.remarks)
    assert any("100 BPM" in remark and "64.5 BPM" in remark for remark in found.remarks)


def test_a_context_file_may_hold_a_whole_timeline(tmp_path: Path) -> None:
    live_set(tmp_path / "Set.als", tempi=[(0.0, 100.0), (32.0, 140.0)])
    whole = context(bounce(tmp_path, "a_bar3.wav")).timeline
    (tmp_path / "Set.als").unlink()
    path = bounce(tmp_path, "b.wav")
    (tmp_path / "b.context.json").write_text(json.dumps({"timeline": whole.to_json()}), encoding="utf-8")
    assert context(path).timeline == whole


FAR = '{"timeline": {"version": 1, "start_s": "1%s", "tempo": [], "meters": [], "keys": [], "markers": []}}'


@pytest.mark.parametrize(
    "text",
    [
        "{", "[]", '{"tempo_bpm": "fast"}', '{"tempo_bpm": 0}', '{"timeline": {}}', '{"key": "H"}',
        '{"start_s": 1e999}', '{"start_s": []}', '{"start_s": 1e300}', '{"tempo_bpm": Infinity}',
        '{"tempo_bpm": null}', '{"start_bar": null}', '{"start_bar": 1e300}', '{"start_bar": 1e999}',
        "[" * 100_000, '{"\\ud800": 1}', '{"key": "\\ud800"}', FAR % ("0" * 4000),
    ],
)  # fmt: skip
def test_a_context_file_that_cannot_be_read_is_a_remark_and_no_more(tmp_path: Path, text: str) -> None:
    path = bounce(tmp_path, "lead_100bpm.wav")
    (tmp_path / "lead_100bpm.context.json").write_text(text, encoding="utf-8")
    found = context(path)
    assert found.note() == "100 BPM from the file name"
    assert "context file lead_100bpm.context.json cannot be read" in found.remarks[0]


@pytest.mark.parametrize("name", ["Song_C Minor_128bpm.wav", "x_AMaj_128bpm.wav", "128 BPM f MOLL.wav"])
def test_a_key_in_any_spelling_costs_no_bounce(tmp_path: Path, name: str) -> None:
    assert context(bounce(tmp_path, name)).note() == "128 BPM from the file name"


def test_a_damaged_project_is_a_remark_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "Set.als").write_bytes(b"\x1f\x8bno gzip at all")
    found = context(bounce(tmp_path, "lead_100bpm.wav"))
    assert found.note() == "100 BPM from the file name"
    assert "Set.als" in found.remarks[0]


def test_files_that_are_no_wav_have_their_name_and_project(tmp_path: Path) -> None:
    reaper_project(tmp_path / "Song.RPP", tempo="TEMPO 93.5 3 4")
    path = tmp_path / "take_F#m.flac"
    path.write_bytes(b"fLaC")
    facts = context(path).to_json()
    assert (facts["tempo_bpm"], facts["meter"], facts["key"]) == (93.5, "3/4", "F# minor")


def test_rows_of_another_version_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "loop_77bpm.wav"
    rows = [{"source": "the future", "timeline": {"version": 99}}]
    found = clues.context_from(rows, path, preset=Told("preset"), settings_bpm=50.0)
    assert (found.tempo_bpm, found.tempo_source) == (Fraction(77), "file name")
    assert (
        clues.context_from([], tmp_path / "a.wav", preset=Told("preset"), settings_bpm=50.0).tempo_bpm == 50
    )
