"""Faster or slower, at the same pitch or as tape does it: the local `audio_speed_changer`."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from typing import Final

import numpy as np

from bridge.engine.audio_job import AudioJob, Row, Tell
from bridge.engine.editing.attacks import find_attacks
from bridge.engine.editing.stretch import stretched
from bridge.engine.editing.writing import write_as
from bridge.engine.fitting_passes import laid, resampled
from bridge.engine.reading import exact_blocks, told_blocks
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.raw_pcm import Samples
from bridge.media.sample_depth import Floats
from bridge.media.wav_bext import Bext
from bridge.media.wav_chunks import RawChunk, Typed, WavChunks, raw_of
from bridge.media.wav_cues import Sampler
from bridge.media.wav_ixml import Ixml
from bridge.media.wav_shift import for_rate
from bridge.media.wav_tags import Acid

NAME: Final = "speed"
LISTENED: Final = 0.2
"""The share of the progress that the first pass takes."""
FINEST: Final = 1_000_000
TEMPO: Final = struct.Struct("<f")
TEMPO_AT: Final = 20


def change_speed(job: AudioJob) -> list[Row]:
    """The task: the source `speed_change_factor` times as fast, as `speed` in `output_extension`.

    It has exactly its frames / the factor, rounded. With `keep_pitch` attacks stay as they are and the sound
    between them is stretched; without, it is resampled. Markers, loops and the tempo in the file's chunks
    move with the sound. Raises AudioError, WrongUse.
    """
    factor = float(job.parameters["speed_change_factor"])
    own = AudioFormat.of(job.source)
    if factor == 1:
        with exact_blocks(job.source, own, job.check) as blocks:
            return [_written(job, own, blocks, expected_samples(job.source, own.rate_hz))]
    with closing(laid(job.source, job.check, rate_hz=own.rate_hz)) as sound:
        total = expected_samples(job.source, own.rate_hz)
        attacks = find_attacks(
            told_blocks(sound, total, _part(job.progress, 0, LISTENED), "listening for attacks"),
            own.rate_hz,
            job.check,
        )
    frames = round(attacks.frames / factor)
    like = replace(own, chunks=None if own.chunks is None else in_time(own.chunks, factor, frames))
    with closing(laid(job.source, job.check, rate_hz=own.rate_hz)) as sound:
        if job.parameters["keep_pitch"]:
            made = stretched(
                sound, attacks, factor, rate_hz=own.rate_hz, channels=own.channels, check=job.check
            )
        else:
            made = _at_most(resampled(job.source, sound, factor, 1.0, own.channels), frames)
        return [_written(job, like, made, frames)]


def _written(job: AudioJob, like: AudioFormat, blocks: Iterator[Floats], frames: int | None) -> Row:
    row = write_as(
        job,
        like,
        told_blocks(blocks, frames, _part(job.progress, LISTENED, 1), "changing the speed"),
        name=NAME,
        extension=job.parameters["output_extension"],
        rate_hz=like.rate_hz,
        is_changed=float(job.parameters["speed_change_factor"]) != 1,
    )
    job.progress(1.0, "done")
    return row


def _part(tell: Tell, start: float, end: float) -> Tell:
    return lambda fraction, doing: tell(start + (end - start) * fraction, doing)


def _at_most(blocks: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """The resampler rounds halves up, Python to even numbers: one frame may be too many."""
    for block in blocks:
        yield block[:frames]
        frames -= min(frames, len(block))


def in_time(chunks: WavChunks, factor: float, frames: int) -> WavChunks:
    """The chunks for the same sound `factor` times as fast, which then has `frames` frames at the same rate.

    Positions and lengths inside the file are scaled, acid's tempo too; where it begins in the project stays.
    """
    ratio = Fraction(factor).limit_denominator(FINEST)
    moved = for_rate(chunks, ratio.numerator, ratio.denominator)
    # What for_rate has brought to another rate is to stay at its own.
    kept: dict[type, Callable[[Typed], Typed | None]] = {
        Bext: lambda _: chunks.bext,
        Ixml: lambda _: chunks.ixml.for_cut(0, chunks.rate_hz or 1) if chunks.ixml else None,
        Sampler: lambda one: _with_period_of(one, chunks.sampler),
        Acid: lambda one: _at_tempo(one, factor),
    }

    def change(chunk: RawChunk) -> RawChunk:
        found = moved.typed(chunk)
        new = kept[type(found)](found) if found is not None and type(found) in kept else None
        return chunk if new is None else raw_of(new)

    return replace(moved.mapped(change), rate_hz=chunks.rate_hz, frames=frames)


def _with_period_of(new: Typed, old: Sampler | None) -> Typed | None:
    if old is None or not isinstance(new, Sampler):
        return None
    return replace(new, sample_period_ns=old.sample_period_ns)


def _at_tempo(old: Typed, factor: float) -> Typed | None:
    if not isinstance(old, Acid) or not np.isfinite(old.tempo_bpm):
        return None
    tempo = TEMPO.pack(old.tempo_bpm * factor)
    return Acid(old.raw[:TEMPO_AT] + tempo + old.raw[TEMPO_AT + TEMPO.size :])
