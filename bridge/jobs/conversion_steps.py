"""What is done with a conversion in each state: one function a state, one table that names them.

What a converter's error means is a table too. A request whose fate is unknown is never sent again by itself,
unless the converter says that doing it twice costs nothing.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.conversions import catalogue
from bridge.converters.base import ConversionRequest, Converter, Ticket
from bridge.crash_points import reach
from bridge.errors import (
    BridgeError,
    Cancelled,
    ConverterError,
    NotSent,
    OutcomeUnknown,
    SameUnderWayError,
    StaleJobError,
    TicketLost,
    TryLater,
    WorkerDied,
)
from bridge.jobs import plan
from bridge.jobs.cache import Cache, Entry, cache_key
from bridge.jobs.events import EventFeed
from bridge.jobs.model import ConversionState, Fingerprint, JobRequest, PlannedConversion, Source
from bridge.jobs.records import ConversionRecord, JobRecord
from bridge.jobs.store import Journal
from bridge.presets import Preset, Step

C = ConversionState

MAX_ATTEMPTS = 3
FIRST_RETRY_S = 0.5
SAME_UNDER_WAY_S = 5.0
"""How soon a conversion looks again whether its twin has ended; it is also woken by that."""

TRY_AGAIN = (NotSent, TryLater, WorkerDied)
"""Errors after which the same request is made again, at most MAX_ATTEMPTS times (TryLater: without end)."""


class ConversionSteps:
    def __init__(
        self,
        journal: Journal,
        cache: Cache,
        converters: Mapping[str, Converter],
        feed: EventFeed,
        clock: Clock,
    ) -> None:
        self._journal = journal
        self._cache = cache
        self._converters = converters
        self._feed = feed
        self._clock = clock
        self._by_state: Mapping[ConversionState, Callable[[ConversionRecord], bool]] = {
            C.QUEUED: self._start,
            C.SUBMITTING: self._nobody_knows,
            C.RUNNING: self._poll,
            C.FETCHING: self._fetch,
            C.WAITING_RETRY: self._resume,
        }

    def advance(self, conversion: ConversionRecord) -> None:
        """Takes the conversion further until it has to wait for somebody. Raises StaleJobError."""
        going_on = True
        while going_on:
            current = self._journal.conversion(conversion.id)
            step = self._by_state.get(current.state)
            going_on = step(current) if step else False

    def take_up_after_restart(self) -> None:
        """Goes on where the last life ended: tickets are asked for at once, whatever was agreed on before.

        What was being submitted: nobody knows what became of it.
        """
        self._journal.ask_all_tickets_now()
        for conversion in self._journal.due_conversions(float("inf"), 1_000_000, states=(C.SUBMITTING,)):
            self._nobody_knows(conversion)

    # Choosing

    def choose_converter(self, step: Step, *, private: bool) -> str:
        """Who does this step: whom the preset names; else MusicGPT with a key, the local engine without.

        A private folder's audio never leaves the machine; a local draft is used only when it is named.
        """
        if step.converter != "auto":
            return step.converter
        quality = catalogue.conversion(step.conversion).quality
        for name in ("musicgpt", "local"):
            allowed = not (private and name != "local") and name in quality
            draft = name == "local" and quality.get(name) == "draft"
            converter = self._converters.get(name)
            if allowed and not draft and converter and self._can(converter, step.conversion):
                return name
        return "local"

    def _can(self, converter: Converter, conversion: str) -> bool:
        capability = converter.capabilities().get(conversion)
        return capability is not None and capability.available

    def plan_source(self, preset: Preset, request: JobRequest) -> list[PlannedConversion]:
        """The conversions that begin with the bounce itself."""
        return plan.from_source(
            preset, request.overrides, lambda step: self.choose_converter(step, private=request.private)
        )

    def request_for(self, planned: PlannedConversion, source: Source) -> ConversionRequest:
        """The request that `planned` will make for `source`. Raises ModelError where a model is missing."""
        converter = self._converters[planned.converter]
        return _request(planned, converter, source.path, source.samples_sha256, source.fingerprint)

    def is_cached(self, key: str) -> bool:
        return self._cache.lookup(key) is not None

    # One function a state: True means "go on at once"

    def _start(self, conversion: ConversionRecord) -> bool:
        converter = self._converters.get(conversion.converter)
        if converter is None:
            missing = ConverterError(
                f"there is no converter '{conversion.converter}' here.",
                remedy="`bridge doctor` tells what is missing.",
            )
            return self._fail(conversion, missing)
        try:
            request = _request(conversion, converter, *self._input(conversion))
        except (BridgeError, OSError) as error:
            known = error if isinstance(error, BridgeError) else ConverterError(f"{error}.")
            return self._fail(conversion, known)
        deterministic = catalogue.conversion(conversion.conversion).deterministic
        entries = self._cache.lookup(request.key) if deterministic else None
        if entries is not None:
            self._finish(conversion, entries, cached=1, cache_key=request.key)
            return False
        return self._submit(conversion, converter, request, deterministic=deterministic)

    def _submit(
        self,
        conversion: ConversionRecord,
        converter: Converter,
        request: ConversionRequest,
        *,
        deterministic: bool,
    ) -> bool:
        reach("submit-before-intent")
        try:
            self._journal.move_conversion(
                conversion.id,
                C.QUEUED,
                C.SUBMITTING,
                cache_key=request.key,
                deterministic=int(deterministic),
                started_at=self._clock.wall(),
            )
        except SameUnderWayError:
            look_again = self._clock.wall() + SAME_UNDER_WAY_S
            self._journal.postpone_conversion(conversion.id, request.key, look_again)
            return False
        reach("submit-after-intent")
        try:
            ticket = converter.submit(request)
        except OutcomeUnknown as error:
            self._journal.move_conversion(conversion.id, C.SUBMITTING, C.UNKNOWN, error=error)
            return False
        except BridgeError as error:
            return self._not_accepted(conversion, C.SUBMITTING, error, resume=C.QUEUED)
        except Exception:
            self._nobody_knows(conversion)  # so that it takes no place at the converter
            raise
        reach("submit-after-call")
        try:
            self._journal.move_conversion(conversion.id, C.SUBMITTING, C.RUNNING, ticket=ticket)
        except StaleJobError:
            converter.cancel(ticket)  # The job was cancelled when nobody knew its ticket.
            raise
        reach("submit-after-ticket")
        return True

    def _nobody_knows(self, conversion: ConversionRecord) -> bool:
        converter = self._converters.get(conversion.converter)
        if converter is not None and converter.repeatable:
            self._journal.move_conversion(conversion.id, C.SUBMITTING, C.QUEUED)
            return True
        error = OutcomeUnknown(
            "the bridge was stopped while this was being sent; it may have arrived, and may cost money.",
            remedy=(
                f"See there whether it arrived; `bridge cancel {conversion.job_id}` and then"
                f" `bridge retry {conversion.job_id}` send it again."
            ),
        )
        self._journal.move_conversion(conversion.id, C.SUBMITTING, C.UNKNOWN, error=error)
        return False

    def _poll(self, conversion: ConversionRecord) -> bool:
        converter = self._converters[conversion.converter]
        ticket = Ticket(conversion.ticket or "")
        try:
            progress = converter.poll(ticket)
        except TicketLost as error:
            return self._lost(conversion, converter, error)
        except ConverterError as error:
            return self._not_accepted(conversion, C.RUNNING, error, resume=C.RUNNING)
        if progress.state == "running":
            data = {"fraction": progress.fraction, "doing": progress.doing, "step": conversion.step}
            self._feed.progress(conversion.job_id, **data)
            now = self._clock.wall()
            if conversion.retry_at is None or conversion.retry_at <= now:
                self._journal.postpone_conversion(conversion.id, None, now + progress.poll_after_s)
            return False
        if progress.state == "done":
            self._journal.move_conversion(conversion.id, C.RUNNING, C.FETCHING)
            return True
        failure = progress.error or ConverterError("the conversion failed, and nobody said why.")
        if isinstance(failure, Cancelled):
            return self._lost(conversion, converter, failure)
        return self._not_accepted(conversion, C.RUNNING, failure, resume=C.QUEUED)

    def _lost(self, conversion: ConversionRecord, converter: Converter, error: BridgeError) -> bool:
        if converter.repeatable:
            self._journal.move_conversion(conversion.id, C.RUNNING, C.QUEUED, ticket=None)
            return False
        return self._fail(conversion, error)

    def _fetch(self, conversion: ConversionRecord) -> bool:
        converter = self._converters[conversion.converter]
        scratch: Path | None = None
        try:
            scratch = self._cache.scratch()
            reach("fetch-before")
            artifacts = converter.fetch(Ticket(conversion.ticket or ""), scratch)
            reach("fetch-after")
            about = {"conversion": conversion.conversion, "parameters": dict(conversion.parameters)}
            assert conversion.cache_key is not None
            entries = self._cache.put(self._entry_name(conversion), scratch, artifacts, about)
        except TicketLost:
            self._journal.move_conversion(conversion.id, C.FETCHING, C.RUNNING)
            return True
        except BridgeError as error:
            return self._not_accepted(conversion, C.FETCHING, error, resume=C.FETCHING)
        except OSError as error:
            disk = NotSent(f"the result cannot be kept: {error}.", remedy="Is the disk full?")
            return self._not_accepted(conversion, C.FETCHING, disk, resume=C.FETCHING, without_end=True)
        finally:
            if scratch is not None:
                shutil.rmtree(scratch, ignore_errors=True)
        self._finish(conversion, entries)
        return False

    def _entry_name(self, conversion: ConversionRecord) -> str:
        """A result that would differ next time is kept under its own row's name, never found by its key."""
        assert conversion.cache_key is not None
        if catalogue.conversion(conversion.conversion).deterministic:
            return conversion.cache_key
        return f"{conversion.cache_key}-{conversion.id}"

    def _resume(self, conversion: ConversionRecord) -> bool:
        resume = conversion.resume or C.QUEUED
        self._journal.move_conversion(conversion.id, C.WAITING_RETRY, resume)
        # A place at the converter is given by the runner only.
        return resume is not C.QUEUED

    # What they share

    def _input(self, conversion: ConversionRecord) -> tuple[Path, str, Fingerprint | None]:
        if conversion.artifact_id is None:
            part = self._journal.part(conversion.part_id)
            assert part.source is not None, "only parts that could be read have conversions"
            return part.path, part.source.samples_sha256, part.fingerprint
        artifact = self._journal.artifact(conversion.artifact_id)
        return artifact.path, artifact.sha256, None

    def _not_accepted(
        self,
        conversion: ConversionRecord,
        state: ConversionState,
        error: BridgeError,
        *,
        resume: ConversionState,
        without_end: bool = False,
    ) -> bool:
        endless = without_end or isinstance(error, TryLater)
        if not isinstance(error, TRY_AGAIN) or (conversion.attempt + 1 >= MAX_ATTEMPTS and not endless):
            return self._fail(conversion, error, state=state)
        wait_s = FIRST_RETRY_S * 2 ** min(conversion.attempt, 7)
        if isinstance(error, TryLater):
            wait_s = max(error.wait_s, FIRST_RETRY_S)
        self._journal.move_conversion(
            conversion.id,
            state,
            C.WAITING_RETRY,
            error=error,
            resume=str(resume),
            attempt=conversion.attempt + 1,
            retry_at=self._clock.wall() + wait_s,
        )
        return False

    def _fail(
        self, conversion: ConversionRecord, error: BridgeError, *, state: ConversionState | None = None
    ) -> bool:
        self._journal.move_conversion(conversion.id, state or conversion.state, C.FAILED, error=error)
        return False

    def _finish(self, conversion: ConversionRecord, entries: list[Entry], **fields: Any) -> None:
        job = self._journal.job(conversion.job_id)
        assert job is not None
        preset = Preset.model_validate(job.preset_data)
        reach("finish-before")
        self._journal.finish_conversion(
            conversion.id,
            conversion.state,
            [(entry.role, entry.path, entry.media_type, entry.sha256) for entry in entries],
            lambda placed: plan.from_artifacts(
                preset, conversion.step, placed, job.overrides, self._chooser(job)
            ),
            **fields,
        )
        reach("finish-after")

    def _chooser(self, job: JobRecord) -> plan.ChooseConverter:
        return lambda step: self.choose_converter(step, private=job.private)


def _request(
    wanted: PlannedConversion | ConversionRecord,
    converter: Converter,
    source: Path,
    samples_sha256: str,
    fingerprint: Fingerprint | None,
) -> ConversionRequest:
    """The one way to a request and its key: work on suspicion is found by the job only if both agree."""
    key = cache_key(
        samples_sha256=samples_sha256,
        conversion=wanted.conversion,
        parameters=wanted.parameters,
        converter=wanted.converter,
        fingerprint=converter.fingerprint(wanted.conversion),
    )
    return ConversionRequest(
        wanted.conversion, wanted.parameters, source, key, fingerprint, audio=samples_sha256
    )
