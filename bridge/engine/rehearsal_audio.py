"""A rehearsal's results that are made of the source: bands that sum up to it, ranges, speeds, formats."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import soundfile
import soxr

from bridge.errors import AudioError
from bridge.media import audio_files
from bridge.media.audio_sources import open_source, told
from bridge.media.raw_pcm import Samples

RATE_HZ = 44_100
MOST_CHANNELS = 2
BLOCK_FRAMES = 1 << 18
LOWEST_EDGE_HZ, HIGHEST_EDGE_HZ = 150.0, 6_000.0

Row = dict[str, Any]
Blocks = Iterator[Samples]
"""(frames, channels) float32, one after the other."""

WRITTEN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "mp3": ("MP3", "MPEG_LAYER_III"),
        "wav": ("WAV", "PCM_16"),
        "flac": ("FLAC", "PCM_16"),
        "ogg": ("OGG", "VORBIS"),
    }
)
"""The formats that can be written here: libsndfile's name of each, and of how samples are kept in it."""
DEPTHS: Mapping[str, Mapping[int, str]] = MappingProxyType(
    {"wav": {16: "PCM_16", 24: "PCM_24", 32: "FLOAT"}, "flac": {16: "PCM_16", 24: "PCM_24", 32: "PCM_24"}}
)


@dataclass(frozen=True)
class Job:
    """One conversion: what was asked, the file it is about, the folder for results."""

    conversion: str
    parameters: Mapping[str, Any]
    source: Path | None
    folder: Path
    check: Callable[[], None]

    @property
    def file(self) -> Path:
        if self.source is None:
            raise AudioError("no audio came with the request.", remedy="Send an audio file.")
        return self.source


# Reading


def length_of(path: Path) -> float:
    """The seconds of sound in a file: what its header says, else all of it is read. Raises AudioError."""
    with suppress(soundfile.SoundFileError, OSError):
        info = soundfile.info(path)
        if info.frames > 0:
            return float(info.frames / info.samplerate)
    rate_hz, frames = audio_files.length_of(path)
    return frames / rate_hz


def read(job: Job, rate_hz: int = RATE_HZ, *, speed: float = 1.0) -> Blocks:
    """The source as stereo or mono at `rate_hz`, played `speed` times as fast as a tape would be."""
    with open_source(job.file) as source:
        channels = min(source.channels, MOST_CHANNELS)
        blocks = (_sane(block[:, :channels]) for block in source.blocks)
        if source.rate_hz == rate_hz and speed == 1.0:
            yield from _checked(blocks, job)
            return
        stream = soxr.ResampleStream(source.rate_hz * speed, rate_hz, channels, dtype="float32")
        for block in _checked(blocks, job):
            with told(job.file):
                yield stream.resample_chunk(block)
        with told(job.file):
            yield stream.resample_chunk(np.zeros((0, channels), np.float32), last=True)


def _sane(block: Samples) -> Samples:
    return np.clip(np.nan_to_num(block), -1.0, 1.0)


def _checked(blocks: Blocks, job: Job) -> Blocks:
    for block in blocks:
        job.check()
        yield block


def between(blocks: Blocks, first: int, last: int) -> Blocks:
    """The frames from `first` on, before `last`."""
    at = 0
    for block in blocks:
        yield block[max(0, first - at) : max(0, last - at)]
        at += len(block)


# Writing


class _File:
    """An audio file that is written in pieces; it is opened when the first of them comes."""

    def __init__(self, path: Path, rate_hz: int, subtype: str | None = None) -> None:
        self.path = path
        self._rate_hz = rate_hz
        kind, usual = WRITTEN[path.suffix[1:]]
        self._how = {"format": kind, "subtype": subtype or usual}
        self._file: soundfile.SoundFile | None = None
        self._frames = 0

    def write(self, block: Samples) -> None:
        if self._file is None:
            channels = block.shape[1] if block.ndim > 1 else 1
            with told(self.path):
                self._file = soundfile.SoundFile(self.path, "w", self._rate_hz, channels, **self._how)
        with told(self.path):
            self._file.write(block)
        self._frames += len(block)

    @property
    def seconds(self) -> float:
        return self._frames / self._rate_hz

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def written(job: Job, role: str, blocks: Blocks, **how: Any) -> Row:
    """One file in one format: `suffix`, `rate_hz`, `subtype`."""
    suffix, rate_hz = how.get("suffix", "mp3"), how.get("rate_hz", RATE_HZ)
    file = _File(job.folder / f"{role}.{suffix}", rate_hz, how.get("subtype"))
    try:
        for block in blocks:
            file.write(block)
    finally:
        file.close()
    if not file.seconds:
        raise AudioError("nothing is left of the audio.", file=job.source, remedy="Ask for a longer range.")
    return {"role": role, "file": file.path.name, "seconds": file.seconds}


def _suffix(job: Job, name: str) -> str:
    return str(job.parameters.get(name) or "mp3")


# Bands


def _bands(job: Job, roles: Sequence[str], edges_hz: Sequence[float]) -> list[Row]:
    """The source in as many bands as there are roles, from low to high; together they are the source."""
    halves = [max(1, round(0.22 * RATE_HZ / edge)) for edge in edges_hz]
    with ExitStack() as stack:
        files = [_File(job.folder / f"{role}.mp3", RATE_HZ) for role in roles]
        for file in files:
            stack.callback(file.close)
        for block, margin in _with_margins(read(job), max(halves, default=0)):
            for file, band in zip(files, _split(block, margin, halves), strict=True):
                file.write(band)
    if not files[0].seconds:
        raise AudioError("there is no sound in this file.", file=job.source, remedy="Export it again.")
    return [
        {"role": role, "file": file.path.name, "seconds": file.seconds}
        for role, file in zip(roles, files, strict=True)
    ]


def _with_margins(blocks: Blocks, margin: int) -> Iterator[tuple[Samples, int]]:
    """The sound in large blocks, each with `margin` frames of its neighbours, or silence, on both sides."""
    held: list[Samples] = []
    length = margin
    for block in blocks:
        if not held:
            held = [np.zeros((margin, block.shape[1]), np.float32)]
        held.append(block)
        length += len(block)
        if length >= BLOCK_FRAMES + 2 * margin:
            whole = np.concatenate(held)
            yield whole, margin
            held = [whole[len(whole) - 2 * margin :]]
            length = 2 * margin
    if held:
        held.append(np.zeros((margin, held[0].shape[1]), np.float32))
        whole = np.concatenate(held)
        if len(whole) > 2 * margin:
            yield whole, margin


def _split(block: Samples, margin: int, halves: Sequence[int]) -> Iterator[Samples]:
    sums = np.cumsum(np.pad(block, ((1, 0), (0, 0))), axis=0, dtype=np.float64)
    end = len(block) - margin
    below: Samples = np.zeros_like(block[margin:end])
    for half in halves:
        upper, lower = sums[margin + half + 1 : end + half + 1], sums[margin - half : end - half]
        low = ((upper - lower) / (2 * half + 1)).astype(np.float32)
        yield low - below
        below = low
    yield block[margin:end] - below


def _edges(bands: int) -> list[float]:
    """Where `bands` bands meet: evenly on the scale that ears have."""
    if bands < MOST_CHANNELS + 1:
        return [math.sqrt(LOWEST_EDGE_HZ * HIGHEST_EDGE_HZ)][: bands - 1]
    return [float(edge) for edge in np.geomspace(LOWEST_EDGE_HZ, HIGHEST_EDGE_HZ, bands - 1)]


def stems(job: Job) -> list[Row]:
    roles = list(job.parameters.get("stems") or ("vocals", "instrumental"))
    return _bands(job, roles, _edges(len(roles)))


def cleaned(edge_hz: float) -> Callable[[Job], list[Row]]:
    return lambda job: _bands(job, ("clean", "removed"), (edge_hz,))


# One file of the source


def voice(role: str) -> Callable[[Job], list[Row]]:
    """The same performance, a little darker."""

    def make(job: Job) -> list[Row]:
        halves = (3,)
        parts = _with_margins(read(job), max(halves))
        return [written(job, role, (next(_split(block, margin, halves)) for block, margin in parts))]

    return make


def cut(job: Job) -> list[Row]:
    first, last = (round(job.parameters[name] / 1000 * RATE_HZ) for name in ("start_time", "end_time"))
    return [written(job, "cut", between(read(job), first, last), suffix=_suffix(job, "output_extension"))]


def at_speed(job: Job) -> list[Row]:
    speed = float(job.parameters["speed_change_factor"])
    return [written(job, "speed", read(job, speed=speed), suffix=_suffix(job, "output_extension"))]


def mastered(job: Job) -> list[Row]:
    """Louder, and rounded off where it would go beyond full scale."""
    louder = (np.tanh(1.5 * block) for block in read(job))
    return [written(job, "master", louder, suffix=_suffix(job, "output_extension"))]


def converted(job: Job) -> list[Row]:
    suffix, rate_hz = _suffix(job, "target_format"), int(job.parameters.get("target_sr") or RATE_HZ)
    subtype = DEPTHS.get(suffix, {}).get(job.parameters.get("target_bit_depth") or 16)
    return [written(job, "converted", read(job, rate_hz), suffix=suffix, rate_hz=rate_hz, subtype=subtype)]
