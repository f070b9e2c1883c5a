"""Audio files changed without any model: the local `file_convert`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.editing.writing import rate_for, target_of, write_as
from bridge.engine.fitting_passes import laid
from bridge.engine.reading import exact_blocks, told_blocks
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.sample_depth import Floats

NAME: Final = "converted"


def file_convert(job: AudioJob) -> list[Row]:
    """The task: the source in another format, rate and depth, as `converted`.

    `target_format` is a name of TARGETS; `target_sr` and `target_bit_depth` (for WAV and FLAC) are the
    source's own where they are None. Raises AudioError, WrongUse.
    """
    name = job.parameters["target_format"]
    target_of(name, "target_format")
    own = AudioFormat.of(job.source)
    rate_hz, notes = rate_for(name, job.parameters.get("target_sr") or own.rate_hz)
    with _sound(job, own, rate_hz) as sound:
        row = write_as(
            job,
            own,
            told_blocks(sound, expected_samples(job.source, rate_hz), job.progress, "converting"),
            name=NAME,
            extension=name,
            rate_hz=rate_hz,
            bits=job.parameters.get("target_bit_depth"),
            is_changed=rate_hz != own.rate_hz,
        )
    job.progress(1.0, "done")
    all_notes = [*notes, *([row["about"]["note"]] if row["about"] else [])]
    return [row | {"about": {"note": ", ".join(all_notes)} if all_notes else {}}]


@contextmanager
def _sound(job: AudioJob, own: AudioFormat, rate_hz: int) -> Iterator[Iterator[Floats]]:
    if rate_hz == own.rate_hz:
        with exact_blocks(job.source, own, job.check) as blocks:
            yield blocks
    else:
        with closing(laid(job.source, job.check, rate_hz=rate_hz)) as resampled:
            yield resampled
