"""As much of the module rtmidi as `bridge.midi.ports` uses, for systems that are not here.

midi = RtMidiDouble(virtual=False)          as on Windows
midi.sources["Pads 1"], midi.sinks …        what is plugged in
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

OnMessage = Callable[[tuple[list[int], float], Any], None]


class _RtMidiError(Exception):
    pass


class _Unsupported(_RtMidiError):
    pass


class RtMidiDouble:
    API_LINUX_ALSA, API_UNIX_JACK, API_MACOSX_CORE, API_WINDOWS_MM = 2, 3, 1, 4
    RtMidiError, UnsupportedOperationError = _RtMidiError, _Unsupported

    def __init__(self, *, virtual: bool = True, works: bool = True, only: int = 0) -> None:
        """`only`: the API that works, if not all do."""
        self.virtual = virtual
        self._only = only
        self.works = works
        self.sources: list[str] = []
        self.sinks: list[str] = []
        self.held: set[str] = set()
        """Ports that another program has opened."""
        self.open: list[_Port] = []

    def get_compiled_api(self) -> list[int]:
        return [1, 2, 3, 4]

    def MidiIn(self, api: int, name: str, queue_size_limit: int = 0) -> _Port:  # noqa: N802
        return self._made(api, name, lambda: self.sources)

    def MidiOut(self, api: int, name: str) -> _Port:  # noqa: N802
        return self._made(api, name, lambda: self.sinks)

    def _made(self, api: int, name: str, listed: Callable[[], list[str]]) -> _Port:
        if not self.works or self._only not in (0, api):
            raise _RtMidiError("no sequencer")
        return _Port(self, name, listed)

    def port(self, name: str) -> _Port:
        """The open one of that name."""
        return next(one for one in self.open if one.name == name)


class _Port:
    def __init__(self, module: RtMidiDouble, client: str, listed: Callable[[], list[str]]) -> None:
        self._module = module
        self._listed = listed
        self.client = self.name = client
        self.sent: list[tuple[int, ...]] = []
        self._callback: tuple[OnMessage, Any] | None = None

    def get_ports(self) -> list[str]:
        return list(self._listed())

    def ignore_types(self, **which: bool) -> None:
        self.ignored = which

    def set_callback(self, callback: OnMessage, data: Any = None) -> None:
        self._callback = callback, data

    def cancel_callback(self) -> None:
        self._callback = None

    def open_port(self, number: int, name: str) -> None:
        self.name = self._listed()[number]
        if self.name in self._module.held:
            raise _RtMidiError("it is in use")
        self._module.open.append(self)

    def open_virtual_port(self, name: str) -> None:
        if not self._module.virtual:
            raise NotImplementedError("no virtual ports")
        self.name = name
        self._module.open.append(self)

    def send_message(self, data: tuple[int, ...]) -> None:
        if self.name in self._module.held:
            raise _RtMidiError("it is in use")
        self.sent.append(tuple(data))

    def receive(self, *data: int, delta_s: float = 0.0) -> None:
        assert self._callback is not None
        callback, extra = self._callback
        callback((list(data), delta_s), extra)

    def close_port(self) -> None:
        if self in self._module.open:
            self._module.open.remove(self)

    def delete(self) -> None:
        self.close_port()
