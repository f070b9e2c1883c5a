"""The reference page and `bridge conversions` tell what the table has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.conversions import describe, page
from bridge.conversions.catalogue import CATALOGUE, Conversion, Parameter
from bridge.conversions.model import Result
from support.commands import bridge

PAGE = Path(__file__).parents[2] / "docs" / "conversions.md"

# The page


def test_the_page_is_up_to_date(tmp_path: Path) -> None:
    written = tmp_path / "conversions.md"
    page.main([str(written)])
    assert written.read_bytes() == PAGE.read_bytes(), "python -m bridge.conversions.page docs/conversions.md"


def test_the_page_has_every_row_parameter_result_and_price() -> None:
    sections = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    by_name = {section.partition("\n")[0]: section for section in sections}
    assert list(by_name) == list(CATALOGUE)
    for row in CATALOGUE.values():
        section = by_name[row.name]
        assert f"`{row.method} {row.path}`" in section
        for name in (*(one.name for one in row.parameters), *(one.role for one in row.results)):
            assert f"| `{name}` |" in section
        assert ("names none" in section) == (not row.tiers)
        assert "inferred" not in section


def test_every_table_of_the_page_has_as_many_cells_in_each_line() -> None:
    for table in re.findall(r"(?:^\|.*\|\n)+", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table


def test_links_inside_the_page_lead_to_a_heading() -> None:
    text = PAGE.read_text(encoding="utf-8")
    headings = {heading.lower() for heading in re.findall(r"^## (.*)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]*)\)", text)) == headings


# Words


@pytest.mark.parametrize(
    ("parameter", "words"),
    [
        (Parameter("a", "float", None, "A.", unit="s", low=0.0), "at least 0 s"),
        (Parameter("a", "float", None, "A.", high=4.0), "at most 4"),
        (Parameter("a", "int", 0, "A.", unit="semitones", low=-12, high=12), "-12 to 12 semitones"),
        (Parameter("a", "int", None, "A.", unit="bits", choices=(16, 24)), "16, 24 bits"),
        (Parameter("a", "int", 16, "A.", unit="pixels", multiple_of=16), "a multiple of 16 pixels"),
        (Parameter("a", "float", 1, "A.", low=1, high=2, not_above="b"), "1 to 2; not above b"),
        (Parameter("a", "text", None, "A.", max_chars=300), "at most 300 characters"),
        (
            Parameter("a", "text", "b", "A.", choices=("b",), also={"local": ("c",)}),
            "b; on this machine also c",
        ),
        (Parameter("a", "int", 0, "A.", unit="BPM"), "BPM"),
        (Parameter("a", "bool", None, "A."), ""),
    ],
)
def test_limits_are_told_in_words(parameter: Parameter, words: str) -> None:
    assert describe.limits(parameter) == words


def test_defaults_are_told_as_they_are_typed() -> None:
    defaults = {one.name: describe.default(one) for one in CATALOGUE["Extraction"].parameters}
    assert defaults == {
        "audio_url": "–",
        "stems": "vocals, instrumental",
        "preprocessing_options": "–",
        "model": "auto",
        "eco_mode": "false",
        "trim_silence": "false",
    }


def test_what_asks_for_a_result_is_told() -> None:
    assert describe.asked_by(Result("a", "wav", "A.")) == ""
    assert describe.asked_by(Result("a", "wav", "A.", when="b")) == "b"
    assert (
        describe.holds(Result("a", "wav", "A.", drafts={"local": "No B."}))
        == "A. On this machine a draft: No B."
    )
    assert describe.asked_by(Result("a", "wav", "A.", when="stems", item="drums")) == "stems: drums"


def test_what_must_be_given_and_what_nobody_has_documented_is_said() -> None:
    speech, song = CATALOGUE["TextToSpeech"], CATALOGUE["MusicAI"]
    remarks = {one.name: describe.remarks(speech, one) for one in speech.parameters}
    assert remarks["text"] == "What is spoken. Must be given."
    assert remarks["voice_id"].endswith("One of sample_audio_url, voice_id must be given.")
    mastering = CATALOGUE["audio_mastering"]
    remarks = {one.name: describe.remarks(mastering, one) for one in mastering.parameters}
    group = "One of reference_audio_url, reference_audio_file must be given to MusicGPT."
    assert remarks["reference_audio_file"].endswith(group)
    (upload,) = (one for one in song.parameters if one.name == "upload_id")
    assert describe.remarks(song, upload).endswith("(Deduced, not documented.)")


def test_the_least_of_several_prices_is_told() -> None:
    assert describe.price(CATALOGUE["Extraction"], "payg") == "from 0.031 + 0.006 a started minute"
    assert describe.price(CATALOGUE["MusicAI"], "pro") == "from 0.035 a song"
    assert describe.price(CATALOGUE["denoise"], "free") == "0.0596 + 0.009 a started minute"
    assert describe.price(CATALOGUE["image_generator"], "pro") == "not known"


# The command


def test_the_command_lists_all_with_the_price_on_the_plan(bridge_home: Path) -> None:
    (bridge_home / "config.toml").write_text('[musicgpt]\nplan = "pro"\n', encoding="utf-8")
    done = bridge(bridge_home, "conversions")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "price on Pro" in lines[0]
    told = {line.split()[0]: line for line in lines[1:] if line}
    assert set(CATALOGUE) < set(told)
    assert "this machine (good), MusicGPT (good)" in told["audio_to_midi"]
    assert "0.005 + 0.0037 a started minute" in told["audio_to_midi"]


@pytest.mark.slow
@pytest.mark.parametrize("row", [CATALOGUE[name] for name in ("extend", "Extraction", "image_generator")])
def test_the_command_tells_all_of_one(bridge_home: Path, row: Conversion) -> None:
    done = bridge(bridge_home, "conversions", row.name.upper())
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith(f"{row.name}: {row.title}\n")
    for name in (*(one.name for one in row.parameters), *(one.role for one in row.results)):
        assert name in done.stdout
    assert ("names none" in done.stdout) == (not row.tiers)


def test_the_command_gives_data_for_programs(bridge_home: Path) -> None:
    every = bridge(bridge_home, "conversions", "--json").data()
    assert [one["name"] for one in every] == list(CATALOGUE)
    one = bridge(bridge_home, "conversions", "voice_changer", "--json").data()
    assert one == next(row for row in every if row["name"] == "VoiceChanger")
    assert one["api"]["path"] == "/v1/VoiceChanger"
    assert one["prices_usd"][""]["plus"] == {
        "fixed": 0.022,
        "per_minute": 0.003,
        "per_song": 0.0,
        "per_100_words": 0.0,
    }
    parameters = {parameter["name"]: parameter for parameter in one["parameters"]}
    assert (parameters["pitch"]["low"], parameters["pitch"]["high"]) == (-12, 12)
    assert parameters["voice_id"]["required"]
    assert parameters["trim_silence"]["converters"] == ["musicgpt"]


def test_an_unknown_name_is_answered_with_the_nearest(bridge_home: Path) -> None:
    done = bridge(bridge_home, "conversions", "extraction2")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "Did you mean 'Extraction'?" in done.stderr


def test_nothing_heavy_is_loaded_for_a_list(bridge_home: Path) -> None:
    done = bridge(bridge_home, "conversions", "--json", PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "bridge" in loaded
    assert not loaded & {"numpy", "soundfile", "onnxruntime", "requests", "fastapi"}
