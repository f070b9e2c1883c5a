"""One result as a file of any format that the catalogue offers: samples, or coded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile as sf

from bridge.engine.audio_job import AudioJob, Row
from bridge.engine.editing.ffmpeg_coding import encode
from bridge.engine.fitting_passes import Check, resampled
from bridge.errors import AudioError, WrongUse
from bridge.media.audio_format import AudioFormat, name_for_libsndfile
from bridge.media.audio_writing import told_of_coding, write_set
from bridge.media.sample_depth import FINENESS, FLOAT_BITS, PCM_BITS, Floats
from bridge.media.whole_files import discard, hidden_beside

MP3_RATES_HZ: Final = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
AAC_RATES_HZ: Final = (*MP3_RATES_HZ, 64_000, 88_200, 96_000)
OPUS_RATES_HZ: Final = (48_000,)
FLAC_BITS: Final = 24
OF_EVERY_FILE: Final = frozenset({b"fmt ", b"fact", b"PEAK", b"COMM", b"SSND", b"FVER", b"JUNK"})
WORKED_ON: Final = "DOUBLE"
"""The depth of samples that came out of a computation: finer than any file's."""

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

CLIPPED: Final = "beyond full scale were clipped"
PLAYERS_CLIP: Final = "are beyond full scale, which players clip: turn the mix down"

Words = list[str]


@dataclass(frozen=True)
class Asked:
    """What is to be made as `folder / name.extension`. `bits` None: the depth of the source."""

    source: Path
    own: AudioFormat
    blocks: Iterator[Floats]
    folder: Path
    name: str
    extension: str
    rate_hz: int
    channels: int
    bits: int | None
    start_frame: int
    is_changed: bool
    is_dithered: bool
    check: Check

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.{self.extension}"


@dataclass(frozen=True)
class Target:
    """How a format is written. `rates_hz` empty: any; `most_channels` 0: any."""

    media_type: str
    write: Callable[[Asked], tuple[Path, Words]]
    rates_hz: tuple[int, ...] = ()
    most_channels: int = 0
    has_depth: bool = False


def write_as(
    job: AudioJob,
    own: AudioFormat,
    blocks: Iterator[Floats],
    *,
    name: str,
    extension: str,
    rate_hz: int,
    channels: int | None = None,
    bits: int | None = None,
    start_frame: int = 0,
    is_changed: bool = True,
    dither: bool | None = None,
) -> Row:
    """Writes one result, `name.extension`, into the job's folder; the row's role is `name`.

    `extension` is a name of TARGETS. `blocks` are (frames, channels) floats at `rate_hz`, `channels` those
    of the source where None. WAV and FLAC keep the depth (or take `bits`) and, of a source of their own kind,
    the chunks: moved to `start_frame`, the source's frame with which the blocks begin. `is_changed` False:
    the samples are the source's own. `dither` adds noise where samples are rounded; None: where they were
    changed or are brought to fewer bits. A rate that the format lacks becomes the next one, by soxr.
    `about.note` says what the musician should know. Nothing is left behind when it fails.
    Raises AudioError, WrongUse for another extension, and what the blocks raise.
    """
    target, channels = target_of(extension), channels or own.channels
    if 0 < target.most_channels < channels:
        words = f"{extension} holds {target.most_channels} channels at most, and this has {channels}."
        raise AudioError(words, remedy="Take wav, or bounce it in stereo.", file=job.source)
    made_hz, notes = rate_for(extension, rate_hz)
    if made_hz != rate_hz:
        singles = (block.astype(np.float32, copy=False) for block in blocks)
        blocks = resampled(job.source, singles, rate_hz, made_hz, channels)
    if bits is not None and not target.has_depth:
        notes.append(f"{extension} has no depth: the {bits} bits say nothing")
    loud = _TooLoud()
    if not target.has_depth:  # it keeps what is beyond full scale, and players cut it off
        blocks = loud.heard(blocks)
    is_dithered = is_changed or made_hz != own.rate_hz if dither is None else dither
    asked = Asked(
        job.source, own, blocks, job.folder, name, extension, made_hz, channels, bits, start_frame,
        is_changed, is_dithered, job.check,
    )  # fmt: skip
    path, more = target.write(asked)
    made = TARGETS[path.suffix[1:]]
    notes += [*more, *loud.words(PLAYERS_CLIP)]
    about = {"note": ", ".join(notes)} if notes else {}
    return {"role": name, "file": path.name, "media_type": made.media_type, "about": about}


def target_of(extension: str, parameter: str = "output_extension") -> Target:
    """Raises WrongUse, with the name of the parameter, for what is no format."""
    target = TARGETS.get(extension)
    if target is None:
        raise WrongUse(f"{parameter} must be one of {', '.join(TARGETS)}, not {extension!r}")
    return target


def rate_for(extension: str, wanted_hz: int) -> tuple[int, Words]:
    """The lowest rate of the format that keeps all of it, else its highest; and what is to be said of it."""
    rates_hz = target_of(extension).rates_hz
    if not rates_hz or wanted_hz in rates_hz:
        return wanted_hz, []
    made_hz = min((rate for rate in rates_hz if rate >= wanted_hz), default=max(rates_hz))
    return made_hz, [f"{made_hz / 1000:g} kHz, as {extension} has no {wanted_hz / 1000:g} kHz"]


# WAV and FLAC: the samples as they are, chunks kept


def _as_samples(asked: Asked) -> tuple[Path, Words]:
    own, container = asked.own, asked.extension.upper()
    subtype, words = _depth(own, asked.bits, is_flac=container == "FLAC")
    suffix = f".{asked.extension}"
    like = replace(own, suffix=suffix, warnings=())
    if own.container != container:
        like = AudioFormat(container, own.subtype, own.rate_hz, own.channels, suffix, tags=own.tags)
        if _has_more(own):
            words.append(f"markers and other chunks of the {own.container} are not kept in the {container}")
    is_coarser = FINENESS[subtype] < FINENESS[own.subtype]
    loud = _TooLoud()
    is_exact = subtype in PCM_BITS and (asked.bits is not None or container == "FLAC")
    written = write_set(
        {asked.name: _clipped(loud.heard(asked.blocks), PCM_BITS[subtype]) if is_exact else asked.blocks},
        replace(like, subtype=WORKED_ON) if asked.is_dithered else like,
        asked.folder,
        channels=asked.channels,
        rate_hz=asked.rate_hz,
        start_frame=asked.start_frame,
        subtype=subtype,
        dither=asked.is_dithered or is_coarser,
        is_changed=asked.is_changed or is_coarser or asked.rate_hz != own.rate_hz,
        check=asked.check,
    )
    return written.paths[asked.name], [*words, *loud.words(CLIPPED), *written.warnings]


def _has_more(own: AudioFormat) -> bool:
    """True where the source holds more than its samples and the usual tags."""
    chunks = own.chunks.all if own.chunks is not None else ()
    return own.has_more or bool(own.blocks) or any(one.name not in OF_EVERY_FILE for one in chunks)


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
class _TooLoud:
    """Counts what is beyond full scale on its way."""

    count: int = 0

    def heard(self, blocks: Iterator[Floats]) -> Iterator[Floats]:
        for block in blocks:
            self.count += int(np.count_nonzero((block > 1) | (block < -1)))
            yield block

    def words(self, what_then: str) -> Words:
        return [f"{self.count:,} samples {what_then}"] if self.count else []


def _clipped(blocks: Iterator[Floats], bits: int) -> Iterator[Floats]:
    """Somebody who names a depth gets it: what is beyond full scale is cut off."""
    highest = np.float32(1 - 2.0 ** (1 - min(bits, FLAC_BITS)))
    return (np.minimum(np.maximum(block, np.float32(-1)), highest) for block in blocks)


# What libsndfile codes


def _coded(asked: Asked) -> tuple[Path, Words]:
    temp = hidden_beside(asked.path)
    tags = _tags(asked.source)
    try:
        with told_of_coding(asked.path):
            coding = CODINGS[asked.extension]
            with sf.SoundFile(
                name_for_libsndfile(temp), "w", asked.rate_hz, asked.channels, **coding
            ) as file:
                for name, text in tags.items():
                    setattr(file, name, text)
                for block in asked.blocks:
                    for at in range(0, len(block), CODED_FRAMES):
                        file.write(block[at : at + CODED_FRAMES])
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
            encode(temp, asked.extension, asked.blocks, rate_hz=asked.rate_hz, channels=asked.channels)
            temp.replace(asked.path)
    finally:
        discard(temp)
    return asked.path, []


TARGETS: Final[Mapping[str, Target]] = {
    "wav": Target("audio/wav", _as_samples, has_depth=True),
    "flac": Target("audio/flac", _as_samples, most_channels=8, has_depth=True),
    "mp3": Target("audio/mpeg", _coded, MP3_RATES_HZ, 2),
    "ogg": Target("audio/ogg", _coded, most_channels=8),
    "aac": Target("audio/aac", _by_ffmpeg, AAC_RATES_HZ, 8),
    "webm": Target("audio/webm", _by_ffmpeg, OPUS_RATES_HZ, 8),
}
