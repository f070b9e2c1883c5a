"""Power cuts, kill -9 and lost answers around requests that cost money, against a server that counts.

Nothing is ever submitted twice. What nobody can know is UNKNOWN; resolved with the ticket that the server's
ledger has, no result is missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridge.jobs.model import ConversionState, JobState
from bridge.jobs.records import JobDetail
from support.bridge_process import BridgeProcess
from support.polling import eventually
from support.rehearsal import Rehearsal, rehearsing
from support.tones import write_tone

ROUNDS = int(os.environ.get("BRIDGE_FAULT_ROUNDS", "0"))
"""More than 0 in scripts/prove.py: each point 20 times, and two and a half times as many kills."""
KILLS = ROUNDS * 5 // 2

AROUND_A_POST = (
    "submit-before-intent",
    "submit-after-intent",
    "post-half-sent",
    "post-sent",
    "submit-after-call",
    "submit-after-ticket",
    "fetch-before",
    "fetch-after",
    "finish-before",
)
CRASHES = [(point, number) for point in AROUND_A_POST for number in range(20 if ROUNDS else 1)]
CONFIG = """
[musicgpt]
plan = "pro"
consent = "always"
cap_day_usd = 1000.0
cap_project_usd = 1000.0
"""
ENDED = (JobState.DONE, JobState.NEEDS_YOU)

MakeBridge = Callable[[], BridgeProcess]


@pytest.fixture
def rehearsal(models_folder: Path) -> Iterator[Rehearsal]:
    with rehearsing(models_folder) as server:
        yield server


@pytest.fixture
def bridge(tmp_path: Path, models_folder: Path) -> Iterator[BridgeProcess]:
    made = BridgeProcess(tmp_path / "bridge", models_folder, preset="@extract_key_bpm", more=CONFIG)
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.parametrize(("point", "number"), CRASHES)
def test_a_crash_around_a_post(rehearsal: Rehearsal, bridge: BridgeProcess, point: str, number: int) -> None:
    write_tone(bridge.watched / "loop.wav", hertz=220.0 + number, seconds=20.0)  # more than one block
    bridge.start(BRIDGE_CRASH_AT=point, **rehearsal.environment())
    assert bridge.wait_for_end() == 137, f"the point {point} was never reached"
    bridge.start(**rehearsal.environment())
    _settle(rehearsal, bridge, ["loop"])
    assert bridge.delivered() == ["loop.bridge.json", "loop_key_bpm.json"]


@pytest.mark.slow
def test_kill_9_in_a_stream_of_paid_bounces(rehearsal: Rehearsal, bridge: BridgeProcess) -> None:
    chance = random.Random(20261129)
    names: list[str] = []
    for _ in range(KILLS or 4):
        bridge.start(**rehearsal.environment())
        for _ in range(2):
            names.append(f"{len(names)}take")
            write_tone(bridge.watched / f"{names[-1]}.wav", hertz=100.0 + len(names), seconds=0.5)
        if chance.random() < 0.2:
            rehearsal.fault("lost_answer")
        goal = _events(bridge) + chance.randrange(1, 24)
        eventually(
            lambda goal=goal: _events(bridge) >= goal or _are_over(bridge, len(names)),  # type: ignore[misc]  # mypy and defaults of lambdas
            what="the moment of the kill",
        )
        bridge.kill()
    rehearsal.fault()
    bridge.start(**rehearsal.environment())
    _settle(rehearsal, bridge, names)
    expected = [f"{name}{end}" for name in names for end in (".bridge.json", "_key_bpm.json")]
    assert bridge.delivered() == sorted(expected)


def _settle(rehearsal: Rehearsal, bridge: BridgeProcess, names: list[str]) -> None:
    """Answers what nobody knows by what the server was sent; then all is done, and nothing was sent twice."""
    eventually(lambda: _are_over(bridge, len(names)), what="all jobs to end or to ask", deadline_s=120)
    resent = Counter[str]()
    for detail in bridge.details():
        sent = _sent(rehearsal, detail)
        if not any(one.state is ConversionState.UNKNOWN for one in detail.conversions):
            continue
        answer = ("--ticket", sent[0]) if sent else ("--resubmit",)
        resent[_sha256(detail)] += not sent
        _bridge(bridge, "resolve", str(detail.job.id), *answer, **rehearsal.environment())
    details = bridge.settled(len(names), deadline_s=120)
    assert {detail.job.state for detail in details} == {JobState.DONE}
    assert len(details) == len(names)
    for detail in details:
        assert len(_sent(rehearsal, detail)) == 1, f"{detail.job.bounce} was submitted more than once"


def _sent(rehearsal: Rehearsal, detail: JobDetail) -> list[str]:
    """The tasks that the server made of this job's audio."""
    sha256 = _sha256(detail)
    return [one["task_id"] for one in rehearsal.accepted() if one["audio_sha256"] == sha256]


def _sha256(detail: JobDetail) -> str:
    return hashlib.sha256(detail.parts[0].path.read_bytes()).hexdigest()


def _bridge(bridge: BridgeProcess, *arguments: str, **environment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge", *arguments, "--json"],
        env={**os.environ, "BRIDGE_HOME": str(bridge.home), **environment},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr.decode()
    json.loads(done.stdout)


def _are_over(bridge: BridgeProcess, count: int) -> bool:
    details = bridge.details()
    return len(details) >= count and all(detail.job.state in ENDED for detail in details)


def _events(bridge: BridgeProcess) -> int:
    views = bridge.views()
    try:
        return views.last_event_id()
    finally:
        views._db.close()
