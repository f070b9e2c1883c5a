"""What the chunks of a WAV are made of: texts of fixed length, and lists of small chunks. Pure.

Everything read here can be written again bit by bit: bytes that mean nothing are kept as they are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from bridge.media.chunk_layout import is_name

MOST_ENTRIES = 10_000
"""Entries of one list: more than any song has, and few enough to hold as objects."""

HEAD_BYTES = 8
LARGEST_32 = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """A small chunk in a `LIST`. `pad` is the byte that makes its length even, as it was found."""

    name: bytes
    body: bytes
    pad: bytes = b""

    @classmethod
    def of(cls, name: bytes, body: bytes) -> Entry:
        """A new entry, padded as it should be."""
        return cls(name, body, bytes(len(body) % 2))


def text_of(raw: bytes) -> str:
    """The text up to the first zero byte: UTF-8, else Latin-1, as old writers have it."""
    text = raw.split(b"\0", 1)[0]
    try:
        return text.decode("utf-8").strip()
    except UnicodeDecodeError:
        return text.decode("latin-1").strip()


def fixed_text(text: str, size: int) -> bytes:
    """`text` in exactly `size` bytes of UTF-8: cut at a character, filled with zeros."""
    raw = text.encode("utf-8", "replace")[:size]
    return raw.decode("utf-8", "ignore").encode("utf-8").ljust(size, b"\0")


def split_entries(raw: bytes) -> tuple[tuple[Entry, ...], bytes]:
    """The small chunks in `raw`, and what is behind the last whole one. Raises ValueError for too many."""
    entries: list[Entry] = []
    at = 0
    while at + HEAD_BYTES <= len(raw):
        name, size = struct.unpack_from("<4sI", raw, at)
        end = at + HEAD_BYTES + size
        if end > len(raw) or not is_name(name):
            break
        if len(entries) == MOST_ENTRIES:
            raise ValueError(f"it has more than {MOST_ENTRIES:,} entries")
        pad = _pad_at(raw, end) if size % 2 else b""
        entries.append(Entry(name, raw[at + HEAD_BYTES : end], pad))
        at = end + len(pad)
    return tuple(entries), raw[at:]


def _pad_at(raw: bytes, end: int) -> bytes:
    """The pad byte behind an odd entry; some writers leave it out and go on with the next name at once."""
    left_out = raw[end : end + 1] != b"\0" and is_name(raw[end : end + 4])
    return b"" if left_out else raw[end : end + 1]


def join_entries(entries: Iterable[Entry], tail: bytes = b"") -> bytes:
    """The bytes that `split_entries` read."""
    parts = [struct.pack("<4sI", one.name, len(one.body)) + one.body + one.pad for one in entries]
    return b"".join(parts) + tail


def scaled(frame: int, old_hz: int, new_hz: int) -> int:
    """The frame at the same time in another rate, to the nearest; halves go up."""
    return (2 * frame * new_hz + old_hz) // (2 * old_hz)
