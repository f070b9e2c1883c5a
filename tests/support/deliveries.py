"""A real journal and delivery desk, with bounces whose conversions have just ended."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.delivery.desk import DeliveryDesk
from bridge.delivery.streaming import Streaming
from bridge.jobs import plan
from bridge.jobs.cache import Entry
from bridge.jobs.model import ConversionState, JobState
from bridge.jobs.records import DeliveryRecord
from bridge.jobs.store import Journal
from bridge.media.notes import NOTES_MEDIA_TYPE, Note, Transcription, transcription_to_json
from bridge.midi.messages import Play
from bridge.presets import Preset
from bridge.testing import ManualClock
from support.journals import planned, request_of, source_of

C = ConversionState
FINGERPRINT = {"engine": "1.2", "basic-pitch": "ab12"}


def preset_data(deliver: list[Mapping[str, Any]] | None = None, **changes: Any) -> dict[str, Any]:
    step = {"name": "notes", "conversion": "audio_to_midi"}
    data = {"name": "test", "title": "Test", "steps": [step], "deliver": deliver or [{"from": "notes"}]}
    return Preset.model_validate({**data, **changes}).model_dump(by_alias=True)


def _heard(pitch: int) -> Transcription:
    about = {"material": "solo", "why": "one note at a time"}
    return Transcription((Note(0.0, 0.5, pitch, 90, 0.9),), 1.0, about=about)


@dataclass
class Bench:
    """A real journal and desk; bounces whose conversions are done, deliveries that are due."""

    folder: Path
    clock: ManualClock = field(default_factory=ManualClock)
    settings_bpm: float | None = None
    fingerprint_error: Exception | None = None
    nobody_plays: str = ""

    def __post_init__(self) -> None:
        self.project = self.folder / "project"
        self.cache = self.folder / "cache"
        self.cache.mkdir()
        self.journal = Journal(self.folder / "journal.sqlite3", clock=self.clock)
        self.orders: list[Play] = []
        self.desk = self.new_desk()

    def new_desk(self) -> DeliveryDesk:
        """As after a restart."""
        return DeliveryDesk(
            self.journal,
            self.clock,
            settings_bpm=self.settings_bpm,
            fingerprint=self._fingerprint,
            streaming=Streaming(self.folder / "played", self._play),
        )

    def _play(self, order: Play) -> str:
        if not self.nobody_plays:
            self.orders.append(order)
        return self.nobody_plays

    def _fingerprint(self, converter: str, conversion: str) -> Mapping[str, str]:
        if self.fingerprint_error:
            raise self.fingerprint_error
        return FINGERPRINT

    def converted(
        self,
        name: str = "Loop_100bpm.wav",
        *,
        preset: Mapping[str, Any] | None = None,
        roles: tuple[str, ...] = ("midi",),
        pitch: int = 60,
    ) -> int:
        """A job whose one conversion has just ended; gives the job's id."""
        preset = preset or preset_data()
        job_id = self.begun(name, preset)
        self.ended(job_id, preset, roles=roles, pitch=pitch)
        return job_id

    def begun(
        self, name: str, preset: Mapping[str, Any], *, join: int | None = None, watched: Path | None = None
    ) -> int:
        """A job, or a further part of the job `join`, whose one conversion is still queued."""
        path = self.folder / name
        closed_at = self.clock.wall() - 1.0
        request = request_of(path, project_folder=self.project, closed_at=closed_at, watched_folder=watched)
        source, wanted = source_of(path), [planned(lowest_note=21)]
        return self.journal.create_job(request, preset, source, wanted, join=join)

    def ended(
        self, job_id: int, preset: Mapping[str, Any], *, roles: tuple[str, ...] = ("midi",), pitch: int = 60
    ) -> None:
        """The job's first conversion that is queued comes to its end."""
        detail = self.journal.detail(job_id)
        assert detail is not None
        conversion = next(one.id for one in detail.conversions if one.state is C.QUEUED)
        for before, after in ((C.QUEUED, C.SUBMITTING), (C.SUBMITTING, C.RUNNING), (C.RUNNING, C.FETCHING)):
            self.journal.move_conversion(conversion, before, after)
        self.journal.finish_conversion(
            conversion,
            C.FETCHING,
            [self._artifact(f"{conversion}-{role}", role, pitch) for role in roles],
            lambda placed: plan.from_artifacts(
                Preset.model_validate(preset), "notes", placed, {}, lambda _: "local"
            ),
        )

    def _artifact(self, name: str, role: str, pitch: int) -> Entry:
        notes = role == "midi"
        path = self.cache / f"{name}.{'json' if notes else 'wav'}"
        document = transcription_to_json(_heard(pitch))
        path.write_text(json.dumps(document) if notes else f"audio {role} {pitch}", encoding="utf-8")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return Entry(role, path, NOTES_MEDIA_TYPE if notes else "audio/wav", digest)

    def due(self) -> list[DeliveryRecord]:
        return self.journal.due_deliveries(self.clock.wall(), 100)

    def deliver_all(self) -> None:
        for _ in range(10):
            for delivery in self.due():
                self.desk.handle(delivery)

    def one(self, job_id: int, number: int = 0) -> DeliveryRecord:
        detail = self.journal.detail(job_id)
        assert detail is not None
        return detail.deliveries[number]

    def states(self, job_id: int) -> list[tuple[str, str]]:
        detail = self.journal.detail(job_id)
        assert detail is not None
        return [(one.kind, one.state) for one in detail.deliveries]

    def state(self, job_id: int) -> JobState:
        job = self.journal.job(job_id)
        assert job is not None
        return job.state

    def files(self) -> list[str]:
        found = (path for path in self.project.rglob("*") if path.is_file()) if self.project.exists() else ()
        return sorted(path.relative_to(self.project).as_posix() for path in found)
