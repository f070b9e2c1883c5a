"""Drum kits to learn from: strokes out of SoundFonts and folders of single drums, all of free licences.

A kit is a mapping from General MIDI key to strokes, each a velocity and its sound, (frames,) float32 at
44,100 Hz, which begins where the stroke does.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import mido
import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from benchmarks.songs.model import Rng
from benchmarks.songs.rendering import FLUIDSYNTH_DELAY_S, TICKS_PER_BEAT, TICKS_PER_S
from benchmarks.songs.sounds import RATE_HZ
from bridge.engine.synth import render_drums
from bridge.media.notes import Note

Sound = NDArray[np.float32]
Kit = Mapping[int, list[tuple[int, Sound]]]

SOUNDFONT_KEYS = (35, 36, 37, 38, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 55, 57, 59)
SHAKEN_KEYS = (54, 56, 69, 70, 75)  # tambourine, cowbell, cabasa, maracas, claves: what is no drum kit
SOUNDFONT_VELOCITIES = (20, 50, 80, 104, 127)
APART_S, LONGEST_S = 2.6, 2.5
GONE = 1e-6  # of a stroke's energy

# Single drums of several players and machines: the folder's name, and by key the files (no suffix).
LOOSE: Mapping[str, Mapping[int, str]] = {
    # Sonic Pi's samples (Debian's sonic-pi-samples), from freesound.org, CC0.
    "samples": {
        36: "bd_808 bd_ada bd_boom bd_fat bd_gas bd_haus bd_klub bd_pure bd_sone bd_tek bd_zome bd_zum"
        " bd_mehackit drum_heavy_kick drum_bass_hard drum_bass_soft elec_hollow_kick elec_soft_kick",
        38: "sn_dub sn_dolf sn_zome sn_generic drum_snare_hard drum_snare_soft elec_snare elec_hi_snare"
        " elec_mid_snare elec_lo_snare elec_filt_snare",
        41: "drum_tom_lo_soft drum_tom_lo_hard",
        42: "drum_cymbal_closed",
        44: "drum_cymbal_pedal",
        45: "drum_tom_mid_soft drum_tom_mid_hard",
        46: "drum_cymbal_open",
        49: "drum_splash_soft drum_splash_hard drum_cymbal_hard",
        50: "drum_tom_hi_soft drum_tom_hi_hard",
        56: "drum_cowbell",
    },
    # Emanuel Rumpf's rumpf-kit z01 (Debian's hydrogen-drumkits), CC BY 3.0.
    "rumpf_kit_z01_h2": {
        36: "beats_06-38 beats_06-46 beats_07-18 beats_07-20",
        37: "beats_09-12",
        38: "beats_01-21 beats_06-25",
        41: "beats_08-17",
        42: "beats_09-10 beats_08-31",
        44: "beats_06-28",
        45: "beats_08-18",
        49: "beats_06-43",
        50: "beats_08-19",
        53: "beats_06-40",
        56: "beats_08-32",
    },
    # Audiophob (Debian's hydrogen-drumkits), CC0.
    "Audiophob": {
        38: "124382__cubix__8bit-snare 25671__walter-odington__garage-city-snare-snappy",
        41: "99930__menegass__noise-tom0",
        42: "116973__cbeeching__hat-light",
        45: "99931__menegass__noise-tom1",
        46: "104227__minorr__hhat-paiste-302-14-open-p",
        49: "124101__connersaw8__crash",
        50: "101450__menegass__tomh",
    },
}
LOOSE_VELOCITY = 100


def soundfont_kit(font: Path, program: int) -> Kit:
    """Every key at several velocities, rendered by FluidSynth without room."""
    strokes = [(key, hard) for key in (*SOUNDFONT_KEYS, *SHAKEN_KEYS) for hard in SOUNDFONT_VELOCITIES]
    track = mido.MidiTrack([mido.Message("program_change", channel=9, program=program, time=0)])
    for key, hard in strokes:
        track.append(mido.Message("note_on", channel=9, note=key, velocity=hard))
        track.append(mido.Message("note_off", channel=9, note=key, time=round(APART_S * TICKS_PER_S)))
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    file.tracks.append(track)
    with tempfile.TemporaryDirectory() as work:
        midi, wav = Path(work) / "kit.mid", Path(work) / "kit.wav"
        file.save(midi)
        options = ["-n", "-i", "-q", "-r", str(RATE_HZ), "-g", "0.4", "-R", "0", "-C", "0", "-T", "wav"]
        command = ["fluidsynth", *options, "-O", "float", "-F", str(wav), str(font), str(midi)]
        subprocess.run(command, check=True, capture_output=True)
        stereo, _ = soundfile.read(wav, dtype="float32", always_2d=True)
    sound = stereo.mean(axis=1)[round(FLUIDSYNTH_DELAY_S * RATE_HZ) :]
    kit: dict[int, list[tuple[int, Sound]]] = {}
    for number, (key, hard) in enumerate(strokes):
        first = round(number * APART_S * RATE_HZ)
        stroke = sound[first : first + round(LONGEST_S * RATE_HZ)]
        if len(stroke) and np.abs(stroke).max() > 1e-4:
            kit.setdefault(key, []).append((hard, _until_gone(stroke)))
    return kit


def loose_drums(folders: Iterable[Path]) -> Kit:
    """All drums of `LOOSE` that lie in these folders: of each key as many as there are."""
    drums: dict[int, list[tuple[int, Sound]]] = {}
    for folder in folders:
        for key, names in LOOSE[folder.name].items():
            for name in names.split():
                path = next(
                    path for suffix in (".flac", ".wav") if (path := folder / (name + suffix)).exists()
                )
                drums.setdefault(key, []).append((LOOSE_VELOCITY, _begun(path)))
    return drums


def drawn_kit(rng: Rng, drums: Kit) -> Kit:
    """A kit of loose drums: one of each key's."""
    return {key: [strokes[int(rng.integers(len(strokes)))]] for key, strokes in drums.items()}


def plain_kit() -> Kit:
    """The drums of `bridge.engine.synth`."""
    return {
        key: [(127, _until_gone(render_drums([stroke], rate_hz=RATE_HZ, duration_s=0.8)))]
        for key in (36, 38, 42, 46, 41, 45, 50, 49)
        for stroke in (Note(0.0, 0.1, key, 127),)
    }


def _begun(path: Path) -> Sound:
    stereo, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    sound = stereo.mean(axis=1)
    if rate_hz != RATE_HZ:
        sound = soxr.resample(sound, rate_hz, RATE_HZ)
    size = np.abs(sound)
    first = max(0, int(np.argmax(size > size.max() * 0.02)) - round(0.001 * RATE_HZ))
    return _until_gone(sound[first : first + round(LONGEST_S * RATE_HZ)])


def _until_gone(sound: Sound) -> Sound:
    left = np.cumsum(sound[::-1] ** 2)[::-1]
    return sound[: int(np.argmax(left < left[0] * GONE)) or len(sound)].astype(np.float32)
