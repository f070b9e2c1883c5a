"""The local `deecho`: finds the echo of each channel by its cepstrum, and turns the delay line round."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.enhancement.echo_cepstrum import Cepstrum, cepstra
from bridge.engine.enhancement.echo_inverse import WithoutEcho
from bridge.engine.enhancement.echo_model import Echo, bettered, find_echo
from bridge.engine.parts import write_parts
from bridge.engine.reading import told_blocks
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat
from bridge.media.audio_sources import open_source
from bridge.media.raw_pcm import Samples

CHANNELS_AT_ONCE: Final = 8
"""Files of more channels are heard in several passes, so that their count takes no more memory."""

HEARD: Final = 0.6
"""The share of the progress that listening takes."""

Echoes = Sequence[Echo | None]


def deecho(job: AudioJob) -> list[Row]:
    """Writes `clean` and `removed`, which add up to the source. Raises AudioError."""
    own = AudioFormat.of(job.source)
    echoes = found_echoes(job.stage(0, HEARD), own)
    rows = write_parts(job, own, _cleaned(job.stage(HEARD, 1), own, echoes), ["clean"], rest="removed")
    about = _about(echoes)
    for row in rows:
        notes = filter(None, [about["note"], row["about"].get("note")])
        row["about"] |= about | {"note": ", ".join(notes)}
    job.progress(1.0, "done")
    return rows


def found_echoes(job: AudioJob, own: AudioFormat) -> list[Echo | None]:
    """The echo of each channel. The second time it is heard what the first had left."""
    found: list[Echo | None] = []
    for first in range(0, own.channels, CHANNELS_AT_ONCE):
        channels = slice(first, min(first + CHANNELS_AT_ONCE, own.channels))
        part = job.stage(first / own.channels, channels.stop / own.channels)
        echoes: list[Echo | None] = [None] * (channels.stop - first)
        heard = _cepstra(part.stage(0, 0.5), own, channels, echoes)
        echoes = [None if one is None else find_echo(one) for one in heard]
        if any(echoes):
            left = _cepstra(part.stage(0.5, 1), own, channels, echoes)
            echoes = [
                bettered(rest, echo) if rest is not None and echo is not None else None
                for rest, echo in zip(left, echoes, strict=True)
            ]
        found += echoes
    return found


def _cepstra(job: AudioJob, own: AudioFormat, channels: slice, echoes: Echoes) -> list[Cepstrum | None]:
    """Those of the channels without the echoes that are known."""
    with open_source(job.source) as source:
        blocks = (block[:, channels] for block in _told(job, own, source.blocks, "listening for an echo"))
        return cepstra(without(echoes, blocks, job.check), own.rate_hz, len(echoes), job.check)


def _told(job: AudioJob, own: AudioFormat, blocks: Iterator[Samples], doing: str) -> Iterator[Samples]:
    return told_blocks(blocks, expected_samples(job.source, own.rate_hz), job.progress, doing)


def without(echoes: Echoes, blocks: Iterable[Samples], check: Callable[[], None]) -> Iterator[Samples]:
    """Blocks of (frames, channels) float32 without the echo that each channel has."""
    lines = [None if echo is None else WithoutEcho(echo) for echo in echoes]
    for block in blocks:
        check()
        made = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        for number, line in enumerate(lines):
            if line is not None:
                made[:, number] = line.clean(made[:, number].astype(np.float64))
        yield made


def _cleaned(job: AudioJob, own: AudioFormat, echoes: Echoes) -> Iterator[tuple[Samples, ...]]:
    doing = "taking the echo out" if any(echoes) else "writing"
    with open_source(job.source) as source:
        for block in without(echoes, _told(job, own, source.blocks, doing), job.check):
            yield (block,)


def _about(echoes: Echoes) -> dict[str, Any]:
    found = [echo for echo in echoes if echo is not None]
    if not found:
        note = "no echo was found, so nothing was taken away"
        return {"quality": "good", "echo_delay_ms": None, "echo_level_db": None, "note": note}
    loudest = max(found, key=lambda echo: abs(echo.gain))
    repeats = " that repeats itself" if loudest.feedback > 0 else ""
    words = f"an echo of {loudest.delay_ms:.0f} ms at {loudest.level_db:.1f} dB{repeats} was taken out"
    if len(found) < len(echoes):
        words += f" of {len(found)} of {len(echoes)} channels"
    return {
        "quality": "good",
        "echo_delay_ms": loudest.delay_ms,
        "echo_level_db": loudest.level_db,
        "echo_feedback": round(loudest.feedback, 3),
        "note": words,
    }
