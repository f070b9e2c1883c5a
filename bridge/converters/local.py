"""The local engine as a converter: needs no key and no network, and doing a thing twice costs nothing.

A ticket is the request's key, so the same request made twice is one piece of work. That is also how work
begins before a bounce is settled: `speculate` starts it, the job's own `submit` finds it under way.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bridge.conversions.catalogue import CATALOGUE
from bridge.converters.base import Artifact, Capability, ConversionRequest, Lane, Progress, Quote, Ticket
from bridge.engine.models import ModelStore
from bridge.engine.tasks import TASKS
from bridge.engine.version import ENGINE_VERSION
from bridge.engine.worker import Call, Worker
from bridge.errors import BridgeError, ModelError, TicketLost, TryLater, WorkerDied
from bridge.jobs.model import Fingerprint, Source

NEEDS_MODELS: Mapping[str, tuple[str, ...]] = {
    "audio_to_midi": ("basic-pitch", "swift-f0"),
    "extract_key_bpm": ("beatnet",),
    "Extraction": ("spleeter",),
}
"""For each conversion: the models that the engine needs for it."""

FETCHES_MODELS: Mapping[str, tuple[str, ...]] = {
    "audio_to_midi": ("transkun",),
    "denoise": ("nsnet2", "deepfilternet"),
}
"""For each conversion: the models that the engine fetches when they are first asked for."""

KEPT_RESULTS = 32
"""How many finished results are kept for `fetch`; speculation that came to nothing goes with the rest."""

NO_ROOM_S = 10.0


@dataclass(eq=False)
class _Task:
    call: Call
    folder: Path
    reads: tuple[Path, Fingerprint | None]
    claimed: bool
    fraction: float = 0.0
    doing: str = "waiting for the engine"


class LocalConverter:
    name = "local"
    repeatable = True
    remote = False
    parallel = 2
    """One at work and one waiting, so that the engine never idles between two jobs."""

    def __init__(self, worker: Worker, models: ModelStore, scratch: Path, hearings: Path) -> None:
        """`scratch` is emptied; `hearings` keeps what the engine has heard, from life to life."""
        self._worker = worker
        self._models = models
        self._scratch = scratch
        self._hearings = hearings
        self._lock = threading.RLock()
        self._tasks: dict[Ticket, _Task] = {}
        self._on_change: list[Callable[[Ticket], None]] = []
        shutil.rmtree(scratch, ignore_errors=True)
        # The engine of an earlier life, killed just now, may still be writing there.
        scratch.mkdir(parents=True, exist_ok=True)

    # Converter

    def capabilities(self) -> Mapping[str, Capability]:
        return {name: self._capability(name) for name, row in CATALOGUE.items() if self.name in row.quality}

    def _capability(self, conversion: str) -> Capability:
        if conversion not in TASKS:
            return Capability(available=False, why_not="the local engine cannot do this yet")
        try:
            self._model_paths(conversion)
        except ModelError as error:
            return Capability(available=False, why_not=str(error))
        return Capability(available=True)

    def lanes(self) -> tuple[Lane, ...]:
        return (Lane(self.parallel),)

    def quote(self, conversion: str, parameters: Mapping[str, Any], duration_s: float) -> Quote:  # noqa: ARG002  free, whatever it is
        return Quote(0.0, "on this machine, free")

    def adopt(self, conversion: str, task: str) -> Ticket:  # noqa: ARG002  a ticket names its own work
        return Ticket(task)

    def wake(self, ticket: Ticket) -> None:
        """Nothing to do: `poll` looks anew each time."""

    def fingerprint(self, conversion: str) -> Mapping[str, str]:
        return {"engine": str(ENGINE_VERSION), **self._made_of(conversion)}

    def _made_of(self, conversion: str) -> dict[str, str]:
        names = [*NEEDS_MODELS.get(conversion, ()), *FETCHES_MODELS.get(conversion, ())]
        if CATALOGUE[conversion].own_networks:
            names += [state.model.name for state in self._models.states() if state.model.added]
        return {name: self._models.fingerprint(name) for name in names}

    def submit(self, request: ConversionRequest) -> Ticket:
        return self._begin(request, claimed=True)

    def poll(self, ticket: Ticket) -> Progress:
        task = self._task(ticket)
        future = task.call.future
        if not future.done():
            return Progress("running", fraction=task.fraction, doing=task.doing, poll_after_s=30.0)
        error = future.exception()
        if error is None:
            return Progress("done", fraction=1.0)
        self._drop(ticket, task)  # A later submit of the same request begins anew.
        known = error if isinstance(error, BridgeError) else WorkerDied(f"the engine failed: {error}.")
        return Progress("failed", error=known)

    def fetch(self, ticket: Ticket, folder: Path, request: ConversionRequest) -> list[Artifact]:
        task = self._task(ticket)
        artifacts = []
        for row in task.call.future.result(timeout=0):
            if not (task.folder / row["file"]).exists():
                self._drop(ticket, task)
                raise TicketLost("the result was cleared away; the conversion is begun again.")
            shutil.copyfile(task.folder / row["file"], folder / row["file"])
            about = self._with_attribution(row.get("about", {}), request.conversion)
            artifacts.append(Artifact(row["role"], folder / row["file"], row["media_type"], about))
        return artifacts

    def _with_attribution(self, about: Mapping[str, Any], conversion: str) -> dict[str, Any]:
        """With what the models' licences want to be said; `models` names those that were used."""
        used = about.get("models", NEEDS_MODELS.get(conversion, ()))
        texts = self._models.attributions(used)
        return {**about, "attribution": texts} if texts else dict(about)

    def cancel(self, ticket: Ticket) -> None:
        with self._lock:
            task = self._tasks.get(ticket)
            if task is not None:
                self._drop(ticket, task)
                self._worker.cancel(task.call)

    def watch(self, on_change: Callable[[Ticket], None]) -> None:
        self._on_change.append(on_change)

    # What only the local engine can do

    def speculate(self, request: ConversionRequest) -> Ticket:
        """Begins work that may turn out to be for nothing."""
        return self._begin(request, claimed=False)

    def withdraw(self, ticket: Ticket) -> None:
        """Ends speculative work, unless somebody has asked for it in the meantime."""
        with self._lock:
            task = self._tasks.get(ticket)
            if task is not None and not task.claimed:
                self.cancel(ticket)

    def warm(self) -> None:
        """Starts the engine process and loads the models that are there, if it does not run yet."""
        if not self._worker.alive():
            try:
                models = self._model_paths("audio_to_midi")
            except ModelError:
                return
            self._worker.call("warm", {"models": models})

    def probe(self, path: Path, fingerprint: Fingerprint, project_folder: Path) -> Future[Source]:
        """Decodes the whole file once: is it audio, what is in it, and the hash of its samples.

        Reads also what it and its project tell about its music.
        """
        arguments = {
            "source": str(path),
            "fingerprint": _plain(fingerprint),
            "project_folder": str(project_folder),
        }
        call = self._worker.call("probe", arguments, lane="quick")
        found: Future[Source] = Future()

        def finish(done: Future[Any]) -> None:
            error = done.exception()
            if error is not None:
                found.set_exception(error)
            else:
                found.set_result(_source(path, fingerprint, done.result()))

        call.future.add_done_callback(finish)
        return found

    # Inside

    def _begin(self, request: ConversionRequest, *, claimed: bool) -> Ticket:
        ticket = Ticket(request.key)
        with self._lock:
            task = self._tasks.get(ticket)
            if task is not None and _serves(task, request, claimed=claimed):
                task.claimed = task.claimed or claimed
                return ticket
            self.cancel(ticket)
            self._forget_unclaimed()
            folder = self._fresh_folder()
            arguments = {
                "source": str(request.source),
                "fingerprint": _plain(request.fingerprint),
                "parameters": dict(request.parameters),
                "folder": str(folder),
                "models": self._model_paths(request.conversion, request.parameters.get("model", "auto")),
                "models_folder": str(self._models.folder),
                "made_of": self._made_of(request.conversion),
                "audio": request.audio or request.key,
                "hearings": str(self._hearings),
            }
            call = self._worker.call(
                request.conversion, arguments, on_progress=lambda *how_far: self._progress(ticket, *how_far)
            )
            self._tasks[ticket] = _Task(call, folder, (request.source, request.fingerprint), claimed)
        call.future.add_done_callback(lambda _: self._changed(ticket))
        return ticket

    def _fresh_folder(self) -> Path:
        """A folder for one call: one that was cancelled may still write into its own for a moment."""
        folder = self._scratch / uuid.uuid4().hex
        try:
            folder.mkdir(parents=True)
        except OSError as error:
            raise TryLater(
                f"the engine has no room to work: {error}.", wait_s=NO_ROOM_S, remedy="Is the disk full?"
            ) from error
        return folder

    def _model_paths(self, conversion: str, model: str = "auto") -> dict[str, str]:
        ours = CATALOGUE[conversion].own_networks
        if ours and model not in ours:
            return {}  # a network of the user's own, which the engine asks for
        return {name: str(self._models.path(name)) for name in NEEDS_MODELS.get(conversion, ())}

    def _task(self, ticket: Ticket) -> _Task:
        with self._lock:
            task = self._tasks.get(ticket)
        if task is None:
            raise TicketLost("the engine was restarted in the meantime; the conversion is begun again.")
        return task

    def _progress(self, ticket: Ticket, fraction: float, doing: str) -> None:
        with self._lock:
            task = self._tasks.get(ticket)
            if task is None:
                return
            task.fraction, task.doing = fraction, doing
        self._changed(ticket)

    def _changed(self, ticket: Ticket) -> None:
        for on_change in self._on_change:
            on_change(ticket)

    def _forget_unclaimed(self) -> None:
        finished = [ticket for ticket, task in self._tasks.items() if task.call.future.done()]
        for ticket in finished[:-KEPT_RESULTS]:
            self._drop(ticket, self._tasks[ticket])

    def _drop(self, ticket: Ticket, task: _Task) -> None:
        with self._lock:
            if self._tasks.get(ticket) is task:  # and not another of the same key, begun meanwhile
                del self._tasks[ticket]
        shutil.rmtree(task.folder, ignore_errors=True)


def _plain(fingerprint: Fingerprint | None) -> list[int] | None:
    return [fingerprint.size, fingerprint.mtime_ns] if fingerprint else None


def _serves(task: _Task, request: ConversionRequest, *, claimed: bool) -> bool:
    """Whether what is there is also the result of this request.

    Work on suspicion that reads another file may be spoilt when that changes: no job builds on it.
    """
    if task.call.future.done():
        return task.call.future.exception() is None
    return task.reads == (request.source, request.fingerprint) or task.claimed or not claimed


def _source(path: Path, fingerprint: Fingerprint, info: Mapping[str, Any]) -> Source:
    return Source(
        path=path,
        fingerprint=fingerprint,
        samples_sha256=info["samples_sha256"],
        frames=info["frames"],
        channels=info["channels"],
        rate_hz=info["rate_hz"],
        duration_s=info["duration_s"],
        warnings=tuple(info["warnings"]),
        told=tuple(info["told"]),
    )
