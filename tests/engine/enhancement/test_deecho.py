"""Echoes found by their cepstrum and undone, and sound without any left as it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from bridge.engine.audio_job import Row
from bridge.engine.enhancement.deecho import deecho
from bridge.engine.enhancement.echo_inverse import WithoutEcho
from bridge.engine.enhancement.echo_model import Echo
from bridge.errors import Cancelled
from support.audio_jobs import audio_job

Sound = npt.NDArray[np.float64]
RATE_HZ = 12_000


def bursts(seed: int, seconds: float = 16.0) -> Sound:
    """(frames,): noise of many colours and lengths at odd times, as syllables are."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    for start in np.flatnonzero(rng.random(len(sound)) < 6 / RATE_HZ):
        size = int(rng.integers(400, 3000))
        colour = np.exp(-np.arange(32) / rng.uniform(1, 12)) * rng.choice([-1, 1], 32)
        burst = np.convolve(rng.standard_normal(size), colour, mode="same") * np.hanning(size)
        sound[start : start + size] += burst[: len(sound) - start] * rng.uniform(0.2, 1)
    return np.asarray(sound * (0.4 / np.abs(sound).max()))


def delayed(sound: Sound, frames: float) -> Sound:
    """Later by frames that need not be whole, by its spectrum."""
    size = 2 * len(sound)
    turn = np.exp(-2j * np.pi * np.fft.rfftfreq(size) * frames)
    return np.fft.irfft(np.fft.rfft(sound, size) * turn, size)[: len(sound)]


def si_sdr(estimate: Sound, reference: Sound) -> float:
    own = reference * (np.vdot(reference, estimate) / np.vdot(reference, reference))
    return float(10 * np.log10((own**2).sum() / ((estimate - own) ** 2).sum()))


def worked(folder: Path, sound: Sound, subtype: str = "PCM_24") -> tuple[list[Row], Sound]:
    """The rows and the clean sound; both parts must add up to the source."""
    source = folder / "bounce.wav"
    sf.write(source, sound, RATE_HZ, subtype)
    job = audio_job("deecho", source, folder / "out")
    rows = deecho(job)
    assert [row["role"] for row in rows] == ["clean", "removed"]
    total = sum(sf.read(job.folder / row["file"], dtype="int32")[0].astype(np.int64) for row in rows)
    assert np.array_equal(total, sf.read(source, dtype="int32")[0])
    return rows, sf.read(job.folder / rows[0]["file"])[0]


@pytest.mark.parametrize(("delay", "gain"), [(1000, 0.5), (3747.5, 0.5), (7200.25, -0.4)])
def test_a_single_echo_is_found_and_taken_out(tmp_path: Path, delay: float, gain: float) -> None:
    dry = bursts(1)
    wet = dry + gain * delayed(dry, delay)
    rows, clean = worked(tmp_path, wet)
    about = rows[0]["about"]
    assert about["echo_delay_ms"] == pytest.approx(1000 * delay / RATE_HZ, abs=0.03)
    assert about["echo_level_db"] == pytest.approx(20 * np.log10(abs(gain)), abs=0.5)
    assert about["quality"] == "good"
    assert about["note"].startswith(f"an echo of {round(about['echo_delay_ms'])} ms at")
    assert si_sdr(clean, dry) - si_sdr(wet, dry) > 15


def test_an_echo_that_repeats_itself(tmp_path: Path) -> None:
    dry = bursts(2)
    wet = sum((0.4 * 0.6**k * delayed(dry, 3000 * (k + 1)) for k in range(12)), start=dry.copy())
    rows, clean = worked(tmp_path, wet)
    assert rows[0]["about"]["echo_feedback"] == pytest.approx(0.6, abs=0.1)
    assert "repeats itself" in rows[0]["about"]["note"]
    assert si_sdr(clean, dry) - si_sdr(wet, dry) > 12


def test_each_channel_has_its_own(tmp_path: Path) -> None:
    left, right = bursts(3), bursts(4)
    wet = np.stack([left + 0.5 * delayed(left, 2400), right], axis=1)
    rows, clean = worked(tmp_path, wet)
    assert rows[0]["about"]["note"].endswith("of 1 of 2 channels")
    assert si_sdr(clean[:, 0], left) > 20
    assert np.abs(clean[:, 1] - wet[:, 1]).max() < 2**-22


@pytest.mark.parametrize("kind", ["bursts", "loop", "silence", "offset", "tone", "one frame", "10 ms"])
def test_nothing_is_taken_from_what_has_no_echo(tmp_path: Path, kind: str) -> None:
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ
    beat = np.random.default_rng(5).standard_normal(2000) * np.exp(-np.arange(2000) / 300) * 0.1
    loop = np.zeros(10 * RATE_HZ)
    for start in range(0, len(loop) - 2000, RATE_HZ // 2):  # 120 BPM, the same to the frame
        loop[start : start + 2000] = beat
    sounds = {
        "bursts": bursts(6),
        "loop": loop,
        "silence": np.zeros(RATE_HZ),
        "offset": np.full(5 * RATE_HZ, 0.25),
        "tone": 0.5 * np.sin(2 * np.pi * 440 * time_s),
        "one frame": np.full(1, 0.5),
        "10 ms": bursts(7, 1.0)[:160] + 0.1,
    }
    rows, clean = worked(tmp_path, sounds[kind])
    assert rows[0]["about"]["note"] == "no echo was found, so nothing was taken away"
    assert np.array_equal(clean, sf.read(tmp_path / "bounce.wav")[0])
    assert rows[0]["about"]["residual_dbfs"] is None


def test_blocks_of_any_size_give_the_same() -> None:
    taps = np.array([0.0, 0.1, 0.5, -0.1, 0.0])
    echo = Echo(RATE_HZ, 900, taps, 0.5, 0.2)
    sound = bursts(8, 1.0)
    at_once = WithoutEcho(echo).clean(sound)
    line = WithoutEcho(echo)
    pieces = [line.clean(piece) for piece in np.split(sound, [1, 899, 900, 2500, 9000])]
    assert np.allclose(np.concatenate(pieces), at_once, atol=1e-12)
    assert np.array_equal(at_once[:898], sound[:898])


def test_cancel(tmp_path: Path) -> None:
    source = tmp_path / "bounce.wav"
    sf.write(source, bursts(9), RATE_HZ, "PCM_16")

    def check() -> None:
        raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        deecho(audio_job("deecho", source, tmp_path / "out", check=check))
