"""Units that must not be mixed up. Plain numbers at run time; mypy keeps them apart."""

from __future__ import annotations

from typing import NewType

Seconds = NewType("Seconds", float)
Beats = NewType("Beats", float)
Ticks = NewType("Ticks", int)
Frames = NewType("Frames", int)
Bpm = NewType("Bpm", float)
