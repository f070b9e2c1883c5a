"""Curves that bring a sound's tone nearer to another's, and the filter that carries them out.

Curves are dB for each band of `spectrum.CENTRES_HZ`. The filter has linear phase and its delay is taken off,
so that frames stay where they are and channels stay in phase.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from scipy import fft, signal

from bridge.engine.mastering.loudness import Numbers, Singles, singles
from bridge.engine.mastering.spectrum import CENTRES_HZ, STEREO, Spectrum
from bridge.engine.windows import in_blocks
from bridge.media.raw_pcm import Samples

# Third-octave levels of released music, whatever its genre: a hump below 100 Hz, then some 5 dB an octave
# less (of the density; 2 of a band's level), and more above 4 kHz. After the long-term spectra that Pestana,
# Ma, Reiss and others found in hits of 1950 to 2010 (AES 135, 2013), in round numbers of our own.
NEUTRAL_HZ: Final = (
    20.0,
    31.5,
    45.0,
    63.0,
    100.0,
    200.0,
    500.0,
    1000.0,
    2000.0,
    4000.0,
    8000.0,
    16000.0,
    20000.0,
)
NEUTRAL_DB: Final = (-14.0, -6.0, -1.0, 0.0, 0.0, -2.0, -4.0, -6.0, -8.5, -11.0, -15.0, -22.0, -27.0)

NEUTRAL_MOST_DB, NEUTRAL_SHARE = 3.0, 0.5
"""A mix keeps its character: half of the way, and no further than that."""
REFERENCE_MOST_DB: Final = 9.0
EXTREMES_HZ, EXTREMES_MOST_DB = (35.0, 14_000.0), 4.0
"""Outside these, where coding and rumble decide, less is changed."""
LEVELLED_HZ: Final = (60.0, 10_000.0)
ABSENT_DB: Final = (-18.0, -36.0)
"""A band this far below what is expected is not a matter of tone: fewer and fewer of its dB are raised."""
SMOOTHING: Final = {"neutral": (0.12, 0.23, 0.3, 0.23, 0.12), "reference": (0.1, 0.8, 0.1)}

SUBSONIC_HZ, SUBSONIC_ORDER = 20.0, 2
TAPS_S: Final = 0.085
"""Half of the filter's length: third octaves at 40 Hz are told apart."""
WINDOW_FRAMES: Final = 1 << 16


@dataclass(frozen=True)
class Curves:
    """What is done to the middle (and all channels where there are more or fewer than two) and the sides."""

    middle: Numbers
    sides: Numbers

    @property
    def most_db(self) -> float:
        return float(max(np.abs(self.middle).max(), np.abs(self.sides).max()))


def toward_neutral(own: Spectrum) -> Curves:
    """The same curve for middle and sides, so that the width stays."""
    wanted = np.interp(np.log(CENTRES_HZ), np.log(NEUTRAL_HZ), NEUTRAL_DB)
    missing = wanted - own.all
    curve = _curve(
        (missing - _level(missing)) * NEUTRAL_SHARE, NEUTRAL_MOST_DB, "neutral", missing - _level(missing)
    )
    return Curves(curve, curve)


def toward_reference(own: Spectrum, reference: Spectrum) -> Curves:
    """Middle and sides each by themselves where both sounds have two channels."""
    if own.mid is None or own.side is None or reference.mid is None or reference.side is None:
        missing = reference.all - own.all
        curve = _curve(missing - _level(missing), REFERENCE_MOST_DB, "reference", missing - _level(missing))
        return Curves(curve, curve)
    level = _level(reference.mid - own.mid)
    middle, sides = reference.mid - own.mid - level, reference.side - own.side - level
    return Curves(
        _curve(middle, REFERENCE_MOST_DB, "reference", middle),
        _curve(sides, REFERENCE_MOST_DB, "reference", sides),
    )


def _level(missing: Numbers) -> float:
    """The difference in level, which is the gain's business: the median over the middle bands."""
    low, high = LEVELLED_HZ
    inside = missing[(low <= CENTRES_HZ) & (high >= CENTRES_HZ) & np.isfinite(missing)]
    return float(np.median(inside)) if len(inside) else 0.0


def _curve(wanted: Numbers, most_db: float, smoothing: str, missing: Numbers) -> Numbers:
    """`wanted` smoothed and limited; bands that one of the two does not have follow their neighbours."""
    known = np.isfinite(wanted)
    if not known.any():
        return np.zeros(len(CENTRES_HZ))
    places = np.arange(len(wanted))
    full = np.interp(places, places[known], wanted[known])
    short_by = np.interp(places, places[known], missing[known])
    full *= np.where(full > 0, np.interp(-short_by, ABSENT_DB[::-1], (0.0, 1.0)), 1.0)
    low, high = EXTREMES_HZ
    most = np.where((low <= CENTRES_HZ) & (high >= CENTRES_HZ), most_db, min(most_db, EXTREMES_MOST_DB))
    kernel = np.array(SMOOTHING[smoothing])
    smooth = np.convolve(np.pad(np.clip(full, -most, most), len(kernel) // 2, mode="edge"), kernel, "valid")
    return np.clip(smooth, -most, most)


def filtered(blocks: Iterator[Samples], curves: Curves, rate_hz: int, channels: int) -> Iterator[Samples]:
    """The blocks with the curves on them and without what nobody hears below 20 Hz: as many frames."""
    middle, sides = (_taps(curve, rate_hz) for curve in (curves.middle, curves.sides))
    half = len(middle) // 2
    size = fft.next_fast_len(max(WINDOW_FRAMES // 4, 4 * half), real=True)
    is_split = channels == STEREO and not np.array_equal(curves.middle, curves.sides)
    spectra = [fft.rfft(taps, size) for taps in (middle, sides)]
    subsonic = signal.butter(
        SUBSONIC_ORDER, min(SUBSONIC_HZ, rate_hz / 8), "highpass", fs=rate_hz, output="sos"
    )
    state = np.zeros((len(subsonic), channels, 2))
    around = np.zeros((half, channels), np.float32)
    for window in in_blocks(chain([around], blocks, [around]), size, 2 * half):
        made = _convolved(window, spectra, size, is_split=is_split)[:, 2 * half : len(window)]
        heard, state = signal.sosfilt(subsonic, made.astype(np.float64), axis=-1, zi=state)
        yield np.ascontiguousarray(heard.T, np.float32)


def _convolved(window: Samples, spectra: list[Numbers], size: int, *, is_split: bool) -> Samples:
    """(channels, size): the window convolved around in a circle."""
    middle, sides = spectra
    found = fft.rfft(window.T, size, axis=-1)
    if not is_split:
        return singles(fft.irfft(found * middle, size, axis=-1))
    mid, side = (found[0] + found[1]) / 2 * middle, (found[0] - found[1]) / 2 * sides
    return singles(fft.irfft(np.stack([mid + side, mid - side]), size, axis=-1))


def _taps(curve: Numbers, rate_hz: int) -> Singles:
    """A filter of linear phase and odd length with the curve's gains, straight between bands in log Hz."""
    half = max(8, round(TAPS_S * rate_hz))
    size = fft.next_fast_len(8 * half, real=True)
    hz = np.maximum(fft.rfftfreq(size, 1 / rate_hz), CENTRES_HZ[0])
    gains = 10 ** (np.interp(np.log(hz), np.log(CENTRES_HZ), curve) / 20)
    whole = np.roll(fft.irfft(gains, size), half)[: 2 * half + 1]
    return singles(whole * np.hanning(2 * half + 3)[1:-1])
