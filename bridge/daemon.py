"""The only wiring. `start` reads top to bottom as `stop` reads bottom to top.

`BridgeCore` is everything but triggers and the control API: what `bridge convert` runs by itself when no
daemon is there. `Daemon` is the whole.
"""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bridge.actions import LOOK_TIMEOUT_S, Surface
from bridge.clock import Clock, SystemClock
from bridge.config import (
    Settings,
    WatchedFolder,
    default_folders,
    folder_of,
    is_private,
    may_upload,
    project_folder_of,
    watched_folders,
)
from bridge.converters.base import Converter, Ticket
from bridge.converters.fitting import EngineFitter
from bridge.converters.local import LocalConverter
from bridge.converters.musicgpt import MusicGPTConverter
from bridge.delivery.desk import DeliveryDesk
from bridge.delivery.streaming import Streaming
from bridge.engine.models import ModelStore
from bridge.engine.worker import Worker, WorkerOptions, engine_log
from bridge.errors import BridgeError
from bridge.jobs.budget import Caps, day_began
from bridge.jobs.cache import Cache
from bridge.jobs.clearance import SendingRules
from bridge.jobs.conversion_steps import ConversionSteps
from bridge.jobs.events import EventFeed
from bridge.jobs.intake import Intake
from bridge.jobs.listening import Listening
from bridge.jobs.model import JobRequest
from bridge.jobs.quoting import QuotedStep, quotes
from bridge.jobs.records import ConversionRecord
from bridge.jobs.runner import Runner
from bridge.jobs.sending import Fate
from bridge.jobs.store import JOURNAL_NAME, Journal
from bridge.keys import KeyRing
from bridge.media.musical_context import Told
from bridge.midi.messages import Play
from bridge.owner import OwnerNote, Ownership
from bridge.presets import PresetShelf
from bridge.supervisor import Child, Supervisor
from bridge.surface.idle import IdleSurface
from bridge.surface.memory import Memory

if TYPE_CHECKING:
    from bridge.server.control import ControlServer
    from bridge.surface.control_surface import ControlSurface
    from bridge.triggers.folder import FolderTrigger

log = logging.getLogger(__name__)


class Hands(Surface, Protocol):
    """A surface that also plays, and hears clocks."""

    def play(self, order: Play) -> str:
        """Plays it; gives why not, else nothing."""
        ...

    def overheard(self, closed_at: float, duration_s: float) -> Told | None:
        """What a clock said while a bounce of that length was made, which was closed then."""
        ...


class _EngineChild:
    """The engine as the supervisor sees it."""

    def __init__(self, worker: Worker, local: LocalConverter) -> None:
        self._worker = worker
        self._local = local

    def crashed(self) -> bool:
        return self._worker.crashed()

    def restart(self) -> None:
        self._local.warm()


class BridgeCore:
    """Owner of one BRIDGE_HOME: journal, engine, runner. Fulfils `actions.Bridge`.

    `engine` is an engine process that was started ahead.
    """

    def __init__(
        self,
        home: Path,
        settings: Settings,
        *,
        clock: Clock | None = None,
        engine: subprocess.Popen[bytes] | None = None,
    ) -> None:
        self.home = home
        self.settings = settings
        self.clock = clock or SystemClock()
        self._stack = ExitStack()
        self._owner = Ownership(home)
        self._engine = engine

    def start(self) -> None:
        """Raises HomeInUse when another bridge has this home, JournalError for a journal that is unusable."""
        with ExitStack() as stack:
            self._owner.take()
            stack.callback(self._owner.release)
            self._make(stack)
            self.runner.start()
            stack.callback(self.runner.stop)
            self.intake.start()
            stack.callback(self.intake.stop)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        """Ends everything in reverse order. What was under way goes on at the next start."""
        self._stack.close()

    def _make(self, stack: ExitStack) -> None:
        home, settings, clock = self.home, self.settings, self.clock
        self.journal = Journal(home / JOURNAL_NAME, clock=clock)
        stack.callback(self.journal.close)
        self.feed = EventFeed(self.journal, clock)
        self.presets = PresetShelf(home / "presets")
        self.models = ModelStore(home / "models")
        self.worker = Worker("engine", _worker_options(home, settings), process=self._engine)
        stack.callback(self.worker.stop)
        self.local = LocalConverter(
            self.worker, self.models, home / "cache" / "engine", home / "cache" / "heard"
        )
        self.musicgpt = MusicGPTConverter(
            settings.musicgpt, KeyRing().get, EngineFitter(self.worker), home / "cache" / "musicgpt", clock
        )
        stack.callback(self.musicgpt.close)
        self.converters: Mapping[str, Converter] = {
            self.musicgpt.name: self.musicgpt,
            self.local.name: self.local,
        }
        self.rules = sending_rules(settings)
        cache = Cache(home / "cache" / "results")
        listens = Listening(on=settings.hear_tempo, settings_bpm=settings.tempo_bpm)
        self.steps = ConversionSteps(
            self.journal, cache, self.converters, self.feed, clock, self.rules, listens
        )
        self.surface = self._make_surface()
        self.desk = DeliveryDesk(
            self.journal,
            clock,
            settings_bpm=settings.tempo_bpm,
            fingerprint=lambda converter, conversion: self.converters[converter].fingerprint(conversion),
            streaming=Streaming(home / "cache" / "played", self.surface.play),
        )
        self.runner = Runner(self.journal, self.steps, self.converters, self.desk.handle, clock)
        self.intake = Intake(self.journal, self.steps, self.presets, self.local, self.surface.overheard)

    def _make_surface(self) -> Hands:
        return IdleSurface(self.home)

    # What actions ask

    def folders(self) -> tuple[WatchedFolder, ...]:
        return watched_folders(self.settings)

    def submit(self, request: JobRequest) -> int:
        job_id = self.intake.submit(request).result(timeout=LOOK_TIMEOUT_S)
        assert job_id is not None, "only a watched folder's files can be old news"
        return job_id

    def project_folder_of(self, source: Path) -> Path:
        return project_folder_of(self.settings, source)

    def project_folder_of_texts(self) -> Path:
        found = next((one.project_folder for one in self.folders() if one.project_folder), None)
        return found or default_folders()[0].path

    def is_private(self, source: Path) -> bool:
        return is_private(self.settings, source)

    def quotes(self, request: JobRequest) -> list[QuotedStep]:
        preset = self.presets.get(request.preset)
        look = self.intake.look_at(request)
        duration_s = look.result(timeout=LOOK_TIMEOUT_S).duration_s
        return quotes(self.journal, self.rules, self.steps, self.converters, preset, request, duration_s)

    def cancel(self, job_id: int) -> list[ConversionRecord]:
        given_up = self.journal.cancel_job(job_id)
        for one in given_up:
            try:
                self.converters[one.converter].cancel(Ticket(one.ticket or ""))
            except BridgeError as error:
                log.warning("job %d is cancelled here, but not at %s: %s", job_id, one.converter, error)
        return [one for one in given_up if self.converters[one.converter].remote]

    def retry(self, job_id: int, *, pay: bool = False) -> None:
        for part_id in self.steps.sending.retry(job_id, pay=pay):
            self.intake.look_again(part_id)

    def resolve(self, job_id: int, fate: Fate, *, task: str = "", of: str = "") -> None:
        self.steps.sending.resolve(job_id, fate, task=task, of=of)

    def allow_upload(self, folder: Path) -> int:
        return self.journal.allow_upload(folder)

    def play(self, job_id: int, role: str, how: Mapping[str, Any]) -> Mapping[str, str]:
        return self.desk.play(job_id, role, how)

    def pause(self, *, on: bool | None) -> bool:
        self.worker.pause(on=not self.worker.paused if on is None else on)
        return self.worker.paused

    def rescan(self) -> None:
        """Without triggers there is nothing to look through."""


class Daemon(BridgeCore):
    """The whole: the core, pads and keys, the supervisor, one trigger for each folder, the control API."""

    def start(self) -> None:
        super().start()
        with ExitStack() as stack:
            stack.push(self._stack)
            self.controls.start()
            stack.callback(self.controls.stop)
            self._start_supervisor(stack)
            self._start_triggers(stack)
            port = self._start_server(stack)
            self._start_webhooks(stack)
            self._owner.announce(
                OwnerNote(os.getpid(), self.settings.server.host, port, started_at=self.clock.wall())
            )
            self.local.warm()
            self._stack = stack.pop_all()

    def _make_surface(self) -> Hands:
        from bridge.surface.control_surface import ControlSurface

        self.controls: ControlSurface = ControlSurface(
            self, self.settings, Memory(self.home), self.feed, self.clock
        )
        return self.controls

    def _start_supervisor(self, stack: ExitStack) -> None:
        children: dict[str, Child] = {"engine": _EngineChild(self.worker, self.local)}
        if self.settings.midi.enabled:
            children["midi"] = self.controls.midi
        self.supervisor = Supervisor(children, self.clock)
        self.supervisor.start()
        stack.callback(self.supervisor.stop)

    def _start_triggers(self, stack: ExitStack) -> None:
        from bridge.triggers.folder import FolderTrigger

        watched = {folder.path for folder in self.folders()}
        for folder in default_folders():
            # Our own folder is made; one that the musician named may be a drive that is not plugged in.
            if folder.path in watched:
                folder.path.mkdir(parents=True, exist_ok=True)
        self.triggers: list[FolderTrigger] = []
        for folder in self.folders():
            trigger = FolderTrigger(folder, self.intake, clock=self.clock)
            trigger.start()
            stack.callback(trigger.stop)
            self.triggers.append(trigger)

    def _start_server(self, stack: ExitStack) -> int:
        """Starts the control API and gives its port; 0 when the settings turn it off."""
        if not self.settings.server.enabled:
            return 0
        from bridge.server.control import ControlServer

        server: ControlServer = ControlServer(self, self.settings.server)
        server.start()
        stack.callback(server.stop)
        return server.port

    def _start_webhooks(self, stack: ExitStack) -> None:
        """The receiver of callbacks, where the settings name an address at which the API reaches us."""
        if not self.settings.musicgpt.webhook_url:
            return
        from bridge.server.webhooks import WebhookServer

        def awaited(nonce: str) -> bool:
            return self.journal.conversion_of_nonce(nonce) is not None

        port = self.settings.musicgpt.webhook_port
        webhooks = WebhookServer("127.0.0.1", port, self.steps.sending.called_back, awaited)
        webhooks.start()
        stack.callback(webhooks.stop)

    def rescan(self) -> None:
        for trigger in self.triggers:
            trigger.rescan("asked for")

    def status(self) -> dict[str, Any]:
        """What is going on, as plain data: folders, engine, jobs in each state."""
        return {
            "folders": [trigger.status() for trigger in self.triggers],
            "engine": {
                "running": self.worker.alive(),
                "paused": self.worker.paused,
                "restarts": self.supervisor.restarts()["engine"],
                "conversions": {
                    name: {"available": one.available, "why_not": one.why_not}
                    for name, one in self.local.capabilities().items()
                },
            },
            "musicgpt": {
                "key": any(one.available for one in self.musicgpt.capabilities().values()),
                "plan": self.settings.musicgpt.plan,
                "spent_today_usd": self.journal.spent_usd(since=day_began(self.clock.wall())),
            },
            "controls": self.controls.status(),
            "jobs": self.journal.counts(),
        }


def sending_rules(settings: Settings) -> SendingRules:
    """What the settings say about sending anything away."""
    money = settings.musicgpt

    def folder_to_ask_for(source: Path) -> Path:
        watched = folder_of(settings, source)
        return watched.path if watched else source.parent

    return SendingRules(
        caps=Caps(money.cap_day_usd, money.cap_project_usd, money.cap_conversion_usd, money.allow_unpriced),
        resubmit=money.resubmit,
        may_upload=lambda source: may_upload(settings, source),
        is_private=lambda source: is_private(settings, source),
        folder_of=folder_to_ask_for,
    )


def _worker_options(home: Path, settings: Settings) -> WorkerOptions:
    return WorkerOptions(
        threads=settings.engine_threads(),
        memory_mb=settings.engine.memory_mb,
        idle_exit_s=settings.engine.idle_exit_s,
        low_priority=settings.engine.low_priority,
        log_file=engine_log(home),
    )
