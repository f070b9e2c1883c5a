"""MP3 files with a variable bit rate and no index: libsndfile guesses their length and stops too early.

Such a file is given an index in memory: a first frame with the number of frames, as encoders write it
(ISO 11172-3 for frames; the "Xing" frame as LAME documents it). The file itself is not touched.
"""

# ruff: noqa: PLR2004
# The offsets and bit masks of a byte format are the format itself; names for each would hide it.

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MPEG1_KBPS = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
MPEG2_KBPS = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
RATES_HZ = (44_100, 48_000, 32_000)
# The version bits of a header: how often the rate is halved.
HALVINGS = {3: 0, 2: 1, 0: 2}
INDEX_NAMES = (b"Xing", b"Info", b"VBRI")
LARGEST_FRAME_BYTES = 1441
# Tags stand behind the last frame; more than this is damage in the middle.
TAGS_BYTES = 1 << 16
# From the encoder's name to the end of the delays.
LAME_TAG_BYTES = 24


@dataclass(frozen=True)
class _Frame:
    length: int
    bit_rate: int  # the index into the table
    side_bytes: int


def _frame(head: bytes) -> _Frame | None:
    """What the four bytes of a layer III frame's header say; None if they are none."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    halvings = HALVINGS.get(head[1] >> 3 & 3)
    bit_rate, rate = head[2] >> 4, head[2] >> 2 & 3
    if halvings is None or not 0 < bit_rate < 15 or rate == 3:
        return None
    kbps = (MPEG2_KBPS if halvings else MPEG1_KBPS)[bit_rate]
    slots = 72_000 if halvings else 144_000
    length = slots * kbps // (RATES_HZ[rate] >> halvings) + (head[2] >> 1 & 1)
    is_mono = head[3] >> 6 == 3
    sides = (9, 17) if halvings else (17, 32)
    return _Frame(length, bit_rate, sides[0 if is_mono else 1])


def _first_frame_at(file: BinaryIO) -> int:
    file.seek(0)
    head = file.read(10)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
    return 10 + size + (10 if head[5] & 0x10 else 0)


def missing_index(file: BinaryIO) -> tuple[bytes, int] | None:
    """(a frame with the index, where the file's own first frame begins), or None where none is needed.

    Reads one header a frame, in order, so it ends with the file. Raises OSError.
    """
    at = start = _first_frame_at(file)
    file.seek(start)
    beginning = file.read(LARGEST_FRAME_BYTES)
    first = _frame(beginning[:4])
    if first is None or any(name in beginning[: first.length] for name in INDEX_NAMES):
        return None
    count, bit_rates = 0, set()
    while True:
        file.seek(at)
        frame = _frame(file.read(4))
        if frame is None:
            break
        at += frame.length
        count += 1
        bit_rates.add(frame.bit_rate)
    if len(bit_rates) < 2:  # with a constant bit rate the size of the file tells the length
        return None
    file_bytes = file.seek(0, 2)
    if at + TAGS_BYTES < file_bytes:  # promise too much, so that what can be decoded behind the damage is
        count = min(0x7FFFFFFF, 2 * count * file_bytes // at)
    return _index_frame(beginning[:4], first.side_bytes, count), start


def _index_frame(head: bytes, side_bytes: int, count: int) -> bytes:
    # The largest bit rate, so that there is room; no checksum, no padding.
    own = bytes([0xFF, head[1] | 1, 14 << 4 | head[2] & 0x0C, head[3]])
    frame = _frame(own)
    assert frame is not None
    body = own + bytes(side_bytes) + b"Xing" + struct.pack(">II", 1, count)
    return body.ljust(frame.length, b"\0")


class IndexedMp3(io.RawIOBase):
    """The file at `path` from its first frame on, with `index` before it. For reading only."""

    def __init__(self, path: Path, index: bytes, first_frame_at: int) -> None:
        super().__init__()
        self._file = path.open("rb")
        self._index = index
        self._first = first_frame_at
        self._length = len(index) + max(0, self._file.seek(0, 2) - first_frame_at)
        self._at = 0

    def close(self) -> None:
        self._file.close()
        super().close()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        base = (0, self._at, self._length)[whence]
        self._at = max(0, base + offset)
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        room = memoryview(buffer).cast("B")
        front = self._index[self._at : self._at + len(room)]
        self._file.seek(self._first + max(0, self._at - len(self._index)))
        content = front + self._file.read(len(room) - len(front))
        room[: len(content)] = content
        self._at += len(content)
        return len(content)


def told_delay(file: BinaryIO) -> int | None:
    """The frames that the encoder says it has put before the sound (LAME's tag), or None if it does not say.

    Whoever decodes such a file cuts them off, and what fills the last frame too. Raises OSError.
    """
    start = _first_frame_at(file)
    file.seek(start)
    first = file.read(LARGEST_FRAME_BYTES)
    frame = _frame(first[:4])
    if frame is None:
        return None
    at = 4 + frame.side_bytes
    if first[at : at + 4] not in (b"Xing", b"Info") or len(first) < at + 8:
        return None
    (flags,) = struct.unpack_from(">I", first, at + 4)
    at += 8 + 4 * (flags & 1) + 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    tag = first[at : min(frame.length, at + LAME_TAG_BYTES)]
    if len(tag) < LAME_TAG_BYTES or not tag[:4].isalnum():
        return None
    return tag[21] << 4 | tag[22] >> 4
