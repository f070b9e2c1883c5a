"""A bridge for actions, with a real journal and real presets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bridge.jobs.model import JobRequest
from bridge.jobs.quoting import QuotedStep
from bridge.jobs.records import ConversionRecord
from bridge.jobs.sending import Fate
from bridge.jobs.store import Journal
from bridge.presets import PresetShelf
from bridge.testing import ManualClock
from support.journals import PRESET, planned, source_of
from support.surface import NotingSurface


class Desk:
    """A bridge with a real journal and real presets that notes what it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.journal = Journal(folder / "journal.sqlite3", clock=ManualClock())
        self.presets = PresetShelf(folder / "presets")
        self.requests: list[JobRequest] = []
        self.asked: list[tuple[str, int]] = []
        self.unpriced: list[QuotedStep] = []
        self.surface = NotingSurface()
        self.rests = False
        self.notes: dict[int, dict[str, str]] = {}
        """For each job what can be played of it: role and word."""
        self.played: list[tuple[int, str, Mapping[str, Any]]] = []

    def submit(self, request: JobRequest) -> int:
        self.requests.append(request)
        data = PRESET.model_dump(by_alias=True)
        return self.journal.create_job(request, data, source_of(request.source), [planned()])

    def project_folder_of(self, source: Path) -> Path:
        return source.parent / "project"

    def is_private(self, source: Path) -> bool:
        return source.parent.name == "private"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def project_folder_of_texts(self) -> Path:
        return self.folder / "texts"

    def quotes(self, request: JobRequest) -> list[QuotedStep]:
        self.requests.append(request)
        return [QuotedStep("one", "denoise", "musicgpt", 1, 0.03, "", consent=True), *self.unpriced]

    def cancel(self, job_id: int) -> list[ConversionRecord]:
        self.asked.append(("cancel", job_id))
        return []

    def retry(self, job_id: int, *, pay: bool = False) -> None:
        self.asked.append(("retry and pay" if pay else "retry", job_id))

    def resolve(self, job_id: int, fate: Fate, *, task: str = "", of: str = "") -> None:
        self.asked.append((f"{fate} {task} {of}".strip(), job_id))

    def allow_upload(self, folder: Path) -> int:
        self.asked.append((f"allow {folder.name}", 0))
        return 2

    def rescan(self) -> None:
        self.asked.append(("rescan", 0))

    def pause(self, *, on: bool | None) -> bool:
        self.rests = not self.rests if on is None else on
        return self.rests

    def play(self, job_id: int, role: str, how: Mapping[str, Any]) -> Mapping[str, str]:
        found = {name: word for name, word in self.notes.get(job_id, {}).items() if role in ("", name)}
        if found:
            self.played.append((job_id, role, how))
        return {f"{job_id}/{name}": word for name, word in found.items()}
