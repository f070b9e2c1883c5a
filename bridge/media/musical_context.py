"""What is known about the music of a bounce, and where each value comes from. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bridge.media.file_names import tempo_from_name

ASSUMED_TEMPO_BPM = 120.0

TempoSource = Literal["file name", "preset", "settings", "assumed"]


@dataclass(frozen=True)
class MusicalContext:
    """`tempo_source` tells where the tempo is from; "assumed" means that nobody knew better."""

    tempo_bpm: float
    tempo_source: TempoSource

    def note(self) -> str:
        """In plain words, for the musician."""
        if self.tempo_source == "assumed":
            return f"tempo unknown, written at {self.tempo_bpm:g} BPM"
        return f"{self.tempo_bpm:g} BPM from the {self.tempo_source}"


def context_of(bounce: Path, *, preset_bpm: float | None, settings_bpm: float | None) -> MusicalContext:
    """The best that is known: the bounce's name, else the preset, else the settings, else 120 BPM."""
    candidates: tuple[tuple[float | None, TempoSource], ...] = (
        (tempo_from_name(bounce.stem), "file name"),
        (preset_bpm, "preset"),
        (settings_bpm, "settings"),
    )
    for bpm, source in candidates:
        if bpm is not None:
            return MusicalContext(bpm, source)
    return MusicalContext(ASSUMED_TEMPO_BPM, "assumed")
