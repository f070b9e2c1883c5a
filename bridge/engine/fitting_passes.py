"""The passes over the files of a fit: each reads from front to end, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from bridge.media.audio_sources import open_source, told
from bridge.media.mp3_length import told_delay
from bridge.media.raw_pcm import Samples

RESAMPLER_QUALITY: Final = "VHQ"
FADE_S: Final = 0.25
BLOCK_FRAMES: Final = 65_536
EXACT_CODINGS: Final = ("PCM", "ALAC", "FLOAT", "DOUBLE")

Check = Callable[[], None]


@dataclass(frozen=True)
class Survey:
    """What one pass over a file has found. `loudness` is the mean square of each second from `first` on."""

    rate_hz: int
    channels: int
    frames: int
    format: str
    subtype: str
    loudness: npt.NDArray[np.float64]
    tells_delay: bool
    """True where the encoder has written down its delay, which decoding then leaves out."""

    @property
    def lossy(self) -> bool:
        return not self.subtype.startswith(EXACT_CODINGS)

    @property
    def words(self) -> str:
        channels = "1 channel" if self.channels == 1 else f"{self.channels} channels"
        return f"{self.format}, {self.rate_hz} Hz, {channels}"


def survey(path: Path, check: Check, *, first: int = 0) -> Survey:
    """Decodes the whole file once. Raises AudioError."""
    with open_source(path) as source:
        sums = np.zeros(1)
        frames = 0
        for block in source.blocks:
            check()
            seconds = np.arange(frames - first, frames - first + len(block)) // source.rate_hz
            squares = np.square(_as_numbers(block)).sum(axis=1, dtype=np.float64)
            found = np.bincount(np.maximum(seconds, 0), weights=squares * (seconds >= 0))
            sums = np.pad(sums, (0, max(0, len(found) - len(sums))))
            sums[: len(found)] += found
            frames += len(block)
        tells = False
        if source.format == "MP3":
            with told(path), path.open("rb") as file:
                tells = told_delay(file) is not None
        loudness = sums / (source.rate_hz * source.channels)
        return Survey(source.rate_hz, source.channels, frames, source.format, source.subtype, loudness, tells)


Span = tuple[int, int]
"""First frame and the one after the last; the first may lie before the file, and the last behind it."""


def excerpts(
    path: Path, spans: Sequence[Span], check: Check, *, first: int = 0, as_mono: bool = False
) -> list[Samples]:
    """Each span as (frames, channels), silence outside the file; faded where it is cut out of the sound.

    A cut at `first` counts as the file's own beginning; `as_mono` gives the mean. Raises AudioError.
    """
    end = max(stop for _, stop in spans)
    with open_source(path) as source:
        channels = 1 if as_mono else source.channels
        found = [np.zeros((stop - start, channels), np.float32) for start, stop in spans]
        frames = 0
        for block in source.blocks:
            check()
            for (start, stop), excerpt in zip(spans, found, strict=True):
                begin, after = max(start, frames), min(stop, frames + len(block))
                if begin < after:
                    part = block[begin - frames : after - frames]
                    excerpt[begin - start : after - start] = _in_channels(part, channels)
            frames += len(block)
            if frames >= end:
                break
        fade_frames = round(FADE_S * source.rate_hz)
    for (start, stop), excerpt in zip(spans, found, strict=True):
        _as_numbers(excerpt)
        _fade(excerpt, fade_frames, at_start=start > first, at_end=stop < frames)
    return found


def _fade(excerpt: Samples, frames: int, *, at_start: bool, at_end: bool) -> None:
    """A cut in the sound is a click in all frequencies, and would be found again as one."""
    frames = min(frames, len(excerpt) // 2)
    slope = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, frames, dtype=np.float32)))[:, np.newaxis]
    if at_start:
        excerpt[:frames] *= slope
    if at_end and frames:
        excerpt[-frames:] *= slope[::-1]


def laid(
    path: Path,
    check: Check,
    *,
    rate_hz: int,
    delay: int = 0,
    lead_frames: int = 0,
    channels: int | None = None,
) -> Generator[Samples, None, None]:
    """The sound of `path` at `rate_hz`, without its first `delay` frames (below 0: with silence before it).

    `lead_frames` of silence come first; `channels` are those that are wanted: one channel stays one, and is
    the mean where one is wanted. In all (frames - delay) * rate_hz / its rate, rounded. Raises AudioError.
    """
    with open_source(path) as source:
        blocks = _from(_checked(source.blocks, check), delay, source.channels)
        if rate_hz != source.rate_hz:
            blocks = resampled(path, blocks, source.rate_hz, rate_hz, source.channels)
        for block in chain(_silence(lead_frames, source.channels), blocks):
            yield block if channels is None else _in_channels(block, channels)


def _checked(blocks: Iterator[Samples], check: Check) -> Iterator[Samples]:
    for block in blocks:
        check()
        yield block


def _silence(frames: int, channels: int) -> Iterator[Samples]:
    for at in range(0, frames, BLOCK_FRAMES):
        yield np.zeros((min(BLOCK_FRAMES, frames - at), channels), np.float32)


def _from(blocks: Iterator[Samples], delay: int, channels: int) -> Iterator[Samples]:
    yield from _silence(-delay, channels)
    left = max(0, delay)
    for block in blocks:
        rest = block[left:]
        left -= len(block) - len(rest)
        if len(rest):
            yield rest


def resampled(
    path: Path, blocks: Iterator[Samples], old_hz: float, new_hz: float, channels: int
) -> Iterator[Samples]:
    """The blocks at another rate, in all exactly as many frames as last as long: halves go up.

    `path` is named where it fails.
    """
    resampler = soxr.ResampleStream(old_hz, new_hz, channels, dtype="float32", quality=RESAMPLER_QUALITY)
    given = made = 0
    for block in blocks:
        given += len(block)
        with told(path):
            out = resampler.resample_chunk(_as_numbers(np.ascontiguousarray(block)))
        made += len(out)
        if len(out):
            yield out
    with told(path):
        rest = resampler.resample_chunk(np.zeros((0, channels), np.float32), last=True)
    missing = int((2 * given * new_hz + old_hz) // (2 * old_hz)) - made
    if missing > 0:
        yield np.pad(rest[:missing], ((0, max(0, missing - len(rest))), (0, 0)))


def _in_channels(block: Samples, channels: int) -> Samples:
    have = block.shape[1]
    if have in (1, channels):
        return block
    if channels == 1:
        mean: Samples = block.mean(axis=1, keepdims=True)
        return mean
    return np.pad(block[:, :channels], ((0, 0), (0, max(0, channels - have))))


def _as_numbers(block: Samples) -> Samples:
    """The same array; what is no number in it is silence now."""
    return np.nan_to_num(block, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
