"""From a file to a job: looks into the file, decides whether it is news, and tells the journal.

A job is made only when the file has been looked at, so "the same audio at the same place" is no second job.
If the bridge dies before that, the file is found again by the scan at the next start.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from bridge.conversions.model import LOCAL
from bridge.converters.base import ConversionRequest, Ticket
from bridge.crash_points import reach
from bridge.errors import AudioError, BridgeError, Cancelled, WorkerDied, WorkerError
from bridge.jobs.cache import file_sha256
from bridge.jobs.conversion_steps import ConversionSteps
from bridge.jobs.exports import SAME_EXPORT_S, same_export
from bridge.jobs.model import TOGETHER, DeliveryState, Fingerprint, JobRequest, PlannedConversion, Source
from bridge.jobs.plan import STREAM
from bridge.jobs.store import Journal
from bridge.media.musical_context import Told
from bridge.presets import OTHER_SUFFIXES, Preset, PresetShelf, check_input

log = logging.getLogger(__name__)

PROBE_ATTEMPTS = 3
KEPT_PROBES = 256
TRY_AGAIN_S = 5.0
"""How long a bounce waits that the journal could not take (the disk is full)."""


class Engine(Protocol):
    """What the intake needs of the local converter: a look into a file, and work on suspicion."""

    def probe(self, path: Path, fingerprint: Fingerprint, project_folder: Path) -> Future[Source]: ...
    def warm(self) -> None: ...
    def speculate(self, request: ConversionRequest) -> Ticket: ...
    def withdraw(self, ticket: Ticket) -> None: ...


Overhear = Callable[[float, float], Told | None]


@dataclass(eq=False)
class _Arrival:
    """A file that shall become a job (or, with `part_id`, be looked at again for one that failed)."""

    request: JobRequest
    answer: Future[int | None] = field(default_factory=Future)
    part_id: int | None = None
    attempt: int = 1


ProbeKey = tuple[Path, Fingerprint]


class Intake:
    """What triggers talk to. All methods return at once and may be called from any thread."""

    def __init__(
        self,
        journal: Journal,
        steps: ConversionSteps,
        presets: PresetShelf,
        engine: Engine,
        overhear: Overhear = lambda _closed_at, _duration_s: None,
    ) -> None:
        """`overhear` tells what a clock said while a bounce was made, from its end and its length."""
        self._journal = journal
        self._steps = steps
        self._presets = presets
        self._engine = engine
        self._overhear = overhear
        self._todo: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._probes: OrderedDict[ProbeKey, Future[Source]] = OrderedDict()
        self._speculative: dict[Path, list[Ticket]] = {}
        self._put_off: list[tuple[_Arrival, Future[Source]]] = []
        self._unanswered: set[Future[int | None]] = set()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._todo.put(None)
        self._thread.join()
        self._stopped = True
        for answer in tuple(self._unanswered):
            self._turn_away(answer)

    def _turn_away(self, answer: Future[int | None]) -> None:
        """Whoever waits for an answer of ours would wait for ever."""
        if not answer.done():
            answer.set_exception(Cancelled("the bridge is being stopped.", remedy="Ask it again later."))

    # What the folder trigger asks and tells

    def knows(self, path: Path, fingerprint: Fingerprint) -> bool:
        return self._journal.knows(path, fingerprint)

    def is_first_visit(self, folder: Path) -> bool:
        return self._journal.is_first_visit(folder)

    def remember(self, folder: Path, files: Mapping[Path, Fingerprint]) -> None:
        self._journal.remember(folder, files)

    def hint(self) -> None:
        self._todo.put(self._engine.warm)

    def speculate(self, request: JobRequest) -> None:
        self._todo.put(lambda: self._speculate(request))

    def withdraw(self, path: Path) -> None:
        self._todo.put(lambda: self._withdraw(path))

    def accept(self, request: JobRequest) -> None:
        self.submit(request)

    # What actions ask

    def submit(self, request: JobRequest) -> Future[int | None]:
        """The job's id, once the file has been looked at; None where there is nothing new to do."""
        arrival = _Arrival(request)
        self._unanswered.add(arrival.answer)
        arrival.answer.add_done_callback(self._unanswered.discard)
        self._todo.put(lambda: self._look(arrival))
        if self._stopped:
            self._turn_away(arrival.answer)
        return arrival.answer

    def look_at(self, request: JobRequest) -> Future[Source]:
        """What is in the file; nothing comes of it."""
        if request.source.suffix.lower() in OTHER_SUFFIXES:
            return _looked_at(request.source, request.fingerprint)
        return self._engine.probe(request.source, request.fingerprint, request.project_folder)

    def look_again(self, part_id: int) -> None:
        """A part that could not be read is looked at again."""
        self._todo.put(lambda: self._look_again(part_id))

    # The thread

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("the intake stumbled; it goes on")

    def _probe(self, request: JobRequest) -> Future[Source]:
        key = (request.source, request.fingerprint)
        if request.source.suffix.lower() in OTHER_SUFFIXES:
            return _looked_at(*key)
        if request.as_known and (known := self._journal.looked_at(*key)) is not None:
            return _settled(known)
        found = self._probes.get(key)
        if found is None or (found.done() and found.exception() is not None):
            found = self._probes[key] = self._engine.probe(*key, request.project_folder)
            while len(self._probes) > KEPT_PROBES and next(iter(self._probes.values())).done():
                self._probes.popitem(last=False)
        return found

    def _speculate(self, request: JobRequest) -> None:
        probe = self._probe(request)
        probe.add_done_callback(lambda done: self._todo.put(lambda: self._begin_on_suspicion(request, done)))

    def _begin_on_suspicion(self, request: JobRequest, probe: Future[Source]) -> None:
        key = (request.source, request.fingerprint)
        if probe.exception() is not None or key not in self._probes:
            return  # The job, if there will be one, tells what is wrong.
        source = self._with_clock(request, probe.result())
        try:
            planned = self._plan(request, source)[1]
            requests = [self._steps.request_for(one, source) for one in planned if one.converter == "local"]
            fresh = [one for one in requests if not self._steps.is_cached(one.key)]
            self._speculative[request.source] = [self._engine.speculate(one) for one in fresh]
        except BridgeError:
            return

    def _withdraw(self, path: Path) -> None:
        for key in [key for key in self._probes if key[0] == path]:
            del self._probes[key]
        for ticket in self._speculative.pop(path, ()):
            self._engine.withdraw(ticket)

    def _look(self, arrival: _Arrival) -> None:
        probe = self._probe(arrival.request)
        probe.add_done_callback(lambda done: self._todo.put(lambda: self._looked(arrival, done)))

    def _looked(self, arrival: _Arrival, probe: Future[Source]) -> None:
        try:
            error = probe.exception()
            source = None if error else probe.result()
        except CancelledError:
            error, source = Cancelled("cancelled."), None
        if isinstance(error, WorkerDied) and arrival.attempt < PROBE_ATTEMPTS:
            arrival.attempt += 1
            self._look(arrival)
            return
        if isinstance(error, Cancelled):
            arrival.answer.set_exception(error)  # We are being stopped: the next start finds the file again.
            return
        known = error if isinstance(error, BridgeError) or error is None else WorkerError(f"{error}.")
        try:
            arrival.answer.set_result(self._register(arrival, source, known))
        except Exception as failure:
            if isinstance(failure, (sqlite3.Error, OSError)) and arrival.request.watched_folder is not None:
                self._try_again_later(arrival, probe, failure)
                return
            arrival.answer.set_exception(failure)
            raise
        finally:
            self._probes.pop((arrival.request.source, arrival.request.fingerprint), None)

    def _try_again_later(self, arrival: _Arrival, probe: Future[Source], why: Exception) -> None:
        """The folder trigger tells of a bounce once, so it is ours to remember until the journal has it."""
        if not self._put_off:
            log.error("%s: the journal cannot take it (%s); tried again soon", arrival.request.source, why)
            timer = threading.Timer(TRY_AGAIN_S, self._todo.put, (self._take_up,))
            timer.daemon = True
            timer.start()
        self._put_off.append((arrival, probe))

    def _take_up(self) -> None:
        waiting, self._put_off = self._put_off, []
        while waiting and not self._put_off:
            self._looked(*waiting.pop(0))
        self._put_off += waiting

    def _register(self, arrival: _Arrival, source: Source | None, error: BridgeError | None) -> int | None:
        request = arrival.request
        if source is not None and request.watched_folder is not None and self._is_old_news(request, source):
            self._journal.note_file(request.source, request.fingerprint)
            self._withdraw(request.source)
            return None
        if source is not None:
            source = self._with_clock(request, source)
        preset_data: Mapping[str, Any] = {}
        planned: list[PlannedConversion] = []
        if source is not None:
            try:
                preset, planned = self._plan(request, source)
                preset_data = preset.model_dump(by_alias=True)
            except BridgeError as fault:
                error, source = fault, None
        if arrival.part_id is not None:
            return self._revive(arrival, source, error, planned)
        join = request.joins
        if join is None and source is not None:
            join = self._export_of(request, source)
        reach("job-before-create")
        job_id = self._journal.create_job(request, preset_data, source, planned, error=error, join=join)
        reach("job-after-create")
        self._let_go(request.source, planned, source)
        return job_id

    def _let_go(self, path: Path, planned: list[PlannedConversion], source: Source | None) -> None:
        """What was begun on suspicion and is no part of the job ends; the rest is found under way."""
        begun = self._speculative.pop(path, ())
        wanted = set[str]()
        if begun and source is not None:
            with suppress(BridgeError):
                ours = [one for one in planned if one.converter == LOCAL]
                wanted = {self._steps.request_for(one, source).key for one in ours}
        for ticket in begun:
            if ticket not in wanted:
                self._engine.withdraw(ticket)

    def _with_clock(self, request: JobRequest, source: Source) -> Source:
        """Only for what a DAW has just bounced: of a file that is converted later a clock knows nothing."""
        if request.watched_folder is None or not source.duration_s:
            return source
        heard = self._overhear(request.closed_at, source.duration_s)
        return replace(source, told=(*source.told, heard.to_json())) if heard else source

    def _plan(self, request: JobRequest, source: Source) -> tuple[Preset, list[PlannedConversion]]:
        preset = self._presets.get(request.preset)
        check_input(preset, request.source)
        return preset, self._steps.plan_source(preset, request, source)

    def _look_again(self, part_id: int) -> None:
        part = self._journal.part(part_id)
        job = self._journal.job(part.job_id)
        assert job is not None
        try:
            fingerprint = Fingerprint.of(part.path)
        except OSError as error:
            gone = AudioError(f"it is gone ({error.strerror}).", file=part.path, remedy="Bounce it again.")
            self._journal.fail_part(part_id, gone)
            return
        request = JobRequest(
            source=part.path,
            fingerprint=fingerprint,
            preset=job.preset,
            project_folder=job.project_folder,
            trigger=job.trigger,
            private=job.private,
            overrides=job.overrides,
            closed_at=part.closed_at,
        )
        self._look(_Arrival(request, part_id=part_id))

    def _revive(
        self,
        arrival: _Arrival,
        source: Source | None,
        error: BridgeError | None,
        planned: list[PlannedConversion],
    ) -> int | None:
        assert arrival.part_id is not None
        part = self._journal.part(arrival.part_id)
        if source is not None:
            preset = self._presets.get(arrival.request.preset)
            self._journal.revive_part(part.id, source, preset.model_dump(by_alias=True), planned)
        elif error is not None:
            self._journal.fail_part(part.id, error)
        return part.job_id

    # Is it news?

    def _is_old_news(self, request: JobRequest, source: Source) -> bool:
        """The same audio at the same place, and what came of it is still there (or still being made).

        A conversion that still reads the file in an earlier state is no help: it will be refused.
        """
        job_id = self._journal.earlier_job_of(request.source, source.samples_sha256, request.preset)
        detail = self._journal.detail(job_id) if job_id is not None else None
        if detail is None:
            return False
        part = next(
            part
            for part in reversed(detail.parts)
            if part.path == request.source
            and part.source
            and part.source.samples_sha256 == source.samples_sha256
        )
        conversions = [one for one in detail.conversions if one.part_id == part.id]
        if any(one.kind == TOGETHER for one in detail.deliveries):
            return False  # others of its export may be new; what is old, the cache has
        deliveries = [one for one in detail.deliveries if one.part_id == part.id and one.kind != STREAM]
        reads = any(one.is_open and one.artifact_id is None for one in conversions)
        if reads and part.fingerprint != request.fingerprint:
            return False
        under_way = any(one.is_open for one in conversions) or any(one.is_open for one in deliveries)
        done = [one for one in deliveries if one.state is DeliveryState.DONE and one.final_path]
        return under_way or (
            bool(done)
            and len(done) == len(deliveries)
            and all(one.final_path is not None and one.final_path.exists() for one in done)
        )

    def _export_of(self, request: JobRequest, source: Source) -> int | None:
        """The job that began with another file of the same export, if this is one of several."""
        if request.watched_folder is None:
            return None
        about_then = (request.closed_at - SAME_EXPORT_S, request.closed_at + SAME_EXPORT_S)
        for part in self._journal.recent_parts(request.watched_folder, request.preset, about_then):
            if part.source is not None and same_export(part.source, source):
                # A second version of a track is no part of the export that has the first.
                return None if self._journal.has_part(part.job_id, source.path) else part.job_id
        return None


def _settled(source: Source) -> Future[Source]:
    found: Future[Source] = Future()
    found.set_result(source)
    return found


def _looked_at(path: Path, fingerprint: Fingerprint) -> Future[Source]:
    """A text or a picture: its bytes are what counts."""
    try:
        digest = file_sha256(path)
    except OSError as error:
        found: Future[Source] = Future()
        found.set_exception(AudioError(f"it cannot be read: {error.strerror}.", file=path))
        return found
    return _settled(Source(path, fingerprint, digest, frames=0, channels=0, rate_hz=0, duration_s=0.0))
