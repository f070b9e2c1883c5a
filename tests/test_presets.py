from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from bridge.errors import PresetError
from bridge.media.musical_context import Told
from bridge.presets import SHIPPED, Preset, PresetShelf, check_overrides, load, resolve_parameters

GOOD = """
name = "mine"
title = "Mine"
[[steps]]
name = "notes"
conversion = "audio_to_midi"
"""


def _load(folder: Path, text: str, name: str = "mine") -> Preset:
    path = folder / f"{name}.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def _faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(PresetError) as caught:
        _load(folder, text)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith("mine.toml: ")
    return [line.strip() for line in caught.value.message.splitlines()[1:]]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_each_shipped_preset_is_whole(path: Path) -> None:
    preset = load(path)
    assert preset.title
    assert preset.about.endswith(".")
    # What the journal keeps of it is the same preset.
    assert Preset.model_validate(preset.model_dump(by_alias=True)) == preset


def test_audio_to_midi_delivers_the_midi_only() -> None:
    preset = PresetShelf(Path("nowhere")).get("audio-to-midi")
    (step,) = preset.steps
    values = resolve_parameters(step, {}, converter="local")
    assert (values["sonify_midi"], values["save_note_events"]) == (False, False)
    assert preset.deliver[0].pattern == "{bounce}_{role}.{ext}"


def test_the_shortest_preset_has_sensible_defaults(tmp_path: Path) -> None:
    preset = _load(tmp_path, GOOD)
    assert preset.steps[0].from_ == "source"
    assert preset.steps[0].converter == "auto"
    assert [deliver.from_ for deliver in preset.deliver] == ["*"]


def test_all_faults_of_the_form_at_once(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path, 'name = "mine"\ntitel = "x"\n[[steps]]\nname = "N N"\nconversion = 1\nfrm = "source"\n'
    )
    assert faults == [
        "title is missing. Add it.",
        "line 4: steps[1].name must be of small letters, digits, - and _ (found: 'N N'). Choose such a name.",
        "line 5: steps[1].conversion must be a text (found: 1). Put it in quotes.",
        "line 6: steps[1].frm is not a setting here. Did you mean 'from'?",
        "line 2: titel is not a setting here. Did you mean 'title'?",
    ]


def test_all_faults_of_the_meaning_at_once(tmp_path: Path) -> None:
    faults = _faults(
        tmp_path,
        """
name = "other"
title = "Mine"
[[steps]]
name = "a"
conversion = "audio_to_mid"
[[steps]]
name = "b"
conversion = "audio_to_midi"
from = "c.midi"
parameters.lowest_note = 300
[[steps]]
name = "b"
conversion = "audio_to_midi"
from = "b.stem"
parameters = { onset_threshold = 0.5 }
converter = "musicgpt"
[[deliver]]
from = "source"
pattern = "../{role}.{ext}"
""",
    )
    assert faults == [
        "name: it is 'other' but the file is called 'mine.toml'. Make them the same.",
        "step 'a': there is no conversion 'audio_to_mid'. Did you mean 'audio_to_midi'?",
        "step 'b': from = 'c.midi' names no earlier step. Known: source, a.",
        "step 'b': audio_to_midi: lowest_note: must be in range 21..108 MIDI note, not 300.",
        "steps: two are called 'b'. Give one of them another name.",
        "step 'b': from = 'b.stem': 'b' has no 'stem'. It has: midi, note_events, sonified.",
        "step 'b': audio_to_midi: onset_threshold: the converter 'musicgpt' does not know it.",
        "deliver: from = 'source' names no earlier step. Known: a, b.",
        "deliver: pattern = '../{role}.{ext}' must stay inside the project folder. Write only folders in it.",
    ]


@pytest.mark.parametrize(
    ("feeding", "words"),
    [
        ("a.midi", "denoise takes audio, not midi."),
        ("a", "denoise takes audio, not midi, note_events. Choose from 'a.sonified'."),
        ("a.sonified", ""),
    ],
)
def test_a_step_is_fed_with_what_it_can_read(tmp_path: Path, feeding: str, words: str) -> None:
    text = f"""
name = "mine"
title = "Mine"
[[steps]]
name = "a"
conversion = "audio_to_midi"
[[steps]]
name = "b"
conversion = "denoise"
from = "{feeding}"
[[deliver]]
from = "b"
pattern = "{{bounce}}_{{from}}_{{role}}.{{ext}}"
"""
    if words:
        assert _faults(tmp_path, text) == [f"step 'b': from = '{feeding}': {words}"]
    else:
        assert _load(tmp_path, text).steps[1].from_ == feeding


def test_a_preset_without_steps_and_one_of_wrong_values(tmp_path: Path) -> None:
    assert _faults(tmp_path, "name = 'mine'\ntitle = 'x'\nsteps = []") == [
        "line 3: steps needs at least 1 (found: []). Add one."
    ]
    (fault,) = _faults(tmp_path, GOOD + "parameters.lowest_note = { a = 1 }")
    assert fault.startswith("line 7: steps[1].parameters.lowest_note must be a text, a number, true or false")
    (fault,) = _faults(tmp_path, GOOD + "parameters.lowest_note = [1]")
    assert fault == "step 'notes': audio_to_midi: lowest_note: must be a number, not [1]."


@pytest.mark.parametrize("data", [b"name = 'x' # \xe9", b"name = x", b"name = 'x"])
def test_what_cannot_be_read_says_so_with_a_remedy(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(data)
    with pytest.raises(PresetError, match=r"mine\.toml: ") as caught:
        load(path)
    assert caught.value.remedy


# Patterns of names


@pytest.mark.parametrize(
    "pattern",
    [
        "{bounce}_{role}.{ext}",
        "MIDI/{bounce}_{step}_{role}.{ext}",
        "{preset}/{bounce}/{role}.{ext}",
        "ü {role}.{ext}",
    ],
)
def test_patterns_that_are_fine(tmp_path: Path, pattern: str) -> None:
    assert _load(tmp_path, f"{GOOD}[[deliver]]\npattern = '{pattern}'").deliver[0].pattern == pattern


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("/{bounce}_{role}.{ext}", "inside"),
        ("../{bounce}_{role}.{ext}", "inside"),
        ("a/../../{role}.{ext}", "inside"),
        (r"..\{role}.{ext}", "inside"),
        (r"C:\{role}.{ext}", "inside"),
        ("C:{role}.{ext}", "inside"),
        (r"\\server\share\{role}.{ext}", "inside"),
        ("{name}_{role}.{ext}", "Known: {bounce}, {role}, {step}, {from}, {preset}, {ext}."),
        ("{bounce.__class__}_{role}.{ext}", "Known: "),
        ("{bounce[0]}_{role}.{ext}", "Known: "),
        ("{bounce:>999999999}_{role}.{ext}", "Known: "),
        ("{bounce!r}_{role}.{ext}", "Known: "),
        ("{}_{role}.{ext}", "Known: "),
        ("{bounce_{role}.{ext}", "cannot be read"),
        ("{bounce}_{role}", "must end in .{ext}"),
        ("{bounce}_{role}.{ext}/", "must end in .{ext}"),
        ("", "must end in .{ext}"),
    ],
)
def test_patterns_that_lead_astray(tmp_path: Path, pattern: str, words: str) -> None:
    faults = _faults(tmp_path, f"{GOOD}[[deliver]]\nfrom = 'notes.midi'\npattern = '{pattern}'")
    assert len(faults) == 1
    assert f"pattern = '{pattern}'" in faults[0]
    assert words in faults[0]


def test_two_results_of_the_same_name_are_a_fault(tmp_path: Path) -> None:
    second = GOOD + '[[steps]]\nname = "again"\nconversion = "audio_to_midi"\n'
    faults = _faults(tmp_path, second)
    assert len(faults) == 3
    assert faults[0] == (
        "deliver: 'notes.midi' and 'again.midi' would both be called '{bounce}_midi.mid'."
        " Use {step}, {role} and {from} in the pattern, or deliver it once."
    )
    assert _load(tmp_path, second + "[[deliver]]\npattern = '{step}/{role}.{ext}'").name == "mine"
    twice = GOOD + "[[deliver]]\n[[deliver]]\nfrom = 'notes.midi'"
    assert len(_faults(tmp_path, twice)) == 1


# The shelf


def test_own_presets_come_before_the_shipped_ones(tmp_path: Path) -> None:
    shelf = PresetShelf(tmp_path)
    shipped = shelf.get("audio-to-midi")
    own = GOOD.replace("mine", "audio-to-midi").replace("Mine", "My own")
    (tmp_path / "audio-to-midi.toml").write_text(own, encoding="utf-8")
    assert shelf.get("audio-to-midi").title == "My own" != shipped.title
    assert [loaded.name for loaded in shelf.all()] == sorted(path.stem for path in SHIPPED.glob("*.toml"))


def test_a_broken_preset_is_listed_with_its_fault_and_the_others_work(tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text("name = 1", encoding="utf-8")
    (tmp_path / "mine.toml").write_text(GOOD, encoding="utf-8")
    (tmp_path / "._mine.toml").write_bytes(b"\0\5\x16\7")  # what macOS leaves on foreign disks
    loaded = {one.name: one for one in PresetShelf(tmp_path).all()}
    assert set(loaded) == {"bad", "mine", *(path.stem for path in SHIPPED.glob("*.toml"))}
    assert loaded["mine"].preset == PresetShelf(tmp_path).get("mine")
    assert (loaded["bad"].preset, loaded["mine"].error) == (None, None)
    assert loaded["bad"].error is not None
    with pytest.raises(PresetError, match=r"bad\.toml"):
        PresetShelf(tmp_path).get("bad")


def test_an_unknown_name_is_answered_with_the_nearest_or_with_all(tmp_path: Path) -> None:
    with pytest.raises(PresetError, match="Did you mean 'audio-to-midi'"):
        PresetShelf(tmp_path).get("audio_to_midi")
    with pytest.raises(PresetError, match=r"Known: .*audio-to-midi"):
        PresetShelf(tmp_path).get("zzz")


# What a command line says instead of the preset


def test_overrides_win_over_the_preset_and_it_over_the_catalogue(tmp_path: Path) -> None:
    (step,) = _load(tmp_path, GOOD + "parameters = { lowest_note = 40, highest_note = 90 }").steps
    values = resolve_parameters(step, {"highest_note": "80"}, converter="local")
    assert (values["lowest_note"], values["highest_note"], values["sonify_midi"]) == (40, 80, True)


def test_all_bad_overrides_are_told_at_once(tmp_path: Path) -> None:
    preset = _load(tmp_path, GOOD)
    check_overrides(preset, {"lowest_note": "40"})
    with pytest.raises(PresetError) as caught:
        check_overrides(preset, {"lowest_not": 1, "zzz": 2, "lowest_note": 300, "sonify_midi": "perhaps"})
    words = str(caught.value)
    for part in ("'lowest_not'. Did you mean 'lowest_note'?", "'zzz'. Known: ", "not 300", "not 'perhaps'"):
        assert part in words


def test_an_override_that_clashes_with_the_preset_is_found_before_the_job_begins(tmp_path: Path) -> None:
    preset = _load(tmp_path, GOOD + "parameters = { highest_note = 50 }")
    with pytest.raises(PresetError, match="must not be above"):
        check_overrides(preset, {"lowest_note": 60})


def test_an_override_that_the_steps_converter_does_not_know_is_refused(tmp_path: Path) -> None:
    preset = _load(tmp_path, GOOD + "converter = 'musicgpt'")
    with pytest.raises(PresetError, match="'musicgpt' does not know it"):
        check_overrides(preset, {"lowest_note": 60})


def test_a_preset_tells_tempo_meter_and_key_of_its_bounces(tmp_path: Path) -> None:
    told = _load(tmp_path, 'tempo_bpm = 128.5\nmeter = "6/8"\nkey = "F#m"\n' + GOOD).told()
    assert told.tempo is not None
    assert told.tempo.bpm_at(Fraction(0)) == Fraction(257, 2)
    assert told.meters is not None
    assert (told.meters.points[0].numerator, told.meters.points[0].denominator) == (6, 8)
    assert [point.key.name for point in told.keys] == ["F# minor"]
    assert _load(tmp_path, GOOD).told() == Told("preset")


@pytest.mark.parametrize("field", ['meter = "6:8"', 'meter = "4/3"', 'key = "H"', 'key = "fis"'])
def test_a_meter_or_key_that_cannot_be_is_a_fault(tmp_path: Path, field: str) -> None:
    with pytest.raises(PresetError, match=field.split(maxsplit=1)[0]):
        _load(tmp_path, field + "\n" + GOOD)


def test_a_delivery_says_where_its_midi_begins_and_its_grid(tmp_path: Path) -> None:
    text = GOOD + '\n[[deliver]]\nmidi_start = "project"\nquantise = { grid = "1/12", swing = 0.5 }\n'
    (deliver,) = _load(tmp_path, text).deliver
    assert deliver.midi_start == "project"
    assert deliver.quantise is not None
    assert (deliver.quantise.grid, deliver.quantise.strength, deliver.quantise.swing) == ("1/12", 1.0, 0.5)
    for wrong in ('midi_start = "song"', 'quantise = { grid = "1/5" }', "quantise = { strength = 2 }"):
        with pytest.raises(PresetError, match=r"midi_start|grid|strength"):
            _load(tmp_path, f"{GOOD}\n[[deliver]]\n{wrong}\n")


def test_notes_can_be_played_instead_of_written(tmp_path: Path) -> None:
    text = (
        GOOD
        + """
[[deliver]]
to = "stream"
from = "notes.midi"
stream = { when = "beat", count = 4, loop = true, transpose = -12, channels = { "*" = 3 } }
"""
    )
    (deliver,) = _load(tmp_path, text).deliver
    assert deliver.stream is not None
    assert (deliver.stream.when, deliver.stream.count, deliver.stream.loop) == ("beat", 4, True)
    assert (deliver.stream.transpose, deliver.stream.channels) == (-12, {"*": 3})
    for wrong in ('when = "soon"', "count = 0", "transpose = 100", 'channels = { "*" = 17 }'):
        delivery = f'to = "stream"\nfrom = "notes.midi"\nstream = {{ {wrong} }}\n'
        with pytest.raises(PresetError, match=wrong.split(maxsplit=1)[0]):
            _load(tmp_path, f"{GOOD}\n[[deliver]]\n{delivery}")


def test_only_notes_can_be_played(tmp_path: Path) -> None:
    stems = (
        GOOD
        + """
[[steps]]
name = "parts"
conversion = "extraction"
[[deliver]]
to = "stream"
from = "parts"
"""
    )
    (fault,) = _faults(tmp_path, stems)
    assert "plays notes" in fault
    assert "vocals" in fault
    (fault,) = _faults(tmp_path, GOOD + '\n[[deliver]]\nstream = { when = "now" }\n')
    assert "goes with to = 'stream'" in fault
