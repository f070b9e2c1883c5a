"""Spectra in bands, the curves between them, and the filter that carries them out."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bridge.engine.mastering import tone
from bridge.engine.mastering.spectrum import CENTRES_HZ, Analyser, Spectrum
from bridge.engine.mastering.tone import Curves, filtered, toward_neutral, toward_reference
from bridge.media.raw_pcm import Samples

FLAT = np.zeros(len(CENTRES_HZ))


def blocks(sound: Samples, size: int = 5_003) -> Iterator[Samples]:
    return (sound[at : at + size] for at in range(0, len(sound), size))


def noise(frames: int, channels: int = 2, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).standard_normal((frames, channels)).astype(np.float32) * np.float32(
        0.1
    )


def spectrum(sound: Samples, rate_hz: int) -> Spectrum:
    analyser = Analyser(rate_hz, sound.shape[1])
    assert sum(len(block) for block in analyser.through(blocks(sound))) == len(sound)
    return analyser.finish()


def run(sound: Samples, curves: Curves, rate_hz: int) -> Samples:
    made = list(filtered(blocks(sound), curves, rate_hz, sound.shape[1]))
    return np.concatenate(made)


@pytest.mark.parametrize("rate_hz", [22_050, 48_000, 96_000])
def test_white_noise_rises_by_1_db_a_band(rate_hz: int) -> None:
    found = spectrum(noise(4 * rate_hz), rate_hz)
    known = np.isfinite(found.all) & (CENTRES_HZ > 200)
    assert known.sum() >= 16
    assert np.isnan(found.all[rate_hz / 2 < CENTRES_HZ * 1.13]).all()
    assert np.abs(np.diff(found.all[known]) - 10 * np.log10(2) / 3).max() < 0.7


def test_middle_and_sides_are_told_apart() -> None:
    own = noise(96_000, 1)
    found = spectrum(np.hstack([own, -own * np.float32(0.5)]), 48_000)
    assert found.mid is not None
    assert found.side is not None
    # (1 - 0.5) / 2 beside (1 + 0.5) / 2
    assert np.nanmedian(found.side - found.mid) == pytest.approx(9.54, abs=0.05)


@pytest.mark.parametrize("frames", [1, 100, 4_079, 40_000])
@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 2), (8_000, 1), (44_100, 3)])
def test_a_flat_curve_leaves_all_but_the_subsonic_and_no_delay(
    frames: int, rate_hz: int, channels: int
) -> None:
    sound = noise(frames, channels)
    made = run(sound, Curves(FLAT, FLAT), rate_hz)
    assert made.shape == sound.shape
    fine = np.diff(made, axis=0) - np.diff(sound, axis=0)  # the high-pass is slow: next to nothing a frame
    assert np.abs(fine).max(initial=0.0) < 0.01


def test_the_filter_does_what_the_curve_says() -> None:
    curve = 6 * np.sin(np.arange(len(CENTRES_HZ)) / 4)
    sound = noise(480_000)
    before, after = spectrum(sound, 48_000), spectrum(run(sound, Curves(curve, curve), 48_000), 48_000)
    heard = CENTRES_HZ > 45
    assert np.abs((after.all - before.all - curve)[heard]).max() < 0.5


def test_below_hearing_is_taken_off() -> None:
    time = np.arange(96_000)[:, np.newaxis] / 48_000
    made = run((0.5 * np.sin(2 * np.pi * 5 * time)).astype(np.float32), Curves(FLAT, FLAT), 48_000)
    assert np.abs(made[48_000:]).max() < 0.05


def test_toward_neutral_goes_half_the_way_and_3_db_at_most() -> None:
    neutral = np.interp(np.log(CENTRES_HZ), np.log(tone.NEUTRAL_HZ), tone.NEUTRAL_DB)
    assert toward_neutral(Spectrum(neutral - 20)).most_db == pytest.approx(0, abs=1e-9)
    tilt = np.linspace(-2, 2, len(CENTRES_HZ))
    curve = toward_neutral(Spectrum(neutral + tilt)).middle
    assert curve[8:-8] == pytest.approx(-tilt[8:-8] / 2, abs=0.15)
    assert toward_neutral(Spectrum(neutral + 6 * tilt)).most_db == pytest.approx(3.0, abs=0.3)


def test_what_is_absent_is_not_raised() -> None:
    """A flute has no bass: there is only noise to raise."""
    neutral = np.interp(np.log(CENTRES_HZ), np.log(tone.NEUTRAL_HZ), tone.NEUTRAL_DB)
    flute = np.where(CENTRES_HZ < 200, neutral - 60, neutral)
    curves = toward_neutral(Spectrum(flute))
    assert curves.middle[CENTRES_HZ < 150].max() < 0.2


def test_toward_a_reference_middle_and_sides_go_their_own_ways() -> None:
    tilt = np.linspace(-4, 4, len(CENTRES_HZ))
    own, reference = Spectrum(FLAT, FLAT, FLAT - 10), Spectrum(FLAT, tilt + 3, FLAT - 10 + 3 + 5)
    curves = toward_reference(own, reference)
    middle = (CENTRES_HZ > 50) & (CENTRES_HZ < 10_000)
    level = float(np.median(tilt[(CENTRES_HZ >= 60) & (CENTRES_HZ <= 10_000)]))
    assert curves.middle[middle] == pytest.approx(tilt[middle] - level, abs=0.1)
    assert curves.sides[middle] == pytest.approx(np.full(middle.sum(), 5 - level), abs=0.01)
    far = toward_reference(own, Spectrum(FLAT, 10 * tilt, FLAT))
    assert far.most_db == pytest.approx(9.0)


def test_one_channel_beside_two_and_bands_that_one_lacks() -> None:
    short = np.where(CENTRES_HZ > 3_500, np.nan, np.linspace(0, 6, len(CENTRES_HZ)))
    curves = toward_reference(Spectrum(FLAT, FLAT, FLAT), Spectrum(short))
    assert np.array_equal(curves.middle, curves.sides)
    assert np.isfinite(curves.middle).all()
    assert np.ptp(curves.middle[(CENTRES_HZ > 5_000) & (CENTRES_HZ < 13_000)]) == pytest.approx(0, abs=1e-9)
