"""Notes of overlapping windows as one piece's notes. Pure.

Each window is decoded from where the one before has settled each key: no note is found twice, and none is
lost between two windows. In the overlap a seam says whose onsets count: before it the earlier window's, which
has heard what led there, after it the later one's. A note that sounds on through a window's end goes on in
the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from bridge.engine.piano_hearing import FRAMES, Details
from bridge.engine.semi_crf import Indices, Intervals

SEAM_TOLERANCE = 3  # frames that two windows may disagree on where an onset is
BORDER_FRAMES = 2  # at a window's end only the network can tell a note's end from the window's


@dataclass(frozen=True)
class Span:
    """Where a window of `FRAMES` lies, in frames of the whole, and its neighbours.

    Onsets from `seam` on are the next window's, which begins at `next_first`; both None for the last window.
    Those before `own` were the window before's.
    """

    first: int
    own: int = 0
    seam: int | None = None
    next_first: int | None = None


@dataclass(frozen=True)
class Event:
    """A note or a pedal's press on one line; `start` and `end` in frames of the whole, between frames too."""

    line: int
    start: float
    end: float
    velocity: int
    score: float


@dataclass
class Stitching:
    """What has been settled so far. `events` is complete after the last window and `finish`."""

    lines: int
    events: list[Event] = field(default_factory=list)
    _free: dict[int, int] = field(default_factory=dict)
    _sounding: dict[int, Event] = field(default_factory=dict)
    _handed_on: dict[int, int] = field(default_factory=dict)  # from where a line is the next window's

    def begin(self, span: Span) -> Indices:
        """(lines,) the frame of the window from which each line is still to be decoded."""
        free = np.array([self._free.get(line, 0) for line in range(self.lines)], np.int64)
        return np.clip(free - span.first, 0, FRAMES - 1)

    def take(self, span: Span, found: Intervals, details: Details) -> None:
        """Enter one window's intervals, in order of line and time, decoded from `begin` on."""
        before = dict(self._sounding)
        own, self._handed_on = self._handed_on, {}
        left = set()
        velocities, seen = details.velocity.tolist(), details.seen.tolist()
        shifts, scores = details.shift.tolist(), found.score.tolist()
        places = zip(found.line.tolist(), found.first.tolist(), found.last.tolist(), strict=True)
        for index, (line, first, last) in enumerate(places):
            if line in left:
                continue
            event = Event(
                line=line,
                start=span.first + first + shifts[index][0],
                end=span.first + last + shifts[index][1],
                velocity=velocities[index],
                score=scores[index],
            )
            has_onset = first > 0 or seen[index][0]
            has_end = last < FRAMES - BORDER_FRAMES or seen[index][1] or span.next_first is None
            is_too_early = span.first + first < own.get(line, span.own) - SEAM_TOLERANCE
            if has_onset and is_too_early:
                self._settle(line, until=event.start)
            elif not self._enter(span, event, first, last, has_onset=has_onset, has_end=has_end):
                left.add(line)
        for line, event in before.items():  # the next window heard nothing of them
            if self._sounding.get(line) is event:
                self._settle(line)

    def _enter(
        self, span: Span, event: Event, first: int, last: int, *, has_onset: bool, has_end: bool
    ) -> bool:
        """False if this and all that follows on the line is the next window's."""
        line, onset = event.line, span.first + first
        if not has_onset:
            begun = self._sounding.pop(line, None)
            if begun is None:  # a sound from before this window, in which the one before heard no note
                if has_end:
                    self._free[line] = span.first + last
                return True
            event = replace(begun, end=max(event.end, begun.start))
        else:
            self._settle(line, until=event.start)
            if span.seam is not None and onset >= span.seam:
                return False
        if has_end:
            self.events.append(event)
            self._free[line] = span.first + last
            return True
        assert span.next_first is not None
        if has_onset and onset >= span.next_first:
            self._handed_on[line] = onset
            return False
        self._sounding[line] = event
        self._free[line] = span.next_first
        return False

    def _settle(self, line: int, *, until: float = float("inf")) -> None:
        event = self._sounding.pop(line, None)
        if event is not None:
            self.events.append(replace(event, end=max(min(event.end, until), event.start)))

    def finish(self) -> list[Event]:
        """All events in order of line and time, none overlapping the next one of its line."""
        for line in list(self._sounding):
            self._settle(line)
        return _apart(sorted(self.events, key=lambda event: (event.line, event.start, event.end)))


def _apart(events: Sequence[Event]) -> list[Event]:
    kept: list[Event] = []
    for event in events:
        if kept and kept[-1].line == event.line and kept[-1].end > event.start:
            kept[-1] = replace(kept[-1], end=event.start)
        kept.append(event)
    return [event for event in kept if event.end > event.start]
