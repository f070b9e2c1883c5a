"""What the heart sees of MIDI ports. Real ones are in `port_board.py`, a fake that ships in `bridge.testing`.

Names are plain (`port_names.plain_names`). Everything is done when it is asked for, in the one thread that
asks; nothing raises but `SystemEnded`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from bridge.midi import messages
from bridge.midi.messages import Configure, Joined, Trouble
from bridge.midi.status import Data

OWN = ""
"""The pattern that means our own port."""
OPENED_ANEW = ("port", "backend", "frame_exact", "through")
"""Settings that are only taken in by closing all ports and opening them again."""


class SystemEnded(Exception):
    """The MIDI server has ended. Its objects must not even be closed: this process is to be left as it is."""


@dataclass(frozen=True, slots=True)
class Incoming:
    port: str
    data: Data
    at_s: float


class Board(Protocol):
    def configure(self, wanted: Configure) -> None:
        """Takes the settings in; `look` is due at once."""
        ...

    def look(self, now: float) -> bool:
        """Opens what is to be open and is not. True where something has changed. Raises SystemEnded."""
        ...

    def next_look_at(self) -> float: ...

    def state(self) -> messages.Ports: ...

    def heard(self, now: float) -> list[Incoming]:
        """What came in since this was last asked, in the order of time. Raises SystemEnded."""
        ...

    def polled(self) -> bool:
        """Whether inputs are open that are only heard when they are asked."""
        ...

    def also(self, inputs: Iterable[str] = (), outputs: Iterable[str] = ()) -> bool:
        """Names that are wanted for another reason than the settings, in place of those before.

        True where they are others than before; the next look opens them.
        """
        ...

    def targets(self, pattern: str) -> list[str]:
        """The outputs that a pattern means, opened now where they were not; `OWN`: our own ones."""
        ...

    def renewed(self) -> list[str]:
        """Outputs that were opened, or connected as they had been, since this was last asked."""
        ...

    def send(self, port: str, data: Data, at_s: float) -> None:
        """What goes to a port that is gone is dropped. Raises SystemEnded."""
        ...

    def lead_s(self, port: str) -> float: ...

    def grid_s(self) -> float:
        """How far apart the moments are at which messages come in; 0: at any moment."""
        ...

    def virtual_input(self) -> str: ...
    def through(self) -> str:
        """The name of our through port; empty: there is none."""
        ...

    def joined(self) -> Joined | None:
        """What our own ports are connected to, where that has changed since this was last asked."""
        ...

    def join(self, wanted: Joined, now: float) -> None:
        """Connects again what was connected, now or as soon as it is there."""
        ...

    def troubles(self) -> list[Trouble]: ...

    def close(self) -> None: ...
