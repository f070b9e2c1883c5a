"""Opens audio files as streams of samples, also those whose header is wrong. Engine side: numpy, libsndfile.

Every failure is an `AudioError` with the file's name and a remedy. No number in a header decides how much
memory is taken.
"""

from __future__ import annotations

import os
import stat
import struct
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile as sf

from bridge.errors import AudioError
from bridge.media.audio_header import HEAD_BYTES, Kind, kind_of
from bridge.media.chunk_layout import Agreement, Layout, is_empty_with_chunks, read_layout
from bridge.media.ffmpeg_decode import (
    EXPORT_AGAIN,
    NO_SOUND,
    complaint_of,
    ffmpeg_process,
    pipe_blocks,
    read_wav_head,
)
from bridge.media.mp3_length import IndexedMp3, missing_index
from bridge.media.raw_pcm import PcmFormat, Samples, pcm_format, raw_blocks

BLOCK_FRAMES = 65_536
MOST_BLOCK_SAMPLES = 2_097_152
MOST_CHANNELS = 1024
LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 1_536_000
# These formats carry no checksum over the whole, and players go on after a bad spot: so do we.
FORGIVING_FORMATS = frozenset({"MP3", "OGG"})
CODED_FORMATS = FORGIVING_FORMATS | {"FLAC"}
# A damaged MP3 may come out a little shorter without anything of note missing.
LENGTH_GUESS = 0.99
OGG_TAIL_BYTES = 1 << 16
CHECK_EXPORT = "Check that it is an audio file, or export it again."


@dataclass
class Source:
    """An open file: `blocks` gives (frames, channels) float32 arrays that may be changed in place.

    The memory of a block belongs to the reader again when the next one is asked for. `warnings` is complete
    when `blocks` has come to its end.
    """

    rate_hz: int
    channels: int
    format: str
    subtype: str
    blocks: Iterator[Samples]
    warnings: list[str]


@contextmanager
def open_source(path: Path) -> Iterator[Source]:
    """Opens `path` for one pass. Raises AudioError, also from `blocks`."""
    with ExitStack() as stack:
        with told(path):
            source = _open(path, stack)
            _check_numbers(path, source)
        yield source


def _told_blocks(stream: Iterator[Samples], path: Path) -> Iterator[Samples]:
    """The blocks of `stream`; what goes wrong in it is told, what goes wrong in its reader is not ours."""
    while True:
        with told(path):
            block = next(stream, None)
        if block is None:
            return
        yield block


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turns what the libraries and the system raise into AudioError."""
    try:
        yield
    except FileNotFoundError as fault:
        raise AudioError("the file is not there any more.", remedy="Export it again.", file=path) from fault
    except IsADirectoryError as fault:
        raise AudioError("this is a folder, not an audio file.", remedy="Name a file.", file=path) from fault
    except PermissionError as fault:
        remedy = "Allow reading it, and close it in other programs."
        raise AudioError("the file may not be read.", remedy=remedy, file=path) from fault
    except OSError as fault:
        words = fault.strerror or "it could not be read"
        remedy = "Check the disk or the network share, then try again."
        raise AudioError(f"reading failed ({words}).", remedy=remedy, file=path) from fault
    except (
        sf.SoundFileError,
        RuntimeError,
        ValueError,
        TypeError,
        EOFError,
        ArithmeticError,
        struct.error,
    ) as fault:
        words = getattr(fault, "error_string", "") or str(fault)
        raise AudioError(
            f"it cannot be decoded ({words.strip().rstrip('.')}).", remedy=CHECK_EXPORT, file=path
        ) from fault


def clock(seconds: float) -> str:
    """A length of time as musicians write it: `0:05.2`, `1:02:03.4`."""
    tenths = round(seconds * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours}:{minutes:02d}" if hours else str(minutes)
    return f"{front}:{tenths // 10:02d}.{tenths % 10}"


def _open(path: Path, stack: ExitStack) -> Source:
    kind, layout, is_empty = _look(path)
    if kind in ("mp4", "aac"):
        return _open_ffmpeg(path, kind, stack)
    pcm = pcm_format(layout) if layout is not None else None
    if layout is not None and pcm is not None and not is_empty and _is_read_short(layout):
        return _open_raw(path, layout, pcm, stack)
    try:
        return _open_sound_file(path, kind, layout, stack)
    except sf.LibsndfileError:
        if layout is None or pcm is None:
            raise
    return _open_raw(path, layout, pcm, stack)


def _look(path: Path) -> tuple[Kind, Layout | None, bool]:
    """The kind, the chunks, and whether the samples are empty on purpose."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for ever
        raise AudioError("this is not a plain file.", remedy="Name an audio file.", file=path)
    with path.open("rb") as file:
        file_bytes = file.seek(0, 2)
        if file_bytes == 0:
            raise AudioError("the file is empty (zero bytes).", remedy="Export it again.", file=path)
        file.seek(0)
        kind = kind_of(file.read(HEAD_BYTES))
        if kind is None:
            raise AudioError(
                "this is not an audio file, whatever its name says.", remedy=CHECK_EXPORT, file=path
            )
        layout = read_layout(file, file_bytes) if kind == "chunks" else None
        unset = layout is not None and layout.agreement is Agreement.PLACEHOLDER
        is_empty = layout is not None and unset and is_empty_with_chunks(file, layout)
    return kind, layout, is_empty


def _is_read_short(layout: Layout) -> bool:
    """True where libsndfile would believe a size that is too small."""
    unset = layout.agreement is Agreement.PLACEHOLDER and layout.stated_sample_bytes is None
    return unset or layout.agreement is Agreement.OUTGROWN


def _check_numbers(path: Path, source: Source) -> None:
    if not 1 <= source.channels <= MOST_CHANNELS:
        words = f"its header names {source.channels} channels; 1 to {MOST_CHANNELS} can be."
        raise AudioError(words, remedy=EXPORT_AGAIN, file=path)
    if not LOWEST_RATE_HZ <= source.rate_hz <= HIGHEST_RATE_HZ:
        words = f"its header names {source.rate_hz} Hz; {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} can be."
        raise AudioError(words, remedy=EXPORT_AGAIN, file=path)


def _block_frames(channels: int) -> int:
    return max(1, min(BLOCK_FRAMES, MOST_BLOCK_SAMPLES // max(1, channels)))


def _open_raw(path: Path, layout: Layout, pcm: PcmFormat, stack: ExitStack) -> Source:
    file = stack.enter_context(path.open("rb"))
    warnings: list[str] = []

    def blocks() -> Iterator[Samples]:
        frames = 0
        for block in _told_blocks(
            raw_blocks(file, layout, pcm, block_frames=_block_frames(pcm.channels)), path
        ):
            frames += len(block)
            yield block
        warnings.extend(_header_warnings(layout, frames / pcm.rate_hz))

    kind = "AIFF" if layout.magic == b"FORM" else layout.magic.decode().upper().replace("RIFF", "WAV")
    return Source(pcm.rate_hz, pcm.channels, kind, pcm.subtype, blocks(), warnings)


def _header_warnings(layout: Layout | None, duration_s: float) -> list[str]:
    if layout is None or layout.agreement is Agreement.WHOLE:
        return []
    return [f"{layout.reason}; {clock(duration_s)} of sound was there and is taken"]


def _open_sound_file(path: Path, kind: Kind, layout: Layout | None, stack: ExitStack) -> Source:
    file = stack.enter_context(sf.SoundFile(_for_libsndfile(path, kind, stack)))
    warnings: list[str] = []

    def blocks() -> Iterator[Samples]:
        frames = 0
        buffer = np.empty((_block_frames(file.channels), file.channels), np.float32)
        while True:
            with told(path):
                block, is_broken = _next_block(file, buffer)
            frames += len(block)
            if len(block):
                yield block
            if is_broken or len(block) == 0:
                break
        with told(path):
            warnings.extend(_header_warnings(layout, frames / file.samplerate))
            warnings.extend(_end_warnings(path, file, frames, is_broken=is_broken))

    return Source(file.samplerate, file.channels, file.format, file.subtype, blocks(), warnings)


def _for_libsndfile(path: Path, kind: Kind, stack: ExitStack) -> str | bytes | IndexedMp3:
    """What to open for `path`: its name, or a view of an MP3 with the index that it lacks."""
    if kind == "mp3":
        with path.open("rb") as file:
            found = missing_index(file)
        if found is not None:
            return stack.enter_context(IndexedMp3(path, *found))
    # Bytes, because a name need not be valid Unicode on Linux; Windows names always are.
    return str(path) if sys.platform == "win32" else os.fsencode(path)


def _next_block(file: sf.SoundFile, buffer: Samples) -> tuple[Samples, bool]:
    """The next block, and whether decoding broke in it."""
    if file.format not in CODED_FORMATS:
        return file.read(out=buffer), False
    # libsndfile does not tell how far it came before a fault: what is still NaN was not reached.
    buffer.fill(np.nan)
    try:
        return file.read(out=buffer), False
    except sf.LibsndfileError:
        return buffer[: int(np.count_nonzero(~np.isnan(buffer[:, -1])))], True


def _end_warnings(path: Path, file: sf.SoundFile, frames: int, *, is_broken: bool) -> list[str]:
    """What is to be said at the end of the stream. Raises AudioError for a FLAC that is not whole."""
    here = clock(frames / file.samplerate)
    length_known = 0 < file.frames < 1 << 62
    if file.format == "FLAC" and (is_broken or (length_known and frames < file.frames)):
        whole = f" of {clock(file.frames / file.samplerate)}" if length_known else ""
        words = f"it breaks off at {here}{whole}."
        raise AudioError(words, remedy=EXPORT_AGAIN, file=path)
    if file.format not in FORGIVING_FORMATS or frames == 0:
        return []
    short = length_known and frames < file.frames * LENGTH_GUESS
    if is_broken or short or (file.format == "OGG" and not _has_last_page(path)):
        return [f"the file breaks off; {here} of sound could be decoded and is taken"]
    return []


def _has_last_page(path: Path) -> bool:
    """True if the last Ogg page in the file is marked as the stream's last one (RFC 3533, section 6)."""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - OGG_TAIL_BYTES))
        tail = file.read(OGG_TAIL_BYTES)
    at = tail.rfind(b"OggS")
    return 0 <= at < len(tail) - 5 and bool(tail[at + 5] & 4)


def _open_ffmpeg(path: Path, kind: Kind, stack: ExitStack) -> Source:
    pipe, complaints = stack.enter_context(ffmpeg_process(path, kind=kind))
    pcm = read_wav_head(pipe)
    if pcm is None or pcm.channels == 0 or pcm.rate_hz == 0:
        words = complaint_of(complaints) or NO_SOUND
        raise AudioError(f"ffmpeg could not decode it ({words}).", remedy=EXPORT_AGAIN, file=path)
    warnings: list[str] = []

    def blocks() -> Iterator[Samples]:
        frames = 0
        for block in _told_blocks(pipe_blocks(pipe, pcm, block_frames=_block_frames(pcm.channels)), path):
            frames += len(block)
            yield block
        if words := complaint_of(complaints):
            here = clock(frames / pcm.rate_hz)
            warnings.append(f"ffmpeg met damage ({words}); {here} of sound could be decoded and is taken")

    name = {"mp4": "M4A", "aac": "AAC"}[kind]
    return Source(pcm.rate_hz, pcm.channels, name, "FFMPEG", blocks(), warnings)
