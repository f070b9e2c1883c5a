"""Results that are played instead of written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mido
import pytest

from bridge.delivery import streaming
from bridge.jobs.model import JobState
from bridge.midi.messages import Play
from support.deliveries import Bench, preset_data


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.journal.close()


def both(**stream: Any) -> dict[str, Any]:
    return preset_data([{"from": "notes"}, {"to": "stream", "from": "notes", "stream": stream}])


def test_a_result_is_played_as_soon_as_it_is_there_and_written_too(bench: Bench) -> None:
    how = {"when": "beat", "count": 2, "loop": True, "transpose": 12, "channels": {"*": 5}, "port": "Synth"}
    job = bench.converted(preset=both(**how, follow="song"))
    bench.deliver_all()
    (order,) = bench.orders
    artifact = bench.one(job, 1).artifact_id
    path = Path(order.path)
    assert order == Play(
        f"{job}/{artifact}", str(path), "beat", 2, False, True, 12, {"*": 5}, "Synth", "song"
    )
    played = mido.MidiFile(path)
    assert [message.note for message in played if message.type == "note_on"] == [60]
    assert bench.states(job) == [("artifact", "done"), ("stream", "done"), ("sidecar", "done")]
    assert bench.one(job, 1).note == "plays at the next 2 beats"
    assert bench.files() == ["Loop_100bpm.bridge.json", "Loop_100bpm_midi.mid"]


@pytest.mark.parametrize(
    ("stream", "armed", "word"),
    [
        ({}, False, "plays at the next bar"),
        ({"when": "now"}, False, "plays"),
        ({"when": "armed"}, True, "armed"),
    ],
)
def test_when_it_plays_is_said(bench: Bench, stream: dict[str, Any], armed: bool, word: str) -> None:
    job = bench.converted(preset=preset_data([{"to": "stream", "from": "notes", "stream": stream}]))
    bench.deliver_all()
    assert [order.armed for order in bench.orders] == [armed]
    assert (bench.one(job).note, bench.state(job)) == (word, JobState.DONE)
    assert bench.files() == []


def test_where_nobody_plays_the_job_is_done_and_says_why(bench: Bench) -> None:
    bench.nobody_plays = "there is no MIDI port"
    job = bench.converted(preset=both())
    bench.deliver_all()
    assert bench.state(job) is JobState.DONE
    assert bench.one(job, 1).note == "not played: there is no MIDI port"


def test_after_a_restart_nothing_plays_out_of_the_blue(bench: Bench) -> None:
    job = bench.converted(preset=both())
    bench.clock.advance(60.0)
    bench.desk = bench.new_desk()
    bench.deliver_all()
    assert bench.orders == []
    assert bench.state(job) is JobState.DONE
    assert "restarted" in (bench.one(job, 1).note or "")
    assert bench.desk.play(job, "", {}) == {f"{job}/{bench.one(job, 1).artifact_id}": "plays at the next bar"}
    assert len(bench.orders) == 1


def test_only_notes_are_played_and_only_those_that_are_asked_for(bench: Bench) -> None:
    job = bench.converted(roles=("midi", "sonified"))
    bench.deliver_all()
    assert len(bench.desk.play(job, "", {})) == 1
    assert bench.desk.play(job, "sonified", {}) == {}
    assert len(bench.desk.play(job, "midi", {"when": "now"})) == 1
    assert [order.when for order in bench.orders] == ["bar", "now"]


def test_a_result_that_is_gone_from_the_cache_fails_and_says_what_to_do(bench: Bench) -> None:
    job = bench.converted(preset=preset_data([{"to": "stream", "from": "notes"}]))
    for path in bench.cache.iterdir():
        path.write_text(json.dumps({"version": 0}))
    bench.deliver_all()
    assert bench.state(job) is JobState.FAILED
    assert "Convert the bounce again" in str(bench.one(job).error)


def test_files_that_are_played_do_not_pile_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "KEPT_FILES", 3)
    for number in range(6):
        job = bench.converted(f"take {number}.wav", pitch=40 + number)
        bench.desk.play(job, "", {})
    kept = list((bench.folder / "played").iterdir())
    assert len(kept) <= 4
    assert Path(bench.orders[-1].path) in kept
