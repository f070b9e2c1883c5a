"""An echo undone: the difference equation of the delay line, turned round."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from bridge.engine.enhancement.echo_model import Echo

Numbers = npt.NDArray[np.float64]

MOST_RESPONSE: Final = 0.97
"""A recursion grows without end from 1 on."""
TRANSFORMED_FRAMES: Final = 4096


class WithoutEcho:
    """One channel without its echo, block by block, in constant memory.

    With the delay line's w (the taps) and f, Y (1 - f z) = X (1 + (w - f) z), z being the delay with its
    response: x = y - f y(t-d) - (w-f) x(t-d). A single echo is a recursion alone, a plain feedback is none.
    """

    def __init__(self, echo: Echo) -> None:
        self._reach = len(echo.taps) // 2
        self._delay = echo.delay
        shape = echo.taps / echo.gain
        self._of_source = _tamed(shape * echo.feedback)
        self._of_result = _tamed(shape * (echo.gain - echo.feedback))
        kept = echo.delay + self._reach
        self._source, self._result = np.zeros(kept), np.zeros(kept)

    def clean(self, sound: Numbers) -> Numbers:
        """The next (frames,) float64."""
        step = self._delay - self._reach
        parts = [self._step(sound[at : at + step]) for at in range(0, len(sound), step)]
        return np.concatenate(parts) if parts else sound

    def _step(self, sound: Numbers) -> Numbers:
        made = sound - _filtered(self._source, self._of_source, len(sound))
        made -= _filtered(self._result, self._of_result, len(sound))
        self._source = np.concatenate([self._source, sound])[len(sound) :]
        self._result = np.concatenate([self._result, made])[len(sound) :]
        return made


def _filtered(history: Numbers, taps: Numbers, frames: int) -> Numbers:
    """`taps` on the oldest part of the history: what comes back during the next `frames`."""
    if not taps.any():
        return np.zeros(frames)
    found: Numbers = np.convolve(history[: frames + len(taps) - 1], taps, mode="valid")
    return found


def _tamed(taps: Numbers) -> Numbers:
    """The taps, weaker where at some frequency the recursion would not die away."""
    highest = float(np.abs(np.fft.rfft(taps, TRANSFORMED_FRAMES)).max())
    return taps * min(1.0, MOST_RESPONSE / max(highest, 1e-9))
