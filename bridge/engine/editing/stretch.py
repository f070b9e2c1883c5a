"""Another speed at the same pitch: a phase vocoder that leaves attacks as they are.

Sound between two attacks is stretched by a phase vocoder with phases locked around the peaks of the spectrum
(Laroche and Dolson, "Improved phase vocoder time-scale modification of audio", 1999). All channels are turned
by the same angles, so that what is between them stays. Each attack begins anew with the source's own phases,
and its first 40 ms are the source's samples; the time that this takes is made up for in the second after it.
Nothing of an attack is seen by what comes before it, so that nothing of it sounds too early.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.editing.attacks import Attacks
from bridge.engine.fitting_passes import Check
from bridge.media.raw_pcm import Samples

WINDOW_S: Final = 0.0853
"""The nearest power of two: 4096 at 44.1 and 48 kHz."""
HOPS_PER_WINDOW: Final = 4
ATTACK_S: Final = 0.04
MOST_OF_A_GAP: Final = 0.4
"""An attack takes no more of the time until the next, before and after."""
MADE_UP_S: Final = 1.0
JOIN_S: Final = 0.001
BATCH_FRAMES: Final = 64
"""Frames of two channels that are transformed at once: some 50 ms of work."""
NOTHING: Final = 1e-20

Spectra = npt.NDArray[np.complex64]


@dataclass(frozen=True)
class Section:
    """From one attack to the next: where it begins and ends in the source and in the result."""

    start: int
    end: int
    made_start: int
    made_end: int
    factor: float

    def source_of(self, made: npt.NDArray[np.int64], rate_hz: int, beyond: int) -> npt.NDArray[np.int64]:
        """The source's frame for frames of the result, also up to `beyond` frames outside of the section."""
        room = MOST_OF_A_GAP * min(self.end - self.start, self.made_end - self.made_start)
        kept = int(min(ATTACK_S * rate_hz, room))
        caught_up = self.start + MADE_UP_S * rate_hz * max(1.0, self.factor)
        there = [self.made_start - beyond, self.made_start + kept, self.made_end, self.made_end + beyond]
        here: list[float] = [self.start - beyond, self.start + kept, self.end, self.end + beyond]
        if caught_up < self.end and caught_up / self.factor < self.made_end:
            there.insert(2, int(caught_up / self.factor))
            here.insert(2, caught_up)
        return np.rint(np.interp(made, there, here)).astype(np.int64)


def stretched(
    blocks: Iterator[Samples], attacks: Attacks, factor: float, *, rate_hz: int, channels: int, check: Check
) -> Iterator[Samples]:
    """Blocks of (frames, channels) played `factor` times as fast, in all `attacks.frames / factor` rounded.

    `attacks` are those of the same blocks.
    """
    reach, join = _Reach(blocks, channels), max(1, round(JOIN_S * rate_hz))
    rising = ((np.arange(join, dtype=np.float32) + np.float32(0.5)) / np.float32(join))[:, np.newaxis]
    tail = None
    for section in sections(attacks, factor, least=4 * join):
        pieces = _pieces(reach, section, rate_hz, join, check)
        lead = next(pieces)
        if tail is not None:
            yield tail + (lead - tail) * rising
        tail = np.zeros((0, channels), np.float32)
        for piece in pieces:
            tail = np.concatenate([tail, piece])
            if len(tail) > join:
                yield tail[:-join]
                tail = tail[-join:]
    if tail is not None:
        yield tail


def sections(attacks: Attacks, factor: float, *, least: int) -> list[Section]:
    """The source from attack to attack, with its places in the result; none is shorter than `least` there."""
    made_frames = round(attacks.frames / factor)
    if made_frames == 0:
        return []
    found: list[Section] = []
    start = made_start = 0
    for end in (*attacks.at, attacks.frames):
        is_last = end == attacks.frames
        made_end = made_frames if is_last else round((end + attacks.lead) / factor) - attacks.lead
        if not is_last and (
            min(end - start, made_end - made_start) < least or made_frames - made_end < least
        ):
            continue
        found.append(Section(start, end, made_start, made_end, factor))
        start, made_start = end, made_end
    return found


def _pieces(reach: _Reach, section: Section, rate_hz: int, join: int, check: Check) -> Iterator[Samples]:
    """The section in blocks; the first are the `join` frames before it, the attack's own lead-in."""
    size = 1 << round(np.log2(WINDOW_S * rate_hz))
    first = section.made_start - size // 2 - size // HOPS_PER_WINDOW
    skipped = section.made_start - join - (first - size // 2)
    wanted = section.made_end - section.made_start + join
    whole = np.zeros((0, reach.channels), np.float32)
    for block in _overlap_added(reach, section, first, size, rate_hz, check):
        here = block[skipped:]
        skipped = max(0, skipped - len(block))
        whole = np.concatenate([whole, here[:wanted]])
        wanted -= min(wanted, len(here))
        if len(whole) >= join:
            if join:
                yield whole[:join]
            yield whole[join:]
            whole, join = whole[:0], 0


def _overlap_added(
    reach: _Reach, section: Section, first: int, size: int, rate_hz: int, check: Check
) -> Iterator[Samples]:
    """The stretched sound; the block that comes first begins half a window before the frame `first`."""
    hop = size // HOPS_PER_WINDOW
    shape = np.hanning(size + 1)[:-1].astype(np.float32)
    back = shape * np.float32(hop / float(np.square(shape).sum()))
    centres = np.arange(first, section.made_end + size // 2 + hop, hop)
    all_places = section.source_of(centres, rate_hz, 4 * size)
    batch = max(4, 2 * BATCH_FRAMES // max(2, reach.channels))
    vocoder = _Vocoder()
    carried = np.zeros((reach.channels, size - hop), np.float32)
    for at in range(0, len(all_places), batch):
        check()
        begins = all_places[at : at + batch] - size // 2
        origin = int(begins[0]) - hop
        sound = _before(reach, origin, int(begins[-1]) + size, section.end)
        reach.forget(origin - 3 * size)
        sides = np.ascontiguousarray(sound.T)
        now, ago = (
            np.fft.rfft(np.stack([sides[:, place : place + size] for place in places]) * shape).astype(
                np.complex64, copy=False
            )
            for places in (begins - origin, begins - origin - hop)
        )
        frames = np.fft.irfft(vocoder.turned(now, ago), size).astype(np.float32, copy=False) * back
        ready = len(frames) * hop
        added = np.pad(carried, ((0, 0), (0, ready)))
        for number, frame in enumerate(frames):
            added[:, number * hop : number * hop + size] += frame
        carried = added[:, ready:]
        yield added[:, :ready].T


def _before(reach: _Reach, start: int, stop: int, end: int) -> Samples:
    """The source from `start` to `stop`; from `end` on its mirror image, not what comes there."""
    beyond = max(0, stop - end)
    sound = reach.take(min(start, end - beyond), min(stop, end))
    if beyond:
        sound = np.pad(sound, ((0, beyond), (0, 0)), mode="symmetric")
    return sound[start - stop :]


class _Vocoder:
    """Turns the phases of spectra so that each goes on from the one before."""

    def __init__(self) -> None:
        self._last: Spectra | None = None

    def turned(self, now: Spectra, ago: Spectra) -> Spectra:
        """(frames, channels, bins): the spectra `now`, turned; `ago` are those one hop earlier in the source.

        The very first ones stay, and so does what goes on as fast as the source. Changes `now`.
        """
        peaks = _peaks((np.square(now.real) + np.square(now.imag)).sum(axis=1))
        for number in range(len(now)):
            tops = np.flatnonzero(peaks[number])
            if self._last is not None and len(tops):
                now[number] *= _angles(self._last, ago[number], tops)
            self._last = now[number]
        return now


def _peaks(power: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Bins that are louder than two neighbours on either side; silence has none."""
    peaks = np.zeros(power.shape, bool)
    middle = power[:, 2:-2]
    peaks[:, 2:-2] = (
        (middle > power[:, 1:-3])
        & (middle >= power[:, 3:-1])
        & (middle > power[:, :-4])
        & (middle >= power[:, 4:])
        & (middle > NOTHING)
    )
    return peaks


def _angles(last: Spectra, ago: Spectra, tops: npt.NDArray[np.intp]) -> Spectra:
    """(bins,) of length one: by what the bins are turned, alike around each peak.

    What was written last is how far it has been turned from what stood there in the source; a frame later
    it has gone on by itself.
    """
    both = (last * ago.conj()).sum(axis=0)
    around = both[tops - 1] + both[tops] + both[tops + 1]
    lengths = np.abs(around)
    turns = np.where(lengths > NOTHING, around / np.maximum(lengths, NOTHING), 1).astype(np.complex64)
    borders = (tops[:-1] + tops[1:] + 1) // 2
    return np.repeat(turns, np.diff(np.concatenate([[0], borders, [len(both)]])))


class _Reach:
    """A stream of blocks in which one can reach back a little; around it there is silence."""

    def __init__(self, blocks: Iterator[Samples], channels: int) -> None:
        self._blocks = blocks
        self._held = np.zeros((0, channels), np.float32)
        self._start = 0
        self.channels = channels

    def take(self, start: int, stop: int) -> Samples:
        """(stop - start, channels), of which nothing may have been forgotten."""
        waiting = [self._held]
        have = self._start + len(self._held)
        while have < stop and (block := next(self._blocks, None)) is not None:
            waiting.append(np.nan_to_num(block, posinf=0.0, neginf=0.0))
            have += len(block)
        self._held = np.concatenate(waiting)
        found = self._held[max(0, start - self._start) : max(0, stop - self._start)]
        before = min(max(0, -start), stop - start)
        after = stop - start - before - len(found)
        return np.pad(found, ((before, after), (0, 0))) if before or after else found

    def forget(self, before: int) -> None:
        """What lies before this frame is not asked for again."""
        gone = min(max(0, before - self._start), len(self._held))
        self._held = self._held[gone:]
        self._start += gone
