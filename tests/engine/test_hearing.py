"""What the engine heard is kept: whole, bounded, and never trusted when it is damaged."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine import hearing
from bridge.engine.hearing import Hearings


@dataclass(frozen=True)
class Heard:
    loud: NDArray[Any]
    frames: int


class Ears:
    """Counts how often it listens."""

    def __init__(self) -> None:
        self.listened = 0

    def hear(self) -> Heard:
        self.listened += 1
        return Heard(np.arange(12, dtype=np.uint16).reshape(3, 4), 3)


def test_what_was_heard_is_heard_once(tmp_path: Path) -> None:
    ears, hearings = Ears(), Hearings(tmp_path / "heard", "samples")
    first = hearings.of("net", "v1", Heard, ears.hear)
    again = Hearings(tmp_path / "heard", "samples").of("net", "v1", Heard, ears.hear)
    assert ears.listened == 1
    assert again.frames == first.frames == 3
    assert again.loud.dtype == np.uint16
    assert np.array_equal(again.loud, first.loud)


@pytest.mark.parametrize(
    ("audio", "listener", "made_of"), [("b", "net", "1"), ("a", "drums", "1"), ("a", "net", "2")]
)
def test_other_audio_another_listener_or_model_is_heard_anew(
    tmp_path: Path, audio: str, listener: str, made_of: str
) -> None:
    ears = Ears()
    Hearings(tmp_path, "a").of("net", "1", Heard, ears.hear)
    Hearings(tmp_path, audio).of(listener, made_of, Heard, ears.hear)
    assert ears.listened == 2


def test_without_a_folder_nothing_is_kept() -> None:
    ears = Ears()
    for _ in range(2):
        Hearings(None, "a").of("net", "1", Heard, ears.hear)
    assert ears.listened == 2


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "other fields", "other method", "locked"])
def test_a_damaged_file_is_heard_again_and_mended(tmp_path: Path, damage: str) -> None:
    ears, hearings = Ears(), Hearings(tmp_path, "a")
    hearings.of("net", "1", Heard, ears.hear)
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    if damage == "other fields":
        np.savez(path, allow_pickle=False, other=np.zeros(3))
    elif damage in ("other method", "locked"):
        listed = data.index(b"PK\x01\x02")  # the directory's first entry: flags at 8, method at 10
        data[listed + {"other method": 10, "locked": 8}[damage]] ^= {"other method": 77, "locked": 1}[damage]
        path.write_bytes(bytes(data))
    else:
        middle = data.index(bytes(range(0, 12, 1))[:1] + b"\x00\x01\x00\x02\x00")
        data[middle + 2] ^= 0xFF
        path.write_bytes(bytes({"cut": data[:-40], "flipped": data, "empty": b""}[damage]))
    heard = hearings.of("net", "1", Heard, ears.hear)
    assert ears.listened == 2
    assert heard.loud[2, 3] == 11
    hearings.of("net", "1", Heard, ears.hear)
    assert ears.listened == 2


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path: Path) -> None:
    ears = Ears()
    (tmp_path / "file").write_text("no folder")
    heard = Hearings(tmp_path / "file" / "heard", "a").of("net", "1", Heard, ears.hear)
    assert heard.frames == 3


def test_the_longest_unused_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ears = Ears()
    for number, audio in enumerate(("old", "used", "new")):
        Hearings(tmp_path, audio).of("net", "1", Heard, ears.hear)
        for path in tmp_path.glob(f"{audio}-*"):
            os.utime(path, (number, number))
    Hearings(tmp_path, "old").of("net", "1", Heard, ears.hear)  # used again: now the newest
    size = next(tmp_path.iterdir()).stat().st_size
    monkeypatch.setattr(hearing, "KEPT_BYTES", 2 * size)
    Hearings(tmp_path, "last").of("net", "1", Heard, ears.hear)
    assert sorted(path.name.split("-")[0] for path in tmp_path.iterdir()) == ["last", "old"]
