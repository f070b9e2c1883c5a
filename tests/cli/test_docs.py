"""What the documents show is what the bridge takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bridge import config
from bridge.cli import app as command_line
from bridge.conversions import catalogue
from bridge.preset_tables import StreamTable
from bridge.presets import PATTERN_FIELDS, load

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "benchmarks" / "README.md")


def blocks(document: str, language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def test_the_preset_that_is_shown_is_one(tmp_path: Path) -> None:
    text, played = blocks("docs/presets.md", "toml")
    path = tmp_path / "bass.toml"
    path.write_text(text, encoding="utf-8")
    assert load(path).name == "bass"
    head = text.partition("[[deliver]]")[0].replace("sonify_midi = true", "sonify_midi = false")
    path.write_text(head + played, encoding="utf-8")
    assert [deliver.to for deliver in load(path).deliver] == ["stream"]


def test_every_field_of_what_is_played_is_described() -> None:
    text = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert all(f"| `{field}` |" in text for field in StreamTable.model_fields)


def test_every_parameter_and_field_of_a_pattern_is_described() -> None:
    text = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    for row in catalogue.conversion("audio_to_midi").parameters:
        default = "–" if row.default is None else str(row.default).lower()
        assert f"| `{row.name}` | {default} |" in text
    assert all(f"`{{{field}}}`" in text for field in PATTERN_FIELDS)


@pytest.mark.parametrize("document", ["README.md", "docs/daw-folders.md"])
def test_the_settings_that_are_shown_are_right(document: str, tmp_path: Path) -> None:
    (text,) = blocks(document, "toml")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    assert config.load(tmp_path).folders


@pytest.mark.parametrize("document", DOCS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8")):
        assert link.startswith("http") or (document.parent / link).exists(), link


def test_commands_that_are_named_exist() -> None:
    known = {
        command.name or command.callback.__name__
        for command in command_line.app.registered_commands
        if command.callback
    }
    for document in DOCS:
        named = set(re.findall(r"`bridge ([a-z]+)", document.read_text(encoding="utf-8")))
        assert named <= known | {"models"}, document.name
