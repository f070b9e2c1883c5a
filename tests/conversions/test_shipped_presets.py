"""The presets that ship: each can be used as it is or with what its comment asks for."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge.conversions.catalogue import CATALOGUE, conversion
from bridge.presets import SHIPPED, Preset, check_overrides, load, resolve_parameters

PATHS = sorted(SHIPPED.glob("*.toml"))
WANTED = {
    "stems",
    "stems-to-midi",
    "clean-take",
    "key-and-tempo",
    "transcribe",
    "master",
    "mp3-for-the-band",
    "voice-swap",
    "extend",
}
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)


def _comment(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(line.removeprefix("# ") for line in lines if line.startswith("#"))


def _settings(comment: str) -> dict[str, str]:
    """What `--set` gives in a comment, without words that stand for a value."""
    given = re.findall(r"--set (\w+)=(\"[^\"]*\"|[^\s,;)]+(?:,[^\s,;)]+)*)", comment)
    return {name: value.strip('"') for name, value in given if not value.isupper()}


def test_every_conversion_has_a_preset() -> None:
    presets = [load(path) for path in PATHS]
    assert {step.conversion for preset in presets for step in preset.steps} == set(CATALOGUE)
    assert {preset.name for preset in presets} >= WANTED


def _needed(preset: Preset) -> set[str]:
    """What must still be given to its steps: the names that the complaints have in them."""
    needed: set[str] = set()
    for step in preset.steps:
        row = conversion(step.conversion)
        names = {one.name for one in row.parameters}
        for converter in row.quality if step.converter == "auto" else (step.converter,):
            for lacking in row.missing(resolve_parameters(step, {}, converter=converter)):
                needed |= names & set(re.findall(r"\w+", lacking.partition(":")[0]))
    return needed


@each
def test_its_comment_says_what_it_needs_and_whether_it_costs(path: Path) -> None:
    preset, comment = load(path), _comment(path)
    paid = any(step.converter != "local" for step in preset.steps)
    if paid:
        assert "MusicGPT" in comment
        assert re.search(r"^Costs: |it costs", comment, re.MULTILINE)
    else:
        assert re.search(r"^Free: this machine", comment, re.MULTILINE)
    needed = _needed(preset)
    assert not needed or any(f"--set {name}=" in comment for name in needed)
    if len(needed) > 1 and not any(conversion(step.conversion).one_of for step in preset.steps):
        assert all(f"--set {name}=" in comment for name in needed)


@each
def test_what_its_comment_sets_can_be_set(path: Path) -> None:
    check_overrides(load(path), _settings(_comment(path)))


@each
def test_a_step_that_only_musicgpt_can_do_names_it(path: Path) -> None:
    for step in load(path).steps:
        able = set(conversion(step.conversion).quality)
        assert step.converter in able if len(able) == 1 else step.converter in {"auto", *able}


@pytest.mark.parametrize("name", ["stems-to-midi", "stems-to-midi-here"])
def test_the_notes_of_all_stems_become_one_file(name: str) -> None:
    preset = load(SHIPPED / f"{name}.toml")
    stems, notes = preset.steps
    assert notes.from_ == stems.name
    assert (notes.conversion, notes.converter) == ("audio_to_midi", "local")
    assert [deliver.pattern for deliver in preset.deliver if deliver.together] == ["{bounce}.{ext}"]


def test_the_documents_list_each_of_them() -> None:
    text = (SHIPPED.parent / "docs" / "presets.md").read_text(encoding="utf-8")
    table = text.partition("## The shipped ones")[2].partition("\n## ")[0]
    listed = {
        name
        for line in table.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([a-z0-9-]+)`", line.split("|")[1])
    }
    assert listed == {path.stem for path in PATHS}
