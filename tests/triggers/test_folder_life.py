"""A folder trigger from its first visit to the loss of its folder, its events and its intake."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from watchdog.events import FileCreatedEvent

from bridge.clock import SystemClock
from bridge.config import WatchedFolder
from bridge.jobs.model import Fingerprint, Priority
from bridge.triggers import watch
from bridge.triggers.folder import POLLING, STOPPED, WAITING, WATCHING, FolderTrigger
from support.trigger_bench import PATIENT, QUICK, SETTLE_S, Bench, Diary, until, wav

# watchdog's own, where a folder is made and filled while it is being listed (see bridge/triggers/watch.py).
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:Callback with id:RuntimeWarning")]

LONG_AGO = (1_000_000_000, 1_000_000_000)


def make_old(path: Path, data: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav() if data is None else data)
    os.utime(path, LONG_AGO)
    return path


def test_what_was_there_at_the_first_visit_is_recorded(bench: Bench) -> None:
    old = [make_old(bench.folder / name) for name in ("a.wav", "deep/b.wav")]
    crashed_long_ago = make_old(bench.folder / "crashed.wav", wav(10, promised_frames=99))
    bench.trigger()
    bench.expect()
    assert set(bench.diary.known) >= {*old, crashed_long_ago}
    assert bench.diary.known[old[0]] == Fingerprint.of(old[0])
    assert bench.diary.visited == {bench.folder}


def test_what_is_being_written_at_the_first_visit_is_not_lost(bench: Bench) -> None:
    fresh = bench.folder / "fresh.wav"
    fresh.write_bytes(wav())
    growing = make_old(bench.folder / "growing.wav", wav(10, promised_frames=20))
    lately = time.time() - 600
    os.utime(growing, (lately, lately))
    bench.trigger()
    with growing.open("ab") as file:
        file.write(wav(10)[44:])
    bench.expect(fresh, growing)


@pytest.mark.slow
def test_what_was_there_is_converted_where_the_settings_say_so(bench: Bench) -> None:
    old = [make_old(bench.folder / name) for name in ("a.wav", "deep/b.wav")]
    bench.trigger(existing="convert")
    bench.expect(*old)
    assert bench.diary.visited == {bench.folder}


def test_what_came_while_the_bridge_was_off_is_found_and_nothing_is_done_twice(bench: Bench) -> None:
    make_old(bench.folder / "old.wav")
    bench.trigger()
    first = bench.folder / "first.wav"
    first.write_bytes(wav())
    bench.expect(first)
    bench.stop()
    meanwhile = make_old(bench.folder / "meanwhile.wav")
    bench.trigger()
    bench.expect(first, meanwhile)


def test_a_folder_that_does_not_exist_yet_is_waited_for(bench: Bench) -> None:
    bench.folder.rmdir()
    trigger = bench.trigger(start=False)
    trigger.start()
    until(lambda: trigger.status()["state"] == WAITING, "the trigger waits")
    bench.folder.mkdir()
    path = bench.folder / "at once.wav"
    path.write_bytes(wav())
    bench.expect(path)
    assert trigger.status()["state"] == WATCHING


@pytest.mark.parametrize("polling", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_folder_that_vanishes_is_taken_up_again(bench: Bench, polling: bool) -> None:
    trigger = bench.trigger(polling=polling)
    first = bench.folder / "first.wav"
    first.write_bytes(wav())
    bench.expect(first)
    waiting = bench.folder / "unfinished.wav"
    waiting.write_bytes(wav(1, promised_frames=2))
    until(lambda: trigger.status()["candidates"] == 1, "there is a candidate")
    unplugged = bench.apart / "unplugged"
    bench.folder.rename(unplugged)
    until(lambda: trigger.status()["state"] == WAITING, "the trigger waits")
    assert trigger.status()["candidates"] == 0
    (unplugged / "unfinished.wav").unlink()
    make_old(unplugged / "meanwhile.wav")
    unplugged.rename(bench.folder)
    until(lambda: trigger.status()["state"] == (POLLING if polling else WATCHING), "it is taken up again")
    later = bench.folder / "later.wav"
    later.write_bytes(wav())
    bench.expect(first, bench.folder / "meanwhile.wav", later)


@pytest.mark.slow
def test_another_folder_in_its_place_is_taken_up(bench: Bench) -> None:
    """As when a drive is mounted over the empty folder that stands for it."""
    bench.trigger()
    bench.folder.rename(bench.apart / "before")
    bench.folder.mkdir()
    path = make_old(bench.folder / "on the drive.wav")
    bench.expect(path)


def test_lost_events_lead_to_a_scan(bench: Bench) -> None:
    trigger = bench.trigger()
    # Nothing tells of this file: its folder has no watch, as after a loss of events.
    trigger._watch.stop()
    trigger._watch.alive = lambda: True  # type: ignore[method-assign]
    logging.getLogger(watch.OVERFLOW_LOGGER).addHandler(trigger._watch._overflow)
    path = bench.folder / "untold.wav"
    path.write_bytes(wav())
    scanned_at = trigger.status()["last_scan_at"]
    logging.getLogger(watch.OVERFLOW_LOGGER).warning("Inotify queue overflowed; filesystem events were lost")
    until(lambda: bench.diary.count(path), "the file is found")
    assert trigger.status()["last_scan_at"] > scanned_at


@pytest.mark.slow
def test_other_lines_of_the_log_lead_to_no_scan(bench: Bench) -> None:
    trigger = bench.trigger()
    bench.barrier()
    scanned_at = trigger.status()["last_scan_at"]
    logging.getLogger(watch.OVERFLOW_LOGGER).warning("something else")
    bench.barrier()
    assert trigger.status()["last_scan_at"] == scanned_at


def test_a_dead_watch_begins_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    trigger = bench.trigger()
    observer = trigger._watch._observer
    assert observer is not None
    for emitter in observer.emitters:
        emitter.stop()
    until(lambda: trigger._watch._observer not in (None, observer), "there is another watch")
    path = bench.folder / "take.wav"
    path.write_bytes(wav())
    bench.expect(path)
    assert "had ended" in caplog.text
    assert trigger.status()["state"] == WATCHING
    observer.stop()


@pytest.mark.parametrize("number", [errno.ENOSPC, pytest.param(errno.EMFILE, marks=pytest.mark.slow)])
def test_without_a_watch_left_it_polls(bench: Bench, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def refuse() -> None:
        raise OSError(number, os.strerror(number))

    # The system's limit is for the whole machine: reaching it for real would hurt the tests beside this one.
    monkeypatch.setattr(watch, "Observer", refuse)
    trigger = bench.trigger()
    path = bench.folder / "take.wav"
    path.write_bytes(wav())
    bench.expect(path)
    assert trigger.status()["state"] == POLLING
    assert "no folder watch left" in trigger.status()["problem"]


@pytest.mark.slow
def test_a_folder_without_events_is_polled_in_the_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    # As a network share to which another machine writes: the watch is there, and nothing comes.
    monkeypatch.setattr(watch._Handler, "dispatch", lambda *_: None)
    trigger = bench.trigger(timing=replace(QUICK, rescan_s=0.2))
    for number in range(2):
        path = make_old(bench.folder / f"{number}.wav")
        until(lambda path=path: bench.diary.count(path), "it is found")  # type: ignore[misc]
    until(lambda: trigger.status()["state"] == POLLING, "it is polled")
    assert "sends no events" in trigger.status()["problem"]
    bench.expect(bench.folder / "0.wav", bench.folder / "1.wav")


@pytest.mark.slow
def test_the_regular_scan_finds_what_no_event_told_of(bench: Bench) -> None:
    bench.trigger(timing=replace(QUICK, rescan_s=0.2))
    path = bench.folder / "link.wav"
    target = bench.apart / "target.wav"
    target.write_bytes(wav())
    path.symlink_to(target)
    bench.expect(path)
    target.write_bytes(wav(200))
    until(lambda: bench.diary.count(path) == 2, "the change behind the link is found")


def test_an_intake_that_fails_is_asked_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.diary.failures = 1
    trigger = bench.trigger()
    path = bench.folder / "take.wav"
    path.write_bytes(wav())
    bench.expect(path)
    assert "the journal is busy" in caplog.text
    assert trigger.alive()
    assert trigger.status()["problem"] == ""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root can read everything")
def test_what_cannot_be_read_does_not_disturb(bench: Bench) -> None:
    closed = bench.folder / "closed"
    closed.mkdir()
    closed.chmod(0)
    trigger = bench.trigger()
    locked = bench.folder / "locked.wav"
    locked.write_bytes(wav())
    locked.chmod(0)
    bench.expect()
    assert "cannot be read" in trigger.status()["problem"]
    closed.chmod(0o755)
    locked.chmod(0o644)
    bench.expect(locked)


@pytest.mark.slow
def test_an_unreadable_event_leads_to_a_scan(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    trigger = bench.trigger()
    observer = trigger._watch._observer
    assert observer is not None
    (handlers,) = observer._handlers.values()
    (handler,) = handlers
    scanned_at = trigger.status()["last_scan_at"]
    handler.dispatch(FileCreatedEvent(src_path=None))  # type: ignore[arg-type]
    until(lambda: trigger.status()["last_scan_at"] > scanned_at, "there was a scan")
    assert "could not be read" in caplog.text


def test_the_request_says_what_the_settings_say(bench: Bench) -> None:
    bench.trigger(preset="stems", private=True, project_folder=bench.apart)
    path = bench.folder / "take.wav"
    before = time.time()
    path.write_bytes(wav())
    bench.expect(path)
    request = bench.diary.accepted[0]
    assert (request.preset, request.private, request.project_folder) == ("stems", True, bench.apart)
    assert (request.trigger, request.priority) == ("folder", Priority.FOLDER)
    assert (request.watched_folder, request.warnings) == (bench.folder, ())
    assert request.fingerprint == Fingerprint.of(path)
    assert before - 0.1 <= request.closed_at <= time.time()


@pytest.mark.slow
def test_results_lie_beside_the_bounce_or_in_the_default_folder(bench: Bench) -> None:
    bench.trigger()
    path = bench.folder / "session" / "take.wav"
    path.parent.mkdir()
    path.write_bytes(wav())
    bench.expect(path)
    assert bench.diary.accepted[0].project_folder == path.parent
    bench.stop()
    diary = Diary(visited={bench.folder})
    trigger = FolderTrigger(
        WatchedFolder(path=bench.folder, settle_s=SETTLE_S),
        diary,
        clock=SystemClock(),
        default_project_folder=bench.apart,
        timing=QUICK,
    )
    bench.triggers.append(trigger)
    trigger.start()
    until(lambda: diary.count(path), "it is found again")
    assert diary.accepted[0].project_folder == bench.apart


def test_status_and_life(bench: Bench) -> None:
    trigger = bench.trigger(start=False)
    assert not trigger.alive()
    assert trigger.status()["state"] == STOPPED
    trigger.stop()
    trigger.start()
    trigger._thread.join(5.0)
    assert trigger.status() == {
        "folder": str(bench.folder),
        "state": STOPPED,
        "last_scan_at": None,
        "candidates": 0,
        "problem": "",
    }


@pytest.mark.slow
def test_two_triggers_beside_each_other(bench: Bench) -> None:
    other = bench.apart / "other"
    other.mkdir()
    bench.trigger()
    bench.trigger(path=other)
    paths = [bench.folder / "a.wav", other / "b.wav"]
    for path in paths:
        path.write_bytes(wav())
    bench.expect(*paths)


def test_the_times_from_close_to_the_intake(bench: Bench) -> None:
    bench.trigger(settle_s=0.2)
    path = bench.folder / "take.wav"
    with path.open("wb") as file:
        file.write(wav(48000))
    closed_s = time.monotonic()
    bench.expect(path)
    assert bench.diary.at_s("speculate", path) - closed_s < 0.3
    assert 0.19 < bench.diary.at_s("accept", path) - closed_s < 0.2 + 0.3


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(time, "pthread_getcpuclockid"), reason="no processor time of single threads")
def test_an_idle_trigger_costs_next_to_nothing(bench: Bench) -> None:
    trigger = bench.trigger(timing=replace(PATIENT, presence_s=2.0))
    assert trigger._thread.ident is not None
    clock = time.pthread_getcpuclockid(trigger._thread.ident)
    before_s = time.clock_gettime(clock)
    threading.Event().wait(3.0)
    assert time.clock_gettime(clock) - before_s < 0.01 * 3.0


def ten_thousand(folder: Path, count: int = 10_000) -> set[Path]:
    data = wav(10)
    paths = {folder / f"{number % 10}" / f"take {number}.wav" for number in range(count)}
    for path in paths:
        path.parent.mkdir(exist_ok=True)
    for path in sorted(paths):
        path.write_bytes(data)
    return paths


@pytest.mark.slow
def test_ten_thousand_files_at_once_each_once(bench: Bench) -> None:
    bench.trigger(settle_s=0.4, timing=replace(QUICK, stable_s=2.0))
    paths = ten_thousand(bench.folder)
    until(lambda: len(bench.diary.accepted) >= len(paths), "all are accepted", deadline_s=60)
    bench.barrier()
    assert bench.found() == paths
    assert len(bench.diary.accepted) == len(paths) + bench.sentinels


@pytest.mark.slow
def test_a_queue_that_overflows_loses_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """21,000 events in one go are more than the system's queue holds: watchdog's reader is held meanwhile."""
    for number in range(10):
        (bench.folder / f"{number}").mkdir()
    trigger = bench.trigger(timing=replace(QUICK, stable_s=1.0))
    observer = trigger._watch._observer
    reader = getattr(observer, "_inotify_fd", None)
    if reader is None:
        pytest.skip("no inotify here")
    with reader._lock:
        paths = ten_thousand(bench.folder, 7000)
    until(lambda: len(bench.diary.accepted) >= len(paths), "all are accepted", deadline_s=60)
    bench.barrier()
    assert "overflowed" in caplog.text
    assert bench.found() == paths
    assert len(bench.diary.accepted) == len(paths) + bench.sentinels
