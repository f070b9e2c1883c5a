"""A process that has a busy engine process, tells its pid, and waits to be killed."""

from __future__ import annotations

import sys
import threading

from bridge.engine.worker import Worker, WorkerOptions

if __name__ == "__main__":
    worker = Worker("orphan", WorkerOptions(), module="support.worker_tasks")
    begun = threading.Event()
    worker.call("deaf", {}, on_progress=lambda *_: begun.set())
    begun.wait(30)
    sys.stdout.write(f"{worker.pid()}\n")
    sys.stdout.flush()
    threading.Event().wait(60)
