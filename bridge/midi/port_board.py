"""Which MIDI ports are open: as the settings say, whatever is plugged in or out, whatever server comes."""

from __future__ import annotations

import contextlib
import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Protocol, TypeVar

from bridge.midi import messages, port_names
from bridge.midi.board import OPENED_ANEW, OWN, Incoming, SystemEnded
from bridge.midi.messages import Configure, Joined, Trouble
from bridge.midi.ports import Input, Output, System
from bridge.midi.status import Data

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
LOOK_FOR_SYSTEM_S = 1.5
CALM_S = 0.05
REMEMBERED_S = 60.0
"""So long it is tried to restore connections after a start."""
Opener = Callable[[Configure, Callable[[], None]], tuple[System | None, str]]
_HELD = "Perhaps another program holds it; it is tried again by itself."


class SystemBoard:
    """The real one. `wake` is called from any thread when something happened; `platform` as in `sys`."""

    def __init__(self, opener: Opener, wake: Callable[[], None], platform: str) -> None:
        self._opener = opener
        self._wake = wake
        self._platform = platform
        self._wanted = Configure()
        self._also_inputs: frozenset[str] = frozenset()
        self._also_outputs: frozenset[str] = frozenset()
        self._on_demand: set[str] = set()
        self._system: System | None = None
        self._why = ""
        self._next_look = math.inf  # not before there are settings
        self._looked_at = -math.inf
        self._sources: dict[str, str] = {}
        self._sinks: dict[str, str] = {}
        self._inputs: dict[str, tuple[str, Input]] = {}
        self._outputs: dict[str, tuple[str, Output]] = {}
        self._virtual_in = self._through = self._own = ""
        self._makes_ports = True
        self._arrived: deque[Incoming] = deque()
        self._renewed: list[str] = []
        self._troubles: list[Trouble] = []
        self._told: set[str] = set()
        self._news = False
        self._to_join: set[tuple[str, str]] = set()
        self._join_until = -math.inf
        self._connected: Joined | None = None
        self._joined: Joined | None = None

    # Settings

    def configure(self, wanted: Configure) -> None:
        before, self._wanted = self._wanted, wanted
        if self._system and any(getattr(before, name) != getattr(wanted, name) for name in OPENED_ANEW):
            self._close_system()
        self._on_demand.clear()
        self._next_look = -math.inf

    def also(self, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> bool:
        new = frozenset(inputs), frozenset(outputs)
        is_new = new != (self._also_inputs, self._also_outputs)
        self._also_inputs, self._also_outputs = new
        return is_new

    # Looking

    def next_look_at(self) -> float:
        # A DAW that opens a song makes ports by the hundred.
        return min(self._next_look, self._looked_at + CALM_S) if self._news else self._next_look

    def look(self, now: float) -> bool:
        self._mind_the_end()
        self._news, self._looked_at = False, now
        before = self.state()
        self._next_look = now + (LOOK_EVERY_S if self._system else LOOK_FOR_SYSTEM_S)
        if self._system is None:
            self._system, self._why = self._opener(self._wanted, self._on_news)
            if self._system is not None:
                self._next_look = now + LOOK_EVERY_S
                log.info("MIDI by %s", self._system.api)
                self._open_own(self._system)
        if self._system is not None:
            self._open_others(self._system)
            self._join_again(self._system, now)
        return self.state() != before

    def _on_news(self) -> None:
        self._news = True
        self._wake()

    def _mind_the_end(self) -> None:
        if self._system is not None and self._system.gone():
            raise SystemEnded

    def _open_own(self, system: System) -> None:
        own = self._wanted.port
        self._own = self._virtual_in = self._through = ""
        self._makes_ports = True
        if not own:
            return
        try:
            self._outputs[own] = (own, system.virtual_output(own))
            self._own = own
            self._renewed.append(own)
            name = f"{own} in"
            self._inputs[name] = (name, system.virtual_input(name, self._taker(name)))
            self._virtual_in = name
            if self._wanted.through:
                name = f"{own} Thru"
                self._outputs[name] = (name, system.virtual_output(name))
                self._through = name
        except NotImplementedError:
            self._makes_ports = False
            log.info("%s makes no virtual ports; a loopback port is used", system.api)
        except OSError as fault:
            self._trouble(f"The port “{own}” could not be made: {fault}.", "`bridge doctor` says more.")

    def _open_others(self, system: System) -> None:
        connected = system.joined()
        self._mind_the_end()  # else it would seem that the musician has taken everything apart
        self._connected = connected
        self._sources = self._listed(system.sources(), system.api)
        self._sinks = self._listed(system.sinks(), system.api)
        if not self._makes_ports:
            self._own = port_names.loopback(self._sinks, self._wanted.port)
        unplugged = system.unplugged()
        inputs, outputs = self._wanted_inputs(), self._wanted_outputs()
        kept = {self._virtual_in, *self._virtual_outputs()}
        _close_others(self._inputs, {name: self._sources[name] for name in inputs}, unplugged, kept)
        _close_others(self._outputs, {name: self._sinks[name] for name in outputs}, unplugged, kept)
        for name in inputs:
            self._open_input(system, name)
        for name in outputs:
            self._open_output(system, name)

    def _listed(self, names: Sequence[str], api: str) -> dict[str, str]:
        """Plain names, and what the system calls them."""
        own = self._wanted.port if self._makes_ports else ""
        others = [name for name in names if not port_names.is_ours(name, own)]
        return dict(zip(port_names.plain_names(others, api), others, strict=True))

    def _wanted_inputs(self) -> list[str]:
        meant = set(port_names.matching(self._sources, self._wanted.inputs))
        if not self._makes_ports:
            meant.discard(self._own)  # a loopback port would give everything back to us
        meant |= self._also_inputs
        routed = self._routed_to_us()
        return [name for name, full in self._sources.items() if name in meant and full not in routed]

    def _routed_to_us(self) -> set[str]:
        """What is connected to our own input is heard there, and must not be heard twice."""
        own = f":{self._virtual_in}"
        if not self._virtual_in or self._connected is None:
            return set()
        pairs = zip(self._connected.sources, self._connected.sinks, strict=True)
        return {source for source, sink in pairs if sink.endswith(own)}

    def _wanted_outputs(self) -> list[str]:
        patterns = (*self._wanted.outputs, *self._wanted.clock_to)
        meant = {*port_names.matching(self._sinks, patterns), *self._also_outputs, *self._on_demand}
        return [name for name in self._sinks if name in meant or name == self._own]

    def _open_input(self, system: System, name: str) -> None:
        if name in self._inputs:
            return
        full = self._sources[name]
        try:
            self._inputs[name] = full, system.listen(full, self._taker(name))
        except (OSError, NotImplementedError) as fault:
            self._trouble(f"“{name}” could not be opened: {fault}.", _HELD)

    def _open_output(self, system: System, name: str) -> bool:
        if name in self._outputs:
            return True
        full = self._sinks[name]
        try:
            self._outputs[name] = full, system.play_to(full)
        except (OSError, NotImplementedError) as fault:
            self._trouble(f"“{name}” could not be opened: {fault}.", _HELD)
            return False
        self._renewed.append(name)
        return True

    def _trouble(self, words: str, remedy: str) -> None:
        if words not in self._told:
            self._told.add(words)
            self._troubles.append(Trouble(words, remedy))

    def troubles(self) -> list[Trouble]:
        told, self._troubles = self._troubles, []
        return told

    # What there is

    def state(self) -> messages.Ports:
        if self._system is None:
            remedy = port_names.REMEDIES.get(self._platform, port_names.REMEDIES["linux"])
            why = self._why or "it was not looked for yet"
            return messages.Ports("", f"There is no MIDI here: {why}.", remedy.format(port=self._wanted.port))
        own = self._wanted.port
        why = remedy = ""
        if not self._makes_ports and not self._own:
            why = f"There is no port “{own}”, and this system lets no program make one."
            remedy = port_names.REMEDIES["win32"].format(port=own)
        return messages.Ports(
            self._system.api,
            why,
            remedy,
            inputs=tuple(self._sources),
            outputs=tuple(self._sinks),
            listening=tuple(name for name in self._inputs if name != self._virtual_in),
            playing_to=tuple(name for name in self._outputs if name in self._sinks),
            virtual=(*self._virtual_outputs(), *([self._virtual_in] if self._virtual_in else [])),
        )

    def virtual_input(self) -> str:
        return self._virtual_in

    def through(self) -> str:
        return self._through

    # In

    def polled(self) -> bool:
        return self._system is not None and self._system.polled and self._is_listening()

    def _is_listening(self) -> bool:
        """Whether anything can come in. Where nobody can tell, something may come in at our own port."""
        own, known = self._virtual_in, self._connected
        if len(self._inputs) > bool(own) or known is None:
            return bool(self._inputs)
        return bool(own) and any(sink.endswith(f":{own}") for sink in known.sinks)

    def heard(self, now: float) -> list[Incoming]:
        self._mind_the_end()
        if self.polled():
            for name, (_, port) in self._inputs.items():
                self._arrived.extend(Incoming(name, data, at_s) for data, at_s in port.poll(now))
        if not self._arrived:
            return []
        taken = [self._arrived.popleft() for _ in range(len(self._arrived))]
        return sorted(taken, key=lambda one: one.at_s)

    def _taker(self, name: str) -> Callable[[Data, float], None]:
        def take(data: Data, at_s: float) -> None:
            self._arrived.append(Incoming(name, data, at_s))
            self._wake()

        return take

    # Out

    def targets(self, pattern: str) -> list[str]:
        if pattern == OWN:
            meant = port_names.matching(self._sinks, self._wanted.outputs)
            return [name for name in dict.fromkeys((self._own, *meant)) if name in self._outputs]
        meant = port_names.matching(self._sinks, [pattern])
        ours = port_names.matching([name for name in (self._own, self._through) if name], [pattern])
        if self._system is not None:
            for name in meant:
                if name not in self._outputs and self._open_output(self._system, name):
                    self._on_demand.add(name)
        return [name for name in dict.fromkeys((*ours, *meant)) if name in self._outputs]

    def renewed(self) -> list[str]:
        names, self._renewed = self._renewed, []
        return names

    def send(self, port: str, data: Data, at_s: float) -> None:
        self._mind_the_end()
        if port not in self._outputs:
            return
        try:
            self._outputs[port][1].send(data, at_s)
        except OSError as fault:
            self._trouble(f"“{port}” did not take a message: {fault}.", "")

    def lead_s(self, port: str) -> float:
        return self._outputs[port][1].lead_s if port in self._outputs else 0.0

    def grid_s(self) -> float:
        return self._system.grid_s if self._system is not None else 0.0

    # Connections

    def joined(self) -> Joined | None:
        if self._connected is None:
            return None
        # What still waits for its other end is kept as well, should this process end meanwhile.
        known = zip(self._connected.sources, self._connected.sinks, strict=True)
        pairs = sorted({*known, *self._to_join})
        told = Joined(tuple(source for source, _ in pairs), tuple(sink for _, sink in pairs))
        before, self._joined = self._joined, told
        return told if told != before else None

    def join(self, wanted: Joined, now: float) -> None:
        self._to_join = set(zip(wanted.sources, wanted.sinks, strict=False))
        self._join_until = now + REMEMBERED_S
        if self._system is not None:
            self._join_again(self._system, now)

    def _join_again(self, system: System, now: float) -> None:
        if not self._to_join:
            return
        if now > self._join_until:
            self._to_join.clear()
            return
        for pair in sorted(self._to_join):
            if system.join(*pair):
                self._to_join.discard(pair)
                self._renewed += [name for name in self._virtual_outputs() if pair[0].endswith(f":{name}")]
        self._connected = system.joined()

    def _virtual_outputs(self) -> Sequence[str]:
        return [name for name in (self._own if self._makes_ports else "", self._through) if name]

    # The end

    def close(self) -> None:
        if self._system is not None and not self._system.gone():
            self._close_system()

    def _close_system(self) -> None:
        system, self._system = self._system, None
        if system is not None:
            system.settle()
        _close_others(self._inputs, {}, frozenset(), frozenset())
        _close_others(self._outputs, {}, frozenset(), frozenset())
        self._own = self._virtual_in = self._through = ""
        if system is not None:
            system.close()


class _Closing(Protocol):
    def close(self) -> None: ...


_Port = TypeVar("_Port", bound=_Closing)


def _close_others(
    opened: dict[str, tuple[str, _Port]],
    wanted: Mapping[str, str],
    unplugged: Collection[str],
    kept: Collection[str],
) -> None:
    """Closes what is not wanted, was unplugged since, or is another port of the same plain name now."""
    for name, (full, port) in list(opened.items()):
        if name in kept or (wanted.get(name) == full and full not in unplugged):
            continue
        del opened[name]
        with contextlib.suppress(OSError, RuntimeError):
            port.close()
