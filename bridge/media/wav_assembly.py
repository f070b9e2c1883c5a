"""Puts a WAV or AIFF together: its chunks around samples whose length is known. Standard library only.

A WAV of 4 GiB and more becomes RF64; the `ds64` chunk takes the place that a writer has reserved with `JUNK`,
where there is one (EBU Tech 3306).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, TypeAlias

from bridge.errors import AudioError
from bridge.media.wav_chunks import FORMAT_NAMES, SOUND_NAMES, FilePart, RawChunk, WavChunks, read_chunks
from bridge.media.wav_fields import LARGEST_32
from bridge.media.wav_tags import Ds64
from bridge.media.whole_files import told_of_writing, whole_file

Piece: TypeAlias = bytes | FilePart

COPY_BYTES: Final = 1 << 20
LARGE_MAGICS: Final = frozenset({b"RF64", b"BW64"})
RESERVED_NAMES: Final = frozenset({b"JUNK", b"junk"})
DS64_BYTES: Final = 28
SSND_SKIP: Final = bytes(8)
CHANGED_SOURCE: Final = "Leave the file alone while it is worked on, and try again."


@dataclass(frozen=True)
class Assembly:
    """What stands before the samples, and what behind them."""

    head: tuple[Piece, ...]
    tail: tuple[Piece, ...]


def assemble(chunks: WavChunks, *, data_bytes: int, frames: int | None) -> Assembly:
    """The pieces around `data_bytes` bytes of samples; `frames` None = as the chunks have it.

    Raises ValueError where an AIFF or RIFX would have 4 GiB and more.
    """
    chunks = _counted(chunks, frames)
    whole_bytes = _whole_bytes(chunks, data_bytes)
    if chunks.magic not in LARGE_MAGICS and whole_bytes >= LARGEST_32:
        if chunks.magic != b"RIFF":
            raise ValueError("only a WAV may have 4 GiB and more")
        chunks = _enlarged(chunks)
    large = chunks.magic in LARGE_MAGICS
    if large:
        ds64 = chunks.ds64 or Ds64(0, 0, 0)
        whole_bytes = _whole_bytes(chunks, data_bytes) + 8 + len(ds64.to_bytes())
        counted = frames if frames is not None else ds64.frames
        ds64 = replace(ds64, riff_bytes=whole_bytes, data_bytes=data_bytes, frames=counted)
        chunks = replace(chunks, before=(RawChunk(b"ds64", ds64.to_bytes()), *chunks.before))
    order = _order(chunks.magic)
    skip = _skip(chunks.magic)
    sound_bytes = len(skip) + data_bytes
    stated = (LARGEST_32, LARGEST_32) if large else (whole_bytes, sound_bytes)
    name = SOUND_NAMES.get(chunks.magic, b"data")
    head: list[Piece] = [chunks.magic + struct.pack(f"{order}I", stated[0]) + chunks.form]
    head += _pieces(chunks.before, order)
    head.append(struct.pack(f"{order}4sI", name, stated[1]) + skip)
    return Assembly(tuple(head), (bytes(sound_bytes % 2), *_pieces(chunks.after, order)))


def _order(magic: bytes) -> str:
    return ">" if magic in (b"FORM", b"RIFX") else "<"


def _skip(magic: bytes) -> bytes:
    return SSND_SKIP if magic == b"FORM" else b""


def _whole_bytes(chunks: WavChunks, data_bytes: int) -> int:
    """What the file's second field counts."""
    sound = len(_skip(chunks.magic)) + data_bytes
    return 4 + sum(8 + size + size % 2 for size in (*(one.size for one in chunks.all), sound))


def _enlarged(chunks: WavChunks) -> WavChunks:
    """The same as RF64."""
    first = chunks.before[0] if chunks.before else None
    ds64 = Ds64(0, 0, 0)
    if first is not None and first.name in RESERVED_NAMES and first.size >= DS64_BYTES:
        ds64 = replace(ds64, tail=bytes(first.size - DS64_BYTES))
        chunks = replace(chunks, before=chunks.before[1:])
    return replace(chunks, magic=b"RF64", ds64=ds64)


def _counted(chunks: WavChunks, frames: int | None) -> WavChunks:
    """The same with the count of frames put right where chunks repeat it: `fact`, and AIFF's `COMM`."""
    if frames is None:
        return chunks
    count = min(frames, LARGEST_32)
    fields = {b"COMM": (2, struct.pack(">I", count))} if chunks.magic == b"FORM" else {}
    if chunks.magic != b"FORM":
        fields = {b"fact": (0, struct.pack(f"{_order(chunks.magic)}I", count))}

    def change(chunk: RawChunk) -> RawChunk:
        at, new = fields.get(chunk.name, (0, b""))
        if not isinstance(chunk.body, bytes) or len(chunk.body) < at + len(new):
            return chunk
        return replace(chunk, body=chunk.body[:at] + new + chunk.body[at + len(new) :])

    return chunks.mapped(change)


def _pieces(chunks: Sequence[RawChunk], order: str) -> list[Piece]:
    pieces: list[Piece] = []
    for one in chunks:
        pieces += [
            struct.pack(f"{order}4sI", one.name, min(one.size, LARGEST_32)),
            one.body,
            bytes(one.size % 2),
        ]
    return pieces


def put(file: BinaryIO, pieces: Sequence[Piece], *, check: Callable[[], None] = lambda: None) -> None:
    """Writes the pieces. Raises OSError, and AudioError where a file is not any more what it was."""
    for piece in pieces:
        if isinstance(piece, FilePart):
            copy_part(file, piece, check=check)
        else:
            file.write(piece)


def copy_part(file: BinaryIO, part: FilePart, *, check: Callable[[], None] = lambda: None) -> None:
    """Copies bytes of another file, in little memory. Raises OSError, and AudioError where they are gone."""
    with part.path.open("rb") as source:
        source.seek(part.offset)
        left = part.size
        while left > 0:
            check()
            block = source.read(min(left, COPY_BYTES))
            if not block:
                raise AudioError("it has become shorter meanwhile.", remedy=CHANGED_SOURCE, file=part.path)
            file.write(block)
            left -= len(block)


def write_chunks(
    source: Path, target: Path, chunks: WavChunks, *, check: Callable[[], None] = lambda: None
) -> None:
    """Writes the sound of `source` with `chunks` around it to `target`, which may be the same file.

    The samples and their description are those of `source`, bit by bit; sizes are put right. `target` appears
    whole or not at all, and replaces what was there. `check` is called for each MiB and may raise to cancel.
    Raises AudioError, also where the result would be an AIFF of 4 GiB and more.
    """
    own = read_chunks(source)
    name = FORMAT_NAMES.get(own.magic, b"fmt ")
    described = next((chunk for chunk in own.before if chunk.name == name), None)
    if described is None:
        words = "its header does not describe the samples."
        raise AudioError(words, remedy="Export it again.", file=source)
    new = replace(chunks, magic=own.magic, form=own.form, ds64=own.ds64)
    old = next((chunk for chunk in new.before if chunk.name == name), None)
    if old is None:
        new = replace(new, before=(described, *new.before))
    else:
        new = new.mapped(lambda chunk: described if chunk is old else chunk)
    try:
        around = assemble(new, data_bytes=own.data_bytes, frames=own.frames)
    except ValueError as fault:
        raise AudioError(f"{fault}.", remedy="Export it as WAV.", file=source) from fault
    with told_of_writing(target), whole_file(target) as file:
        put(file, around.head, check=check)
        copy_part(file, FilePart(source, own.data_at, own.data_bytes), check=check)
        put(file, around.tail, check=check)
