"""What `denoise` is made of: windows without a seam, the floor of noise, what is heard as speech."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from bridge.engine.enhancement import noise_material
from bridge.engine.enhancement.noise_floor import heard_floor
from bridge.engine.enhancement.noise_frames import Counted, Framing, sound, spectra
from bridge.engine.enhancement.noise_wiener import filtered
from bridge.media.raw_pcm import Samples

FRAMING = Framing.lasting(0.07, 44_100)


def blocks_of(samples: Samples, size: int) -> Iterator[Samples]:
    return (samples[at : at + size] for at in range(0, len(samples), size))


def white(frames: int, channels: int = 2, level: float = 0.1) -> Samples:
    made = np.random.default_rng(1).standard_normal((frames, channels)) * level
    return made.astype(np.float32)


@pytest.mark.parametrize("framing", [FRAMING, Framing(960, 480, 1024)])
@pytest.mark.parametrize("frames", [1, 700, 50_001])
def test_there_and_back_is_the_same(framing: Framing, frames: int) -> None:
    samples = white(frames)
    source = Counted(blocks_of(samples, 6_000))
    back = np.concatenate(list(sound(spectra(source, framing), framing, source)))
    assert back.shape == samples.shape
    assert np.abs(back - samples).max() < 1e-6


def test_the_floor_of_white_noise_is_its_power() -> None:
    floor = heard_floor(spectra(Counted(blocks_of(white(20 * 44_100), 65_536)), FRAMING), FRAMING)
    wanted = 0.1**2 * FRAMING.window / 2
    assert np.abs(10 * np.log10(floor.at(100, 500)[..., 20:-20] / wanted)).max() < 1.0


def test_what_dies_away_has_no_floor() -> None:
    time_s = np.arange(20 * 44_100) / 44_100
    decays = white(len(time_s)) * np.exp(-12 * (time_s % 0.9))[:, np.newaxis].astype(np.float32)
    assert heard_floor(spectra(Counted([decays]), FRAMING), FRAMING).is_quiet


def test_the_filter_does_not_depend_on_the_blocks() -> None:
    samples = white(200_000)
    samples[60_000:90_000] += np.sin(np.arange(30_000) * 0.05, dtype=np.float32)[:, np.newaxis]
    floor = heard_floor(spectra(Counted([samples]), FRAMING), FRAMING)
    made = []
    for size in (1_000, 65_536):
        source = Counted(blocks_of(samples, size))
        clean = filtered(spectra(source, FRAMING), floor)
        made.append(np.concatenate(list(sound(clean, FRAMING, source))))
    assert np.abs(made[0] - made[1]).max() < 1e-4
    # Noise alone is turned down by all of 20 dB: nothing of it bubbles.
    assert made[0][120_000:180_000].std() == pytest.approx(0.01, rel=0.05)


def test_tones_beats_and_nothing_are_not_speech() -> None:
    rate_hz = noise_material.RATE_HZ
    time_s = np.arange(12 * rate_hz) / rate_hz
    chords = sum(np.sin(2 * np.pi * hertz * time_s) for hertz in (220, 277, 330)) * (1 + (time_s % 2 < 1))
    beats = white(len(time_s), 1)[:, 0] * np.exp(-30 * (time_s % 0.5))
    for mono in (chords, beats, np.zeros_like(time_s), time_s[:100]):
        piece = mono.astype(np.float32)[:, np.newaxis]
        assert not noise_material.is_speech(blocks_of(piece, 50_000))
