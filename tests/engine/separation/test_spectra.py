"""Spectra and back: the same samples, wherever a sound begins and ends."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine.separation.drafts import medians
from bridge.engine.separation.spectra import size_near, sound_of, spectra_of


@pytest.mark.parametrize("frames", [1, 37, 511, 512, 5000])
def test_gives_the_same_samples_back(frames: int) -> None:
    sound = np.random.default_rng(3).normal(0, 1, frames).astype(np.float32)
    spectra = spectra_of(sound, 512)
    assert spectra.dtype == np.complex64
    back = sound_of(spectra, 512, frames)
    assert back.dtype == np.float32
    np.testing.assert_allclose(back, sound, atol=2e-6)


@pytest.mark.parametrize("rate_hz", [8000, 22_050, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_a_window_lasts_as_long_at_any_rate(rate_hz: int) -> None:
    wanted = 4096 * rate_hz / 44_100
    assert size_near(wanted) % 4 == 0
    assert size_near(wanted) == pytest.approx(wanted, rel=0.006)


def test_running_medians_are_medians() -> None:
    values = np.random.default_rng(4).random((3, 20)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (2, 2)), mode="reflect")
    wanted = [[np.median(row[at : at + 5]) for at in range(20)] for row in padded]
    np.testing.assert_array_equal(medians(values, 5), np.array(wanted, np.float32))
