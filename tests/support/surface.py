"""A surface in memory: fulfils `actions.Surface` and notes what it is told."""

from __future__ import annotations

from collections.abc import Mapping

from bridge.actions import DEFAULT_PRESET
from bridge.midi.messages import Command, PlayState


class NotingSurface:
    def __init__(self) -> None:
        self.preset = DEFAULT_PRESET
        self.slots: dict[int, int] = {}
        self.row: list[str] = []
        self.told: list[Command] = []
        self.states: dict[str, PlayState] = {}
        self.reloads = 0

    def preset_row(self) -> list[str]:
        return self.row

    def select(self, preset: str) -> None:
        self.preset = preset

    def put(self, slot: int, job: int | None) -> None:
        if job is None:
            self.slots.pop(slot, None)
        else:
            self.slots[slot] = job

    def playing(self) -> Mapping[str, PlayState]:
        return self.states

    def tell(self, command: Command) -> None:
        self.told.append(command)

    def reload(self) -> int:
        self.reloads += 1
        return 3
