"""Late reverb is taken from what sounds in a room, and nothing from what is dry, held or too short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile as sf

from bridge.engine.audio_job import Row
from bridge.engine.enhancement.dereverb import Dereverberation, Found, dereverb
from bridge.engine.enhancement.reverb_frames import Framing
from bridge.engine.enhancement.wpe import Prediction, late_part
from bridge.errors import Cancelled
from support.audio_jobs import audio_job

Sound = npt.NDArray[np.float64]
RATE_HZ = 8_000


def syllables(seed: int, seconds: float = 8.0) -> Sound:
    """(frames,): short bursts of noise in changing colours, with gaps, as speech has them."""
    rng = np.random.default_rng(seed)
    sound = np.zeros(round(seconds * RATE_HZ))
    start = 0
    while start < len(sound) - 2000:
        size = int(rng.integers(400, 1500))
        colour = np.exp(-np.arange(24) / rng.uniform(1, 8)) * rng.choice([-1, 1], 24)
        burst = np.convolve(rng.standard_normal(size), colour, mode="same") * np.hanning(size)
        sound[start : start + size] += burst * rng.uniform(0.3, 1)
        start += size + int(rng.integers(0, 2400))
    return np.asarray(sound * (0.3 / np.abs(sound).max()))


def in_a_room(dry: Sound, t60_s: float, seed: int, channels: int = 2) -> tuple[Sound, Sound]:
    """The sound with its late reverb, 5 dB below, and without: (frames, channels) each."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(t60_s * RATE_HZ)) / RATE_HZ
    tails = rng.standard_normal((len(time_s), channels)) * np.exp(-6.91 * time_s / t60_s)[:, np.newaxis]
    tails[time_s < 0.05] = 0
    size = 1 << (len(dry) + len(tails)).bit_length()
    spectra = np.fft.rfft(dry, size)[:, np.newaxis] * np.fft.rfft(tails, size, axis=0)
    late = np.fft.irfft(spectra, size, axis=0)[: len(dry)]
    direct = np.repeat(dry[:, np.newaxis], channels, axis=1)
    return direct + late * np.sqrt((direct**2).sum() / (late**2).sum()) * 10 ** (-5 / 20), direct


def si_sdr(estimate: Sound, reference: Sound) -> float:
    own = reference * (np.vdot(reference, estimate) / np.vdot(reference, reference))
    return float(10 * np.log10((own**2).sum() / ((estimate - own) ** 2).sum()))


def worked(folder: Path, sound: Sound, rate_hz: int = RATE_HZ) -> tuple[list[Row], Sound]:
    """The rows and the clean sound; both parts must add up to the source."""
    source = folder / "bounce.wav"
    sf.write(source, sound, rate_hz, "PCM_24")
    told: list[float] = []
    job = audio_job(
        "dereverb", source, folder / "out", progress=lambda done, _: told.append(done), material="speech"
    )
    rows = dereverb(job)
    assert [row["role"] for row in rows] == ["clean", "removed"]
    assert told == sorted(told)
    assert told[-1] == 1
    total = sum(sf.read(job.folder / row["file"], dtype="int32")[0].astype(np.int64) for row in rows)
    assert np.array_equal(total, sf.read(source, dtype="int32")[0])
    return rows, sf.read(job.folder / rows[0]["file"], always_2d=True)[0]


@pytest.mark.parametrize(("channels", "gain_db"), [(1, 1.5), (2, 5.0)])
def test_reverb_is_taken_out(tmp_path: Path, channels: int, gain_db: float) -> None:
    wet, dry = in_a_room(syllables(1), 0.6, 2, channels)
    rows, clean = worked(tmp_path, wet)
    assert si_sdr(clean, dry) - si_sdr(wet, dry) > gain_db
    about = rows[0]["about"]
    assert about["quality"] == "good"
    assert -15 < about["reverb_db"] < -4
    assert about["note"].startswith("reverb of")


def test_it_goes_on_over_the_ends_of_windows(tmp_path: Path) -> None:
    wet, dry = in_a_room(syllables(3, 25.0), 0.6, 4)
    clean = worked(tmp_path, wet)[1]
    for start in range(0, 24 * RATE_HZ, 4 * RATE_HZ):
        part = slice(start, start + 4 * RATE_HZ)
        assert si_sdr(clean[part], dry[part]) > si_sdr(wet[part], dry[part]) + 2


def test_a_second_pair_of_channels_is_worked_on_by_itself(tmp_path: Path) -> None:
    wet, dry = in_a_room(syllables(5), 0.6, 6)
    still = np.stack([syllables(7)], axis=1)
    clean = worked(tmp_path, np.concatenate([wet, still], axis=1))[1]
    assert si_sdr(clean[:, :2], dry) > si_sdr(wet, dry) + 5
    assert np.abs(clean[:, 2] - still[:, 0]).max() < 2**-22


@pytest.mark.parametrize("kind", ["syllables", "panned", "silence", "offset", "one frame", "10 ms"])
def test_nothing_is_taken_from_what_is_dry(tmp_path: Path, kind: str) -> None:
    dry = syllables(8)
    sounds = {
        "syllables": dry,
        "panned": np.stack([dry, 0.5 * dry], axis=1),
        "silence": np.zeros((RATE_HZ, 2)),
        "offset": np.full(3 * RATE_HZ, 0.25),
        "one frame": np.full(1, 0.5),
        "10 ms": dry[:80] + 0.1,
    }
    rows, clean = worked(tmp_path, sounds[kind])
    assert rows[0]["about"]["note"].endswith("so nothing was taken away")
    assert rows[0]["about"]["reverb_db"] is None
    assert np.array_equal(clean, sf.read(tmp_path / "bounce.wav", always_2d=True)[0])


def test_held_tones_are_left(tmp_path: Path) -> None:
    time_s = np.arange(10 * RATE_HZ) / RATE_HZ
    tones = sum((np.sin(2 * np.pi * hertz * time_s) for hertz in (220, 277, 330, 440)), start=np.zeros(1))
    chord = 0.1 * tones * (0.6 + 0.4 * np.sign(np.sin(2 * np.pi * 0.4 * time_s)))
    rows, clean = worked(tmp_path, chord)
    assert rows[0]["about"]["note"].startswith("held tones cannot be told from reverb")
    assert np.array_equal(clean, sf.read(tmp_path / "bounce.wav", always_2d=True)[0])


@pytest.mark.parametrize("rate_hz", [8_000, 44_100, 192_000])
def test_spectra_there_and_back(rate_hz: int) -> None:
    framing = Framing(rate_hz)
    time_s = np.arange(rate_hz // 2) / rate_hz
    fade = np.hanning(len(time_s))
    sound = np.stack([fade * np.sin(2 * np.pi * hertz * time_s) for hertz in (500, 3000)], axis=1)
    back = framing.sound(framing.spectra(sound.astype(np.float32)), len(sound))
    assert np.abs(back - sound).max() < 1e-3


def test_a_filter_that_is_known_is_foretold() -> None:
    rng = np.random.default_rng(9)
    dry = rng.standard_normal((3, 1, 600)) + 1j * rng.standard_normal((3, 1, 600))
    dry *= rng.choice([0.1, 1.0, 3.0], (3, 1, 600))
    wet = dry.copy()
    for frame in range(4, 600):
        wet[:, :, frame] += 0.6j * wet[:, :, frame - 4]
    late = late_part(wet.astype(np.complex64), Prediction(6, 3, 3, 40.0), lambda: None)
    assert np.abs(wet - dry - late).max() < 0.3 * np.abs(wet - dry).max()
    assert np.mean(np.abs(wet - dry - late) ** 2) < 0.02 * np.mean(np.abs(wet - dry) ** 2)


def test_what_is_no_number_is_silence() -> None:
    window = np.full((RATE_HZ, 2), 0.1, np.float32)
    window[10] = np.nan
    (clean,) = Dereverberation(Framing(RATE_HZ), lambda: None, Found()).clean(window)
    assert np.isfinite(clean).all()


def test_cancel(tmp_path: Path) -> None:
    source = tmp_path / "bounce.wav"
    sf.write(source, syllables(10), RATE_HZ, "PCM_16")

    def check() -> None:
        raise Cancelled("asked to stop")

    with pytest.raises(Cancelled):
        dereverb(audio_job("dereverb", source, tmp_path / "out", check=check, material="speech"))


def test_a_dry_mix_stays_as_it_is_and_it_is_said_why(tmp_path: Path) -> None:
    time_s = np.arange(6 * 44_100) / 44_100
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (110, 220, 277, 330))
    hits = np.exp(-20 * (time_s % 0.25)) * np.random.default_rng(4).standard_normal(len(time_s))
    mix = 0.05 * chord * (0.6 + 0.4 * np.exp(-3 * (time_s % 0.5))) + 0.1 * hits
    source = tmp_path / "mix.wav"
    sf.write(source, np.stack([mix, 0.8 * mix], axis=1), 44_100, "PCM_24")
    job = audio_job("dereverb", source, tmp_path / "out")
    rows = dereverb(job)
    clean, removed = (sf.read(job.folder / row["file"], dtype="int32")[0] for row in rows)
    assert np.array_equal(clean, sf.read(source, dtype="int32")[0])
    assert not removed.any()
    assert "taken for music" in rows[0]["about"]["note"]
