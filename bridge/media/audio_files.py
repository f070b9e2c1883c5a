"""Audio files as the engine wants them: checked, hashed, and as a stream of mono samples.

Runs in the engine's worker, never in the daemon: it imports numpy, soundfile and soxr.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from bridge.errors import AudioError
from bridge.media.audio_sources import Source, open_source, told
from bridge.media.raw_pcm import Samples

RESAMPLER_QUALITY = "HQ"


@dataclass(frozen=True)
class AudioInfo:
    """What one pass over an audio file found.

    `samples_sha256` is over the decoded samples, their rate and channel count: the same in any lossless
    container that holds them exactly. `warnings` are sentences for the musician.
    """

    samples_sha256: str
    frames: int
    channels: int
    rate_hz: int
    format: str
    subtype: str
    duration_s: float
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "warnings": list(self.warnings)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> AudioInfo:
        """The info that `to_json` described. Raises TypeError or KeyError for other data."""
        return cls(**{**data, "warnings": tuple(data["warnings"])})


def _go_on() -> None:
    """The `check` of a caller that never cancels."""


def probe(path: Path, *, check: Callable[[], None] = _go_on) -> AudioInfo:
    """Decodes the whole file once, in bounded memory.

    `check` is called at each block (about a second of sound) and may raise to cancel. Raises AudioError.
    """
    with open_source(path) as source:
        digest = hashlib.sha256(struct.pack("<II", source.rate_hz, source.channels))
        frames = not_numbers = 0
        for block in source.blocks:
            check()
            not_numbers += _silence_what_is_no_number(block)
            np.add(block, 0, out=block)  # -0.0 becomes 0.0: formats of whole numbers have only one zero
            digest.update(block.astype("<f4", copy=False).data.cast("B"))
            frames += len(block)
        _refuse_empty(path, frames)
    return AudioInfo(
        samples_sha256=digest.hexdigest(),
        frames=frames,
        channels=source.channels,
        rate_hz=source.rate_hz,
        format=source.format,
        subtype=source.subtype,
        duration_s=frames / source.rate_hz,
        warnings=(*source.warnings, *_warn_of(not_numbers)),
    )


def length_of(path: Path) -> tuple[int, int]:
    """Rate in Hz and frames, by decoding the whole file. Raises AudioError."""
    with open_source(path) as source:
        frames = sum(len(block) for block in source.blocks)
        _refuse_empty(path, frames)
        return source.rate_hz, frames


def expected_samples(path: Path, rate_hz: int) -> int | None:
    """How many samples at `rate_hz` the header promises, for a progress only; None if it does not say."""
    with suppress(soundfile.SoundFileError, OSError, ValueError):
        info = soundfile.info(path)
        return int(info.frames / info.samplerate * rate_hz)
    return None


def read_mono(path: Path, *, rate_hz: int, check: Callable[[], None] = _go_on) -> Iterator[Samples]:
    """The file as blocks of (frames,) float32, the mean of its channels, at `rate_hz`.

    Together they have round(frames * rate_hz / source rate) samples, within one. Samples that are no numbers
    are silence. Memory is bounded; closing the iterator closes the file. `check` as in `probe`.
    Raises AudioError, ValueError for a rate that is not positive.
    """
    if rate_hz <= 0:
        raise ValueError("rate_hz must be above 0")
    with open_source(path) as source:
        mono = _mono_blocks(path, source, check)
        if source.rate_hz == rate_hz:
            yield from mono
            return
        resampler = soxr.ResampleStream(
            source.rate_hz, rate_hz, 1, dtype="float32", quality=RESAMPLER_QUALITY
        )
        for block in mono:
            with told(path):
                resampled = resampler.resample_chunk(block)
            if len(resampled):
                _silence_what_is_no_number(resampled)
                yield resampled
        with told(path):
            rest = resampler.resample_chunk(np.empty(0, np.float32), last=True)
        if len(rest):
            _silence_what_is_no_number(rest)
            yield rest


def _mono_blocks(path: Path, source: Source, check: Callable[[], None]) -> Iterator[Samples]:
    shares = np.full(source.channels, 1 / source.channels, np.float32)
    frames = 0
    for block in source.blocks:
        check()
        _silence_what_is_no_number(block)
        frames += len(block)
        yield block[:, 0].copy() if source.channels == 1 else block @ shares
    _refuse_empty(path, frames)


def _refuse_empty(path: Path, frames: int) -> None:
    if frames == 0:
        words = "there is no sound in this file (0 samples)."
        raise AudioError(words, remedy="Check the export's range and export it again.", file=path)


def _silence_what_is_no_number(block: Samples) -> int:
    """Sets NaN and infinite samples to 0 in place; how many there were."""
    with np.errstate(all="ignore"):
        if np.isfinite(block.sum()):  # much faster than looking at each, and never wrong in this direction
            return 0
    bad = ~np.isfinite(block)
    block[bad] = 0
    return int(np.count_nonzero(bad))


def _warn_of(not_numbers: int) -> tuple[str, ...]:
    if not_numbers == 0:
        return ()
    if not_numbers == 1:
        return ("1 sample was not a number; taken as silence",)
    return (f"{not_numbers:,} samples were not numbers; taken as silence",)
