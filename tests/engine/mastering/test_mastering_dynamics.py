"""The gains of limiter and glue, as numbers along the grains of a sound."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.engine.mastering import dynamics
from bridge.engine.mastering.dynamics import Loudener, glue, glue_ratio, limits, no_glue
from bridge.engine.mastering.loudness import Grid, Measured, Singles, gated

GRID = Grid.of(48_000)
PER_S = round(GRID.grains_per_s)


def sound(powers_db: Singles, peaks_db: Singles | None = None) -> Measured:
    """Grains of these K-weighted levels, with peaks 6 dB higher by themselves."""
    peaks = powers_db + 6 if peaks_db is None else peaks_db
    powers = 10 ** (powers_db / 10)
    return Measured(
        GRID, len(powers) * GRID.grain, (10 ** (peaks / 20)).astype(np.float32), powers.astype(np.float32)
    )


def beats(*, quiet_db: float = -30.0, loud_db: float = -14.0, seconds: float = 8.0) -> Singles:
    """Twice a second a hit of 50 ms."""
    along = np.arange(round(seconds * PER_S)) % (PER_S // 2)
    return np.where(along < PER_S // 20, loud_db, quiet_db).astype(np.float32)


def test_the_limiter_never_gives_more_than_is_wanted() -> None:
    rng = np.random.default_rng(5)
    wanted = np.minimum(0, rng.normal(6, 4, 20_000)).astype(np.float32)
    assert (limits(wanted, GRID) <= wanted + 1e-5).all()


def test_the_limiter_is_smooth_begins_early_and_lets_go() -> None:
    wanted = np.zeros(PER_S, np.float32)
    wanted[500] = -6.0
    found = limits(wanted, GRID)
    assert found[500] == pytest.approx(-6, abs=0.01)
    assert np.abs(np.diff(found)).max() < 2.5
    assert found[: 500 - 8].max() == found[: 500 - 8].min() == 0
    quick = round(6 / dynamics.QUICK_RELEASE_DB_S * PER_S)
    assert found[500 + quick // 2] == pytest.approx(-3, abs=0.5)
    assert found[-1] == pytest.approx(0, abs=1e-5)


def test_after_long_work_it_lets_go_slowly() -> None:
    wanted = np.zeros(3 * PER_S, np.float32)
    wanted[PER_S : 2 * PER_S : 20] = -6.0  # peaks every 10 ms, as a bass has
    found = limits(wanted, GRID)
    assert not found[: PER_S - 8].any()
    ripple = found[PER_S + PER_S // 4 : 2 * PER_S - 20]
    assert ripple.max() - ripple.min() < 0.01
    assert -6 <= found[2 * PER_S + PER_S // 10] < -4


def test_without_need_there_is_no_limiting() -> None:
    assert not limits(np.zeros(100, np.float32), GRID).any()


@pytest.mark.parametrize("target_lufs", [-24.0, -18.0, -16.0])
def test_the_loudness_is_reached_below_the_ceiling(target_lufs: float) -> None:
    measured = sound(beats())
    level = Loudener(measured, no_glue(measured), -1.0, lambda: None).level(target_lufs)
    assert level.loudness_lufs == pytest.approx(target_lufs, abs=0.01)
    assert not level.too
    edges = level.limits_db + level.gain_db
    peaks_db = 20 * np.log10(measured.peaks)
    assert (peaks_db + np.maximum(edges[:-1], edges[1:])).max() <= -1.0 + 1e-3
    gains = 10 ** ((edges[:-1] + edges[1:]) / 20)
    assert gated(measured.steps((measured.powers * gains).astype(np.float32))) == pytest.approx(
        target_lufs, abs=0.02
    )


def test_more_than_a_limiter_can_do_unheard_is_not_done() -> None:
    powers_db = beats()
    measured = sound(powers_db, np.where(powers_db > -20, 0, -20).astype(np.float32))
    level = Loudener(measured, no_glue(measured), -1.0, lambda: None).level(-3.0)
    assert level.too == "dynamic"
    assert level.limited_db == pytest.approx(dynamics.MOST_LIMITED_DB, abs=0.5)
    assert level.loudness_lufs < -3.5


def test_one_click_does_not_hold_a_whole_song_down() -> None:
    powers_db = np.full(20 * PER_S, -30, np.float32)
    peaks_db = powers_db + 6
    peaks_db[9_000] = 0.0
    level = Loudener(sound(powers_db, peaks_db), no_glue(sound(powers_db)), -1.0, lambda: None).level(-14.0)
    assert not level.too
    assert level.loudness_lufs == pytest.approx(-14, abs=0.02)


def test_what_is_very_quiet_is_not_raised_for_ever() -> None:
    measured = sound(np.full(4 * PER_S, -65, np.float32))
    level = Loudener(measured, no_glue(measured), -1.0, lambda: None).level(-14.0)
    assert (level.too, level.gain_db) == ("quiet", dynamics.MOST_GAIN_DB)


def test_pieces_join_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = sound(beats(seconds=20))
    whole = Loudener(measured, no_glue(measured), -1.0, lambda: None).level(-16.0)
    monkeypatch.setattr(dynamics, "SEGMENT_GRAINS", 3_001)
    pieces = Loudener(measured, no_glue(measured), -1.0, lambda: None).level(-16.0)
    assert np.allclose(pieces.limits_db, whole.limits_db, atol=1e-3)


def test_glue_presses_the_loud_a_little() -> None:
    levels = np.repeat(np.array([-30, -12, -30, -12], np.float32), 2 * PER_S)
    gains = glue(sound(levels))
    assert len(gains) == len(levels) + 1
    assert gains[PER_S : 2 * PER_S].min() == gains[PER_S : 2 * PER_S].max() == 0
    assert -2.0 < gains[3 * PER_S] < -0.3
    assert np.abs(np.diff(gains)).max() < 0.2


def test_a_dense_reference_asks_for_more_glue_than_an_open_one() -> None:
    rng = np.random.default_rng(2)
    shape = np.repeat(rng.uniform(-1, 1, 40), PER_S // 2).astype(np.float32)
    own, dense, open_one = (sound(-20 + shape * width) for width in (8, 4, 12))
    assert glue_ratio(own, dense) > 1.5
    assert glue_ratio(own, open_one) == 1.0
    assert not glue(own, glue_ratio(own, open_one)).any()
