"""The preset at hand and the slots outlive a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.actions import DEFAULT_PRESET
from bridge.surface.memory import FILE_NAME, Memory


def test_what_the_hands_left_is_there_again(tmp_path: Path) -> None:
    memory = Memory(tmp_path)
    assert (memory.preset, memory.slots) == (DEFAULT_PRESET, {})
    memory.select("stems")
    memory.put(3, 12)
    memory.put(4, 13)
    memory.put(4, None)
    memory.put(9, None)
    again = Memory(tmp_path)
    assert (again.preset, again.slots) == ("stems", {3: 12})


@pytest.mark.parametrize(
    "kept", ["", "{", "[]", '{"preset": 5, "slots": [1]}', '{"slots": {"x": 1, "2": "y"}}']
)
def test_a_damaged_file_costs_the_memory_and_nothing_else(tmp_path: Path, kept: str) -> None:
    (tmp_path / FILE_NAME).write_text(kept)
    memory = Memory(tmp_path)
    assert (memory.preset, memory.slots) == (DEFAULT_PRESET, {})
    memory.put(1, 2)
    assert Memory(tmp_path).slots == {1: 2}


def test_where_nothing_can_be_written_it_is_remembered_until_the_end(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "gone")
    memory.put(1, 2)
    assert memory.slots == {1: 2}
