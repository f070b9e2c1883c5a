"""What tests of converters share: one engine process, as starting one takes longer than most of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bridge.engine.worker import Worker, WorkerOptions, spawn


@pytest.fixture(scope="session")
def shared_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """For tests that neither cancel what runs nor kill the process: the next ones need it, too."""
    log_file = tmp_path_factory.mktemp("engine") / "engine.log"
    # Its thread starts here, so that it is no test's own.
    worker = Worker("shared", WorkerOptions(log_file=log_file), process=spawn(log_file))
    yield worker
    worker.stop()
