"""What the chunks of a file say about its music, and only what they really say. Pure.

Many programs write an `acid` chunk that nobody has filled in: its tempo counts only where its own flags say
that the file is a loop or a beat-mapped track, or where the beats at that tempo are as long as the file is.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

from bridge.media.musical_time import Key
from bridge.media.wav_chunks import WavChunks
from bridge.media.wav_cues import Cues
from bridge.media.wav_fields import scaled
from bridge.media.wav_tags import Acid

SLOWEST_BPM, FASTEST_BPM = 10.0, 999.0
MOST_BEATS: Final = 1_000_000
# How far the length of the beats at their tempo may be from the file's, as a share.
LENGTH_TOLERANCE: Final = 0.02
DENOMINATORS: Final = frozenset({1, 2, 4, 8, 16, 32, 64})
MOST_NUMERATOR: Final = 64

_TEMPO_PATHS: Final = ("STEINBERG/MusicalTempo", "ASWG/tempo", "BPM", "TEMPO", "USER/BPM", "USER/TEMPO")
_METER_PATHS: Final = ("STEINBERG/MusicalSignature", "ASWG/timeSig")
_KEY_PATHS: Final = ("STEINBERG/MusicalKey", "ASWG/inKey", "KEY", "USER/KEY")

_NUMBER: Final = re.compile(r"(\d{1,4}(?:[.,]\d{1,6})?)\s*(?:bpm)?", re.IGNORECASE)
_METER: Final = re.compile(r"(\d{1,2})\s*/\s*(\d{1,2})")


@dataclass(frozen=True)
class MusicalFacts:
    """None = the file does not say. Frames are the file's own.

    `time_reference_frames` counts from midnight or the project's start, as the writer chose; 0 may also mean
    that it was not set. `key_root` is a pitch class, 0 = C. `key` is the text as it stands there.
    """

    time_reference_frames: int | None = None
    tempo_bpm: float | None = None
    beats: int | None = None
    meter: tuple[int, int] | None = None
    key_root: int | None = None
    key: str | None = None
    markers: tuple[tuple[int, str], ...] = ()


def musical_facts(chunks: WavChunks, rate_hz: int) -> MusicalFacts:
    """The facts, each from the chunk that knows it best; `rate_hz` is the rate of the samples.

    Tempo and meter: acid, then iXML, then INFO. Key: iXML, then INFO, then acid's root note.
    """
    acid = chunks.acid
    trusted = acid if acid is not None and _is_filled_in(acid, chunks.frames, rate_hz) else None
    key = _key_text(chunks)
    root = root_of_key(key) if key else None
    if root is None and acid is not None and acid.root_note is not None:
        root = acid.root_note % 12
    return MusicalFacts(
        time_reference_frames=_time_reference(chunks, rate_hz),
        tempo_bpm=_rounded(trusted.tempo_bpm) if trusted else _tempo_in_texts(chunks),
        beats=trusted.beats if trusted and 0 < trusted.beats <= MOST_BEATS else None,
        meter=_meter(*trusted.meter) if trusted else _meter_in_texts(chunks),
        key_root=root,
        key=key,
        markers=_markers(chunks),
    )


def _is_filled_in(acid: Acid, frames: int | None, rate_hz: int) -> bool:
    """True where the tempo means something. A one-shot has none, whatever is written."""
    tempo_bpm = acid.tempo_bpm
    if acid.is_one_shot or not SLOWEST_BPM <= tempo_bpm <= FASTEST_BPM:
        return False
    if acid.stretches or acid.is_disk_based:
        return True
    if not frames or not 0 < acid.beats <= MOST_BEATS:
        return False
    return abs(acid.beats * 60 / tempo_bpm * rate_hz / frames - 1) <= LENGTH_TOLERANCE


def _rounded(tempo_bpm: float) -> float:
    """A tempo stored in 32 bits, as it was meant: 174.1 and not 174.10000610."""
    return float(f"{tempo_bpm:.7g}")


def _time_reference(chunks: WavChunks, rate_hz: int) -> int | None:
    if chunks.bext is not None:
        return chunks.bext.time_reference
    ixml = chunks.ixml
    if ixml is None:
        return None
    if ixml.timestamp_frames is not None:
        return scaled(ixml.timestamp_frames, ixml.timestamp_rate_hz or rate_hz, rate_hz)
    return ixml.time_reference


def _texts(chunks: WavChunks, paths: tuple[str, ...], info_name: str) -> list[str]:
    ixml = chunks.ixml
    found = [ixml.get(path) for path in paths] if ixml is not None else []
    return [text for text in (*found, chunks.info.get(info_name)) if text]


def _tempo_in_texts(chunks: WavChunks) -> float | None:
    for text in _texts(chunks, _TEMPO_PATHS, "IBPM"):
        found = _NUMBER.fullmatch(text.strip())
        tempo_bpm = float(found[1].replace(",", ".")) if found else math.nan
        if SLOWEST_BPM <= tempo_bpm <= FASTEST_BPM:
            return tempo_bpm
    return None


def _meter_in_texts(chunks: WavChunks) -> tuple[int, int] | None:
    found = (_METER.fullmatch(text.strip()) for text in _texts(chunks, _METER_PATHS, ""))
    meters = (_meter(int(one[1]), int(one[2])) for one in found if one)
    return next((meter for meter in meters if meter), None)


def _meter(numerator: int, denominator: int) -> tuple[int, int] | None:
    is_one = 0 < numerator <= MOST_NUMERATOR and denominator in DENOMINATORS
    return (numerator, denominator) if is_one else None


def _key_text(chunks: WavChunks) -> str | None:
    """IKEY is for keywords, though many write the key there: only what reads as a key is taken for one."""
    texts = (text.strip() for text in _texts(chunks, _KEY_PATHS, "IKEY"))
    return next((text for text in texts if root_of_key(text) is not None), None)


def root_of_key(text: str) -> int | None:
    """The pitch class of a key's root, 0 = C: `F#m`, `Bb major`, `C`. None for all other texts."""
    try:
        return Key.named(text).tonic
    except ValueError:
        return None


def _markers(chunks: WavChunks) -> tuple[tuple[int, str], ...]:
    """The cue points or AIFF markers by their frames, each with its label, note or region's text."""
    if chunks.marks is not None:
        return tuple(sorted((one.frame, one.name) for one in chunks.marks.marks))
    labels = chunks.labels
    names: dict[int, str] = {}
    if labels is not None:
        regions = {one.cue_id: one.text for one in labels.regions if one.text}
        names = regions | labels.texts(b"note") | {k: v for k, v in labels.texts(b"labl").items() if v}
    points = (point for one in chunks.each(Cues) for point in one.points)
    return tuple(sorted((point.frame, names.get(point.id, "")) for point in points))
