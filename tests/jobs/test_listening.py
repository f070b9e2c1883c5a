"""Where nobody tells the tempo of notes, the engine listens for it, and what is written at it waits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bridge.jobs import listening, plan
from bridge.jobs.listening import STEP, Listening
from bridge.jobs.model import ConversionState, PlannedDelivery
from bridge.jobs.store import Journal
from bridge.presets import Preset
from bridge.testing import ManualClock
from support.journals import add_job, planned, source_of

C = ConversionState


def preset_of(*conversions: str, **more: Any) -> Preset:
    steps = [{"name": f"s{at}", "conversion": one} for at, one in enumerate(conversions)]
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
        # It is listened for already, and told once.
        ("loop.wav", preset_of("audio_to_midi", "extract_key_bpm"), Listening(), False),
    ],
)
def test_it_is_listened_for_only_where_notes_are_written_and_nobody_tells_it(
    name: str, preset: Preset, settings: Listening, wanted: bool
) -> None:
    assert settings.wanted(preset, source_of(Path(name))) is wanted


def test_what_was_heard_is_delivered_by_itself_to_nobody() -> None:
    preset = preset_of("audio_to_midi")
    assert preset.deliver[0].from_ == "*"
    assert plan.from_artifacts(preset, STEP, [(1, "key_bpm")], {}, lambda _: "local") == ([], [])
    together = preset_of("audio_to_midi", deliver=[{"from": "*", "together": True}]).model_dump(by_alias=True)
    (made,) = plan.together(together, [(1, STEP, "key_bpm"), (2, "s0", "midi")], [])
    assert made.settings["artifacts"] == [2]


@pytest.mark.parametrize("end", [C.DONE, C.FAILED])
def test_deliveries_wait_until_it_has_been_listened_for(tmp_path: Path, end: ConversionState) -> None:
    journal = Journal(tmp_path / "journal.sqlite3", clock=ManualClock())
    heard = listening.listening()
    job = add_job(journal, tmp_path / "a.wav", conversions=(planned(), heard))
    other = add_job(journal, tmp_path / "b.wav", samples="b")
    detail, beside = journal.detail(job), journal.detail(other)
    assert detail is not None
    assert beside is not None
    notes, music = detail.conversions
    assert (music.step, music.converter) == (STEP, "local")
    for one in (notes, beside.conversions[0]):
        _to_fetching(journal, one.id)
        journal.finish_conversion(
            one.id, C.FETCHING, [], lambda _: ([], [PlannedDelivery(kind="artifact", settings={})])
        )
    assert [one.job_id for one in journal.due_deliveries(1e12, 10)] == [other]
    _to_fetching(journal, music.id)
    if end is C.DONE:
        journal.finish_conversion(music.id, C.FETCHING, [], lambda _: ([], []))
    else:
        journal.move_conversion(music.id, C.FETCHING, C.FAILED)
    assert sorted(one.job_id for one in journal.due_deliveries(1e12, 10)) == [job, other]
    journal.close()


def _to_fetching(journal: Journal, conversion: int) -> None:
    for before, after in ((C.QUEUED, C.SUBMITTING), (C.SUBMITTING, C.RUNNING), (C.RUNNING, C.FETCHING)):
        journal.move_conversion(conversion, before, after)
