from __future__ import annotations

from pathlib import Path

import pytest

from bridge.media.musical_context import MusicalContext, context_of


@pytest.mark.parametrize(
    ("name", "preset_bpm", "settings_bpm", "expected"),
    [
        ("loop_128bpm.wav", 100.0, 90.0, MusicalContext(128.0, "file name")),
        ("loop.wav", 100.0, 90.0, MusicalContext(100.0, "preset")),
        ("loop.wav", None, 90.0, MusicalContext(90.0, "settings")),
        ("loop.wav", None, None, MusicalContext(120.0, "assumed")),
        ("loop.128bpm", None, None, MusicalContext(120.0, "assumed")),  # the suffix is no name
        ("loop_999bpm.wav", None, 90.0, MusicalContext(90.0, "settings")),
    ],
)
def test_the_best_source_wins(
    name: str, preset_bpm: float | None, settings_bpm: float | None, expected: MusicalContext
) -> None:
    # A folder's name says nothing about the bounce in it.
    bounce = Path("/music/Song 99bpm") / name
    assert context_of(bounce, preset_bpm=preset_bpm, settings_bpm=settings_bpm) == expected


def test_the_note_says_where_the_tempo_is_from() -> None:
    assert MusicalContext(128.5, "file name").note() == "128.5 BPM from the file name"
    assert MusicalContext(120.0, "assumed").note() == "tempo unknown, written at 120 BPM"
