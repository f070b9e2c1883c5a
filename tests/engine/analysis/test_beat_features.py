"""What the network hears does not depend on blocks, has a frame a hop, and rises where sound begins."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from bridge.engine.analysis.beat_features import BANDS, FEATURES, HOP, RATE_HZ, BeatFeatures

Floats = NDArray[np.float32]


def heard(sound: Floats, size: int) -> Floats:
    features = BeatFeatures()
    parts = [features.hear(sound[at : at + size]) for at in range(0, len(sound), size)]
    return np.concatenate([*parts, features.finish()])


@pytest.fixture(scope="module")
def noise() -> Floats:
    return np.random.default_rng(1).normal(0, 0.1, 2 * RATE_HZ + 13).astype(np.float32)


@pytest.mark.parametrize("size", [100, 441, 5_000])
def test_does_not_depend_on_the_blocks(noise: Floats, size: int) -> None:
    assert np.abs(heard(noise, size) - heard(noise, len(noise))).max() < 1e-6


@pytest.mark.parametrize("samples", [0, 1, HOP, HOP + 1, 1411, 10 * HOP])
def test_every_hop_that_begins_has_its_frame(noise: Floats, samples: int) -> None:
    assert heard(noise[:samples], 700).shape == (-(-samples // HOP), FEATURES)


def test_a_tone_is_in_its_band_alone() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    bands = heard(np.sin(2 * np.pi * 880 * time_s).astype(np.float32), 4_096)[25, :BANDS]
    loudest = int(bands.argmax())
    assert bands[loudest] > 2
    assert np.delete(bands, range(loudest - 3, loudest + 4)).max() < 0.1 * bands[loudest]


def test_rises_only_where_a_sound_begins(noise: Floats) -> None:
    sound = noise.copy()
    sound[:RATE_HZ] = 0
    rises = heard(sound, 4_096)[:, BANDS:].sum(axis=1)
    assert abs(int(rises.argmax()) - RATE_HZ // HOP) <= 1
    assert rises[:45].max() == 0
