"""Where nobody tells the tempo of notes, the engine listens for it, and what is written at it waits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import listening, plan
from bridge.jobs.cache import Entry
from bridge.jobs.listening import Listening
from bridge.jobs.model import LISTENING_STEP, ConversionState, JobState, PlannedConversion, PlannedDelivery
from bridge.jobs.store import Journal
from bridge.media.notes import NOTES_MEDIA_TYPE
from bridge.presets import Preset
from bridge.testing import ManualClock
from support.journals import add_job, planned, source_of

C = ConversionState


def preset_of(*conversions: str, converter: str = "auto", **more: Any) -> Preset:
    steps = [
        {"name": f"s{at}", "conversion": one, "converter": converter} for at, one in enumerate(conversions)
    ]
    return Preset.model_validate({"name": "test", "title": "Test", "steps": steps, **more})


@pytest.mark.parametrize(
    ("name", "preset", "settings", "wanted"),
    [
        ("loop.wav", preset_of("audio_to_midi"), Listening(), True),
        ("loop_98bpm.wav", preset_of("audio_to_midi"), Listening(), False),
        ("loop.wav", preset_of("audio_to_midi", tempo_bpm=98), Listening(), False),
        ("loop.wav", preset_of("audio_to_midi"), Listening(settings_bpm=98), False),
        ("loop.wav", preset_of("audio_to_midi"), Listening(on=False), False),
        ("loop.wav", preset_of("denoise"), Listening(), False),
        ("loop.wav", preset_of("denoise", "audio_to_midi"), Listening(), True),
        # MusicGPT's answer does not say how sure it is.
        ("loop.wav", preset_of("audio_to_midi", "extract_key_bpm"), Listening(), True),
        # Here it is listened for already, once is enough.
        ("loop.wav", preset_of("audio_to_midi", "extract_key_bpm", converter="local"), Listening(), False),
    ],
)
def test_it_is_listened_for_only_where_notes_are_written_and_nobody_tells_it(
    name: str, preset: Preset, settings: Listening, wanted: bool
) -> None:
    assert settings.wanted(preset, source_of(Path(name))) is wanted


def test_what_was_heard_is_delivered_by_itself_to_nobody() -> None:
    preset = preset_of("audio_to_midi")
    assert preset.deliver[0].from_ == "*"
    assert plan.from_artifacts(preset, LISTENING_STEP, [(1, "key_bpm")], {}, lambda _: "local") == ([], [])
    together = preset_of("audio_to_midi", deliver=[{"from": "*", "together": True}]).model_dump(by_alias=True)
    (made,) = plan.together(together, [(1, LISTENING_STEP, "key_bpm"), (2, "s0", "midi")], [])
    assert made.settings["artifacts"] == [2]


def test_a_text_has_no_tempo() -> None:
    text = replace(source_of(Path("words.txt")), frames=0)
    assert not Listening().wanted(preset_of("MusicAI", "audio_to_midi"), text)


@pytest.mark.parametrize("end", [C.DONE, C.FAILED])
def test_notes_wait_until_it_has_been_listened_for(tmp_path: Path, end: ConversionState) -> None:
    journal = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    heard = listening.listening()
    job = add_job(journal, tmp_path / "a.wav", conversions=(planned(), heard))
    other = add_job(journal, tmp_path / "b.wav", samples="b")
    detail, beside = journal.detail(job), journal.detail(other)
    assert detail is not None
    assert beside is not None
    notes, music = detail.conversions
    assert (music.step, music.converter) == (LISTENING_STEP, "local")
    results = [
        Entry("midi", tmp_path / "notes.json", NOTES_MEDIA_TYPE, "1"),
        Entry("sonified", tmp_path / "a.wav", "audio/wav", "2"),
    ]
    for one in (notes, beside.conversions[0]):
        _to_fetching(journal, one.id)
        journal.finish_conversion(one.id, C.FETCHING, results, _deliver_each)
    due = [(one.job_id, one.artifact_id) for one in journal.due_deliveries(1e12, 10)]
    assert sorted(due) == [(job, 2), (other, 3), (other, 4)], "only the notes wait"
    _to_fetching(journal, music.id)
    if end is C.DONE:
        journal.finish_conversion(music.id, C.FETCHING, [], lambda _: ([], []))
    else:
        journal.move_conversion(music.id, C.FETCHING, C.FAILED)
    assert len(journal.due_deliveries(1e12, 10)) == 4
    assert journal.job(job).state is JobState.RUNNING, "a tempo that could not be heard costs no job"  # type: ignore[union-attr]
    journal.close()


def _deliver_each(placed: list[tuple[int, str]]) -> tuple[list[PlannedConversion], list[PlannedDelivery]]:
    return [], [PlannedDelivery(kind="artifact", settings={}, artifact_id=artifact) for artifact, _ in placed]


def _to_fetching(journal: Journal, conversion: int) -> None:
    for before, after in ((C.QUEUED, C.SUBMITTING), (C.SUBMITTING, C.RUNNING), (C.RUNNING, C.FETCHING)):
        journal.move_conversion(conversion, before, after)
