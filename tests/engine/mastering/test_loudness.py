"""Loudness and true peak against BS.1770's own figures, and against two other meters."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile as sf

from bridge.engine.mastering.loudness import Grid, Measured, Meter, channel_weights, k_weighting
from bridge.media.raw_pcm import Samples

RATES_HZ = (8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000)


def measured(sound: Samples, rate_hz: int, *, mask: int = 0, block: int = 10_007) -> Measured:
    meter = Meter(Grid.of(rate_hz), channel_weights(sound.shape[1], mask))
    for at in range(0, len(sound), block):
        meter.add(sound[at : at + block])
    return meter.finish()


def sine(rate_hz: int, hz: float, peak: float, *, seconds: float = 3.0, phase: float = 0.0) -> Samples:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    sound: Samples = (peak * np.sin(2 * np.pi * hz * time + phase)).astype(np.float32)[:, np.newaxis]
    return sound


def steps(rate_hz: int, channels: int, seed: int = 4) -> Samples:
    """Noise whose level changes each half second, so that both gates have something to do.

    It ends in the middle of 100 ms, so that meters with other ideas of them count as many.
    """
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.choice([0.001, 0.05, 0.1], 12), rate_hz // 2)[:, np.newaxis]
    levels = np.pad(levels, ((0, rate_hz // 20), (0, 0)), mode="edge")
    noise: Samples = (rng.standard_normal((len(levels), channels)) * levels).astype(np.float32)
    return noise


def test_the_filter_is_the_standards_at_48_khz() -> None:
    shelf, high_pass = k_weighting(48_000)
    expected = [
        1.53512485958697,
        -2.69169618940638,
        1.19839281085285,
        1.0,
        -1.69065929318241,
        0.73248077421585,
    ]
    assert shelf == pytest.approx(expected, abs=1e-9)
    assert high_pass == pytest.approx([1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621], abs=1e-9)


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_the_standards_tone_has_the_standards_loudness(rate_hz: int) -> None:
    """A full-scale sine of 997 Hz in one channel reads -3.01 LUFS, wherever the rate."""
    found = measured(sine(rate_hz, 997, 1.0), rate_hz)
    assert found.loudness_lufs == pytest.approx(-3.01, abs=0.1 if rate_hz < 22_050 else 0.03)


@pytest.mark.parametrize("channels", [1, 2])
def test_it_reads_what_pyloudnorm_reads(channels: int) -> None:
    sound = steps(48_000, channels)
    other = pyloudnorm.Meter(48_000).integrated_loudness(sound.astype(np.float64))
    assert measured(sound, 48_000).loudness_lufs == pytest.approx(other, abs=0.1)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is another meter")
@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 6), (11_025, 1), (192_000, 2)])
def test_it_reads_what_ffmpeg_reads(tmp_path: Path, rate_hz: int, channels: int) -> None:
    sound, path = steps(rate_hz, channels), tmp_path / "steps.wav"
    sf.write(path, sound, rate_hz, "FLOAT")
    command = ["ffmpeg", "-hide_banner", "-nostats", "-i", str(path), "-af", "ebur128", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    theirs = float(re.findall(r"I: +(\S+) LUFS", said)[-1])
    assert measured(sound, rate_hz).loudness_lufs == pytest.approx(theirs, abs=0.1)


@pytest.mark.parametrize("rate_hz", RATES_HZ[:-1])
def test_peaks_between_the_samples_are_found(rate_hz: int) -> None:
    """A quarter of the rate, 45 degrees off: the samples stand 3.01 dB below the peaks."""
    faded = sine(rate_hz, rate_hz / 4, 0.5, phase=np.pi / 4, seconds=1.0)
    slope = np.minimum(1, np.arange(len(faded)) / 2000)[:, np.newaxis]
    faded = (faded * slope * slope[::-1]).astype(np.float32)
    assert 20 * np.log10(np.abs(faded).max()) == pytest.approx(-9.03, abs=0.01)
    assert measured(faded, rate_hz).true_peak_dbtp == pytest.approx(-6.02, abs=0.02)


def test_each_grain_has_its_own_peak_and_power() -> None:
    sound = np.zeros((48_000, 2), np.float32)
    sound[30_000, 1] = 0.5
    found = measured(sound, 48_000)
    grain = 30_000 // found.grid.grain
    assert int(found.peaks.argmax()) == grain
    assert found.peaks[grain] == pytest.approx(0.5, rel=1e-3)
    assert found.peaks[: grain - 30].max() < 0.005  # the ripple of a click dies away
    assert int(found.powers.argmax()) == grain
    assert len(found.peaks) == len(found.powers) == 2000


def test_blocks_of_any_size_measure_the_same() -> None:
    sound = steps(44_100, 2)
    one, other = measured(sound, 44_100, block=len(sound)), measured(sound, 44_100, block=777)
    assert np.allclose(one.peaks, other.peaks, rtol=1e-4)
    assert np.allclose(one.powers, other.powers, rtol=1e-5, atol=1e-12)


@pytest.mark.parametrize("frames", [0, 1, 17, 19_199])
def test_less_than_400_ms_has_no_loudness(frames: int) -> None:
    found = measured(np.full((frames, 1), 0.25, np.float32), 48_000)
    assert found.loudness_lufs is None
    assert (found.true_peak_dbtp is None) == (frames == 0)


def test_silence_has_neither_loudness_nor_peak() -> None:
    found = measured(np.zeros((96_000, 2), np.float32), 48_000)
    assert found.loudness_lufs is None
    assert found.true_peak_dbtp is None


def test_channels_weigh_what_the_standard_says() -> None:
    assert channel_weights(2).tolist() == [1.0, 1.0]
    assert channel_weights(6).tolist() == [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]
    assert channel_weights(6, 0x60F).tolist() == [1.0, 1.0, 1.0, 0.0, 1.41, 1.41]
    assert channel_weights(4, 0x33).tolist() == [1.0, 1.0, 1.41, 1.41]
    assert channel_weights(8, 0x63F).tolist() == [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 1.41, 1.41]
    assert channel_weights(7).tolist() == [1.0] * 7


@pytest.mark.parametrize("rate_hz", [*RATES_HZ, 44_056, 47_952, 176_400, 1_000])
def test_grains_fill_100_ms(rate_hz: int) -> None:
    grid = Grid.of(rate_hz)
    assert grid.grain * grid.step == pytest.approx(rate_hz / 10, rel=0.002, abs=0.5)
