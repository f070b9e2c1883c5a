"""What becomes of a file's chunks when its sound is cut, changed, or brought to another rate. Pure.

Positions move with the sound, what was measured on the old sound is unset or left out, everything else stays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from bridge.media.wav_bext import Bext
from bridge.media.wav_chunks import RawChunk, Typed, WavChunks, raw_of
from bridge.media.wav_cues import CuePoint, Cues, Labels, Loop, Marks, Sampler, cue_id_of, region_of
from bridge.media.wav_cues import with_region_frames as with_frames
from bridge.media.wav_fields import LARGEST_32, Entry, scaled
from bridge.media.wav_ixml import Ixml
from bridge.media.wav_tags import Acid

BEAT_TOLERANCE: Final = 1e-3

# Peaks, envelopes, overviews and checksums of the samples themselves.
OF_THE_SAMPLES: Final = frozenset({b"PEAK", b"levl", b"LGWV", b"ovwf", b"MD5 "})
# Positions and lengths in chunks whose inside is not read here.
OF_POSITIONS: Final = frozenset(
    {b"plst", b"strc", b"r64m", b"regn", b"axml", b"bxml", b"sxml", b"chna", b"cart", b"basc"}
)
# Of these a damaged one cannot be moved.
_READ_HERE: Final = frozenset({b"cue ", b"smpl", b"MARK"})
_STALE_IN_TIME: Final = OF_THE_SAMPLES | OF_POSITIONS | _READ_HERE


@dataclass(frozen=True)
class _Move:
    """A mapping of frames: None where a frame is outside. `span` maps a beginning and a length."""

    frame: Callable[[int], int | None]
    span: Callable[[int, int], tuple[int, int] | None]
    loop: Callable[[int, int], tuple[int, int] | None]


def for_cut(chunks: WavChunks, start_frame: int, frames: int) -> WavChunks:
    """The chunks for the `frames` frames from `start_frame` on. The whole file comes back as it was.

    Cue points, markers, regions and loops move; those outside are dropped (a region that reaches in is
    clipped, a loop is not). acid's beats are set by proportion where that gives a whole number, else unset.
    Raises ValueError for numbers below 0.
    """
    if start_frame < 0 or frames < 0:
        raise ValueError("start_frame and frames must not be below 0")
    if start_frame == 0 and frames == chunks.frames:
        return chunks
    rate_hz = chunks.rate_hz or 0
    changes: dict[type, Callable[..., Typed | None]] = {
        Bext: lambda one: _moved_bext(one, one.time_reference + start_frame).without_loudness(),
        Ixml: lambda one: one.for_cut(start_frame, rate_hz) if rate_hz else one.without_loudness(),
        Acid: lambda one: one.with_beats(_share_of_beats(one.beats, frames, chunks.frames)),
    }
    move = _cut_move(start_frame, frames)
    return replace(_changed(chunks, changes | _position_changes(chunks, move), _STALE_IN_TIME), frames=frames)


def for_rate(chunks: WavChunks, old_hz: int, new_hz: int) -> WavChunks:
    """The chunks for the same sound at another rate. Raises ValueError for rates that are not positive."""
    if old_hz <= 0 or new_hz <= 0:
        raise ValueError("rates must be above 0")
    if old_hz == new_hz:
        return chunks

    def frame(at: int) -> int | None:
        there = scaled(at, old_hz, new_hz)
        return there if there <= LARGEST_32 else None

    def span(at: int, length: int) -> tuple[int, int] | None:
        begin, end = frame(at), scaled(at + length, old_hz, new_hz)
        return None if begin is None else (begin, min(end - begin, LARGEST_32))

    def loop(start: int, end: int) -> tuple[int, int] | None:
        found = span(start, end + 1 - start)
        return None if found is None else (found[0], max(found[0], found[0] + found[1] - 1))

    changes: dict[type, Callable[..., Typed | None]] = {
        Bext: lambda one: _moved_bext(one, scaled(one.time_reference, old_hz, new_hz)),
        Ixml: lambda one: one.for_rate(old_hz, new_hz),
    }
    positions = _position_changes(chunks, _Move(frame, span, loop))
    there = _changed(chunks, changes | positions, _STALE_IN_TIME)
    there = there.mapped(lambda chunk: _with_period(chunk, there.typed(chunk), old_hz, new_hz))
    frames = None if chunks.frames is None else scaled(chunks.frames, old_hz, new_hz)
    return replace(there, rate_hz=new_hz, frames=frames)


def for_changed_audio(chunks: WavChunks) -> WavChunks:
    """The chunks for other samples of the same length: what was measured on the old ones is unset."""
    changes: dict[type, Callable[..., Typed | None]] = {
        Bext: Bext.without_loudness,
        Ixml: Ixml.without_loudness,
    }
    return _changed(chunks, changes, OF_THE_SAMPLES)


def _changed(
    chunks: WavChunks, changes: Mapping[type, Callable[..., Typed | None]], stale: frozenset[bytes]
) -> WavChunks:
    warnings: list[str] = []

    def change(chunk: RawChunk) -> RawChunk | None:
        found = chunks.typed(chunk)
        if found is not None and type(found) in changes:
            new = changes[type(found)](found)
            return None if new is None else chunk if new == found else raw_of(new)
        if chunk.name in stale and found is None:
            if chunk.name not in OF_THE_SAMPLES:  # what was measured is measured again by whoever wants it
                name = chunk.name.decode("ascii", "replace").strip()
                warnings.append(f"the chunk {name} does not fit the new sound; it is left out")
            return None
        return chunk

    changed = chunks.mapped(change)
    return replace(changed, warnings=(*changed.warnings, *warnings))


def _moved_bext(bext: Bext, frames: int) -> Bext:
    return bext.with_time_reference(min(frames, (1 << 64) - 1))


def _share_of_beats(beats: int, frames: int, whole_frames: int | None) -> int:
    """The beats of a part: 0 (not set) where that is no whole number, within a thousandth."""
    if not whole_frames:
        return 0
    share = beats * frames / whole_frames
    is_whole = abs(share - round(share)) < BEAT_TOLERANCE
    return round(share) if is_whole and share < LARGEST_32 else 0


def _cut_move(start: int, frames: int) -> _Move:
    end = start + frames

    def frame(at: int) -> int | None:
        # A marker right behind the last frame is the usual mark of the end.
        return at - start if start <= at <= end else None

    def span(at: int, length: int) -> tuple[int, int] | None:
        first, last = max(at, start), min(at + length, end)
        return (first - start, last - first) if first < last else None

    def loop(first: int, last: int) -> tuple[int, int] | None:
        return (first - start, last - start) if start <= first <= last < end else None

    return _Move(frame, span, loop)


def _position_changes(chunks: WavChunks, move: _Move) -> dict[type, Callable[..., Typed | None]]:
    lengths = {one.cue_id: one.frames for one in chunks.labels.regions} if chunks.labels else {}
    points = [point for one in chunks.each(Cues) for point in one.points]
    moved = {point.id: _moved_point(point, lengths.get(point.id, 0), move) for point in points}
    return {
        Cues: lambda one: _moved_cues(one, lengths, move),
        Labels: lambda one: _moved_labels(one, moved),
        Sampler: lambda one: _moved_sampler(one, move),
        Marks: lambda one: _moved_marks(one, move),
    }


def _moved_point(point: CuePoint, length: int, move: _Move) -> tuple[CuePoint, int] | None:
    """The point at its new place with its region's new length; None outside."""
    if length:
        found = move.span(point.frame, length)
        return None if found is None else (point.at(found[0]), found[1])
    at = move.frame(point.frame)
    return None if at is None else (point.at(at), 0)


def _moved_cues(cues: Cues, lengths: Mapping[int, int], move: _Move) -> Cues | None:
    moved = (_moved_point(one, lengths.get(one.id, 0), move) for one in cues.points)
    points = tuple(one[0] for one in moved if one is not None)
    return replace(cues, points=points) if points or not cues.points else None


def _moved_labels(labels: Labels, moved: Mapping[int, tuple[CuePoint, int] | None]) -> Labels | None:
    """The labels of the points that are left; those of points that never were stay."""

    def change(entry: Entry) -> Entry | None:
        key = cue_id_of(entry)
        if key is None or key not in moved:
            return entry
        found = moved[key]
        if found is None:
            return None
        old = region_of(entry)
        return with_frames(entry, found[1]) if old is not None and old.frames else entry

    entries = tuple(entry for entry in map(change, labels.entries) if entry is not None)
    return replace(labels, entries=entries) if entries or not labels.entries else None


def _moved_sampler(sampler: Sampler, move: _Move) -> Sampler:
    moved = ((one, move.loop(one.start, one.end)) for one in sampler.loops)
    loops = tuple(_loop_at(one, *found) for one, found in moved if found is not None)
    return replace(sampler, loops=loops)


def _loop_at(loop: Loop, start: int, end: int) -> Loop:
    return replace(loop, start=start, end=end)


def _moved_marks(marks: Marks, move: _Move) -> Marks | None:
    moved = ((one, move.frame(one.frame)) for one in marks.marks)
    left = tuple(replace(one, frame=at) for one, at in moved if at is not None)
    return replace(marks, marks=left) if left or not marks.marks else None


def _with_period(chunk: RawChunk, found: Typed | None, old_hz: int, new_hz: int) -> RawChunk:
    """`smpl` says how long a frame is, in whole nanoseconds."""
    if not isinstance(found, Sampler):
        return chunk
    is_plain = abs(found.sample_period_ns * old_hz - 10**9) <= old_hz
    period_ns = round(10**9 / new_hz) if is_plain else scaled(found.sample_period_ns, new_hz, old_hz)
    return raw_of(replace(found, sample_period_ns=min(period_ns, LARGEST_32)))
