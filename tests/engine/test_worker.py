"""The contract of `Worker`, tried on real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bridge.child_process import MAX_LOG_BYTES
from bridge.engine.worker import LANES, Worker, WorkerOptions
from bridge.errors import (
    AudioError,
    BridgeError,
    Cancelled,
    TryLater,
    WorkerDied,
    WorkerError,
    WorkerOutOfMemory,
)
from support.polling import eventually

TESTS = Path(__file__).parents[1]
WAIT_S = 30.0

MakeWorker = Callable[..., Worker]


@pytest.fixture
def make_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[MakeWorker]:
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    made: list[Worker] = []

    def make(**options: object) -> Worker:
        settings = WorkerOptions(log_file=tmp_path / "engine.log", **options)  # type: ignore[arg-type]  # as given
        made.append(Worker("test", settings, module="support.worker_tasks"))
        return made[-1]

    yield make
    for worker in made:
        worker.stop()


def test_work_goes_in_and_its_result_comes_out(make_worker: MakeWorker) -> None:
    worker = make_worker(threads=3)
    result = worker.call("echo", {"say": "grüße 🎹\n"}).future.result(WAIT_S)
    assert result["said"] == "grüße 🎹\n"
    assert result["threads"] == 3
    assert result["pid"] == worker.pid() != os.getpid()


def test_one_process_serves_many_calls(make_worker: MakeWorker) -> None:
    worker = make_worker()
    pids = {worker.call("echo", {"say": n}).future.result(WAIT_S)["pid"] for n in range(5)}
    assert len(pids) == 1


def test_progress_arrives_in_order(make_worker: MakeWorker) -> None:
    told: list[tuple[float, str]] = []
    call = make_worker().call(
        "steps", {"count": 4, "each_s": 0.15}, on_progress=lambda *how_far: told.append(how_far)
    )
    assert call.future.result(WAIT_S) == "through"
    assert told == sorted(told)
    assert (0.75, "step 3") in told


def test_a_known_error_crosses_the_pipe_whole(make_worker: MakeWorker) -> None:
    with pytest.raises(AudioError) as caught:
        make_worker().call("refuse", {}).future.result(WAIT_S)
    assert caught.value.to_json() == {
        "code": "audio",
        "message": "no audio.",
        "remedy": "Bounce it again.",
        "file": "loop.wav",
    }


def test_an_unforeseen_error_is_told_and_the_process_lives_on(
    make_worker: MakeWorker, tmp_path: Path
) -> None:
    worker = make_worker()
    with pytest.raises(WorkerError, match="ZeroDivisionError: unforeseen"):
        worker.call("stumble", {}).future.result(WAIT_S)
    pid = worker.pid()
    assert worker.call("echo", {"say": 1}).future.result(WAIT_S)["pid"] == pid
    assert "ZeroDivisionError" in (tmp_path / "engine.log").read_text(encoding="utf-8")


def test_what_libraries_print_does_not_disturb_the_pipe(make_worker: MakeWorker, tmp_path: Path) -> None:
    assert make_worker().call("chatty", {}).future.result(WAIT_S) == "still understood"
    log = (tmp_path / "engine.log").read_text(encoding="utf-8")
    assert "a library talks" in log
    assert "so does its child" in log


def test_cancelling_what_has_not_begun_is_immediate(make_worker: MakeWorker) -> None:
    worker = make_worker()
    first = worker.call("until_cancelled", {})
    second = worker.call("echo", {"say": "never"})
    worker.cancel(second)
    assert isinstance(second.future.exception(0), Cancelled)
    worker.cancel(first)
    assert isinstance(first.future.exception(WAIT_S), Cancelled)


def test_a_cooperative_cancel_leaves_the_process_alive(make_worker: MakeWorker) -> None:
    worker = make_worker()
    begun = threading.Event()
    call = worker.call("until_cancelled", {}, on_progress=lambda *_: begun.set())
    assert begun.wait(WAIT_S)
    pid = worker.pid()
    worker.cancel(call)
    assert isinstance(call.future.exception(WAIT_S), Cancelled)
    assert worker.call("echo", {"say": 1}).future.result(WAIT_S)["pid"] == pid


@pytest.mark.slow
def test_work_that_does_not_listen_is_killed_and_the_next_call_gets_a_new_process(
    make_worker: MakeWorker,
) -> None:
    worker = make_worker()
    begun = threading.Event()
    call = worker.call("deaf", {}, on_progress=lambda *_: begun.set())
    assert begun.wait(WAIT_S)
    pid = worker.pid()
    worker.cancel(call)
    assert isinstance(call.future.exception(WAIT_S), Cancelled)
    assert worker.call("echo", {"say": 1}).future.result(WAIT_S)["pid"] != pid


def test_paused_work_rests_and_goes_on_and_looks_do_not_wait(make_worker: MakeWorker) -> None:
    worker = make_worker()
    told: list[str] = []
    call = worker.call(
        "steps", {"count": 100, "each_s": 0.02}, on_progress=lambda _, doing: told.append(doing)
    )
    eventually(lambda: told, what="the work to begin")
    worker.pause(on=True)
    eventually(lambda: "paused" in told, what="the work to rest")
    count = len([one for one in told if one != "paused"])
    assert worker.call("echo", {"say": "look"}, lane="quick").future.result(WAIT_S)["said"] == "look"
    eventually(lambda: told.count("paused") >= 2, what="it to rest for a while")
    assert len([one for one in told if one != "paused"]) == count
    worker.pause(on=False)
    assert call.future.result(WAIT_S) == "through"
    assert len([one for one in told if one != "paused"]) > count


def test_paused_work_can_be_cancelled_and_a_new_process_rests_too(make_worker: MakeWorker) -> None:
    worker = make_worker()
    worker.pause(on=True)
    told: list[str] = []
    call = worker.call("steps", {"count": 2, "each_s": 0.0}, on_progress=lambda _, doing: told.append(doing))
    eventually(lambda: "paused" in told, what="the work to rest")
    worker.cancel(call)
    with pytest.raises(Cancelled):
        call.future.result(WAIT_S)
    assert worker.alive(), "it has listened, also while it rested"


def test_a_process_that_dies_fails_its_call_and_no_other(make_worker: MakeWorker) -> None:
    worker = make_worker()
    lost = worker.call("die", {})
    waiting = worker.call("echo", {"say": "I come next"})
    assert isinstance(lost.future.exception(WAIT_S), WorkerDied)
    assert waiting.future.result(WAIT_S)["said"] == "I come next"


def test_a_crash_shows_until_the_next_start(make_worker: MakeWorker) -> None:
    worker = make_worker()
    assert not worker.crashed()
    assert isinstance(worker.call("die", {}).future.exception(WAIT_S), WorkerDied)
    eventually(worker.crashed, what="the crash to be noticed")
    worker.call("echo", {"say": 1}).future.result(WAIT_S)
    assert not worker.crashed()


@pytest.mark.slow
def test_memory_beyond_the_cap_ends_the_work_in_plain_words(make_worker: MakeWorker) -> None:
    worker = make_worker(memory_mb=96)
    with pytest.raises(WorkerOutOfMemory, match="more than 96 MB"):
        worker.call("grow", {}).future.result(WAIT_S)
    assert worker.call("echo", {"say": "on"}).future.result(WAIT_S)["said"] == "on"


def test_a_memory_error_is_told_as_such(make_worker: MakeWorker) -> None:
    with pytest.raises(WorkerOutOfMemory):
        make_worker().call("no_memory", {}).future.result(WAIT_S)


@pytest.mark.slow
def test_an_idle_process_leaves_and_that_is_no_crash(make_worker: MakeWorker) -> None:
    worker = make_worker(idle_exit_s=0.1)
    pid = worker.call("echo", {"say": 1}).future.result(WAIT_S)["pid"]
    eventually(lambda: not worker.alive(), what="the idle process to leave")
    assert not worker.crashed()
    assert worker.call("echo", {"say": 2}).future.result(WAIT_S)["pid"] != pid


def test_work_that_is_handed_to_a_process_as_it_leaves_is_done_by_the_next(
    make_worker: MakeWorker, tmp_path: Path
) -> None:
    worker = make_worker()
    assert worker.call("leave_once", {"marker": str(tmp_path / "left")}).future.result(WAIT_S) == "done"
    assert not worker.crashed()


def test_a_quick_look_does_not_wait_for_long_work(make_worker: MakeWorker) -> None:
    worker = make_worker()
    begun = threading.Event()
    long = worker.call("until_cancelled", {}, on_progress=lambda *_: begun.set())
    assert begun.wait(WAIT_S)
    assert worker.call("echo", {"say": "quick"}, lane="quick").future.result(WAIT_S)["said"] == "quick"
    assert not long.future.done()
    worker.cancel(long)
    long.future.exception(WAIT_S)


def test_the_newest_work_goes_first(make_worker: MakeWorker) -> None:
    worker = make_worker()
    order: list[str] = []
    first = worker.call("until_cancelled", {})
    calls = [worker.call("echo", {"say": name}) for name in ("old", "newer", "newest")]
    for call in calls:
        call.future.add_done_callback(lambda done: order.append(done.result()["said"]))
    worker.cancel(first)
    for call in calls:
        call.future.result(WAIT_S)
    eventually(lambda: len(order) == 3, what="all three to be told")
    assert order == ["newest", "newer", "old"]


def test_stop_ends_everything_at_once(make_worker: MakeWorker) -> None:
    worker = make_worker()
    running = worker.call("deaf", {})
    waiting = worker.call("echo", {"say": 1})
    pid = eventually(worker.pid, what="the process to start")
    worker.stop()
    assert not psutil.pid_exists(pid)
    for call in (running, waiting, worker.call("echo", {"say": 2})):
        assert isinstance(call.future.exception(WAIT_S), BridgeError)


@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX signal")
@pytest.mark.slow
def test_the_process_does_not_outlive_a_killed_parent(make_worker: MakeWorker, tmp_path: Path) -> None:
    # The parent is a process of its own: it starts a busy worker, tells the pid, and is killed.
    parent = subprocess.Popen(
        [sys.executable, "-m", "support.worker_parent"], stdout=subprocess.PIPE, env={**os.environ}
    )
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    gone, _ = psutil.wait_procs([child], timeout=WAIT_S)
    assert gone


def test_it_runs_at_low_priority(make_worker: MakeWorker) -> None:
    worker = make_worker(low_priority=True)
    worker.call("echo", {"say": 1}).future.result(WAIT_S)
    pid = worker.pid()
    assert pid is not None
    expected = getattr(psutil, "IDLE_PRIORITY_CLASS", 19)
    assert psutil.Process(pid).nice() == expected


@pytest.mark.slow
def test_a_thousand_small_calls_all_come_back(make_worker: MakeWorker) -> None:
    worker = make_worker()
    began = time.monotonic()
    calls = [worker.call("echo", {"say": n}, lane="quick") for n in range(1000)]
    assert [call.future.result(WAIT_S)["said"] for call in calls] == list(range(1000))
    assert time.monotonic() - began < WAIT_S


def test_an_engine_that_cannot_be_started_fails_its_calls_and_is_tried_again(
    make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker()
    good = sys.executable
    monkeypatch.setattr(sys, "executable", str(TESTS / "no such python"))
    for lane in LANES:
        error = worker.call("echo", {"say": 1}, lane=lane).future.exception(WAIT_S)
        assert isinstance(error, WorkerDied)
        assert "cannot be started" in error.message
    assert worker.crashed(), "the supervisor starts it again"
    monkeypatch.setattr(sys, "executable", good)
    for lane in LANES:
        assert worker.call("echo", {"say": 2}, lane=lane).future.result(WAIT_S)["said"] == 2
    assert not worker.crashed()


def test_a_log_that_cannot_be_written_does_not_keep_the_engine_from_working(
    make_worker: MakeWorker, tmp_path: Path
) -> None:
    (tmp_path / "engine.log").mkdir()
    assert make_worker().call("echo", {"say": 1}).future.result(WAIT_S)["said"] == 1


def test_the_log_does_not_grow_for_ever(make_worker: MakeWorker, tmp_path: Path) -> None:
    log = tmp_path / "engine.log"
    log.write_bytes(b"x" * (MAX_LOG_BYTES + 1))
    make_worker().call("echo", {"say": 1}).future.result(WAIT_S)
    assert log.stat().st_size < MAX_LOG_BYTES
    assert (tmp_path / "engine.log.1").stat().st_size > MAX_LOG_BYTES


def test_a_disk_that_is_full_is_waited_for(make_worker: MakeWorker) -> None:
    error = make_worker().call("no_room", {}).future.exception(WAIT_S)
    assert isinstance(error, TryLater)
    assert "disk is full" in error.message
