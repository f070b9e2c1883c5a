"""The bounce that something was made of, and where on it the results lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import soxr

from bridge.engine.fitting_delay import Curve, Delay, Evidence, Member, correlated, delays, evidence_of
from bridge.engine.fitting_passes import Check, Survey, excerpts, survey
from bridge.engine.trimming import Bounds, bounds
from bridge.media.audio_format import AudioFormat

WINDOW_S: Final = 16
MOST_WINDOWS: Final = 3
REACH_S: Final = 1.0
INAUDIBLE: Final = 1e-12  # mean square: -120 dBFS
HARDLY_THERE: Final = 0.05
MOST_CHANNELS: Final = 2
USUAL_MP3_DELAY: Final = 1105
"""Of LAME (576) and every decoder (529), where no tag tells it."""

TAKEN_AWAY: Final = frozenset({"removed"})
"""Roles of what was taken out of a sound: echoes and reverb fit best where they are not."""


@dataclass(frozen=True)
class Bounce:
    """What was sent: `bounds` are the frames of it that were, `survey` counts its seconds from there."""

    path: Path
    like: AudioFormat
    survey: Survey
    bounds: Bounds

    @classmethod
    def of(cls, path: Path, check: Check, *, was_trimmed: bool) -> Bounce:
        """Raises AudioError."""
        sent = bounds(path, check) if was_trimmed else None
        found = survey(path, check, first=sent.start if sent else 0)
        return cls(path, AudioFormat.of(path), found, sent or Bounds(0, found.frames, found.frames))

    @property
    def start_s(self) -> float:
        return self.bounds.start / self.survey.rate_hz

    @property
    def duration_s(self) -> float:
        return self.survey.frames / self.survey.rate_hz


@dataclass(frozen=True)
class Returned:
    """One audio file that came back."""

    role: str
    path: Path
    survey: Survey


def delays_on(bounce: Bounce, files: Sequence[Returned], check: Check) -> list[Delay]:
    """The delay of each file of a set against the bounce. Raises AudioError."""
    return delays([_member(bounce, one, check) for one in files])


def _member(bounce: Bounce, file: Returned, check: Check) -> Member:
    found = file.survey
    return Member(
        _evidence(bounce, file, check),
        kin=(found.format, found.subtype, found.rate_hz, found.tells_delay),
        expected=_expected(bounce, found),
        votes=file.role not in TAKEN_AWAY,
    )


def _expected(bounce: Bounce, found: Survey) -> int:
    """The delay by what the file tells: an MP3 without a tag that is long enough has the usual one."""
    if found.format != "MP3" or found.tells_delay:
        return 0
    sent_s = (bounce.bounds.end - bounce.bounds.start) / bounce.survey.rate_hz
    return USUAL_MP3_DELAY if found.frames - sent_s * found.rate_hz >= USUAL_MP3_DELAY else 0


def _evidence(bounce: Bounce, file: Returned, check: Check) -> Evidence | None:
    seconds, starts = windows(bounce.survey.loudness, file.survey.loudness)
    if not starts:
        return None
    rate_hz, first = file.survey.rate_hz, bounce.bounds.start
    reach = round(REACH_S * rate_hz)
    source_hz = bounce.survey.rate_hz
    channels = bounce.survey.channels
    as_mono = channels != file.survey.channels or channels > MOST_CHANNELS
    source_spans = [(first + at * source_hz, first + (at + seconds) * source_hz) for at in starts]
    result_spans = [(at * rate_hz - reach, (at + seconds) * rate_hz + reach) for at in starts]
    sources = excerpts(bounce.path, source_spans, check, first=first, as_mono=as_mono)
    results = excerpts(file.path, result_spans, check, as_mono=as_mono)
    total: Curve | None = None
    for source, result in zip(sources, results, strict=True):
        check()
        if source_hz != rate_hz:
            source = soxr.resample(source, source_hz, rate_hz, quality="HQ")[: seconds * rate_hz]  # noqa: PLW2901
        curves = correlated(source.astype(np.float64), result.astype(np.float64), rate_hz)
        total = curves if total is None else total + curves
    return None if total is None else evidence_of(total[:, : 2 * reach + 1], rate_hz)


Loudness = npt.NDArray[np.float64]


def windows(source: Loudness, result: Loudness) -> tuple[int, list[int]]:
    """How many seconds to compare, and from which seconds on: there where both are heard most."""
    seconds = max(1, min(WINDOW_S, len(source)))
    both = np.zeros(max(len(source), seconds))
    common = min(len(source), len(result))
    squares = source[:common] * result[:common]
    is_heard = (source[:common] > INAUDIBLE) & (result[:common] > INAUDIBLE)
    # The fourth root is an amplitude's: one loud second shall not outweigh many of music.
    both[:common] = np.where(is_heard, squares**0.25, 0)
    sums = np.convolve(both, np.ones(seconds), "valid")
    least = HARDLY_THERE * sums.max()
    starts: list[int] = []
    while len(starts) < MOST_WINDOWS and sums.max() > least:
        at = int(np.argmax(sums))
        starts.append(at)
        sums[max(0, at - seconds + 1) : at + seconds] = 0
    return seconds, sorted(starts)
