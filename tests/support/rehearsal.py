"""The rehearsal server for tests: in this process, or as `bridge serve --rehearse` in one of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import requests

from bridge.answerers import serving
from bridge.server.compatible import Options
from support.polling import eventually

KEY = "rehearse"
TIMEOUT_S = 30.0
READY_WITHIN_S = 20.0


class Rehearsal:
    """A server that runs, as a client and as whoever counts sees it."""

    def __init__(self, address: str, key: str = KEY) -> None:
        self.address = address
        self.base_url = f"{address}/api/public"
        self.key = key

    def environment(self) -> dict[str, str]:
        """What makes a bridge in another process use this server."""
        return {"BRIDGE_MUSICGPT_BASE_URL": self.base_url, "MUSICGPT_API_KEY": self.key}

    # As a client

    def post(self, path: str, **how: Any) -> requests.Response:
        return self._ask("POST", path, **how)

    def get(self, path: str, **how: Any) -> requests.Response:
        return self._ask("GET", path, **how)

    def _ask(self, method: str, path: str, **how: Any) -> requests.Response:
        headers = {"Authorization": self.key, **how.pop("headers", {})}
        return requests.request(
            method, self.base_url + path, headers=headers, timeout=TIMEOUT_S, allow_redirects=False, **how
        )

    def conversion(self, conversion_type: str, task_id: str) -> dict[str, Any]:
        """What byId says now."""
        asked = {"conversionType": conversion_type, "task_id": task_id}
        return cast("dict[str, Any]", self.get("/v1/byId", params=asked).json()["conversion"])

    def ended(self, conversion_type: str, task_id: str) -> dict[str, Any]:
        """What byId says once the task is over. It counts as many calls as it takes."""

        def look() -> dict[str, Any] | None:
            said = self.conversion(conversion_type, task_id)
            return None if said["status"] in ("IN_QUEUE", "IN_PROGRESS") else said

        return eventually(look, what=f"task {task_id}", every_s=0.04)

    # As whoever counts

    def ledger(self) -> dict[str, Any]:
        answer = requests.get(f"{self.address}/rehearsal/ledger", timeout=TIMEOUT_S)
        return cast("dict[str, Any]", answer.json())

    def accepted(self) -> list[dict[str, Any]]:
        """The requests that became tasks, in order."""
        return [one for one in self.ledger()["submissions"] if one["task_id"]]

    def fault(self, *faults: str | Mapping[str, Any]) -> None:
        """What shall go wrong next: `fault("lost_answer", "status=503 route=/v1/byId times=2")`."""
        answer = requests.post(f"{self.address}/rehearsal/faults", json=list(faults), timeout=TIMEOUT_S)
        assert answer.ok, answer.text

    def reset(self) -> None:
        """As if it had just been started."""
        assert requests.post(f"{self.address}/rehearsal/reset", timeout=TIMEOUT_S).ok


@contextmanager
def rehearsing(models: Path, *, rehearse: bool = True, **options: Any) -> Iterator[Rehearsal]:
    """A server in this process, on a free port. `options` are those of `bridge.server.compatible.Options`."""
    with serving(Options(**{"pace_s": 0.05, **options}), models, rehearse=rehearse) as server:
        yield Rehearsal(server.address, next(iter(options.get("keys", {})), KEY))


@contextmanager
def rehearsing_beside(home: Path, *arguments: str) -> Iterator[Rehearsal]:
    """`bridge serve --rehearse` in a process of its own, which ends with the context."""
    command = [sys.executable, "-m", "bridge", "serve", "--rehearse", "--json", *arguments]
    process = subprocess.Popen(
        command,
        env={**os.environ, "BRIDGE_HOME": str(home), "PYTHONIOENCODING": "utf-8"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    try:
        yield Rehearsal(_facts(process)["address"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_WITHIN_S)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _facts(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it prints when it is ready: one JSON object over several lines."""
    assert process.stdout is not None
    text = ""
    for line in process.stdout:
        text += line
        if line.startswith("}"):
            return cast("dict[str, Any]", json.loads(text))
    raise AssertionError(f"the server ended with {process.wait()}: {text}")
