"""The surface of a bridge without pads and keys: what `bridge convert` runs by itself."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.errors import BridgeError
from bridge.media.musical_context import Told
from bridge.midi.messages import Command, Play, PlayState
from bridge.surface.memory import Memory


class IdleSurface(Memory):
    """Fulfils `actions.Surface`: it remembers, and has nothing to play with."""

    def preset_row(self) -> list[str]:
        return []

    def playing(self) -> Mapping[str, PlayState]:
        return {}

    def tell(self, command: Command) -> None:
        raise BridgeError(
            f"nobody is there for that ({type(command).__name__.lower()}).", remedy="Start it: bridge run"
        )

    def play(self, order: Play) -> str:  # noqa: ARG002  a surface's shape
        return "only a running bridge plays (`bridge run`)"

    def overheard(self, closed_at: float, duration_s: float) -> Told | None:  # noqa: ARG002  no clock is heard
        return None

    def reload(self) -> int:
        return 0
