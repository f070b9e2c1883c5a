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
from bridge.jobs.store import Journal
from bridge.presets import PresetShelf
from bridge.testing import ManualClock
from support.journals import PRESET, planned, source_of


class Desk:
    """A bridge with a real journal and real presets that notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.sqlite3", clock=ManualClock())
        self.presets = PresetShelf(folder / "presets")
        self.requests: list[JobRequest] = []
        self.asked: list[tuple[str, int]] = []

    def submit(self, request: JobRequest) -> int:
        self.requests.append(request)
        data = PRESET.model_dump(by_alias=True)
        return self.journal.create_job(request, data, source_of(request.source), [planned()])

    def project_folder_of(self, source: Path) -> Path:
        return source.parent / "project"

    def is_private(self, source: Path) -> bool:
        return source.parent.name == "private"

    def cancel(self, job_id: int) -> None:
        self.asked.append(("cancel", job_id))

    def retry(self, job_id: int) -> None:
        self.asked.append(("retry", job_id))

    def rescan(self) -> None:
        self.asked.append(("rescan", 0))


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
    assert list(ACTIONS) == ["convert_latest", "convert_file", "cancel", "retry", "redeliver", "rescan"]
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
    assert perform(desk, action, {}) == {"job": 2}
    assert perform(desk, action, {"job": "1"}) == {"job": 1}
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
    assert [request.source for request in desk.requests] == [bounce, other]
    for request in desk.requests:
        assert (request.trigger, request.priority) == ("redeliver", Priority.BY_HAND)
        assert (request.project_folder, request.private) == (tmp_path / "Out", True)
        assert request.overrides == {"lowest_note": 40}


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
