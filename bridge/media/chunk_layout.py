"""Where the chunks of a WAV, RF64, BW64, Wave64, AIFF, AIFC or CAF file lie, and whether the sizes add up.

Reads chunk headers and seeks over the rest: nothing is allocated by a number in the file, and no file makes
it loop for ever. Sources: Microsoft RIFF, EBU Tech 3306 (RF64), ITU-R BS.2088 (BW64), Apple AIFF-C and CAF.
"""

# ruff: noqa: PLR2004
# The offsets and bit masks of a byte format are the format itself; names for each would hide it.

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO

MOST_CHUNKS = 4096
UNSET_32 = 0xFFFFFFFF
UNSET_SIZES = frozenset({0, UNSET_32, 0xFFFFFFFFFFFFFFFF, -1})
# Writers disagree by the pad byte, and some count the eight bytes of the RIFF head too.
SLACK_BYTES = 8
SMALL_TAIL_BYTES = 16
SECTOR_BYTES = 512
TAG_BEGINNINGS = (b"ID3", b"TAG", b"APETAGEX")
FORMAT_HEAD_BYTES = 64
DS64_HEAD_BYTES = 36  # the chunk's head, three sizes and the length of the table
DS64_ROW_BYTES = 12
MOST_DS64_ROWS = 64


class Agreement(StrEnum):
    """How the sizes in a header and the file beside them agree."""

    WHOLE = "whole"
    PLACEHOLDER = "placeholder"  # the writer has not put the sizes in (yet)
    CUT = "cut"  # the samples should go on beyond the end of the file
    OUTGROWN = "outgrown"  # the file goes on beyond what the header describes
    UNEVEN = "uneven"  # anything else that does not add up


@dataclass(frozen=True, kw_only=True)
class _Dialect:
    """How one container writes its chunks; the defaults are RIFF's."""

    size_at: int | None = 4  # where the size of the whole stands
    size: str = "<I"
    size_leaves_out: int = 8  # bytes before the part that this size counts
    forms_at: int = 8
    forms: tuple[bytes, ...] = (b"WAVE",)
    first_chunk: int = 12
    chunk_head: str = "<4sI"
    chunk_counts_head: bool = False
    align: int = 2
    format_name: bytes = b"fmt "
    sound_name: bytes = b"data"
    sound_skip: int = 0  # bytes at the beginning of the sound chunk that are no samples


_AIFF = _Dialect(
    size=">I",
    forms=(b"AIFF", b"AIFC"),
    chunk_head=">4sI",
    format_name=b"COMM",
    sound_name=b"SSND",
    sound_skip=8,
)
_WAVE64 = _Dialect(
    size_at=16,
    size="<Q",
    size_leaves_out=0,
    forms_at=24,
    forms=(b"wave",),
    first_chunk=40,
    chunk_head="<4s12xQ",
    chunk_counts_head=True,
    align=8,
)
_CAF = _Dialect(
    size_at=None,
    forms_at=4,
    forms=(b"\0\1",),
    first_chunk=8,
    chunk_head=">4sq",
    align=1,
    format_name=b"desc",
    sound_skip=4,
)
_DIALECTS = {
    b"RIFF": _Dialect(),
    b"RF64": _Dialect(),
    b"BW64": _Dialect(),
    b"RIFX": _Dialect(size=">I", chunk_head=">4sI"),
    b"FORM": _AIFF,
    b"riff": _WAVE64,
    b"caff": _CAF,
}


@dataclass(frozen=True)
class Chunk:
    """One chunk: four letters, where its body begins, and the size that its head states (None = not set)."""

    name: bytes
    body: int
    size: int | None


@dataclass(frozen=True)
class Layout:
    """The chunks of one file of `file_bytes` bytes.

    `magic` is the file's first four bytes, `stated_end` where the header says that the file ends (None = not
    set, or not stated in this format), `format_head` the first bytes of the chunk that describes the samples.
    """

    magic: bytes
    file_bytes: int
    stated_end: int | None
    chunks: tuple[Chunk, ...]
    format_head: bytes
    form: bytes
    agreement: Agreement
    reason: str

    @property
    def sound(self) -> Chunk | None:
        """The chunk that holds the samples."""
        wanted = _DIALECTS[self.magic].sound_name
        return next((chunk for chunk in self.chunks if chunk.name == wanted), None)

    @property
    def samples_at(self) -> int:
        """Offset of the first sample in bytes; the end of the file where there is none."""
        sound = self.sound
        return self.file_bytes if sound is None else sound.body + _DIALECTS[self.magic].sound_skip

    @property
    def stated_sample_bytes(self) -> int | None:
        """Bytes of samples that the header promises; None = it does not say."""
        sound = self.sound
        if sound is None or sound.size is None:
            return None
        return max(0, sound.size - _DIALECTS[self.magic].sound_skip)

    @property
    def held_sample_bytes(self) -> int:
        """Bytes from the first sample to the end of the file."""
        return max(0, self.file_bytes - self.samples_at)


def read_layout(file: BinaryIO, file_bytes: int) -> Layout | None:
    """The layout of an open file, or None if it is none of these formats. Raises OSError."""
    head = _read_at(file, 0, 40)
    dialect = _DIALECTS.get(head[:4])
    if dialect is None:
        return None
    form = head[dialect.forms_at : dialect.forms_at + 4]
    if len(head) >= dialect.forms_at + 4 and not form.startswith(dialect.forms):
        return None
    large = _large_sizes(file, head)
    stated_end = _stated_end(head, dialect, large)
    chunks = _walk(file, dialect, dialect.first_chunk, file_bytes, large)
    described = next((chunk for chunk in chunks if chunk.name == dialect.format_name), None)
    agreement, reason = _judge(file, dialect, chunks, stated_end, file_bytes)
    return Layout(
        magic=head[:4],
        file_bytes=file_bytes,
        stated_end=stated_end,
        chunks=chunks,
        format_head=_head_of(file, described),
        form=form,
        agreement=agreement,
        reason=reason,
    )


def _head_of(file: BinaryIO, chunk: Chunk | None) -> bytes:
    if chunk is None or chunk.size is None:
        return b""
    return _read_at(file, chunk.body, min(chunk.size, FORMAT_HEAD_BYTES))


def _read_at(file: BinaryIO, offset: int, count: int) -> bytes:
    file.seek(offset)
    return file.read(count)


def _large_sizes(file: BinaryIO, head: bytes) -> dict[bytes, int]:
    """The 64-bit sizes of an RF64 or BW64 file: its `ds64` chunk stands first (EBU Tech 3306, 3.4)."""
    if head[:4] not in (b"RF64", b"BW64"):
        return {}
    ds64 = _read_at(file, 12, DS64_HEAD_BYTES + MOST_DS64_ROWS * DS64_ROW_BYTES)
    if len(ds64) < 28 or ds64[:4] != b"ds64":
        return {}
    whole, data = struct.unpack("<QQ", ds64[8:24])
    return {**_large_chunks(ds64), b"RIFF": whole, b"data": data}


def _large_chunks(ds64: bytes) -> dict[bytes, int]:
    """The table behind a `ds64` chunk's fixed fields: the sizes of other chunks above 4 GiB."""
    body_bytes, rows = struct.unpack("<4xI24xI", ds64[:DS64_HEAD_BYTES]) if len(ds64) >= 36 else (0, 0)
    end = min(len(ds64), 8 + body_bytes)
    ends = range(DS64_HEAD_BYTES + DS64_ROW_BYTES, end + 1, DS64_ROW_BYTES)
    return dict(struct.unpack("<4sQ", ds64[at - DS64_ROW_BYTES : at]) for at in list(ends)[:rows])


def _stated_end(head: bytes, dialect: _Dialect, large: dict[bytes, int]) -> int | None:
    if dialect.size_at is None:
        return None
    raw = head[dialect.size_at : dialect.size_at + struct.calcsize(dialect.size)]
    if len(raw) < struct.calcsize(dialect.size):
        return None
    (size,) = struct.unpack(dialect.size, raw)
    if size == UNSET_32:
        size = large.get(b"RIFF", size)
    return None if size in UNSET_SIZES else int(size) + dialect.size_leaves_out


def _walk(
    file: BinaryIO, dialect: _Dialect, start: int, file_bytes: int, large: dict[bytes, int]
) -> tuple[Chunk, ...]:
    """The chunks from `start` on. Each step goes on by at least a chunk's head, so it ends."""
    chunks: list[Chunk] = []
    head_bytes = struct.calcsize(dialect.chunk_head)
    at = start
    while at + head_bytes <= file_bytes and len(chunks) < MOST_CHUNKS:
        raw = _read_at(file, at, head_bytes)
        if len(raw) < head_bytes:
            break
        name, stated = struct.unpack(dialect.chunk_head, raw)
        size = _chunk_size(name, stated, dialect, large)
        chunks.append(Chunk(name, at + head_bytes, size))
        if size is None:
            break
        at += head_bytes + size + (-size % dialect.align)
    return tuple(chunks)


def _chunk_size(name: bytes, stated: int, dialect: _Dialect, large: dict[bytes, int]) -> int | None:
    """A chunk's size in bytes without its head; None for the samples' placeholder."""
    size = stated
    if stated == UNSET_32 and name in large:
        size = large[name]
    if dialect.chunk_counts_head:
        size -= struct.calcsize(dialect.chunk_head)
    if name == dialect.sound_name and (size in UNSET_SIZES or size <= dialect.sound_skip):
        return None
    return max(0, size)


def _judge(
    file: BinaryIO, dialect: _Dialect, chunks: tuple[Chunk, ...], stated_end: int | None, file_bytes: int
) -> tuple[Agreement, str]:
    sound = next((chunk for chunk in chunks if chunk.name == dialect.sound_name), None)
    if sound is None:
        return Agreement.UNEVEN, "it holds no samples yet"
    if sound.size is None:
        return Agreement.PLACEHOLDER, "the header does not say how many samples there are"
    sound_end = sound.body + sound.size
    if sound_end > file_bytes:
        words = f"{sound_end - file_bytes:,} of the {sound.size:,} bytes of samples in the header are missing"
        return Agreement.CUT, words
    if dialect.size_at is None:  # nothing states the whole: the last chunk must end where the file does
        last = chunks[-1]
        stated_end = file_bytes if last.size is None else last.body + last.size
    return _judge_whole(file, dialect, sound_end, stated_end, file_bytes)


def _judge_whole(
    file: BinaryIO, dialect: _Dialect, sound_end: int, stated_end: int | None, file_bytes: int
) -> tuple[Agreement, str]:
    if stated_end is None:
        return Agreement.PLACEHOLDER, "the header does not say how long the file is"
    if stated_end - file_bytes > SLACK_BYTES:
        return Agreement.UNEVEN, f"{stated_end - file_bytes:,} bytes that the header counts are missing"
    if _harmless_tail(file, dialect, stated_end, file_bytes):
        return Agreement.WHOLE, "the sizes in the header agree with the file"
    kind = Agreement.OUTGROWN if sound_end + SLACK_BYTES >= stated_end else Agreement.UNEVEN
    more = file_bytes - stated_end
    return kind, f"the file goes on for {more:,} bytes past the end that its header names"


def _harmless_tail(file: BinaryIO, dialect: _Dialect, end: int, file_bytes: int) -> bool:
    """True if what follows the described part is padding, a tag or more chunks, and not samples."""
    extra = file_bytes - end
    if extra <= SMALL_TAIL_BYTES:
        return True
    beginning = _read_at(file, end, SECTOR_BYTES)
    if beginning.startswith(TAG_BEGINNINGS):
        return True
    if extra < SECTOR_BYTES and not any(beginning) and file_bytes % SECTOR_BYTES == 0:
        return True
    return _is_chain(file, dialect, end, file_bytes)


def is_empty_with_chunks(file: BinaryIO, layout: Layout) -> bool:
    """True if the samples' size is 0 because there are none: other chunks follow, right up to the end."""
    return _is_chain(file, _DIALECTS[layout.magic], layout.samples_at, layout.file_bytes)


def chunks_behind_none(file: BinaryIO, layout: Layout) -> tuple[Chunk, ...]:
    """The chunks that follow samples of size 0; none where the samples are only not counted (yet)."""
    if not is_empty_with_chunks(file, layout):
        return ()
    return _walk(file, _DIALECTS[layout.magic], layout.samples_at, layout.file_bytes, {})


def _is_chain(file: BinaryIO, dialect: _Dialect, start: int, file_bytes: int) -> bool:
    if not is_name(_read_at(file, start, 4)):
        return False
    chunks = _walk(file, dialect, start, file_bytes, {})
    if not chunks or not all(is_name(chunk.name) for chunk in chunks):
        return False
    last = chunks[-1]
    return last.size is not None and abs(last.body + last.size - file_bytes) <= 1


def is_name(name: bytes) -> bool:
    """True for four letters that can be a chunk's name."""
    return len(name) == 4 and name.isascii() and name.decode("ascii").isprintable()
