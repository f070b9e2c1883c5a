"""Who does a step: MusicGPT or this machine, and never a draft that nobody asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.errors import PresetError
from bridge.jobs.model import Fingerprint, JobState
from bridge.presets import Preset, Step
from bridge.testing import FakeConverter
from support.journals import MakeWorks, add_job, job_in, planned, request_of, source_of

SONG = Path("song.wav")


def preset_of(conversion: str, **fields: Any) -> Preset:
    step = {"name": "one", "conversion": conversion, **fields}
    return Preset.model_validate({"name": "test", "title": "Test", "steps": [step]})


def test_what_is_too_long_or_not_known_to_one_goes_to_who_can_do_it(make_works: MakeWorks) -> None:
    works = make_works(start=False)
    step = Step(name="notes", conversion="audio_to_midi")
    assert works.steps.choose_converter(step, {}, private=False, duration_s=480.0) == "musicgpt"
    assert works.steps.choose_converter(step, {}, private=False, duration_s=481.0) == "local"
    assert works.steps.choose_converter(step, {}, private=True) == "local"
    assert works.steps.choose_converter(step, {"material": "bass"}, private=False) == "local"


@pytest.mark.parametrize(
    ("conversion", "given", "who"),
    [
        # What this machine does as well as can be is not paid for.
        ("audio_cutter", {"start_time": 0, "end_time": 5}, "local"),
        ("file_convert", {"target_format": "mp3"}, "local"),
        ("denoise", {}, "musicgpt"),
        # Without a reference only this machine can master.
        ("audio_mastering", {}, "local"),
        ("audio_mastering", {"reference_audio_file": "a.wav"}, "musicgpt"),
        # Nobody has what it needs: who would be asked first says so.
        ("audio_speed_changer", {}, "musicgpt"),
        ("TextToSpeech", {"text": "a"}, "musicgpt"),
        ("Extraction", {"stems": "drums"}, "musicgpt"),
        ("Extraction", {"stems": "vocals,residual"}, "local"),
    ],
)
def test_who_does_what_with_a_key(
    make_works: MakeWorks, conversion: str, given: dict[str, Any], who: str
) -> None:
    works = make_works(start=False)
    step = Step(name="one", conversion=conversion, parameters=given)
    assert works.steps.choose_converter(step, {}, private=False) == who


def test_a_draft_is_never_made_unless_it_is_named(works_with: MakeWorks) -> None:
    works = works_with(FakeConverter("local"), start=False)
    wants_drums = {"stems": "vocals,drums"}
    with pytest.raises(PresetError, match=r"only a draft can be made of drums\. drums: hits of") as told:
        works.steps.plan_source(
            preset_of("Extraction", parameters=wants_drums), request_of(SONG), source_of(SONG)
        )
    assert 'converter = "local"' in told.value.remedy
    named = preset_of("Extraction", parameters=wants_drums, converter="local")
    (planned_step,) = works.steps.plan_source(named, request_of(SONG), source_of(SONG))
    assert planned_step.converter == "local"
    assert (
        works.steps.plan_source(preset_of("Extraction"), request_of(SONG), source_of(SONG))[0].converter
        == "local"
    )
    with pytest.raises(PresetError, match="only a draft"):
        works.steps.plan_source(
            preset_of("Extraction"), request_of(SONG, overrides={"stems": "bass"}), source_of(SONG)
        )


def test_what_is_put_back_comes_from_whoever_made_it(make_works: MakeWorks, tmp_path: Path) -> None:
    works = make_works(start=False)
    preset = preset_of("audio_cutter", parameters={"start_time": 0, "end_time": 5})
    made = replace(planned("musicgpt", step="one"), conversion="audio_cutter")
    path = tmp_path / "a.wav"
    job = add_job(works.journal, path, conversions=(made,), preset=preset.model_dump(by_alias=True))
    anew = works.steps.plan_source(preset, request_of(path), source_of(path))
    again = works.steps.plan_source(preset, request_of(path, again_of=job), source_of(path))
    assert [anew[0].converter, again[0].converter] == ["local", "musicgpt"]


def test_with_a_network_of_ones_own_drums_are_no_draft(works_with: MakeWorks) -> None:
    works = works_with(FakeConverter("local"), start=False)
    preset = preset_of("Extraction", parameters={"stems": "drums", "model": "htdemucs"})
    assert works.steps.plan_source(preset, request_of(SONG), source_of(SONG))[0].converter == "local"


def test_a_draft_in_a_later_step_is_told_before_the_first_one_costs(make_works: MakeWorks) -> None:
    works = make_works(start=False)
    steps = [
        {"name": "quiet", "conversion": "denoise", "converter": "musicgpt"},
        {"name": "stems", "conversion": "Extraction", "from": "quiet.clean", "parameters": {"stems": "bass"}},
    ]
    preset = Preset.model_validate({"name": "test", "title": "Test", "steps": steps})
    assert works.steps.plan_source(preset, request_of(SONG), source_of(SONG))[0].converter == "musicgpt"
    with pytest.raises(PresetError, match="only a draft can be made of bass"):
        works.steps.plan_source(preset, request_of(SONG, private=True), source_of(SONG))


def test_what_is_too_long_for_this_machine_fails_and_says_how_long_it_may_be(
    works_with: MakeWorks, tmp_path: Path
) -> None:
    works = works_with(FakeConverter("local"))
    four_hours = source_of(tmp_path / "a.wav", frames=48_000 * 3600 * 4)
    wanted = replace(planned("local", step="one"), conversion="audio_mastering")
    preset = preset_of("audio_mastering", converter="local").model_dump(by_alias=True)
    job = works.journal.create_job(request_of(four_hours.path), preset, four_hours, [wanted])
    error = job_in(works, job, JobState.FAILED).conversions[0].error
    assert error is not None
    assert "it lasts 4.0 h, and audio_mastering on this machine takes at most 3 h" in str(error)
    assert not works.converters["local"].submitted


def test_the_same_samples_at_another_place_get_audio_of_their_own_and_the_same_notes(
    works_with: MakeWorks, tmp_path: Path
) -> None:
    """A clip that was moved in the song has the same samples, and another time stamp in its file."""
    works = works_with(FakeConverter("local"), FakeConverter("musicgpt", remote=True), start=False)
    first = source_of(tmp_path / "a.wav")
    moved = replace(source_of(tmp_path / "a (2).wav"), fingerprint=Fingerprint(size=4, mtime_ns=9))

    def same(conversion: str, converter: str) -> bool:
        wanted = replace(planned(converter), conversion=conversion)
        return works.steps.request_for(wanted, first).key == works.steps.request_for(wanted, moved).key

    assert not same("denoise", "local")
    assert not same("audio_cutter", "local")
    assert same("audio_to_midi", "local")
    assert same("extract_key_bpm", "local")
    assert same("denoise", "musicgpt"), "it would be paid for twice"


def test_another_reference_under_the_same_name_is_another_request(
    works_with: MakeWorks, tmp_path: Path
) -> None:
    works = works_with(FakeConverter("local"), start=False)
    reference = tmp_path / "reference.wav"
    wanted = replace(planned("local"), parameters={"reference_audio_file": str(reference)})
    keys = [works.steps.request_for(wanted, source_of(SONG)).key]
    for content in (b"one", b"another"):
        reference.write_bytes(content)
        keys += [works.steps.request_for(wanted, source_of(SONG)).key for _ in range(2)]
    assert keys[1] == keys[2]
    assert keys[3] == keys[4]
    assert len(set(keys)) == 3


def test_whoever_was_to_do_it_is_gone_and_it_does_not_become_a_draft_in_silence(
    works_with: MakeWorks, tmp_path: Path
) -> None:
    works = works_with(FakeConverter("local"))
    preset = preset_of("Extraction", parameters={"stems": "drums"}).model_dump(by_alias=True)
    late = planned("local", step="one", stems=["drums"])
    job = add_job(works.journal, tmp_path / "a.wav", conversions=(late,), preset=preset)
    detail = job_in(works, job, JobState.FAILED)
    assert "only a draft" in str(detail.conversions[0].error)
