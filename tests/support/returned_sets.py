"""A bounce of three parts, and what a service would send back of it: real MP3s, late and at another rate."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from support.wav_files import bext, chunk

Sound = npt.NDArray[np.float64]

BOUNCE_HZ, SERVICE_HZ = 48_000, 44_100


def parts(seconds: float = 6.0, *, seed: int = 3, rate_hz: int = BOUNCE_HZ) -> dict[str, Sound]:
    """Drums, bass and voice, each (frames, 2), which add up to a bounce below full scale."""
    rng = np.random.default_rng(seed)
    mono = {
        "drums": _drums(seconds, rate_hz, rng),
        "bass": _bass(seconds, rate_hz, rng),
        "voice": _voice(seconds, rate_hz, rng),
    }
    pans = {"drums": (0.9, 1.0), "bass": (1.0, 1.0), "voice": (1.0, 0.7)}
    gains = {name: 0.25 / max(1e-9, np.abs(one).max()) for name, one in mono.items()}
    return {name: gains[name] * one[:, np.newaxis] * pans[name] for name, one in mono.items()}


def _drums(seconds: float, rate_hz: int, rng: np.random.Generator) -> Sound:
    sound = np.zeros(round(seconds * rate_hz))
    time_s = np.arange(round(0.2 * rate_hz)) / rate_hz
    for number in range(int(seconds * 4)):
        kick = np.sin(2 * np.pi * 60 * time_s)
        hit = np.exp(-30 * time_s) * (rng.standard_normal(len(time_s)) if number % 2 else kick)
        _add(sound, round(number * rate_hz / 4), hit)
    return sound


def _bass(seconds: float, rate_hz: int, rng: np.random.Generator) -> Sound:
    sound = np.zeros(round(seconds * rate_hz))
    time_s = np.arange(round(0.48 * rate_hz)) / rate_hz
    for number in range(int(seconds * 2)):
        hertz = 55 * 2 ** (rng.integers(0, 12) / 12)
        tone = sum(np.sin(2 * np.pi * hertz * over * time_s) / over**2 for over in range(1, 6))
        _add(sound, round(number * rate_hz / 2), np.exp(-4 * time_s) * tone)
    return sound


def _voice(seconds: float, rate_hz: int, rng: np.random.Generator) -> Sound:
    sound = np.zeros(round(seconds * rate_hz))
    time_s = np.arange(round(0.9 * rate_hz)) / rate_hz
    for number in range(int(seconds)):
        hertz = 220 * 2 ** (rng.integers(0, 12) / 12)
        sung_s = time_s + 0.0004 * np.sin(2 * np.pi * 5 * time_s)
        tone = sum(np.sin(2 * np.pi * hertz * over * sung_s) / over for over in range(1, 20))
        breath = 0.01 * rng.standard_normal(len(time_s))
        _add(sound, number * rate_hz, np.minimum(1, 20 * time_s) * (tone + breath))
    return sound


def _add(sound: Sound, at: int, what: Sound) -> None:
    room = sound[at : at + len(what)]
    room += what[: len(room)]


def bounce(folder: Path, stems: Mapping[str, Sound], *, rate_hz: int = BOUNCE_HZ) -> Path:
    """The mix as a 24-bit WAV."""
    path = folder / "bounce.wav"
    sf.write(path, sum(stems.values()), rate_hz, subtype="PCM_24")
    return path


def returned(
    path: Path,
    stem: Sound,
    *,
    rate_hz: int = BOUNCE_HZ,
    delay: int = 0,
    spare: int = 0,
    service_hz: int = SERVICE_HZ,
) -> Path:
    """`stem` at the service's rate, `delay` frames late and with `spare` more behind it."""
    sound = stem if rate_hz == service_hz else soxr.resample(stem, rate_hz, service_hz, quality="VHQ")
    channels = sound.shape[1]
    late = np.concatenate(
        [np.zeros((max(0, delay), channels)), sound[max(0, -delay) :], np.zeros((spare, channels))]
    )
    kind = {".mp3": ("MP3", "MPEG_LAYER_III"), ".wav": ("WAV", "PCM_16"), ".ogg": ("OGG", "VORBIS")}[
        path.suffix
    ]
    sf.write(path, late, service_hz, format=kind[0], subtype=kind[1])
    return path


HAS_LAME = shutil.which("ffmpeg") is not None


def by_lame(
    path: Path, stem: Sound, *, with_tag: bool, rate_hz: int = BOUNCE_HZ, more: tuple[str, ...] = ()
) -> Path:
    """`stem` by ffmpeg and LAME at 44.1 kHz; without the tag decoders leave 1105 frames before it."""
    plain = path.with_suffix(".plain.wav")
    sf.write(plain, stem, rate_hz, subtype="PCM_24")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(plain), "-ar", str(SERVICE_HZ), *more]
    subprocess.run([*command, "-c:a", "libmp3lame", "-write_xing", str(int(with_tag)), str(path)], check=True)
    plain.unlink()
    return path


def lag(placed: Sound, true: Sound) -> int:
    """By how many frames `placed` is late against `true`, by cross-correlation of all channels."""
    size = 1 << (len(placed) + len(true)).bit_length()
    spectrum = sum(
        np.fft.rfft(placed[:, one], size) * np.conj(np.fft.rfft(true[:, one], size))
        for one in range(true.shape[1])
    )
    at = int(np.argmax(np.abs(np.fft.irfft(spectrum, size))))
    return at if at < size // 2 else at - size


def with_bext(path: Path, *, time_reference: int) -> None:
    """Puts a `bext` chunk before the samples of a WAV, as a DAW does."""
    body = bext(time_reference=time_reference)
    data = path.read_bytes()
    changed = data[:12] + chunk(b"bext", body) + data[12:]
    path.write_bytes(changed[:4] + struct.pack("<I", len(changed) - 8) + changed[8:])
