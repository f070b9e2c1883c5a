"""Late reverb by weighted prediction error: what a fixed filter can tell from the frames some time before.

Nakatani et al. 2010, "Speech dereverberation based on variance-normalized delayed linear prediction", and
for several channels Yoshioka and Nakatani 2012, "Generalization of multi-channel linear prediction methods
for blind MIMO impulse response shortening". Each frequency has a filter of its own; it is fitted to all
frames, weighted by one over the power that the sound has without its reverb, which is bettered a few times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.enhancement.reverb_frames import Spectra

Power = npt.NDArray[np.float32]
"""(bins, frames)."""

LOADING: Final = 1e-6
"""Added to the correlations, as a share of their mean power: two equal channels cannot be told apart."""
NOTHING: Final = np.float32(1e-20)
BINS_AT_ONCE: Final = 16


@dataclass(frozen=True)
class Prediction:
    """`taps` frames that begin `delay` before; power counts down to `floor_db` below its highest."""

    taps: int
    delay: int
    rounds: int
    floor_db: float


def late_part(spectra: Spectra, how: Prediction, check: Callable[[], None]) -> Spectra:
    """The late reverb in (bins, channels, frames)."""
    late = np.empty_like(spectra)
    for at in range(0, len(spectra), BINS_AT_ONCE):
        some = spectra[at : at + BINS_AT_ONCE]
        before = frames_before(some, how.taps, how.delay)
        found = np.zeros_like(some)
        for _ in range(how.rounds):
            check()
            found = predicted(fitted(before, some, weights(some - found, how.floor_db)), before)
        late[at : at + BINS_AT_ONCE] = found
    return late


def frames_before(spectra: Spectra, taps: int, delay: int) -> Spectra:
    """(bins, taps * channels, frames): for each frame those that the filter sees."""
    bins, channels, frames = spectra.shape
    before = np.zeros((bins, taps, channels, frames), np.complex64)
    for tap in range(min(taps, frames - delay)):
        before[:, tap, :, delay + tap :] = spectra[:, :, : frames - delay - tap]
    return before.reshape(bins, taps * channels, frames)


def power(spectra: Spectra) -> Power:
    """The mean power over the channels."""
    found: Power = np.square(np.abs(spectra)).mean(axis=1)
    return found


def weights(spectra: Spectra, floor_db: float) -> Power:
    """One over the power, smoothed over three frames; the largest is one."""
    own = np.pad(power(spectra), ((0, 0), (1, 1)), mode="edge")
    smooth = (own[:, :-2] + own[:, 1:-1] + own[:, 2:]) / 3
    floor = smooth.max(axis=1, keepdims=True) * np.float32(10 ** (-floor_db / 10)) + NOTHING
    smooth = np.maximum(smooth, floor)
    found: Power = smooth.min(axis=1, keepdims=True) / smooth
    return found


def fitted(before: Spectra, spectra: Spectra, weighting: Power) -> Spectra:
    """The filters (bins, taps * channels, channels) with the least weighted error."""
    weighted = before * weighting[:, np.newaxis]
    among = (weighted @ _turned(before)).astype(np.complex128)
    across = (weighted @ _turned(spectra)).astype(np.complex128)
    diagonal = np.einsum("fkk->fk", among)  # a view: what is added to it is added to the matrices
    diagonal += LOADING * diagonal.real.mean(axis=1, keepdims=True) + float(NOTHING)
    return np.linalg.solve(among, across).astype(np.complex64)


def predicted(filters: Spectra, before: Spectra) -> Spectra:
    """What `filters` make of the frames before: (bins, channels, frames)."""
    made: Spectra = _turned(filters) @ before
    return made


def _turned(matrices: Spectra) -> Spectra:
    turned: Spectra = matrices.conj().transpose(0, 2, 1)
    return turned
