"""Where a result lies on its source: the delay that an encoder put before it. Pure, numpy.

Both spectra are whitened, so that loud bass hides nothing (generalised cross-correlation with phase
transform: Knapp and Carter 1976), and windows are summed before a peak is looked for. A stem 30 dB below the
mix still stands out; polarity and level do not matter. The results of one job come from one encoder, so they
vote.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Curve: TypeAlias = npt.NDArray[np.float64]

WHITENING: Final = 0.7
"""1 takes all frequencies alike; less, as in bands that an encoder has left out there is only noise."""

LOWEST_HZ: Final = 30.0
HIGHEST_SHARE: Final = 0.46  # of the rate: above it resamplers have their slopes
DECISIVE: Final = 9.0
DECISIVE_ELSEWHERE: Final = 14.0
"""How far a peak must stand above the noise (its own highest are 5 to 6): at a usual delay, and elsewhere."""

AS_HIGH: Final = 0.9
"""Peaks of this share of the highest are equal: a loop fits onto itself a bar later."""

LOBE_S: Final = 0.005
"""What lies nearer together is one peak with its waves."""

USUAL_DELAYS: Final = (0, 576, 1105, 2257)
"""None; LAME's; with a decoder's 529; and with the frame of 1152 that holds the tag, taken for sound."""

UNSURE: Final = 2.5
"""Deviations that are no difference: low notes alone have such broad peaks that a usual delay wins there."""

NEAR_S: Final = 0.15
FAR_WEIGHT: Final = 0.6
"""Encoders delay by milliseconds: what fits better far away must do so by much, as music repeats itself."""

SAME_PLACE: Final = 16
"""Frames within which a member agrees with its set."""

CLEARLY_OWN: Final = 0.5
"""The share of the strongest member's evidence that lets one stand at its own place."""


@dataclass(frozen=True)
class Evidence:
    """How well a result fits at each lag from `-reach` to `reach` frames, in deviations of its noise."""

    scores: Curve
    rate_hz: int

    @property
    def reach(self) -> int:
        return len(self.scores) // 2

    @property
    def strength(self) -> float:
        return float(self.scores.max(initial=0.0))


@dataclass(frozen=True)
class Member:
    """One result of a set. `kin` is the same for files of one coding, rate and way to tell the delay.

    `expected` is the delay that it would have by what its file tells. `votes` False for what was taken away
    from a sound: an echo fits best where it is not.
    """

    evidence: Evidence | None
    kin: Hashable
    expected: int = 0
    votes: bool = True


@dataclass(frozen=True)
class Delay:
    """Frames of the result that lie before the source's first one; below 0 where some are missing."""

    frames: int
    by: str
    """`itself`, `set` or `file`: what has decided."""


def correlated(source: Curve, result: Curve, rate_hz: int) -> Curve:
    """(channels, lags): how `source` fits at each place in `result`, the longer one.

    Both are (frames, channels) with the same count of channels.
    """
    lags = len(result) - len(source) + 1
    size = _quick_size(len(result))
    low, high = int(LOWEST_HZ / rate_hz * size) + 1, int(HIGHEST_SHARE * size)
    curves = np.empty((source.shape[1], lags))
    for channel in range(source.shape[1]):
        cross = np.fft.rfft(result[:, channel], size)
        cross *= np.conj(np.fft.rfft(source[:, channel], size))
        cross[:low] = 0
        cross[high:] = 0
        loudness = np.abs(cross)
        floor = loudness.max(initial=0.0) * 1e-12
        np.divide(cross, np.maximum(loudness, floor) ** WHITENING, out=cross, where=loudness > floor)
        curves[channel] = np.fft.irfft(cross, size)[:lags]
    return curves


def _quick_size(least: int) -> int:
    """The next length that is quick to transform: 2, 3, 5, 9 or 15 times a power of two."""
    return min(odd << max(0, (-(-least // odd) - 1).bit_length()) for odd in (1, 3, 5, 9, 15))


def evidence_of(curves: Curve, rate_hz: int) -> Evidence | None:
    """What the summed curves of all windows say; None where there was nothing to compare."""
    height = np.sqrt(np.square(curves).sum(axis=0))
    count = len(curves)
    # The median of such a sum of normal deviates (Wilson and Hilferty 1931).
    noise = float(np.median(height)) / (count**0.5 * (1 - 2 / (9 * count)) ** 1.5)
    return Evidence(height / noise, rate_hz) if noise > 0 else None


def delays(members: Sequence[Member]) -> list[Delay]:
    """The delay of each member of a set.

    Files that were made alike share one, unless a member says clearly otherwise; what decides nothing by
    itself goes with its set, and at last with what its file tells.
    """
    kin: dict[Hashable, list[Member]] = defaultdict(list)
    for member in members:
        kin[member.kin].append(member)
    shared = {key: _shared(group) for key, group in kin.items()}
    strongest = max((one.evidence.strength for one in members if one.evidence is not None), default=0.0)
    return [_delay(one, shared[one.kin], strongest) for one in members]


_Place: TypeAlias = tuple[int, float]  # a delay and how sure it is


def _shared(group: Sequence[Member]) -> _Place | None:
    """Where a group lies as a whole: what stands out most counts most."""
    heard = [(one, one.evidence) for one in group if one.evidence is not None]
    voters = [both for both in heard if both[0].votes] or heard
    if not voters:
        return None
    weights = [evidence.strength**2 for _, evidence in voters]
    squares = (weight * np.square(one.scores) for weight, (_, one) in zip(weights, voters, strict=True))
    together = np.sqrt(sum(squares) / sum(weights))
    return _peak(Evidence(together, voters[0][1].rate_hz), voters[0][0].expected)


def _delay(member: Member, shared: _Place | None, strongest: float) -> Delay:
    own = _peak(member.evidence, member.expected) if member.evidence is not None else None
    if own is not None and shared is not None:
        if abs(own[0] - shared[0]) <= SAME_PLACE:
            return Delay(shared[0], "itself")
        if member.votes and own[1] >= CLEARLY_OWN * strongest:
            return Delay(own[0], "itself")
    if shared is not None:
        return Delay(shared[0], "set")
    return Delay(member.expected, "file") if own is None else Delay(own[0], "itself")


def _peak(evidence: Evidence, expected: int) -> _Place | None:
    """The decisive peak; of those that are as high, the one nearest to what was expected."""
    lags = np.arange(-evidence.reach, evidence.reach + 1)
    is_near = np.abs(lags - expected) <= NEAR_S * evidence.rate_hz
    scores = np.where(is_near, evidence.scores, FAR_WEIGHT * evidence.scores)
    top = float(scores.max(initial=0.0))
    if top < DECISIVE:
        return None
    high = lags[scores >= AS_HIGH * top]
    around = np.abs(lags - high[np.argmin(np.abs(high - expected))]) <= LOBE_S * evidence.rate_hz
    place = int(lags[around][np.argmax(scores[around])])
    usual = min(USUAL_DELAYS, key=lambda delay: abs(delay - place))
    if abs(usual - place) <= SAME_PLACE and scores[usual + evidence.reach] >= top - UNSURE:
        place = usual
    sure = float(evidence.scores[place + evidence.reach])
    is_usual = abs(usual - place) <= SAME_PLACE
    return (place, sure) if is_usual or sure >= DECISIVE_ELSEWHERE else None
