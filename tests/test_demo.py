"""The demo's measure, its bounce, and the whole of it as a process."""

from __future__ import annotations

import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge import demo
from bridge.demo import matched, score
from bridge.media.midi_files import smf_to_notes
from bridge.media.notes import Note
from support.commands import bridge


def note(start_s: float, pitch: int = 60) -> Note:
    return Note(start_s, start_s + 0.2, pitch, 100)


def f1(played: list[Note], found: list[Note]) -> float:
    return score(matched(played, found, tolerance_s=0.05)).f1


def test_the_same_notes_are_all_right() -> None:
    notes = [note(0.0), note(0.5), note(0.5, 64)]
    assert f1(notes, notes) == 1.0
    assert f1([], []) == 1.0


def test_pitch_and_onset_count_and_length_does_not() -> None:
    assert f1([note(0.0)], [note(0.0, 61)]) == 0.0
    assert f1([note(1.0)], [note(1.049)]) == 1.0
    assert f1([note(1.0)], [note(1.051)]) == 0.0
    assert f1([note(1.0)], [Note(1.0, 9.0, 60, 1)]) == 1.0


def test_one_note_is_not_found_twice() -> None:
    result = score(matched([note(1.0)], [note(1.0), note(1.01)], tolerance_s=0.05))
    assert (result.precision, result.recall) == (0.5, 1.0)
    assert f1([note(1.0), note(1.01)], [note(1.0)]) == pytest.approx(2 / 3)


def test_a_greedy_choice_takes_nobodys_partner_away() -> None:
    # 1.04 fits both, 0.98 only the first: the first must leave 1.04 to the second.
    assert f1([note(1.0), note(1.08)], [note(0.98), note(1.04)]) == 1.0


@given(
    st.lists(st.integers(0, 40), max_size=6),
    st.lists(st.integers(0, 40), max_size=6),
)
def test_as_many_pairs_as_there_can_be(played: list[int], found: list[int]) -> None:
    ones, others = ([note(place / 50) for place in places] for places in (played, found))
    pairs = matched(ones, others, tolerance_s=0.0501)
    near = {(a, b) for a, one in enumerate(played) for b, two in enumerate(found) if abs(one - two) <= 2}
    assert sum(None not in pair for pair in pairs) == _most_pairs(len(played), near)
    assert len(pairs) == len(played) + len(found) - sum(None not in pair for pair in pairs)


def _most_pairs(count: int, near: set[tuple[int, int]]) -> int:
    """The largest matching, by augmenting paths: slow, and known to be right."""
    partner: dict[int, int] = {}

    def place(one: int, seen: set[int]) -> bool:
        for two in {b for a, b in near if a == one} - seen:
            seen.add(two)
            if two not in partner or place(partner[two], seen):
                partner[two] = one
                return True
        return False

    return sum(place(one, set()) for one in range(count))


def test_the_bounce_is_written_as_a_daw_does(tmp_path: Path) -> None:
    _, pcm = demo.loop()
    closed_at = demo.bounce(tmp_path / "loop.wav", pcm, write_s=0.0)
    with wave.open(str(tmp_path / "loop.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, demo.RATE_HZ)
        assert file.readframes(file.getnframes()) == pcm
    assert closed_at == pytest.approx((tmp_path / "loop.wav").stat().st_mtime, abs=1.0)


@pytest.mark.slow
def test_the_demo(bridge_home: Path, tmp_path: Path) -> None:
    done = bridge(bridge_home, "demo", "--json", TMPDIR=str(tmp_path), TEMP=str(tmp_path))
    assert done.exit_code == 0, done.stderr
    told = done.data()
    assert told["good"] is True
    assert told["f1"] >= demo.GOOD_F1
    assert 0.3 < told["latency_s"] < 20
    found = [pair["found"] for pair in told["notes"] if pair["found"]]
    assert len(smf_to_notes(Path(told["midi"]).read_bytes())) == len(found)
    assert not (Path(told["home"]) / "owner.json").exists()
    assert list((bridge_home).iterdir()) == [bridge_home / "models"]
