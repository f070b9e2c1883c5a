"""What a file is made of beside its samples, and how others are made like it. Engine side: soundfile."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import soundfile as sf

from bridge.media.audio_sources import open_source, told
from bridge.media.chunk_layout import read_layout
from bridge.media.flac_blocks import CUESHEET, FlacBlock, read_blocks
from bridge.media.sample_depth import FINENESS, FLOAT_BITS, PCM_BITS
from bridge.media.wav_chunks import FORMAT_NAMES, RawChunk, WavChunks, read_chunks
from bridge.media.wav_fields import LARGEST_32, scaled
from bridge.media.wav_format import FLOAT, PCM, SampleFormat, build_comm, build_fmt
from bridge.media.wav_shift import for_changed_audio, for_cut, for_rate
from bridge.media.wav_tags import Info

CONTAINERS: Final = {
    "WAV": "WAV", "WAVEX": "WAV", "RF64": "WAV", "BW64": "WAV", "RIFX": "WAV",
    "AIFF": "AIFF", "FLAC": "FLAC", "CAF": "CAF", "W64": "W64",
}  # fmt: skip
SUFFIXES: Final = {
    "WAV": (".wav", ".wave", ".bwf", ".rf64", ".bw64"),
    "AIFF": (".aiff", ".aif", ".aifc"),
    "FLAC": (".flac",),
    "CAF": (".caf",),
    "W64": (".w64",),
}
PLAIN_CHUNKS: Final = {
    "CAF": frozenset({b"desc", b"data", b"free", b"chan", b"pakt", b"kuki", b"peak"}),
    "W64": frozenset({b"fmt ", b"data", b"fact"}),
}
LOSSLESS: Final = {"ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32"}
FOR_LOSSY: Final = "PCM_24"
FLAC_MOST_CHANNELS, FLAC_HIGHEST_RATE_HZ, FLAC_MOST_BITS = 8, 655_350, 24
HEADROOM_BYTES: Final = 1 << 24
# Depths that stand in a wider one, as 24 bits in 32; other claims are not believed.
PARTLY_USED_BITS: Final = frozenset({16, 20, 24})
# What libsndfile reads from a file's tags, and where a WAV has it.
INFO_NAMES: Final = {
    "title": "INAM", "artist": "IART", "comment": "ICMT", "date": "ICRD", "genre": "IGNR", "album": "IPRD",
    "copyright": "ICOP", "tracknumber": "ITRK",
}  # fmt: skip
# ADM names each channel: these are wrong as soon as their count changes.
OF_CHANNELS: Final = frozenset({b"chna", b"axml"})
AIFC_VERSION: Final = RawChunk(b"FVER", bytes.fromhex("a2805140"))


@dataclass(frozen=True)
class AudioFormat:
    """What a file is made of beside its samples.

    `container` is WAV (with RF64 and BW64), AIFF, FLAC, CAF or W64; `subtype` libsndfile's name of the depth.
    For lossy sources these are WAV and 24 bits: they have no depth of their own. `chunks` are those of a WAV
    or AIFF, `blocks` those of a FLAC, `tags` what libsndfile reads of others. `has_more`: a CAF or W64 holds
    chunks that cannot be kept.
    """

    container: str
    subtype: str
    rate_hz: int
    channels: int
    suffix: str = ".wav"
    chunks: WavChunks | None = None
    blocks: tuple[FlacBlock, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    has_more: bool = False
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(cls, path: Path) -> AudioFormat:
        """The format of the file at `path`; the samples are not read. Raises AudioError."""
        with open_source(path) as source:
            rate_hz, channels, name, coding = source.rate_hz, source.channels, source.format, source.subtype
        coding = LOSSLESS.get(coding, coding)
        container = CONTAINERS.get(name, "WAV")
        is_kept = name in CONTAINERS
        suffixes = SUFFIXES[container]
        chunks = read_chunks(path) if is_kept and container in ("WAV", "AIFF") else None
        with told(path):
            blocks = read_blocks(path) if container == "FLAC" else ()
        return cls(
            container=container,
            subtype=coding if coding in FINENESS else FOR_LOSSY,
            rate_hz=rate_hz,
            channels=channels,
            suffix=path.suffix if path.suffix.lower() in suffixes else suffixes[0],
            chunks=chunks,
            blocks=blocks,
            tags=_tags(path) if chunks is None else (),
            has_more=is_kept and container in PLAIN_CHUNKS and _has_more(path, PLAIN_CHUNKS[container]),
            warnings=chunks.warnings if chunks is not None else (),
        )


@dataclass(frozen=True)
class Plan:
    """How every member of a set is written. `made` describes the samples as WAV and AIFF do."""

    container: str
    subtype: str
    made: SampleFormat
    suffix: str
    warnings: tuple[str, ...] = ()


def plan_for(like: AudioFormat, *, subtype: str, channels: int, rate_hz: int, frames: int) -> Plan:
    """The plan for samples of this depth; a WAV where the container cannot hold them."""
    made = _made(like, subtype, channels, rate_hz)
    why = _cannot(like.container, made, frames)
    if not why:
        return Plan(like.container, subtype, made, like.suffix)
    made = _made(replace(like, chunks=None), subtype, channels, rate_hz)
    return Plan("WAV", subtype, made, ".wav", (f"{why}, so WAV was written",))


def _made(like: AudioFormat, subtype: str, channels: int, rate_hz: int) -> SampleFormat:
    """How the samples will be described: as in the source as far as they are the same."""
    is_float = subtype in FLOAT_BITS
    bits = FLOAT_BITS[subtype] if is_float else PCM_BITS[subtype]
    made = SampleFormat(FLOAT if is_float else PCM, channels, rate_hz, bits, bits)
    old = like.chunks.sample_format if like.chunks is not None else None
    if old is None:
        return replace(made, is_extensible=channels > 2)  # noqa: PLR2004 - more than left and right
    if old.tag == made.tag and old.bits == bits and old.valid_bits in PARTLY_USED_BITS:
        made = replace(made, valid_bits=old.valid_bits)
    mask = old.channel_mask if old.channels == channels else 0
    is_extensible = old.is_extensible or (channels > 2 and channels != old.channels)  # noqa: PLR2004
    return replace(made, channel_mask=mask, is_extensible=is_extensible)


def _is_large(made: SampleFormat, frames: int) -> bool:
    """True where 32-bit sizes may not do, with room for the chunks."""
    return frames * made.frame_bytes >= LARGEST_32 - HEADROOM_BYTES


def _cannot(container: str, made: SampleFormat, frames: int) -> str:
    """Why this container cannot hold it; empty if it can."""
    if container == "AIFF" and _is_large(made, frames):
        return "AIFF cannot hold 4 GiB"
    if container == "FLAC" and frames == 0:
        return "FLAC cannot hold no sound at all"
    if container == "FLAC" and made.tag == FLOAT:
        return "FLAC cannot hold floats"
    if container == "FLAC" and (
        made.bits > FLAC_MOST_BITS
        or made.channels > FLAC_MOST_CHANNELS
        or made.rate_hz > FLAC_HIGHEST_RATE_HZ
    ):
        return "FLAC cannot hold so many bits, channels or frames a second"
    return ""


def chunks_for(
    like: AudioFormat, plan: Plan, start_frame: int, frames: int, *, is_changed: bool
) -> tuple[WavChunks, list[str]]:
    """The chunks of one WAV or AIFF, with its `fmt ` or `COMM`; and what cannot be kept, in words."""
    source = like.chunks
    # A big-endian WAV has no 64-bit kind.
    is_too_large = source is not None and source.magic == b"RIFX" and _is_large(plan.made, frames)
    if source is None or plan.container != like.container or is_too_large:
        return _new_chunks(like, plan, frames), _left_out(like, plan)
    known = len(source.warnings)
    moved = _moved(source, plan, start_frame, frames, is_changed=is_changed)
    if plan.made.channels != like.channels:
        moved = moved.mapped(lambda chunk: None if chunk.name in OF_CHANNELS else chunk)
        moved = moved if moved.ixml is None else moved.with_typed(moved.ixml.without_tracks())
    if moved.ixml is not None and plan.subtype != like.subtype:
        moved = moved.with_typed(moved.ixml.for_depth(plan.made.valid_bits))
    return _described(moved, plan, frames), list(moved.warnings[known:])


def _moved(source: WavChunks, plan: Plan, start_frame: int, frames: int, *, is_changed: bool) -> WavChunks:
    moved = source
    old_hz = source.rate_hz or plan.made.rate_hz
    if old_hz != plan.made.rate_hz:
        moved = for_rate(source, old_hz, plan.made.rate_hz)
        start_frame = scaled(start_frame, old_hz, plan.made.rate_hz)
    # The frames of a file whose rate was changed are its own only to the nearest.
    as_long = moved.frames is not None and abs(moved.frames - frames) <= (moved is not source)
    if start_frame or not as_long:
        moved = for_cut(moved, start_frame, frames)
    return for_changed_audio(moved) if is_changed else moved


def _new_chunks(like: AudioFormat, plan: Plan, frames: int) -> WavChunks:
    texts = {INFO_NAMES[name]: text for name, text in like.tags if name in INFO_NAMES}
    empty = WavChunks() if plan.container != "AIFF" else WavChunks(magic=b"FORM", form=b"AIFF")
    chunks = empty.with_typed(Info.make(texts)) if texts and plan.container == "WAV" else empty
    return _described(chunks, plan, frames)


def _left_out(like: AudioFormat, plan: Plan) -> list[str]:
    if like.chunks is not None:
        return [f"markers and other chunks of the {like.container} are not kept in the {plan.container}"]
    if like.has_more:
        return [f"markers and tags of a {like.container} are not kept"]
    if like.blocks and plan.container != "FLAC":
        return ["of the FLAC's tags only the usual ones are kept in the WAV, its pictures are not"]
    return []


def _described(chunks: WavChunks, plan: Plan, frames: int) -> WavChunks:
    """The same with the chunk that describes the samples; the source's own where it is right."""
    name = FORMAT_NAMES.get(chunks.magic, b"fmt ")
    if chunks.sample_format == plan.made:
        return chunks
    was_plain = chunks.sample_format is not None and chunks.sample_format.is_plain
    if not was_plain:  # the count that a compressed file needs says nothing here
        chunks = chunks.mapped(lambda chunk: None if chunk.name == b"fact" else chunk)
    if chunks.magic == b"FORM":
        chunks, body = _as_aiff(chunks, plan.made, frames)
    else:
        body = build_fmt(plan.made, ">" if chunks.magic == b"RIFX" else "<")
    new: tuple[RawChunk, ...] = (RawChunk(name, body),)
    has_fact = any(chunk.name == b"fact" for chunk in chunks.all)
    if plan.made.tag == FLOAT and chunks.magic != b"FORM" and not has_fact:
        new += (RawChunk(b"fact", bytes(4)),)
    return replace(chunks, before=_replaced(chunks.before, name, new))


def _as_aiff(chunks: WavChunks, made: SampleFormat, frames: int) -> tuple[WavChunks, bytes]:
    """AIFF-C where floats or the source ask for it, and the body of `COMM`."""
    old = next((chunk.body for chunk in chunks.before if chunk.name == b"COMM"), b"")
    coding = old[18:22] if chunks.form == b"AIFC" and isinstance(old, bytes) else b""
    was = chunks.sample_format
    if made.tag == FLOAT and (was is None or was.tag != FLOAT or was.bits != made.bits):
        coding = b"fl64" if made.bits == FLOAT_BITS["DOUBLE"] else b"fl32"
    elif made.tag == PCM and coding and coding not in (b"NONE", b"twos", b"sowt"):
        coding = b"NONE"
    if coding and chunks.form != b"AIFC":
        chunks = replace(chunks, form=b"AIFC", before=(AIFC_VERSION, *chunks.before))
    return chunks, build_comm(made, min(frames, LARGEST_32), coding)


def _replaced(chunks: tuple[RawChunk, ...], name: bytes, new: tuple[RawChunk, ...]) -> tuple[RawChunk, ...]:
    at = next((at for at, chunk in enumerate(chunks) if chunk.name == name), None)
    return (*new, *chunks) if at is None else (*chunks[:at], *new, *chunks[at + 1 :])


def flac_blocks_for(like: AudioFormat, *, is_cut: bool) -> tuple[FlacBlock, ...]:
    """The metadata of a FLAC like that one; a cue sheet does not fit a part of it."""
    return tuple(one for one in like.blocks if not (is_cut and one.kind == CUESHEET))


def _has_more(path: Path, plain: frozenset[bytes]) -> bool:
    with told(path), path.open("rb") as file:
        layout = read_layout(file, file.seek(0, 2))
    return layout is not None and any(chunk.name not in plain for chunk in layout.chunks)


def _tags(path: Path) -> tuple[tuple[str, str], ...]:
    """What libsndfile reads of titles and the like; nothing where it cannot open the file."""
    try:
        with sf.SoundFile(name_for_libsndfile(path)) as file:
            return tuple(sorted(file.copy_metadata().items()))
    except sf.LibsndfileError:
        return ()


def name_for_libsndfile(path: Path) -> str | bytes:
    """Bytes, because a name need not be valid Unicode on Linux; Windows names always are."""
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def sample_order(chunks: WavChunks) -> str:
    """The byte order of the samples: ">" in AIFF and RIFX, but for AIFF-C's `sowt`."""
    if chunks.magic == b"FORM":
        described = next((chunk.body for chunk in chunks.before if chunk.name == b"COMM"), b"")
        is_little = chunks.form == b"AIFC" and isinstance(described, bytes) and described[18:22] == b"sowt"
        return "<" if is_little else ">"
    return ">" if chunks.magic == b"RIFX" else "<"
