"""The metadata of a FLAC file: read, and put around the sound of another one (RFC 9639, section 8).

Standard library only. The blocks that describe the sound itself stay with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

MAGIC: Final = b"fLaC"
STREAMINFO, PADDING, APPLICATION, SEEKTABLE, COMMENTS, CUESHEET, PICTURE = range(7)
OF_THE_SOUND: Final = frozenset({STREAMINFO, PADDING, SEEKTABLE})
MOST_BLOCKS: Final = 1024
HELD_BYTES: Final = 32 << 20
COPY_BYTES: Final = 1 << 20
_LAST: Final = 0x80


@dataclass(frozen=True)
class FlacBlock:
    kind: int
    body: bytes


def read_blocks(path: Path) -> tuple[FlacBlock, ...]:
    """The metadata blocks beside those of the sound: tags, pictures, cue sheet. Raises OSError.

    Blocks that are cut off, and those behind the first 32 MiB, are left out.
    """
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            return ()
        return tuple(one for one in _blocks(file) if one.kind not in OF_THE_SOUND)


def _blocks(file: BinaryIO) -> Iterator[FlacBlock]:
    """The blocks from here on; the file stands behind the last one then."""
    left = HELD_BYTES
    for _ in range(MOST_BLOCKS):
        head = file.read(4)
        size = int.from_bytes(head[1:], "big")
        if len(head) < 4 or size > left:  # noqa: PLR2004 - a block's head
            return
        left -= size
        body = file.read(size)
        if len(body) < size:
            return
        yield FlacBlock(head[0] & ~_LAST, body)
        if head[0] & _LAST:
            return


def with_blocks(source: BinaryIO, target: BinaryIO, blocks: tuple[FlacBlock, ...]) -> None:
    """Copies the FLAC file `source` to `target` with `blocks` instead of its own tags. Raises OSError."""
    source.seek(4)
    own = tuple(one for one in _blocks(source) if one.kind in OF_THE_SOUND)
    written = (*(one for one in own if one.kind == STREAMINFO), *blocks)
    written += tuple(one for one in own if one.kind != STREAMINFO)
    target.write(MAGIC)
    for number, one in enumerate(written, 1):
        last = _LAST if number == len(written) else 0
        target.write(bytes([one.kind | last]) + len(one.body).to_bytes(3, "big") + one.body)
    while block := source.read(COPY_BYTES):
        target.write(block)
