"""Audio files changed without any model: the local `file_convert`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile as sf

from bridge.engine.audio_job import AudioJob, Row, Tell
from bridge.engine.editing.ffmpeg_coding import encode
from bridge.engine.fitting_passes import Check, laid
from bridge.errors import AudioError, WrongUse
from bridge.media.audio_files import expected_samples
from bridge.media.audio_format import AudioFormat, name_for_libsndfile
from bridge.media.audio_writing import told_of_coding, write_set
from bridge.media.raw_pcm import Samples
from bridge.media.sample_depth import FINENESS, FLOAT_BITS, PCM_BITS
from bridge.media.whole_files import discard, hidden_beside, settle

NAME: Final = "converted"
LAST_TOLD: Final = 0.95
MP3_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AAC_RATES_HZ: Final = (*MP3_RATES_HZ, 64_000, 88_200, 96_000)
OPUS_RATES_HZ: Final = (48_000,)
FLAC_BITS: Final = 24
# libsndfile's scale from 0 (best) to 1: some 245 kbit/s as MP3, quality 7 as Vorbis.
CODINGS: Final[Mapping[str, Mapping[str, Any]]] = {
    "mp3": {
        "format": "MP3",
        "subtype": "MPEG_LAYER_III",
        "compression_level": 0.0,
        "bitrate_mode": "VARIABLE",
    },
    "ogg": {"format": "OGG", "subtype": "VORBIS", "compression_level": 0.3},
}
CODED_FRAMES: Final = 4096
"""libsndfile's Vorbis puts a whole block on the stack."""

CARRIED_TAGS: Final = frozenset({"title", "artist", "album", "genre", "date", "tracknumber", "copyright"})


@dataclass(frozen=True)
class Asked:
    """What is to be made: `blocks` are already at `rate_hz`; `bits` None is the source's own depth."""

    source: Path
    own: AudioFormat
    name: str
    blocks: Iterator[Samples]
    rate_hz: int
    bits: int | None
    path: Path
    check: Check


Words = list[str]


@dataclass(frozen=True)
class Target:
    """How a format is written. `rates_hz` empty: any; `most_channels` 0: any."""

    media_type: str
    write: Callable[[Asked], tuple[Path, Words]]
    rates_hz: tuple[int, ...] = ()
    most_channels: int = 0


def file_convert(job: AudioJob) -> list[Row]:
    """The task: the source in another format, rate and depth, as `converted`.

    `target_format` is a name of TARGETS; `target_sr` and `target_bit_depth` (for WAV and FLAC) are the
    source's own where they are None. Raises AudioError, WrongUse.
    """
    source, parameters, check = job.source, job.parameters, job.check
    name = parameters["target_format"]
    target = TARGETS.get(name)
    if target is None:
        raise WrongUse(f"target_format must be one of {', '.join(TARGETS)}, not {name!r}")
    own = AudioFormat.of(source)
    if 0 < target.most_channels < own.channels:
        words = f"{name} holds {target.most_channels} channels at most, and this has {own.channels}."
        raise AudioError(words, remedy="Take wav, or bounce it in stereo.", file=source)
    asked_hz = parameters.get("target_sr") or own.rate_hz
    rate_hz = _nearest(asked_hz, target.rates_hz)
    with ExitStack() as stack:
        sound = laid(source, check, rate_hz=rate_hz)
        stack.callback(sound.close)
        blocks = _told(sound, expected_samples(source, rate_hz), job.progress)
        bits = parameters.get("target_bit_depth")
        asked = Asked(source, own, name, blocks, rate_hz, bits, job.folder / f"{NAME}.{name}", check)
        path, notes = target.write(asked)
    if rate_hz != asked_hz:
        notes.insert(0, f"{rate_hz / 1000:g} kHz, as {name} has no {asked_hz / 1000:g} kHz")
    job.progress(1.0, "done")
    about = {"note": ", ".join(notes)} if notes else {}
    return [{"role": NAME, "file": path.name, "media_type": target.media_type, "about": about}]


def _nearest(wanted: int, rates_hz: tuple[int, ...]) -> int:
    """The lowest rate that keeps all of it, else the highest."""
    if not rates_hz:
        return wanted
    return min((rate for rate in rates_hz if rate >= wanted), default=max(rates_hz))


def _told(blocks: Iterator[Samples], total: int | None, progress: Tell) -> Iterator[Samples]:
    frames = 0
    for block in blocks:
        yield block
        frames += len(block)
        progress(min(LAST_TOLD, frames / total) if total else 0.0, "converting")


# WAV and FLAC: the samples as they are, chunks kept


def _as_samples(asked: Asked) -> tuple[Path, Words]:
    own, container = asked.own, asked.name.upper()
    subtype, words = _depth(own, asked.bits, is_flac=container == "FLAC")
    suffix = f".{asked.name}"
    like = replace(own, suffix=suffix, warnings=())
    if own.container != container:
        like = AudioFormat(container, own.subtype, own.rate_hz, own.channels, suffix, tags=own.tags)
        if own.chunks is not None or own.has_more or own.blocks:
            words.append(f"markers and other chunks of the {own.container} are not kept in the {container}")
    is_same = asked.rate_hz == own.rate_hz and FINENESS[subtype] >= FINENESS[own.subtype]
    clipping = _Clipping()
    is_exact = subtype in PCM_BITS and (asked.bits is not None or container == "FLAC")
    blocks = clipping.of(asked.blocks, PCM_BITS[subtype]) if is_exact else asked.blocks
    written = write_set(
        {NAME: blocks},
        like,
        asked.path.parent,
        rate_hz=asked.rate_hz,
        subtype=subtype,
        dither=True,
        is_changed=not is_same,
        check=asked.check,
    )
    return written.paths[NAME], [*words, *clipping.words(), *written.warnings]


def _depth(own: AudioFormat, bits: int | None, *, is_flac: bool) -> tuple[str, Words]:
    """libsndfile's name of the depth; 32 bits are floats where the source has them."""
    if bits is None:
        own_bits = (FLOAT_BITS | PCM_BITS)[own.subtype]
        if not is_flac:
            return ("PCM_U8" if own.subtype == "PCM_S8" else own.subtype), []
        return ("PCM_S8" if own_bits < PCM_BITS["PCM_16"] else f"PCM_{min(own_bits, FLAC_BITS)}"), []
    if is_flac and bits > FLAC_BITS:
        return f"PCM_{FLAC_BITS}", [f"{FLAC_BITS} bits, as FLAC is not written with more"]
    is_float = bits == FLOAT_BITS["FLOAT"] and own.subtype in FLOAT_BITS
    return ("FLOAT" if is_float else f"PCM_{bits}"), []


@dataclass
class _Clipping:
    """Somebody who names a depth gets it: what is beyond full scale is cut off, counted and told."""

    count: int = field(default=0)

    def of(self, blocks: Iterator[Samples], bits: int) -> Iterator[Samples]:
        highest = np.float32(1 - 2.0 ** (1 - min(bits, FLAC_BITS)))
        for block in blocks:
            self.count += int(np.count_nonzero((block > 1) | (block < -1)))
            yield np.clip(block, np.float32(-1), highest)

    def words(self) -> Words:
        return [f"{self.count:,} samples beyond full scale were clipped"] if self.count else []


# What libsndfile codes


def _coded(asked: Asked) -> tuple[Path, Words]:
    temp = hidden_beside(asked.path)
    tags = _tags(asked.source)
    try:
        with told_of_coding(asked.path):
            coding = CODINGS[asked.name]
            with sf.SoundFile(
                name_for_libsndfile(temp), "w", asked.rate_hz, asked.own.channels, **coding
            ) as file:
                for name, text in tags.items():
                    setattr(file, name, text)
                for block in asked.blocks:
                    for at in range(0, len(block), CODED_FRAMES):
                        file.write(block[at : at + CODED_FRAMES])
            with temp.open("r+b") as written:
                settle(written)
            temp.replace(asked.path)
    finally:
        discard(temp)
    return asked.path, []


def _tags(source: Path) -> Mapping[str, str]:
    """Titles and the like; nothing where libsndfile cannot open the file."""
    try:
        with sf.SoundFile(name_for_libsndfile(source)) as file:
            found = file.copy_metadata()
    except sf.LibsndfileError:
        return {}
    return {name: text for name, text in found.items() if name in CARRIED_TAGS and text}


# What ffmpeg codes


def _by_ffmpeg(asked: Asked) -> tuple[Path, Words]:
    temp = hidden_beside(asked.path)
    try:
        with told_of_coding(asked.path):
            encode(temp, asked.name, asked.blocks, rate_hz=asked.rate_hz, channels=asked.own.channels)
            temp.replace(asked.path)
    finally:
        discard(temp)
    return asked.path, []


TARGETS: Final[Mapping[str, Target]] = {
    "wav": Target("audio/wav", _as_samples),
    "flac": Target("audio/flac", _as_samples, most_channels=8),
    "mp3": Target("audio/mpeg", _coded, MP3_RATES_HZ, 2),
    "ogg": Target("audio/ogg", _coded, most_channels=8),
    "aac": Target("audio/aac", _by_ffmpeg, AAC_RATES_HZ, 8),
    "webm": Target("audio/webm", _by_ffmpeg, OPUS_RATES_HZ, 8),
}
