from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import pytest

from bridge.conversions.catalogue import CATALOGUE, Conversion, Parameter, canonical, conversion
from bridge.conversions.enhancement import LOCAL_STEMS
from bridge.conversions.model import LOCAL, MUSICGPT
from bridge.engine.note_decoding import DecodingOptions
from bridge.engine.posteriors import LOWEST_PITCH, PITCHES
from bridge.errors import PresetError

ROW = CATALOGUE["audio_to_midi"]


def test_local_parameters_are_the_engines_with_its_defaults() -> None:
    local = {one.name: one.default for one in ROW.parameters if one.only == {LOCAL}}
    of_listening = {"material": "auto", "quality": "good", "pitch_bends": "off"}
    assert local == {**of_listening, **asdict(DecodingOptions())}
    assert set(ROW.resolve({}, converter="local")) == {*local, "sonify_midi", "save_note_events"}
    travelling = {"sonify_midi", "save_note_events", "audio_url"}
    assert set(ROW.resolve({}, converter="musicgpt")) == {*travelling, "trim_silence"}


def test_ranges_are_those_that_the_engine_takes() -> None:
    rows = {one.name: one for one in ROW.parameters}
    for name in ("lowest_note", "highest_note"):
        assert (rows[name].low, rows[name].high) == (LOWEST_PITCH, LOWEST_PITCH + PITCHES - 1)
    for name in ("onset_threshold", "frame_threshold"):
        low, high = rows[name].low, rows[name].high
        assert low is not None
        assert high is not None
        assert 0 < low < high < 1
    kinds = {name: str(field.type) for name, field in DecodingOptions.__dataclass_fields__.items()}
    assert kinds == {name: f"{rows[name].kind} | None" for name in kinds}


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_a_row_agrees_with_itself(row: Conversion) -> None:
    assert row.title
    assert row.about.endswith(".")
    for one in row.parameters:
        default = list(one.default) if one.kind == "list" else one.default
        assert default is None or one.parse(one.default) == default
        assert one.about.endswith(".")
        assert one.not_above in {"", *(other.name for other in row.parameters)}
    names = {one.name for one in row.parameters}
    assert len(names) == len(row.parameters)
    assert names.issuperset(name for group in row.one_of for name in group)
    assert all(result.when in {"", *names} for result in row.results)
    assert all(result.about.endswith(".") for result in row.results)
    assert len({result.role for result in row.results}) == len(row.results)
    # What has no audio to work on has no length that it could be too long for.
    assert set(row.max_input_s) == (set(row.quality) if row.input == "audio" else set())
    assert row.quality[MUSICGPT] == "good"


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_each_choice_that_asks_for_a_result_is_one_that_can_be_made(row: Conversion) -> None:
    parameters = {one.name: one for one in row.parameters}
    for result in row.results:
        if result.item:
            choices = (one for name in row.quality for one in parameters[result.when].of(name).choices)
            assert result.item in map(str, choices)


@pytest.mark.parametrize("row", CATALOGUE.values(), ids=lambda row: row.name)
def test_audio_comes_from_an_address_too_and_silence_is_left_out_where_it_can_be_put_back(
    row: Conversion,
) -> None:
    parameters = {one.name: one for one in row.parameters}
    assert ("audio_url" in parameters) == (row.input == "audio")
    assert ("image_url" in parameters) == (row.input == "image")
    put_back = row.name == "audio_to_midi" or any(result.fit == "source" for result in row.results)
    assert ("trim_silence" in parameters) == put_back
    assert not put_back or not parameters["trim_silence"].sent
    assert not put_back or not any(one.unit in ("s", "ms") and not one.only for one in row.parameters)


def test_what_makes_something_new_is_never_taken_from_the_cache() -> None:
    made_anew = {row.name for row in CATALOGUE.values() if not row.deterministic}
    assert made_anew == {
        "MusicAI",
        "Remix",
        "extend",
        "inpaint",
        "sing_over_instrumental",
        "sing_over_vocal",
        "image_to_song",
        "image_generator",
        "sound_generator",
        "TextToSpeech",
        "prompt_to_lyrics",
    }
    assert {row.name for row in CATALOGUE.values() if LOCAL in row.quality} == {
        "audio_to_midi",
        "file_convert",
        "extract_key_bpm",
        "audio_cutter",
        "audio_speed_changer",
        "audio_mastering",
        "Extraction",
        "denoise",
        "deecho",
        "dereverb",
    }


def test_a_command_lines_texts_become_values() -> None:
    given = {"sonify_midi": "No", "onset_threshold": "0.5", "lowest_note": "36"}
    values = ROW.resolve(given, converter="local")
    assert (values["sonify_midi"], values["onset_threshold"], values["lowest_note"]) == (False, 0.5, 36)


def test_all_faults_of_the_parameters_are_told_at_once() -> None:
    with pytest.raises(PresetError) as caught:
        ROW.resolve(
            {"onset_treshold": 0.5, "frame_threshold": 2, "sonify_midi": "perhaps", "lowest_note": 40.5},
            converter="local",
        )
    words = str(caught.value)
    assert "did you mean 'onset_threshold'?" in words
    assert "frame_threshold: must be in range 0.05..0.95, not 2" in words
    assert "sonify_midi: must be true or false, not 'perhaps'" in words
    assert "lowest_note: must be a whole number" in words


@pytest.mark.parametrize("value", [True, "nan", "inf", None, [], "1e999", "60 ms"])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(PresetError, match="minimum_note_ms: must be a number"):
        ROW.resolve({"minimum_note_ms": value}, converter="local")


def test_a_text_is_one_of_its_choices() -> None:
    assert ROW.resolve({"material": "bass"}, converter="local")["material"] == "bass"
    with pytest.raises(PresetError, match=r"material: must be one of auto, .*did you mean 'guitar'\?"):
        ROW.resolve({"material": "guitars"}, converter="local")
    with pytest.raises(PresetError, match="pitch_bends: must be one of off, per_note, mpe, not 'on'"):
        ROW.resolve({"pitch_bends": "on"}, converter="local")


def test_a_range_of_notes_the_wrong_way_round_is_refused_here_and_not_in_the_engine() -> None:
    with pytest.raises(PresetError, match=r"lowest_note: must not be above highest_note \(90 > 40\)"):
        ROW.resolve({"lowest_note": 90, "highest_note": 40}, converter="local")
    assert ROW.resolve({"lowest_note": 60, "highest_note": 60}, converter="local")["lowest_note"] == 60


def test_a_parameter_of_another_converter_is_named_as_such() -> None:
    with pytest.raises(PresetError, match="the converter 'musicgpt' does not know it"):
        ROW.resolve({"onset_threshold": 0.5}, converter="musicgpt")


@pytest.mark.parametrize(
    ("low", "high", "value", "words"),
    [(1, None, 0, "at least 1"), (None, 5, 6, "at most 5"), (1, 5, 6, r"in range 1\.\.5")],
)
def test_a_range_may_be_open_at_one_end(
    low: float | None, high: float | None, value: int, words: str
) -> None:
    parameter = Parameter("gain", "float", 1.0, "Gain.", unit="dB", low=low, high=high)
    with pytest.raises(ValueError, match=f"must be {words} dB, not {value}"):
        parameter.parse(value)
    assert replace(parameter, low=None, high=None).parse(value) == value


def test_a_multiple_is_asked_for_by_name() -> None:
    row = CATALOGUE["image_generator"]
    assert row.resolve({"width": "1024"}, converter=MUSICGPT)["width"] == 1024
    with pytest.raises(PresetError, match="width: must be a multiple of 16, not '1000'"):
        row.resolve({"width": "1000"}, converter=MUSICGPT)


def test_a_text_has_at_most_so_many_characters() -> None:
    row = CATALOGUE["sound_generator"]
    assert row.resolve({"prompt": "x" * 300}, converter=MUSICGPT)["prompt"] == "x" * 300
    with pytest.raises(PresetError, match="prompt: must have at most 300 characters, not 301"):
        row.resolve({"prompt": "x" * 301}, converter=MUSICGPT)


# Lists


@pytest.mark.parametrize(
    ("given", "parsed"),
    [
        (["drums", "bass"], ["drums", "bass"]),
        (("drums",), ["drums"]),
        ("drums, bass,,vocals ", ["drums", "bass", "vocals"]),
        ('["drums", "bass"]', ["drums", "bass"]),
        (' ["drums"]', ["drums"]),
        ("drums", ["drums"]),
        (["bass", "drums", "bass"], ["bass", "drums"]),
        ("", []),
    ],
)
def test_a_list_is_given_as_a_list_as_json_or_as_words_with_commas(given: Any, parsed: list[str]) -> None:
    assert CATALOGUE["Extraction"].resolve({"stems": given}, converter=MUSICGPT)["stems"] == parsed


@pytest.mark.parametrize("given", ['["drums"', "[1]", [1], 3, True, {"drums": 1}, None, '[["drums"]]'])
def test_what_is_no_list_of_words_is_refused(given: Any) -> None:
    with pytest.raises(PresetError, match="stems: must be a list"):
        CATALOGUE["Extraction"].resolve({"stems": given}, converter=MUSICGPT)


def test_each_item_of_a_list_is_one_of_its_choices() -> None:
    with pytest.raises(
        PresetError, match=r"stems: must be one of vocals, .*not 'drum' \(did you mean 'drums'\?\)"
    ):
        CATALOGUE["Extraction"].resolve({"stems": "bass,drum"}, converter=MUSICGPT)


def test_a_default_list_is_nobody_elses() -> None:
    first = CATALOGUE["Extraction"].resolve({}, converter=MUSICGPT)["stems"]
    first.append("drums")
    assert CATALOGUE["Extraction"].resolve({}, converter=MUSICGPT)["stems"] == ["vocals", "instrumental"]


def test_a_choice_of_one_converter_is_none_of_the_others() -> None:
    row = CATALOGUE["Extraction"]
    assert row.resolve({"stems": "vocals,residual"}, converter=LOCAL)["stems"] == ["vocals", "residual"]
    with pytest.raises(PresetError, match=r"stems: must be one of vocals, .*not 'residual'"):
        row.resolve({"stems": "vocals,residual"}, converter=MUSICGPT)


def test_what_is_asked_for_is_as_good_as_the_worst_of_it() -> None:
    row = CATALOGUE["Extraction"]
    assert row.quality_of(LOCAL, {"stems": ["vocals", "instrumental"]}) == "good"
    assert row.quality_of(LOCAL, {"stems": ["vocals", "drums"]}) == "draft"
    assert row.quality_of(MUSICGPT, {"stems": ["vocals", "drums"]}) == "good"
    assert row.drafts(LOCAL, {"stems": ["vocals", "bass"]}) == {"bass": LOCAL_STEMS["bass"]}


# What is asked for, and what is missing


def _asked(name: str, **given: Any) -> list[str]:
    row = CATALOGUE[name]
    return [result.role for result in row.returns(row.resolve(given, converter=MUSICGPT))]


def test_a_row_returns_what_its_parameters_ask_for() -> None:
    assert _asked("Extraction") == ["vocals", "instrumental"]
    assert _asked("Extraction", stems="hi_hat") == ["hi_hat"]
    assert _asked("audio_to_midi", sonify_midi=False) == ["midi", "note_events"]
    assert _asked("audio_transcribe", word_timestamps=True) == ["transcript", "words"]
    assert _asked("MusicAI") == ["take_1", "lyrics_1", "take_2", "lyrics_2"]
    assert _asked("extend", num_outputs=1, generate_album_cover=True) == ["take_1", "lyrics_1", "cover"]
    assert "lyrics_times_2" in _asked("extend", lyrics_timestamps=True)


def _missing(name: str, converter: str = MUSICGPT, **given: Any) -> list[str]:
    row = CATALOGUE[name]
    return row.missing(row.resolve(given, converter=converter))


def test_what_must_still_be_given_is_told_in_words() -> None:
    assert _missing("denoise") == []
    assert _missing("audio_cutter", start_time=0) == ["end_time must be given: Where it ends"]
    assert _missing("Extraction", stems="") == ["stems must be given: Which ones; each kind costs"]
    assert _missing("TextToSpeech", text="Hello") == ["one of sample_audio_url, voice_id must be given"]
    assert _missing("TextToSpeech", text="Hello", voice_id="v") == []
    assert _missing("MusicAI", lyrics="la") == []
    assert _missing("MusicAI", prompt="") == ["one of prompt, lyrics, music_style must be given"]
    assert _missing("audio_mastering", converter=LOCAL) == [], "it masters without a reference too"
    assert _missing("audio_mastering") == ["one of reference_audio_url, reference_audio_file must be given"]


# Names


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("music_ai", "MusicAI"),
        ("musicai", "MusicAI"),
        ("text-to-speech", "TextToSpeech"),
        ("EXTRACTION", "Extraction"),
        ("audio-to-midi", "audio_to_midi"),
        ("AudioToMidi", "audio_to_midi"),
        ("voice_changer", "VoiceChanger"),
        ("Voice Changer", "VoiceChanger"),
        ("xyz", "xyz"),
    ],
)
def test_a_name_may_be_spelt_in_any_way(said: str, meant: str) -> None:
    assert canonical(said) == meant


def test_no_two_rows_have_names_that_fold_into_one() -> None:
    assert all(canonical(name) == name for name in CATALOGUE)


def test_an_unknown_conversion_is_answered_with_the_nearest() -> None:
    assert conversion("audio_to_midi") is ROW
    assert conversion("Audio-To-MIDI") is ROW
    with pytest.raises(PresetError, match="Did you mean 'audio_to_midi'"):
        conversion("audio_to_mid")
    with pytest.raises(PresetError, match=r"Known: Cover, Extraction, .*audio_to_midi"):
        conversion("xyz")
