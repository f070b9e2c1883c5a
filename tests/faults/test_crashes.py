"""Power cuts at named points, and kill -9 at any moment: each bounce has exactly one result afterwards.

No two names begin alike up to a space: such files of equal length are parts of one export, thus one job.
"""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bridge.crash_points import POINTS
from bridge.jobs.model import JobState
from support.bridge_process import BridgeProcess
from support.polling import eventually
from support.tones import write_tone

ROUNDS = int(os.environ.get("BRIDGE_FAULT_ROUNDS", "0"))
"""More than 0 in scripts/prove.py: each point 20 times, and so many kills."""

SAMPLE = (
    "job-after-create",
    "submit-after-intent",
    "cache-before-rename",
    "delivery-temp-half",
    "delivery-after-rename",
)
LOCAL_POINTS = [point for point in POINTS if not point.startswith("post-")]
CRASHES = (
    [(point, n) for point in LOCAL_POINTS for n in range(20)] if ROUNDS else [(point, 0) for point in SAMPLE]
)

MakeBridge = Callable[..., BridgeProcess]


@pytest.fixture
def make_bridge(tmp_path: Path, models_folder: Path) -> Iterator[MakeBridge]:
    made: list[BridgeProcess] = []

    def make(name: str = "bridge", **options: object) -> BridgeProcess:
        made.append(BridgeProcess(tmp_path / name, models_folder, **options))  # type: ignore[arg-type]  # as given
        return made[-1]

    yield make
    for bridge in made:
        bridge.close()


def _expected(names: list[str]) -> list[str]:
    return sorted([f"{name}.bridge.json" for name in names] + [f"{name}_midi.mid" for name in names])


@pytest.mark.slow
@pytest.mark.parametrize(("point", "number"), CRASHES)
def test_a_crash_at_a_named_point(make_bridge: MakeBridge, point: str, number: int) -> None:
    bridge = make_bridge()
    write_tone(bridge.watched / "loop.wav", hertz=220.0 + number)
    bridge.start(BRIDGE_CRASH_AT=point)
    assert bridge.wait_for_end() == 137, f"the point {point} was never reached"
    bridge.start()
    details = bridge.settled(1)
    assert [detail.job.state for detail in details] == [JobState.DONE]
    assert bridge.delivered() == _expected(["loop"])


@pytest.mark.slow
def test_kill_9_of_the_daemon_in_a_stream_of_bounces(make_bridge: MakeBridge) -> None:
    chance = random.Random(20261123)
    bridge = make_bridge()
    names: list[str] = []
    for kill in range(ROUNDS or 5):
        bridge.start()
        child = psutil.Process(bridge.pid)
        for _ in range(2):
            names.append(f"{len(names)}take")
            write_tone(bridge.watched / f"{names[-1]}.wav", hertz=100.0 + len(names), seconds=0.5)
        # Somewhere between "just noticed" and "all delivered": counted in events, not in seconds.
        goal = _events(bridge) + chance.randrange(1, 20)
        eventually(
            lambda goal=goal: _events(bridge) >= goal or _is_quiet(bridge, len(names)),  # type: ignore[misc]
            what=f"the moment of kill {kill}",
        )
        workers = child.children(recursive=True)
        bridge.kill()
        _, alive = psutil.wait_procs(workers, timeout=20)
        assert not alive, "an engine process outlived its daemon"
    bridge.start()
    details = bridge.settled(len(names), deadline_s=120)
    assert [detail.job.state for detail in details] == [JobState.DONE] * len(names)
    assert bridge.delivered() == _expected(names)


def _events(bridge: BridgeProcess) -> int:
    views = bridge.views()
    try:
        return views.last_event_id()
    finally:
        views._db.close()


def _is_quiet(bridge: BridgeProcess, count: int) -> bool:
    details = bridge.details()
    return len(details) >= count and all(detail.job.state is JobState.DONE for detail in details)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="kill -9 is a POSIX signal")
def test_kill_9_of_the_engine_in_mid_conversion(make_bridge: MakeBridge) -> None:
    bridge = make_bridge()
    bridge.start()
    for number in range(ROUNDS or 2):
        write_tone(bridge.watched / f"{number}long.wav", seconds=20.0, hertz=150.0 + number)
        eventually(lambda n=number: _is_converting(bridge, n), what="the engine to work")  # type: ignore[misc]
        for engine in psutil.Process(bridge.pid).children(recursive=True):
            engine.send_signal(signal.SIGKILL)
        bridge.settled(number + 1)
    assert {detail.job.state for detail in bridge.details()} == {JobState.DONE}
    assert bridge.delivered() == _expected([f"{number}long" for number in range(ROUNDS or 2)])


def _is_converting(bridge: BridgeProcess, number: int) -> bool:
    return any(
        detail.job.bounce == f"{number}long" and detail.job.state is JobState.RUNNING
        for detail in bridge.details()
    )
