"""The `bext` chunk of Broadcast WAV, versions 0 to 2 (EBU Tech 3285). Pure."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from bridge.media.wav_fields import fixed_text, text_of

UNSET_LOUDNESS: Final = 0x7FFF
FIXED_BYTES: Final = 602
LEAST_BYTES: Final = 348  # up to and with the version; what is missing behind it counts as zero
LOUDNESS_VERSION: Final = 2

# Field: offset and length in bytes.
_DESCRIPTION: Final = (0, 256)
_ORIGINATOR: Final = (256, 32)
_REFERENCE: Final = (288, 32)
_DATE: Final = (320, 10)
_TIME: Final = (330, 8)
_TIME_REFERENCE_AT: Final = 338
_VERSION_AT: Final = 346
_UMID: Final = (348, 64)
_LOUDNESS_AT: Final = 412
_LOUDNESS: Final = "<5h"


@dataclass(frozen=True)
class Loudness:
    """What a version-2 chunk says of the level; None = not set. Stored in hundredths."""

    integrated_lufs: float | None = None
    range_lu: float | None = None
    true_peak_dbtp: float | None = None
    momentary_lufs: float | None = None
    short_term_lufs: float | None = None


@dataclass(frozen=True)
class Bext:
    """A `bext` chunk: its bytes, and what they say. Reserved bytes stay as they are."""

    raw: bytes

    @classmethod
    def parse(cls, raw: bytes) -> Bext:
        """Raises ValueError where it is too short to be one."""
        if len(raw) < LEAST_BYTES:
            raise ValueError(f"it has {len(raw)} bytes, {FIXED_BYTES} at least should be")
        return cls(raw)

    @classmethod
    def make(
        cls,
        *,
        time_reference: int,
        description: str = "",
        originator: str = "",
        reference: str = "",
        date: str = "",
        time: str = "",
        coding_history: str = "",
    ) -> Bext:
        """A new chunk of version 2 with its loudness unset. `date` is yyyy-mm-dd, `time` hh:mm:ss.

        Raises ValueError for a `time_reference` (frames since midnight or the project's start) out of range.
        """
        texts = ((description, _DESCRIPTION), (originator, _ORIGINATOR), (reference, _REFERENCE))
        head = b"".join(fixed_text(text, size) for text, (_, size) in (*texts, (date, _DATE), (time, _TIME)))
        unset = struct.pack(_LOUDNESS, *[UNSET_LOUDNESS] * 5)
        fixed = head + struct.pack("<QH", 0, LOUDNESS_VERSION) + bytes(64) + unset
        history = coding_history.encode("utf-8", "replace")
        return cls(fixed.ljust(FIXED_BYTES, b"\0") + history).with_time_reference(time_reference)

    def to_bytes(self) -> bytes:
        return self.raw

    @property
    def description(self) -> str:
        return self._text(_DESCRIPTION)

    @property
    def originator(self) -> str:
        return self._text(_ORIGINATOR)

    @property
    def reference(self) -> str:
        return self._text(_REFERENCE)

    @property
    def date(self) -> str:
        return self._text(_DATE)

    @property
    def time(self) -> str:
        return self._text(_TIME)

    @property
    def time_reference(self) -> int:
        """Frames from midnight, or from the project's start, to the first sample.

        0 is what writers also put where they know nothing.
        """
        (frames,) = struct.unpack_from("<Q", self.raw, _TIME_REFERENCE_AT)
        return int(frames)

    @property
    def version(self) -> int:
        (version,) = struct.unpack_from("<H", self.raw, _VERSION_AT)
        return int(version)

    @property
    def umid(self) -> bytes:
        """64 bytes (SMPTE ST 330); all zero = not set, as always in version 0."""
        at, size = _UMID
        return self.raw[at : at + size].ljust(size, b"\0") if self.version >= 1 else bytes(size)

    @property
    def loudness(self) -> Loudness:
        if not self._has_loudness:
            return Loudness()
        numbers = struct.unpack_from(_LOUDNESS, self.raw, _LOUDNESS_AT)
        return Loudness(*(None if number == UNSET_LOUDNESS else number / 100 for number in numbers))

    @property
    def coding_history(self) -> str:
        return text_of(self.raw[FIXED_BYTES:])

    def with_time_reference(self, frames: int) -> Bext:
        """Raises ValueError where it does not fit 64 bits."""
        if not 0 <= frames < 1 << 64:
            raise ValueError("a time reference is 0 to 2**64 - 1 frames")
        return Bext(_patched(self.raw, _TIME_REFERENCE_AT, struct.pack("<Q", frames)))

    def without_loudness(self) -> Bext:
        """The same with all levels unset: for sound that is not what was measured."""
        if not self._has_loudness:
            return self
        return Bext(_patched(self.raw, _LOUDNESS_AT, struct.pack(_LOUDNESS, *[UNSET_LOUDNESS] * 5)))

    @property
    def _has_loudness(self) -> bool:
        return self.version >= LOUDNESS_VERSION and len(self.raw) >= _LOUDNESS_AT + struct.calcsize(_LOUDNESS)

    def _text(self, field: tuple[int, int]) -> str:
        at, size = field
        return text_of(self.raw[at : at + size])


def _patched(raw: bytes, at: int, new: bytes) -> bytes:
    return raw[:at] + new + raw[at + len(new) :]
