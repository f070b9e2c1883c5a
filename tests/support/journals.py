"""Journals and jobs for tests: real SQLite files, a manual clock, requests with little to say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.jobs.cache import Cache
from bridge.jobs.clearance import SendingRules
from bridge.jobs.conversion_steps import ConversionSteps
from bridge.jobs.events import EventFeed
from bridge.jobs.model import (
    ConversionState,
    Fingerprint,
    JobRequest,
    JobState,
    PlannedConversion,
    Priority,
    Source,
)
from bridge.jobs.records import ConversionRecord, JobDetail
from bridge.jobs.runner import Runner
from bridge.jobs.store import Journal
from bridge.presets import Preset
from bridge.testing import FakeConverter, ManualClock
from support.polling import eventually

ANYTHING_GOES = SendingRules(may_upload=lambda _source: "always")
"""Rules of somebody who never wants to be asked."""

PRESET = Preset.model_validate(
    {
        "name": "test",
        "title": "Test",
        "steps": [{"name": "notes", "conversion": "audio_to_midi", "from": "source", "converter": "local"}],
    }
)


def request_of(path: Path, **changes: Any) -> JobRequest:
    """A request for `path`, which need not exist."""
    fields: dict[str, Any] = {
        "source": path,
        "fingerprint": Fingerprint(size=4, mtime_ns=5),
        "preset": "test",
        "project_folder": path.parent,
        "trigger": "test",
        "priority": Priority.FOLDER,
        **changes,
    }
    return JobRequest(**fields)


def source_of(path: Path, samples: str = "samples", *, frames: int = 48_000) -> Source:
    return Source(
        path=path,
        fingerprint=Fingerprint(size=4, mtime_ns=5),
        samples_sha256=samples,
        frames=frames,
        channels=2,
        rate_hz=48_000,
        duration_s=frames / 48_000,
    )


def planned(converter: str = "local", *, step: str = "notes", **parameters: Any) -> PlannedConversion:
    return PlannedConversion(step, "audio_to_midi", converter, parameters)


def add_job(
    journal: Journal,
    path: Path,
    *,
    samples: str = "samples",
    conversions: tuple[PlannedConversion, ...] = (planned(),),
    preset: Mapping[str, Any] | None = None,
    **changes: Any,
) -> int:
    """A job in the journal, with its conversions queued."""
    data = preset if preset is not None else PRESET.model_dump(by_alias=True)
    return journal.create_job(request_of(path, **changes), data, source_of(path, samples), conversions)


@dataclass
class Works:
    """A journal with a runner on fake converters; nothing is delivered but noted."""

    folder: Path
    clock: ManualClock
    converters: dict[str, FakeConverter]
    delivered: list[int] = field(default_factory=list)
    rules: SendingRules = ANYTHING_GOES

    def __post_init__(self) -> None:
        self.journal = Journal(self.folder / "journal.sqlite3", clock=self.clock)
        self.cache = Cache(self.folder / "cache")
        self.feed = EventFeed(self.journal, self.clock)
        self.steps = ConversionSteps(
            self.journal, self.cache, self.converters, self.feed, self.clock, self.rules
        )
        self.runner = Runner(
            self.journal, self.steps, self.converters, lambda row: self.delivered.append(row.id), self.clock
        )

    def stop(self) -> None:
        self.runner.stop()
        self.journal.close()


MakeWorks = Callable[..., Works]


def job_in(works: Works, job_id: int, *states: JobState) -> JobDetail:
    """The job, once it is in one of these states."""

    def look() -> JobDetail | None:
        detail = works.journal.detail(job_id)
        return detail if detail and detail.job.state in states else None

    return eventually(look, what=f"job {job_id} in {states}")


def row_in(works: Works, job_id: int, state: ConversionState) -> ConversionRecord:
    """The first conversion of a job that is in this state, once there is one."""

    def look() -> ConversionRecord | None:
        detail = works.journal.detail(job_id)
        return next((row for row in detail.conversions if row.state is state), None) if detail else None

    return eventually(look, what=f"a conversion of job {job_id} in {state}")
