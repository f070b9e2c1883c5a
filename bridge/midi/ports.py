"""MIDI systems by RtMidi: what ports there are, and ports that are open. The only module that imports rtmidi.

`open_system` gives the first system that works; a `System` lives until its server ends (`gone`). Which ports
are opened, and when, is decided in `port_board.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from bridge.midi import jack_watch
from bridge.midi.jack_output import JackOutput
from bridge.midi.messages import Joined
from bridge.midi.port_names import ALSA, CORE_MIDI, JACK, LOOKER, WIN_MM
from bridge.midi.stamps import Stamps
from bridge.midi.status import Data

log = logging.getLogger(__name__)

OnData = Callable[[Data, float], None]
CANDIDATES = {"linux": (JACK, ALSA), "darwin": (CORE_MIDI, JACK), "win32": (WIN_MM,)}
"""What is tried, best first: where a JACK server runs, the DAW most likely is on it."""
NOT_THERE = {JACK: "no JACK server answers", ALSA: "ALSA has no sequencer"}
"""Why a system cannot be used, in plain words; the libraries' own are in the log where it is set to debug."""
INPUT_QUEUE = 4096
NAME_FREE_WITHIN_S = 1.0
LONGEST_PERIOD_S = 0.1
JACK_LARGEST = 16_000
"""Bytes; RtMidi drops larger messages to JACK without a word."""


class Input(Protocol):
    """An open input."""

    def poll(self, now: float) -> Iterator[tuple[Data, float]]:
        """What came in since the last time, with its time; nothing where it comes by callback."""
        ...

    def close(self) -> None: ...


class Output(Protocol):
    @property
    def lead_s(self) -> float:
        """So long before its time a message is best handed over."""
        ...

    def send(self, data: Data, at_s: float) -> None:
        """Sends at once, or at `at_s` where the system can. Raises OSError."""
        ...

    def close(self) -> None: ...


class System(Protocol):
    """One MIDI system. All names are those of the system."""

    api: str
    polled: bool
    """Whether its inputs must be polled."""

    def gone(self) -> bool:
        """Whether it has ended. Then nothing of it may be touched any more, not even closed."""
        ...

    @property
    def grid_s(self) -> float:
        """How far apart the moments are at which messages come in; 0: at any moment."""
        ...

    def sources(self) -> list[str]: ...
    def sinks(self) -> list[str]: ...
    def unplugged(self) -> set[str]:
        """Ports that went away since the last time, though they may be back."""
        ...

    def listen(self, name: str, on_data: OnData) -> Input:
        """Opens a source. Raises OSError."""
        ...

    def play_to(self, name: str) -> Output: ...
    def virtual_input(self, name: str, on_data: OnData) -> Input:
        """Makes a port of ours that others send to. Raises OSError, NotImplementedError."""
        ...

    def virtual_output(self, name: str) -> Output: ...
    def joined(self) -> Joined | None:
        """What our own ports are connected to; None where nobody can tell."""
        ...

    def join(self, source: str, sink: str) -> bool: ...
    def settle(self) -> None:
        """Waits until what was sent has left; at most a fifth of a second."""
        ...

    def close(self) -> None: ...


def open_system(
    backend: str, own: str, on_news: Callable[[], None], *, frame_exact: bool = False
) -> tuple[System | None, str]:
    """The system to use, or None and why there is none. Quiet and cheap, to be tried again and again."""
    try:
        import rtmidi
    except ImportError as fault:
        return None, f"python-rtmidi is not installed here ({fault})"
    wanted = CANDIDATES.get(sys.platform, CANDIDATES["linux"]) if backend == "auto" else (backend,)
    reasons = []
    for api in wanted:
        try:
            with _hushed():
                return RtMidiSystem(rtmidi, api, own, on_news, frame_exact=frame_exact), ""
        except OSError as fault:
            log.debug("%s: %s", api, fault)
            reasons.append(NOT_THERE.get(api, str(fault)))
    return None, " and ".join(reasons)


class RtMidiSystem:
    def __init__(
        self, module: Any, api: str, own: str, on_news: Callable[[], None], *, frame_exact: bool = False
    ) -> None:
        """Raises OSError where this system does not work here."""
        self.api = api
        self.polled = api == JACK
        self._own = own or LOOKER
        self._rtmidi = module
        self._number = _number(module, api)
        self._ended = False
        self._virtual: list[str] = []
        self._watch: jack_watch.JackWatch | None = None
        self._pids: jack_watch.ServerPids | None = None
        self._exact: JackOutput | None = None
        self._on_news = on_news
        os.environ["JACK_NO_START_SERVER"] = "1"
        jack = jack_watch.load() if api == JACK else None
        if jack is not None:
            self._watch = jack_watch.JackWatch(jack, f"{self._own} look", self._news)
        self._listers: tuple[Any, Any] | None = None
        if self._watch is None:
            with _as_os_error(module):
                self._listers = (
                    module.MidiIn(self._number, name=f"{self._own} look in"),
                    module.MidiOut(self._number, name=f"{self._own} look out"),
                )
        if api == JACK and jack is None:
            self._pids = jack_watch.ServerPids()
        if frame_exact and jack is not None:
            self._await_free_name(self._own)
            self._exact = JackOutput(jack, self._own)

    def _news(self, kind: str) -> None:
        if kind == jack_watch.SHUTDOWN:
            self._ended = True
        self._on_news()

    def gone(self) -> bool:
        if self._pids is not None and self._pids.gone(time.monotonic()):
            self._ended = True
        return self._ended

    @property
    def grid_s(self) -> float:
        """With JACK a message comes in at the beginning of a period, wherever in it it was."""
        return self._watch.period_s if self._watch else 0.0

    def sources(self) -> list[str]:
        return self._watch.sources() if self._watch else _listed(self._listers, 0)

    def sinks(self) -> list[str]:
        return self._watch.sinks() if self._watch else _listed(self._listers, 1)

    def unplugged(self) -> set[str]:
        return self._watch.unplugged() if self._watch else set()

    def listen(self, name: str, on_data: OnData) -> Input:
        midi_in = self._midi_in(f"{self._own} listens")
        with _as_os_error(self._rtmidi, midi_in):
            midi_in.open_port(_index(midi_in, name), self._own)
        return _RtMidiInput(midi_in, polled=self.polled, on_data=on_data)

    def virtual_input(self, name: str, on_data: OnData) -> Input:
        self._await_free_name(name)
        midi_in = self._midi_in(name)
        with _as_os_error(self._rtmidi, midi_in):
            midi_in.open_virtual_port(name)
        self._virtual.append(f"{name}:{name}")
        return _RtMidiInput(midi_in, polled=self.polled, on_data=on_data)

    def play_to(self, name: str) -> Output:
        if self._exact:
            return self._exact.open(f"to {name.replace(':', ' ')}", connect_to=name)
        with _as_os_error(self._rtmidi):
            midi_out = self._rtmidi.MidiOut(self._number, name=f"{self._own} plays")
        with _as_os_error(self._rtmidi, midi_out):
            midi_out.open_port(_index(midi_out, name), self._own)
        return _RtMidiOutput(self._rtmidi, midi_out, JACK_LARGEST if self.api == JACK else 0)

    def virtual_output(self, name: str) -> Output:
        if self._exact:
            self._virtual.append(f"{self._own}:{name}")
            return self._exact.open(name)
        self._await_free_name(name)
        self._virtual.append(f"{name}:{name}")
        with _as_os_error(self._rtmidi):
            midi_out = self._rtmidi.MidiOut(self._number, name=name)
        with _as_os_error(self._rtmidi, midi_out):
            midi_out.open_virtual_port(name)
        return _RtMidiOutput(self._rtmidi, midi_out, JACK_LARGEST if self.api == JACK else 0)

    def joined(self) -> Joined | None:
        return self._watch.joined(self._virtual) if self._watch else None

    def join(self, source: str, sink: str) -> bool:
        return bool(self._watch and self._watch.join(source, sink))

    def settle(self) -> None:
        if self.api == JACK and not self._ended:
            period_s = self._watch.period_s if self._watch else LONGEST_PERIOD_S
            time.sleep(min(3 * period_s, 2 * LONGEST_PERIOD_S))

    def close(self) -> None:
        if self._ended:
            return
        if self._exact:
            self._exact.close()
        for lister in self._listers or ():
            lister.delete()
        if self._watch:
            self._watch.close()

    def _midi_in(self, client: str) -> Any:
        with _as_os_error(self._rtmidi):
            midi_in = self._rtmidi.MidiIn(self._number, name=client, queue_size_limit=INPUT_QUEUE)
        midi_in.ignore_types(sysex=False, timing=False, active_sense=True)
        return midi_in

    def _await_free_name(self, name: str) -> None:
        """JACK takes a moment to forget a process that was killed; till then we would get another name."""
        until = time.monotonic() + NAME_FREE_WITHIN_S
        while self.api == JACK and time.monotonic() < until and not self._ended:
            if not any(one.startswith(f"{name}:") for one in (*self.sources(), *self.sinks())):
                return
            time.sleep(0.02)


class _RtMidiInput:
    def __init__(self, midi_in: Any, *, polled: bool, on_data: OnData) -> None:
        self._midi_in = midi_in
        self._polled = polled
        self._stamps = Stamps()
        if not polled:
            # Called in RtMidi's own thread, which is none of a DAW's.
            midi_in.set_callback(self._heard, on_data)

    def _heard(self, event: tuple[list[int], float], on_data: OnData) -> None:
        data, delta_s = event
        on_data(tuple(data), self._stamps.stamp(delta_s, time.perf_counter()))

    def poll(self, now: float) -> Iterator[tuple[Data, float]]:
        if not self._polled:
            return
        while (event := self._midi_in.get_message()) is not None:
            data, delta_s = event
            yield tuple(data), self._stamps.stamp(delta_s, now)
        self._stamps.nothing(now)

    def close(self) -> None:
        if not self._polled:
            self._midi_in.cancel_callback()
        self._midi_in.close_port()
        self._midi_in.delete()


class _RtMidiOutput:
    lead_s = 0.0

    def __init__(self, module: Any, midi_out: Any, largest: int) -> None:
        self._rtmidi = module
        self._midi_out = midi_out
        self._largest = largest

    def send(self, data: Data, at_s: float) -> None:  # noqa: ARG002  RtMidi only knows now
        if self._largest and len(data) > self._largest:
            raise OSError(f"a sysex of {len(data)} bytes is too long for JACK")
        try:
            self._midi_out.send_message(data)
        except (self._rtmidi.RtMidiError, ValueError) as fault:
            raise OSError(str(fault)) from fault

    def close(self) -> None:
        self._midi_out.close_port()
        self._midi_out.delete()


def _number(module: Any, api: str) -> int:
    numbers = {
        ALSA: module.API_LINUX_ALSA,
        JACK: module.API_UNIX_JACK,
        CORE_MIDI: module.API_MACOSX_CORE,
        WIN_MM: module.API_WINDOWS_MM,
    }
    if api not in numbers or numbers[api] not in module.get_compiled_api():
        raise OSError(f"RtMidi was built without {api} here")
    return int(numbers[api])


def _listed(listers: tuple[Any, Any] | None, which: int) -> list[str]:
    return list(listers[which].get_ports()) if listers else []


def _index(opener: Any, name: str) -> int:
    try:
        return list(opener.get_ports()).index(name)
    except ValueError as fault:
        raise OSError(f"{name} is not there any more") from fault


@contextlib.contextmanager
def _as_os_error(module: Any, unfinished: Any = None) -> Iterator[None]:
    """RtMidi's errors in the language of the rest; what could not be opened is thrown away."""
    try:
        yield
    except (module.RtMidiError, NotImplementedError, OSError, ValueError) as fault:
        if unfinished is not None:
            unfinished.delete()
        if isinstance(fault, (NotImplementedError, module.UnsupportedOperationError)):
            raise NotImplementedError(str(fault)) from fault
        raise OSError(str(fault)) from fault


@contextlib.contextmanager
def _hushed() -> Iterator[None]:
    """What the C libraries write to standard error in vain attempts would fill the log within days."""
    sys.stderr.flush()
    try:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:
        yield
        return
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
