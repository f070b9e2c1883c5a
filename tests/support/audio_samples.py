"""Small audio files for tests, made here: a phrase in any format, and headers made wrong."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf

RATE_HZ = 48_000


def phrase(*, frames: int = 4800, channels: int = 2, seed: int = 7) -> npt.NDArray[np.float64]:
    """(frames, channels) of noise and a sine, exact in 16 bits, below full scale."""
    rng = np.random.default_rng(seed)
    time = np.arange(frames)[:, np.newaxis] / RATE_HZ
    sound = 0.4 * np.sin(2 * np.pi * 440 * time) + 0.1 * rng.standard_normal((frames, channels))
    return np.round(np.clip(sound, -0.99, 0.99) * 2**15) / 2**15


def write(
    path: Path,
    sound: npt.NDArray[np.float64],
    *,
    kind: str = "WAV",
    subtype: str = "PCM_16",
    rate_hz: int = RATE_HZ,
) -> Path:
    """Writes `sound`; returns `path`."""
    sf.write(path, sound, rate_hz, format=kind, subtype=subtype)
    return path


def plain_wav(
    body: bytes,
    *,
    riff_size: int | None = None,
    data_size: int | None = None,
    channels: int = 1,
    bits: int = 16,
    rate_hz: int = RATE_HZ,
    tag: int = 1,
    order: str = "<",
) -> bytes:
    """The bytes of a WAV with a 44-byte header that may lie about its sizes."""
    frame_bytes = channels * bits // 8
    fmt = struct.pack(f"{order}HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)
    data_size = len(body) if data_size is None else data_size
    riff_size = 36 + len(body) if riff_size is None else riff_size
    magic = b"RIFF" if order == "<" else b"RIFX"
    head = magic + struct.pack(f"{order}I", riff_size) + b"WAVEfmt " + struct.pack(f"{order}I", 16) + fmt
    return head + b"data" + struct.pack(f"{order}I", data_size) + body
