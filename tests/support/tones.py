"""Small pieces of music for tests, written as real audio files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE_HZ = 48_000


def write_tone(path: Path, *, seconds: float = 1.0, hertz: float = 440.0, subtype: str = "PCM_24") -> None:
    """Plucked notes of one pitch, two a second, in mono."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    decay = np.exp(-5.0 * (time_s % 0.5))
    harmonics = sum(np.sin(2 * np.pi * hertz * n * time_s) / n**2 for n in range(1, 6))
    soundfile.write(path, 0.3 * decay * harmonics, RATE_HZ, subtype=subtype)
