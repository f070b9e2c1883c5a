"""The local `denoise`: steady noise out of music by our own filter, noise out of speech by a network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.enhancement import speech_deepfilter, speech_nsnet2
from bridge.engine.enhancement.material import material_of, source_at
from bridge.engine.enhancement.noise_floor import heard_floor
from bridge.engine.enhancement.noise_frames import Counted, Framing, sound, spectra
from bridge.engine.enhancement.noise_wiener import filtered
from bridge.engine.fitting_passes import laid, resampled
from bridge.engine.parts import write_parts
from bridge.errors import ModelError
from bridge.media.audio_files import length_of
from bridge.media.audio_format import AudioFormat
from bridge.media.raw_pcm import Samples

MUSIC_WINDOW_S: Final = 0.07
MODELS: Final = {"auto": "nsnet2", "nsnet2": "nsnet2", "deepfilternet": "deepfilternet"}
NO_NOISE: Final = "no steady noise was found, so nothing was taken away"
NO_NETWORK: Final = (
    "the network for speech is not here, so only steady noise was taken out: "
    "`bridge models pull nsnet2` fetches it"
)


def denoise(job: AudioJob) -> list[Row]:
    """The results `clean` and `removed`, which add up to the source.

    `about` has `material`, `material_was_heard` and the `models` that were used. Raises AudioError, and
    ModelError if a network that was asked for by name, or for material that was named, cannot be had.
    """
    job.progress(0.0, "listening")
    own = AudioFormat.of(job.source)
    was_heard = job.parameters["material"] == "auto"
    material = material_of(job.stage(0.0, 0.2)) if was_heard else str(job.parameters["material"])
    work = job.stage(0.2, 0.9) if was_heard else job.stage(0.0, 0.9)
    notes, models = [f"taken for {material}"] if was_heard else [], list[str]()
    if material == "music" and job.parameters["model"] != "auto":
        notes.append(f"the network {job.parameters['model']} is for speech, so it was not asked")
    parts = _speech(work, own, notes, models) if material == "speech" else _music(work, own, notes)
    rows = write_parts(job, own, ((block,) for block in parts), ["clean"], rest="removed")
    for row in rows:
        said = ", ".join([*notes, *filter(None, [row["about"].get("note")])])
        row["about"] |= {"material": material, "material_was_heard": was_heard, "quality": "good"}
        row["about"] |= {"models": models} | ({"note": said} if said else {})
    job.progress(1.0, "done")
    return rows


def _speech(job: AudioJob, own: AudioFormat, notes: list[str], models: list[str]) -> Iterator[Samples]:
    """Speech alone, by the network that is wanted; by our filter where neither was asked for nor is here."""
    asked = job.parameters
    name = MODELS[asked["model"]]
    try:
        model = job.fetch_model(name)
    except ModelError:
        if asked["material"] != "auto" or asked["model"] != "auto":
            raise
        notes.append(NO_NETWORK)
        return _music(job, own, notes)
    models.append(name)
    if name == "deepfilternet":
        return _by_deepfilternet(job, own, model)
    return _by_nsnet2(job, own, model)


def _by_nsnet2(job: AudioJob, own: AudioFormat, model: Path) -> Iterator[Samples]:
    blocks = source_at(job, own.rate_hz, "taking noise out of speech")
    heard = laid(job.source, job.check, rate_hz=speech_nsnet2.RATE_HZ)
    with closing(blocks), closing(heard):
        yield from speech_nsnet2.cleaned(blocks, heard, own.rate_hz, model, threads=job.threads)


def _by_deepfilternet(job: AudioJob, own: AudioFormat, model: Path) -> Iterator[Samples]:
    rate_hz = speech_deepfilter.RATE_HZ
    with closing(source_at(job, rate_hz, "taking noise out of speech")) as blocks:
        clean = speech_deepfilter.cleaned(blocks, model, job.check)
        if own.rate_hz == rate_hz:
            yield from clean
            return
        _, frames = length_of(job.source)
        yield from _exactly(resampled(job.source, clean, rate_hz, own.rate_hz, own.channels), frames)


def _exactly(blocks: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """The first `frames` frames; there and back again, the length may be off by one."""
    for block in blocks:
        part = block[:frames]
        frames -= len(part)
        if len(part):
            yield part


def _music(job: AudioJob, own: AudioFormat, notes: list[str]) -> Iterator[Samples]:
    """The source without its steady noise; itself where there is none. What was found goes into `notes`."""
    framing = Framing.lasting(MUSIC_WINDOW_S, own.rate_hz)
    first, second = job.stage(0.0, 0.4), job.stage(0.4, 1.0)
    with closing(source_at(first, own.rate_hz, "listening for noise")) as blocks:
        floor = heard_floor(spectra(Counted(blocks), framing, threads=job.threads), framing)
    if floor.is_quiet:
        notes.append(NO_NOISE)
    with closing(source_at(second, own.rate_hz, "taking noise out")) as blocks:
        source = Counted(blocks)
        if floor.is_quiet:
            yield from source
            return
        clean = filtered(spectra(source, framing, threads=job.threads), floor)
        yield from sound(clean, framing, source, threads=job.threads)
