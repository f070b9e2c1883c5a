"""What the hands left: the preset at hand and the results in slots. Kept in a small file over restarts."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.actions import DEFAULT_PRESET

log = logging.getLogger(__name__)

FILE_NAME = "surface.json"


class Memory:
    """May be used from any thread. A file that cannot be read or written costs the memory, nothing else."""

    def __init__(self, home: Path) -> None:
        self._path = home / FILE_NAME
        self._lock = threading.Lock()
        kept = self._read()
        preset, slots = kept.get("preset"), kept.get("slots")
        self._preset = preset if isinstance(preset, str) and preset else DEFAULT_PRESET
        self._slots = _slots_of(slots)

    @property
    def preset(self) -> str:
        return self._preset

    @property
    def slots(self) -> Mapping[int, int]:
        with self._lock:
            return dict(self._slots)

    def select(self, preset: str) -> None:
        with self._lock:
            self._preset = preset
            self._write()

    def put(self, slot: int, job: int | None) -> None:
        with self._lock:
            if job is None:
                self._slots.pop(slot, None)
            else:
                self._slots[slot] = job
            self._write()

    def _read(self) -> Mapping[str, Any]:
        try:
            kept = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return kept if isinstance(kept, dict) else {}

    def _write(self) -> None:
        text = json.dumps({"preset": self._preset, "slots": self._slots})
        part = self._path.with_suffix(".part")
        try:
            part.write_text(text, encoding="utf-8")
            part.replace(self._path)
        except OSError as error:
            log.warning("%s cannot be written, so it is forgotten at the next start: %s", self._path, error)


def _slots_of(kept: object) -> dict[int, int]:
    if not isinstance(kept, dict):
        return {}
    return {int(slot): job for slot, job in kept.items() if str(slot).isdigit() and isinstance(job, int)}
