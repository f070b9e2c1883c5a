from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.actions import ACTIONS, DEFAULT_PRESET, perform
from bridge.errors import BridgeError, PresetError, WrongUse
from bridge.jobs.model import Fingerprint, JobRequest, Priority
from bridge.jobs.quoting import QuotedStep
from support.desk import Desk
from support.journals import source_of


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def bounce(tmp_path: Path) -> Path:
    path = tmp_path / "Übung 1.wav"
    path.write_bytes(b"RIFF")
    os.utime(path, ns=(1_700_000_000_500_000_000, 1_700_000_000_500_000_000))
    return path


def test_each_action_can_be_listed() -> None:
    assert set(ACTIONS) == {
        *("convert_latest", "convert_file", "convert_text", "quote", "allow_upload", "resolve"),
        *("cancel", "retry", "redeliver", "rescan", "pause"),
        *("stream", "slot", "stop", "loop", "panic", "tap_tempo", "tempo", "transport"),
        *("next_preset", "previous_preset", "select_preset", "reload_controls"),
    }
    for name, action in ACTIONS.items():
        assert action.name == name
        assert action.about.endswith(".")
        assert action.required <= set(action.parameters)


def test_a_file_is_converted_with_what_is_usual(desk: Desk, bounce: Path) -> None:
    assert perform(desk, "convert-file", {"file": str(bounce)}) == {"job": 1}
    assert desk.requests == [
        JobRequest(
            source=bounce,
            fingerprint=Fingerprint(4, 1_700_000_000_500_000_000),
            preset=DEFAULT_PRESET,
            project_folder=bounce.parent / "project",
            trigger="hand",
            priority=Priority.BY_HAND,
            closed_at=1_700_000_000.5,
        )
    ]


def test_every_argument_reaches_the_request(
    desk: Desk, bounce: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    arguments = {
        "file": bounce.name,
        "preset": DEFAULT_PRESET,
        "to": "~/Out",
        "set": {"lowest_note": "40"},
        "private": "true",
        "batch": True,
        "trigger": "pad",
    }
    perform(desk, "convert_file", arguments)
    (request,) = desk.requests
    assert (request.source, request.project_folder) == (bounce, tmp_path / "Out")
    assert (request.private, request.priority, request.trigger) == (True, Priority.BATCH, "pad")
    assert request.overrides == {"lowest_note": "40"}


@pytest.mark.parametrize(
    ("value", "private"),
    [(True, True), ("Yes", True), ("1", True), (1, True), (False, False), ("false", False), (None, False)],
)
def test_a_yes_or_no_may_come_as_text(desk: Desk, bounce: Path, value: object, private: bool) -> None:
    perform(desk, "convert_file", {"file": bounce, "private": value})
    assert desk.requests[0].private is private


def test_a_file_is_taken_for_where_it_lies_and_not_for_how_it_is_named(desk: Desk, tmp_path: Path) -> None:
    for name in ("private", "open"):
        (tmp_path / name).mkdir()
    (tmp_path / "private" / "a.wav").write_bytes(b"RIFF")
    perform(desk, "convert_file", {"file": f"{tmp_path}/open/../private/a.wav", "allow_upload": True})
    [request] = desk.requests
    assert (request.source, request.private) == (tmp_path / "private" / "a.wav", True)
    assert desk.asked == [("allow private", 0)]
    perform(desk, "allow_upload", {"folder": f"{tmp_path}/private/../open"})
    assert desk.asked[-1] == ("allow open", 0)


def test_a_private_folders_file_stays_private_also_by_hand(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    bounce = tmp_path / "private" / "loop.wav"
    bounce.write_bytes(b"audio")
    perform(desk, "convert_file", {"file": str(bounce), "private": False})
    assert desk.requests[-1].private


@pytest.mark.skipif(os.name != "posix" or sys.platform == "darwin", reason="only Linux has such names")
def test_a_name_that_is_not_unicode_is_refused_in_words(desk: Desk, tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/gr\xfc\xdfe.wav")
    Path(path).write_bytes(b"audio")
    with pytest.raises(WrongUse, match="Unicode"):
        perform(desk, "convert_file", {"file": path})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "needs 'file'"),
        ({"file": "/not/there.wav"}, r"there\.wav: there is no such file"),
        ({"file": "/"}, "there is no such file"),
        ({"file": 3}, "there is no such file"),
        ({"file": "x\0y.wav"}, "there is no such file"),
        ({"file": "~no-such-user-here/x.wav"}, "names a user"),
        ({"fil": "x"}, "does not know 'fil'"),
        ({"file": "BOUNCE", "preset": "audio_to_midi"}, "Did you mean 'audio-to-midi'"),
        ({"file": "BOUNCE", "set": {"lowest": 3}}, "Did you mean 'lowest_note'"),
        ({"file": "BOUNCE", "set": {"lowest_note": 300}}, "not 300"),
        ({"file": "BOUNCE", "set": "lowest_note=3"}, "Say key=value"),
        ({"file": "BOUNCE", "set": ["lowest_note"]}, "Say key=value"),
        ({"file": "BOUNCE", "private": "perhaps"}, "must be true or false, not 'perhaps'"),
    ],
)
def test_wrong_use_is_said_and_nothing_is_begun(
    desk: Desk, bounce: Path, arguments: dict[str, Any], words: str
) -> None:
    given = {name: str(bounce) if value == "BOUNCE" else value for name, value in arguments.items()}
    with pytest.raises(BridgeError, match=words) as caught:
        perform(desk, "convert_file", given)
    assert isinstance(caught.value, (WrongUse, PresetError))
    assert desk.requests == []


def test_an_unknown_action_is_answered_with_the_nearest(desk: Desk) -> None:
    with pytest.raises(WrongUse, match="Did you mean 'convert_latest'"):
        perform(desk, "convert-last", {})
    with pytest.raises(WrongUse, match=r"Known: convert_latest, .*rescan"):
        perform(desk, "zzz", {})


def test_the_latest_bounce_is_converted_again(desk: Desk, bounce: Path) -> None:
    with pytest.raises(WrongUse, match="no bounce yet"):
        perform(desk, "convert_latest", {})
    perform(desk, "convert_file", {"file": bounce})
    perform(desk, "convert_latest", {"set": {"lowest_note": 40}, "trigger": "key"})
    latest = desk.requests[1]
    assert (latest.source, latest.overrides, latest.trigger) == (bounce, {"lowest_note": 40}, "key")
    with pytest.raises(WrongUse, match="does not know 'file'"):
        perform(desk, "convert_latest", {"file": "x"})


@pytest.mark.parametrize("action", ["cancel", "retry"])
def test_a_job_is_named_by_its_number_or_is_the_latest(desk: Desk, bounce: Path, action: str) -> None:
    for _ in range(2):
        perform(desk, "convert_file", {"file": bounce})
    assert perform(desk, action, {})["job"] == 2
    assert perform(desk, action, {"job": "1"})["job"] == 1
    assert desk.asked == [(action, 2), (action, 1)]


@pytest.mark.parametrize("job", ["x", "", [], {}, 0, -1, 99, 2**63, "9" * 30, float("inf"), float("nan")])
@pytest.mark.parametrize("action", ["cancel", "retry", "redeliver"])
def test_a_job_that_cannot_be_is_wrong_use(desk: Desk, action: str, job: object) -> None:
    with pytest.raises(WrongUse, match="bridge history"):
        perform(desk, action, {"job": job})


def test_without_jobs_there_is_no_latest(desk: Desk) -> None:
    with pytest.raises(WrongUse, match="no job yet"):
        perform(desk, "cancel", {})


def test_redeliver_asks_for_every_part_as_the_job_had_it(desk: Desk, bounce: Path, tmp_path: Path) -> None:
    arguments = {"file": bounce, "to": tmp_path / "Out", "set": {"lowest_note": 40}, "private": True}
    job = perform(desk, "convert_file", arguments)["job"]
    other = bounce.with_name("Übung 2.wav")
    other.write_bytes(b"RIFF")
    joined = JobRequest(other, Fingerprint.of(other), DEFAULT_PRESET, tmp_path / "Out", "test")
    desk.journal.create_job(joined, {}, source_of(other), [], join=job)
    desk.requests.clear()
    assert perform(desk, "redeliver", {"job": job}) == {"job": 2, "jobs": [2, 3]}
    assert [request.joins for request in desk.requests] == [None, 2], "one export stays one job"
    assert [request.source for request in desk.requests] == [bounce, other]
    for request in desk.requests:
        assert (request.trigger, request.priority) == ("redeliver", Priority.BY_HAND)
        assert (request.project_folder, request.private) == (tmp_path / "Out", True)
        assert request.overrides == {"lowest_note": 40}
        assert request.again_of == job, "what is put back is not paid for again"
    perform(desk, "redeliver", {"job": 2})
    assert desk.requests[-1].again_of == job, "the first one has it"


def test_redeliver_begins_nothing_when_a_part_is_gone(desk: Desk, bounce: Path) -> None:
    job = perform(desk, "convert_file", {"file": bounce})["job"]
    other = bounce.with_name("gone.wav")
    joined = JobRequest(other, Fingerprint(1, 1), DEFAULT_PRESET, bounce.parent, "test")
    desk.journal.create_job(joined, {}, source_of(other), [], join=job)
    desk.requests.clear()
    with pytest.raises(WrongUse, match=r"gone\.wav: the bounce itself is gone"):
        perform(desk, "redeliver", {"job": job})
    assert desk.requests == []


def test_rescan_is_passed_on(desk: Desk) -> None:
    assert perform(desk, "rescan", {}) == {}
    assert desk.asked == [("rescan", 0)]


@pytest.mark.parametrize(
    ("given", "rests"), [({}, [True, False]), ({"on": "true"}, [True, True]), ({"on": False}, [False, False])]
)
def test_the_engine_rests_and_goes_on(desk: Desk, given: dict[str, object], rests: list[bool]) -> None:
    assert [perform(desk, "pause", given)["paused"] for _ in range(2)] == rests
    with pytest.raises(WrongUse, match="'on' must be true or false"):
        perform(desk, "pause", {"on": "maybe"})


# Money


def test_words_alone_make_a_job_that_is_the_same_for_the_same_words(desk: Desk) -> None:
    wanted = {"conversion": "musicai", "set": {"prompt": "Slow, warm pads / for a rainy evening in Rome"}}
    perform(desk, "convert_text", wanted)
    perform(desk, "convert_text", wanted)
    perform(desk, "convert_text", {**wanted, "name": "rain", "to": str(desk.folder / "there")})
    first, second, named = desk.requests
    assert first.source == second.source
    assert first.source.name == "slow warm pads for a rainy.txt"
    assert first.source.is_relative_to(desk.home / "prompts")
    assert "rainy evening" in first.source.read_text(encoding="utf-8")
    assert (first.preset, first.project_folder) == ("@musicai", desk.folder / "texts")
    assert (named.source.name, named.project_folder) == ("rain.txt", desk.folder / "there")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"conversion": "denoise"}, "begins with a file"),
        ({"conversion": "MusicAI", "name": "../up"}, "no name of a file"),
        ({"conversion": "MusicAI", "preset": "stems"}, "are two things"),
        ({"conversion": "MusicEI"}, "Did you mean 'MusicAI'"),
        ({"conversion": "MusicAI", "set": {"promt": "x"}}, "Did you mean 'prompt'"),
    ],
)
def test_words_that_cannot_be(desk: Desk, arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongUse, match=words):
        perform(desk, "convert_text", arguments)
    assert desk.requests == []


def test_a_quote_sums_up_what_is_known_and_sends_nothing(desk: Desk, bounce: Path) -> None:
    told = perform(desk, "quote", {"file": bounce, "conversion": "denoise"})
    assert (told["usd"], told["unknown"], told["preset"]) == (0.03, False, "@denoise")
    assert told["steps"][0]["consent"] is True
    desk.unpriced.append(QuotedStep("two", "image_generator", "musicgpt", 1, None, "", consent=False))
    assert perform(desk, "quote", {"file": bounce})["usd"] is None
    assert desk.journal.jobs() == []


def test_consent_is_for_a_folder_that_is_there(desk: Desk, bounce: Path) -> None:
    assert perform(desk, "allow_upload", {"folder": str(bounce.parent)})["released"] == 2
    perform(desk, "convert_file", {"file": bounce, "allow_upload": True})
    assert desk.asked == [(f"allow {bounce.parent.name}", 0)] * 2
    with pytest.raises(WrongUse, match="no such folder"):
        perform(desk, "allow_upload", {"folder": str(bounce)})


def test_what_nobody_knows_is_answered_in_one_of_three_ways(desk: Desk, bounce: Path) -> None:
    perform(desk, "convert_file", {"file": bounce})
    perform(desk, "resolve", {"answer": "resubmit"})
    perform(desk, "resolve", {"job": 1, "answer": "ticket", "ticket": "abc"})
    perform(desk, "retry", {"job": 1, "pay": "yes"})
    assert desk.asked == [("resubmit", 1), ("ticket abc", 1), ("retry and pay", 1)]
    for bad in ({"answer": "perhaps"}, {"answer": "ticket"}, {"answer": "forget", "ticket": "abc"}):
        with pytest.raises(WrongUse):
            perform(desk, "resolve", bad)
