"""Which echo a cepstrum tells of, if any.

A delay line as desks and plug-ins have it: y = x + w x(t-d) + w f x(t-2d) + w f^2 x(t-3d) ... In the cepstrum
that is w at d, w f - w^2/2 at 2d, ((w-f)^3 + f^3)/3 at 3d and (f^4 - (w-f)^4)/4 at 4d. A single echo has
f = 0, a plain feedback f = w. A loop has peaks at its beats too, but many, and of other heights, which also
differ between bands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from bridge.engine.enhancement.echo_cepstrum import Cepstrum, Numbers

SHORTEST_S, LONGEST_S = 0.05, 1.3
"""Sooner it is the colour of a room, later a repetition that is meant."""
REACH_S: Final = 0.0007
"""What belongs to one echo on each side: the part of a frame that its delay has, and what a filter smears."""
CANDIDATES: Final = 6
LEAST: Final = 0.08
CERTAIN: Final = 12.0
"""A peak, in deviations of what is around it."""
STEADY: Final = 0.4
"""How much the peak may differ between stretches, as a share of itself."""
NO_FEEDBACK: Final = 0.03
"""Less cannot be told from none."""
MOST_FEEDBACK, MOST_GAIN = 0.95, 0.97
NOT_HEARD: Final = 4.0
"""Taps of fewer deviations than this are left out."""


@dataclass(frozen=True)
class Rule:
    """How well a peak has to fit, if others are up to `rival` as high: the tolerances of what it tells."""

    rival: float
    band: float
    feedback: float
    later: float


RULES: Final = (
    Rule(rival=0.33, band=0.35, feedback=math.inf, later=0.03),
    # Among the peaks of a loop only what is in all bands alike, and a single echo, is one.
    Rule(rival=1.3, band=0.08, feedback=0.06, later=0.015),
)


@dataclass(frozen=True)
class Echo:
    """`taps` are the response of the first repeat: taps[len // 2] is `delay` frames after the sound.

    `gain` is its gain (below 0: turned round), of the mean power over all frequencies that there are;
    `feedback` how much weaker each later repeat is than the one before, 0 for a single echo.
    """

    rate_hz: int
    delay: int
    taps: Numbers
    gain: float
    feedback: float

    @property
    def delay_ms(self) -> float:
        late = _peak(self.taps) - len(self.taps) // 2
        return round(1000 * (self.delay + late) / self.rate_hz, 2)

    @property
    def level_db(self) -> float:
        return round(20 * math.log10(max(1e-6, abs(self.gain))), 1)


def _peak(values: Numbers) -> float:
    """Where the highest is, by a parabola through three values."""
    at = int(np.argmax(np.abs(values)))
    if not 0 < at < len(values) - 1:
        return float(at)
    before, here, after = np.abs(values[at - 1 : at + 2])
    bend = before - 2 * here + after
    return at + (0.5 * float((before - after) / bend) if bend else 0.0)


def find_echo(cepstrum: Cepstrum) -> Echo | None:
    """The echo that is most certain, or None."""
    for delay in _candidates(cepstrum):
        if _fits(cepstrum, delay):
            taps = np.zeros(2 * _reach(cepstrum) + 1)
            return bettered(cepstrum, Echo(cepstrum.rate_hz, delay, taps, 0.0, 0.0))
    return None


def bettered(left: Cepstrum, echo: Echo) -> Echo | None:
    """The echo, and what is left of it in `left`, the cepstrum without it; None where that makes no echo.

    Logarithms add up, so what is left at d and 2d is what the two peaks were wrong by.
    """
    reach, noise = _reach(left), _noise(left)
    # The cepstrum is told as if all of the spectrum were used; a filter is heard only where there is sound.
    taps = echo.taps + left.share * left.mean[echo.delay - reach : echo.delay + reach + 1]
    gain = _gain(taps, noise * left.share, left.share)
    second = echo.gain * echo.feedback - echo.gain**2 / 2 + _height(left, echo.delay, 2)
    if not LEAST <= abs(gain) <= MOST_GAIN:
        return None
    feedback = float(np.clip(second / gain + gain / 2, -MOST_FEEDBACK, MOST_FEEDBACK))
    if abs(feedback) < NO_FEEDBACK:
        feedback = 0.0
    taps = np.where(np.abs(taps) > NOT_HEARD * noise * left.share, taps, 0.0)
    return Echo(echo.rate_hz, echo.delay, taps, gain, feedback)


def _gain(response: Numbers, noise: float, share: float) -> float:
    """The gain that a response has over the `share` of the spectrum that it fills, with the peak's sign."""
    power = max(0.0, float(np.square(response).sum()) - len(response) * noise**2)
    return math.copysign(math.sqrt(power / share), float(response[np.argmax(np.abs(response))]))


def _reach(cepstrum: Cepstrum) -> int:
    return max(3, round(REACH_S * cepstrum.rate_hz))


def _searched(cepstrum: Cepstrum) -> slice:
    most = (len(cepstrum.mean) - 4 * _reach(cepstrum)) // 3
    return slice(
        round(SHORTEST_S * cepstrum.rate_hz),
        max(round(SHORTEST_S * cepstrum.rate_hz) + 1, min(round(LONGEST_S * cepstrum.rate_hz), most)),
    )


def _noise(cepstrum: Cepstrum) -> float:
    """The standard deviation where there is no peak, from the median."""
    return float(np.median(np.abs(cepstrum.mean[_searched(cepstrum)]))) / 0.6745 + 1e-9


def _candidates(cepstrum: Cepstrum) -> Iterator[int]:
    """The delays with the highest peaks, the highest first, as far as they are steady."""
    searched, reach = _searched(cepstrum), _reach(cepstrum)
    heights = np.abs(cepstrum.mean[searched])
    for _ in range(CANDIDATES):
        at = int(np.argmax(heights))
        height, delay = float(heights[at]), at + searched.start
        if height < max(0.6 * LEAST, CERTAIN * _noise(cepstrum)):
            return
        heights[max(0, at - 2 * reach) : at + 2 * reach + 1] = 0
        if cepstrum.stretches == 1 or cepstrum.spread[delay] < STEADY * height:
            yield delay


def _height(cepstrum: Cepstrum, delay: int, number: int) -> float:
    """The gain of the peak at `number` times the delay."""
    reach, at = _reach(cepstrum), number * delay
    around = cepstrum.mean[at - reach : at + reach + 1]
    return _gain(around * cepstrum.share, _noise(cepstrum) * cepstrum.share, cepstrum.share)


def _fits(cepstrum: Cepstrum, delay: int) -> bool:
    gain, second, third = (_height(cepstrum, delay, number) for number in (1, 2, 3))
    if not LEAST <= abs(gain) <= MOST_GAIN:
        return False
    feedback = second / gain + gain / 2
    once = gain - feedback
    if abs(feedback) > MOST_FEEDBACK or abs(once) > MOST_GAIN:
        return False
    later = abs(third - (feedback**3 + once**3) / 3)
    if 4 * delay + _reach(cepstrum) < len(cepstrum.mean):
        later = max(later, abs(_height(cepstrum, delay, 4) - (feedback**4 - once**4) / 4))
    rival = _rival(cepstrum, delay) / float(np.abs(cepstrum.mean[delay]))
    band = _band_difference(cepstrum, delay) / abs(gain)
    # What is later is seen less well through a window.
    slack = 1 + 2 * delay / cepstrum.rate_hz
    return any(
        rival < rule.rival
        and band < rule.band
        and abs(feedback) < rule.feedback * slack
        and later < rule.later * slack
        for rule in RULES
    )


def _rival(cepstrum: Cepstrum, delay: int) -> float:
    """The highest peak that does not belong to this delay."""
    searched, reach = _searched(cepstrum), 2 * _reach(cepstrum)
    heights = np.abs(cepstrum.mean[searched])
    for at in (delay, 2 * delay, 3 * delay, 4 * delay):
        heights[max(0, at - searched.start - reach) : max(0, at - searched.start + reach + 1)] = 0
    return float(heights.max(initial=0.0))


def _band_difference(cepstrum: Cepstrum, delay: int) -> float:
    """How much the peak differs between the bands that have any sound."""
    reach = _reach(cepstrum)
    around = cepstrum.bands[:, delay - reach : delay + reach + 1]
    heights = []
    for own, share in zip(around, cepstrum.shares, strict=True):
        if share:
            noise = _noise(cepstrum) * math.sqrt(cepstrum.share / share)
            # Without its sign: between two frames a high band has no certain one.
            heights.append(abs(_gain(own * share, noise * share, share)))
    return max(heights) - min(heights) if heights else 0.0
