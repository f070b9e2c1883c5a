"""How the samples of a WAV or AIFF are described: the chunks `fmt ` and `COMM`, read and built. Pure.

Sources: Microsoft "Multiple Channel Audio Data and WAVE Files" (WAVEFORMATEXTENSIBLE), Apple "AIFF-C".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
_FMT_BYTES: Final = 16
_EXTENSIBLE_BYTES: Final = 40
_COMM_BYTES: Final = 18
_GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
_AIFC_WORDS: Final = {b"fl32": b"32-bit floating point", b"fl64": b"64-bit floating point"}
_AIFC_BITS: Final = {b"fl32": 32, b"FL32": 32, b"fl64": 64, b"FL64": 64}
_AIFC_PCM: Final = frozenset({b"NONE", b"twos", b"sowt"})


@dataclass(frozen=True)
class SampleFormat:
    """`bits` is what one sample takes in the file, `valid_bits` how many of them count (from the top).

    `tag` is the kind of coding as WAV numbers it: 1 whole numbers, 3 floats, others are compressed.
    """

    tag: int
    channels: int
    rate_hz: int
    bits: int
    valid_bits: int
    channel_mask: int = 0
    is_extensible: bool = False

    @property
    def is_plain(self) -> bool:
        return self.tag in (PCM, FLOAT)

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def parse_fmt(raw: bytes, order: str = "<") -> SampleFormat:
    """Raises ValueError where it is too short or names no channels."""
    if len(raw) < _FMT_BYTES:
        raise ValueError("it is too short")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from(f"{order}HHIIHH", raw)
    if channels == 0 or rate_hz == 0:
        raise ValueError("it names no channels or no rate")
    valid_bits, mask = bits, 0
    is_extensible = tag == EXTENSIBLE and len(raw) >= _EXTENSIBLE_BYTES
    if is_extensible:
        valid_bits, mask, tag = struct.unpack_from(f"{order}HIH", raw, 18)
    even, rest = divmod(frame_bytes, channels)
    whole = even * 8 if rest == 0 and even * 8 >= bits else -(-bits // 8) * 8
    return SampleFormat(tag, channels, rate_hz, whole, min(valid_bits, whole) or whole, mask, is_extensible)


def build_fmt(made: SampleFormat, order: str = "<") -> bytes:
    """The chunk's body for whole numbers or floats."""
    head = (made.channels, made.rate_hz, made.rate_hz * made.frame_bytes, made.frame_bytes, made.bits)
    if not made.is_extensible:
        tail = b"" if made.tag == PCM else bytes(2)
        return struct.pack(f"{order}HHIIHH", made.tag, *head) + tail
    more = struct.pack(f"{order}HHIH", 22, made.valid_bits, made.channel_mask, made.tag)
    return struct.pack(f"{order}HHIIHH", EXTENSIBLE, *head) + more + _GUID_TAIL


def parse_comm(raw: bytes, form: bytes) -> SampleFormat:
    """Raises ValueError as `parse_fmt` does."""
    if len(raw) < _COMM_BYTES:
        raise ValueError("it is too short")
    channels, _, bits = struct.unpack_from(">hIh", raw)
    rate_hz = _from_extended(raw[8:18])
    if channels < 1 or rate_hz < 1 or bits < 1:
        raise ValueError("it names no channels, no rate or no bits")
    coding = raw[18:22] if form == b"AIFC" else b"NONE"
    if coding in _AIFC_BITS:
        return SampleFormat(FLOAT, channels, rate_hz, _AIFC_BITS[coding], _AIFC_BITS[coding])
    tag = PCM if coding in _AIFC_PCM else 0
    return SampleFormat(tag, channels, rate_hz, -(-bits // 8) * 8, bits)


def build_comm(made: SampleFormat, frames: int, coding: bytes) -> bytes:
    """`coding` is AIFF-C's compression type, b"" for plain AIFF."""
    head = struct.pack(">hIh", made.channels, frames, made.valid_bits) + _to_extended(made.rate_hz)
    words = _AIFC_WORDS.get(coding, b"not compressed")
    name = bytes([len(words)]) + words
    return head + coding + (name + bytes(len(name) % 2) if coding else b"")


def _from_extended(raw: bytes) -> int:
    """The whole part of an 80-bit number (IEEE 754), 0 where it is not a sane rate."""
    exponent, mantissa = struct.unpack(">HQ", raw)
    shift = 16383 + 63 - exponent
    return int(mantissa >> shift) if 0 <= shift < 64 else 0  # noqa: PLR2004 - the bits of a mantissa


def _to_extended(number: int) -> bytes:
    shift = 64 - number.bit_length()
    return struct.pack(">HQ", 16383 + 63 - shift, number << shift)
