"""Is an audio file finished, as far as its header tells? Standard library only: the daemon asks this often.

Nothing is decoded here. "Complete" means that the sizes in the header agree with the file; "unfinished" that
they do not, so that somebody may still be writing; "unknown" that this format's header does not tell.
"""

# ruff: noqa: PLR2004
# The offsets and bit masks of a byte format are the format itself; names for each would hide it.

from __future__ import annotations

import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Literal

from bridge.media.chunk_layout import Agreement, read_layout

# What only ffmpeg decodes: libsndfile reads all the others.
FFMPEG_SUFFIXES: Final = frozenset({".m4a", ".aac", ".mp4"})
AUDIO_SUFFIXES: Final[frozenset[str]] = FFMPEG_SUFFIXES | {
    ".wav", ".wave", ".bwf", ".rf64", ".bw64", ".w64", ".aif", ".aiff", ".aifc", ".caf",
    ".flac", ".mp3", ".ogg", ".oga", ".opus",
}  # fmt: skip

Verdict = Literal["complete", "unfinished", "unknown"]
Kind = Literal["chunks", "flac", "ogg", "mp3", "aac", "mp4"]

MOST_ATOMS = 4096
FLAC_TAIL_BYTES = 1 << 16
FLAC_HEAD_BYTES = 42  # the magic, a block head and STREAMINFO
HEAD_BYTES = 64


@dataclass(frozen=True)
class HeaderReport:
    """What the header says, and why, in plain words."""

    verdict: Verdict
    reason: str


def examine(path: Path) -> HeaderReport:
    """Whether the file at `path` looks finished. Reads headers only. Raises OSError."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # opening a named pipe would wait for its writer
        return HeaderReport("unknown", "it is not a plain file")
    with path.open("rb") as file:
        file_bytes = file.seek(0, 2)
        if file_bytes == 0:
            return HeaderReport("unfinished", "the file is empty")
        file.seek(0)
        kind = kind_of(file.read(HEAD_BYTES))
        if kind is None:
            return HeaderReport("unknown", "it does not begin like any audio file known here")
        return _EXAMINERS[kind](file, file_bytes)


def kind_of(head: bytes) -> Kind | None:
    """The family of formats that a file's first bytes belong to, whatever its name says."""
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"FORM", b"riff", b"caff"):
        return "chunks"
    if head[:4] == b"fLaC":
        return "flac"
    if head[:4] == b"OggS":
        return "ogg"
    if head[4:8] == b"ftyp":
        return "mp4"
    if head[:3] == b"ID3":
        return "mp3"
    return _frame_sync_kind(head)


def _frame_sync_kind(head: bytes) -> Kind | None:
    """MPEG audio without a tag begins with eleven set bits; layer 0 is AAC in ADTS (ISO 13818-7)."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "aac"
    return "mp3" if head[1] & 0x06 else None


def _examine_chunks(file: BinaryIO, file_bytes: int) -> HeaderReport:
    layout = read_layout(file, file_bytes)
    if layout is None:
        return HeaderReport("unknown", "it is a container, but not of sound")
    verdict: Verdict = "complete" if layout.agreement is Agreement.WHOLE else "unfinished"
    return HeaderReport(verdict, layout.reason)


def _does_not_tell(_file: BinaryIO, _file_bytes: int) -> HeaderReport:
    return HeaderReport("unknown", "this format's header does not say how long the file is")


def _examine_mp4(file: BinaryIO, file_bytes: int) -> HeaderReport:
    """Top-level atoms must fill the file and `moov`, written last, must be there (ISO 14496-12)."""
    at, found_moov = 0, False
    for _ in range(MOST_ATOMS):
        if at >= file_bytes:
            break
        file.seek(at)
        head = file.read(16)
        if len(head) < 8:
            return HeaderReport("unfinished", "it ends within the head of an atom")
        size, name = struct.unpack(">I4s", head[:8])
        if size == 1 and len(head) == 16:
            (size,) = struct.unpack(">Q", head[8:])
        size = size or file_bytes - at  # 0 = up to the end of the file
        found_moov = found_moov or name == b"moov"
        if size < 8 or at + size > file_bytes:
            return HeaderReport("unfinished", "an atom in it reaches beyond the end of the file")
        at += size
    if not found_moov:
        return HeaderReport("unfinished", "its index (moov) has not been written")
    return HeaderReport("complete", "its atoms fill the file and the index is there")


def _examine_flac(file: BinaryIO, file_bytes: int) -> HeaderReport:
    """The length in STREAMINFO against the number of the last frame (RFC 9639, 8.2 and 9.1)."""
    file.seek(0)
    head = file.read(FLAC_HEAD_BYTES)
    if len(head) < FLAC_HEAD_BYTES or head[4] & 0x7F != 0:
        return HeaderReport("unfinished", "its head (STREAMINFO) is not whole")
    least_block, most_block = struct.unpack(">HH", head[8:12])
    largest_frame = int.from_bytes(head[15:18], "big")
    total_frames = int.from_bytes(head[18:26], "big") & 0xFFFFFFFFF
    if total_frames == 0:
        return HeaderReport("unknown", "its header does not say how long it is")
    if not 0 < largest_frame < FLAC_TAIL_BYTES or least_block != most_block:
        return HeaderReport("unknown", "its header does not say how many bytes there should be")
    file.seek(max(0, file_bytes - FLAC_TAIL_BYTES))
    tail = file.read(FLAC_TAIL_BYTES)
    last_number = (total_frames - 1) // most_block
    if _ends_in_flac_frame(tail, last_number):
        return HeaderReport("complete", "its last frame is the one that the header promises")
    return HeaderReport("unfinished", "the last frame that the header promises is not at its end")


def _ends_in_flac_frame(tail: bytes, number: int) -> bool:
    """True if `tail` ends with the whole frame of that number: the 16-bit checksum over it comes out as 0."""
    wanted = _flac_coded_number(number)
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        follows = tail[at + 1 : at + 2]
        if follows == b"\xf8" and tail[at + 4 : at + 4 + len(wanted)] == wanted and _crc16(tail[at:]) == 0:
            return True
    return False


def _flac_coded_number(number: int) -> bytes:
    """A frame's number as FLAC writes it: UTF-8's way, up to 36 bits (RFC 9639, 9.1.5)."""
    if number < 0x80:
        return bytes([number])
    rest: list[int] = []
    room = 0x3F
    while number > room:
        rest.insert(0, 0x80 | number & 0x3F)
        number >>= 6
        room = 0x1F if room == 0x3F else room >> 1
    return bytes([(~room << 1) & 0xFF | number, *rest])


def _crc16_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte << 8
        for _ in range(8):
            value = (value << 1 ^ 0x8005 if value & 0x8000 else value << 1) & 0xFFFF
        table.append(value)
    return tuple(table)


_CRC16: Final = _crc16_table()


def _crc16(data: bytes) -> int:
    """CRC-16 with polynomial 0x8005, beginning at 0 (RFC 9639, 9.3)."""
    value = 0
    for byte in data:
        value = (value << 8) & 0xFFFF ^ _CRC16[value >> 8 ^ byte]
    return value


_EXAMINERS: Final[dict[Kind, Callable[[BinaryIO, int], HeaderReport]]] = {
    "chunks": _examine_chunks,
    "flac": _examine_flac,
    "mp4": _examine_mp4,
    "ogg": _does_not_tell,
    "mp3": _does_not_tell,
    "aac": _does_not_tell,
}
