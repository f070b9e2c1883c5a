"""`ControlSurface`: presses become actions, the event feed becomes lights, what the clock says is kept."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bridge import actions, config
from bridge.clock import Clock
from bridge.config import Settings
from bridge.config_controls import arguments_for
from bridge.errors import BridgeError, NoMidi
from bridge.jobs.events import EventFeed
from bridge.jobs.model import JOB_OPEN, JobState
from bridge.jobs.records import Event
from bridge.media import musical_context
from bridge.midi import messages
from bridge.midi.child import MidiChild, midi_log
from bridge.midi.messages import Command, Configure, LightState, Play, PlayState, Told
from bridge.midi.port_names import matching
from bridge.surface.board import Facts, light_of
from bridge.surface.clock_log import ClockLog
from bridge.surface.memory import Memory
from bridge.surface.wiring import check_controls, control_doubts
from bridge.triggers.hotkey import Hotkeys

log = logging.getLogger(__name__)

INSTANT = frozenset({"panic", "stop", "loop", "tap_tempo", "tempo", "transport"})
"""Actions that only hand on a command: they are done where the press arrives, ahead of all others."""
HANDS = 4
FLASH_S = 2.0
_LAST = Event(None, 0.0, None, "stop", {})  # ends the thread that reads the feed
JOB_EVENTS = frozenset({"job.created", "job.state"})
OVER = frozenset({"ended", "stopped"})


class ControlSurface:
    """Fulfils `actions.Surface`. `start` and `stop` are called once each."""

    def __init__(
        self,
        bridge: actions.Bridge,
        settings: Settings,
        memory: Memory,
        feed: EventFeed,
        clock: Clock,
        *,
        load: Callable[[Path], Settings] = config.load,
        make_child: Callable[..., MidiChild] = MidiChild,
        make_hotkeys: Callable[..., Hotkeys[int]] = Hotkeys,
    ) -> None:
        self._bridge = bridge
        self._settings = settings
        self._memory = memory
        self._feed = feed
        self._load = load
        self.clock_log = ClockLog()
        self.midi = make_child(self._configure, self._told, midi_log(bridge.home), clock)
        self._make_hotkeys = make_hotkeys
        self._hotkeys: Hotkeys[int] | None = None
        self._lock = threading.RLock()
        self._facts = Facts(memory.preset, memory.slots)
        self._shown: dict[int, LightState] = {}
        self._ports: messages.Ports | None = None
        self._clock_told: messages.ClockTold | None = None
        self._stack = ExitStack()

    # Life

    def start(self) -> None:
        """Raises ConfigError where pads or keys are mapped to what does not exist."""
        check_controls(self._settings, self._bridge.home)
        self._tell_doubts()
        with ExitStack() as stack:
            self._pool = ThreadPoolExecutor(HANDS, thread_name_prefix="hands")
            stack.callback(self._pool.shutdown, wait=False, cancel_futures=True)
            self._look_at_open_jobs()
            self._follow(stack)
            if self._settings.midi.enabled:
                self.midi.start()
                stack.callback(self.midi.stop)
            self._start_hotkeys()
            stack.callback(self._stop_hotkeys)
            self._stack = stack.pop_all()

    def stop(self) -> None:
        self._stack.close()

    def _follow(self, stack: ExitStack) -> None:
        events = stack.enter_context(self._feed.subscribe())
        thread = threading.Thread(target=self._read_feed, args=(events,), name="lights", daemon=True)
        thread.start()
        stack.callback(thread.join)
        stack.callback(events.put, _LAST)

    def _tell_doubts(self) -> None:
        for doubt in control_doubts(self._settings, self._bridge.presets.get):
            log.warning("%s", doubt)

    def _start_hotkeys(self) -> None:
        keys = self._settings.hotkeys
        if keys:
            bindings = [(one.keys, number) for number, one in enumerate(keys)]
            self._hotkeys = self._make_hotkeys(bindings, self._key_pressed)
            self._hotkeys.start()

    def _stop_hotkeys(self) -> None:
        if self._hotkeys is not None:
            self._hotkeys.stop()
            self._hotkeys = None

    def _configure(self) -> Configure:
        settings = self._settings
        return settings.midi.configure(settings.pads, settings.tempo_bpm)

    # What actions ask

    @property
    def preset(self) -> str:
        return self._memory.preset

    @property
    def slots(self) -> Mapping[int, int]:
        return self._memory.slots

    def preset_row(self) -> list[str]:
        return list(self._settings.midi.presets)

    def select(self, preset: str) -> None:
        self._memory.select(preset)
        self._feed.tell("preset.selected", preset=preset)
        self._refresh()

    def put(self, slot: int, job: int | None) -> None:
        self._memory.put(slot, job)
        self._refresh()

    def playing(self) -> Mapping[str, PlayState]:
        with self._lock:
            return dict(self._facts.playing)

    def tell(self, command: Command) -> None:
        if not self._settings.midi.enabled:
            raise NoMidi("MIDI is turned off.", remedy="Set midi.enabled = true in config.toml.")
        self.midi.tell(command)

    def play(self, order: Play) -> str:
        if not self._settings.midi.enabled:
            return "MIDI is turned off (midi.enabled in config.toml)"
        if self._ports is None:
            return "MIDI is not up yet"
        if not (self._ports.virtual or self._ports.playing_to):
            return "there is no MIDI port (`bridge doctor` says why)"
        there = (*self._ports.outputs, *self._ports.virtual)
        if order.port and not matching(there, [order.port]):
            return f"no port is like “{order.port}” (`bridge ports` lists them)"
        with self._lock:
            self._facts.playing[order.id] = "armed" if order.armed else "waiting"
        self.midi.tell(order)
        return ""

    def overheard(self, closed_at: float, duration_s: float) -> musical_context.Told | None:
        return self.clock_log.told(closed_at, duration_s)

    def reload(self) -> int:
        settings = self._load(self._bridge.home)
        check_controls(settings, self._bridge.home)
        self._settings = settings
        self._tell_doubts()
        self._stop_hotkeys()
        self._start_hotkeys()
        self._shown.clear()
        self.midi.reconfigure()
        self._refresh()
        return len(settings.pads) + len(settings.hotkeys)

    def status(self) -> dict[str, Any]:
        """Ports, clock, keys, and what plays, as plain data."""
        ports, clock, hotkeys = self._ports, self._clock_told, self._hotkeys
        keys = hotkeys.state() if hotkeys else None
        return {
            "enabled": self._settings.midi.enabled,
            "running": self.midi.alive(),
            "api": ports.api if ports else "",
            "why": ports.why if ports else "",
            "remedy": ports.remedy if ports else "",
            "listening": list(ports.listening) if ports else [],
            "own_ports": list(ports.virtual) if ports else [],
            "playing_to": list(ports.playing_to) if ports else [],
            "clock": {"source": clock.source, "running": clock.running, "bpm": clock.bpm} if clock else None,
            "hotkeys": {"ready": keys.ready, "why": keys.why, "remedy": keys.remedy} if keys else None,
            "pads": len(self._settings.pads),
            "preset": self.preset,
            "slots": {str(slot): job for slot, job in self.slots.items()},
            "playing": dict(self.playing()),
        }

    # What the MIDI process says; on its reading thread, so nothing here waits

    def _told(self, told: Told) -> None:
        match told:
            case messages.Pressed():
                self._pad_pressed(told)
            case messages.ClockTold():
                self._clock_told = told
                self.clock_log.add(told)
            case messages.PlayTold():
                self._play_told(told)
            case messages.Ports():
                self._ports_told(told)
            case messages.Trouble():
                log.warning("%s %s", told.words, told.remedy)
            case _:
                log.debug("the MIDI process says %r", told)

    def _ports_told(self, ports: messages.Ports) -> None:
        before, self._ports = self._ports, ports
        if before is None or _open_ports(before) != _open_ports(ports):
            self._feed.tell("midi.ports", api=ports.api, why=ports.why, **_open_ports(ports))
        if ports.why and (before is None or before.why != ports.why):
            log.warning("%s %s", ports.why, ports.remedy)
        # A process that was started again knows nothing of what its lights showed.
        self._shown.clear()
        self._refresh()

    def _play_told(self, told: messages.PlayTold) -> None:
        if told.why:
            log.warning("%s: %s", told.id, told.why)
        with self._lock:
            if told.state in OVER:
                self._facts.playing.pop(told.id, None)
            else:
                self._facts.playing[told.id] = told.state
        self._feed.tell("playing.state", playing=told.id, state=told.state, why=told.why)
        self._refresh()

    # Presses

    def _pad_pressed(self, pressed: messages.Pressed) -> None:
        pads = self._settings.pads
        if pressed.pad >= len(pads):
            return  # of a mapping that was taken out meanwhile
        pad = pads[pressed.pad]
        arguments = arguments_for(pad, pressed.value)
        if pad.action == "tap_tempo":
            arguments = {**arguments, "at_s": pressed.at_s}
        self._press(pad.action, arguments, f"pad {pad.message}", pressed.pad)

    def _key_pressed(self, number: int) -> None:
        keys = self._settings.hotkeys
        if number < len(keys):
            key = keys[number]
            self._press(key.action, dict(key.with_), f"keys {key.keys}", None)

    def _press(self, action: str, arguments: dict[str, Any], trigger: str, pad: int | None) -> None:
        row = actions.ACTIONS[action]
        if "preset" in row.parameters:
            arguments.setdefault("trigger", trigger)
        if row.name in INSTANT:
            self._perform(action, arguments, trigger, pad)
        else:
            self._pool.submit(self._perform, action, arguments, trigger, pad)

    def _perform(self, action: str, arguments: Mapping[str, Any], trigger: str, pad: int | None) -> None:
        try:
            actions.perform(self._bridge, action, arguments)
        except BridgeError as error:
            log.warning("%s (%s): %s %s", action, trigger, error.message, error.remedy or "")
            self._flash(pad)
        except Exception:
            log.exception("%s (%s) stumbled", action, trigger)
            self._flash(pad)

    # Lights

    def _flash(self, pad: int | None) -> None:
        """The pad shows for a moment that it did not work."""
        if pad is None:
            return
        with self._lock:
            self._shown[pad] = "failed"
            self.midi.tell(messages.Light(pad, "failed"))
        back = threading.Timer(FLASH_S, self._refresh)
        back.daemon = True
        back.start()

    def _refresh(self) -> None:
        """Tells every light that is another one than before."""
        with self._lock:
            self._facts.preset, self._facts.slots = self._memory.preset, self._memory.slots
            for number, pad in enumerate(self._settings.pads):
                state = light_of(pad.action, pad.with_, self._facts)
                if self._shown.get(number) != state:
                    self._shown[number] = state
                    self.midi.tell(messages.Light(number, state))

    def _look_at_open_jobs(self) -> None:
        for job in reversed(self._bridge.journal.jobs(limit=1000, states=JOB_OPEN)):
            self._look_at(job.id)

    def _read_feed(self, events: queue.Queue[Event]) -> None:
        while (event := events.get()) is not _LAST:
            if event.kind in JOB_EVENTS and event.job_id is not None:
                try:
                    self._look_at(event.job_id)
                    self._refresh()
                except Exception:
                    log.exception("a light could not be told")

    def _look_at(self, job_id: int) -> None:
        job = self._bridge.journal.job(job_id)
        if job is not None:
            with self._lock:
                self._facts.latest = self._facts.of_preset[job.preset] = job.state
                self._facts.waiting_for_you = bool(
                    self._bridge.journal.jobs(limit=1, states=(JobState.NEEDS_YOU,))
                )


def _open_ports(ports: messages.Ports) -> dict[str, list[str]]:
    """What a musician is told of when it changes; not of each port that comes or goes elsewhere."""
    return {
        "own": list(ports.virtual),
        "playing_to": list(ports.playing_to),
        "listening": list(ports.listening),
    }
