"""Whether a recording is music or speech: what is done to it depends on that."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing

from bridge.engine.audio_job import AudioJob
from bridge.engine.enhancement import noise_material
from bridge.engine.fitting_passes import laid
from bridge.engine.reading import told_blocks
from bridge.media.audio_files import expected_samples
from bridge.media.raw_pcm import Samples


def material_of(job: AudioJob) -> str:
    """Either "speech" or "music": when in doubt, music, which every treatment of speech would spoil."""
    with closing(source_at(job, noise_material.RATE_HZ, "hearing what it is", channels=1)) as blocks:
        return "speech" if noise_material.is_speech(blocks) else "music"


def source_at(
    job: AudioJob, rate_hz: int, doing: str, *, channels: int | None = None
) -> Generator[Samples, None, None]:
    """The source at a rate, telling how far it is."""
    with closing(laid(job.source, job.check, rate_hz=rate_hz, channels=channels)) as blocks:
        yield from told_blocks(blocks, expected_samples(job.source, rate_hz), job.progress, doing)
