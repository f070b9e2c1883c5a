"""Jobs in a musician's words."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli import describe
from bridge.cli.convert import pairs
from bridge.cli.tending import arguments_of
from bridge.errors import DeliveryError, WrongUse

FULL = DeliveryError("the disk is full: /out.", remedy="It is kept.").to_json()


def job(state: str = "done", **changes: Any) -> dict[str, Any]:
    part = {"path": "/in/loop.wav", "closed_at": 100.0, "warnings": [], "error": None}
    midi = {
        "id": 1,
        "kind": "artifact",
        "state": "done",
        "final_path": "/out/loop_midi.mid",
        "note": "34 notes, 128 BPM from the file name",
        "ended_at": 100.94,
        "error": None,
    }
    sidecar = {**midi, "id": 2, "kind": "sidecar", "final_path": "/out/loop.bridge.json", "note": ""}
    return {
        "id": 7,
        "state": state,
        "trigger": "folder",
        "parts": [part],
        "conversions": [{"state": "done", "attempt": 0, "error": None}],
        "deliveries": [midi, sidecar],
        **changes,
    }


def test_a_job_that_is_done_is_one_line() -> None:
    line = "loop.wav → loop_midi.mid  34 notes, 128 BPM from the file name, 0.9 s"
    assert describe.one_line(job()) == line


def test_what_holds_for_several_results_is_told_once() -> None:
    first = {**job()["deliveries"][0], "final_path": "/out/loop_bass.wav", "note": "from a 44.1 kHz MP3"}
    second = {**first, "id": 3, "final_path": "/out/loop_drums.wav"}
    line = describe.one_line(job(trigger="cli", deliveries=[first, second]))
    assert line == "loop.wav → loop_bass.wav, loop_drums.wav  from a 44.1 kHz MP3"


def test_of_many_results_with_words_of_their_own_only_the_names_are_told() -> None:
    first = job()["deliveries"][0]
    many = [{**first, "id": n, "final_path": f"/out/loop_{n}.mid", "note": f"{n} notes"} for n in range(4)]
    told = job(trigger="cli", deliveries=many)
    assert describe.one_line(told) == "loop.wav → loop_0.mid, loop_1.mid, loop_2.mid, loop_3.mid"
    assert describe.results_in_short(told) == "loop_0.mid, loop_1.mid and 2 more"
    assert describe.results_in_short(job()) == "loop_midi.mid  34 notes, 128 BPM from the file name"


def test_a_remedy_names_the_job() -> None:
    error = DeliveryError("it failed.", remedy="Look there, then `bridge retry JOB`.")
    assert describe.why_and_remedy(error, 7) == "it failed. Look there, then `bridge retry 7`."


def test_how_long_it_took_is_told_for_bounces_only() -> None:
    assert describe.one_line(job(trigger="cli")).endswith("from the file name")


def test_an_export_of_several_tracks_is_one_job() -> None:
    parts = [{**job()["parts"][0], "path": f"/in/Song {name}.wav"} for name in ("Bass", "Keys", "Lead")]
    assert describe.bounce_names(job(parts=parts)) == "Song Bass.wav and 2 more"


def test_a_job_without_a_file_has_its_number_for_a_name() -> None:
    assert describe.bounce_names(job(parts=[])) == "job 7"


def test_stems_are_told_one_by_one_and_once() -> None:
    first, second = ({**job()["parts"][0], "id": n, "path": f"/in/Song {n}.wav"} for n in (1, 2))
    midi = job()["deliveries"][0]
    one, two = (
        {**midi, "id": n, "part_id": n, "final_path": f"/out/Song {n}_midi.mid", "note": f"{n} notes"}
        for n in (1, 2)
    )
    before = dict(describe.one_part_each(job(parts=[first], deliveries=[one])))
    after = dict(describe.one_part_each(job(parts=[first, second], deliveries=[one, two])))
    assert list(before.values()) == ["Song 1.wav → Song 1_midi.mid  1 notes, 0.9 s"]
    new = [line for key, line in after.items() if key not in before]
    assert new == ["Song 2.wav → Song 2_midi.mid  2 notes, 0.9 s"]
    again = dict(describe.one_part_each(job(parts=[first], deliveries=[{**one, "ended_at": 200.0}])))
    assert not set(again) & set(before), "delivered anew is told anew"
    together = {**one, "kind": "together", "final_path": "/out/Song.mid"}
    all_in_one = dict(describe.one_part_each(job(parts=[first, second], deliveries=[together])))
    assert list(all_in_one.values()) == ["Song 1.wav → Song.mid  1 notes, 0.9 s"], "it is told once"


def test_an_error_without_a_full_stop_does_not_run_into_its_remedy() -> None:
    error = DeliveryError("the model is not here", remedy="Run: bridge models pull", file="/m.onnx")
    assert describe.why_and_remedy(error, 7) == "the model is not here. Run: bridge models pull"


def test_a_failure_tells_why_and_what_to_do_once() -> None:
    rows = [{"state": "failed", "attempt": 0, "error": FULL}] * 2
    words = describe.one_line(job("failed", conversions=rows, deliveries=[]))
    assert words == "loop.wav: failed: the disk is full: /out. It is kept."


@pytest.mark.parametrize(
    ("state", "conversion", "delivery", "stuck"),
    [
        ("running", {"state": "running", "attempt": 0}, {"state": "waiting_retry"}, False),
        ("waiting", {"state": "waiting_retry", "attempt": 1}, {"state": "done"}, False),
        ("waiting", {"state": "waiting_retry", "attempt": 3}, {"state": "done"}, True),
        ("waiting", {"state": "done", "attempt": 0}, {"state": "waiting_retry"}, True),
        ("needs_you", {"state": "unknown", "attempt": 0}, {"state": "done"}, True),
        ("failed", {"state": "failed", "attempt": 3}, {"state": "done"}, False),
    ],
)
def test_nobody_sits_and_waits_for_a_disk_or_a_decision(
    state: str, conversion: dict[str, Any], delivery: dict[str, Any], stuck: bool
) -> None:
    rows = {"conversions": [{"retry_at": 9.0, **conversion}], "deliveries": [{"retry_at": 9.0, **delivery}]}
    assert describe.is_stuck(job(state, **rows)) is stuck


def test_what_is_about_to_be_tried_again_is_waited_for() -> None:
    delivery = {"state": "waiting_retry", "retry_at": None}
    assert not describe.is_stuck(job("waiting", deliveries=[delivery]))


def test_what_hindered_a_job_that_was_cancelled_is_over() -> None:
    asked = [{"state": "cancelled", "attempt": 0, "error": FULL}]
    assert describe.one_line(job("cancelled", conversions=asked)) == "loop.wav: cancelled"


def test_results_are_told_without_the_provenance_file() -> None:
    assert list(describe.report(job())) == [
        "loop.wav → /out/loop_midi.mid  34 notes, 128 BPM from the file name"
    ]
    assert list(describe.report(job(deliveries=[]))) == ["loop.wav: done, no results"]


def test_arguments_of_an_action() -> None:
    given = arguments_of(["job=7", "private=true", "preset=x=y", "set.lowest_note=40", "set.a=b", "to=/o"])
    assert given["job"] == 7
    assert given["private"] is True
    assert given["preset"] == "x=y"
    assert given["set"] == {"lowest_note": 40, "a": "b"}
    assert given["to"].endswith("o")
    assert arguments_of(["preset=null"]) == {"preset": "null"}


@pytest.mark.parametrize("text", ["lowest_note", "=40", ""])
def test_what_is_no_pair_is_wrong_use(text: str) -> None:
    with pytest.raises(WrongUse, match="key=value"):
        pairs([text], "--set")
