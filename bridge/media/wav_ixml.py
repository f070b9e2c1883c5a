"""The `iXML` chunk (iXML 3.01), read without trusting it and changed without rewriting it. Pure.

No tree is built, so that a small hostile text cannot become a large one in memory; document types and
entities are refused. Changes replace single numbers in the text: everything else stays as it was written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

from bridge.media.wav_fields import scaled

LARGEST_BYTES: Final = 1 << 20
DEEPEST: Final = 32
MOST_VALUES: Final = 500
MOST_ELEMENTS: Final = 20_000
CODECS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252"})
# Each attribute costs many times its letters; iXML itself has none. Possessive: no text makes these slow.
MANY_ATTRIBUTES: Final = re.compile(
    r"""<[A-Za-z_][^\s<>/]*+(?:\s++[^\s=<>]++\s*+=\s*+(?:"[^"<]*+"|'[^'<]*+')){33}"""
)
PADDING: Final = "\0 \t\r\n\ufeff"

_ENCODING = re.compile(rb"""^\s*<\?xml[^>]{0,100}encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_UTF16_BEGINNINGS: Final = {
    b"\xff\xfe": "utf-16-le",
    b"<\0": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
    b"\0<": "utf-16-be",
}
_ATTRIBUTE_PATH: Final = ("STEINBERG", "ATTR_LIST", "ATTR")

SPEED: Final = "SPEED/"
_MIDNIGHT: Final = "TIMESTAMP_SAMPLES_SINCE_MIDNIGHT"
_REFERENCE: Final = "BWF_TIME_REFERENCE"


@dataclass(frozen=True)
class Ixml:
    """An `iXML` chunk: its bytes, and the values by their path below the root.

    `values` holds ("PROJECT", "Song"), ("SPEED/FILE_SAMPLE_RATE", "48000"); Steinberg's attributes stand as
    ("STEINBERG/MusicalTempo", "120"). The first of a path counts.
    """

    raw: bytes
    values: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, raw: bytes) -> Ixml:
        """Raises ValueError for what is no XML, is too large, or declares a document type."""
        if len(raw) > LARGEST_BYTES:
            raise ValueError(f"it is larger than {LARGEST_BYTES >> 20} MiB")
        _, text = _decoded(raw)
        text = text.strip(PADDING)
        if MANY_ATTRIBUTES.search(text):
            raise ValueError("a tag in it has more than 32 attributes")
        return cls(raw, _Reader().read(text))

    def to_bytes(self) -> bytes:
        return self.raw

    @property
    def text(self) -> str:
        """The XML as it stands there."""
        return _decoded(self.raw)[1].strip(PADDING)

    def get(self, path: str) -> str | None:
        """The text at `path`, None where there is none or it is empty."""
        return next((text for name, text in self.values if name == path and text), None)

    @property
    def project(self) -> str | None:
        return self.get("PROJECT")

    @property
    def scene(self) -> str | None:
        return self.get("SCENE")

    @property
    def take(self) -> str | None:
        return self.get("TAKE")

    @property
    def note(self) -> str | None:
        return self.get("NOTE")

    @property
    def sample_rate_hz(self) -> int | None:
        return self._number(SPEED + "FILE_SAMPLE_RATE")

    @property
    def timestamp_frames(self) -> int | None:
        """Frames since midnight at `timestamp_rate_hz`, or at the file's rate where that is None."""
        return self._halves(SPEED + _MIDNIGHT, "HI")

    @property
    def timestamp_rate_hz(self) -> int | None:
        return self._number(SPEED + "TIMESTAMP_SAMPLE_RATE")

    @property
    def time_reference(self) -> int | None:
        """The copy of `bext`'s time reference in frames."""
        return self._halves("BEXT/" + _REFERENCE, "HIGH")

    def for_cut(self, start_frame: int, rate_hz: int) -> Ixml:
        """The same for sound that begins `start_frame` later: times moved, what was measured dropped."""
        changes: dict[str, int] = {}
        if (stamp := self.timestamp_frames) is not None:
            stamp_hz = self.timestamp_rate_hz or rate_hz
            changes |= _as_halves(_MIDNIGHT, "HI", stamp + scaled(start_frame, rate_hz, stamp_hz))
        if (reference := self.time_reference) is not None:
            changes |= _as_halves(_REFERENCE, "HIGH", reference + start_frame)
        return self._changed(changes, without=("LOUDNESS", "SYNC_POINT_LIST"))

    def for_rate(self, old_hz: int, new_hz: int) -> Ixml:
        """The same for sound at another rate; a time stamp at a rate of its own stays right as it is."""
        changes = {"FILE_SAMPLE_RATE": new_hz}
        if (stamp := self.timestamp_frames) is not None and self.timestamp_rate_hz in (None, old_hz):
            changes |= _as_halves(_MIDNIGHT, "HI", scaled(stamp, old_hz, new_hz))
            changes["TIMESTAMP_SAMPLE_RATE"] = new_hz
        if (reference := self.time_reference) is not None:
            changes |= _as_halves(_REFERENCE, "HIGH", scaled(reference, old_hz, new_hz))
        return self._changed(changes, without=("SYNC_POINT_LIST",))

    def for_depth(self, bits: int) -> Ixml:
        return self._changed({"AUDIO_BIT_DEPTH": bits})

    def without_loudness(self) -> Ixml:
        return self._changed({}, without=("LOUDNESS",))

    def without_tracks(self) -> Ixml:
        """The same without the list that describes each channel."""
        return self._changed({}, without=("TRACK_LIST",))

    def _number(self, path: str) -> int | None:
        text = self.get(path) or ""
        return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else None  # noqa: PLR2004

    def _halves(self, path: str, high: str) -> int | None:
        low = self._number(f"{path}_{'LO' if high == 'HI' else 'LOW'}")
        return None if low is None else ((self._number(f"{path}_{high}") or 0) << 32) + low

    def _changed(self, numbers: dict[str, int], without: tuple[str, ...] = ()) -> Ixml:
        """Each element of these names gets its number; the elements `without` are taken out."""
        codec, text = _decoded(self.raw)
        for name, number in numbers.items():
            text = re.sub(rf"(<{name}>\s*+)[^<\s]*+(\s*+</{name}>)", rf"\g<1>{number}\g<2>", text)
        for name in without:
            text = _without(text, name)
        raw = text.encode(codec)
        return self if raw == self.raw else Ixml.parse(raw)


def _without(text: str, name: str) -> str:
    """`text` without the elements of that name."""
    parts: list[str] = []
    at = 0
    while (begin := text.find(f"<{name}>", at)) >= 0 and (end := text.find(f"</{name}>", begin)) >= 0:
        parts.append(text[at:begin])
        at = end + len(name) + 3
    return "".join([*parts, text[at:]])


def _as_halves(name: str, high: str, number: int) -> dict[str, int]:
    low = "LO" if high == "HI" else "LOW"
    return {f"{name}_{high}": number >> 32 & 0xFFFFFFFF, f"{name}_{low}": number & 0xFFFFFFFF}


def _decoded(raw: bytes) -> tuple[str, str]:
    """The encoding and the text, which encodes to `raw` again. Raises ValueError."""
    declared = _ENCODING.match(raw[:200])
    name = declared[1].decode().lower() if declared else "utf-8"
    first = _UTF16_BEGINNINGS.get(raw[:2])
    for codec in (first,) if first else (name if name in CODECS else "utf-8", "utf-8", "latin-1"):
        try:
            text = raw.decode(codec)
            if text.encode(codec) == raw:
                return codec, text
        except UnicodeError:
            continue
    raise ValueError("its letters cannot be decoded")


class _Reader:
    """Collects the texts of elements that hold nothing but text."""

    def __init__(self) -> None:
        self._path: list[str] = []
        self._text: list[str] = []
        self._elements = 0
        self._is_leaf = False
        self._attribute: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def read(self, text: str) -> tuple[tuple[str, str], ...]:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text_here
        try:
            parser.Parse(text.encode("utf-8"), True)  # noqa: FBT003 - expat's own way to say "the last piece"
        except expat.ExpatError as fault:
            raise ValueError(f"it is no whole XML ({fault})") from fault
        return tuple(self._values.items())

    def _refuse(self, *_args: object) -> None:
        raise ValueError("it declares a document type, which is refused")

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if len(self._path) == DEEPEST:
            raise ValueError(f"it is nested deeper than {DEEPEST} levels")
        self._elements += 1
        if self._elements > MOST_ELEMENTS:
            raise ValueError(f"it has more than {MOST_ELEMENTS:,} elements")
        self._path.append(name)
        self._text.clear()
        self._is_leaf = True

    def _text_here(self, text: str) -> None:
        self._text.append(text)

    def _end(self, name: str) -> None:
        below_root = tuple(self._path[1:])
        self._path.pop()
        text = "".join(self._text).strip()
        self._text.clear()
        if self._is_leaf and below_root[:-1] == _ATTRIBUTE_PATH:
            self._attribute[name] = text
        elif self._is_leaf and below_root:
            self._keep("/".join(below_root), text)
        elif below_root == _ATTRIBUTE_PATH:
            self._keep(f"STEINBERG/{self._attribute.get('NAME', '')}", self._attribute.get("VALUE", ""))
            self._attribute = {}
        self._is_leaf = False

    def _keep(self, path: str, text: str) -> None:
        if len(self._values) < MOST_VALUES:
            self._values.setdefault(path, text)
