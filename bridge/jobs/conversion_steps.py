"""What is done with a conversion in each state: one function a state, one table that names them.

How a queued one is sent stands in `sending.py`, what becomes of one that could not go on in `setbacks.py`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.clock import Clock
from bridge.conversions import catalogue
from bridge.conversions.model import LOCAL, MUSICGPT
from bridge.converters.base import ConversionRequest, Converter, Progress, Ticket
from bridge.crash_points import reach
from bridge.errors import BridgeError, Cancelled, ConverterError, NotSent, TicketLost
from bridge.jobs import listening, plan
from bridge.jobs.cache import Cache, Entry, cache_key
from bridge.jobs.clearance import SendingRules, named_files
from bridge.jobs.events import EventFeed
from bridge.jobs.listening import NOBODY_LISTENS, Listening
from bridge.jobs.model import (
    LISTENING,
    ConversionState,
    Fingerprint,
    JobRequest,
    PlannedConversion,
    Source,
)
from bridge.jobs.records import ConversionRecord
from bridge.jobs.sending import Sending
from bridge.jobs.setbacks import Setbacks
from bridge.jobs.store import Journal
from bridge.presets import Preset, Step, drafts, knows_parameters, lacks, refuse_drafts

C = ConversionState


class ConversionSteps:
    def __init__(
        self,
        journal: Journal,
        cache: Cache,
        converters: Mapping[str, Converter],
        feed: EventFeed,
        clock: Clock,
        rules: SendingRules | None = None,
        listens: Listening = NOBODY_LISTENS,
    ) -> None:
        self._journal = journal
        self._cache = cache
        self._converters = converters
        self._feed = feed
        self._clock = clock
        self._listens = listens
        self._setbacks = Setbacks(journal, clock)
        self.sending = Sending(
            journal, converters, feed, clock, self._setbacks, SendingRules() if rules is None else rules
        )
        self._by_state: Mapping[ConversionState, Callable[[ConversionRecord], bool]] = {
            C.QUEUED: self._start,
            C.SUBMITTING: self.sending.nobody_knows,
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
        self._journal.ask_again()
        for conversion in self._journal.due_conversions(float("inf"), 1_000_000, states=(C.SUBMITTING,)):
            self.sending.nobody_knows(conversion)

    # Choosing

    def choose_converter(
        self, step: Step, overrides: Mapping[str, Any], *, private: bool, duration_s: float = 0.0
    ) -> str:
        """Who does this step: whom the preset names; else MusicGPT with a key, the local engine without.

        What this machine does in studio quality is done here: nobody pays for what cannot be better. A
        private folder's audio never leaves the machine; a local draft is used only when it is named, and
        nobody is chosen who does not know what is asked for, or for whom the audio is too long.
        """
        if step.converter != "auto":
            return step.converter
        row = catalogue.conversion(step.conversion)
        able = [
            name
            for name in ((LOCAL, MUSICGPT) if row.quality.get(LOCAL) == "studio" else (MUSICGPT, LOCAL))
            if not (private and name != LOCAL)
            and name in row.quality
            and duration_s <= row.max_input_s.get(name, math.inf)
            and self._can(name, row.name)
            and knows_parameters(step, overrides, converter=name)
            and not drafts(step, overrides, name)
        ]
        # Who has all that it needs goes before who would have to ask for more.
        complete = (name for name in able if not lacks(step, overrides, converter=name))
        return next(complete, able[0] if able else LOCAL)

    def _can(self, name: str, conversion: str) -> bool:
        converter = self._converters.get(name)
        capability = converter.capabilities().get(conversion) if converter is not None else None
        return capability is not None and capability.available

    def plan_source(self, preset: Preset, request: JobRequest, source: Source) -> list[PlannedConversion]:
        """The conversions that begin with the bounce itself.

        Raises PresetError where some step, also a later one, would be a draft that nobody asked for.
        """
        duration_s = source.duration_s
        choose = self._chooser(
            request.overrides, private=request.private, duration_s=duration_s, again_of=request.again_of
        )
        for step in preset.steps:
            if step.converter == "auto":
                refuse_drafts(step, request.overrides, choose(step))
        planned = plan.from_source(preset, request.overrides, choose)
        if self._can(LOCAL, LISTENING) and self._listens.wanted(preset, source):
            planned.append(listening.listening())
        return planned

    def request_for(self, planned: PlannedConversion, source: Source) -> ConversionRequest:
        """The request that `planned` will make for `source`. Raises ModelError where a model is missing."""
        converter = self._converters[planned.converter]
        return _request(planned, converter, _Input.of(source))

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
            return self._setbacks.fail(conversion, missing)
        try:
            request = _request(conversion, converter, self._input(conversion))
        except (BridgeError, OSError) as error:
            known = error if isinstance(error, BridgeError) else ConverterError(f"{error}.")
            return self._setbacks.fail(conversion, known)
        row = catalogue.conversion(conversion.conversion)
        entries = self._kept(conversion, request, deterministic=row.deterministic)
        if entries is not None:
            self._finish(conversion, entries, cached=1, cache_key=request.key)
            return False
        return self.sending.send(conversion, converter, request, row)

    def _kept(
        self, conversion: ConversionRecord, request: ConversionRequest, *, deterministic: bool
    ) -> list[Entry] | None:
        """What the cache has of it; of what differs each time, only the job's own that is put back."""
        if deterministic:
            return self._cache.lookup(request.key)
        job = self._journal.job(conversion.job_id)
        if job is None or job.again_of is None:
            return None
        made = self._journal.made_in(job.again_of, conversion, request.key)
        return self._cache.lookup(self._entry_name(made)) if made else None

    def _poll(self, conversion: ConversionRecord) -> bool:
        converter = self._converters[conversion.converter]
        ticket = Ticket(conversion.ticket or "")
        try:
            progress = converter.poll(ticket)
        except TicketLost as error:
            return self._lost(conversion, converter, error)
        except ConverterError as error:
            return self._setbacks.not_accepted(conversion, C.RUNNING, error, resume=C.RUNNING)
        self._note_cost(conversion, progress)
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
        return self._failed(conversion, converter, progress.error)

    def _failed(self, conversion: ConversionRecord, converter: Converter, told: BridgeError | None) -> bool:
        failure = told or ConverterError("the conversion failed, and nobody said why.")
        if isinstance(failure, Cancelled):
            return self._lost(conversion, converter, failure)
        if not converter.repeatable:  # It was accepted, so doing it again may cost again.
            return self._setbacks.fail(conversion, failure)
        return self._setbacks.not_accepted(conversion, C.RUNNING, failure, resume=C.QUEUED)

    def _note_cost(self, conversion: ConversionRecord, progress: Progress) -> None:
        if progress.cost_usd is not None and progress.cost_usd != conversion.cost_usd:
            basis = "estimated" if progress.state == "running" else "charged"
            self._journal.note_cost(conversion.id, progress.cost_usd, basis)

    def _lost(self, conversion: ConversionRecord, converter: Converter, error: BridgeError) -> bool:
        if converter.repeatable:
            self._journal.move_conversion(conversion.id, C.RUNNING, C.QUEUED, ticket=None)
            return False
        return self._setbacks.fail(conversion, error)

    def _fetch(self, conversion: ConversionRecord) -> bool:
        converter = self._converters[conversion.converter]
        scratch: Path | None = None
        try:
            scratch = self._cache.scratch()
            reach("fetch-before")
            request = _request(conversion, converter, self._input(conversion))
            artifacts = converter.fetch(Ticket(conversion.ticket or ""), scratch, request)
            reach("fetch-after")
            about = {"conversion": conversion.conversion, "parameters": dict(conversion.parameters)}
            assert conversion.cache_key is not None
            entries = self._cache.put(self._entry_name(conversion), scratch, artifacts, about)
        except TicketLost:
            self._journal.move_conversion(conversion.id, C.FETCHING, C.RUNNING)
            return True
        except BridgeError as error:
            return self._setbacks.not_accepted(conversion, C.FETCHING, error, resume=C.FETCHING)
        except OSError as error:
            disk = NotSent(f"the result cannot be kept: {error}.", remedy="Is the disk full?")
            return self._setbacks.not_accepted(
                conversion, C.FETCHING, disk, resume=C.FETCHING, without_end=True
            )
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

    def _input(self, conversion: ConversionRecord) -> _Input:
        part = self._journal.part(conversion.part_id)
        assert part.source is not None, "only parts that could be read have conversions"
        if conversion.artifact_id is None:
            return _Input.of(part.source)
        artifact = self._journal.artifact(conversion.artifact_id)
        return _Input(artifact.path, artifact.sha256, None, part.source.duration_s)

    def _finish(self, conversion: ConversionRecord, entries: list[Entry], **fields: Any) -> None:
        job = self._journal.job(conversion.job_id)
        assert job is not None
        preset = Preset.model_validate(job.preset_data)
        part = self._journal.part(conversion.part_id)
        duration_s = part.source.duration_s if part.source else 0.0
        choose = self._chooser(
            job.overrides, private=job.private, duration_s=duration_s, again_of=job.again_of
        )
        # Asked now: converters look for keys and models, and nobody waits for that with the journal in hand.
        chosen = {step.name: choose(step) for step in preset.steps}
        reach("finish-before")
        self._journal.finish_conversion(
            conversion.id,
            conversion.state,
            entries,
            lambda placed: plan.from_artifacts(
                preset, conversion.step, placed, job.overrides, lambda one: chosen[one.name]
            ),
            **fields,
        )
        reach("finish-after")

    def _chooser(
        self, overrides: Mapping[str, Any], *, private: bool, duration_s: float, again_of: int | None
    ) -> plan.ChooseConverter:
        """Results that are put back come from whoever made them, not from whoever would now."""
        before = self._journal.detail(again_of) if again_of is not None else None
        made_by = {one.step: one.converter for one in before.conversions} if before else {}
        return lambda step: (
            made_by.get(step.name)
            or self.choose_converter(step, overrides, private=private, duration_s=duration_s)
        )


@dataclass(frozen=True)
class _Input:
    """What a conversion is fed with: a part's source, or an artifact, which nobody writes to."""

    path: Path
    samples_sha256: str
    fingerprint: Fingerprint | None
    duration_s: float

    @classmethod
    def of(cls, source: Source) -> _Input:
        return cls(source.path, source.samples_sha256, source.fingerprint, source.duration_s)


def _beside(wanted: PlannedConversion | ConversionRecord, fed: _Input) -> dict[str, str]:
    """What else the engine here reads: files that parameters name, and the source's chunks and depth.

    So the same samples at another place of the song get results of their own, at that place.
    """
    states: dict[str, str] = {}
    for path in named_files(wanted.parameters):
        with suppress(OSError):
            states[str(path)] = _state(Fingerprint.of(path))
    row = catalogue.CATALOGUE.get(wanted.conversion)
    if fed.fingerprint is not None and (row is None or not row.of_samples):
        states[str(fed.path)] = _state(fed.fingerprint)
    return states


def _state(fingerprint: Fingerprint) -> str:
    return f"{fingerprint.size} {fingerprint.mtime_ns}"


def _request(
    wanted: PlannedConversion | ConversionRecord, converter: Converter, fed: _Input
) -> ConversionRequest:
    """The one way to a request and its key: work on suspicion is found by the job only if both agree."""
    beside = {} if converter.remote else _beside(wanted, fed)
    key = cache_key(
        samples_sha256=fed.samples_sha256,
        conversion=wanted.conversion,
        parameters=wanted.parameters,
        converter=wanted.converter,
        fingerprint={**converter.fingerprint(wanted.conversion), **beside},
    )
    return ConversionRequest(
        wanted.conversion,
        wanted.parameters,
        fed.path,
        key,
        fed.fingerprint,
        audio=fed.samples_sha256,
        duration_s=fed.duration_s,
    )
